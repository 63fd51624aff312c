local decimal = require 'tidemill.core.decimal'

local d = decimal.from
local g = decimal.globals

local function text(x) return tostring(x) end

describe('decimal.arithmetic', function()
  local cases = {
    { '1.10', '+', '2.2', '3.30' }, { '1.10', '-', '2.2', '-1.10' }, { '1.10', '*', '2.2', '2.420' },
    { '9223372036854775807', '+', '1', '9223372036854775808' }, { '-9223372036854775808', '-', '1', '-9223372036854775809' },
    { '92233720368547758.07', '+', '0.001', '92233720368547758.071' }, { '0.5', '+', '10000000000000000000000', '10000000000000000000000.5' },
    { '3000000000', '*', '4000000000', '12000000000000000000' }, { '0.00', '-', '0', '0.00' },
    { '-0.01', '+', '0.01', '0.00' }, { '12345678901234567890.5', '-', '12345678901234567890', '0.5' },
  }
  local apply = {
    ['+'] = function(a, b) return a + b end, ['-'] = function(a, b) return a - b end, ['*'] = function(a, b) return a * b end,
  }
  for _, case in ipairs(cases) do
    it(('%s %s %s = %s'):format(unpack(case)), function()
      assert.are.equal(case[4], text(apply[case[2]](d(case[1]), d(case[3]))))
    end)
  end
  it('agrees with itself compiled and interpreted', function()
    local sum = d '0.00'
    for i = 1, 20000 do sum = sum + d(i) * d '0.01' - '0.005' end
    assert.are.equal('2000000.000', text(sum))
  end)
  it('joins Lua numbers, int64 and text', function()
    assert.are.equal('1.6', text(d '1.5' + 0.1))
    assert.are.equal('3.5', text(2 + d '1.5'))
    assert.are.equal('1.5', text('1' + d '0.5'))
    assert.are.equal('9007199254740993.5', text(9007199254740993LL + d '0.5'))
    assert.are.equal('18446744073709551615', text(d(18446744073709551615ULL)))
    assert.are.equal('-2', text(-d '2'))
  end)
  it('refuses what is no number', function()
    assert.has_error(function() return d '1' + 'abc' end, "text 'abc' is not a decimal number")
    assert.has_error(function() return d '1' + nil end, 'nil (missing or null) cannot be used as a number')
    assert.has_error(function() return d '1' + {} end, 'a table cannot be used as a number')
    assert.has_error(function() return d '1' + true end, 'a boolean cannot be used as a number')
    assert.has_error(function() return d '1' / 2 end, 'decimals have no `/`: write div(a, b, scale), which says how many digits to keep')
  end)
  it('gives the rest with the sign of the divisor, as Lua does', function()
    for _, case in ipairs { { 7, 3 }, { -7, 3 }, { 7, -3 }, { -7, -3 }, { 6, 3 }, { -6, 3 }, { 0, 5 } } do
      assert.are.equal(case[1] % case[2], tonumber(text(d(case[1]) % case[2])))
      assert.are.equal(case[1] % case[2], tonumber(text(case[1] % d(case[2]))))
    end
    assert.are.equal('0.3', text(d '5.5' % '1.3'))
    assert.are.equal('1.0', text(d '-5.5' % '1.3'))
    assert.are.equal('93', text(d '9007199254740993' % 100))
    assert.are.equal('0.1', text(d '99999999999999999999999999999999999.1' % 3))
    assert.are.equal('99999999999999999999999999999999999998', text(d '-1' % d '99999999999999999999999999999999999999'))
    assert.has_error(function() return d '1' % 0 end, '%: division by zero')
  end)
  it('raises beyond 38 digits', function()
    assert.has_error(function() return d(('9'):rep(38)) * 10 end, 'the product does not fit the 38 digits of a decimal')
  end)
end)

describe('decimal.compare', function()
  it('compares by value', function()
    assert.is_true(d '1.0' == d '1.00')
    assert.is_true(d '1' == 1 and 1 == d '1.0' and d '2' == 2LL)
    assert.is_true(d '1.5' < 2 and 1 < d '1.5' and d '1.5' <= d '1.50' and d '2' > '1.5')
    assert.is_true(d '9223372036854775808' > 9223372036854775807LL)
    assert.is_false(d '1' ~= d '1.000')
  end)
  it('is never equal to another type', function()
    for _, other in ipairs { '1', true, {}, print } do assert.is_false(d '1' == other) end
    assert.is_false(d '1' == nil)
    assert.is_true(d '1' ~= nil)
    assert.is_false(nil == d '1')
  end)
end)

-- Lua computes texts as doubles, and nobody sees where.
describe('a double that arithmetic has rounded', function()
  local rounded, big = '1.1' * 3, 94906267 * 94906267
  local says = "the number 3.3000000000000003 is a double that Lua's arithmetic has rounded: compute with decimals, as in "
    .. 'decimal(event.data.amount) * 3, or say the digits with round(x, 2)'
  local beyond = 'the number 9007199515875288 is beyond 2^53, where Lua numbers are no longer exact: compute with decimals, as in '
    .. 'decimal(event.data.amount) * 3'
  local ways = {
    ['+'] = function(x) return d '1' + x end, ['-'] = function(x) return x - d '1' end, ['*'] = function(x) return d '2' * x end,
    ['%'] = function(x) return d '2' % x end, ['decimal(x)'] = function(x) return g.decimal(x) end,
    ['div(x, 2, 2)'] = function(x) return g.div(x, 2, 2) end, ['div(2, x, 2)'] = function(x) return g.div(2, x, 2) end,
  }
  for name, way in pairs(ways) do
    it('is refused by ' .. name, function()
      assert.has_error(function() way(rounded) end, says)
      assert.has_error(function() way(big) end, beyond)
      assert.is_true(decimal.is(way(0.1)) and decimal.is(way(9007199254740991)))
    end)
  end
  it('is refused where a comparison hangs on it, and there alone', function()
    assert.has_error(function() return d '3.3' < rounded end, says)
    assert.has_error(function() return rounded == d '3.3' end, says)
    assert.has_error(function() return g.max(d '3.3', rounded) end, says)
    assert.has_error(function() return d '9007199515875289' <= big end, beyond)
    assert.is_true(d '3.31' > rounded and rounded > d '3.29' and d '3.31' ~= rounded)
    assert.is_true(d '0.3' < 1 / 3 and d '0.34' > 1 / 3 and d '-0.34' < -1 / 3)
    assert.is_true(d '999' < 1e18 and d '1000000000000000001000' > 1e18)
  end)
  it('that is infinite, or none, compares all the same', function()
    local huge, nan = math.huge, 0 / 0
    assert.is_true(d(('9'):rep(38)) < huge and -huge < d '1' and d '1' < 1e300 and d '-1' > -1e300)
    assert.is_true(d '0' < 5e-324 and d '1e-60' > 5e-324 and d '0' == -0.0)
    for _, other in ipairs { huge, -huge, nan, 1e300 } do assert.is_false(d '1' == other) end
    assert.is_false(d '1' < nan or d '1' > nan or d '1' <= nan or d '1' >= nan)
  end)
  it('is told where numbers of like size were subtracted', function()
    assert.has_error(function() return d(86548598.6 - 85688721) end)
    assert.has_error(function() return d '0' + '4098522.72' % 1 end)
    assert.are.equal('859877.6', text(d '86548598.6' - '85688721'))
  end)
  it('is refused by round where 15 digits are not enough', function()
    for _, x in ipairs { '12345678901234.56' * 3, '-12345678901234.56' * 3, '3333333333333.35' * 3 } do
      assert.matches("round%(x, 2%): .* of which 15 digits are certain, and 2 after the point are more: compute with decimals",
        select(2, pcall(g.round, x, 2)))
    end
    assert.has_error(function() return g.round(1700000000123456 / 1e6, 6) end)
    assert.are.equal('1700000000.12346', text(g.round(1700000000123456 / 1e6, 5)))
    -- Exact already: as Lua numbers they would be refused.
    assert.are.equal('9999999999999.96', text(g.round('3333333333333.32' * 3, 2)))
    assert.are.equal('0.333333333333333', text(g.round(1 / 3, 15)))
    assert.are.equal('37037036703703.7', text(g.round('12345678901234.56' * 3, 1)))
    assert.are.equal('859877.60', ("%.2f"):format(g.round('86548598.6' - '85688721', 2)))
    assert.are.equal('number', type(g.round('86548598.6' - '85688721', 2)))
  end)
  it('is made right by round', function()
    assert.are.equal(3.3, g.round(rounded, 2))
    assert.are.same({ 101, 268, -101, 0.3 }, { g.round('1.005' * 100), g.round('2.675' * 100), g.round('-1.005' * 100), g.round(0.1 + 0.2, 4) })
    assert.are.equal('4.3', text(d '1' + g.round(rounded, 2)))
  end)
end)

describe('a JSON number that is no decimal', function()
  local number = require 'tidemill.core.number'
  local large, tiny, minus = number.new '1e400', number.new '1e-400', number.new '-0.0'
  it('compares and prints as it was written', function()
    assert.are.equal('1e400', text(large))
    assert.are.equal('n: 1e400', 'n: ' .. large)
    assert.is_true(large > 1 and large > 1e300 and large < math.huge and large == number.new '10.0e399')
    assert.is_true(tiny > 0 and tiny < 5e-324 and tiny < d '1e-60' and tiny ~= d '0' and large > 9007199254740993LL)
    assert.is_true(number.new '1e300' == 1e300 and minus == 0 and minus == d '0.00')
    assert.is_false(large == '1e400' or large == nil)
    assert.are.equal(large, g.max(1, large, d '5'))
  end)
  it('is refused by arithmetic, a zero with a minus but is a zero', function()
    assert.has_error(function() return large + 1 end, 'the number 1e400 does not fit the 38 digits of a decimal')
    assert.has_error(function() return d '1' * tiny end, 'the number 1e-400 does not fit the 38 digits of a decimal')
    assert.has_error(function() return g.decimal(large) end, 'the number 1e400 does not fit the 38 digits of a decimal')
    assert.has_error(function() return large / 2 end, 'decimals have no `/`: write div(a, b, scale), which says how many digits to keep')
    assert.has_error(function() return large.text end, "a number has no field 'text'")
    assert.are.equal('1.5', text(d '1.5' + minus))
    assert.are.equal('1.5', text(minus + 1.5))
  end)
end)

describe('decimal.globals', function()
  it('div rounds half away from zero', function()
    assert.are.equal('0.33', text(g.div(1, 3, 2)))
    assert.are.equal('-0.13', text(g.div(d '-1', 8, 2)))
    assert.has_error(function() g.div(1, 0, 2) end, 'div: division by zero')
    assert.has_error(function() g.div(1, 3) end, 'div(a, b, scale): scale is the number of digits to keep, 0 to 38')
  end)
  it('round, abs, min, max', function()
    assert.are.equal('2.35', text(g.round(d '2.345', 2)))
    assert.are.equal(3, g.round(2.5))
    assert.are.equal(1.01, g.round(1.005, 2))
    assert.are.equal('2.5', text(g.abs(d '-2.5')))
    assert.are.equal(2, g.abs(-2))
    assert.are.equal('0.5', text(g.min(1, d '0.5', 3)))
    assert.are.equal(3, g.max(1, d '0.5', 3))
    assert.has_error(function() g.min(1, 'x') end, 'min: a text is not a number')
  end)
  it('is text in concatenation', function()
    assert.are.equal('EUR 1.50', 'EUR ' .. d '1.50')
    assert.are.equal('1.50 EUR', d '1.50' .. ' EUR')
    assert.are.equal('1.502', d '1.50' .. 2)
  end)
end)
