local ffi = require 'ffi'
local core = require 'spec.core.core'
local C = core.lib

local function parse(text)
  local d = ffi.new('struct tm_dec')
  if C.tm_dec_parse(text, #text, d) == 0 then return d end
end

local function show(d)
  local out = ffi.new('char[64]')
  local len = C.tm_dec_format(d, out)
  return len >= 0 and ffi.string(out, len) or nil
end

local function apply(name, ...)
  local out = ffi.new('struct tm_dec')
  local args = { ... }
  for i, v in ipairs(args) do
    if type(v) == 'string' then args[i] = assert(parse(v), v) end
  end
  args[#args + 1] = out
  if C[name](unpack(args)) < 0 then return nil end
  return show(out)
end

local nines = ('9'):rep(38)

describe('decimal.parse and format', function()
  local cases = {
    { '0', '0' }, { '-0', '0' }, { '0.00', '0.00' }, { '1.50', '1.50' },
    { '-12.340', '-12.340' },
    { '+7', '7' }, { '.5', '0.5' }, { '5.', '5' }, { '007.10', '7.10' },
    { '  12 ', '12' },
    { '1e2', '100' }, { '1E+2', '100' }, { '1.5e1', '15' }, { '1.50e1', '15.0' },
    { '1e-3', '0.001' }, { '-1.25e-2', '-0.0125' }, { '12e0', '12' },
    { nines, nines }, { '-' .. nines, '-' .. nines },
    { '0.' .. nines, '0.' .. nines },
    { '9223372036854775808', '9223372036854775808' },
    { '1' .. ('0'):rep(37), '1' .. ('0'):rep(37) }, { '1e37', '1' .. ('0'):rep(37) },
    -- Zeros beyond the 38th digit carry nothing.
    { '1.' .. ('0'):rep(60), '1.' .. ('0'):rep(37) },
    { '1e-60', '0.' .. ('0'):rep(59) .. '1' },
    { '0e-999999999', '0.' .. ('0'):rep(60) }, { '0e999999999', '0' },
    { '100e-61', '0.' .. ('0'):rep(58) .. '1' .. '0' },
  }
  for _, case in ipairs(cases) do
    it(case[1] .. ' is ' .. case[2], function()
      assert.are.equal(case[2], show(assert(parse(case[1]))))
    end)
  end
  local refused = {
    '', ' ', '-', '+', '.', 'e5', '1e', '1e+', '1.2.3', '--1', '1x', '0x10', 'NaN',
    'Infinity',
    '1 2', '1,5', nines .. '9', '1e38', '1e-61', '1e99999999999', '1.' .. ('1'):rep(40),
    '١',
  }
  for _, text in ipairs(refused) do
    it('refuses ' .. ("'%s'"):format(text), function() assert.is_nil(parse(text)) end)
  end
  it('prints a negative scale as zeros at the end', function()
    assert.are.equal('1200', show(ffi.new('struct tm_dec', { 12, 0, -2 })))
    assert.are.equal('0', show(ffi.new('struct tm_dec', { 0, 0, -2 })))
  end)
  it('prints no more than its buffer holds', function()
    assert.is_nil(show(ffi.new('struct tm_dec', { 1, 0, 61 })))
    assert.is_nil(show(ffi.new('struct tm_dec', { 1, 0, -62 })))
    assert.are.equal(63, #show(assert(parse('-1e-60'))))
  end)
end)

describe('decimal.from_double', function()
  local cases = {
    { 0, '0' }, { -0.0, '0' }, { 1, '1' }, { -15, '-15' }, { 0.1, '0.1' },
    { 0.1 + 0.2, '0.30000000000000004' },
    { 1 / 3, '0.3333333333333333' }, { 2 ^ 53, '9007199254740992' },
    { 1e15, '1000000000000000' },
    { 12345678901234567890.5, '12345678901234567000' }, { 1e22, '1' .. ('0'):rep(22) },
    { 5e-7, '0.0000005' }, { 123.456, '123.456' }, { -2.5, '-2.5' },
  }
  for _, case in ipairs(cases) do
    it('takes the shortest text of ' .. ('%.17g'):format(case[1]), function()
      assert.are.equal(case[2], apply('tm_dec_from_double', case[1]))
    end)
  end
  it('tells what arithmetic may have rounded from what was meant', function()
    local out = ffi.new('struct tm_dec')
    for _, d in ipairs { 0, -0.0, 0.1, -2.5, 123456789.0123, 1700000000.123, 99999999999.99, 2 ^ 53 - 1, 1e-30 } do
      assert.are.equal(0, C.tm_dec_from_double(d, out), d)
    end
    for _, d in ipairs { 0.1 + 0.2, 1 / 3, 1.1 * 3, 86548598.6 - 85688721, 4098522.72 % 1, 2 ^ 53, -2 ^ 53, 1e20 } do
      assert.are.equal(1, C.tm_dec_from_double(d, out), d)
    end
  end)
  it('refuses what is no number or far too large or small', function()
    for _, d in ipairs { 0 / 0, 1 / 0, -1 / 0, 1e38, 1e300, 5e-324 } do
      assert.is_nil(apply('tm_dec_from_double', d))
    end
  end)
end)

describe('decimal arithmetic', function()
  local cases = {
    { 'add', '1.50', '2.25', '3.75' }, { 'add', '1', '0.001', '1.001' },
    { 'add', '-1.5', '1.50', '0.00' },
    { 'add', '9223372036854775807', '1', '9223372036854775808' },
    { 'add', nines, '1', nil }, { 'add', nines, '-1', ('9'):rep(37) .. '8' },
    { 'add', nines, nines, nil }, { 'add', '-' .. nines, '-' .. nines, nil },
    { 'add', ('9'):rep(37) .. '.5', '0.5', '1' .. ('0'):rep(37) .. '' },
    { 'add', nines, '1.000', nil }, { 'add', nines, '0.000', nines },
    { 'add', nines, '0.5', nil }, { 'add', '1e30', '1e-30', nil },
    { 'add', '1e30', '0e-30', '1' .. ('0'):rep(30) .. '.0000000' },
    { 'sub', '1', '0.9', '0.1' }, { 'sub', '0', '5.25', '-5.25' },
    { 'sub', '-' .. nines, nines, nil },
    { 'sub', nines, nines, '0' }, { 'sub', '2.50', '2.5', '0.00' },
    { 'mul', '1.50', '2.00', '3.0000' }, { 'mul', '-3', '0.5', '-1.5' },
    { 'mul', '0', nines, '0' },
    { 'mul', '9223372036854775807', '9223372036854775807',
      '85070591730234615847396907784232501249' },
    { 'mul', '9223372036854775807', '2', '18446744073709551614' },
    { 'mul', '4294967296', '4294967296', '18446744073709551616' },
    { 'mul', nines, '1', nines }, { 'mul', nines, '10', nil },
    { 'mul', nines, '0.1', ('9'):rep(37) .. '.9' },
    { 'mul', nines, '0.10', ('9'):rep(37) .. '.9' },
    -- Digits that are only zeros are dropped before a product is refused.
    { 'mul', '1.' .. ('0'):rep(37), '1.' .. ('0'):rep(37), '1' },
    { 'mul', '2.' .. ('0'):rep(30), '5.' .. ('0'):rep(30), '10' },
    { 'mul', '0.' .. ('0'):rep(36) .. '2', '500000000000000000000000000000',
      '0.0000001' },
    { 'mul', '1e-40', '1e-30', nil }, { 'mul', '0e-40', '1e-30', '0.' .. ('0'):rep(60) },
  }
  for _, case in ipairs(cases) do
    local name, a, b, expected = unpack(case, 1, 4)
    it(('%s %s %s = %s'):format(a, name, b, expected), function()
      local got = apply('tm_dec_' .. name, a, b)
      if expected and got and got ~= expected then
        -- Dropped zeros may be fewer than all: the value is what counts.
        assert.are.equal(0, C.tm_dec_compare(parse(expected), parse(got)), got)
      else
        assert.are.equal(expected, got)
      end
    end)
  end
end)

describe('decimal.div', function()
  -- Half away from zero, whatever the scale.
  local cases = {
    { '1', '3', 4, '0.3333' }, { '2', '3', 4, '0.6667' }, { '-2', '3', 4, '-0.6667' },
    { '1', '2', 0, '1' },
    { '-1', '2', 0, '-1' }, { '5', '2', 0, '3' }, { '1', '8', 2, '0.13' },
    { '-1', '8', 2, '-0.13' },
    { '1', '-8', 3, '-0.125' }, { '10.00', '4', 2, '2.50' }, { '0', '7', 2, '0.00' },
    { '1', '3', 37, '0.' .. ('3'):rep(37) }, { '1', '3', 38, '0.' .. ('3'):rep(38) },
    { '1', '7', 20, '0.14285714285714285714' },
    { '22', '7', 36, '3.142857142857142857142857142857142857' },
    { nines, '3', 0, ('3'):rep(38) }, { nines, nines, 2, '1.00' },
    { nines, '0.1', 0, nil },
    { '1', nines, 60, '0.' .. ('0'):rep(37) .. '1' .. ('0'):rep(22) },
    { ('8'):rep(38), ('9'):rep(38), 20, '0.88888888888888888889' },
    { '1234567', '1', -3, '1235000' }, { '1500', '1', -3, '2000' },
    { '499', '1', -3, '0' },
    { '0.05', '1', 1, '0.1' }, { '0.049', '1', 1, '0.0' }, { '1e-30', '2', 5, '0.00000' },
    { '1', '0', 2, nil }, { '0', '0', 2, nil }, { '1', '1', 61, nil },
    { '1', '1', -61, nil },
  }
  for _, case in ipairs(cases) do
    local a, b, scale, expected = unpack(case, 1, 4)
    it(('%s / %s to %d = %s'):format(a, b, scale, expected), function()
      assert.are.equal(expected, apply('tm_dec_div', a, b, scale))
    end)
  end
end)

describe('decimal.mod', function()
  -- The sign of the divisor, as Lua's % has it.
  local cases = {
    { '7', '3', '1' }, { '-7', '3', '2' }, { '7', '-3', '-2' }, { '-7', '-3', '-1' },
    { '6.0', '3', '0.0' }, { '-6', '3.00', '0.00' }, { '0', '5', '0' },
    { '5.5', '1.3', '0.3' }, { '-5.5', '1.3', '1.0' }, { '5.5', '-1.3', '-1.0' },
    { '9223372036854775807', '10', '7' }, { nines, '1000', '999' },
    { nines, '0.7', '0.3' }, { '1e37', '1e-20', '0.' .. ('0'):rep(20) },
    { '1e37', '7e-30', '0.' .. ('0'):rep(29) .. '3' },
    -- At one scale the divisor has more digits than 38.
    { '0.5', nines, '0.5' }, { '-0.5', '-' .. nines, '-0.5' },
    { '-1', nines, ('9'):rep(37) .. '8' }, { '-0.5', nines, nil }, { '0.0', nines, '0.0' },
    { '1', '0', nil }, { '0', '0.00', nil },
  }
  for _, case in ipairs(cases) do
    local a, b, expected = unpack(case, 1, 3)
    it(('%s %% %s = %s'):format(a, b, expected), function()
      assert.are.equal(expected, apply('tm_dec_mod', a, b))
    end)
  end
end)

describe('decimal.round', function()
  -- Half away from zero, as PostgreSQL's numeric.
  local cases = {
    { '2.5', 0, '3' }, { '-2.5', 0, '-3' }, { '3.5', 0, '4' }, { '2.4999', 0, '2' },
    { '0.5', 0, '1' },
    { '1.005', 2, '1.01' }, { '1.004999999999999999999', 2, '1.00' },
    { '-1.005', 2, '-1.01' }, { '1.5', 4, '1.5000' },
    { '99.995', 2, '100.00' }, { '12345', -2, '12300' }, { '12350', -2, '12400' },
    { '49', -2, '0' }, { '50', -2, '100' },
    { '0.' .. ('0'):rep(37) .. '5', 0, '0' }, { '5', 60, nil },
    { '5', 37, '5.' .. ('0'):rep(37) }, { '0', 60, '0.' .. ('0'):rep(60) },
    { nines, -38, nil }, { '4' .. ('9'):rep(37), -38, '0' }, { nines, 1, nil },
    { '1', 61, nil },
  }
  for _, case in ipairs(cases) do
    local text, scale, expected = unpack(case, 1, 3)
    it(('%s to %d = %s'):format(text, scale, expected), function()
      assert.are.equal(expected, apply('tm_dec_round', text, scale))
    end)
  end
end)

describe('decimal.compare', function()
  -- In ascending order; '=' joins equal values.
  local ascending = {
    '-' .. nines, '-1e20', '-9223372036854775809', '-9223372036854775808',
    '-1.5=-1.500=-15e-1', '-1.4999999999',
    '-1e-60', '0=0.00=-0=0e-60', '1e-60', '1e-59', '0.1', '0.10000000000000000001',
    '0.2=0.20', '1=1.0=1.00000000000000000000000000000',
    '9=9.0', '10', '99.99', '100=1e2=100.0', '9223372036854775807',
    '9223372036854775807.5', '1e37=10000000000000000000000000000000000000', nines,
  }
  it('orders values of different scale exactly', function()
    local ranked = {}
    for rank, texts in ipairs(ascending) do
      for text in texts:gmatch('[^=]+') do
        ranked[#ranked + 1] = { rank = rank, text = text, d = parse(text) }
      end
    end
    for _, a in ipairs(ranked) do
      for _, b in ipairs(ranked) do
        local expected = a.rank == b.rank and 0 or (a.rank < b.rank and -1 or 1)
        local got = C.tm_dec_compare(a.d, b.d)
        assert.are.equal(expected, got, a.text .. ' with ' .. b.text)
      end
    end
  end)
end)

describe('decimal against whole numbers', function()
  -- A seeded walk: sums and products of numbers that a double holds exactly.
  it('adds, multiplies and divides like integers do', function()
    local seed = 42
    local function next_int()
      seed = (seed * 1103515245 + 12345) % 2147483648
      return seed % 2000001 - 1000000
    end
    for _ = 1, core.rounds(5000) do
      local a, b = next_int(), next_int()
      local x, y = ('%d'):format(a), ('%d'):format(b)
      assert.are.equal(('%d'):format(a + b), apply('tm_dec_add', x, y))
      assert.are.equal(('%d'):format(a * b), apply('tm_dec_mul', x, y))
      if b ~= 0 then
        local q = math.abs(a) / math.abs(b)
        local rounded = math.floor(q + 0.5) * ((a < 0) ~= (b < 0) and -1 or 1)
        assert.are.equal(('%d'):format(rounded), apply('tm_dec_div', x, y, 0))
      end
    end
  end)
  it('a sum taken back gives the same value, at any scale', function()
    local seed = 7
    local function next_text()
      seed = (seed * 69069 + 1) % 4294967296
      local digits = ('%d%d'):format(seed, (seed * 7) % 1000003)
      local sign, whole = seed % 2 == 0 and '-' or '', seed % 9 + 1
      return sign .. digits:sub(1, whole) .. '.' .. digits:sub(whole + 1)
    end
    for _ = 1, core.rounds(5000) do
      local a, b = next_text(), next_text()
      local sum = apply('tm_dec_add', a, b)
      local back = parse(apply('tm_dec_sub', sum, b))
      assert.are.equal(0, C.tm_dec_compare(parse(a), back), a .. ' + ' .. b)
    end
  end)
end)

describe('core sizes', function()
  it('agree with what the FFI makes of api.h', function()
    local sizes = ffi.new('uint32_t[5]')
    C.tm_sizes(sizes)
    assert.are.equal(ffi.sizeof('struct tm_cell'), sizes[0])
    assert.are.equal(ffi.sizeof('struct tm_dec'), sizes[1])
    assert.are.equal(ffi.sizeof('struct tm_batch'), sizes[2])
    assert.are.equal(ffi.sizeof('struct tm_rows'), sizes[3])
    assert.are.equal(tonumber(C.TM_API_VERSION), sizes[4])
  end)
end)
