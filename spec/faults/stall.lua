-- How long lanes stand still once a fault is over.
local process = require 'process'

local M = {}

-- The design promises to be back unattended within this time; what a fault may
-- cost by default is less, and is only reported (see spec/README.md).
M.LIMIT_SECONDS = tonumber(os.getenv('FAULT_STALL_LIMIT') or 45)

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
  world:wait_for('lanes', M.LIMIT_SECONDS + 60, function()
    world:check_runs()
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
