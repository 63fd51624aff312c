-- truncate = 'apply': tables that copy a source table are emptied with it, in
-- order with its records, while workers are killed and readers hold locks.
local bank = require 'bank'
local kafka = require 'kafka'
local pg = require 'pg'
local process = require 'process'
local tidemill = require 'tidemill'

local SEED, KILLS = tonumber(os.getenv('SEED') or 9), 3
local TRUNCATE = '{"before":null,"after":null,"op":"t"}'

local function pipeline(topic, other, projections)
  return ([[
return pipeline {
  name = 'truncate',
  source = kafka { brokers = env('KAFKA_BROKERS'), group = '%s', topics = { '%s', '%s' },
    format = 'debezium', decimals = 'string', times = 'micros', start = 'earliest',
    truncate = 'apply' },
  database = postgres { write = env('DATABASE_URL'), timeouts = { lock_ms = 200 } },
  batch = { size = 30, linger_ms = 5 },
  projections = { %s },
}
]]):format(topic, topic, other, projections)
end

-- A copy of each topic, and what happened to the first.
local function projections(topic, other)
  return ([[
    projection { table = 'copy', mirror = true, topics = { '%s' },
      key = { id = 'bigint' }, columns = { x = 'bigint' } },
    projection { table = 'other', mirror = true, topics = { '%s' },
      key = { id = 'bigint' }, columns = { x = 'bigint' } },
    projection { table = 'log', append = true, topics = { '%s' },
      columns = { at = 'bigint', op = 'text' },
      on = function(row, event) row.at, row.op = event.offset, event.op end },
  ]]):format(topic, other, topic)
end

local function setup(producer, n_partitions)
  local s = { topic = tidemill.unique('truncate'), other = tidemill.unique('other'),
    n = 0, n_refused = 0, random = bank.random(SEED), rows = {}, others = {}, ops = {} }
  producer:create_topic(s.topic, n_partitions or 1)
  producer:create_topic(s.other, 2)
  s.bundle = tidemill.bundle {
    ['pipeline.lua'] = pipeline(s.topic, s.other, projections(s.topic, s.other)) }
  s.url, s.db = tidemill.database(s.bundle)
  s.env = { DATABASE_URL = s.url }
  s.db:rows('ALTER TABLE other ADD CHECK (x >= 0)')

  local function put(topic, partition, id, value)
    producer:send { topic = topic, partition = partition, value = value,
      key = id and ('{"id":%d}'):format(id) }
  end
  local function upsert(id, x)
    return ('{"before":null,"after":{"id":%d,"x":%d},"op":"u"}'):format(id, x)
  end

  function s.truncate()
    put(s.topic, 0, nil, TRUNCATE)
    s.rows, s.ops[#s.ops + 1] = {}, 't'
  end
  function s.write(n, share)
    for _ = 1, n do
      s.n = s.n + 1
      local id, dice = s.random(1, 60), s.random(1, share)
      if dice == 1 then
        s.truncate()
      elseif dice % 7 == 2 then
        put(s.topic, 0, id, ('{"before":{"id":%d},"after":null,"op":"d"}'):format(id))
        s.rows[tostring(id)], s.ops[#s.ops + 1] = nil, 'd'
      else
        put(s.topic, 0, id, upsert(id, s.n))
        s.rows[tostring(id)], s.ops[#s.ops + 1] = tostring(s.n), 'u'
      end
      put(s.other, id % 2, id, upsert(id, s.n))
      s.others[tostring(id)] = tostring(s.n)
      if s.n % 130 == 0 then -- the database refuses it: batches are taken apart
        put(s.other, 0, 1000 + s.n, upsert(1000 + s.n, -1))
        s.n_refused = s.n_refused + 1
      end
    end
    producer:flush()
  end
  function s.check()
    for name, want in pairs { copy = s.rows, other = s.others } do
      local got = {}
      for _, r in ipairs(s.db:rows('SELECT * FROM ' .. name)) do got[r.id] = r.x end
      local n, text = bank.differences(want, got)
      assert.equal(0, n, name .. ': ' .. text)
    end
    local ops = {}
    for i, r in ipairs(s.db:rows('SELECT op FROM log ORDER BY at')) do ops[i] = r.op end
    assert.equal(table.concat(s.ops), table.concat(ops))
  end
  return s
end

describe('a truncate', function()
  local producer
  lazy_setup(function() producer = kafka.producer() end)

  it('empties the copy in order with its records, while workers are killed', function()
    local s = setup(producer)
    local run = tidemill.start(s.bundle, { env = s.env, args = { '--workers', '2' } })
    finally(function() run:destroy() end)
    run:wait_ready()
    local n_kills = 0
    for _ = 1, KILLS do
      s.write(300, 40)
      process.sleep(s.random(0, 200) / 1000)
      local workers = run:workers()
      local victim = workers[s.random(1, math.max(#workers, 1))]
      if victim and process.signal(victim, process.KILL) then n_kills = n_kills + 1 end
    end
    s.write(100, 20)
    run:wait_caught_up(s.db, producer, s.topic, 1, 60)
    run:wait_caught_up(s.db, producer, s.other, 2, 60)
    s.check()
    assert.is_true(n_kills > 0)
    local _, n_truncates = table.concat(s.ops):gsub('t', '')
    assert.is_true(n_truncates > 10, n_truncates)
    assert.is_true(s.n_refused > 5, s.n_refused)
    assert.equal(s.n_refused, s.db:number("SELECT count(*) FROM tidemill.dead_letter"))
    assert.equal(0, (run:stop()))
  end)

  it('waits for readers of the table, and is applied once', function()
    local s = setup(producer)
    local run = tidemill.start(s.bundle, { env = s.env })
    finally(function() run:destroy() end)
    s.write(50, 1000)
    run:wait_caught_up(s.db, producer, s.topic, 1)
    local reader = assert(pg.connect(s.url))
    reader:rows('BEGIN; SELECT count(*) FROM copy')
    s.truncate()
    s.write(20, 1000)
    run:wait_for('a lock that does not come', 30, function()
      return (run:metric('batch_retries_total') or 0) > 0
    end)
    assert.is_true(s.db:number('SELECT count(*) FROM copy') > 0)
    reader:rows('COMMIT')
    run:wait_caught_up(s.db, producer, s.topic, 1)
    run:wait_caught_up(s.db, producer, s.other, 2)
    s.check()
    assert.equal(0, (run:stop()))
  end)

  it('has no order in a topic of several partitions: the lane halts', function()
    local s = setup(producer, 2)
    s.write(5, 1000)
    s.truncate()
    producer:flush()
    local result = tidemill.until_end(s.bundle, { env = s.env })
    assert.equal(65, result.status, result.text)
    assert.is_truthy(result.text:find('its topic has 2 partitions', 1, true), result.text)
    assert.is_true(s.db:number('SELECT count(*) FROM copy') > 0)
  end)

  it('waits until earlier dead letters are gone', function()
    local s = setup(producer)
    producer:send { topic = s.topic, partition = 0, key = '{"id":7}',
      value = '{"before":null,"after":{"id":7,"x":"none"},"op":"u"}' }
    s.truncate()
    producer:flush()
    local run = tidemill.start(s.bundle, { env = s.env })
    finally(function() run:destroy() end)
    local why
    run:wait_for('the lane to halt', 30, function()
      why = s.db:value('SELECT halted FROM tidemill.lane WHERE halted IS NOT NULL')
      return why
    end)
    assert.is_truthy(why:find('1 earlier records wait as dead letters', 1, true), why)
    for _, verb in ipairs { { 'dlq', 'discard', s.bundle, s.topic .. '/0/0', '--yes' },
      { 'lane', 'resume', s.bundle, s.topic .. '/0', '--yes' } } do
      local done = tidemill.call(verb, { env = s.env })
      assert.equal(0, done.status, done.text)
    end
    run:wait_caught_up(s.db, producer, s.topic, 1)
    s.check()
    assert.equal(0, (run:stop()))
  end)

  it('needs a right, and no other table that refers to it', function()
    local s = setup(producer)
    local function says()
      return tidemill.call({ 'check', s.bundle }, { env = s.env })
    end
    local grants = tidemill.call({ 'schema', s.bundle, '--role', 'mill' },
      { env = s.env })
    assert.is_truthy(grants.out:find('DELETE, TRUNCATE ON "copy"', 1, true), grants.text)
    s.db:rows 'REVOKE TRUNCATE ON copy, other FROM mill'
    local result = says()
    assert.equal(78, result.status, result.text)
    local grant = 'GRANT TRUNCATE ON "copy" TO "mill";'
    assert.is_truthy(result.text:find(grant, 1, true), result.text)
    s.db:rows(grant .. grant:gsub('copy', 'other'))
    assert.equal(0, says().status)
    s.db:rows('CREATE TABLE child (id bigint REFERENCES copy)')
    result = says()
    assert.equal(78, result.status, result.text)
    assert.matches('table child refers to it by a foreign key', result.text)
  end)
end)
