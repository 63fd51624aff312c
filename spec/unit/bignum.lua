-- Numbers of any length by their digits, as one learns it at school: the model that
-- Tidemill's numbers are compared with. Shares no code with it. A number is { sign,
-- digits, power }: sign * digits * 10^power, without zeros around the digits.
local M = {}

local function make(sign, digits, power)
  digits = digits:gsub('^0+', '')
  local bare = digits:gsub('0+$', '')
  power = power + #digits - #bare
  if bare == '' then return { sign = 0, digits = '', power = 0 } end
  return { sign = sign, digits = bare, power = power }
end

function M.read(text)
  local sign, whole, rest, power = text:match('^%s*([-+]?)(%d*)%.?(%d*)[eE]?([-+]?%d*)%s*$')
  assert(sign, text)
  return make(sign == '-' and -1 or 1, whole .. rest, (tonumber(power) or 0) - #rest)
end

function M.text(n)
  return ('%s%se%d'):format(n.sign < 0 and '-' or '', n.sign == 0 and '0' or n.digits, n.power)
end

-- Two runs of digits of one length, and their common power.
local function align(a, b)
  local power = math.min(a.power, b.power)
  local x, y = a.digits .. ('0'):rep(a.power - power), b.digits .. ('0'):rep(b.power - power)
  local n = math.max(#x, #y)
  return ('0'):rep(n - #x) .. x, ('0'):rep(n - #y) .. y, power
end

local function add_digits(x, y, minus)
  local out, carry = {}, 0
  for i = #x, 1, -1 do
    local d = x:byte(i) - 48 + carry + (minus and -1 or 1) * (y:byte(i) - 48)
    carry = math.floor(d / 10)
    out[i] = d - carry * 10
  end
  assert(carry >= 0)
  return carry .. table.concat(out)
end

function M.compare(a, b)
  if a.sign ~= b.sign then return a.sign < b.sign and -1 or 1 end
  if a.sign == 0 then return 0 end
  local size, other = #a.digits + a.power, #b.digits + b.power
  if size ~= other then return size < other and -a.sign or a.sign end
  if a.digits == b.digits then return 0 end
  return a.digits < b.digits and -a.sign or a.sign
end

function M.negate(a) return { sign = -a.sign, digits = a.digits, power = a.power } end

function M.add(a, b)
  if a.sign == 0 then return b elseif b.sign == 0 then return a end
  local x, y, power = align(a, b)
  if a.sign == b.sign then return make(a.sign, add_digits(x, y), power) end
  if x < y then return make(b.sign, add_digits(y, x, true), power) end
  return make(a.sign, add_digits(x, y, true), power)
end

function M.sub(a, b) return M.add(a, M.negate(b)) end

function M.mul(a, b)
  local out = {}
  for i = 1, #a.digits + #b.digits do out[i] = 0 end
  for i = #a.digits, 1, -1 do
    local carry = 0
    for j = #b.digits, 1, -1 do
      local d = out[i + j] + carry + (a.digits:byte(i) - 48) * (b.digits:byte(j) - 48)
      carry = math.floor(d / 10)
      out[i + j] = d - carry * 10
    end
    out[i] = out[i] + carry
  end
  return make(a.sign * b.sign, table.concat(out), a.power + b.power)
end

-- a - floor(a / b) * b, by long division.
function M.mod(a, b)
  local power = math.min(a.power, b.power)
  local digits = a.digits .. ('0'):rep(a.power - power)
  local divisor = make(1, b.digits, b.power - power)
  local rest = M.read '0'
  for digit in digits:gmatch('.') do
    rest = M.add(M.mul(rest, M.read '10'), M.read(digit))
    while M.compare(rest, divisor) >= 0 do rest = M.sub(rest, divisor) end
  end
  if rest.sign ~= 0 and a.sign ~= b.sign then rest = M.sub(divisor, rest) end
  return make(rest.sign * b.sign, rest.digits, rest.power + power)
end

function M.is_whole(a) return a.power >= 0 end

return M
