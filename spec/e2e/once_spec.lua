-- Records that a connector repeats when it is started again, or that come late:
-- they change nothing, while workers are killed.
local bank = require 'bank'
local kafka = require 'kafka'
local process = require 'process'
local tidemill = require 'tidemill'

local PARTITIONS, SEED, KILLS = 3, tonumber(os.getenv('SEED') or 5), 3

local function pipeline(topics, words, projections)
  return ([[
return pipeline {
  name = 'once',
  source = kafka { brokers = env('KAFKA_BROKERS'), group = '%s', topics = { '%s' },
    start = 'earliest', %s },
  database = postgres { write = env('DATABASE_URL') },
  batch = { size = 25, linger_ms = 5 },
  projections = { %s },
}
]]):format(topics[1], table.concat(topics, "', '"), words, projections)
end

local JSON = "format = 'json', type = 'data.kind'"
local FOLDS = [[
  projection { table = 'accounts', key = { id = { 'bigint', from = 'key' } },
    columns = { total = 'bigint', n = 'bigint', version = 'bigint' },
    initial = { total = 0, n = 0 }, once = { version = 'data.version' },
    on = { added = function(row, event)
      row.total, row.n = row.total + event.data.amount, row.n + 1
    end } },
  projection { table = 'branches', key = { branch = { 'bigint', from = 'data.branch' } },
    columns = { total = 'bigint', n = 'bigint', lsn = 'numeric' },
    initial = { total = 0, n = 0 }, once = { lsn = 'data.lsn' },
    on = { added = function(row, event)
      row.total, row.n = row.total + event.data.amount, row.n + 1
    end } },
  projection { table = 'ledger', append = true, once = 'event_id',
    columns = { event_id = 'text', amount = 'bigint' },
    on = { added = function(row, event)
      row.event_id, row.amount = event.id, event.data.amount
    end } },
]]

-- What an application wrote, in the order of its partitions; and a connector.
local Log = {}
Log.__index = Log

local function new_log(topic)
  local self = setmetatable({ topic = topic, random = bank.random(SEED), n = 0,
    parts = {}, accounts = {}, branches = {} }, Log)
  for p = 0, PARTITIONS - 1 do self.parts[p] = {} end
  return self
end

local function add(rows, key, amount, version)
  local row = rows[key] or { total = 0, n = 0 }
  rows[key] = { total = row.total + amount, n = row.n + 1,
    version = version or row.n + 1 }
  return rows[key]
end

function Log:write(n)
  for _ = 1, n do
    self.n = self.n + 1
    local id, amount = self.random(1, 40), self.random(-500, 500)
    local part = self.parts[id % PARTITIONS]
    local version = add(self.accounts, tostring(id), amount).version
    add(self.branches, tostring(id % PARTITIONS), amount, self.n)
    part[#part + 1] = { id = tostring(id), event_id = 'e' .. self.n,
      value = ('{"kind":"added","amount":%d,"version":%d,"branch":%d,"lsn":%d}'):format(
        amount, version, id % PARTITIONS, self.n) }
  end
end

--- Sends what is new; [again]: and before that so many records of each partition
--- once more, as a connector does that did not note how far it was.
function Log:send(producer, again)
  for p, part in pairs(self.parts) do
    for i = math.max(1, (part.sent or 0) - again + 1), #part do
      local r = part[i]
      producer:send { topic = self.topic, partition = p, key = r.id, value = r.value,
        headers = { id = r.event_id } }
    end
    part.sent = #part
  end
  producer:flush()
end

local function check(db, sql, want)
  local got = {}
  local function text_of(r) return r.total .. ' ' .. r.n .. ' ' .. r.version end
  for _, r in ipairs(db:rows(sql)) do got[r.key] = text_of(r) end
  local wanted = {}
  for key, row in pairs(want) do wanted[key] = text_of(row) end
  local n, text = bank.differences(wanted, got)
  assert.equal(0, n, text)
end

describe('once', function()
  local producer
  lazy_setup(function() producer = kafka.producer() end)

  it('leaves out what a connector repeats, also while workers are killed', function()
    local topic = tidemill.unique('once')
    producer:create_topic(topic, PARTITIONS)
    local bundle = tidemill.bundle {
      ['pipeline.lua'] = pipeline({ topic }, JSON, FOLDS) }
    local url, db = tidemill.database(bundle)
    local run = tidemill.start(bundle, {
      env = { DATABASE_URL = url }, args = { '--workers', '2' },
    })
    finally(function() run:destroy() end)
    run:wait_ready()
    local log, n_kills = new_log(topic), 0
    for _ = 1, KILLS do
      log:write(400)
      log:send(producer, log.random(1, 100))
      process.sleep(log.random(0, 200) / 1000)
      local workers = run:workers()
      local victim = workers[log.random(1, math.max(#workers, 1))]
      if victim and process.signal(victim, process.KILL) then n_kills = n_kills + 1 end
    end
    log:send(producer, 60)
    run:wait_caught_up(db, producer, topic, PARTITIONS, 60)
    check(db, 'SELECT id AS key, total, n, version FROM accounts', log.accounts)
    check(db, 'SELECT branch AS key, total, n, lsn AS version FROM branches',
      log.branches)
    assert.equal(log.n, db:number('SELECT count(DISTINCT event_id) FROM ledger'))
    assert.equal(log.n, db:number('SELECT count(*) FROM ledger'))
    assert.is_true(n_kills > 0)
    assert.equal(0, db:number('SELECT count(*) FROM tidemill.dead_letter'))
    -- The last repetition was seen by workers that still run.
    assert.is_true(run:metric('repeated_total') >= 3 * 60)
    assert.equal(0, (run:stop()))
  end)

  it('of an append wants a unique index of its own', function()
    local topic = tidemill.unique('append')
    producer:create_topic(topic, 1)
    local bundle = tidemill.bundle {
      ['pipeline.lua'] = pipeline({ topic }, JSON, FOLDS) }
    local url, db = tidemill.database(bundle)
    local function says()
      return tidemill.call({ 'check', bundle }, { env = { DATABASE_URL = url } })
    end
    assert.equal(0, says().status)
    db:rows('ALTER TABLE ledger DROP CONSTRAINT ledger_pkey; ' ..
      'CREATE UNIQUE INDEX partly ON ledger (event_id) WHERE amount > 0; ' ..
      'CREATE UNIQUE INDEX wide ON ledger (event_id, amount)')
    local result = says()
    assert.equal(78, result.status, result.text)
    local sql = 'CREATE UNIQUE INDEX ON "ledger" ("event_id");'
    assert.is_truthy(result.text:find(sql, 1, true), result.text)
    local refused = tidemill.until_end(bundle, { env = { DATABASE_URL = url } })
    assert.equal(78, refused.status, refused.text)
    assert.is_truthy(refused.text:find('ledger', 1, true), refused.text)
    db:rows(sql)
    assert.equal(0, says().status)
  end)
end)

-- The rows of a mirror, by what `newer` says.
local function apply(rows, e)
  local have = rows[e.id]
  if e.op == 'd' then
    rows[e.id] = nil
  elseif not have or e.version > have.version then
    rows[e.id] = { version = e.version, note = e.note or have and have.note }
  end
end

local function check_mirror(db, name, rows)
  local want, got = {}, {}
  local function text_of(r) return r.version .. ' ' .. (r.note or '-') end
  for id, row in pairs(rows) do want[id] = text_of(row) end
  for _, r in ipairs(db:rows('SELECT * FROM ' .. name)) do got[r.id] = text_of(r) end
  local n, text = bank.differences(want, got)
  assert.equal(0, n, text)
end

describe('newer', function()
  it('keeps the later version of rows that come late, again and in part', function()
    local producer = kafka.producer()
    local deleting, keeping = tidemill.unique('deleting'), tidemill.unique('keeping')
    producer:create_topic(deleting, 2)
    producer:create_topic(keeping, 2)
    local function mirror(name, topic)
      return ([[projection { table = '%s', mirror = true, topics = { '%s' },
        newer = 'version', key = { id = 'bigint' },
        columns = { version = 'bigint', note = 'text' } },]]):format(name, topic)
    end
    local bundle = tidemill.bundle { ['pipeline.lua'] = pipeline({ deleting, keeping },
      "format = 'debezium', decimals = 'string', times = 'micros'",
      mirror('deleted', deleting) .. mirror('kept', keeping)) }
    local url, db = tidemill.database(bundle)
    -- A record without the note is then a part of a row.
    db:rows('ALTER TABLE kept ALTER COLUMN note SET NOT NULL')
    local random, rows = bank.random(SEED), { [deleting] = {}, [keeping] = {} }
    local function send(topic, e)
      local id = tostring(e.id)
      local note = e.note and (',"note":"%s"'):format(e.note) or ''
      local value = ('{"before":null,"after":{"id":%s,"version":%d%s},"op":"u"}')
        :format(id, e.version, note)
      if e.op == 'd' then
        value = ('{"before":{"id":%s,"version":0},"after":null,"op":"d"}'):format(id)
      end
      apply(rows[topic], e)
      producer:send { topic = topic, partition = tonumber(id) % 2,
        key = ('{"id":%s}'):format(id), value = value }
    end
    for id = 1, 12 do
      send(keeping, { id = tostring(id), version = 0, note = 'first' })
    end
    for i = 1, 1500 do
      local e = { id = tostring(random(1, 12)), note = random(1, 3) > 1 and 'note ' .. i,
        version = random(1, 2 + math.floor(i / 20)) }
      if random(1, 2) == 1 then
        send(keeping, e)
      else
        e.op = random(1, 12) == 1 and 'd' or nil
        send(deleting, e)
      end
    end
    producer:flush()
    local result = tidemill.until_end(bundle, { env = { DATABASE_URL = url } })
    assert.equal(0, result.status, result.text)
    check_mirror(db, 'deleted', rows[deleting])
    check_mirror(db, 'kept', rows[keeping])
    assert.equal(0, db:number('SELECT count(*) FROM tidemill.dead_letter'))
  end)
end)

describe('records that several lanes bring', function()
  it('leave the latest version, and each event once', function()
    local producer, topic = kafka.producer(), tidemill.unique('lanes')
    producer:create_topic(topic, 4)
    local bundle = tidemill.bundle { ['pipeline.lua'] = pipeline({ topic }, JSON, [[
      projection { table = 'latest', mirror = true, newer = 'version',
        key = { id = { 'bigint', from = 'data.id' } },
        columns = { version = 'bigint', note = 'text' } },
      projection { table = 'events', append = true, once = 'event_id',
        columns = { event_id = 'uuid', note = 'text' },
        on = { seen = function(row, event)
          row.event_id, row.note = event.data.uid, event.data.note
        end } },
    ]]) }
    local url, db = tidemill.database(bundle)
    local random, latest, n = bank.random(SEED), {}, 0
    local function send(value)
      producer:send { topic = topic, partition = random(0, 3), value = value }
    end
    local values = {}
    for i = 1, 3000 do
      local id, version = random(1, 25), random(1, 100000)
      local again = i > 1 and random(1, 3) == 1 and values[random(1, #values)]
      local value = again or ('{"kind":"seen","id":%d,"version":%d,"note":"n%d",' ..
        '"uid":"00000000-0000-0000-0000-%012d"}'):format(id, version * 3000 + i, i, i)
      if not again then
        n, values[#values + 1] = n + 1, value
        local row = latest[tostring(id)]
        if not row or row.version < version * 3000 + i then
          latest[tostring(id)] = { version = version * 3000 + i, note = 'n' .. i }
        end
      end
      send(value)
    end
    producer:flush()
    local run = tidemill.start(bundle, {
      env = { DATABASE_URL = url }, args = { '--workers', '2' },
    })
    finally(function() run:destroy() end)
    run:wait_caught_up(db, producer, topic, 4)
    check_mirror(db, 'latest', latest)
    assert.equal(n, db:number('SELECT count(*) FROM events'))
    run:wait_counted(3000 - n, 'repeated_total')
    assert.equal(0, (run:stop()))
  end)
end)
