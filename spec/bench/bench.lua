-- The bench itself: fills the topics, runs every contestant ROUNDS times on an
-- empty table and prints medians. Called by run.
local ffi = require 'ffi'
local gauge = require 'gauge'
local load = require 'load'
local pg = require 'pg'
local process = require 'process'
local tidemill = require 'tidemill'

ffi.cdef [[
struct bench_usage { long utime[2]; long stime[2]; long rest[14]; };
int getrusage(int, struct bench_usage *);
]]

local CHILDREN = -1
local EVENTS = tonumber(os.getenv('EVENTS') or 1000000)
local ROUNDS = tonumber(os.getenv('ROUNDS') or 3)
local CASES = os.getenv('CASES') or 'u z f'
local WORKERS = os.getenv('WORKERS') or '1'
local BATCH = 10000
local brokers = os.getenv('KAFKA_BROKERS')

-- CPU seconds of all children that have ended and were waited for, and of
-- their own such children.
local function children_cpu()
  local u = ffi.new('struct bench_usage')
  ffi.C.getrusage(CHILDREN, u)
  return tonumber(u.utime[0] + u.stime[0]) + tonumber(u.utime[1] + u.stime[1]) / 1e6
end

-- Peaks of resident memory by process id; summed by the caller.
local function note_memory(peaks, pid)
  local kb = tidemill.read(('/proc/%d/status'):format(pid)):match('VmHWM:%s*(%d+)')
  if kb then peaks[pid] = tonumber(kb) end
end

-- From the first commit that is seen to the last: what the start costs is the
-- other number.
local function watch(run, db)
  local seen = { peaks = {} }
  while not run.process:status() do
    local at, n = process.now(), gauge.position(db)
    if n > 0 and not seen.first then seen.first, seen.first_n = at, n end
    if n ~= seen.n then seen.last, seen.n = at, n end
    note_memory(seen.peaks, run.process.pid)
    for _, pid in ipairs(run:workers()) do note_memory(seen.peaks, pid) end
    process.sleep(0.02)
  end
  return seen
end

local n_runs = 0
local function run_tidemill(folder, topic)
  n_runs = n_runs + 1
  local env = { BENCH_TOPIC = topic, BENCH_GROUP = topic .. n_runs }
  local url, db = pg.create('bench' .. n_runs)
  env.DATABASE_URL = url
  local schema = tidemill.call({ 'schema', folder, '--apply' }, { env = env })
  assert(schema.status == 0, schema.text)
  local cpu, from = children_cpu(), process.now()
  local run = tidemill.start(folder, { env = env,
    args = { '--until-end', '--workers', WORKERS } })
  local seen = watch(run, db)
  local total = process.now() - from
  assert(run.process:status() == 0, run:text())
  assert(gauge.position(db) == EVENTS, 'the positions do not add up')
  local memory = 0
  for _, kb in pairs(seen.peaks) do memory = memory + kb end
  local steady = seen.last and seen.last > seen.first and
    (EVENTS - seen.first_n) / (seen.last - seen.first)
  return {
    rate = steady or EVENTS / total, total = EVENTS / total,
    cpu = (children_cpu() - cpu) / EVENTS * 1e6, mb = memory / 1024,
  }
end

local function run_bare(arguments)
  local text, status = tidemill.shell(os.getenv('BARE') .. ' ' .. arguments)
  assert(status == 0, text)
  local seconds, cpu = text:match('([%d.]+) ([%d.]+)')
  return { rate = EVENTS / seconds, total = EVENTS / seconds, cpu = cpu / EVENTS * 1e6 }
end

local function run_writer(kind, connections)
  n_runs = n_runs + 1
  local url, db = pg.create('bench' .. n_runs)
  db:rows [[CREATE TABLE accounts (id bigint PRIMARY KEY, owner text,
    balance_cents bigint, is_active boolean, updated_at timestamptz)
    WITH (fillfactor = 80)]]
  return run_bare(("write '%s' %d %d %d %d %s"):format(url, connections, EVENTS, BATCH,
    load.KEYS, kind))
end

local function measure(what, fn)
  local results = {}
  for i = 1, ROUNDS do
    local ok, result = pcall(fn)
    if not ok then
      print(('%-34s failed: %s'):format(what, result))
      return nil
    end
    results[i] = result
  end
  local m = {}
  for _, field in ipairs { 'rate', 'total', 'cpu', 'mb' } do
    m[field] = gauge.median(results, field)
  end
  print(('%-34s %9.0f %9.0f %9.2f %7s'):format(what, m.rate, m.total, m.cpu,
    m.mb and ('%.0f'):format(m.mb) or '-'))
  io.flush()
  return m
end

local FOLDERS = { u = 'mirror', z = 'mirror', f = 'fold', g = 'fold', h = 'function' }

local function case(kind)
  local topic = 'bench-' .. kind
  local is_fold = FOLDERS[kind] ~= 'mirror'
  local bytes = load.fill(kind == 'h' and 'f' or kind, topic, EVENTS)
  print(('\n%s: %d records, %.0f bytes each'):format(kind, EVENTS, bytes / EVENTS))
  print(('%-34s %9s %9s %9s %7s'):format('', 'events/s', 'with start', 'us CPU/ev', 'MB'))
  measure('bare consumption', function()
    return run_bare(('consume %s %s %d %d'):format(brokers, topic, load.PARTITIONS,
      EVENTS))
  end)
  local best = 0
  for _, connections in ipairs(is_fold and {} or { 1, 2, 4 }) do
    local m = measure(('bare writes, %d connections'):format(connections), function()
      return run_writer(kind, connections)
    end)
    best = math.max(best, m and m.rate or 0)
  end
  local folder = 'spec/bench/' .. FOLDERS[kind]
  local m = measure(('tidemill, %s worker(s)'):format(WORKERS), function()
    return run_tidemill(folder, topic)
  end)
  if m and best > 0 then
    print(('%-34s %9.2f'):format('tidemill / best bare writes', m.rate / best))
  end
end

print(('%d events, median of %d'):format(EVENTS, ROUNDS))
for kind in CASES:gmatch('%a') do case(kind) end
