-- How long lanes stand still once a fault is over.
local process = require 'process'

local M = {}

-- The design promises to be back unattended within this time; what a fault may
-- cost by default is less, and is only reported (see spec/README.md).
M.LIMIT_SECONDS = tonumber(os.getenv('FAULT_STALL_LIMIT') or 45)

-- Longer than a fault should cost: then it is told who waits for whom.
local NOTE_SECONDS = 17

local SESSIONS = [[SELECT concat_ws(' ', pid, application_name, client_port, state,
  wait_event_type || '/' || wait_event,
  'since ' || round(extract(epoch FROM clock_timestamp() - xact_start), 1) || ' s',
  'behind ' || nullif(pg_blocking_pids(pid)::text, '{}'), left(query, 70)) AS text
FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
ORDER BY xact_start]]

--- What PostgreSQL's sessions do just now, as text.
function M.sessions(world)
  local lines = {}
  for _, row in ipairs(world:rows(SESSIONS)) do
    lines[#lines + 1] = '     ' .. row.text:gsub('%s+', ' ')
  end
  return table.concat(lines, '\n')
end

--- Waits until every lane has moved since the call. Seconds it took, or nil and
--- the lanes that did not move within the limit.
function M.measure(world)
  local from = process.now()
  local before, ends = world:lanes(), world.load:ends()
  -- Something to do for each lane.
  world:send(100)
  local standing = {}
  for topic, partitions in pairs(ends) do
    for partition in pairs(partitions) do
      standing[('%s/%d'):format(topic, partition)] = true
    end
  end
  local told = false
  world:wait_for('lanes', M.LIMIT_SECONDS + 60, function()
    world:check_runs()
    if not told and process.now() - from > NOTE_SECONDS then
      told = true
      world:log(('lanes stand still for %d s; sessions:\n%s'):format(NOTE_SECONDS,
        M.sessions(world)))
    end
    local lanes = world:lanes()
    for name in pairs(standing) do
      local old = before[name] and before[name].position or 0
      if lanes[name] and lanes[name].position > old then standing[name] = nil end
    end
    return next(standing) == nil or process.now() - from > M.LIMIT_SECONDS
  end)
  if next(standing) == nil then return process.now() - from end
  local names = {}
  for name in pairs(standing) do names[#names + 1] = name end
  table.sort(names)
  return nil, table.concat(names, ', ')
end

return M
