-- What the simulated workers run: each kind of projection that keeps rows exact
-- in its own way. Settings come from the run.
local function number(name, default)
  return tonumber(env(name, tostring(default)))
end

local key = { 'text', from = 'key' }
local owner = { 'text', from = 'data.owner' }

-- In order, and once: the hash of a key tells any other order from the right one.
local chains = projection {
  table = 'chains',
  key = { id = key },
  columns = { n = 'bigint', hash = 'bigint', last = 'bigint' },
  initial = { n = 0, hash = 0 },
  on = function(row, event)
    if event.data.bad == 'script' then
      error('this record is bad')
    end
    row.n = row.n + 1
    row.hash = (row.hash * 31 + event.data.v + 7) % 1000003
    row.last = event.offset
  end,
}

local ledger = projection {
  table = 'ledger',
  append = true,
  columns = { lane = 'bigint', seq = 'bigint', v = 'bigint' },
  on = function(row, event)
    row.lane, row.seq, row.v = event.partition, event.offset, event.data.v
  end,
}

local totals = projection {
  table = 'totals',
  key = { owner = owner },
  columns = { n = 'bigint', sum = 'bigint' },
  initial = { n = 0, sum = 0 },
  on = function(row, event)
    row.n = row.n + 1
    row.sum = row.sum + event.data.v
  end,
}

local sums = projection {
  table = 'sums',
  key = { owner = owner },
  columns = { total = 'bigint' },
  merge = { total = 'sum' },
  on = function(row, event)
    row.total = event.data.v
  end,
}

-- All answers that there are, by the record; and a rule that raises.
local own = failure {
  decide = function(failed)
    local of_record = failed.class == 'data' or failed.class == 'script'
    local n = failed.offset % 6
    if failed.class == 'schema' and n < 3 then return 'retry', 50 end
    if not of_record then return nil end
    if failed.records > 1 then return 'bisect' end
    if n == 0 then return 'dead_letter' end
    if n == 1 then return 'halt' end
    if n == 2 and failed.attempts < 3 then return 'retry', 20 end
    if n == 3 then error('the rule is bad') end
    return 'hold'
  end,
}

return pipeline {
  name = 'simulated',
  failure = number('SIM_RULE', 0) == 1 and own or nil,
  source = kafka {
    brokers = 'simulated:9092',
    group = 'simulated',
    topics = { 'events' },
    format = 'json',
    start = 'earliest',
  },
  database = postgres {
    write = 'hostaddr=127.0.0.1 dbname=simulated',
    pool = { max = number('SIM_POOL', 4) },
  },
  batch = {
    size = number('SIM_SIZE', 50),
    linger_ms = number('SIM_LINGER', 0),
    concurrency = number('SIM_CONCURRENCY', 3),
  },
  dead_letters = {
    max_share = number('SIM_MAX_SHARE', 100) / 100,
    max_held = number('SIM_MAX_HELD', 10000),
  },
  projections = { chains, ledger, totals, sums },
}
