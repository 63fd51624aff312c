-- What the row cache saves, and what it costs: outbox events folded into
-- balances, with the cache and without it, by turns. Called by run with
-- BENCH=cache. CPU of the server: all of PostgreSQL's processes.
local gauge = require 'gauge'
local load = require 'load'
local pg = require 'pg'
local process = require 'process'
local tidemill = require 'tidemill'

local EVENTS = tonumber(os.getenv('EVENTS') or 1000000)
local ROUNDS = tonumber(os.getenv('ROUNDS') or 3)
local folder = 'spec/bench/fold'

-- Seconds of the process, and of the children that it has waited for.
local function cpu_of(pid)
  local stat = tidemill.read(('/proc/%d/stat'):format(pid)):match('^.*%) (.*)$')
  local fields, sum = {}, 0
  for word in stat:gmatch('%S+') do fields[#fields + 1] = word end
  for i = 12, 15 do sum = sum + tonumber(fields[i]) end -- utime stime cutime cstime
  return sum / 100
end

local function server_cpu()
  local data = os.getenv('TIDEMILL_SCRATCH') .. '/postgres/data/postmaster.pid'
  local postmaster = tonumber(tidemill.read(data):match('%d+'))
  local sum = cpu_of(postmaster)
  for _, pid in ipairs(process.children(postmaster)) do
    local known, seconds = pcall(cpu_of, pid)
    sum = sum + (known and seconds or 0)
  end
  return sum
end

local n_runs = 0
local function run(topic, size, cache)
  n_runs = n_runs + 1
  local env = { BENCH_TOPIC = topic, BENCH_GROUP = topic .. n_runs, BENCH_SIZE = size,
    BENCH_CACHE = cache }
  local url, db = pg.create('cache' .. n_runs)
  env.DATABASE_URL = url
  local schema = tidemill.call({ 'schema', folder, '--apply' }, { env = env })
  assert(schema.status == 0, schema.text)
  db:rows('CHECKPOINT')
  local server = server_cpu()
  local r = tidemill.start(folder, { env = env })
  local result = {
    rate = gauge.rate(r, db, EVENTS, 900),
    server = (server_cpu() - server) / EVENTS * 1e6,
    worker = cpu_of(r:workers()[1]) / EVENTS * 1e6,
    hits = r:metric('cache_hits_total'), misses = r:metric('cache_misses_total'),
    loads = r:metric('stage_seconds_count', 'stage="load"'),
    batches = r:metric('batches_total'),
    mb = tonumber(tidemill.read(('/proc/%d/status'):format(r:workers()[1]))
      :match('VmHWM:%s*(%d+)')) / 1024,
  }
  r:stop()
  return result
end

local function report(what, list)
  local function of(field) return gauge.median(list, field) end
  local hits, misses = of('hits'), of('misses')
  local rows = hits + misses
  print(('%-24s %9.0f %8.2f %8.2f %7.0f %8.1f%% %7.0f/%.0f'):format(what, of('rate'),
    of('worker'), of('server'), of('mb'), rows > 0 and 100 * hits / rows or 0,
    of('loads'), of('batches')))
  io.flush()
end

print(('%d events, median of %d'):format(EVENTS, ROUNDS))
print(('%-24s %9s %8s %8s %7s %9s %s'):format('', 'events/s', 'us/event', 'server', 'MB',
  'hits', 'loads/batches'))
for kind in (os.getenv('CASES') or 'f g'):gmatch('%a') do
  local topic = tidemill.unique('cache-' .. kind)
  load.fill(kind, topic, EVENTS)
  for size in (os.getenv('SIZES') or '10000 100'):gmatch('%d+') do
    local results = { on = {}, off = {} }
    for i = 1, ROUNDS do
      for _, cache in ipairs { 'off', 'on' } do
        results[cache][i] = run(topic, size, cache)
      end
    end
    report(('%s, batch %s, off'):format(kind, size), results.off)
    report(('%s, batch %s, on'):format(kind, size), results.on)
  end
end
