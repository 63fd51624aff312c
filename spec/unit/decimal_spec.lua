local decimal = require 'tidemill.decimal'

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
    assert.has_error(function() g.min(1, 'x') end, 'min: string is not a number')
  end)
  it('is text in concatenation', function()
    assert.are.equal('EUR 1.50', 'EUR ' .. d '1.50')
    assert.are.equal('1.50 EUR', d '1.50' .. ' EUR')
    assert.are.equal('1.502', d '1.50' .. 2)
  end)
end)
