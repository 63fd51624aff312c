-- What a role or a database sets for its sessions changes no value and ends
-- no wait.
local kafka = require 'kafka'
local tidemill = require 'tidemill'

local COLUMNS = [[
  s = 'smallint', i = 'integer', b = 'bigint', n = 'numeric',
  m = 'numeric(18,2)',
  r = 'real', d = 'double precision', o = 'boolean', t = 'text', v = 'varchar(20)',
  u = 'uuid', y = 'bytea', date = 'date', time = 'time', at = 'timestamp',
  tz = 'timestamptz', j = 'json', jb = 'jsonb', ta = 'text[]', ba = 'bigint[]']]

-- A fold reads back each value that it wrote, and writes it once more.
local pipeline = [[
local names = { 's', 'i', 'b', 'n', 'm', 'r', 'd', 'o', 't', 'v', 'u', 'y', 'date',
  'time', 'at', 'tz', 'j', 'jb', 'ta', 'ba' }
local function set(row, event)
  row.times = (row.times or 0) + 1
  for _, name in ipairs(names) do
    if event:has('data.' .. name) then row[name] = event.data[name] end
  end
end
return pipeline {
  name = '%s',
  source = kafka { brokers = env('KAFKA_BROKERS'), group = '%s', topics = { '%s' },
    format = 'json', start = 'earliest' },
  database = postgres { write = env('DATABASE_URL') },
  batch = { size = 1 },
  cache = false,
  projections = {
    projection { table = 'folded', key = { id = { 'text', from = 'key' } },
      columns = { times = 'bigint', %s }, on = set },
    projection { table = 'appended', append = true, columns = { times = 'bigint', %s },
      on = set },
  },
}
]]

local VALUES = {
  [[{"s":-32768,"i":2147483647,"b":"9223372036854775807","n":"0.1234567890123456789",
  "m":"-12.30","r":"3.4028235e38","d":"0.1","o":true,"t":"a\\b'c\"NULL","v":"NULL",
  "u":"123e4567-e89b-12d3-a456-426614174000","y":"AAECXPon/w==","date":"2026-02-03",
  "time":"01:02:03.456789","at":"2026-02-03T04:05:06.789012",
  "tz":"2026-02-03T04:05:06.789012Z",
  "j":{"a":[1,null,"NULL"]},"jb":{"b":"\\","a":1e2},
  "ta":["NULL",null,"null","","a,b","\\\"{"],
  "ba":[1,null,-9223372036854775808]}]],
  [[{"s":null,"i":null,"t":"NULL","ta":[null],"ba":[null]}]],
  [[{"t":"","ta":[],"d":"1e-300","r":"0.1"}]],
}

-- Each is what no session of ours may have.
local HOSTILE = {
  array_nulls = 'off', datestyle = "'SQL, DMY'", intervalstyle = 'sql_standard',
  timezone = "'Asia/Kathmandu'", bytea_output = 'escape', extra_float_digits = '-15',
  xmloption = 'document', xmlbinary = 'hex', standard_conforming_strings = 'off',
  backslash_quote = 'off', transform_null_equals = 'on', quote_all_identifiers = 'on',
  default_transaction_isolation = 'serializable', default_transaction_deferrable = 'on',
  statement_timeout = "'1ms'", lock_timeout = "'1ms'",
  idle_in_transaction_session_timeout = "'1ms'", idle_session_timeout = "'1ms'",
  exit_on_error = 'on', plan_cache_mode = 'force_custom_plan', enable_nestloop = 'off',
  enable_indexscan = 'off', client_encoding = 'LATIN1', lc_numeric = "'C'",
  client_min_messages = 'error', synchronous_commit = 'off', row_security = 'off',
  search_path = 'evil, public, pg_catalog',
}

-- Stands in for PostgreSQL's own where a search path names evil first.
local EVIL = [[
  CREATE SCHEMA evil; GRANT USAGE ON SCHEMA evil TO PUBLIC;
  CREATE FUNCTION evil.never(text, text) RETURNS boolean LANGUAGE sql AS 'SELECT false';
  CREATE OPERATOR evil.= (LEFTARG = text, RIGHTARG = text, FUNCTION = evil.never);
]]

local ROWS = [[
  SELECT string_agg(x, E'\n' ORDER BY x) FROM (SELECT f::text FROM folded f
    UNION ALL SELECT a::text FROM appended a) AS s(x)]]

describe('a role and a database with settings of their own', function()
  local producer, topic
  lazy_setup(function()
    producer = kafka.producer()
    topic = tidemill.unique('settings')
    producer:create_topic(topic, 1)
    for _, value in ipairs(VALUES) do
      producer:send { topic = topic, partition = 0, key = 'k', value = value }
    end
    producer:flush()
  end)

  local function new(name)
    local group = topic .. name
    local bundle = tidemill.bundle {
      ['pipeline.lua'] = pipeline:format(name, group, topic, COLUMNS, COLUMNS) }
    local url, db = tidemill.database(bundle, EVIL)
    return { bundle = bundle, db = db, env = { DATABASE_URL = url }, url = url }
  end

  local function set(s, who, values)
    local database = s.db:value 'SELECT current_database()'
    for name, value in pairs(values) do
      s.db:rows(('ALTER %s SET %s = %s'):format(who:gsub('DB', database), name, value))
    end
  end

  it('get the rows, the verbs and the words that all others get', function()
    local plain, hostile = new('plain'), new('hostile')
    set(hostile, 'ROLE mill IN DATABASE DB', HOSTILE)
    set(hostile, 'ROLE desk IN DATABASE DB', HOSTILE)
    set(hostile, 'DATABASE DB', { statement_timeout = "'1ms'", array_nulls = 'off' })
    for _, s in ipairs { plain, hostile } do
      tidemill.apply(s.bundle, s.env) -- there already: it must not be in the way
      local check = tidemill.call({ 'check', s.bundle }, { env = s.env })
      assert.equal(0, check.status, check.text)
      local result = tidemill.until_end(s.bundle, { env = s.env })
      assert.equal(0, result.status, result.text)
      assert.equal(0, s.db:number 'SELECT count(*) FROM tidemill.dead_letter')
      local lanes = tidemill.call({ 'lane', 'list', s.bundle }, { env = s.env })
      assert.equal(0, lanes.status, lanes.text)
    end
    assert.equal(plain.db:value(ROWS), hostile.db:value(ROWS))
    assert.equal('{NULL}', hostile.db:value "SELECT ta FROM appended WHERE t = 'NULL'")
    assert.equal(1, hostile.db:number
      "SELECT count(*) FROM appended WHERE t = 'NULL' AND ta[1] IS NULL")
    assert.equal(3, hostile.db:number 'SELECT times FROM folded')
  end)

  it('are refused where only a superuser could change them', function()
    local s = new('damaged')
    set(s, 'ROLE mill IN DATABASE DB', { zero_damaged_pages = 'on' })
    local check = tidemill.call({ 'check', s.bundle }, { env = s.env })
    assert.equal(78, check.status, check.text)
    assert.matches('zero_damaged_pages is on and not off', check.text, 1, true)
  end)

  it('and an address with settings of its own', function()
    local s = new('address')
    local env = { DATABASE_URL = s.url .. '?options='
      .. ('-c array_nulls=off -c statement_timeout=1 -c application_name=mine')
        :gsub('[ =]', { [' '] = '%20', ['='] = '%3D' }) }
    local result = tidemill.until_end(s.bundle, { env = env })
    assert.equal(0, result.status, result.text)
    assert.equal(3, s.db:number 'SELECT times FROM folded')
    assert.equal(1, s.db:number
      "SELECT count(*) FROM appended WHERE t = 'NULL' AND ta[1] IS NULL")
  end)
end)
