-- The chain behind the shop: a Connect worker with several connectors, topics,
-- one run of Tidemill and its tables; what kills them under load, and the
-- comparison of source and copies.
local bank = require 'bank'
local connect = require 'connect'
local kafka = require 'kafka'
local kafka_reader = require 'kafka_reader'
local process = require 'process'
local tidemill = require 'tidemill'

local M = {}
local Chain = {}
Chain.__index = Chain

local PARTITIONS = 3
local FOLDER = 'spec/debezium/copies'

local unwrap = 'io.debezium.transforms.ExtractNewRecordState'

-- Each tells the same in another way; the pipeline says how it is read.
local connectors = {
  plain = {
    ['table.include.list'] = 'public.accounts,public.stock,public.visits',
    ['decimal.handling.mode'] = 'string', ['provide.transaction.metadata'] = 'true',
    ['heartbeat.interval.ms'] = 500, ['skipped.operations'] = 'none',
  },
  schema = {
    ['table.include.list'] = 'public.accounts,public.stock',
    ['key.converter.schemas.enable'] = 'true',
    ['value.converter.schemas.enable'] = 'true',
    ['heartbeat.interval.ms'] = 500, ['time.precision.mode'] = 'connect',
  },
  flat = {
    ['table.include.list'] = 'public.accounts', transforms = 'unwrap',
    ['transforms.unwrap.type'] = unwrap,
    ['transforms.unwrap.delete.tombstone.handling.mode'] = 'rewrite',
    ['transforms.unwrap.add.fields'] = 'op,table,lsn,source.ts_ms',
  },
  gone = {
    ['table.include.list'] = 'public.stock', transforms = 'unwrap',
    ['transforms.unwrap.type'] = unwrap,
    ['transforms.unwrap.delete.tombstone.handling.mode'] = 'tombstone',
    ['transforms.unwrap.add.fields'] = 'op,lsn', ['decimal.handling.mode'] = 'double',
  },
  router = connect.outbox { ['table.include.list'] = 'public.outbox' },
  -- The records of one account stay in one partition.
  rows = {
    ['table.include.list'] = 'public.outbox',
    ['message.key.columns'] = 'public.outbox:aggregateid',
  },
}
for _, settings in pairs(connectors) do
  settings['topic.creation.default.partitions'] = PARTITIONS
end

-- The topics that Tidemill reads, and how the identity of a change in them is
-- found: one that comes twice was told twice by the connector.
local function by_lsn(record)
  local lsn = record.value and record.value:match('"_*lsn":(%d+)')
  local op = record.value and record.value:match('"_*op":"(.)"')
  return lsn and ('%s %s %s'):format(record.key, lsn, op)
end
local function by_header(record) return record.headers.id end
local function by_nothing() end
local topics = {
  ['plain.public.accounts'] = by_lsn, ['plain.public.stock'] = by_lsn,
  ['plain.public.visits'] = by_lsn,
  ['schema.public.accounts'] = by_lsn, ['schema.public.stock'] = by_lsn,
  ['flat.public.accounts'] = by_lsn, ['gone.public.stock'] = by_lsn,
  ['rows.public.outbox'] = by_lsn, ['outbox.event.wallet'] = by_header,
  ['plain.transaction'] = by_nothing, ['plain.message'] = by_nothing,
  ['__debezium-heartbeat.plain'] = by_nothing,
  ['__debezium-heartbeat.schema'] = by_nothing,
}
-- Where a TRUNCATE comes in order with everything else.
local n_partitions = setmetatable({ ['plain.public.visits'] = 1 }, {
  __index = function() return PARTITIONS end,
})

local function start_run(self)
  self.run = tidemill.start(FOLDER, {
    env = { DATABASE_URL = self.url }, args = { '--workers', '2', '--instance', 'chain' },
  })
end

--- [source]: the URL of the shop's database; [app]: the shop.
function M.new(source, app, random)
  local self = setmetatable({
    app = app, random = random, producer = kafka.producer(), kills = {}, seen = {},
  }, Chain)
  for topic in pairs(topics) do
    self.producer:create_topic(topic, n_partitions[topic])
  end
  self.url, self.db = tidemill.database(FOLDER)
  -- Offsets are written down seldom, so that much is told again.
  self.connect = connect.start(source, connectors, { flush_ms = 3000 })
  start_run(self)
  return self
end

function Chain:destroy()
  self.run:destroy()
  self.connect:destroy()
end

-- Records in Kafka, and records that are committed.
local function n_told(self)
  local n = 0
  for topic in pairs(topics) do
    for i = 0, n_partitions[topic] - 1 do n = n + self.producer:high(topic, i) end
  end
  return n
end

local function n_copied(self)
  return self.db:number('SELECT coalesce(sum(next_offset), 0) FROM tidemill.lane')
end

-- The application writes on until the condition holds.
local function load_until(self, what, condition)
  local function all() return what .. '\n' .. self.run:text() end
  self.connect:wait_for(all, 90, function()
    assert(not self.run.process:status(), 'the run has ended')
    for _ = 1, 4 do self.app:step() end
    return condition()
  end)
end

local function has_got_on(self, who, n_now, n)
  self.seen[who] = self.seen[who] or 0
  return n_now > self.seen[who] + n
end

-- Each victim is hit while it works: since the last blow at it, it has got on.
local victims = {}

function victims.connect(self)
  load_until(self, 'the connectors to tell changes', function()
    return has_got_on(self, 'connect', n_told(self), 500)
  end)
  assert(self.connect:kill())
  self.seen.connect = n_told(self)
  self.connect:restart()
end

local function wait_copying(self)
  load_until(self, 'records to be copied', function()
    return has_got_on(self, 'run', n_copied(self), 200) and #self.run:workers() > 0
  end)
end

function victims.worker(self)
  wait_copying(self)
  local workers = self.run:workers()
  assert(process.signal(workers[self.random(1, #workers)], process.KILL))
  self.seen.run = n_copied(self)
end

function victims.supervisor(self)
  wait_copying(self)
  assert(self.run.process:signal(process.KILL))
  assert(self.run.process:wait(10) == 128 + process.KILL)
  self.seen.run = n_copied(self)
  start_run(self)
end

local function shuffled(list, random)
  for i = #list, 2, -1 do
    local k = random(1, i)
    list[i], list[k] = list[k], list[i]
  end
  return list
end

--- Waits, under load, until everybody works: each connector has written down
--- where it is, and every lane is claimed.
function Chain:wait_until_still()
  load_until(self, 'the connectors to keep their offsets', function()
    return self.connect:has_offsets()
  end)
  local n_lanes = 0
  for topic in pairs(topics) do n_lanes = n_lanes + n_partitions[topic] end
  load_until(self, 'the lanes', function()
    return self.db:number('SELECT count(*) FROM tidemill.lane') == n_lanes
  end)
end

--- Under load kills the connectors once, the supervisor twice and four workers,
--- in an order that the seed decides.
function Chain:suffer()
  local list = { 'connect', 'supervisor', 'supervisor' }
  for _ = 1, 4 do list[#list + 1] = 'worker' end
  for _, victim in ipairs(shuffled(list, self.random)) do
    victims[victim](self)
    self.kills[victim] = (self.kills[victim] or 0) + 1
  end
end

-- Reads on until nothing comes, and notes what was told again.
local function read_on(self, reader, found)
  local record = reader:next(100)
  while record do
    local topic, id = record.topic, topics[record.topic](record)
    if id then
      id = topic .. ' ' .. id
      if found.ids[id] then found.repeated[topic] = found.repeated[topic] + 1 end
      found.ids[id] = true
      if record.value:find(self.app.LAST, 1, true) then found.waiting[topic] = nil end
    end
    found.n = found.n + 1
    record = reader:next(100)
  end
end

--- Writes the last changes, waits until they are in every topic and ends the
--- connectors, which send what they have first; gives how many changes of each
--- topic were told more than once.
function Chain:finish()
  local partitions = {}
  local found = { ids = {}, repeated = {}, waiting = {}, n = 0 }
  for topic, identity in pairs(topics) do
    partitions[topic] = n_partitions[topic]
    if identity ~= by_nothing then
      found.repeated[topic], found.waiting[topic] = 0, true
    end
  end
  self.app:finish()
  local reader = kafka_reader.new(partitions)
  self.connect:wait_for('the last change in every topic', 60, function()
    read_on(self, reader, found)
    return not next(found.waiting)
  end)
  self.connect:stop()
  process.wait_for('the ends of the topics', 30, function()
    read_on(self, reader, found)
    return found.n == n_told(self)
  end)
  reader:close()
  return found.repeated
end

function Chain:wait_caught_up()
  for topic in pairs(topics) do
    self.run:wait_caught_up(self.db, self.producer, topic, n_partitions[topic])
  end
end

-- What is to be equal: a query of the source and one of each copy, every row of
-- them as "key" and "line".
local accounts = [[SELECT id AS key, (owner, balance, version, is_active, opened,
  %s, note, email)::text AS line FROM accounts]]
local stock = [[SELECT warehouse || ' ' || sku AS key, (qty, price)::text AS line
  FROM stock]]
local balances = [[SELECT aggregateid AS key, (min(payload->>'owner'),
    sum((payload->>'amount')::numeric(18,2)), bool_and(type <> 'AccountClosed'),
    count(*))::text AS line
  FROM outbox GROUP BY 1]]
local folded = 'SELECT id AS key, (owner, balance, is_open, version)::text AS line ' ..
  'FROM balances_'

local visits = 'SELECT id AS key, page AS line FROM visits'
local events = [[SELECT id AS key, (aggregateid, type,
  (payload->>'amount')::numeric(18,2))::text AS line FROM outbox]]
local entries = 'SELECT event AS key, (account, kind, amount)::text AS line FROM ledger_'

local totals = [[SELECT payload->>'owner' AS key, (count(*),
    sum((payload->>'amount')::numeric(18,2)))::text AS line
  FROM outbox GROUP BY 1]]

local comparisons = {
  { totals, 'SELECT owner AS key, (n, moved)::text AS line FROM totals' },
  { visits, visits .. '_plain' },
  { events, entries .. 'router' },
  { events, entries .. 'rows' },
  { accounts:format('seen_at'), accounts:format('seen_at') .. '_plain' },
  { accounts:format('seen_at'), accounts:format('seen_at') .. '_schema' },
  { accounts:format('seen_at'), accounts:format('seen_at') .. '_flat' },
  { stock, stock .. '_plain' },
  { stock, stock .. '_schema' },
  { stock, stock .. '_gone' },
  { balances, folded .. 'router' },
  { balances, folded .. 'rows' },
}

--- Raises unless every copy is its source, row by row.
function Chain:check()
  for _, queries in ipairs(comparisons) do
    local want, got = {}, {}
    for _, row in ipairs(self.app.db:rows(queries[1])) do want[row.key] = row.line end
    for _, row in ipairs(self.db:rows(queries[2])) do got[row.key] = row.line end
    assert(next(want), 'the source is empty')
    local n, text = bank.differences(want, got)
    assert(n == 0, ('%s: %d rows differ:\n%s'):format(queries[2]:match('%S+$'), n,
      text:sub(1, 2000)))
  end
end

return M
