-- Whose line an error is: the user's, not one of ours.
local M = {}

-- Chunk names of all loaded bundles: which frames of a traceback are the user's.
M.sources = {}
local sources = M.sources

local function user_line()
  for level = 3, 60 do
    local info = debug.getinfo(level, 'Sl')
    if not info then return nil end
    if sources[info.source] and info.currentline > 0 then
      return info.source:sub(2) .. ':' .. info.currentline .. ': '
    end
  end
end

-- Words of a row that are called; a column of that name is what is called then.
local CALLED = { delete = true, reset = true }

local function hint(message)
  local word = message:match("attempt to call method '(%l+)'")
  return CALLED[word] and (': where a column has that name, write tidemill.%s(row)')
    :format(word) or ''
end

-- Handler of xpcall: "file:line: message", with the file of the user. Lua
-- shortens long paths and names our own files; neither helps the user.
function M.trace(message)
  if type(message) ~= 'string' then
    message = 'raised a ' .. type(message) .. ' instead of a text'
  end
  -- LuaJIT's name of a type that has none.
  message = message:gsub("'struct [%w_]+'", 'an event, a row or a decimal')
    .. hint(message)
  for source in pairs(sources) do
    if message:sub(1, #source) == source:sub(2) .. ':' then return message end
  end
  local rest = message:match('^[^%s:]*%.lua:%d+: (.*)$')
    or message:match('^%.%.%.[^:]*:%d+: (.*)$')
  local line = user_line()
  if not line then return message end
  return line .. (rest or message)
end

return M
