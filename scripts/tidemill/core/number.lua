-- JSON numbers that are no decimals: beyond 38 digits or their range, and a zero
-- with a minus. They are kept as they were written, for columns that can hold
-- them (double precision, json), and compare; decimal.lua gives them operators.
local core = require 'tidemill.core.api'

local M = {}

-- Nothing of it has a name, so that a script can reach nothing.
local number_t = core.new_type('uint32_t : 32;')
local texts = setmetatable({}, { __mode = 'k' })
M.type = number_t

---@param text string a JSON number
function M.new(text)
  local x = number_t()
  texts[x] = text
  return x
end

function M.text(x)
  return texts[x]
end

-- Any 15 digits survive a double, but for the denormal ones. Two of them are where
-- rounding shows once numbers of like size have been subtracted: 86548598.6 -
-- 85688721 is 859877.599999994.
local DENORMAL = 2.2250738585072014e-308
M.CERTAIN = 13

---@return string text the shortest that reads back as the same double
---@return integer digits that it was allowed: above CERTAIN arithmetic made them
function M.shortest(x)
  for digits = x < DENORMAL and x > -DENORMAL and 1 or M.CERTAIN, 17 do
    local text = ('%.' .. digits .. 'g'):format(x)
    if tonumber(text) == x then return text, digits end
  end
end

-- The sign, the power of ten in front of the first digit, and the digits
-- without zeros around them.
local function parts(text)
  local sign, whole, fraction, power =
    text:match('^([+-]?)(%d*)%.?(%d*)[eE]?([+-]?%d*)$')
  local digits = whole .. fraction
  local zeros = #digits:match('^0*')
  digits = digits:sub(zeros + 1):match('^(.-)0*$')
  if digits == '' then return 0, 0, '' end
  return sign == '-' and -1 or 1, #whole - zeros + (tonumber(power) or 0), digits
end

---@return integer # -1, 0 or 1: the order of two numbers by their texts
function M.order(a, b)
  local sign, power, digits = parts(a)
  local other_sign, other_power, other_digits = parts(b)
  if sign ~= other_sign then return sign < other_sign and -1 or 1 end
  if power ~= other_power then return power < other_power and -sign or sign end
  if digits == other_digits then return 0 end
  return digits < other_digits and -sign or sign
end

return M
