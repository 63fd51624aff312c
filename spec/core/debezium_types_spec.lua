-- Every column type of PostgreSQL as the connector writes it, bare and behind a
-- schema, in an envelope and flattened, into the column that examples/README.md names.
local conversion = require 'spec.core.conversion'
local core = require 'spec.core.core'
local decoding = require 'decoding'
local ffi = require 'ffi'
local C = core.lib

local SCHEMA = '{"schema":{"type":"struct","fields":[%s]},"payload":%s}'
local AFTER = '{"type":"struct","fields":[%s],"optional":true,"field":"after"}'
local ENVELOPE = '{"before":null,"after":%s,"source":{"ts_ms":1},"op":"c"}'

local function field(type, name, more)
  return ('{"type":"%s","optional":true,%s%s"field":"x"}'):format(type, name and ('"name":"%s",'):format(name) or '', more or '')
end

-- The forms of a record with the field x: its value, and whether there is a schema.
local function forms(schema, value)
  local row, flat = '{"id":1,"x":' .. value .. '}', '{"id":1,"x":' .. value .. ',"__op":"c","__deleted":"false"}'
  return {
    { ENVELOPE:format(row), false }, { flat, false },
    { SCHEMA:format(AFTER:format(schema), ENVELOPE:format(row)), true }, { SCHEMA:format(schema, flat), true },
  }
end

-- What the column holds as text, or 'error: ' and why not; 'unset': it stays as it is.
local function stored(options, record, word)
  local d = decoding.new(options):want('data.x'):run { { value = record } }
  assert.are.equal('ok', d:state(1), d:reason(1))
  local rules = C.convert_rules_of(d.source.settings[0])
  rules.has_schema = d:has_schema(1)
  local out, e, t = ffi.new('struct tm_cell'), ffi.new('struct err'), ffi.new('struct coltype')
  assert(C.type_parse(word, t))
  if not C.convert_cell(t, d.events.columns[d.nodes['data.x']][0], rules, d.arena, out, e) then
    -- The number is shown in the unit that it came in.
    return (e.class == C.ERR_CONFIG and 'halt: ' or 'error: ') .. ffi.string(e.text):gsub('number %-?%d+', 'a number')
  end
  local tag = core.tag(out)
  return tag == 'missing' and 'unset' or tag == 'null' and 'NULL' or select(2, conversion.convert(word, out))
end

local DECIMAL = field('bytes', 'org.apache.kafka.connect.data.Decimal', '"parameters":{"scale":"2"},')
local VARIABLE = field('struct', 'io.debezium.data.VariableScaleDecimal')
local function debezium(name) return 'io.debezium.time.' .. name end
local function connect(name) return 'org.apache.kafka.connect.data.' .. name end
local function array(of) return ('{"type":"array","items":{"type":"%s","optional":true},"optional":true,"field":"x"}'):format(of) end

-- source column, schema of its field, value, column, what it holds; what must be
-- stated when there is no schema, or else the bare record halts.
local cases = {
  { 'smallint', field 'int16', '-32768', 'smallint', '-32768' },
  { 'integer', field 'int32', '2147483647', 'integer', '2147483647' },
  { 'bigint', field 'int64', '9223372036854775807', 'bigint', '9223372036854775807' },
  { 'oid', field 'int64', '4294967295', 'bigint', '4294967295' },
  { 'boolean', field 'boolean', 'true', 'boolean', 'true' },
  { 'real', field 'float', '0.1', 'real', '0.1' },
  { 'double precision', field 'double', '1.7976931348623157E308', 'double precision', '1.7976931348623157e+308' },
  { 'double precision NaN', field 'double', '"NaN"', 'double precision', 'nan' },
  { 'numeric(18,2) precise', DECIMAL, '"/ts="', 'numeric(18,2)', '-2.93', { decimals = 'precise' } },
  { 'numeric(18,2) string', field 'string', '"-2.93"', 'numeric(18,2)', '-2.93', { decimals = 'string' } },
  { 'numeric(18,2) double', field 'double', '-2.93', 'numeric(18,2)', '-2.93', {} },
  { 'numeric precise', VARIABLE, '{"scale":3,"value":"BNI="}', 'numeric', '1.234', { decimals = 'precise' } },
  { 'numeric string', field 'string', '"1.2340"', 'numeric', '1.2340', { decimals = 'string' } },
  { 'numeric NaN', field 'string', '"NaN"', 'numeric',
    "error: text 'NaN' is no exact number: numeric columns take neither NaN nor Infinity, double precision does" },
  { 'numeric NaN', field 'string', '"NaN"', 'double precision', 'nan' },
  { 'numeric(18,2) precise, decimal.format=NUMERIC', DECIMAL, '-2.93', 'numeric(18,2)', '-2.93' },
  { 'numeric(38,0) precise, decimal.format=NUMERIC', DECIMAL, ('9'):rep(38), 'numeric(38,0)', ('9'):rep(38) },
  { 'money precise', DECIMAL, '"BNI="', 'numeric(19,2)', '12.34', { decimals = 'precise' } },
  { 'text', field 'string', '"Zo\\u00eb "', 'text', 'Zoë ' },
  { 'char(5)', field 'string', '"ab   "', 'text', 'ab   ' },
  { 'varchar(5)', field 'string', '"abcde"', 'varchar(5)', 'abcde' },
  { 'enum', field('string', 'io.debezium.data.Enum'), '"open"', 'text', 'open' },
  { 'uuid', field('string', 'io.debezium.data.Uuid'), '"22222222-2222-4222-8222-222222222222"', 'uuid', '22222222-2222-4222-8222-222222222222' },
  { 'xml', field('string', 'io.debezium.data.Xml'), '"<a/>"', 'text', '<a/>' },
  { 'ltree', field('string', 'io.debezium.data.Ltree'), '"a.b"', 'text', 'a.b' },
  { 'tstzrange', field 'string', '"[\\"2026-01-01 00:00:00+00\\",)"', 'text', '["2026-01-01 00:00:00+00",)' },
  { 'inet', field 'string', '"10.0.0.1/8"', 'text', '10.0.0.1/8' },
  { 'date', field('int32', debezium 'Date'), '20780', 'date', '2026-11-23' },
  { 'date connect', field('int32', connect 'Date'), '20780', 'date', '2026-11-23' },
  { 'date isostring', field('string', debezium 'IsoDate'), '"2026-11-23Z"', 'date', '2026-11-23' },
  { 'date infinity', field('int32', debezium 'Date'), '-2147472692', 'date', 'infinity' },
  { 'time adaptive', field('int64', debezium 'MicroTime'), '36000123456', 'time', '10:00:00.123456', { times = 'adaptive' } },
  { 'time(3) adaptive', field('int32', debezium 'Time'), '36000123', 'time(3)', '10:00:00.123', { times = 'adaptive' } },
  { 'time(3) adaptive_time_microseconds', field('int64', debezium 'MicroTime'), '36000123000', 'time(3)', '10:00:00.123',
    { times = 'adaptive_time' } },
  { 'time connect', field('int32', connect 'Time'), '36000123', 'time', '10:00:00.123', { times = 'millis' } },
  { 'time nanoseconds', field('int64', debezium 'NanoTime'), '36000123456000', 'time', '10:00:00.123456', { times = 'nanos' } },
  { 'time isostring', field('string', debezium 'IsoTime'), '"10:00:00.123456Z"', 'time', '10:00:00.123456' },
  { 'timetz', field('string', debezium 'ZonedTime'), '"10:00:00.5Z"', 'time', '10:00:00.5' },
  { 'timetz', field('string', debezium 'ZonedTime'), '"10:00:00.5Z"', 'text', '10:00:00.5Z' },
  { 'timestamp adaptive', field('int64', debezium 'MicroTimestamp'), '1795428000123456', 'timestamp', '2026-11-23T10:00:00.123456',
    { times = 'adaptive' } },
  { 'timestamp(3) adaptive', field('int64', debezium 'Timestamp'), '1795428000123', 'timestamp(3)', '2026-11-23T10:00:00.123',
    { times = 'adaptive' } },
  { 'timestamp(0) adaptive_time_microseconds', field('int64', debezium 'Timestamp'), '1795428000000', 'timestamp(0)',
    '2026-11-23T10:00:00', { times = 'adaptive_time' } },
  { 'timestamp connect', field('int64', connect 'Timestamp'), '1795428000123', 'timestamp', '2026-11-23T10:00:00.123', { times = 'millis' } },
  { 'timestamp microseconds', field('int64', debezium 'MicroTimestamp'), '1795428000123000', 'timestamp(3)', '2026-11-23T10:00:00.123',
    { times = 'micros' } },
  { 'timestamp nanoseconds', field('int64', debezium 'NanoTimestamp'), '1795428000123456000', 'timestamp', '2026-11-23T10:00:00.123456',
    { times = 'nanos' } },
  { 'timestamp isostring', field('string', debezium 'IsoTimestamp'), '"2026-11-23T10:00:00.123456Z"', 'timestamp', '2026-11-23T10:00:00.123456' },
  { 'timestamp BC', field('int64', debezium 'MicroTimestamp'), '-63549403200000000', 'timestamp',
    'error: a number is outside the years 0001 to 294246', { times = 'adaptive' } },
  { 'timestamp of the year 20000', field('int64', debezium 'MicroTimestamp'), '568971820800000000', 'timestamp', '20000-01-01T00:00:00',
    { times = 'adaptive' } },
  { 'timestamptz', field('string', debezium 'ZonedTimestamp'), '"2026-11-23T10:00:00.123456Z"', 'timestamptz', '2026-11-23T10:00:00.123456Z' },
  { 'timestamptz infinity', field('string', debezium 'ZonedTimestamp'), '"infinity"', 'timestamptz', 'infinity' },
  { 'timestamp infinity', field('int64', debezium 'MicroTimestamp'), '9223372036825200000', 'timestamp', 'infinity' },
  { 'timestamp -infinity', field('int64', debezium 'NanoTimestamp'), '-9223372036854775808', 'timestamp', '-infinity' },
  { 'interval', field('int64', debezium 'MicroDuration'), '93784000000', 'bigint', '93784000000' },
  { 'interval string', field('string', debezium 'Interval'), '"P0Y0M1DT2H3M4S"', 'text', 'P0Y0M1DT2H3M4S' },
  { 'json', field('string', 'io.debezium.data.Json'), '"{\\"k\\": 1.10}"', 'jsonb', '{"k": 1.10}' },
  { 'json text', field('string', 'io.debezium.data.Json'), '"{\\"k\\": 1.10}"', 'text', '{"k": 1.10}' },
  { 'hstore json', field('string', 'io.debezium.data.Json'), '"{\\"a\\":null}"', 'jsonb', '{"a":null}' },
  { 'hstore map', field 'map', '{"a":null}', 'jsonb', '{"a":null}' },
  { 'bytea', field 'bytes', '"3q2+7w=="', 'bytea', '\\xdeadbeef' },
  { 'bytea like hex', field 'bytes', '"abcd"', 'bytea', '\\x69b71d', { binary = 'base64' } },
  { 'bytea base64-url-safe', field 'string', '"3q2-7w=="', 'bytea', '\\xdeadbeef' },
  { 'bit(12)', field('bytes', 'io.debezium.data.Bits', '"parameters":{"length":"12"},'), '"qwo="', 'bytea', '\\xab0a' },
  { 'bit(12)', field('bytes', 'io.debezium.data.Bits', '"parameters":{"length":"12"},'), '"qwo="', 'text', 'qwo=' },
  { 'text[]', array 'string', '["a",null,"b,\\"c"]', 'text[]', '{"a",NULL,"b,\\"c"}' },
  { 'integer[]', array 'int32', '[1,null,-2]', 'bigint[]', '{1,NULL,-2}' },
  { 'double precision[]', array 'double', '[1.5,null]', 'jsonb', '[1.5,null]' },
  { 'numeric[]', array 'bytes', '["BNI="]', 'jsonb', '["BNI="]' },
  { 'text[][]', array 'string', '[["a"]]', 'text[]',
    'error: an array is not flat: arrays and objects inside an array have no place in the column' },
  { 'point', field('struct', 'io.debezium.data.geometry.Point'), '{"x":1.5,"y":2.0,"wkb":"AQ==","srid":null}', 'jsonb',
    '{"x":1.5,"y":2.0,"wkb":"AQ==","srid":null}' },
  { 'point', field('struct', 'io.debezium.data.geometry.Point'), '{"x":1.5}', 'text', 'error: an object is not a text' },
}
for _, type in ipairs { 'smallint', 'numeric(18,2)', 'text', 'uuid', 'bytea', 'date', 'time', 'timestamp', 'timestamptz', 'jsonb', 'text[]' } do
  cases[#cases + 1] = { type .. ' NULL', field 'string', 'null', type, 'NULL' }
  cases[#cases + 1] = { type .. ' left alone', field 'string', '"__debezium_unavailable_value"', type, 'unset' }
end

describe('a column of PostgreSQL', function()
  for i, case in ipairs(cases) do
    local name, schema, value, word, expected, stated = unpack(case, 1, 6)
    it(('%d: %s into %s'):format(i, name, word), function()
      for at, form in ipairs(forms(schema, value)) do
        local record, has_schema = unpack(form)
        local options = { format = 'debezium' }
        for k, v in pairs(not has_schema and stated or {}) do options[k] = v end
        assert.are.equal(expected, stored(options, record, word), 'form ' .. at)
        if stated and next(stated) and not has_schema then
          local unsaid = stored({ format = 'debezium' }, record, word)
          assert.is_truthy(unsaid:find('^halt: ') or unsaid:find('^error: an object is not'), unsaid)
        end
      end
    end)
  end
  it('bytea in hex halts until it is stated, even behind a schema', function()
    for _, form in ipairs(forms(field 'string', '"deadbeef"')) do
      assert.matches('^halt: .*state binary', stored({ format = 'debezium' }, form[1], 'bytea'))
      assert.are.equal('\\xdeadbeef', stored({ format = 'debezium', binary = 'hex' }, form[1], 'bytea'))
    end
  end)
  it('bytea is base64 where a schema says bytes, whatever is stated', function()
    local form = forms(field 'bytes', '"abcd"')[3]
    assert.are.equal('\\x69b71d', stored({ format = 'debezium', binary = 'hex' }, form[1], 'bytea'))
  end)
  it('numeric without precision is a key of whole numbers behind a schema', function()
    local d = decoding.new { format = 'debezium' }
    d:want('key.x'):run { { key = SCHEMA:format(VARIABLE, '{"x":{"scale":0,"value":"BNI="}}'),
      value = ENVELOPE:format '{"x":1}' } }
    assert.are.equal('dec:1234', d:value(1, 'key.x'))
  end)
end)
