-- Fires a schedule at a world.
local process = require 'process'
local stall = require 'spec.faults.stall'

local M = {}

-- A fault that could not be provoked when its turn came gets so many more.
local MORE_TRIES = 3

local function heal(world, fault)
  if fault and fault.heal then fault.heal(world) end
end

local function fire(world, step)
  local fault = step.fault
  local ok, result = pcall(fault.fire, world, step.random)
  if not ok then
    pcall(heal, world, fault)
    error(('step %d, %s: %s'):format(step.n, fault.name, result), 0)
  end
  world.counts[fault.name] = (world.counts[fault.name] or 0) + (result or 0)
  world:log(('%3d  %s: %d'):format(step.n, fault.name, result or 0))
end

-- The longest time that lanes stood still after a fault of this name.
local function measure(world, fault)
  local seconds, lanes = stall.measure(world)
  if not seconds then
    error(('%d s after %s was over these lanes stand still: %s\n%s'):format(
      stall.LIMIT_SECONDS, fault.name, lanes, M.last_words(world)), 0)
  end
  world.stalls[fault.name] = math.max(world.stalls[fault.name] or 0, seconds)
end

--- The end of each run's log.
function M.last_words(world)
  local texts = {}
  for _, run in ipairs(world.runs) do
    texts[#texts + 1] = run.instance .. ':\n' .. run:text():sub(-3000)
  end
  return table.concat(texts, '\n')
end

-- Fires one step beside [open], the fault that was left open before it; gives
-- the fault that is open now.
local function take(world, step, open)
  local fault = step.fault
  world:check_runs()
  if open and fault.solo then
    heal(world, open)
    open = nil
  end
  world:sleep(step.pause)
  fire(world, step)
  heal(world, open)
  if fault.heal and not fault.solo and step.is_open then return fault end
  heal(world, fault)
  measure(world, fault)
end

local function missing(world, faults, skipped)
  local list = {}
  for _, fault in ipairs(faults) do
    if (world.counts[fault.name] or 0) == 0 and not skipped[fault.name] then
      list[#list + 1] = fault
    end
  end
  return list
end

--- Runs [schedule] for [seconds], and until each fault has had its turn. Those
--- of the set [skipped] are left out when it comes.
function M.run(world, schedule, seconds, skipped)
  local deadline, open = process.now() + seconds, nil
  while process.now() < deadline or not schedule:has_shown_all() do
    local step = schedule:next()
    if skipped[step.fault.name] then
      world:sleep(step.pause)
    else
      open = take(world, step, open)
    end
  end
  for _ = 1, MORE_TRIES do
    for _, fault in ipairs(missing(world, schedule.faults, skipped)) do
      local step = schedule:next()
      step.fault = fault
      open = take(world, step, open)
    end
  end
  heal(world, open)
  world:check_runs()
end

return M
