-- The program under test: bundles written from text, runs in the foreground
-- and in the background, and what the admin port says.
local ffi = require 'ffi'
local json = require 'cjson'
local pg = require 'pg'
local process = require 'process'

-- Each spec file is a process of its own.
ffi.cdef 'int getpid(void);'

local M = {}
local Run = {}
Run.__index = Run
M.Run = Run

local binary = os.getenv('TIDEMILL')
local scratch = os.getenv('TIDEMILL_SCRATCH') or '/tmp'
local serial = 0

--- A name that no other spec of this run has: for topics, databases, folders.
function M.unique(prefix)
  serial = serial + 1
  local file = debug.getinfo(2, 'S').short_src:match('([%w]+)_spec%.lua') or 'x'
  return ('%s_%s_%d_%d'):format(prefix, file, ffi.C.getpid(), serial)
end

function M.read(path)
  local f = io.open(path, 'rb')
  if not f then return '' end
  local text = f:read('*a')
  f:close()
  return text
end

function M.write(path, text)
  local f = assert(io.open(path, 'wb'))
  f:write(text)
  f:close()
end

--- Runs a shell command; its output and whether it succeeded.
function M.shell(command)
  local pipe = assert(io.popen('{ ' .. command .. '\n} 2>&1; echo "status=$?"'))
  local out = pipe:read('*a')
  pipe:close()
  local text, status = out:match('^(.*)status=(%d+)\n$')
  return text, tonumber(status)
end

--- A folder with the given files ({ ['pipeline.lua'] = text, ... }).
function M.bundle(files)
  local folder = ('%s/%s'):format(scratch, M.unique('bundle'))
  for name, text in pairs(files) do
    M.shell(('mkdir -p %s/$(dirname %s)'):format(folder, name))
    M.write(folder .. '/' .. name, text)
  end
  return folder
end

--- A copy of an example with other words in its pipeline.lua: [change] maps
--- what stands there to what shall stand there, and each must be found.
function M.example(name, change)
  local folder = ('%s/%s'):format(scratch, M.unique(name))
  local text, status = M.shell(('cp -r %s/examples/%s %s'):format(
    os.getenv('TIDEMILL_ROOT'), name, folder))
  assert(status == 0, text)
  local pipeline = M.read(folder .. '/pipeline.lua')
  for from, to in pairs(change) do
    local at, behind = pipeline:find(from, 1, true)
    assert(at, from .. ' does not stand in the pipeline')
    pipeline = pipeline:sub(1, at - 1) .. to .. pipeline:sub(behind + 1)
  end
  M.write(folder .. '/pipeline.lua', pipeline)
  return folder
end

--- Is the program a build with AddressSanitizer? Memory that is given back stays
--- in its quarantine then, and its own malloc cannot be replaced.
function M.is_sanitized()
  local _, status = M.shell('grep -q __asan_init ' .. binary)
  return status == 0
end

local defaults = {
  KAFKA_BROKERS = os.getenv('KAFKA_BROKERS'),
  -- The sanitizers' leak report at exit is not what a spec looks for.
  ASAN_OPTIONS = 'detect_leaks=0',
}

local function environment(extra)
  local env = {}
  for name, value in pairs(defaults) do env[name] = value end
  for name, value in pairs(extra or {}) do env[name] = value end
  return env
end

-- An operator's verbs are not of the role that runs the pipeline.
local function as_operator(env)
  local url = env and env.DATABASE_URL
  if not url or not url:find('//mill@', 1, true) then return env end
  local copy = {}
  for name, value in pairs(env) do copy[name] = value end
  copy.DATABASE_URL = pg.as('desk', url)
  return copy
end

--- Starts the program; the function that is returned waits for its end, and returns
--- { status, out, err, text = out and err }.
---@param argv string[] without the program's name
---@param options? { env: table, seconds: number }
function M.begin(argv, options)
  options = options or {}
  if argv[1] == 'lane' or argv[1] == 'dlq' then
    options = { env = as_operator(options.env), seconds = options.seconds }
  end
  local base = ('%s/%s'):format(scratch, M.unique('call'))
  local p = process.start({ binary, unpack(argv) }, {
    out = base .. '.out', err = base .. '.err', env = environment(options.env),
  })
  return function()
    local ended, status = pcall(p.wait, p, options.seconds or 60)
    if not ended then p:destroy() end
    local out, err = M.read(base .. '.out'), M.read(base .. '.err')
    if not ended then error(status .. '\n' .. out .. err, 2) end
    return { status = status, out = out, err = err, text = out .. err }
  end
end

--- Runs the program to its end.
function M.call(argv, options)
  return M.begin(argv, options)()
end

--- A TCP port that nobody listens at.
function M.free_port()
  local pipe = io.popen('luajit spec/support/free_ports.lua 1')
  local port = pipe:read('*n')
  pipe:close()
  return port
end

--- `tidemill run` in the background. [options]: args, env; out: where its log goes
--- instead, and log: where it can be read then.
function M.start(path, options)
  options = options or {}
  local port = options.port or M.free_port()
  local argv = { binary, 'run', path, '--admin', '127.0.0.1:' .. port }
  for _, word in ipairs(options.args or {}) do argv[#argv + 1] = word end
  local log = options.log or ('%s/%s.log'):format(scratch, M.unique('run'))
  local p = process.start(argv, {
    out = options.out or log, env = environment(options.env),
  })
  return setmetatable({ process = p, port = port, log = log }, Run)
end

--- `tidemill run --until-end`; the result of call().
function M.until_end(path, options)
  options = options or {}
  -- One name for all: another one would wait for the last one's session to end.
  local argv = { 'run', path, '--until-end', '--instance', 'until-end', '--admin', 'off' }
  for _, word in ipairs(options.args or {}) do argv[#argv + 1] = word end
  return M.call(argv, options)
end

function Run:text() return M.read(self.log) end

--- Body and HTTP status of an admin page; nil when nobody answers.
function Run:get(page)
  local pipe = io.popen(('curl -s -m 5 -w "\\n%%{http_code}" http://127.0.0.1:%d%s')
    :format(self.port, page))
  local body, status = pipe:read('*a'):match('^(.*)\n(%d+)$')
  pipe:close()
  status = tonumber(status)
  if not status or status == 0 then return nil end
  return body, status
end

function Run:status()
  local body, status = self:get('/status')
  return status == 200 and json.decode(body) or nil
end

--- Lanes that its workers read; 0 when nobody answers.
function Run:n_running()
  local n = 0
  for _, lane in ipairs((self:status() or { lanes = {} }).lanes) do
    if lane.state == 'running' then n = n + 1 end
  end
  return n
end

--- The sum of a metric over all its labels, or of the lines whose labels hold
--- [label]; nil when there is no such line.
function Run:metric(name, label)
  local sum
  for labels, value in (self:get('/metrics') or ''):gmatch(
    'tidemill_' .. name .. '(%b{}) ([%d.e+-]+)') do
    if not label or labels:find(label, 1, true) then
      sum = (sum or 0) + tonumber(value)
    end
  end
  return sum
end

--- Waits for a condition; says what the program logged when it never comes.
function Run:wait_for(what, seconds, condition)
  return process.wait_for(function() return what .. '\n' .. self:text() end, seconds,
    function()
      assert(not self.process:status(), what .. ': the run has ended:\n' .. self:text())
      return condition()
    end)
end

--- A counter comes to [value]. A transaction is seen in the database before the worker
--- has its answer, and counts.
function Run:wait_counted(value, name, label)
  self:wait_for(('%s to be %d'):format(name, value), 30, function()
    return self:metric(name, label) == value
  end)
end

function Run:wait_ready(seconds)
  self:wait_for('readiness', seconds or 30, function()
    local _, status = self:get('/readyz')
    return status == 200
  end)
end

function Run:workers() return process.children(self.process.pid) end

--- Asks for a stop; exit status and how long it took.
function Run:stop(seconds)
  local from = process.now()
  self.process:signal(process.TERM)
  local ended, status = pcall(self.process.wait, self.process, seconds or 15)
  if not ended then error(status .. '\n' .. self:text(), 2) end
  return status, process.now() - from
end

--- For finally(): whatever happened, nothing runs on.
function Run:destroy() self.process:destroy() end

--- True when every lane's position in the database is the end of its
--- partition.
function M.is_caught_up(db, producer, topic, n_partitions)
  local positions = db:by('partition',
    ("SELECT partition, next_offset FROM tidemill.lane WHERE topic = '%s'"):format(topic))
  for i = 0, n_partitions - 1 do
    local row = positions[tostring(i)]
    if (row and tonumber(row.next_offset) or 0) < producer:high(topic, i) then
      return false
    end
  end
  return true
end

function Run:wait_caught_up(db, producer, topic, n_partitions, seconds)
  self:wait_for('every record to be committed', seconds or 60, function()
    return M.is_caught_up(db, producer, topic, n_partitions)
  end)
end

--- Makes the tables of the bundle as the database's owner, and grants the role
--- that runs it and the operator what they need.
function M.apply(path, env)
  local as_owner = {}
  for name, value in pairs(env) do as_owner[name] = value end
  as_owner.DATABASE_URL = pg.as('postgres', env.DATABASE_URL)
  local result = M.call({ 'schema', path, '--role', 'mill', '--operator', 'desk',
    '--apply' }, { env = as_owner })
  assert(result.status == 0, 'schema --apply: ' .. result.text)
end

--- A new database with the tables of the bundle; the URL of the role that runs
--- it, and a connection of the superuser. [sql] runs first.
function M.database(path, sql)
  local url, db = pg.create(M.unique('db'))
  if sql then db:rows(sql) end
  url = pg.as('mill', url)
  if path then M.apply(path, { DATABASE_URL = url }) end
  return url, db
end

return M
