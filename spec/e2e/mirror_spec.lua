-- Mirrors of a Debezium topic in each of its envelopes, against the table that
-- the events came from.
local debezium = require 'debezium'
local kafka = require 'kafka'
local tidemill = require 'tidemill'

local PARTITIONS = 3

local projection = [[
return projection {
  table = 'accounts_copy',
  mirror = true,
  key = { id = 'bigint' },
  columns = { owner = 'text', balance = 'numeric(18,2)', note = 'text',
    seen_at = 'timestamptz' },
}
]]

local function pipeline(topic, settings)
  return ([[
return pipeline {
  name = 'mirror',
  source = kafka { brokers = env('KAFKA_BROKERS'), group = '%s', topics = { '%s' },
    format = 'debezium', start = 'earliest', %s },
  database = postgres { write = env('DATABASE_URL') },
  batch = { size = 50 },
  projections = { 'projections.accounts' },
}
]]):format(topic, topic, settings)
end

local function setup(producer, envelope, settings)
  local topic = tidemill.unique('mirror')
  producer:create_topic(topic, PARTITIONS)
  local bundle = tidemill.bundle {
    ['pipeline.lua'] = pipeline(topic, settings),
    ['projections/accounts.lua'] = projection,
  }
  local url, db = tidemill.database(bundle)
  return {
    topic = topic, bundle = bundle, db = db, env = { DATABASE_URL = url },
    source = debezium.new { envelope = envelope, topic = topic, partitions = PARTITIONS },
  }
end

local function run_to_end(s)
  local result = tidemill.until_end(s.bundle, { env = s.env })
  assert.equal(0, result.status, result.text)
end

local stated = "decimals = 'string', times = 'micros'"

describe('a mirror', function()
  local producer
  lazy_setup(function() producer = kafka.producer() end)

  for envelope, settings in pairs { bare = stated, schema = '', flattened = stated } do
    it(('copies a table from %s records, with deletes, tombstones and ' ..
      'unchanged large columns'):format(envelope), function()
      local s = setup(producer, envelope, settings)
      s.source:send(producer, 1500)
      run_to_end(s)
      s.source:check(s.db, 'accounts_copy')
      s.source:send(producer, 500)
      run_to_end(s)
      s.source:check(s.db, 'accounts_copy')
    end)
  end

  it('leaves a column that a record does not have as it is', function()
    local s = setup(producer, 'bare', stated)
    local function send(value)
      producer:send { topic = s.topic, partition = 0, key = '{"id":1}', value = value }
    end
    send [[{"before":null,"after":{"id":1,"owner":"a","note":"kept"},"op":"c"}]]
    send [[{"before":null,"after":{"id":1,"owner":null},"op":"u"}]]
    producer:flush()
    run_to_end(s)
    assert.same({ { id = '1', note = 'kept' } }, s.db:rows('SELECT * FROM accounts_copy'))
  end)

  it('refuses numeric columns whose decimals nobody has explained', function()
    local s = setup(producer, 'bare', "times = 'micros'")
    s.source:send(producer, 10)
    local result = tidemill.until_end(s.bundle, { env = s.env })
    assert.not_equal(0, result.status)
    assert.matches('decimals', result.text)
    assert.equal(0, s.db:number('SELECT count(*) FROM accounts_copy'))
  end)
end)
