-- Everything that a schedule of faults acts on: two pipelines under load in one
-- database, the processes that run them, and the ways to look at them.
local bank = require 'bank'
local broker = require 'spec.faults.broker'
local kafka = require 'kafka'
local load = require 'spec.faults.load'
local pg = require 'pg'
local process = require 'process'
local proxy = require 'spec.faults.proxy'
local tidemill = require 'tidemill'

local PARTITIONS = 4
local RATE = tonumber(os.getenv('FAULT_RATE') or 300) -- events a second

local M = {}
local World = {}
World.__index = World

local bundles = {
  mill = { path = 'spec/faults/mill', workers = 2 },
  copy = { path = 'spec/faults/copy', workers = 1 },
}

-- Chosen together, so that they differ; a supervisor keeps its own.
local function free_ports(n)
  local pipe, ports = io.popen('luajit spec/support/free_ports.lua ' .. n), {}
  for i = 1, n do ports[i] = pipe:read('*n') end
  pipe:close()
  return ports
end

-- What the rules of the ledger refuse is poison; place tells in which order its
-- rows were committed.
local CONSTRAINTS = [[
ALTER TABLE ledger ADD COLUMN place bigint GENERATED ALWAYS AS IDENTITY,
  ADD CONSTRAINT refuses CHECK (amount <> 666), ADD CONSTRAINT once UNIQUE (code)]]

local function apply_schema(world)
  for _, bundle in pairs(bundles) do
    tidemill.apply(bundle.path, world.env)
  end
  world.db:rows(CONSTRAINTS)
end

-- A harness whose session hangs with the server would measure nothing.
local function direct_url(url)
  return url .. '?connect_timeout=5&keepalives_idle=5&tcp_user_timeout=20000'
end

-- Tidemill reaches PostgreSQL through a proxy, and Kafka too when a fault wants
-- that; we go straight to them.
local function add_proxies(world, url, has_kafka_proxy)
  world.proxy = proxy.start { to = url:match('@([%d.]+:%d+)') }
  world.direct_url = direct_url(pg.as('postgres', url))
  world.pg_url = world.proxy:url(url)
  world.brokers = os.getenv('KAFKA_BROKERS')
  if has_kafka_proxy then broker.add_proxy(world) end
end

--- [options]: seed, has_poison, has_kafka_proxy.
function M.new(options)
  local world = setmetatable({
    seed = options.seed,
    scratch = os.getenv('TIDEMILL_SCRATCH'),
    producer = kafka.producer(),
    topics = { mill = tidemill.unique('mill'), copy = tidemill.unique('copy') },
    n_partitions = PARTITIONS,
    runs = {},
    ports = free_ports(16), -- of supervisors that are yet to come
    stalls = {}, -- fault -> longest stall after it, in seconds
    logs = {},   -- of every run there was: { path, may_abort }
    counts = {}, -- fault -> how often it provably happened
    random = bank.random(options.seed), -- for faults beside their own
    began = process.now(),
  }, World)
  for _, topic in pairs(world.topics) do
    world.producer:create_topic(topic, PARTITIONS)
  end
  world.load = load.new {
    producer = world.producer, seed = options.seed, partitions = PARTITIONS,
    mill = world.topics.mill, copy = world.topics.copy,
    has_poison = options.has_poison,
  }
  local url
  url, world.db = tidemill.database()
  add_proxies(world, url, options.has_kafka_proxy)
  world.env = {
    DATABASE_URL = world.pg_url, FAULTS_BROKERS = world.brokers,
    FAULTS_MILL = world.topics.mill, FAULTS_COPY = world.topics.copy,
  }
  apply_schema(world)
  return world
end

function World:log(text)
  io.write(('     %6.1f s  %s\n'):format(process.now() - self.began,
    text))
  io.flush()
end

-- So that pg_stat_activity tells the sessions of one supervisor from another's.
local function named_url(url, instance)
  return url .. (url:find('?', 1, true) and '&' or '?') ..
    'application_name=tidemill-' .. instance
end

local function launch(world, run)
  local options = run.options
  local env = {}
  for name, value in pairs(world.env) do env[name] = value end
  for name, value in pairs(options.env or {}) do env[name] = value end
  env.DATABASE_URL = named_url(env.DATABASE_URL, run.instance)
  local started = tidemill.start(bundles[run.pipeline].path, { env = env, args = {
    '--workers', tostring(options.workers or bundles[run.pipeline].workers),
    '--instance', run.instance,
  }, port = run.port, out = options.out, log = options.log })
  run.process, run.log = started.process, started.log
  world.logs[#world.logs + 1] = { path = run.log, may_abort = options.may_abort }
  if options.may_abort then
    local list = assert(io.open(world.scratch .. '/may_abort', 'a'))
    list:write(run.log, '\n')
    list:close()
  end
end

--- Starts a supervisor and adds it to world.runs. [options]: pipeline ('mill'
--- or 'copy'), instance, workers, env; out and log: see tidemill.start;
--- may_abort: its workers may die of what is done to them (a failing malloc).
function World:start_run(options)
  options = options or {}
  local pipeline = options.pipeline or 'mill'
  local run = setmetatable({
    pipeline = pipeline, options = options,
    instance = options.instance or pipeline .. '-one',
    port = table.remove(self.ports),
  }, tidemill.Run)
  launch(self, run)
  self.runs[#self.runs + 1] = run
  return run
end

--- Starts a run that has ended again, under its old name.
function World:restart(run)
  if not run.process:status() then run:destroy() end
  launch(self, run)
end

--- Stops a run for good, with [signal] (TERM), and takes it out of world.runs.
function World:retire(run, signal)
  for i, other in ipairs(self.runs) do
    if other == run then table.remove(self.runs, i) end
  end
  run.process:signal(process.CONT)
  run.process:signal(signal or process.TERM)
  local status = self:wait_for('the end of ' .. run.instance, 20, function()
    return run.process:status()
  end)
  run:destroy()
  table.insert(self.ports, 1, run.port)
  return status
end

--- The run of this name, or nil.
function World:run_named(instance)
  for _, run in ipairs(self.runs) do
    if run.instance == instance then return run end
  end
end

--- One of the runs; of [pipeline] alone when it is given.
function World:pick(random, pipeline)
  local list = {}
  for _, run in ipairs(self.runs) do
    if not pipeline or run.pipeline == pipeline then list[#list + 1] = run end
  end
  return list[random(1, #list)]
end

--- Queues [n] events, and tells the models.
function World:send(n) self.load:send(n) end

-- The load flows while anything is waited for: as many events as are due.
local function pump(world)
  local now = process.now()
  local due = math.floor((now - (world.pumped_at or now)) * RATE)
  if due > 0 or not world.pumped_at then
    world.load:send(math.min(due, RATE))
    world.pumped_at = now
  end
end

--- Waits under load for a condition that may raise meanwhile.
function World:wait_for(what, seconds, condition)
  return process.wait_for(what, seconds, function()
    if not self.is_quiet then pump(self) end
    return condition()
  end)
end

--- Lets [seconds] go by under load.
function World:sleep(seconds)
  local deadline = process.now() + seconds
  self:wait_for('time', seconds + 60, function() return process.now() >= deadline end)
end

--- A fresh session for the checks, once the server lets one in.
function World:reconnect()
  pcall(self.db.close, self.db)
  self.db = self:wait_for('PostgreSQL to let us in', 60, function()
    return pg.connect(self.direct_url)
  end)
  return self.db
end

--- Lifts what refused records, and asks for every dead letter to be tried again.
function World:ask_for_retry()
  self:rows('ALTER TABLE ledger DROP CONSTRAINT refuses, DROP CONSTRAINT once')
  self:rows("UPDATE tidemill.dead_letter SET retry_at = now() WHERE pipeline = 'mill'")
  self.load.mill:retry()
end

--- Rows of a query; asked again on a new session when the server went away.
function World:rows(sql)
  local ok, rows = pcall(self.db.rows, self.db, sql)
  if ok then return rows end
  self:reconnect()
  return self.db:rows(sql)
end

--- Where the lanes stand: 'topic/partition' -> { position, epoch, owner }.
function World:lanes()
  local lanes = {}
  for _, r in ipairs(self:rows(
    'SELECT topic, partition, next_offset, epoch, owner, halted FROM tidemill.lane')) do
    lanes[r.topic .. '/' .. r.partition] = {
      position = tonumber(r.next_offset), epoch = tonumber(r.epoch), owner = r.owner,
      halted = r.halted,
    }
  end
  return lanes
end

--- Sum of a metric over all runs; nil when one of them does not answer.
function World:metric(name)
  local sum = 0
  for _, run in ipairs(self.runs) do
    local value = run:metric(name)
    if not value then return nil end
    sum = sum + value
  end
  return sum
end

--- Raises when a supervisor has ended that nobody ended.
function World:check_runs()
  for _, run in ipairs(self.runs) do
    local status = run.process:status()
    if status then
      error(('%s has ended with %d:\n%s'):format(run.instance, status, run:text()), 2)
    end
  end
end

function World:wait_ready(seconds)
  for _, run in ipairs(self.runs) do
    self:wait_for(function()
      return run.instance .. ' to be ready\n' .. run:text():sub(-3000)
    end, seconds or 60, function()
      return select(2, run:get('/readyz')) == 200
    end)
  end
end

--- Ends everything; for finally().
function World:destroy()
  for _, run in ipairs(self.runs) do run:destroy() end
  self.proxy:stop()
  if self.kafka_proxy then self.kafka_proxy:stop() end
end

return M
