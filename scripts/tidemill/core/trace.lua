-- Whose line an error is: the user's, not one of ours.
local kinds = require 'tidemill.core.kinds'

local M = {}

-- Texts by the chunk names of all loaded bundles: which frames of a traceback are the
-- user's.
M.sources = {}
local sources = M.sources

local KEYWORDS = {}
for word in ('and break do else elseif end false for function if in local nil not or '
  .. 'repeat return then true until while'):gmatch('%a+') do
  KEYWORDS[word] = true
end

-- The variables and fields that a line of a script reads: "row.n, event.data.x".
local function read_in(text, number)
  local n, names, told = 0, {}, {}
  for line in (type(text) == 'string' and text or ''):gmatch('([^\n]*)\n?') do
    n = n + 1
    if n == number then
      line = line:gsub('%-%-.*', ''):gsub("'[^']*'", "''"):gsub('"[^"]*"', '""')
      line = line:match('^[%w_.,%s]-=([^=].*)$') or line -- behind what is assigned
      for name, behind in line:gmatch('([%a_][%w_.]*)()') do
        local is_called = line:find('^%s*[({:]', behind)
        if not is_called and not KEYWORDS[name] and not told[name] then
          names[#names + 1], told[name] = name, true
        end
      end
    end
  end
  return table.concat(names, ', ')
end

local NO_NUMBER = { '^attempt to compare .*nil',
  '^nil %(missing or null%) cannot be used as a number$',
  'nil %(missing or null%) is not a number$' }

-- A decimal is told of its other operand's value, not of its name.
local function name_operands(rest, source, line)
  for _, pattern in ipairs(NO_NUMBER) do
    local names = rest:find(pattern) and read_in(sources[source], line) or ''
    if names ~= '' then
      return (': of %s in this line one is nil: look first whether it is there, or write '
        .. '(x or 0)'):format(names)
    end
  end
  return ''
end

local function user_line()
  for level = 3, 60 do
    local info = debug.getinfo(level, 'Sl')
    if not info then return nil end
    if sources[info.source] and info.currentline > 0 then
      return info.source:sub(2) .. ':' .. info.currentline .. ': ', info
    end
  end
end

-- Words of a row that are called; a column of that name is what is called then.
local CALLED = { delete = true, reset = true }

local LUA_TYPES = { string = true, number = true, table = true, boolean = true,
  ['nil'] = true, ['function'] = true }

local NUMBER_OF_TEXT = ': a number is compared with numbers: decimal(text) makes one '
  .. 'of a text'

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
  { 'attempt to compare string with number$', NUMBER_OF_TEXT },
  { 'attempt to compare number with string$', NUMBER_OF_TEXT },
  { 'attempt to concatenate .*%(a table value%)$', ": write table.concat(x, ', ')" },
  { 'attempt to concatenate .*a boolean value%)?$', ': write tostring(x)' },
  { 'attempt to perform arithmetic .*%(a string value%)$', ': the text is no number' },
  { "text '.*' is not a decimal number$",
    ': a decimal is compared and computed with numbers and texts of digits only' },
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
    if message:sub(1, #source) == source:sub(2) .. ':' then
      local line, what = message:match('^(%d+): (.*)$', #source + 1)
      return message .. (line and name_operands(what, source, tonumber(line)) or '')
    end
  end
  local rest = message:match('^[^%s:]*%.lua:%d+: (.*)$')
    or message:match('^%.%.%.[^:]*:%d+: (.*)$')
  local line, info = user_line()
  if not line then return message end
  rest = rest or message
  return line .. rest .. name_operands(rest, info.source, info.currentline)
end

return M
