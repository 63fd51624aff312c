-- One pipeline of topics in different formats, and what halts when the connector
-- is set up otherwise than the pipeline says.
local kafka = require 'kafka'
local tidemill = require 'tidemill'

local function pipeline(name, topics, projections)
  return ([[
return pipeline {
  name = '%s',
  source = kafka { brokers = env('KAFKA_BROKERS'), group = '%s', start = 'earliest',
    topics = { %s } },
  database = postgres { write = env('DATABASE_URL') },
  projections = { %s },
}
]]):format(name, name, topics, projections)
end

local TOPICS = [[
  { '%s.outbox', format = 'outbox', outbox = { table = {
    id = 'event', key = 'account', type = 'kind', payload = 'body' } } },
  { '%s.users', format = 'debezium', flattened = 'tombstone', times = 'adaptive' },
  { '%s.clicks', format = 'json', type = 'data.kind' },
]]

local PROJECTIONS = [[
  projection { table = 'balances', topics = { '%s.outbox' },
    key = { id = { 'text', from = 'key' } },
    columns = { balance = 'numeric(18,2)' }, initial = { balance = 0 },
    on = { Deposited = function(row, event)
      row.balance = row.balance + event.data.amount
    end } },
  projection { table = 'log', topics = { '%s.outbox' }, append = true,
    columns = { event_id = 'text', lsn = 'bigint' },
    on = function(row, event) row.event_id, row.lsn = event.id, event.source.lsn end },
  projection { table = 'users', topics = { '%s.users' }, mirror = true,
    key = { id = 'bigint' }, columns = { name = 'text', seen = 'timestamp(3)' } },
  projection { table = 'clicks', topics = { '%s.clicks' }, append = true,
    columns = { n = 'bigint', index = 'bigint', serial = 'bigint', first = 'text',
      exists = 'boolean', delete = 'bigint', ['table'] = 'text' },
    on = { click = function(row, event)
      for name, v in pairs(event.data) do if name ~= 'kind' then row[name] = v end end
      row.first = event.data:table().table
    end } }
]]

local OUTBOX = '{"before":null,"after":{"event":"%s","account":"%s","kind":"Deposited",'
  .. '"body":"{\\"amount\\": %s}"},"source":{"ts_ms":1795443612905,"lsn":%d},"op":"c"}'

-- Names that our own structs and words have, too.
local CLICK = '{"kind":"click","n":7,"index":1000000000,"serial":4294967295,'
  .. '"exists":false,"delete":1,"table":"x"}'

describe('topics in several formats', function()
  local producer
  lazy_setup(function() producer = kafka.producer() end)

  local function send_outbox(topic)
    for i = 1, 6 do
      producer:send { topic = topic, partition = i % 2,
        key = ('{"event":"e%d"}'):format(i),
        value = OUTBOX:format('e' .. i, 'acc-' .. i % 2, i .. '.10', i) }
    end
  end

  local function send_users(topic)
    for _, user in ipairs {
      { 1, '{"id":1,"name":"a","seen":1795428000123}' },
      { 2, '{"id":2,"name":"b","seen":null}' },
      { 1, nil }, -- the delete
      { 3, '{"id":3,"name":"c","seen":1795428000123}' },
    } do
      producer:send { topic = topic, partition = 0, key = ('{"id":%d}'):format(user[1]),
        value = user[2] }
    end
  end

  it('are read each in its own way, whatever the names of their fields are', function()
    local name = tidemill.unique('formats')
    local bundle = tidemill.bundle { ['pipeline.lua'] = pipeline(name,
      TOPICS:format(name, name, name), PROJECTIONS:format(name, name, name, name)) }
    local url, db = tidemill.database(bundle)
    for _, topic in ipairs { '.outbox', '.users', '.clicks' } do
      producer:create_topic(name .. topic, 2)
    end
    send_outbox(name .. '.outbox')
    send_users(name .. '.users')
    for _, value in ipairs { CLICK, '{"kind":"other","n":8}' } do
      producer:send { topic = name .. '.clicks', partition = 0, value = value }
    end
    producer:flush()
    local result = tidemill.until_end(bundle, { env = { DATABASE_URL = url } })
    assert.equal(0, result.status, result.text)
    assert.same(
      { { id = 'acc-0', balance = '12.30' }, { id = 'acc-1', balance = '9.30' } },
      db:rows('SELECT * FROM balances ORDER BY id'))
    assert.same({ { n = '6', least = '1' } },
      db:rows('SELECT count(DISTINCT event_id) AS n, min(lsn) AS least FROM log'))
    assert.same({ { id = '2', name = 'b' },
      { id = '3', name = 'c', seen = '2026-11-23 10:00:00.123' } },
      db:rows('SELECT * FROM users ORDER BY id'))
    assert.same({ { n = '7', index = '1000000000', serial = '4294967295', first = 'x',
      exists = 'f', delete = '1', ['table'] = 'x' } }, db:rows('SELECT * FROM clicks'))
  end)

  it('halt where rows do not say what `on` asks for', function()
    local name = tidemill.unique('formats')
    producer:create_topic(name, 1)
    local bundle = tidemill.bundle { ['pipeline.lua'] = pipeline(name,
      ("{ '%s', format = 'debezium', flattened = 'rewrite' }"):format(name), [[
      projection { table = 'users', key = { id = 'bigint' }, columns = { name = 'text' },
        on = { c = function(row, event) row.name = event.data.name end } } ]]) }
    local url, db = tidemill.database(bundle)
    producer:send { topic = name, partition = 0, key = '{"id":1}',
      value = '{"id":1,"name":"a","__deleted":"false"}' }
    producer:flush()
    local result = tidemill.until_end(bundle, { env = { DATABASE_URL = url } })
    assert.equal(65, result.status, result.text)
    assert.matches('transforms.unwrap.add.fields=op', result.text, 1, true)
    assert.equal(0, db:number('SELECT count(*) FROM users'))
    assert.equal(0, db:number('SELECT count(*) FROM tidemill.dead_letter'))
  end)

  local HALTING = [[
    projection { table = 'orders', topics = { '%s.orders' }, mirror = true,
      key = { id = 'bigint' }, columns = { total = 'bigint' } },
    projection { table = 'docs', topics = { '%s.docs' }, mirror = true,
      key = { id = 'bigint' }, columns = { a = 'text' } },
    projection { table = 'accounts', topics = { '%s.events' },
      key = { id = { 'bigint', from = 'key' } },
      columns = { is_closed = 'boolean', seen = 'bigint' }, initial = { seen = 0 },
      on = function(row, event)
        row.seen = row.seen + 1
        row.is_closed = event.type == 'Closed' and event.data == nil
      end }
  ]]
  local ORDER = '{"op":"u","before":null,"after":{"id":1,"customer_id":%d,"total":9},'
    .. '"source":{"ts_ms":1}}'
  local DOCUMENT = [[{"op":"c","before":null,"after":"{\"_id\":1}",
    "source":{"connector":"mongodb"}}]]

  -- One row in two lanes, a document, and events with and without a payload.
  local function send_halting(name)
    for partition = 0, 1 do
      producer:send { topic = name .. '.orders', partition = partition,
        key = ('{"customer_id":%d}'):format(5 + partition),
        value = ORDER:format(5 + partition) }
    end
    producer:send { topic = name .. '.docs', partition = 0, key = '{"id":"1"}',
      value = DOCUMENT }
    for i, r in ipairs {
      { '1', 'Opened', '{}' }, { '2', 'Opened', '{}' }, { '01', 'Opened', '{}' },
      { '1', 'Closed', nil }, { '2', 'Closed', 'null' }, { '3', nil, nil },
    } do
      producer:send { topic = name .. '.events', partition = 0, key = r[1], value = r[3],
        headers = { id = 'e' .. i, eventType = r[2] } }
    end
    producer:flush()
  end

  local function says(text, ...)
    text = text:gsub('%s+', ' ')
    for _, part in ipairs { ... } do
      assert.is_truthy(text:find(part, 1, true), part .. '\n' .. text)
    end
  end

  -- An older record of the other lane won: the newest row was overwritten.
  it('halt where records are keyed by another column or are no rows; an event without a '
    .. 'payload runs', function()
    local name = tidemill.unique('formats')
    local bundle = tidemill.bundle { ['pipeline.lua'] = pipeline(name, ([[
      { '%s.orders', format = 'debezium' }, { '%s.docs', format = 'debezium' },
      { '%s.events', format = 'outbox' }]]):format(name, name, name),
      HALTING:format(name, name, name)) }
    local url, db = tidemill.database(bundle)
    for _, topic in ipairs { '.orders', '.docs', '.events' } do
      producer:create_topic(name .. topic, 2)
    end
    send_halting(name)
    local result = tidemill.until_end(bundle, { env = { DATABASE_URL = url } })
    assert.equal(65, result.status, result.text)
    says(result.text, 'is not the row\'s key (id = 1)', name .. '.orders/0',
      name .. '.orders/1', 'MongoDB writes it', name .. '.docs/0')
    assert.equal(0, db:number('SELECT count(*) FROM orders'))
    assert.equal(0, db:number('SELECT count(*) FROM docs'))
    assert.same({ { id = '1', is_closed = 't', seen = '2' },
      { id = '2', is_closed = 't', seen = '2' } },
      db:rows('SELECT * FROM accounts ORDER BY id'))
    says(db:value('SELECT message FROM tidemill.dead_letter'),
      'the record key 01 is another way to write the bigint 1:')
    local found = tidemill.call({ 'check', bundle }, { env = { DATABASE_URL = url } })
    assert.equal(78, found.status, found.text)
    says(found.text, 'record keys: the field customer_id; not the row keys of orders',
      'message.key.columns=SCHEMA.TABLE:id', 'change events of MongoDB',
      'record keys: one value; the row keys of accounts')
  end)

  local MYSQL = [[{"before":null,"after":{"id":%d,"day":19000,"clock":10000000,
    "at":1700000000123,"at6":1700000000123456,"ts":"2024-01-02T03:04:05Z","y":2024,
    "flag":%s,"mood":"small","tags":"a,b","doc":"{\"a\": 1.50}","big":%s,"dec":%s,
    "bits":"BQ==","place":{"wkb":"AQE=","srid":null}},"source":{"version":"3.3.1.Final",
    "connector":"mysql","name":"m","ts_ms":1700000000000,"file":"b.1","pos":4},
    "op":"%s"}]]
  local MYSQL_SCHEMA = [[{"type":"struct","fields":[{"type":"struct","field":"after",
    "fields":[{"type":"int32","name":"io.debezium.time.Date","field":"day"},
    {"type":"int64","name":"io.debezium.time.MicroTime","field":"clock"},
    {"type":"int64","name":"io.debezium.time.Timestamp","field":"at"},
    {"type":"int64","name":"io.debezium.time.MicroTimestamp","field":"at6"},
    {"type":"bytes","name":"org.apache.kafka.connect.data.Decimal",
      "parameters":{"scale":"0"},"field":"big"},
    {"type":"bytes","name":"org.apache.kafka.connect.data.Decimal",
      "parameters":{"scale":"2"},"field":"dec"},
    {"type":"bytes","name":"io.debezium.data.Bits","field":"bits"}]}]}]]

  local MYSQL_TABLE = [[projection { table = '%s_rows', topics = { '%s.%s' },
    mirror = true, key = { id = 'bigint' }, columns = { day = 'date', clock = 'time(0)',
      at = 'timestamp(3)', at6 = 'timestamp', ts = 'timestamptz', y = 'integer',
      flag = 'boolean', mood = 'text', tags = 'text', doc = 'jsonb',
      big = 'numeric(20,0)', dec = 'numeric(6,2)', bits = 'bytea', place = 'jsonb' } }]]

  -- Its connector knows no 'adaptive' but adaptive_time_microseconds.
  it('of MySQL are read by both words of its times, and by a schema', function()
    local name = tidemill.unique('formats')
    local bundle = tidemill.bundle { ['pipeline.lua'] = pipeline(name, ([[
      { '%s.bare', format = 'debezium', times = 'adaptive', decimals = 'precise',
        binary = 'base64' }, { '%s.schema', format = 'debezium' }]]):format(name, name),
      MYSQL_TABLE:format('bare', name, 'bare') .. ', '
        .. MYSQL_TABLE:format('schema', name, 'schema')) }
    local url, db = tidemill.database(bundle)
    for _, topic in ipairs { '.bare', '.schema' } do
      producer:create_topic(name .. topic, 1)
    end
    for i, r in ipairs { { 'r', '1' }, { 'c', 'false' }, { 'u', '2' } } do
      producer:send { topic = name .. '.bare', partition = 0,
        key = ('{"id":%d}'):format(i), value = MYSQL:format(i, r[2], '"AP//////////"',
          '"BM4="', r[1]) }
    end
    producer:send { topic = name .. '.schema', partition = 0, key = '{"id":9}',
      value = ('{"schema":%s,"payload":%s}'):format(MYSQL_SCHEMA,
        MYSQL:format(9, '1', '"AP//////////"', '"BM4="', 'c')) }
    producer:send { topic = name .. '.schema', partition = 0,
      key = '{"databaseName":"d"}',
      value = '{"source":{},"databaseName":"d","ddl":"CREATE TABLE t (id int)"}' }
    producer:flush()
    local result = tidemill.until_end(bundle, { env = { DATABASE_URL = url } })
    assert.equal(0, result.status, result.text)
    local row = { day = '2022-01-08', clock = '00:00:10', at = '2023-11-14 22:13:20.123',
      at6 = '2023-11-14 22:13:20.123456', ts = '2024-01-02 03:04:05+00', y = '2024',
      mood = 'small', tags = 'a,b', doc = '{"a": 1.50}', big = '18446744073709551615',
      dec = '12.30', bits = '\\x05', place = '{"wkb": "AQE=", "srid": null}' }
    local expected = {}
    for i, r in ipairs { { '1', 't' }, { '2', 'f' }, { '9', 't' } } do
      expected[i] = { id = r[1], flag = r[2] }
      for column, value in pairs(row) do expected[i][column] = value end
    end
    assert.same(expected, db:rows(
      'SELECT * FROM bare_rows UNION ALL SELECT * FROM schema_rows ORDER BY id'))
    says(db:value('SELECT message FROM tidemill.dead_letter'), 'of numbers only 0 and 1')
  end)

  it('halt at a number that has no unit, until it is said', function()
    local name = tidemill.unique('formats')
    producer:create_topic(name, 1)
    local function bundle_of(words)
      return tidemill.bundle { ['pipeline.lua'] = pipeline(name,
        ("{ '%s', format = 'json'%s }"):format(name, words), [[
        projection { table = 'seen', key = { id = { 'bigint', from = 'key' } },
          columns = { at = 'timestamptz', sent = 'timestamptz', b = 'bytea' },
          on = function(row, event)
            row.sent, row.at = event.time, event.data.at
            row.b = event.data.b
          end } ]]) }
    end
    local bundle = bundle_of ''
    local url, db = tidemill.database(bundle)
    producer:send { topic = name, partition = 0, key = '1',
      value = '{"at":1700000000,"b":"deadbeef"}' }
    producer:flush()
    for words, said in pairs { [''] = '2023%-11%-14T22:13:20 as seconds, 1970%-01%-20T',
      [", times = 'seconds'"] = 'could be base64 or hex' } do
      local result = tidemill.until_end(bundle_of(words),
        { env = { DATABASE_URL = url } })
      assert.equal(65, result.status, result.text)
      assert.matches(said, result.text)
    end
    assert.equal(0, db:number('SELECT count(*) FROM tidemill.dead_letter'))
    local result = tidemill.until_end(bundle_of(", times = 'seconds', binary = 'hex'"),
      { env = { DATABASE_URL = url } })
    assert.equal(0, result.status, result.text)
    assert.equal(1, db:number([[SELECT count(*) FROM seen WHERE b = '\xdeadbeef'
      AND at = '2023-11-14 22:13:20Z' AND sent > now() - interval '1 day']]))
  end)
end)
