-- bit and string.format of a bundle. LuaJIT's own take Lua numbers and its 64 bit
-- integers; here they take decimals too, which is what whole numbers from 2^53 on
-- read as, and give such numbers back.
local bit = require 'bit'
local decimal = require 'tidemill.decimal'

local M = {}

local format = string.format -- testing.lua puts M.format there

local function integer(what, x)
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

-- Of one number, and a second one that is none but a count of bits.
local function of_one(name)
  local f, what = bit[name], 'bit.' .. name
  return function(x, n)
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

local function is_exact(x)
  return type(x) == 'cdata' and decimal.is_numeric(x)
end

-- The conversions that print texts, integers with a sign, and integers.
local TEXTS, SIGNED, INTEGERS = 'sq', 'di', 'diuxXo'

local function printable(what, word, x)
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
    if word ~= '%' and is_exact(values[i]) and not TEXTS:find(word, 1, true) then
      values[i] = printable(("string.format('%%%s')"):format(word), word, values[i])
    end
  end
  return format(text, unpack(values, 1, select('#', ...)))
end

function M.format(text, ...)
  for i = 1, select('#', ...) do
    if is_exact((select(i, ...))) and type(text) == 'string' then
      return format_decimals(text, ...)
    end
  end
  return format(text, ...)
end

return M
