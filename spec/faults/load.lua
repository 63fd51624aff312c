-- The load: seeded records for both pipelines, told to their models as they are
-- sent. How many are sent depends on the clock; what the n-th is does not.
local bank = require 'bank'
local debezium = require 'debezium'
local model = require 'spec.faults.model'

local ACCOUNTS, OWNERS, BUCKETS = 120, 12, 10
-- Accounts above it are made to fail; the others never do, so that held keys
-- do not dry up the load.
local FIRST_FRAGILE = 1000000
-- Those that a fault lets fail have others, by which its SQL knows them.
local FIRST_OF_FAULTS = 2000000

local M = {}
local Load = {}
Load.__index = Load

--- [options]: producer, seed, mill, copy (topics), partitions, has_poison.
function M.new(options)
  return setmetatable({
    producer = options.producer,
    random = bank.random(options.seed),
    random_of_faults = bank.random(options.seed + 1),
    has_poison = options.has_poison,
    n_partitions = options.partitions,
    mill = model.new(options.mill, options.partitions),
    copy = debezium.new {
      envelope = 'bare', seed = options.seed, topic = options.copy,
      partitions = options.partitions, ids = 80,
    },
    n_copied = {}, -- partition of the topic "copy" -> records produced
    n_events = 0,
    n_fragile = 0, n_of_faults = 0,
    fragile = nil, -- the account that is being made to fail, and its next step
  }, Load)
end

local poisons = { 'raises', 'refused', 'repeated', 'garbled' }

local function ordinary(self, account, random)
  local event = {
    seq = self.n_events, account = account, partition = account % self.n_partitions,
    kind = random(1, 5) == 1 and 'noted' or 'moved',
    owner = 'owner-' .. random(1, OWNERS), bucket = 'bucket-' .. random(1, BUCKETS),
    cents = random(1, 50000),
  }
  if event.kind == 'noted' then event.note = ('n'):rep(random(1, 40)) end
  return event
end

-- Three good records, the one that fails, and two that are held behind it.
local function next_fragile(self)
  if not self.fragile then
    self.n_fragile = self.n_fragile + 1
    self.fragile = { account = FIRST_FRAGILE + self.n_fragile, step = 0 }
  end
  local f = self.fragile
  f.step = f.step + 1
  local event = ordinary(self, f.account, self.random)
  event.kind, event.note = 'moved', nil
  if f.step == 1 then event.code = 'code-' .. f.account end
  if f.step == 4 then
    event.poison = poisons[self.n_fragile % #poisons + 1]
    if event.poison == 'repeated' then event.code = 'code-' .. f.account end
    if event.poison == 'refused' then event.cents = 66600 end
  end
  if f.step == 6 then self.fragile = nil end
  return event
end

-- What a fault's own records say beside the others: see model.lua.
--
-- 666.00 is refused by a CHECK of the ledger; a code twice by its UNIQUE.
local function value_of(event)
  if event.poison == 'garbled' then return '{"kind":"moved","seq' end
  local fields = { ('"kind":"%s","seq":%d'):format(event.kind, event.seq),
    ('"owner":"%s","bucket":"%s"'):format(event.owner, event.bucket) }
  if event.kind == 'moved' then
    fields[#fields + 1] = '"amount":' .. bank.money(event.cents)
  end
  if event.note then fields[#fields + 1] = ('"note":"%s"'):format(event.note) end
  if event.code then fields[#fields + 1] = ('"code":"%s"'):format(event.code) end
  if event.poison == 'raises' then fields[#fields + 1] = '"poison":true' end
  if event.more then fields[#fields + 1] = ('"more":"%s"'):format(event.more) end
  if event.clears then fields[#fields + 1] = '"clears":true' end
  if event.spin then fields[#fields + 1] = ('"spin":%d'):format(event.spin) end
  if event.mask then fields[#fields + 1] = ('"mask":%d'):format(event.mask) end
  if event.name then
    fields[#fields + 1] = ('"name":"%s","prices":{"%s":%d}'):format(event.name,
      event.name, event.seq)
  end
  return '{' .. table.concat(fields, ',') .. '}'
end

local function produce(self, event)
  self.mill:produce(event)
  self.producer:send {
    topic = self.mill.topic, partition = event.partition,
    key = tostring(event.account), value = value_of(event),
  }
end

local function send_event(self)
  self.n_events = self.n_events + 1
  local event
  if self.has_poison and self.random(1, 40) == 1 then
    event = next_fragile(self)
  else
    event = ordinary(self, self.random(1, ACCOUNTS), self.random)
  end
  produce(self, event)
end

local function send_change(self)
  for _, record in ipairs(self.copy:change()) do
    self.n_copied[record.partition] = (self.n_copied[record.partition] or 0) + 1
    self.producer:send(record)
  end
end

--- Sends one event of a fault, between the others: [fields] are those that
--- value_of() knows, and [account], whose lane is account % partitions. Its
--- sequence number.
function Load:send_one(account, fields)
  self.n_events = self.n_events + 1
  local event = ordinary(self, account, self.random_of_faults)
  event.kind, event.note = fields.kind or 'noted', nil
  for name, value in pairs(fields) do event[name] = value end
  produce(self, event)
  return event.seq
end

--- Sends an account's three good events, one that [fields] let the database keep
--- back, and two that are held behind it. The account.
function Load:send_kept_back(poison, fields)
  self.n_of_faults = self.n_of_faults + 1
  local account = FIRST_OF_FAULTS + self.n_of_faults
  for step = 1, 6 do
    local event = { kind = 'moved' }
    for name, value in pairs(step == 4 and fields or {}) do event[name] = value end
    if step == 4 then event.poison = poison end
    self:send_one(account, event)
  end
  return account
end

--- Queues [n] events of the mill, and some changes of the copied table. It does
--- not wait for Kafka, which may be away just now.
function Load:send(n)
  for i = 1, n do
    send_event(self)
    if i % 4 == 0 then send_change(self) end
  end
end

--- Where each lane will end: topic -> partition -> offset.
function Load:ends()
  local ends = { [self.mill.topic] = {}, [self.copy.topic] = {} }
  for p = 0, self.n_partitions - 1 do
    ends[self.mill.topic][p] = self.mill.n_sent[p]
    ends[self.copy.topic][p] = self.n_copied[p] or 0
  end
  return ends
end

function Load:n_produced()
  local n = self.mill:n_produced()
  for _, sent in pairs(self.n_copied) do n = n + sent end
  return n
end

return M
