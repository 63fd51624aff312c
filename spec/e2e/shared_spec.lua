-- A fold whose rows are shared between lanes: every worker and every batch
-- wants the same few rows at once.
local bank = require 'bank'
local kafka = require 'kafka'
local tidemill = require 'tidemill'

local PARTITIONS, OWNERS = 8, 20

local pipeline = [[
return pipeline {
  name = 'shared',
  source = kafka { brokers = env('KAFKA_BROKERS'), group = '%s', topics = { '%s' },
    format = 'json', type = 'data.kind', start = 'earliest' },
  database = postgres { write = env('DATABASE_URL') },
  batch = { size = 40, linger_ms = 0, concurrency = 4 },
  projections = { 'projections.owners' },
}
]]

-- Two rows an event: what one owner pays the other gets.
local projection = [[
return projection {
  table = 'owners',
  key = { owner = { 'text', from = { 'data.from', 'data.to' } } },
  columns = { balance = 'numeric(18,2)', n_events = 'bigint', biggest = 'numeric(18,2)' },
  initial = { balance = 0, n_events = 0, biggest = 0 },
  on = {
    paid = function(row, event)
      local amount = event.data.amount
      if row.owner == event.data.from then row.balance = row.balance - amount end
      if row.owner == event.data.to then row.balance = row.balance + amount end
      row.n_events = row.n_events + 1
      if amount > row.biggest then row.biggest = amount end
    end,
  },
}
]]

local Payments = {}
Payments.__index = Payments

local function new_payments(topic, seed)
  return setmetatable({ topic = topic, random = bank.random(seed), rows = {} }, Payments)
end

function Payments:apply(owner, cents, size)
  local row = self.rows[owner] or { cents = 0, n = 0, biggest = 0 }
  self.rows[owner] = row
  row.cents, row.n = row.cents + cents, row.n + 1
  row.biggest = math.max(row.biggest, size)
end

function Payments:send(producer, n)
  for _ = 1, n do
    local from = self.random(1, OWNERS)
    local to = (from + self.random(1, OWNERS - 1) - 1) % OWNERS + 1
    local cents = self.random(1, 10000)
    from, to = 'owner-' .. from, 'owner-' .. to
    self:apply(from, -cents, cents)
    self:apply(to, cents, cents)
    producer:send { topic = self.topic, partition = self.random(0, PARTITIONS - 1),
      value = ('{"kind":"paid","from":"%s","to":"%s","amount":%s}'):format(from, to,
        bank.money(cents)) }
  end
  producer:flush()
end

function Payments:check(db)
  local want, got = {}, {}
  for owner, row in pairs(self.rows) do
    want[owner] = ('%s %d %s'):format(bank.money(row.cents), row.n,
      bank.money(row.biggest))
  end
  for _, r in ipairs(db:rows('SELECT * FROM owners')) do
    got[r.owner] = ('%s %s %s'):format(r.balance, r.n_events, r.biggest)
  end
  local n, text = bank.differences(want, got)
  assert.equal(0, n, text)
end

describe('a fold that lanes share', function()
  it('loses no update when several workers and batches fold the same rows', function()
    local producer = kafka.producer()
    local topic = tidemill.unique('shared')
    producer:create_topic(topic, PARTITIONS)
    local bundle = tidemill.bundle {
      ['pipeline.lua'] = pipeline:format(topic, topic),
      ['projections/owners.lua'] = projection,
    }
    local url, db = tidemill.database(bundle)
    local payments = new_payments(topic, 3)
    payments:send(producer, 6000)
    local run = tidemill.start(bundle, {
      env = { DATABASE_URL = url }, args = { '--workers', '3' },
    })
    finally(function() run:destroy() end)
    for _ = 1, 4 do payments:send(producer, 1000) end
    run:wait_caught_up(db, producer, topic, PARTITIONS, 90)
    payments:check(db)
    run:wait_counted(10000, 'events_total')
    assert.equal(0, (run:stop()))
  end)
end)
