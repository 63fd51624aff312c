local ffi = require 'ffi'
local core = require 'spec.core.core'
local C = core.lib

core.headers('base/buf.h', 'model/type.h', 'base/err.h', 'model/plan.h', 'decode/value/convert.h')

local any = ffi.new('struct coltype')

local function show(cell)
  if core.tag(cell) == 'number' then return ffi.string(cell.p, cell.len) end
  local out = ffi.new('struct buf')
  C.convert_text(any, cell, out)
  local text = ffi.string(out.data, out.len)
  C.buf_close(out)
  return text
end

local nines = ('9'):rep(38)

describe('number.read', function()
  local cases = {
    -- A zero with a minus is kept as written.
    { '-0', 'number', '-0' }, { '-0.00', 'number', '-0.00' }, { '-0e9', 'number', '-0e9' },
    { '0', 'int', '0' }, { '7', 'int', '7' },
    { '-120', 'int', '-120' },
    { '999999999999999999', 'int', '999999999999999999' },
    { '1000000000000000000', 'int', '1000000000000000000' },
    { '9223372036854775807', 'int', '9223372036854775807' },
    { '-9223372036854775808', 'int', '-9223372036854775808' },
    { '9223372036854775808', 'bigdec', '9223372036854775808' },
    { '-9223372036854775809', 'bigdec', '-9223372036854775809' },
    { '9999999999999999999', 'bigdec', '9999999999999999999' },
    { nines, 'bigdec', nines }, { nines .. '0', 'number', nines .. '0' },
    { '1e2', 'int', '100' }, { '1E+2', 'int', '100' }, { '12.5e1', 'int', '125' },
    { '1e18', 'int', '1' .. ('0'):rep(18) },
    { '1e19', 'bigdec', '1' .. ('0'):rep(19) },
    { '1e37', 'bigdec', '1' .. ('0'):rep(37) },
    { '1e38', 'number', '1e38' }, { '1e400', 'number', '1e400' },
    { '1e-400', 'number', '1e-400' },
    { '1.50', 'dec', '1.50' }, { '0.0', 'dec', '0.0' }, { '-0.25', 'dec', '-0.25' },
    { '1e-2', 'dec', '0.01' },
    { '1.50e1', 'dec', '15.0' }, { '123456789012345.67', 'dec', '123456789012345.67' },
    { '1234567890123456.78', 'dec', '1234567890123456.78' },
    { '0.0000000000000000001', 'dec', '0.0000000000000000001' },
    { '92233720368547758.08', 'bigdec', '92233720368547758.08' },
    { '92233720368547758.07', 'dec', '92233720368547758.07' },
    { '0.1' .. ('0'):rep(45), 'bigdec', '0.1' .. ('0'):rep(37) },
    { '3.14159265358979323846264338327950288419716939937510', 'number',
      '3.14159265358979323846264338327950288419716939937510' },
    { '12 ', 'int', '12' }, { '1.5\t\r\n ', 'dec', '1.5' },
    { '1e400 ', 'number', '1e400' },
  }
  for _, case in ipairs(cases) do
    it(("'%s' is %s %s"):format(unpack(case)), function()
      local cell = assert(core.number(case[1]))
      assert.are.equal(case[2], core.tag(cell))
      assert.are.equal(case[3], show(cell))
    end)
  end

  local refused = {
    '', ' ', '-', '+1', '01', '-01', '00', '1.', '.5', '-.5', '1.e2', '1e', '1e+',
    '1e1.5', '1.2.3', '0x1', '1_000', '1 2',
    ' 1', 'NaN', 'Infinity', '-Infinity', 'nul', 'nulll', 'tru', '1a', '1,', '--1', '1-',
    '12345678901234567890x', '1e5x',
    '٣', '1\0',
  }
  for _, text in ipairs(refused) do
    it(('refuses %q'):format(text), function() assert.is_nil(core.number(text)) end)
  end

  it('reads every short fraction that it is given', function()
    for whole = 0, 40 do
      for fraction = 0, 99 do
        local text = ('%d.%02d'):format(whole, fraction)
        local cell = core.number(text)
        assert.are.equal(whole * 100 + fraction, tonumber(cell.i))
        assert.are.equal(2, cell.scale)
      end
    end
  end)
end)

describe('number.read_int', function()
  local out = ffi.new('int64_t[1]')
  local function read(text)
    return C.number_read_int(text, #text, out) and tostring(out[0]) or nil
  end
  local cases = {
    { '0', '0LL' }, { '-0', '0LL' }, { '+12', '12LL' }, { '007', '7LL' },
    { '9223372036854775807', '9223372036854775807LL' },
    { '-9223372036854775808', '-9223372036854775808LL' },
    { '9223372036854775808' }, { '-9223372036854775809' }, { '99999999999999999999' },
    { '' }, { '-' }, { '+' }, { ' 1' }, { '1 ' },
    { '1.0' }, { '1e2' }, { 'abc' },
  }
  for _, case in ipairs(cases) do
    it(("'%s' gives %s"):format(case[1], case[2]), function()
      assert.are.equal(case[2], read(case[1]))
    end)
  end
end)
