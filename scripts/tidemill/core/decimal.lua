-- Exact decimals: the metatype of struct tm_dec. While both mantissas fit 64
-- bits the arithmetic stays in Lua, where the JIT keeps the results in
-- registers; all else goes to C, which knows 38 digits.
local ffi = require 'ffi'
local bit = require 'bit'
local core = require 'tidemill.core.api'
local kinds = require 'tidemill.core.kinds'
local number = require 'tidemill.core.number'

local M = {}

local C = core.C
local LO, HI, SCALE = core.field 'lo', core.field 'hi', core.field 'scale'
local band, bxor, arshift = bit.band, bit.bxor, bit.arshift
local cast, istype, typeof = ffi.cast, ffi.istype, ffi.typeof
local floor = math.floor
local int64, uint64 = typeof('int64_t'), typeof('uint64_t')
local dec = typeof('struct tm_dec')
local EXACT, LARGEST = 2 ^ 53, 1e38

-- 10^n, and the largest mantissa that can still be multiplied by it.
local POWER = ffi.new('int64_t[19]')
local LIMIT = ffi.new('int64_t[19]')
do
  local power = 1LL
  for n = 0, 18 do
    POWER[n], LIMIT[n] = power, 9223372036854775807LL / power
    if n < 18 then power = power * 10LL end
  end
end
M.POWER, M.LIMIT = POWER, LIMIT

local buffer = ffi.new('char[64]')

local function format(d)
  return ffi.string(buffer, C.tm_dec_format(d, buffer))
end

local function too_long(what)
  error(what .. ' does not fit the 38 digits of a decimal', 0)
end

local function parse(text)
  local d = dec()
  if C.tm_dec_parse(text, #text, d) < 0 then
    error("text '" .. text:sub(1, 60) .. "' is not a decimal number", 0)
  end
  return d
end

local CURE = 'compute with decimals, as in decimal(event.data.amount) * 3'

-- Lua computes with doubles, and converts texts to doubles. A number that is not exactly
-- what was meant must not be mixed with exact ones.
local function refuse_rounded(x)
  local text = number.shortest(x)
  if x >= EXACT or x <= -EXACT then
    error(('the number %s is beyond 2^53, where Lua numbers are no longer exact: %s')
      :format(text, CURE), 0)
  end
  error(("the number %s is a double that Lua's arithmetic has rounded: %s, or say the "
    .. 'digits with round(x, 2)'):format(text, CURE), 0)
end

---@return tidemill.Decimal d of the shortest text
---@return boolean is_rounded
local function read_double(x)
  local d = dec()
  local result = C.tm_dec_from_double(x, d)
  if result < 0 then too_long('the number ' .. tostring(x)) end
  return d, result > 0
end

local function from_number(x)
  if x == floor(x) and x < EXACT and x > -EXACT then
    local i = cast(int64, x)
    return dec(i, arshift(i, 63), 0)
  end
  if x - x ~= 0 then
    error(('%s is no number: a division by zero gives it; look first whether the '
      .. 'divisor is 0'):format(x ~= x and 'NaN' or x < 0 and '-Infinity'
      or 'Infinity'), 0)
  end
  local d, is_rounded = read_double(x)
  if is_rounded then refuse_rounded(x) end
  return d
end

local function from_other(x)
  if istype(int64, x) then
    return dec(x, arshift(x, 63), 0)
  elseif istype(uint64, x) then
    return dec(x, 0, 0)
  elseif istype(number.type, x) then
    local d, text = dec(), number.text(x)
    if C.tm_dec_parse(text, #text, d) < 0 then
      too_long('the number ' .. text:sub(1, 60))
    end
    return d
  end
  error(kinds.name_of(x) .. ' cannot be used as a number', 0)
end

---@param x any a decimal, a Lua number, an int64 or numeric text
---@return tidemill.Decimal
local function from(x)
  if istype(dec, x) then
    return x
  elseif type(x) == 'number' then
    return from_number(x)
  elseif type(x) == 'string' then
    return parse(x)
  end
  return from_other(x)
end

local function is(x)
  return istype(dec, x)
end

local slow_add = function(a, b)
  local d = dec()
  if C.tm_dec_add(a, b, d) < 0 then too_long('the sum') end
  return d
end

local slow_sub = function(a, b)
  local d = dec()
  if C.tm_dec_sub(a, b, d) < 0 then too_long('the difference') end
  return d
end

-- add and sub stand written out: each is one trace when both mantissas fit 64
-- bits at one scale, and goes to C when they do not.
local function add(a, b)
  if not istype(dec, a) then a = from(a) end
  if not istype(dec, b) then b = from(b) end
  local x, y = cast(int64, a[LO]), cast(int64, b[LO])
  if a[HI] ~= arshift(x, 63) or b[HI] ~= arshift(y, 63) then return slow_add(a, b) end
  local scale = a[SCALE]
  if scale ~= b[SCALE] then
    local n = b[SCALE] - scale
    if n > 18 or n < -18 then return slow_add(a, b) end
    if n > 0 then
      if x > LIMIT[n] or x < -LIMIT[n] then return slow_add(a, b) end
      x, scale = x * POWER[n], b[SCALE]
    else
      if y > LIMIT[-n] or y < -LIMIT[-n] then return slow_add(a, b) end
      y = y * POWER[-n]
    end
  end
  local sum = x + y
  if band(bxor(x, sum), bxor(y, sum)) < 0 then return slow_add(a, b) end
  return dec(sum, arshift(sum, 63), scale)
end

local function sub(a, b)
  if not istype(dec, a) then a = from(a) end
  if not istype(dec, b) then b = from(b) end
  local x, y = cast(int64, a[LO]), cast(int64, b[LO])
  if a[HI] ~= arshift(x, 63) or b[HI] ~= arshift(y, 63) then return slow_sub(a, b) end
  local scale = a[SCALE]
  if scale ~= b[SCALE] then
    local n = b[SCALE] - scale
    if n > 18 or n < -18 then return slow_sub(a, b) end
    if n > 0 then
      if x > LIMIT[n] or x < -LIMIT[n] then return slow_sub(a, b) end
      x, scale = x * POWER[n], b[SCALE]
    else
      if y > LIMIT[-n] or y < -LIMIT[-n] then return slow_sub(a, b) end
      y = y * POWER[-n]
    end
  end
  local rest = x - y
  if band(bxor(x, y), bxor(x, rest)) < 0 then return slow_sub(a, b) end
  return dec(rest, arshift(rest, 63), scale)
end

local HALF = 2147483647LL

local function mul(a, b)
  if not istype(dec, a) then a = from(a) end
  if not istype(dec, b) then b = from(b) end
  local x, y = cast(int64, a[LO]), cast(int64, b[LO])
  if a[HI] == arshift(x, 63) and b[HI] == arshift(y, 63) and x <= HALF and x >= -HALF
    and y <= HALF and y >= -HALF and a[SCALE] + b[SCALE] <= 38 then
    local product = x * y
    return dec(product, arshift(product, 63), a[SCALE] + b[SCALE])
  end
  local d = dec()
  if C.tm_dec_mul(a, b, d) < 0 then too_long('the product') end
  return d
end

-- A computed double and a number are certainly different when they are further apart
-- than rounding can be.
local SPREAD = 2 ^ -50
local MOST = 1.7976931348623157e308

-- The exact text of a number; nil: of a double that may be a rounded one.
local function exact_text(x)
  if istype(dec, x) then
    return format(x)
  elseif istype(number.type, x) then
    return number.text(x)
  elseif type(x) ~= 'number' then
    return format(from(x))
  end
  local size = x < 0 and -x or x
  if size >= EXACT and size < LARGEST then return nil end
  local text, digits = number.shortest(x)
  return digits <= number.CERTAIN and text or nil
end

-- The order of a number and a double; nil: there is none (NaN).
local function compare_double(a, x)
  if x ~= x then return nil end
  if x == math.huge or x == -math.huge then return x > 0 and -1 or 1 end
  local text, other = exact_text(a), exact_text(x)
  if other then return number.order(text, other) end
  local size = x < 0 and -x or x
  local low, high = x - size * SPREAD, x + size * SPREAD
  local order = number.order(text, ('%.17g'):format(math.max(low, -MOST)))
  if order ~= number.order(text, ('%.17g'):format(math.min(high, MOST))) then
    refuse_rounded(x)
  end
  return order
end

-- Where one of them is no decimal and no small whole number.
local function slow_compare(a, b)
  if type(b) == 'number' then return compare_double(a, b) end
  if type(a) == 'number' then
    local order = compare_double(b, a)
    return order and -order
  end
  return number.order(exact_text(a), exact_text(b))
end

-- What can be compared as a decimal; nil: what slow_compare is for.
local function comparable(x)
  if type(x) == 'number' and (x ~= floor(x) or x >= EXACT or x <= -EXACT) then
    local d = dec()
    return C.tm_dec_from_double(x, d) == 0 and d or nil
  elseif istype(number.type, x) then
    return nil
  end
  return from(x)
end

-- The order of a whole decimal and a Lua number that is far from it, as nearly
-- all are; nil: it needs a closer look.
local function order_apart(a, x)
  local i = cast(int64, a[LO])
  if a[SCALE] ~= 0 or a[HI] ~= arshift(i, 63) then return nil end
  local near = tonumber(i)
  local spread = (x < 0 and -x or x) * (4 * SPREAD)
  return near < x - spread and -1 or near > x + spread and 1 or nil
end

-- -1, 0 or 1; nil: one of them is NaN.
local function compare(a, b)
  if type(b) == 'number' and istype(dec, a) then
    local order = order_apart(a, b)
    if order then return order end
  elseif type(a) == 'number' and istype(dec, b) then
    local order = order_apart(b, a)
    if order then return -order end
  end
  local given_a, given_b = a, b
  if not istype(dec, a) then a = comparable(a) end
  if not istype(dec, b) then b = comparable(b) end
  if not a or not b then return slow_compare(given_a, given_b) end
  local x, y = cast(int64, a[LO]), cast(int64, b[LO])
  if a[SCALE] == b[SCALE] and a[HI] == arshift(x, 63) and b[HI] == arshift(y, 63) then
    return x < y and -1 or x > y and 1 or 0
  end
  return C.tm_dec_compare(a, b)
end

local function is_numeric(x)
  return istype(dec, x) or type(x) == 'number' or istype(number.type, x)
    or istype(int64, x) or istype(uint64, x)
end

-- The rest that has the sign of b, as % gives it for Lua numbers.
local function mod(a, b)
  if not istype(dec, a) then a = from(a) end
  if not istype(dec, b) then b = from(b) end
  local i, k = cast(int64, a[LO]), cast(int64, b[LO])
  if a[SCALE] == b[SCALE] and k > 0 and a[HI] == arshift(i, 63) and b[HI] == 0 then
    local rest = i % k
    if rest < 0 then rest = rest + k end
    return dec(rest, 0, a[SCALE])
  end
  local x, y, d = a, b, dec()
  if C.tm_dec_mod(x, y, d) < 0 then
    if compare(y, 0) == 0 then error('%: division by zero', 0) end
    too_long('the rest')
  end
  return d
end

local function no_division()
  error('decimals have no `/`: write div(a, b, scale), which says how many digits to '
    .. 'keep', 0)
end

local function no_operator()
  error('decimals know + - * % and comparison; see div, abs, min, max, round', 0)
end

local function new_meta(text, what)
  return {
    __add = add,
    __sub = sub,
    __mul = mul,
    __div = no_division,
    __mod = mod,
    __pow = no_operator,
    __len = no_operator,
    __unm = function(a) return sub(0, a) end,
    -- Another type is another value: never an error, also for nil and text.
    __eq = function(a, b)
      return is_numeric(a) and is_numeric(b) and compare(a, b) == 0
    end,
    __lt = function(a, b)
      local order = compare(a, b)
      return order ~= nil and order < 0
    end,
    __le = function(a, b)
      local order = compare(a, b)
      return order ~= nil and order <= 0
    end,
    __tostring = text,
    __concat = function(a, b)
      return (is(a) and format(a) or tostring(a)) .. (is(b) and format(b) or tostring(b))
    end,
    __index = function(_, name)
      error(("a %s has no field '%s'"):format(what, tostring(name)), 0)
    end,
    __newindex = function(_, name)
      error(("a %s has no field '%s' and cannot be changed"):format(what, tostring(name)),
        0)
    end,
  }
end

ffi.metatype(dec, new_meta(format, 'decimal'))
ffi.metatype(number.type, new_meta(number.text, 'number'))

local function check_scale(scale, what)
  if type(scale) ~= 'number' or scale ~= floor(scale) or scale < 0 or scale > 38 then
    error(what .. ': scale is the number of digits to keep, 0 to 38', 0)
  end
end

-- a / b, rounded half away from zero to [scale] digits.
local function div(a, b, scale)
  check_scale(scale, 'div(a, b, scale)')
  local d = dec()
  local x, y = from(a), from(b)
  if C.tm_dec_div(x, y, scale, d) < 0 then
    if compare(y, 0) == 0 then error('div: division by zero', 0) end
    too_long('the quotient')
  end
  return d
end

-- What arithmetic would have given without its rounding: '1.005' * 100 is
-- 100.49999999999999, and half a unit away from 100. Only 15 digits of it are
-- certain: where more are asked for, nobody can know what was meant.
local function meant_by(x, scale)
  local d, is_rounded = read_double(x)
  if not is_rounded or x == floor(x) then return d end
  local meant = parse(('%.15g'):format(x))
  local size = x < 0 and -x or x
  if size * 10 ^ scale >= 1e15 then
    error(('round(x, %d): %s is a double that Lua\'s arithmetic has rounded, of which 15 '
      .. 'digits are certain, and %d after the point are more: %s'):format(scale,
      number.shortest(x), scale, CURE), 0)
  end
  return meant
end

local function round(x, scale)
  scale = scale or 0
  check_scale(scale, 'round(x, scale)')
  local d = dec()
  local given = type(x) == 'number' and meant_by(x, scale) or from(x)
  if C.tm_dec_round(given, scale, d) < 0 then too_long('the rounded number') end
  if type(x) ~= 'number' then return d end
  local rounded = tonumber(format(d))
  -- As a Lua number so many digits would count as made by arithmetic.
  local size = rounded < 0 and -rounded or rounded
  if size * 10 ^ scale >= 10 ^ number.CERTAIN and rounded ~= floor(rounded)
    and C.tm_dec_from_double(rounded, dec()) > 0 then
    return d
  end
  return rounded
end

local function pick(what, wins, best, ...)
  if not is_numeric(best) then from_other(best) end
  for i = 1, select('#', ...) do
    local x = (select(i, ...))
    if not is_numeric(x) then
      error(('%s: %s is not a number'):format(what, kinds.name_of(x)), 0)
    end
    if wins(x, best) then best = x end
  end
  return best
end

local BEYOND, BELOW = dec(9007199254740992LL, 0, 0), dec(-9007199254740992LL, -1, 0)

-- A whole number of a record or a row: a Lua number where that is exact.
---@param i any an int64, or a decimal
local function whole(i)
  local d = from(i)
  if d[SCALE] == 0 and compare(d, BEYOND) < 0 and compare(d, BELOW) > 0 then
    return tonumber(cast(int64, d[LO]))
  end
  return d
end

-- As an int64, or an uint64 where it takes one; nil: it is not whole or larger.
local function to_integer(d)
  local rounded = dec()
  if C.tm_dec_round(d, 0, rounded) < 0 or rounded ~= d then return nil end
  if rounded[HI] == arshift(cast(int64, rounded[LO]), 63) then
    return cast(int64, rounded[LO])
  end
  return rounded[HI] == 0 and rounded[LO] or nil
end

M.is, M.from, M.format, M.is_numeric = is, from, format, is_numeric
M.whole, M.to_integer = whole, to_integer
M.type, M.LO, M.HI, M.SCALE = dec, LO, HI, SCALE

-- What handlers get as globals.
M.globals = {
  decimal = from,
  div = div,
  round = round,
  abs = function(x)
    if is_numeric(x) then return x < 0 and -x or x end
    local d = from(x)
    return d < 0 and -d or d
  end,
  min = function(...) return pick('min', function(x, y) return x < y end, ...) end,
  max = function(...) return pick('max', function(x, y) return x > y end, ...) end,
}

return M
