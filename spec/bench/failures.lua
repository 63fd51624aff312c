-- What failures cost: transactions to isolate bad records, and the rate with
-- some bad records against none. Called by run
-- with BENCH=failures.
local bank = require 'bank'
local gauge = require 'gauge'
local kafka = require 'kafka'
local pg = require 'pg'
local tidemill = require 'tidemill'

local PARTITIONS = 8
local folder = 'spec/bench/failing'

-- [n] records for as many keys as records; about [bad] of them, spread evenly,
-- cannot be applied: by = 'handler' (it raises) or 'database' (a CHECK).
local function fill(topic, n, bad, by)
  local producer = kafka.producer { ['linger.ms'] = 20, ['batch.size'] = 500000 }
  producer:create_topic(topic, PARTITIONS)
  local every = bad > 0 and math.floor(n / bad)
  for i = 1, n do
    local is_bad = every and i % every == math.floor(every / 2)
    local amount = is_bad and (by == 'handler' and '"none"' or '99999') or '1'
    producer:send { topic = topic, partition = i % PARTITIONS, key = bank.uuid(i * 7919),
      value = ('{"kind":"add","amount":%s,"note":"a remark of ordinary length"}')
        :format(amount) }
  end
  producer:flush()
  producer:close()
end

local n_runs = 0

-- Events a second from the first commit to the last, and what /metrics says.
local function run(topic, n)
  n_runs = n_runs + 1
  local env = { BENCH_TOPIC = topic, BENCH_GROUP = topic .. n_runs }
  local url, db = pg.create('failures' .. n_runs)
  env.DATABASE_URL = url
  assert(tidemill.call({ 'schema', folder, '--apply' }, { env = env }).status == 0)
  db:rows('ALTER TABLE sums ADD CHECK (amount < 1000)')
  local r = tidemill.start(folder, { env = env })
  local result = {
    rate = gauge.rate(r, db, n, 600),
    transactions = r:metric('batches_total') + r:metric('isolations_total'),
    letters = r:metric('dead_letters_total'),
  }
  r:stop()
  return result
end

local function print_line(...)
  print(('%-34s %9s %9s %12s'):format(...))
  io.flush()
end

local N = tonumber(os.getenv('EVENTS') or 100000)
local ROUNDS = tonumber(os.getenv('ROUNDS') or 3)

local function measure(what, n, bad, by)
  local topic = tidemill.unique('failing')
  fill(topic, n, bad, by)
  local best
  for _ = 1, ROUNDS do
    local m = run(topic, n)
    if not best or m.rate > best.rate then best = m end
  end
  print_line(what, ('%.0f'):format(best.rate), best.letters, best.transactions)
  return best
end

print(('%d events, best of %d'):format(N, ROUNDS))
print_line('', 'events/s', 'letters', 'transactions')
local none = measure('no bad record', N, 0)
for _, bad in ipairs { 1, 10, 100, 1000 } do
  measure(('%d that the database refuses'):format(bad), N, bad, 'database')
end
local some = measure('0.1 % whose handler raises', N, N / 1000, 'handler')
print(('with 0.1 %% that a handler refuses: %.2f of the rate')
  :format(some.rate / none.rate))
