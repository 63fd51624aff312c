-- Whose line an error is: the user's, not one of ours.
local kinds = require 'tidemill.core.kinds'

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

local LUA_TYPES = { string = true, number = true, table = true, boolean = true,
  ['nil'] = true, ['function'] = true }

-- LuaJIT's messages, and what they mean for a value of a record or a row.
local MEANINGS = {
  { "attempt to index .* %(a nil value%)$",
    ': it is nil, as a field is that is missing or null: look first whether it is there',
  },
  { "attempt to index .* %(a (%l+) value%)$",
    ': fields are of objects, and this is a %s' },
  { 'attempt to call .*%(a nil value%)$', ': there is no such function' },
  { "attempt to concatenate .*%(a nil value%)$",
    ": a field that is missing or null is nil: write (event.data.x or '')" },
  { "attempt to %l+ .*a nil value%)?$",
    ': a field that is missing or null is nil: look first whether it is there' },
  { 'expected, got nil%)$',
    ': a field that is missing or null is nil: look first whether it is there' },
  { 'got cdata%)$', ': name a field of it, or write tostring(x)' },
  { 'invalid value %(cdata%)', ': write tostring(x) of each' },
  { 'attempt to .*object of an event', ': name one of its fields' },
  { 'attempt to .*an event', ': name one of its fields, as in event.data.x' },
  { 'attempt to .*a row', ': name one of its columns, as in row.x' },
}

local function hint(message)
  local word = message:match("attempt to call method '(%l+)'")
  if CALLED[word] then
    return (': where a column has that name, write tidemill.%s(row)'):format(word)
  end
  for _, one in ipairs(MEANINGS) do
    local kind = message:match(one[1])
    if kind then return (one[2]:gsub('%%s', kind)) end
  end
  return ''
end

-- "attempt to concatenate 'struct 452' and 'string'", of values that no field or
-- variable names.
local function in_our_words(message)
  if not message:find("'struct ", 1, true) and not message:find("int%d*_t'") then
    return message
  end
  return (message:gsub("'([%l][%w_ ]*)'", function(name)
    if LUA_TYPES[name] or name:find('^struct ') or name:find('int%d*_t$') then
      return kinds.name_of_type(name)
    end
  end))
end

-- What error() was given, which need not be a text.
local function text_of(x)
  if type(x) == 'number' or type(x) == 'cdata' and not kinds.of(x) then
    return tostring(x)
  end
  local text = type(x) == 'table' and rawget(x, 'message')
  if type(text) == 'string' then return text end
  return ('error() was called with %s instead of a text: write error(\'…\')'):format(
    kinds.name_of(x))
end

-- Handler of xpcall: "file:line: message", with the file of the user. Lua
-- shortens long paths and names our own files; neither helps the user.
function M.trace(message)
  if type(message) ~= 'string' then message = text_of(message) end
  message = in_our_words(message)
  message = message:gsub('got cdata%)', 'got an object, an event, a row or a decimal)')
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
