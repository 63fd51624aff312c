-- Converts between cells and Lua values, by one set of rules for fields of events,
-- tables made of JSON, columns of rows, keys and initial values.
local ffi = require 'ffi'
local bit = require 'bit'
local core = require 'tidemill.core.api'
local decimal = require 'tidemill.core.decimal'
local number = require 'tidemill.core.number'
local protected = require 'tidemill.core.protected'
local units = require 'tidemill.core.units'

local M = {}

local C = core.C
local cast, istype, typeof = ffi.cast, ffi.istype, ffi.typeof
local arshift = bit.arshift
local floor = math.floor
local int64, uint64 = typeof('int64_t'), typeof('uint64_t')
local dec, number_t = decimal.type, number.type
local LO, HI, SCALE = decimal.LO, decimal.HI, decimal.SCALE
local dec_pointer = typeof('const struct tm_dec *')
local MAX, MIN = 9007199254740992LL, -9007199254740992LL -- 2^53: exact below it
local MINUS_ZERO = -0.0
local NULL, BOOL, INT = C.TM_NULL, C.TM_BOOL, C.TM_INT
local DEC, BIGDEC, NUMBER, TEXT = C.TM_DEC, C.TM_BIGDEC, C.TM_NUMBER, C.TM_TEXT
local OBJECT, ARRAY, DOUBLE = C.TM_OBJECT, C.TM_ARRAY, C.TM_DOUBLE
local STAMP, KNOWN_MICROS = C.TM_STAMP, C.TM_HINT_MICROS
local UNREADABLE = C.TM_UNREADABLE

-- Marks tables that came from JSON arrays, so that an empty one is written
-- back as []; [length] keeps trailing nulls, which a Lua table cannot show.
local array_meta = {}
local length_of = setmetatable({}, { __mode = 'k' })
-- Names of an object in document order, for `pairs`.
local order_of = setmetatable({}, { __mode = 'k' })

---@return any the value of a scalar cell; nil for missing and null
function M.scalar(cell)
  local tag = cell.tag
  if tag == INT then
    local i = cell.i
    if i < MAX and i > MIN then return tonumber(i) end
    return dec(i, arshift(i, 63), 0)
  elseif tag == DEC then
    local i = cell.i
    return dec(i, arshift(i, 63), cell.scale)
  elseif tag == TEXT then
    return ffi.string(cell.p, cell.len)
  elseif tag == BOOL then
    return cell.i ~= 0
  elseif tag == BIGDEC then
    local d = cast(dec_pointer, cell.p)
    return dec(d[LO], d[HI], d[SCALE])
  elseif tag == DOUBLE then
    return cell.d
  elseif tag == NUMBER then
    local text = ffi.string(cell.p, cell.len)
    if text == '-0' then return MINUS_ZERO end
    return number.new(text)
  elseif tag == UNREADABLE then
    protected.raise_unreadable(cell)
  end
  return nil
end

local read_token

local function read_object(tokens, at, members)
  local t, order = {}, {}
  for _ = 1, members do
    local name = ffi.string(tokens[at].p, tokens[at].len)
    local value
    value, at = read_token(tokens, at + 1)
    if t[name] == nil then order[#order + 1] = name end
    t[name] = value
  end
  order_of[t] = order
  return t, at
end

local function read_array(tokens, at, items)
  local t, has_null = setmetatable({}, array_meta), false
  for i = 1, items do
    local value
    value, at = read_token(tokens, at)
    if value == nil then has_null = true end
    t[i] = value
  end
  if has_null then length_of[t] = items end
  return t, at
end

function read_token(tokens, at)
  local cell = tokens[at]
  if cell.tag == OBJECT then
    return read_object(tokens, at + 1, cell.len)
  elseif cell.tag == ARRAY then
    return read_array(tokens, at + 1, cell.len)
  end
  return M.scalar(cell), at + 1
end

local out_tokens = ffi.new('const struct tm_cell *[1]')
local out_count = ffi.new('uint32_t[1]')

-- A plain Lua table of raw JSON; numbers keep all their digits.
function M.table(batch, cell)
  if C.tm_json(batch, cell.p, cell.len, out_tokens, out_count) < 0 then
    protected.raise(ffi.string(batch.error))
  end
  return (read_token(out_tokens[0], 0))
end

-- Names of a table made from a JSON object, as they came; nil for others.
function M.order(t)
  return order_of[t]
end

local ESCAPES = {
  ['"'] = '\\"', ['\\'] = '\\\\', ['\n'] = '\\n', ['\r'] = '\\r', ['\t'] = '\\t',
}

local function quote(text)
  return '"' .. text:gsub('[%c"\\]', function(c)
    return ESCAPES[c] or ('\\u%04x'):format(c:byte())
  end) .. '"'
end

-- The shortest text that reads back as the same double.
local function number_text(x)
  if x ~= x or x == math.huge or x == -math.huge then
    error(('%s is no number of JSON: a division by zero gives it; look first whether '
      .. 'the divisor is 0'):format(x ~= x and 'NaN' or x < 0 and '-Infinity'
      or 'Infinity'), 0)
  end
  if x == floor(x) and x < 1e15 and x > -1e15 and x ~= 0 then
    return ('%d'):format(x)
  end
  return (number.shortest(x))
end
M.number_text = number_text

local encode

---@return integer|nil length of a list, holes included; nil: it has names, or nothing
local function array_length(t)
  if length_of[t] then return math.max(length_of[t], #t) end
  if next(t) == nil then return getmetatable(t) == array_meta and 0 or nil end
  local n, last = 0, 0
  for k in pairs(t) do
    if type(k) ~= 'number' or k < 1 or k ~= floor(k) then return nil end
    n, last = n + 1, math.max(last, k)
  end
  -- Holes are nulls, but a table with one entry at 10^9 is not an array.
  return last <= 2 * n + 16 and last or nil
end
M.array_length = array_length

---Has a table that came from JSON that item, or a field of that name? Also a null.
---@param step integer|string
---@return boolean
function M.has(t, step)
  if t[step] ~= nil then return true end
  if type(step) == 'number' then return step <= (length_of[t] or 0) end
  for _, name in ipairs(order_of[t] or {}) do
    if name == step then return true end
  end
  return false
end

local function sorted_names(t)
  local names = {}
  for name in pairs(t) do
    if type(name) ~= 'string' then
      error('a table for JSON has either names or numbers 1, 2, ... as keys', 0)
    end
    names[#names + 1] = name
  end
  table.sort(names)
  return names
end

local function encode_table(t, depth)
  if depth > 64 then error('a table for JSON is nested deeper than 64', 0) end
  local parts, n = {}, array_length(t)
  if n then
    for i = 1, n do parts[i] = encode(t[i], depth + 1) end
    return '[' .. table.concat(parts, ',') .. ']'
  end
  -- Sorted: the order of a Lua table may differ between two runs.
  for i, name in ipairs(sorted_names(t)) do
    parts[i] = quote(name) .. ':' .. encode(t[name], depth + 1)
  end
  return '{' .. table.concat(parts, ',') .. '}'
end

-- Raw JSON of a view, set by view.lua; nil for anything else.
M.raw_of = function() return nil end

function encode(value, depth)
  local kind = type(value)
  if kind == 'nil' then return 'null' end
  if kind == 'string' then return quote(value) end
  if kind == 'number' then return number_text(value) end
  if kind == 'boolean' then return tostring(value) end
  if kind == 'table' then return encode_table(value, depth or 0) end
  if kind == 'cdata' then
    if istype(dec, value) then return decimal.format(value) end
    if istype(number_t, value) then return number.text(value) end
    if istype(int64, value) or istype(uint64, value) then
      return (tostring(value):gsub('U?LL$', ''))
    end
    if units.is(value) then return quote(units.format(value)) end
    local raw = M.raw_of(value)
    if raw then return raw end
  end
  error('a ' .. kind .. ' cannot be written as JSON', 0)
end
M.encode = encode

local function set_text(cell, tag, text)
  cell.tag, cell.p, cell.len = tag, text, #text
  return text
end

-- A double stays a double unless it is a whole number that it holds exactly: what the
-- column makes of it, C decides.
local function set_number(cell, x)
  if x == floor(x) and x < 2 ^ 53 and x > -2 ^ 53 and 1 / x ~= -math.huge then
    cell.tag, cell.i = INT, x
  else
    cell.tag, cell.d = DOUBLE, x
  end
end

local function set_cdata(cell, value)
  if istype(dec, value) then
    if value[HI] == arshift(cast(int64, value[LO]), 63) then
      cell.tag, cell.i = value[SCALE] == 0 and INT or DEC, cast(int64, value[LO])
      cell.scale = value[SCALE]
    else
      cell.tag, cell.p = BIGDEC, cast('const char *', cast('void *', value))
    end
    return value
  elseif istype(number_t, value) then
    return set_text(cell, NUMBER, number.text(value))
  elseif istype(int64, value) then
    cell.tag, cell.i = INT, value
    return
  elseif istype(uint64, value) then
    return M.set(cell, decimal.from(value))
  elseif units.is(value) then
    cell.tag, cell.i, cell.hint = STAMP, units.usec(value), KNOWN_MICROS
    return
  end
  local raw, tag = M.raw_of(value)
  if raw then return set_text(cell, tag, raw) end
  error('an event or row cannot be stored: name one of its fields', 0)
end

-- Puts a Lua value into a cell. The cell may point into what is returned, so
-- the caller keeps that until C has read the cell.
function M.set(cell, value)
  local kind = type(value)
  cell.len, cell.scale, cell.hint = 0, 0, 0
  if kind == 'nil' then
    cell.tag = NULL
  elseif kind == 'string' then
    return set_text(cell, TEXT, value)
  elseif kind == 'number' then
    return set_number(cell, value)
  elseif kind == 'boolean' then
    cell.tag, cell.i = BOOL, value and 1 or 0
  elseif kind == 'table' then
    local text = encode(value)
    return set_text(cell, text:byte() == 91 and ARRAY or OBJECT, text)
  elseif kind == 'cdata' then
    return set_cdata(cell, value)
  else
    error(('a %s cannot be stored%s'):format(kind, kind == 'function'
      and ': call it; a text has functions of these names (find, len, format …) where '
        .. 'an object would have fields' or ''), 0)
  end
end

return M
