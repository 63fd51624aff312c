-- A batch function that changes several tables: rows of its own lanes, rows
-- that every lane asks for by key, and rows that it adds.
local bank = require 'bank'
local kafka = require 'kafka'
local process = require 'process'
local tidemill = require 'tidemill'

local PARTITIONS, OWNERS, KILLS = 6, 12, 4

local pipeline = [[
return pipeline {
  name = 'function',
  source = kafka { brokers = env('KAFKA_BROKERS'), group = '%s', topics = { '%s' },
    format = 'json', start = 'earliest' },
  database = postgres { write = env('DATABASE_URL') },
  batch = { size = 40, linger_ms = 0, concurrency = 3 },
  projections = { 'projections.payments' },
}
]]

local projection = [[
return projection {
  tables = {
    accounts = { key = { id = { 'text', from = 'key' } },
      columns = { balance = 'numeric(18,2)', n = 'bigint' },
      initial = { balance = 0, n = 0 } },
    owners = { key = { owner = 'text' },
      columns = { balance = 'numeric(18,2)', n = 'bigint', heir = 'text' },
      initial = { balance = 0, n = 0 } },
    ledger = { append = true, columns = { id = 'text', amount = 'numeric(18,2)' } },
  },
  batch = function(batch, tables)
    local broken
    for event, account in tables.accounts:events() do
      local amount = event.data.amount
      account.balance, account.n = account.balance + amount, account.n + 1
      local from = tables.owners:row(event.data.from)
      local to = tables.owners:row(event.data.to)
      from.balance, from.n = from.balance - amount, from.n + 1
      to.balance, to.n = to.balance + amount, to.n + 1
      while to.heir do to = tables.owners:row(to.heir) end
      if event.data.legacy then to.balance = to.balance + event.data.legacy end
      local entry = tables.ledger:add()
      entry.id, entry.amount = event.id, amount
      if event.data.bad then error('a bad payment') end
      broken = broken or event.data.broken
    end
    if broken then error('broken by ' .. broken) end
  end,
}
]]

local function setup(producer)
  local topic = tidemill.unique('function')
  producer:create_topic(topic, PARTITIONS)
  local bundle = tidemill.bundle {
    ['pipeline.lua'] = pipeline:format(topic, topic),
    ['projections/payments.lua'] = projection,
  }
  local url, db = tidemill.database(bundle)
  return { topic = topic, bundle = bundle, db = db, env = { DATABASE_URL = url } }
end

local Payments = {}
Payments.__index = Payments

local function new_payments(topic, seed)
  return setmetatable({ topic = topic, random = bank.random(seed), accounts = {},
    owners = {}, n = 0, n_bad = 0 }, Payments)
end

local function apply(rows, key, cents)
  local row = rows[key] or { cents = 0, n = 0 }
  rows[key], row.cents, row.n = row, row.cents + cents, row.n + 1
end

-- A bad one has a key of its own, so that nothing waits behind it.
function Payments:send(producer, n)
  for _ = 1, n do
    local from = self.random(1, OWNERS)
    local to = (from + self.random(1, OWNERS - 1) - 1) % OWNERS + 1
    local cents, is_bad = self.random(1, 10000), self.random(1, 100) == 1
    local number = self.random(1, 90)
    local key = is_bad and 'bad-' .. self.n or 'account-' .. number
    self.n = self.n + 1
    if is_bad then
      self.n_bad = self.n_bad + 1
    else
      apply(self.accounts, key, cents)
      apply(self.owners, 'owner-' .. from, -cents)
      apply(self.owners, 'owner-' .. to, cents)
    end
    producer:send { topic = self.topic, partition = number % PARTITIONS, key = key,
      value = ('{"from":"owner-%d","to":"owner-%d","amount":%s%s}'):format(from, to,
        bank.money(cents), is_bad and ',"bad":true' or '') }
  end
  producer:flush()
end

local function compare(rows, db, sql)
  local want, got = {}, {}
  for key, row in pairs(rows) do
    want[key] = ('%s %d'):format(bank.money(row.cents), row.n)
  end
  for _, r in ipairs(db:rows(sql)) do got[r.key] = ('%s %s'):format(r.balance, r.n) end
  local n, text = bank.differences(want, got)
  assert.equal(0, n, text)
end

function Payments:check(db)
  compare(self.accounts, db, 'SELECT id AS key, balance, n FROM accounts')
  compare(self.owners, db, 'SELECT owner AS key, balance, n FROM owners')
  assert.equal(self.n - self.n_bad, db:number('SELECT count(*) FROM ledger'))
  assert.equal(self.n - self.n_bad, db:number('SELECT count(DISTINCT id) FROM ledger'))
  assert.equal(self.n_bad, db:number(
    "SELECT count(*) FROM tidemill.dead_letter WHERE message LIKE '%a bad payment%'"))
end

-- Rows of one lane each, and a function that asks in vain for those of others.
local kept = [[
return pipeline {
  name = 'kept',
  source = kafka { brokers = env('KAFKA_BROKERS'), group = '%s', topics = { '%s' },
    format = 'json', start = 'earliest' },
  database = postgres { write = env('DATABASE_URL') },
  batch = { size = 20 },
  projections = { projection {
    tables = {
      kept = { key = { id = { 'bigint', from = 'key' } },
        columns = { n = 'bigint', refused = 'bigint' },
        initial = { n = 0, refused = 0 } },
    },
    batch = function(batch, tables)
      for event, row in tables.kept:events() do
        row.n = row.n + 1
        local other = tonumber(event.key) + 100000 + row.n
        if not pcall(tables.kept.row, tables.kept, other) then
          row.refused = row.refused + 1
        end
      end
    end,
  } },
}
]]

describe('a batch function', function()
  local producer
  lazy_setup(function() producer = kafka.producer() end)

  it('loses and repeats nothing while lanes fight for rows and workers die', function()
    local s = setup(producer)
    local payments = new_payments(s.topic, 5)
    payments:send(producer, 3000)
    local run = tidemill.start(s.bundle, { env = s.env, args = { '--workers', '2' } })
    finally(function() run:destroy() end)
    run:wait_ready()
    local random, n_kills = bank.random(11), 0
    for _ = 1, KILLS do
      payments:send(producer, 1000)
      process.sleep(random(0, 200) / 1000)
      local workers = run:wait_for('a worker', 30, function()
        local list = run:workers()
        return #list > 0 and list
      end)
      if process.signal(workers[random(1, #workers)], process.KILL) then
        n_kills = n_kills + 1
      end
    end
    run:wait_caught_up(s.db, producer, s.topic, PARTITIONS, 90)
    payments:check(s.db)
    assert.equal(KILLS, n_kills)
    assert.is_true(run:metric('worker_restarts_total') >= KILLS - 1)
    assert.equal(0, (run:stop()))
  end)

  it('halts its lanes when every record fails', function()
    local s = setup(producer)
    for i = 1, 2000 do
      producer:send { topic = s.topic, partition = i % 2, key = 'k' .. i,
        value = '{"from":"x","to":"y","amount":1,"bad":true}' }
    end
    producer:flush()
    local result = tidemill.until_end(s.bundle, { env = s.env })
    assert.equal(65, result.status, result.text)
    assert.is_truthy(result.text:find('of the last 1000 records failed', 1, true),
      result.text)
    assert.equal(100, s.db:number('SELECT count(*) FROM tidemill.dead_letter'))
    assert.equal(0, s.db:number('SELECT count(*) FROM accounts'))
  end)

  it('loses one record when it raises because of it, outside of its loop', function()
    local s = setup(producer)
    for i = 1, 200 do
      producer:send { topic = s.topic, partition = i % PARTITIONS, key = 'k' .. i,
        value = ('{"from":"x","to":"y","amount":1%s}'):format(
          i == 117 and ',"broken":"it"' or '') }
    end
    producer:flush()
    local result = tidemill.until_end(s.bundle, { env = s.env })
    assert.equal(0, result.status, result.text)
    local letters = s.db:rows('SELECT message, key FROM tidemill.dead_letter')
    assert.equal(1, #letters)
    assert.is_truthy(letters[1].message:find('broken by it', 1, true))
    assert.equal(199, s.db:number('SELECT count(*) FROM ledger'))
    assert.equal(199, s.db:number("SELECT n FROM owners WHERE owner = 'y'"))
  end)

  it('finds rows by what it reads in others, in locked order', function()
    local s = setup(producer)
    s.db:rows [[INSERT INTO owners VALUES ('a', 0, 0, 'b'), ('b', 0, 0, 'c'),
      ('c', 0, 0, 'd'), ('d', 5, 0, NULL)]]
    for i = 1, 30 do
      producer:send { topic = s.topic, partition = i % PARTITIONS, key = 'k' .. i,
        value = '{"from":"x","to":"a","amount":1,"legacy":2.5}' }
    end
    producer:flush()
    local result = tidemill.until_end(s.bundle, { env = s.env })
    assert.equal(0, result.status, result.text)
    local rows = s.db:by('owner', 'SELECT * FROM owners')
    assert.equal('30.00', rows.a.balance)
    assert.equal('0.00', rows.b.balance)
    assert.equal('80.00', rows.d.balance)
    assert.equal('-30.00', rows.x.balance)
    assert.equal(30, s.db:number('SELECT count(*) FROM ledger'))
  end)

  it('keeps rows of its lanes in memory, whatever rows it asks for', function()
    local topic = tidemill.unique('kept')
    producer:create_topic(topic, 1)
    local bundle = tidemill.bundle { ['pipeline.lua'] = kept:format(topic, topic) }
    local url, db = tidemill.database(bundle)
    local run = tidemill.start(bundle, { env = { DATABASE_URL = url } })
    finally(function() run:destroy() end)
    for round = 1, 6 do
      for i = 1, 50 do
        producer:send { topic = topic, partition = 0, key = tostring(i), value = '{}' }
      end
      producer:flush()
      run:wait_for('the round', 30, function()
        return db:number('SELECT sum(n) FROM kept') == 50 * round
      end)
    end
    assert.is_true(run:metric('cache_hits_total') >= 100)
    assert.equal(50, db:number('SELECT count(*) FROM kept WHERE n = 6'))
    assert.equal(300, db:number('SELECT sum(refused) FROM kept'))
  end)
end)
