local ffi = require 'ffi'
local core = require 'spec.core.core'
local C = core.lib

core.headers('base/err.h', 'base/buf.h', 'model/type.h', 'postgres/wire/encode.h')

local arena = core.arena()
local kept = {}

local function coltype(word)
  local t = ffi.new('struct coltype')
  assert(C.type_parse(word, t))
  return t
end

local function hex(p, n)
  return (ffi.string(p, n):gsub('.', function(c) return ('%02x'):format(c:byte()) end))
end

local function unhex(s)
  return (s:gsub('%s', ''):gsub('%x%x', function(h)
    return string.char(tonumber(h, 16))
  end))
end

local function array_of(cells)
  local out = ffi.new('struct tm_cell[?]', math.max(#cells, 1))
  for i, cell in ipairs(cells) do out[i - 1] = cell end
  return out
end

--- The binary array of the cells, in hex.
local function encode(word, cells, index)
  local out = ffi.new('struct buf')
  local n = index and ffi.sizeof(index) / 4 or #cells
  C.encode_array(out, coltype(word), array_of(cells), index, n)
  local text = hex(out.data, out.len)
  local most = tonumber(C.encode_bytes(coltype(word), array_of(cells), index, n))
  assert(tonumber(out.len) <= 20 + most, word .. ' takes more than was said')
  C.buf_close(out)
  return text
end

--- The bytes of one element, or nil and the reason.
local function read(word, bytes)
  local out, e = ffi.new('struct tm_cell'), ffi.new('struct err')
  local p = bytes and core.bytes(bytes)
  if not C.encode_read(coltype(word), p, bytes and #bytes or -1, arena, out, e) then
    return nil, ffi.string(e.text)
  end
  return out
end

local function cell(tag, i)
  local out = ffi.new('struct tm_cell')
  out.tag, out.i = tag, i
  return out
end

local function bytes(tag, s)
  local out = core.text(s)
  out.tag = tag
  return out
end

local function decimal(text)
  local d, out = ffi.new('struct tm_dec'), ffi.new('struct tm_cell')
  assert(C.tm_dec_parse(text, #text, d) == 0)
  local low = ffi.cast('int64_t', d.lo)
  if d.hi == (low < 0 and -1 or 0) then
    out.tag, out.i, out.scale = C.TM_DEC, low, d.scale
  else
    kept[#kept + 1] = d
    out.tag, out.p = C.TM_BIGDEC, ffi.cast('const char *', d)
  end
  return out
end

local function format(c)
  local d, text = ffi.new('struct tm_dec'), ffi.new('char[64]')
  if c.tag == C.TM_BIGDEC then
    ffi.copy(d, c.p, ffi.sizeof(d))
  else
    d.lo, d.hi, d.scale = ffi.cast('uint64_t', c.i), c.i < 0 and -1 or 0, c.scale
  end
  return ffi.string(text, C.tm_dec_format(d, text))
end

describe('encode_array', function()
  it('has a header of one dimension', function()
    assert.are.equal('00000001' .. '00000000' .. '00000014' .. '00000002' .. '00000001'
      .. '00000008' .. '0000000000000001' .. '00000008' .. 'fffffffffffffffe',
      encode('bigint', { cell(C.TM_INT, 1), cell(C.TM_INT, -2) }))
  end)
  it('has no dimension without elements', function()
    assert.are.equal('00000000' .. '00000000' .. '00000b86', encode('uuid', {}))
  end)
  it('takes missing and null for NULL, and says that there is one', function()
    assert.are.equal('00000001' .. '00000001' .. '00000019' .. '00000003' .. '00000001'
      .. 'ffffffff' .. 'ffffffff' .. '0000000161',
      encode('text', { core.missing(), core.null(), core.text('a') }))
  end)
  it('follows the index', function()
    assert.are.equal('00000001' .. '00000000' .. '00000015' .. '00000002' .. '00000001'
      .. '000000020007' .. '000000020005',
      encode('smallint', { cell(C.TM_INT, 5), cell(C.TM_INT, 6), cell(C.TM_INT, 7) },
        ffi.new('uint32_t[2]', 2, 0)))
  end)
  it('marks jsonb with its version, json not', function()
    assert.is_truthy(encode('jsonb', { bytes(C.TM_JSON, '{}') }):find('00000003017b7d$'))
    assert.is_truthy(encode('json', { bytes(C.TM_JSON, '{}') }):find('000000027b7d$'))
  end)
end)

describe('a value', function()
  -- type, cell, its bytes on the wire
  local cases = {
    { 'smallint', cell(C.TM_INT, -32768), '8000' },
    { 'integer', cell(C.TM_INT, -1), 'ffffffff' },
    { 'bigint', cell(C.TM_INT, 2 ^ 53), '0020000000000000' },
    { 'boolean', cell(C.TM_BOOL, 1), '01' },
    { 'real', core.double(1.5), '3fc00000' },
    { 'double precision', core.double(-2), 'c000000000000000' },
    { 'date', cell(C.TM_DATE, 0), 'ffffd533' },
    { 'date', cell(C.TM_DATE, 10957), '00000000' },
    { 'time', cell(C.TM_TIME, 86399999999), '000000141dd75fff' },
    { 'timestamp', cell(C.TM_STAMP, 0), 'fffca2fec4c82000' },
    { 'timestamptz', cell(C.TM_STAMP, 946684800000001LL), '0000000000000001' },
    { 'text', core.text('\195\164'), 'c3a4' }, { 'varchar(3)', core.text(''), '' },
    { 'bytea', bytes(C.TM_BYTES, '\0\255'), '00ff' },
    { 'uuid', bytes(C.TM_UUID, ('\1\2'):rep(8)), ('0102'):rep(8) },
    { 'json', bytes(C.TM_JSON, '[]'), '5b5d' },
    { 'jsonb', bytes(C.TM_JSON, '1'), '0131' },
    { 'text[]', bytes(C.TM_LITERAL, '{a}'), '7b617d' },
    { 'bigint[]', bytes(C.TM_LITERAL, '{1}'), '7b317d' },
  }
  for _, case in ipairs(cases) do
    local word, given, wire = unpack(case)
    it(('of %s is %s, both ways'):format(word, wire), function()
      local element = ('%08x%s'):format(#wire / 2, wire)
      assert.are.equal(element, encode(word, { given }):sub(-#element))
      local got = assert(read(word, unhex(wire)))
      assert.are.equal(given.tag, got.tag)
      assert.are.equal(element, encode(word, { got }):sub(-#element))
    end)
  end

  it('that is NULL reads as null', function()
    assert.are.equal(tonumber(C.TM_NULL), read('bigint', nil).tag)
  end)
  it('of another length is refused', function()
    assert.is_truthy(select(2, read('bigint', '\0\0\0\1')):find('another type', 1, true))
  end)
end)

describe('a numeric', function()
  -- text, ndigits weight sign dscale digits
  local cases = {
    { '0', '0000 0000 0000 0000' }, { '0.00', '0000 0000 0000 0002' },
    { '1', '0001 0000 0000 0000 0001' }, { '10000', '0002 0001 0000 0000 0001 0000' },
    { '-12.34', '0002 0000 4000 0002 000c 0d48' },
    { '0.0001', '0001 ffff 0000 0004 0001' }, { '0.00001', '0001 fffe 0000 0005 03e8' },
    { '123456.789', '0003 0001 0000 0003 000c 0d80 1ed2' },
    { '12345678901234567890123456789012345678' },
    { '-0.12345678901234567890123456789012345678' },
    { '99999999999999999999.999999999999999999' },
    { '0.000000000000000000000000000001' }, { '1.10' }, { '9223372036854775807' },
    { '-9223372036854775808' }, { '-9223372036854775809' }, { '18446744073709551616.5' },
  }
  for _, case in ipairs(cases) do
    local text, wire = unpack(case)
    it(('%s keeps every digit'):format(text), function()
      local encoded = encode('numeric', { decimal(text) })
      local value = encoded:sub(49)
      if wire then assert.are.equal((wire:gsub(' ', '')), value) end
      assert.are.equal(text, format(assert(read('numeric', unhex(value)))))
    end)
  end

  it('is encoded from a whole number as well', function()
    local wire = encode('numeric', { cell(C.TM_INT, 7) }):sub(49)
    assert.are.equal('00010000000000000007', wire)
  end)
  it('beyond 38 digits is refused', function()
    local wire = unhex('000b 000a 0000 0000' .. ('270f'):rep(11))
    assert.is_truthy(select(2, read('numeric', wire)):find('38 digits', 1, true))
  end)
  it('of a width that it cannot have is of a column of another type', function()
    for word, wire in pairs { numeric = '0000 0007', jsonb = '' } do
      local _, reason = read(word, unhex(wire))
      assert.is_truthy(reason:find(('bytes came for a column of type %s, which it cannot be of: '
        .. "the table's column is of another type; `tidemill check` names it"):format(word), 1, true), reason)
    end
  end)
  it('that is NaN or Infinity is refused', function()
    for _, sign in ipairs { 'c000', 'd000', 'f000' } do
      local _, reason = read('numeric', unhex('0000 0000 ' .. sign .. ' 0000'))
      assert.is_truthy(reason:find('neither NaN nor infinity', 1, true))
    end
  end)
  it('that cannot be read is told as PostgreSQL prints it', function()
    for wire, text in pairs {
      ['0000 0000 c000 0020'] = 'NaN', ['0000 0000 d000 0020'] = 'Infinity',
      ['0000 0000 f000 0020'] = '-Infinity',
      ['0002 000a 4000 0000 000c 0d48'] = '-123400' .. ('0000'):rep(9),
      ['0002 0000 0000 0003 000c 0d48'] = '12.340',
      ['0001 ffee 0000 0047 0001'] = '0.' .. ('0'):rep(71),
      ['0001 ffee 4000 0048 0001'] = '-0.' .. ('0'):rep(71) .. '1',
      ['0001 0020 0000 0005 0001'] = '1' .. ('0000'):rep(30) .. '...',
      ['0001 0000 0000 0100 0001'] = '1.' .. ('0'):rep(120) .. '...',
    } do
      local out = ffi.new('struct buf')
      C.encode_tell_numeric(unhex(wire), out)
      assert.equal(text, ffi.string(out.data, out.len))
      C.buf_close(out)
    end
  end)
end)

describe('infinity', function()
  it('of dates and timestamps is read and written as it is', function()
    for kind, ends in pairs {
      date = { '7fffffff', '80000000' },
      timestamp = { '7fffffffffffffff', '8000000000000000' },
      timestamptz = { '7fffffffffffffff', '8000000000000000' },
    } do
      for i, wire in ipairs(ends) do
        local got = assert(read(kind, unhex(wire)))
        assert.are.equal(i == 1 and 0x7fffffffffffffffLL or -0x8000000000000000LL, got.i)
        assert.are.equal(wire, encode(kind, { got }):sub(-#wire))
      end
    end
  end)
end)

describe('a timestamp', function()
  -- PostgreSQL's range ends in 294276, 64 bits of microseconds since 1970 end
  -- in January 294247.
  it('behind the year 294246 is refused, the last one before infinity is not', function()
    local last = assert(read('timestamp', unhex('7ffca2fec4c81ffe')))
    assert.are.equal(9223372036854775806LL, last.i)
    local _, why = read('timestamp', unhex('7ffca2fec4c81fff'))
    assert.is_truthy(why:find('294246', 1, true))
  end)
end)
