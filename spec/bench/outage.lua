-- What an outage of the database costs: memory while it is away under full
-- input, and how long the first commit takes once it is back. Called by run
-- with BENCH=outage; OUTAGE_SECONDS=300, EVENTS=3000000.
local gauge = require 'gauge'
local load = require 'load'
local pg = require 'pg'
local process = require 'process'
local tidemill = require 'tidemill'

local SECONDS = tonumber(os.getenv('OUTAGE_SECONDS') or 300)
local EVENTS = tonumber(os.getenv('EVENTS') or 3000000)
local folder, topic = 'spec/bench/mirror', 'outage'
local postgres = os.getenv('TIDEMILL_SCRATCH') .. '/postgres'

local function memory_mb(run)
  local status = tidemill.read(('/proc/%d/status'):format(run:workers()[1]))
  return tonumber(status:match('VmRSS:%s*(%d+)')) / 1024
end

load.fill('u', topic, EVENTS)
local env = { BENCH_TOPIC = topic, BENCH_GROUP = topic }
local url, db = pg.create('outage')
env.DATABASE_URL = url
assert(tidemill.call({ 'schema', folder, '--apply' }, { env = env }).status == 0)
local run = tidemill.start(folder, { env = env })
run:wait_for('a tenth of it', 60, function() return gauge.position(db) > EVENTS / 10 end)
local rebalances, before = run:metric('rebalances_total'), memory_mb(run)

tidemill.write(postgres .. '/hold', '')
db:close()
local pid = tidemill.read(postgres .. '/data/postmaster.pid'):match('^%d+')
process.signal(tonumber(pid), 3)
print(('away for %d s; memory before %.0f MB'):format(SECONDS, before))
local from, peak = process.now(), 0
while process.now() - from < SECONDS do
  process.sleep(1)
  local mb, passed = memory_mb(run), process.now() - from
  peak = math.max(peak, mb)
  if math.floor(passed) % math.ceil(SECONDS / 10) == 0 then
    print(('%6.0f s %8.0f MB'):format(passed, mb))
    io.flush()
  end
end
os.remove(postgres .. '/hold')
db = process.wait_for('the database', 60, function() return pg.connect(url) end)
local back, at = process.now(), gauge.position(db)
run:wait_for('a commit', 60, function() return gauge.position(db) > at end)
print(('peak %.0f MB; first commit %.1f s after the server answered'):format(peak,
  process.now() - back))
run:wait_for('all of it', 300, function() return gauge.position(db) == EVENTS end)
print(('rebalances %d, restarts %d, breaker opened %d time(s), rows %d'):format(
  run:metric('rebalances_total') - rebalances, run:metric('worker_restarts_total'),
  run:metric('breaker_opens_total'), db:number('SELECT count(*) FROM accounts')))
run:stop()
