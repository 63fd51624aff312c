-- A Kafka Connect worker with Debezium's PostgreSQL connectors in it. Offsets are
-- in a file, so that one that was killed goes on where it last wrote them down,
-- and repeats what came behind.
local json = require 'cjson'
local pg = require 'pg'
local process = require 'process'
local tidemill = require 'tidemill'

local M = {}
local Worker = {}
Worker.__index = Worker

local OUTBOX = {
  transforms = 'outbox',
  ['transforms.outbox.type'] = 'io.debezium.transforms.outbox.EventRouter',
  ['transforms.outbox.table.fields.additional.placement'] = 'type:header:eventType',
  ['value.converter'] = 'org.apache.kafka.connect.storage.StringConverter',
  ['key.converter'] = 'org.apache.kafka.connect.storage.StringConverter',
}

--- Settings of an outbox's connector, as examples/README.md recommends them.
function M.outbox(settings)
  local all = {}
  for name, value in pairs(OUTBOX) do all[name] = value end
  for name, value in pairs(settings) do all[name] = value end
  return all
end

-- [database]: a URL of libpq, as pg.create() gives it.
local function connector(name, database, settings)
  local host, port, dbname = database:match('@([^:]+):(%d+)/(.+)$')
  local all = {
    name = name, ['topic.prefix'] = name, ['slot.name'] = name,
    ['publication.name'] = name, ['publication.autocreate.mode'] = 'filtered',
    ['connector.class'] = 'io.debezium.connector.postgresql.PostgresConnector',
    ['plugin.name'] = 'pgoutput', ['tasks.max'] = 1,
    ['database.hostname'] = host, ['database.port'] = port,
    ['database.user'] = 'postgres', ['database.dbname'] = dbname,
    ['key.converter'] = 'org.apache.kafka.connect.json.JsonConverter',
    ['value.converter'] = 'org.apache.kafka.connect.json.JsonConverter',
    ['key.converter.schemas.enable'] = 'false',
    ['value.converter.schemas.enable'] = 'false',
    -- The broker makes no topic by itself; Connect does, with these.
    ['topic.creation.default.replication.factor'] = 1,
    ['topic.creation.default.partitions'] = 1,
    -- A batch of changes reaches Kafka at once.
    ['poll.interval.ms'] = 50, ['slot.retry.delay.ms'] = 500,
  }
  for setting, value in pairs(settings) do all[setting] = value end
  return all
end

local function write_properties(path, properties)
  local lines = {}
  for name, value in pairs(properties) do
    lines[#lines + 1] = ('%s=%s'):format(name, tostring(value))
  end
  tidemill.write(path, table.concat(lines, '\n') .. '\n')
end

--- [database]: where the connectors read; [connectors]: settings by name, which
--- is the prefix of the topics and the slot too. [options]: flush_ms, how often
--- offsets are written down.
function M.start(database, connectors, options)
  local scratch = os.getenv('TIDEMILL_SCRATCH')
  local folder = ('%s/%s'):format(scratch, tidemill.unique('connect'))
  tidemill.shell('mkdir -p ' .. folder)
  local port = tidemill.free_port()
  local worker = setmetatable({
    folder = folder, port = port, database = database, names = {},
    argv = { 'spec/support/connect/start.sh', folder .. '/worker.properties' },
  }, Worker)
  tidemill.write(folder .. '/worker.properties',
    tidemill.read('spec/support/connect/worker.properties') .. ([[
bootstrap.servers=%s
listeners=http://127.0.0.1:%d
offset.storage.file.filename=%s/offsets
offset.flush.interval.ms=%d
]]):format(os.getenv('KAFKA_BROKERS'), port, folder,
    options and options.flush_ms or 1000))
  for name, settings in pairs(connectors) do
    local path = ('%s/%s.properties'):format(folder, name)
    write_properties(path, connector(name, database, settings))
    table.insert(worker.argv, path)
    table.insert(worker.names, name)
  end
  worker:restart()
  return worker
end

--- After its end: the same again, with the offsets that were written down.
function Worker:restart()
  self.process = process.start(self.argv, { out = self.folder .. '/connect.out' })
end

function Worker:text() return tidemill.read(self.folder .. '/connect.out') end

function Worker:get(page)
  local text = tidemill.shell(
    ('curl -s -m 5 http://127.0.0.1:%d%s'):format(self.port, page))
  local ok, value = pcall(json.decode, text)
  return ok and value or nil
end

--- Raises when a task has failed or the worker has ended.
function Worker:check()
  assert(not self.process:status(), 'Kafka Connect has ended')
  for _, name in ipairs(self.names) do
    local status = self:get('/connectors/' .. name .. '/status') or {}
    for _, task in ipairs(status.tasks or {}) do
      assert(task.state ~= 'FAILED', ('connector %s: %s'):format(name, task.trace or ''))
    end
  end
end

--- Waits for a condition; says what the worker logged when it never comes.
function Worker:wait_for(what, seconds, condition)
  local n = 0
  local function all()
    local text = type(what) == 'function' and what() or what
    return text .. '\n' .. self:text():sub(-4000)
  end
  return process.wait_for(all, seconds, function()
    n = n + 1
    if n % 100 == 0 then self:check() end
    return condition()
  end)
end

-- How many slots of the database satisfy a condition.
local function n_slots(db, condition)
  return db:number('SELECT count(*) FROM pg_replication_slots ' ..
    'WHERE database = current_database() AND ' .. condition)
end

--- Waits until every connector streams: PostgreSQL shows that its slot is held.
function Worker:wait_streaming(seconds)
  local db = assert(pg.connect(self.database))
  self:wait_for('the connectors to stream', seconds or 90, function()
    return n_slots(db, 'active') == #self.names
  end)
  db:close()
end

--- Has every connector written down where it is in the stream? One that is killed
--- before takes a new snapshot when it comes back, which tells of no row that is
--- gone since.
function Worker:has_offsets()
  for _, name in ipairs(self.names) do
    local kept = self:get('/connectors/' .. name .. '/offsets')
    local at = kept and kept.offsets and kept.offsets[1]
    if not at or at.offset.snapshot or not at.offset.lsn_commit then return false end
  end
  return true
end

--- Dies at once, with all its connectors; true when it was alive.
function Worker:kill()
  local was_alive = self.process:signal(process.KILL)
  self.process:wait(10)
  return was_alive and self.process:status() == 128 + process.KILL
end

--- Ends as asked: what was read is sent, and the offsets are written down.
function Worker:stop()
  self.process:signal(process.TERM)
  self.process:wait(60)
end

--- Nothing is left of it, its slots neither: they belong to the server, and keep
--- what the next connector of such a name would read.
function Worker:destroy()
  self.process:destroy()
  local db = assert(pg.connect(self.database))
  process.wait_for('the slots to be free', 30, function()
    return n_slots(db, 'active') == 0
  end)
  db:rows [[SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots
    WHERE database = current_database()]]
  db:close()
end

return M
