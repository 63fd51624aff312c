local ffi = require 'ffi'
local core = require 'spec.core.core'
local C = core.lib

core.headers('base/buf.h', 'model/type.h')

local function parse(text)
  local t = ffi.new('struct coltype')
  return C.type_parse(text, t) and t or nil
end

local function print_type(t)
  local out = ffi.new('struct buf')
  C.type_print(t, out)
  local text = ffi.string(out.data, out.len)
  C.buf_close(out)
  return text
end

describe('type', function()
  -- word, what format_type() prints, wire oid, array oid, may be a key
  local cases = {
    { 'smallint', 'smallint', 21, 1005, true }, { 'int2', 'smallint', 21, 1005, true },
    { 'integer', 'integer', 23, 1007, true }, { 'INT', 'integer', 23, 1007, true },
    { 'int4', 'integer', 23, 1007, true },
    { 'bigint', 'bigint', 20, 1016, true }, { ' int8 ', 'bigint', 20, 1016, true },
    { 'numeric', 'numeric', 1700, 1231, true },
    { 'numeric(18,2)', 'numeric(18,2)', 1700, 1231, true },
    { 'Decimal ( 10 , 0 )', 'numeric(10,0)', 1700, 1231, true },
    { 'dec(5)', 'numeric(5,0)', 1700, 1231, true },
    { 'numeric(2,5)', 'numeric(2,5)', 1700, 1231, true },
    { 'real', 'real', 700, 1021, false }, { 'float4', 'real', 700, 1021, false },
    { 'double  precision', 'double precision', 701, 1022, false },
    { 'float8', 'double precision', 701, 1022, false },
    { 'boolean', 'boolean', 16, 1000, true }, { 'bool', 'boolean', 16, 1000, true },
    { 'text', 'text', 25, 1009, true },
    { 'varchar', 'character varying', 25, 1009, true },
    { 'varchar(40)', 'character varying(40)', 25, 1009, true },
    { 'character varying (7)', 'character varying(7)', 25, 1009, true },
    { 'char', 'character(1)', 1042, 1014, true },
    { 'Character (3)', 'character(3)', 1042, 1014, true },
    { 'uuid', 'uuid', 2950, 2951, true }, { 'bytea', 'bytea', 17, 1001, true },
    { 'date', 'date', 1082, 1182, true },
    { 'time', 'time without time zone', 1083, 1183, false },
    { 'time(3)', 'time(3) without time zone', 1083, 1183, false },
    { 'timestamp', 'timestamp without time zone', 1114, 1115, true },
    { 'timestamp(0) without time zone', 'timestamp(0) without time zone', 1114, 1115,
      true },
    { 'timestamptz', 'timestamp with time zone', 1184, 1185, true },
    { 'timestamptz(3)', 'timestamp(3) with time zone', 1184, 1185, true },
    { 'timestamp(6) with time zone', 'timestamp with time zone', 1184, 1185, true },
    { 'json', 'json', 114, 199, false }, { 'jsonb', 'jsonb', 3802, 3807, false },
    { 'text[]', 'text[]', 25, 1009, false }, { 'bigint[]', 'bigint[]', 25, 1009, false },
    { 'int8[]', 'bigint[]', 25, 1009, false },
  }
  for _, case in ipairs(cases) do
    local word, printed, oid, array_oid, is_key = unpack(case)
    it(("'%s' is %s"):format(word, printed), function()
      local t = assert(parse(word))
      assert.are.equal(printed, print_type(t))
      assert.are.equal(oid, C.type_oid(t))
      assert.are.equal(array_oid, C.type_array_oid(t))
      assert.are.equal(is_key, C.type_is_key(t))
      -- What is printed is understood again, and means the same.
      assert.are.equal(printed, print_type(assert(parse(printed))))
    end)
  end
  local refused = {
    '', 'txt', 'numeric(', 'numeric()', 'numeric(0)', 'numeric(1001)', 'numeric(5,-1)',
    'numeric(5,39)', 'numeric(5,2,1)', 'numeric(5,2',
    'numeric 5', 'text(3)', 'varchar(0)', 'varchar(1,2)', 'varchar(10485761)',
    'timestamp(7)', 'time(-1)', 'timestamptz(3', 'integer(4)',
    'timestamp with', 'timetz', 'interval', 'char(0)', 'money', 'integer[]', 'numeric(a)',
    'numeric(18,2)x', ('x'):rep(200),
  }
  for _, word in ipairs(refused) do
    it(("refuses '%s'"):format(word:sub(1, 40)), function()
      assert.is_nil(parse(word))
    end)
  end
  it('lists words that it takes itself', function()
    local n = 0
    for word in ffi.string(C.type_words()):gmatch('[^,]+') do
      assert.is_truthy(parse(word), word)
      n = n + 1
    end
    assert.are.equal(tonumber(C.TYPE_KINDS), n)
  end)
  it('gives a wire name that goes with its oid', function()
    local names = {
      int8 = 20, uuid = 2950, text = 25, numeric = 1700, timestamptz = 1184, jsonb = 3802,
    }
    for name, oid in pairs(names) do
      local t = assert(parse(name == 'numeric' and 'numeric(3,1)' or name))
      assert.are.equal(name, ffi.string(C.type_wire_name(t)))
      assert.are.equal(oid, C.type_oid(t))
    end
    assert.are.equal('text', ffi.string(C.type_wire_name(parse('text[]'))))
    assert.are.equal('text', ffi.string(C.type_wire_name(parse('varchar(3)'))))
  end)
end)
