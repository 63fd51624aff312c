-- What must hold when the faults are over: nothing lost, nothing twice, nothing
-- stuck. Each check raises with what it found.
local differences = require('bank').differences
local process = require 'process'

local M = {}

local CATCH_UP_SECONDS = tonumber(os.getenv('FAULT_CATCH_UP') or 120)

-- The lanes that do not stand at their end, as text; nil when all do.
local function behind(world)
  local lanes, list = world:lanes(), {}
  for topic, partitions in pairs(world.load:ends()) do
    for partition, last in pairs(partitions) do
      local name = ('%s/%d'):format(topic, partition)
      local lane = lanes[name] or { position = 0 }
      if lane.position ~= last then
        list[#list + 1] = ('%s stands at %d of %d%s'):format(name, lane.position, last,
          lane.halted and ', halted: ' .. lane.halted or '')
      end
    end
  end
  table.sort(list)
  return #list > 0 and table.concat(list, '\n') or nil
end

--- Stops the load and waits until every record is in Kafka and every lane is at
--- its end; raises when a position is not exactly what was produced.
function M.catch_up(world)
  world.is_quiet = true
  world.producer:flush()
  for topic, partitions in pairs(world.load:ends()) do
    for partition, last in pairs(partitions) do
      local high = world.producer:high(topic, partition)
      if high ~= last then
        error(('%s/%d: Kafka holds %d records, %d were produced'):format(topic,
          partition, high, last))
      end
    end
  end
  local text
  world:wait_for(function() return 'the ends:\n' .. text end, CATCH_UP_SECONDS,
    function()
      world:check_runs()
      text = behind(world)
      return not text
    end)
end

local function lines(rows)
  local map = {}
  for _, row in ipairs(rows) do map[row.key] = map[row.key] and 'twice' or row.line end
  return map
end

--- A table of the mill, row by row.
function M.check_table(world, name)
  local want, query = world.load.mill:expect(name)
  local n, text = differences(want, lines(world:rows(query)))
  if n > 0 then error(('%s: %d rows differ:\n%s'):format(name, n, text)) end
end

--- The copied table, row by row.
function M.check_copy(world)
  world.load.copy:check(world.db, 'copies')
end

-- Why records failed that should not have.
local function reasons(want, rows)
  local list = {}
  for _, row in ipairs(rows) do
    if row.line == 'failed' and want[row.key] ~= 'failed' and #list < 5 then
      list[#list + 1] = ('%s: %s %s'):format(row.key, row.sqlstate, row.message)
    end
  end
  return table.concat(list, '\n')
end

--- The dead letters: which records, in which state, with the key they had.
function M.check_letters(world)
  local want = {}
  for place, state in pairs(world.load.mill.letters) do want[place] = state end
  local rows = world:rows("SELECT partition || '/' || \"offset\" AS key, " ..
    "state AS line, coalesce(sqlstate, '') AS sqlstate, message " ..
    "FROM tidemill.dead_letter WHERE pipeline = 'mill'")
  local n, text = differences(want, lines(rows))
  if n > 0 then
    error(('dead letters: %d differ:\n%s\n%s'):format(n, text, reasons(want, rows)))
  end
end

--- Asks for every dead letter to be tried again, without what refused some of
--- them, and waits until each has been.
function M.retry_letters(world)
  world:ask_for_retry()
  world:wait_for('the dead letters to be tried again', 60, function()
    return not world:rows(
      'SELECT 1 FROM tidemill.dead_letter WHERE retry_at IS NOT NULL LIMIT 1')[1]
  end)
  M.check_letters(world)
  local rows = world:rows("SELECT \"offset\" FROM tidemill.dead_letter WHERE " ..
    "state = 'failed' AND attempts < 2 LIMIT 1")
  if rows[1] then error(('the letter %s was not tried again'):format(rows[1].offset)) end
end

local ORDER = [[
SELECT account, record FROM (SELECT account, record,
  lag(record) OVER (PARTITION BY account ORDER BY place) AS before FROM ledger) AS l
WHERE before >= record LIMIT 5]]

--- Records of one key were committed in their order.
function M.check_order(world)
  local rows = world:rows(ORDER)
  if rows[1] then
    error(('account %s: record %s was committed after a later one'):format(
      rows[1].account, rows[1].record))
  end
end

--- How many records are in neither the ledger nor the dead letters, how many are
--- there more than once, and how many in each.
function M.account(world)
  local places, n = {}, { lost = 0, repeated = 0, applied = 0, failed = 0, held = 0 }
  local function found(place, kind)
    n[kind] = n[kind] + 1
    if places[place] then n.repeated = n.repeated + 1 end
    places[place] = true
  end
  for _, r in ipairs(world:rows(
    "SELECT partition || '/' || record AS place FROM ledger")) do
    found(r.place, 'applied')
  end
  for _, r in ipairs(world:rows("SELECT partition || '/' || \"offset\" AS place, " ..
    "state FROM tidemill.dead_letter WHERE pipeline = 'mill'")) do
    found(r.place, r.state)
  end
  for partition, last in pairs(world.load.mill.n_sent) do
    for offset = 0, last - 1 do
      if not places[partition .. '/' .. offset] then n.lost = n.lost + 1 end
    end
  end
  return n
end

local CRASHES = { 'AddressSanitizer', 'runtime error:', '"signal 4 ', '"signal 7 ',
  '"signal 8 ', '"signal 11 ', '"signal 6 ' }

--- No process crashed, and no sanitizer complained.
function M.check_logs(world)
  for _, log in ipairs(world.logs) do
    local n = 0
    for line in io.lines(log.path) do
      n = n + 1
      for _, word in ipairs(CRASHES) do
        local is_abort = word == '"signal 6 '
        if line:find(word, 1, true) and not (is_abort and log.may_abort) then
          error(('%s:%d: %s'):format(log.path, n, line))
        end
      end
    end
  end
end

-- Members that left are given up after 10 s, and that is the last rebalance.
local REST_SECONDS, SETTLE_SECONDS = 4, 40

local function sample(world)
  return ('rebalances %s, restarts %s'):format(world:metric('rebalances_total'),
    world:metric('worker_restarts_total'))
end

local function wait_rest(world)
  local last, since = sample(world), process.now()
  world:wait_for(function() return 'rest; just now: ' .. last end, SETTLE_SECONDS,
    function()
      local now = sample(world)
      if now ~= last then last, since = now, process.now() end
      return process.now() - since > REST_SECONDS
    end)
end

--- The group stays as it is while nothing happens, nobody holds a transaction
--- open, and new records still go through.
function M.check_rest(world)
  world:wait_ready()
  wait_rest(world)
  local open = world:rows("SELECT pid FROM pg_stat_activity WHERE state LIKE " ..
    "'idle in transaction%' AND datname = current_database()")
  if open[1] then error('a transaction is open: backend ' .. open[1].pid) end
  world:send(200)
  M.catch_up(world)
end

return M
