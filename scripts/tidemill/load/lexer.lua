-- The tokens of a Lua file, each with the place where it begins. The text has
-- been compiled before, so it is valid Lua, and nothing else need be recognised.
local M = {}

local NEW_LINE, QUOTE, APOSTROPHE = 10, 34, 39
local SYMBOLS = { '^%.%.%.', '^%.%.', '^[=~<>]=', '^::', '^.' }

-- The last byte of a long text or comment whose brackets begin at [at]; nil:
-- there is none.
local function long_end(text, at)
  local level = text:match('^%[(=*)%[', at)
  if not level then return nil end
  local _, stop = text:find(']' .. level .. ']', at, true)
  return stop or #text
end

-- The last byte of a quoted text that begins at [at].
local function quoted_end(text, at, quote)
  local stop = at
  repeat
    stop = stop + 1
    local byte = text:byte(stop)
    if byte == 92 then stop = stop + 1 end -- a backslash and what it escapes
  until byte == quote or byte == nil
  return stop
end

local function comment_end(text, at)
  return long_end(text, at + 2) or (text:find('\n', at, true) or #text + 1) - 1
end

-- Kind, last byte and value of the token at [at]; no kind: nothing that counts.
local function token(text, at)
  local byte = text:byte(at)
  if byte == QUOTE or byte == APOSTROPHE then
    local stop = quoted_end(text, at, byte)
    return 'string', stop, text:sub(at + 1, stop - 1)
  end
  local stop = select(2, text:find('^[%a_\128-\255][%w_\128-\255]*', at))
  if stop then return 'name', stop, text:sub(at, stop) end
  stop = select(2, text:find('^%.?%d[%w%.]*', at))
  if stop then return 'number', stop, text:sub(at, stop) end
  if text:find('^%-%-', at) then return nil, comment_end(text, at) end
  stop = long_end(text, at)
  if stop then
    local _, inner = text:sub(at, stop):match('^%[(=*)%[\n?(.*)%]%1%]$')
    return 'string', stop, inner
  end
  for _, pattern in ipairs(SYMBOLS) do
    stop = select(2, text:find(pattern, at))
    if stop then return 'symbol', stop, text:sub(at, stop) end
  end
end

---@class tidemill.Tokens lists of the same length
---@field kinds string[] 'name' (keywords too), 'string', 'number', 'symbol'
---@field values string[] of a text: what stands between its quotes
---@field lines integer[]
---@field columns integer[]
---@field starts integer[] of [text], its first byte
---@field text string what was read, with lines that end in \n

---@param text string
---@return tidemill.Tokens
function M.read(text)
  -- As LuaJIT counts lines.
  text = text:gsub('\r\n?', '\n'):gsub('^\239\187\191', ''):gsub('^#[^\n]*', '')
  local kinds, values, lines, columns, starts, n = {}, {}, {}, {}, {}, 0
  local at, line, line_start = 1, 1, 1
  local newline = text:find('\n', 1, true) -- the first one from [at] on
  while at <= #text do
    local byte = text:byte(at)
    if byte == NEW_LINE then
      at, line, line_start = at + 1, line + 1, at + 1
      newline = text:find('\n', at, true)
    elseif byte <= 32 then
      at = at + 1
    else
      local kind, stop, value = token(text, at)
      if kind then
        n = n + 1
        kinds[n], values[n], starts[n] = kind, value, at
        lines[n], columns[n] = line, at - line_start + 1
      end
      while newline and newline <= stop do
        line, line_start = line + 1, newline + 1
        newline = text:find('\n', newline + 1, true)
      end
      at = stop + 1
    end
  end
  return { kinds = kinds, values = values, lines = lines, columns = columns,
    starts = starts, text = text }
end

return M
