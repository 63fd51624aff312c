-- Columns of every type that PostgreSQL has, with values at their ends; what each
-- is declared as in a mirror, and how source and copy compare. Nothing here is
-- taken from Tidemill: the table of types in examples/README.md is written down again.
local M = {}

-- A column: name, type of the source, type of the copy, values (SQL literals).
-- "same" compares the copy, as text, with the source cast to the copy's type;
-- another comparison is a pair of expressions with $ for the column.
local function column(name, source, copy, values, source_as, copy_as)
  return {
    name = name, source = source, copy = copy, values = values,
    source_as = source_as or ('$::' .. copy), copy_as = copy_as or '$',
  }
end

M.columns = {
  column('c_smallint', 'smallint', 'smallint', { '-32768', '32767', '0' }),
  column('c_integer', 'integer', 'integer', { '-2147483648', '2147483647', '0' }),
  column('c_bigint', 'bigint', 'bigint',
    { '-9223372036854775808', '9223372036854775807', '9007199254740993' }),
  column('c_oid', 'oid', 'bigint', { '0', '4294967295' }),
  column('c_boolean', 'boolean', 'boolean', { 'true', 'false' }),
  column('c_real', 'real', 'real',
    { '1.5', '-3.4e38', '1e-37', "'NaN'", "'Infinity'", "'-Infinity'", '0.1' }),
  column('c_double', 'double precision', 'double precision',
    { '0.1', '-1.7976931348623157e308', '5e-324', "'NaN'", "'Infinity'",
      "'-Infinity'", '12345678.123456789' }),
  column('c_text', 'text', 'text',
    { "''", "'Zoë'", [['"a" \ '' /']], "E'two\\nlines\\ttab'", "'NULL'", "'\u{1F600}'",
      "'12.5'", [['{"a":1}']] }),
  column('c_varchar', 'varchar(10)', 'varchar(10)', { "'abc'", "'Zoëëëëëëëë'" }),
  column('c_char', 'char(5)', 'text', { "'ab'", "'abcde'", "''" }, 'rpad($, 5)'),
  column('c_uuid', 'uuid', 'uuid', { "'0189F7EA-7C4A-7B3C-8D2E-000000000001'" }),
  column('c_date', 'date', 'date',
    { "'1970-01-01'", "'0001-01-01'", "'9999-12-31'", "'2024-02-29'", "'1582-10-10'" }),
  column('c_timetz', 'timetz', 'time',
    { "'23:59:59.999999+00'", "'12:34:56+02'", "'00:00:00-12:30'" },
    "($ AT TIME ZONE 'UTC')::time"),
  column('c_timestamptz', 'timestamptz', 'timestamptz',
    { "'1970-01-01 00:00:00+00'", "'2024-02-29 12:34:56.789012+05:30'",
      "'1600-01-01 00:00:00+00'", "'9999-12-31 23:59:59.999999+00'",
      "'1899-12-31 23:00:00.5+00'" }),
  column('c_json', 'json', 'json',
    { [['{"a": 1,  "a": 2.50}']], "'null'", "'[1,2]'", [['"text"']],
      "'12345678901234567890.123456789'" }, '$::text', '$::text'),
  column('c_jsonb', 'jsonb', 'jsonb',
    { [['{"a": {"b": [1, null, "x"]}}']], "'null'", [['"Zoë \u0001"']], "'1e400'" }),
  column('c_xml', 'xml', 'text', { "'<a b=\"1\">x &amp; y</a>'" }),
  column('c_enum', 'mood', 'text', { "'sad'", "'very happy'" }),
  column('c_citext', 'citext', 'text', { "'MiXed'" }),
  column('c_inet', 'inet', 'text', { "'10.0.0.1/8'", "'::1'" }, '$', '$::inet'),
  column('c_cidr', 'cidr', 'text', { "'10.0.0.0/8'" }),
  column('c_macaddr', 'macaddr', 'text', { "'08:00:2b:01:02:03'" }),
  column('c_range', 'int4range', 'text', { "'[1,5)'", "'empty'", "'(,7)'" }),
  column('c_bit1', 'bit(1)', 'boolean', { "B'1'", "B'0'" }, "$ = B'1'"),
  column('c_bits', 'bit(8)', 'text', { "B'10100001'", "B'00000001'" },
    "encode(decode(lpad(to_hex($::integer), 2, '0'), 'hex'), 'base64')"),
  column('c_point', 'point', 'jsonb', { "'(1.5,-2.25)'" }, '$[0] || chr(44) || $[1]',
    "($->>'x') || chr(44) || ($->>'y')"),
  column('c_hstore', 'hstore', 'jsonb', { "'a=>1, b=>NULL'", "''" },
    'hstore_to_json($)::jsonb'),
  column('c_texts', 'text[]', 'text[]',
    { "'{}'", [[ARRAY['a', NULL, '"q"', 'Zoë', '', 'NULL', 'a,b', '\', '{}'] ]] }),
  column('c_bigints', 'bigint[]', 'bigint[]',
    { "'{}'", "'{1,NULL,-9223372036854775808,9223372036854775807}'" }),
  column('c_integers', 'integer[]', 'bigint[]', { "'{}'", "'{1,NULL,-2147483648}'" }),
  column('c_uuids', 'uuid[]', 'text[]',
    { "ARRAY['0189f7ea-7c4a-7b3c-8d2e-000000000001'::uuid, NULL]" }),
  column('c_booleans', 'boolean[]', 'jsonb', { "'{t,f,NULL}'" }, 'to_jsonb($)'),
  column('c_doubles', 'double precision[]', 'jsonb', { "'{1.5,NULL,-2.25}'" },
    'to_jsonb($)'),
  -- A large value that an UPDATE of another column leaves alone.
  column('c_large', 'text', 'text', { "repeat('large ', 2000)", "'small'" }),
}

-- These depend on how the connector is set: by its setting, what is declared and
-- how it compares.
local numbers = { '0.00001', '-99999.99999', '12.3', '12345.67800', '0' }
local wide = { '12345678901234567890123456789012.345678', '-1e30', '0.1', '1000', '1e-6' }
local times = { "'00:00:00'", "'23:59:59.999999'", "'12:34:56.789'" }
-- As far as nanoseconds reach in 64 bits; beyond, Debezium tells other times in
-- nanoseconds, and in its snapshot tells those below 1583 by the Julian calendar.
local stamps = {
  "'1970-01-01 00:00:00'", "'2024-02-29 12:34:56.789012'", "'1969-12-31 23:59:59.999999'",
  "'1677-09-21 00:12:44'", "'2262-04-11 23:47:16'",
}
local far_stamps = { "'1600-01-01 00:00:00'", "'9999-12-31 23:59:59.5'" }

-- Exactly, Debezium tells them as null.
local not_a_number = column('c_nan', 'numeric', 'double precision',
  { "'NaN'", '1.5', "'Infinity'", "'-Infinity'" })

local function decimals(mode)
  if mode == 'double' then
    return {
      column('c_numeric', 'numeric(10,5)', 'numeric(10,5)', numbers),
      column('c_numeric_wide', 'numeric', 'double precision', wide),
      column('c_money', 'money', 'numeric(19,2)', { "'-12.34'", "'92233.07'" },
        '$::numeric'),
      not_a_number,
    }
  end
  return {
    column('c_numeric', 'numeric(10,5)', 'numeric(10,5)', numbers),
    -- precise drops zeros at the end, so the values compare and not the texts.
    column('c_numeric_wide', 'numeric', 'numeric', wide, 'trim_scale($)',
      'trim_scale($)'),
    column('c_money', 'money', 'numeric(19,2)', { "'-12.34'", "'1234567890123.45'" },
      '$::numeric'),
    mode == 'string' and not_a_number or column('c_nan', 'numeric', 'numeric',
      not_a_number.values, "CASE WHEN abs($) < 'Infinity' THEN $ END"),
  }
end

-- Connect's own types have milliseconds.
local function clocks(mode)
  local cut = mode == 'connect' and "date_trunc('milliseconds', $)::%s" or '$'
  return {
    column('c_time', 'time', 'time', times, cut:format('time')),
    column('c_time0', 'time(0)', 'time(0)', { "'01:02:03'" }),
    column('c_time3', 'time(3)', 'time(3)', { "'01:02:03.004'" }),
    column('c_timestamp', 'timestamp', 'timestamp', stamps, cut:format('timestamp')),
    column('c_timestamp0', 'timestamp(0)', 'timestamp(0)', { "'2024-02-29 12:34:56'" }),
    column('c_timestamp3', 'timestamp(3)', 'timestamp(3)',
      { "'2024-02-29 12:34:56.789'", "'1969-12-31 23:59:59.999'" }),
    mode ~= 'nanoseconds' and column('c_timestamp_far', 'timestamp', 'timestamp',
      far_stamps, cut:format('timestamp')) or nil,
  }
end

-- Months count as a twelfth of 365.25 days.
local micros = [[((extract(year FROM $) * 12 + extract(month FROM $)) * 30.4375
  + extract(day FROM $)) * 86400000000 + extract(hour FROM $) * 3600000000
  + extract(minute FROM $) * 60000000 + extract(microseconds FROM $)]]
local spans = { "'1 day 02:03:04.567891'", "'-3 hours'", "'1 year 2 months'", "'0'" }

local function rest(setting)
  return {
    column('c_bytea', 'bytea', 'bytea', { "''", [['\x00ff7f80']], [['\xdeadbeef00']] }),
    setting.interval == 'string'
      and column('c_interval', 'interval', 'text', spans, '$', '$::interval')
      or column('c_interval', 'interval', 'bigint', spans, '(' .. micros .. ')::bigint'),
  }
end

--- Values at the edge: in the copy they are the same, or their row is set aside.
--- The first of them have no place in any column of ours; those behind them have.
M.odd = {
  { 'c_date', "'0044-03-15 BC'" },
  { 'c_timestamp_far', "'0044-03-15 12:00:00 BC'" },
  { 'c_timestamptz', "'0044-03-15 12:00:00+00 BC'" },
  { 'c_date', "'infinity'" }, { 'c_date', "'-infinity'" },
  { 'c_timestamp_far', "'infinity'" }, { 'c_timestamp_far', "'-infinity'" },
  { 'c_timestamptz', "'infinity'" }, { 'c_timestamptz', "'-infinity'" },
  { 'c_numeric_wide', '1e40' }, { 'c_numeric_wide', '1e-45' },
  { 'c_jsonb', [['{"a": "__debezium_unavailable_value"}']] },
}
M.n_without_place, M.n_with_place = 3, 6

--- All columns as a connector of these settings tells them.
function M.of(setting)
  local list = {}
  for _, part in ipairs {
    M.columns, decimals(setting.decimals), clocks(setting.times), rest(setting),
  } do
    for _, one in ipairs(part) do list[#list + 1] = one end
  end
  return list
end

return M
