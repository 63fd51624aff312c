-- bit, string.format and other functions of a bundle that take or print whole
-- numbers. LuaJIT's own accept Lua numbers and its 64 bit integers, and print 14
-- digits. These also accept and return decimals, as which whole numbers from 2^53 on
-- are read, and print all digits.
local bit = require 'bit'
local ffi = require 'ffi'
local decimal = require 'tidemill.core.decimal'
local number = require 'tidemill.core.number'

local M = {}

local format = string.format -- testing.lua puts M.format there
local cast, floor = ffi.cast, math.floor
local int64 = ffi.typeof('int64_t')
local EXACT, LONG, LARGEST = 2 ^ 53, 1e14, 1e38

-- LuaJIT reduces a number to 32 bits; above this the result would be arbitrary.
local WRAPS = 2 ^ 51

local function wide(what, x)
  if x == floor(x) and x < EXACT and x > -EXACT then return (cast(int64, x)) end
  error(('%s takes whole numbers below 2^53, not %s: write decimal(event.data.id), which '
    .. 'is exact'):format(what, tostring(x)), 0)
end

local function integer(what, x)
  if type(x) == 'number' then
    if x < WRAPS and x > -WRAPS then return x end
    return wide(what, x)
  end
  if type(x) ~= 'cdata' then return x end
  local i = decimal.is(x) and decimal.to_integer(x)
  if i then return i end
  error(('%s takes whole numbers of at most 64 bits, not %s'):format(what, tostring(x)),
    0)
end

local function result(x)
  if type(x) == 'cdata' then return decimal.whole(x) end
  return x
end

-- Functions whose result depends on bits above the lowest 32: without them it would be
-- wrong.
local UPPER = { rshift = true, arshift = true, rol = true, ror = true, bswap = true,
  tohex = true }

local function check_upper(what, x)
  if type(x) == 'number' and (x >= 2 ^ 32 or x < -2 ^ 31)
    and x < EXACT and x > -EXACT then
    error(('%s takes 32 bits of a Lua number, and %s has more: write decimal(x) for 64 '
      .. 'bits, bit.tobit(x) for the lowest 32'):format(what, M.text(x)), 0)
  end
end

-- Of one number, and a second one that is none but a count of bits.
local function of_one(name)
  local f, what, is_upper = bit[name], 'bit.' .. name, UPPER[name]
  return function(x, n)
    if is_upper then check_upper(what, x) end
    if type(n) == 'nil' then return result(f(integer(what, x))) end
    return result(f(integer(what, x), integer(what, n)))
  end
end

local function of_all(name)
  local f, what = bit[name], 'bit.' .. name
  return function(x, y, ...)
    if type(y) == 'nil' then return result(f(integer(what, x))) end
    local n = select('#', ...)
    if n == 0 then return result(f(integer(what, x), integer(what, y))) end
    local more = { ... }
    for i = 1, n do more[i] = integer(what, more[i]) end
    return result(f(integer(what, x), integer(what, y), unpack(more, 1, n)))
  end
end

---@return table library
function M.bit()
  local t = {}
  for name in ('tobit tohex bnot lshift rshift arshift rol ror bswap'):gmatch('%a+') do
    t[name] = of_one(name)
  end
  for name in ('band bor bxor'):gmatch('%a+') do t[name] = of_all(name) end
  return t
end

-- All digits of a number, where Lua itself keeps 14: identifiers and amounts have
-- more. Raises for a whole number of which a double has lost digits.
---@return string
function M.text(x)
  if type(x) ~= 'number' then return tostring(x) end
  if x == floor(x) and x < EXACT and x > -EXACT then return format('%d', x) end
  local text = format('%.15g', x)
  if tonumber(text) == x then return text end
  if x == floor(x) and x < LARGEST and x > -LARGEST then decimal.from(x) end -- raises
  return (x >= LONG or x <= -LONG) and x - x == 0 and (number.shortest(x)) or tostring(x)
end
local text_of = M.text

-- The whole number beside which rounding has put [x], which is none: '19.99' * 100
-- is 1998.9999999999998. Less than the last two of its bits is rounding; the
-- quotient of two whole numbers is further away.
local function near_whole(x)
  if x == floor(x) then return nil end
  local whole = floor(x + 0.5)
  local rest, spread = x - whole, x * 2 ^ -52
  return rest * rest <= spread * spread and whole or nil
end

-- Cuts what has no digits after the point.
function M.is_cut(x, near) return near > x and x > 0 or near < x and x < 0 end

-- Cutting the fraction of such a number would give another one than was meant.
---@param is_cut fun(x: number, near: number): boolean
function M.check_cut(what, x, is_cut)
  if type(x) == 'string' then x = tonumber(x) end
  local near = type(x) == 'number' and near_whole(x)
  if near and is_cut(x, near) then
    error(('%s: x is %.17g, a double that Lua\'s arithmetic has rounded, where %.0f may '
      .. 'be meant: compute with decimals, as in round(decimal(event.data.amount) * 100)')
      :format(what, x, near), 0)
  end
end

-- What LuaJIT would not print, or print with an exponent, or cut.
local function is_long(x)
  return type(x) == 'cdata' and decimal.is_numeric(x)
    or type(x) == 'number' and (x >= LONG or x <= -LONG or near_whole(x) ~= nil)
end

-- The conversions that print texts, integers with a sign, and integers.
local TEXTS, SIGNED, INTEGERS = 'sq', 'di', 'diuxXo'

local function printable(what, word, x)
  if TEXTS:find(word, 1, true) then return word == 's' and text_of(x) or x end
  if type(x) == 'number' then
    if INTEGERS:find(word, 1, true) then M.check_cut(what, x, M.is_cut) end
    return x
  end
  if not INTEGERS:find(word, 1, true) then
    error(what .. ' prints doubles: write tostring(round(x, 2)), which is exact', 0)
  end
  local i = integer(what, x)
  if SIGNED:find(word, 1, true) and x >= decimal.from '9223372036854775808' then
    error(('%s takes 64 bits, and %s has more: use %%s'):format(what, tostring(x)), 0)
  end
  return i
end

local function format_decimals(text, ...)
  local values, i = { ... }, 0
  for word in text:gmatch('%%[-+ #0]*%d*%.?%d*([%a%%])') do
    i = i + (word == '%' and 0 or 1)
    if word ~= '%' and is_long(values[i]) then
      values[i] = printable(("string.format('%%%s')"):format(word), word, values[i])
    end
  end
  return format(text, unpack(values, 1, select('#', ...)))
end

function M.format(text, ...)
  local n = select('#', ...)
  if n <= 2 then -- most are
    local a, b = ...
    if not is_long(a) and not is_long(b) then return format(text, ...) end
  end
  for i = 1, n do
    if is_long((select(i, ...))) and type(text) == 'string' then
      return format_decimals(text, ...)
    end
  end
  return format(text, ...)
end

-- A function of the string library that may get a number as its text.
function M.of_text(f)
  return function(x, ...)
    if is_long(x) then x = text_of(x) end
    return f(x, ...)
  end
end

function M.concat(list, separator, from, to)
  if type(list) ~= 'table' then return table.concat(list, separator, from, to) end
  from, to = from or 1, to or #list
  for i = from, to do
    if type(list[i]) == 'nil' then break end -- the library's refuses it; [to] may be any
    if is_long(list[i]) then
      local texts = {}
      for k = from, to do texts[k] = is_long(list[k]) and text_of(list[k]) or list[k] end
      return table.concat(texts, separator, from, to)
    end
  end
  return table.concat(list, separator, from, to)
end

return M
