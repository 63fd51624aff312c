-- JSON numbers of all kinds at random: around the edges of integers, of up to 40
-- digits, with exponents to 400, and those that are known to be odd.
local bignum = require 'spec.unit.bignum'

local M = {}

-- The same numbers each time.
function M.random(seed)
  return function(low, high)
    seed = (seed * 1103515245 + 12345) % 2147483648
    return low + math.floor(seed / 65536) % (high - low + 1)
  end
end

local EDGES = { '9007199254740992', '9223372036854775808', '18446744073709551616',
  '4294967296', '1000000000000000', '0', '99999999999999999999999999999999999999' }
M.SPECIAL = { '-0', '-0.0', '0.0', '-0e7', '5e-324', '-5e-324', '2.2250738585072014e-308', '1e38', '-1e38', '1e400',
  '-1e400', '1e-400', '1e-61', '1e2', '1.50', '9007199254740992', '-9007199254740992', '9007199254740993',
  '-9223372036854775808', '9223372036854775807', '1.7976931348623157e308', '0.30000000000000004', '100000000000000000000000e-4' }

function M.digits(random, n)
  local list = { random(1, 9) }
  for i = 2, n do list[i] = random(0, 9) end
  return table.concat(list)
end

function M.number(random)
  local sign, kind = random(0, 1) == 0 and '-' or '', random(1, 6)
  if kind == 1 then return M.SPECIAL[random(1, #M.SPECIAL)] end
  if kind == 2 then
    local edge = bignum.add(bignum.read(EDGES[random(1, #EDGES)]), bignum.read(tostring(random(-3, 3))))
    return (edge.sign < 0 and '-' or sign) .. (edge.sign == 0 and '0' or edge.digits) .. ('0'):rep(edge.power)
  end
  if kind == 3 then return sign .. M.digits(random, random(1, 40)) end
  if kind == 4 then return sign .. M.digits(random, random(1, 20)) .. '.' .. M.digits(random, random(1, 20)) end
  if kind == 5 then return sign .. '0.' .. ('0'):rep(random(0, 10)) .. M.digits(random, random(1, 30)) end
  return sign .. M.digits(random, 1) .. '.' .. M.digits(random, random(1, 16)) .. 'e' .. random(-400, 400)
end

return M
