-- `tidemill check` looks at the records of a real Kafka: what it finds there is
-- specified in spec/core/recognise_spec.lua; here is that it finds it.
local decoding = require 'decoding'
local kafka = require 'kafka'
local kafka_admin = require 'kafka_admin'
local tidemill = require 'tidemill'

local FOLD = [[projection {
  table = 'balances', key = { id = { 'uuid', from = 'key' } },
  columns = { owner = 'text' },
  on = { AccountCreated = function(row, event) row.owner = event.data.owner end },
  ignore = { 'MoneyDeposited' },
}]]
local MIRROR = [[projection {
  table = 'copies', mirror = true, key = { id = 'uuid' },
  columns = { owner = 'text', balance = 'numeric(18,2)', ts = 'timestamp' },
}]]

describe('tidemill check', function()
  local producer
  lazy_setup(function() producer = kafka.producer() end)

  --- A topic with those records, in order.
  local function topic_of(records, partitions)
    local topic = 'srv.public.' .. tidemill.unique('t')
    producer:create_topic(topic, partitions or 1)
    for _, r in ipairs(records) do
      producer:send { topic = topic, key = r.key, value = r.value, headers = r.headers,
        partition = 0 }
    end
    producer:flush()
    return topic
  end

  --- The verb's answer for a pipeline of one topic; its texts in one line each.
  local function check(topic, words, projection, options)
    options = options or {}
    local group = tidemill.unique('group')
    local bundle = tidemill.bundle { ['pipeline.lua'] = ([[
return pipeline {
  name = 'shop',
  source = kafka { brokers = '%s', group = '%s', topics = { '%s' }, %s },
  database = postgres { write = env('DATABASE_URL') },
  projections = { %s },
}]]):format(options.brokers or os.getenv('KAFKA_BROKERS'), group, topic, words,
      projection) }
    local url = tidemill.database(bundle)
    local result = tidemill.call({ 'check', bundle, unpack(options.args or {}) },
      { env = { DATABASE_URL = url } })
    result.err = result.err:gsub('%s+', ' ')
    result.group = group
    return result, bundle, { DATABASE_URL = url }
  end

  local function says(result, ...)
    for _, words in ipairs { ... } do
      assert.is_truthy(result.err:find(words, 1, true), words .. '\n' .. result.text)
    end
  end

  it('finds nothing wrong where nothing is, and joins no group for that', function()
    local topic = topic_of(decoding.fixture('outbox-router-string'))
    local result = check(topic, "format = 'outbox'", FOLD)
    assert.equal(0, result.status, result.text)
    assert.equal('', result.err)
    local words = ": 1 partition, 3 records seen: EventRouter's events "
      .. '(AccountCreated, MoneyDeposited)'
    assert.is_truthy(result.out:find(topic .. words, 1, true), result.out)
    assert.is_nil(kafka_admin.groups(producer)[result.group])
  end)

  it('names the property of an outbox without types, in first and in last records',
    function()
      local good, records = decoding.fixture('outbox-router-string')[1], {}
      for i = 1, 500 do records[i] = good end
      records[501] = { key = good.key, value = good.value, headers = { id = 'x' } }
      local topic = topic_of(records, 2)
      local result = check(topic, "format = 'outbox'", FOLD)
      assert.equal(78, result.status, result.text)
      assert.matches('2 partitions, 100 records seen', result.out)
      says(result, 'problem: ' .. topic .. '/0/500: the record has no header ',
        'additional.placement=type:header:eventType', '1 problem in the records')
      local latest = check(topic, "format = 'outbox', start = 'latest'", FOLD)
      assert.equal(78, latest.status)
      local other = topic_of { records[501], good }
      assert.equal(78, check(other, "format = 'outbox'", FOLD).status)
      assert.equal(0, check(other, "format = 'outbox', start = 'latest'", FOLD).status)
    end)

  it('looks at what a run has passed no more, but for the newest record', function()
    local good = decoding.fixture('outbox-router-string')[1]
    local bad = { key = good.key, value = good.value, headers = { id = 'x' } }
    local topic = topic_of { bad, good }
    local result, bundle, env = check(topic, "format = 'outbox'", FOLD)
    assert.equal(78, result.status, result.text)
    assert.equal(0, tidemill.until_end(bundle, { env = env }).status)
    local passed = tidemill.call({ 'check', bundle }, { env = env })
    assert.equal(0, passed.status, passed.text)
    -- All questions go to the server that `read` names, those for positions too.
    local replica = tidemill.bundle { ['pipeline.lua'] = tidemill.read(bundle
      .. '/pipeline.lua'):gsub("write = ", "read = env('READ'), %0") }
    passed = tidemill.call({ 'check', replica }, { env = { READ = env.DATABASE_URL,
      DATABASE_URL = 'postgresql://127.0.0.1:1/x' } })
    assert.equal(0, passed.status, passed.text)
    producer:send { topic = topic, partition = 0, key = bad.key, value = bad.value,
      headers = bad.headers }
    producer:flush()
    local again = tidemill.call({ 'check', bundle }, { env = env })
    assert.equal(78, again.status, again.text)
    assert.is_truthy(again.err:find(topic .. '/0/2: ', 1, true), again.text)
  end)

  it('names the words of kafka{} for rows of a connector set otherwise', function()
    local records = {}
    for i, r in ipairs(decoding.fixture(
      'debezium-bare-decimal-string-connect-times-transaction')) do
      if i < 6 then records[i] = r end
    end
    local topic = topic_of(records)
    local result = check(topic,
      "format = 'debezium', decimals = 'precise', times = 'micros'", MIRROR)
    assert.equal(78, result.status, result.text)
    says(result, "decimals = 'precise', but copies.balance comes as '1.00'",
      "-> write decimals = 'string' in kafka{}", "-> write times = 'millis' in kafka{}",
      '2 problems in the records')
    local right = check(topic,
      "format = 'debezium', decimals = 'string', times = 'millis'", MIRROR)
    assert.equal(0, right.status, right.text)
    assert.equal('', right.err)
  end)

  it('says what a run would say of a record that recognition has no words for', function()
    local topic = topic_of { { key = 'no-uuid', value = '{}',
      headers = { eventType = 'AccountCreated' } } }
    local result = check(topic, "format = 'outbox'", FOLD)
    assert.equal(78, result.status, result.text)
    says(result, 'problem: ' .. topic .. '/0/0: balances.id: key: ', 'no-uuid')
  end)

  it('finds nothing wrong in what a run takes, and names each kind it refuses', function()
    local key, mirror = '{"id":1}', "projection { table = 'copies', mirror = true, "
      .. "key = { id = 'bigint' }, "
      .. "columns = { op = 'text', after = 'bigint', seen = 'timestamp' } }"
    local words = "format = 'debezium', flattened = 'tombstone'"
    local records = {
      { key = key, value = '{"id":1,"op":"c","after":2,"source":{"a":1},"__op":"c"}' },
      { key = key, value = '{"id":1,"op":null,"after":2,"seen":"2026-01-01T00:00:00Z"}' },
      { key = key },
    }
    local result = check(topic_of(records), words, mirror)
    assert.equal(0, result.status, result.text)
    assert.equal('', result.err)
    for _, value in ipairs { '{"id":1', '{"id":2', '{"id":1,"op":5}',
      '{"id":1,"op":"x","seen":1700000000}' } do
      records[#records + 1] = { key = key, value = value }
    end
    local topic = topic_of(records)
    result = check(topic, words, mirror)
    assert.equal(78, result.status, result.text)
    says(result, topic .. '/0/3: the value is not JSON',
      topic .. '/0/5: copies.op: number 5 is not a text',
      'kafka{} does not say the unit of times', '3 problems in the records')
  end)

  it('takes a missing topic for a problem, and names the nearest', function()
    local topic = topic_of {}
    local result = check(topic .. 's', "format = 'outbox'", FOLD)
    assert.equal(78, result.status, result.text)
    says(result, 'problem: ' .. topic .. 's: Kafka has no such topic',
      "did you mean '" .. topic .. "'?")
  end)

  it('says that Kafka or the database is away, and with --offline asks nobody', function()
    local result = check('x.y.z', "format = 'outbox'", FOLD, { brokers = '127.0.0.1:1' })
    assert.equal(69, result.status, result.text)
    says(result, 'problem: Kafka at 127.0.0.1:1 does not answer',
      'the records were not looked at', '--offline')
    assert.is_nil(result.out:find('ok', 1, true))
    local topic = topic_of {}
    local _, bundle = check(topic, "format = 'outbox'", FOLD)
    local away = { DATABASE_URL = 'postgresql://127.0.0.1:1/x' }
    result = tidemill.call({ 'check', bundle }, { env = away })
    assert.equal(69, result.status, result.text)
    -- What is wrong counts more than what could not be asked.
    local _, wrong = check(topic .. 's', "format = 'outbox'", FOLD)
    result = tidemill.call({ 'check', wrong }, { env = away })
    assert.equal(78, result.status, result.text)
    local offline = check('x.y.z', "format = 'outbox'", FOLD,
      { brokers = '127.0.0.1:1', args = { '--offline' } })
    assert.equal(0, offline.status, offline.text)
    assert.equal('', offline.err)
    assert.matches('neither Kafka nor the database was asked', offline.out)
    offline = tidemill.call({ 'check', bundle, '--offline' },
      { env = { DATABASE_URL = 'postgresql://app:zorro/blade@db/shop' } })
    assert.equal(78, offline.status, offline.text)
    assert.is_truthy(offline.err:find("pipeline.lua:4: postgres: 'write': the database "
      .. 'address is neither', 1, true), offline.text)
    assert.is_truthy(offline.err:find('percent-encode', 1, true), offline.text)
    assert.is_nil(offline.text:find('zorro', 1, true))
    assert.is_nil(offline.text:find('blade', 1, true))
  end)
end)
