-- Faults of our own processes: they die, stand still, come and go.
local log_pipe = require 'spec.faults.log_pipe'
local process = require 'process'
local server = require 'spec.faults.server'
local stall = require 'spec.faults.stall'
local zombie = require 'spec.faults.zombie'

local function pick_worker(world, random)
  local run = world:pick(random)
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

local function wait_gone(world, pids)
  world:wait_for('the end of the workers', 10, function()
    for _, pid in ipairs(pids) do
      if process.is_alive(pid) then return false end
    end
    return true
  end)
end

-- Workers die with their supervisor, and a new one starts from its name.
local function kill_supervisor(world, random)
  local run = world:pick(random)
  local workers = run:workers()
  if not run.process:signal(process.KILL) then return 0 end
  local status = world:wait_for('the end of ' .. run.instance, 10, function()
    return run.process:status()
  end)
  wait_gone(world, workers)
  world:sleep(random(0, 500) / 1000)
  world:restart(run)
  return status == 128 + process.KILL and 1 or 0
end

local function restart(world, random)
  local run = world:pick(random)
  local workers = run:workers()
  run.process:signal(process.TERM)
  local status = world:wait_for('the stop of ' .. run.instance, 15, function()
    return run.process:status()
  end)
  assert(status == 0, run.instance .. ' ended with ' .. status .. '\n' .. run:text())
  wait_gone(world, workers)
  world:restart(run)
  return 1
end

-- How many of the processes stood still for [seconds].
local function pause(world, pids, seconds)
  local n = 0
  for _, pid in ipairs(pids) do
    if zombie.stop(world, pid) then n = n + 1 end
  end
  world:sleep(seconds)
  for _, pid in ipairs(pids) do process.signal(pid, process.CONT) end
  return n
end

local function pause_worker(world, random)
  local pid = pick_worker(world, random)
  return pause(world, { pid }, random(100, 3000) / 1000)
end

local function pause_supervisor(world, random)
  return pause(world, { world:pick(random).process.pid }, random(100, 5000) / 1000)
end

-- All processes of a run: longer than the group waits for its members (10 s).
local function freeze(world, random)
  local run = world:pick(random)
  local pids = run:workers()
  table.insert(pids, 1, run.process.pid)
  return pause(world, pids, 12)
end

-- Supervisors join and leave: asked to, or killed; at once, or with lanes.
local function storm(world, random)
  local n = 0
  for _ = 1, random(2, 4) do
    local second = world:run_named(zombie.INSTANCE)
    if second then
      world:retire(second, random(1, 2) == 1 and process.TERM or process.KILL)
    elseif random(1, 2) == 1 then
      zombie.second(world)
    else
      world:start_run { instance = zombie.INSTANCE, workers = 1 }
      world:sleep(random(0, 1500) / 1000)
    end
    n = n + 1
  end
  return n
end

-- Who reads a run's log stands still, and the pipe between them is full (its
-- connections are cut until it is): the run goes on, and says afterwards how much was
-- lost.
local function full_log(world)
  local function cut()
    server.signal(world, 'pg_terminate_backend',
      "application_name = 'tidemill-mill-log'")
  end
  local reader = log_pipe.new(world)
  local run = world:start_run { instance = 'mill-log', workers = 1, out = reader.path,
    log = reader.log }
  local ok, n = pcall(function()
    world:wait_ready()
    reader.process:signal(process.STOP)
    server.wait(world, 60, function()
      cut()
      return reader:is_full()
    end)
    for _ = 1, 5 do
      world:sleep(0.3)
      cut()
    end
    assert(stall.measure(world), 'lanes stand still while nobody reads the log')
    reader.process:signal(process.CONT)
    return server.wait(world, 30, function()
      cut()
      return run:text():find('lines of the log were lost', 1, true)
    end) and 1 or 0
  end)
  reader.process:signal(process.CONT)
  world:retire(run)
  reader:close()
  if not ok then error(n, 0) end
  return n
end

return {
  { name = 'process.kill_worker', weight = 4, fire = kill_worker },
  { name = 'process.kill_supervisor', weight = 3, fire = kill_supervisor },
  { name = 'process.restart', weight = 2, fire = restart },
  { name = 'process.pause_worker', weight = 3, fire = pause_worker },
  { name = 'process.pause_supervisor', weight = 2, fire = pause_supervisor },
  { name = 'process.freeze', fire = freeze },
  { name = 'process.full_log', solo = true, fire = full_log },
  { name = 'process.storm', weight = 2, fire = storm },
  { name = 'process.zombie_at_load', solo = true, fire = zombie.at_load },
  { name = 'process.zombie_in_transaction', solo = true, fire = zombie.in_transaction },
  { name = 'process.zombie_robbed', solo = true, fire = zombie.robbed },
}
