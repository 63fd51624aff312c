-- Faults of our own processes.
local process = require 'process'

local function pick_worker(world, random, pipeline)
  local run = world:pick(random, pipeline)
  local workers = world:wait_for('a worker of ' .. run.instance, 30, function()
    local list = run:workers()
    return #list > 0 and list
  end)
  return workers[random(1, #workers)], run
end

local function kill_worker(world, random)
  local pid = pick_worker(world, random)
  if not process.signal(pid, process.KILL) then return 0 end
  world:wait_for('the end of a worker', 10, function()
    return not process.is_alive(pid)
  end)
  return 1
end

return {
  { name = 'process.kill_worker', weight = 3, fire = kill_worker },
}
