-- Faults of Kafka: the broker dies or stands still, connections to it are cut, a
-- topic is made anew.
local broker = require 'spec.faults.broker'
local process = require 'process'
local zombie = require 'spec.faults.zombie'

-- A broker that was killed has lost its sessions, not its records: they are in
-- the machine's memory.
local function kill(world, random)
  local is_gone = broker.take_away(world, process.KILL)
  world:sleep(random(0, 3000) / 1000)
  broker.let_back(world)
  return is_gone and 1 or 0
end

local function stop(world, random)
  local is_gone = broker.take_away(world, process.TERM)
  world:sleep(random(0, 3000) / 1000)
  broker.let_back(world)
  return is_gone and 1 or 0
end

local function pause_for(world, seconds)
  local pid = broker.pid(world)
  local is_stopped = zombie.stop(world, pid)
  world:sleep(seconds)
  process.signal(pid, process.CONT)
  world:wait_for('the broker', 60, function() return broker.is_up(world) end)
  return is_stopped and 1 or 0
end

local function pause(world, random)
  return pause_for(world, random(200, 5000) / 1000)
end

-- When it wakes every member's session has passed.
local function long_pause(world)
  return pause_for(world, 13)
end

return {
  { name = 'kafka.kill', weight = 2, solo = true, fire = kill },
  { name = 'kafka.stop', solo = true, fire = stop },
  { name = 'kafka.pause', weight = 2, fire = pause },
  { name = 'kafka.long_pause', solo = true, fire = long_pause },
}
