-- Faults of Kafka: the broker dies or stands still, connections to it are cut, a
-- topic is made anew.
local broker = require 'spec.faults.broker'
local kafka_reader = require 'kafka_reader'
local process = require 'process'
local topic = require 'spec.faults.topic'
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

-- A consumer of other people joins a pipeline's group: its share of the partitions
-- is not read until it goes, and the run says so. Or the broker goes first, for longer
-- than the run waits to be told who is in the group.
local function stranger(world, random)
  local pipeline = random(1, 2) == 1 and 'mill' or 'copy'
  local name = world.topics[pipeline]
  local member = kafka_reader.member(name, name)
  local is_shown = pcall(world.wait_for, world, 'the stranger to show', 60, function()
    member:poll()
    for _, run in ipairs(world.runs) do
      local body = run.pipeline == pipeline and run:get('/readyz') or ''
      if body:find('another member of group', 1, true) then return true end
    end
  end)
  if random(1, 2) == 1 then
    broker.take_away(world, process.KILL)
    world:sleep(8)
    broker.let_back(world)
  end
  member:close()
  return is_shown and 1 or 0
end

-- Connections cut ----------------------------------------------------------

local EFFECTS = { 'close', 'reset' }

-- A few times, each at a moment of its own.
local function cut(world, random)
  local n = 0
  for _ = 1, random(1, 4) do
    n = n + tonumber(world.kafka_proxy:command('kill ' .. EFFECTS[random(1, 2)]))
    world:sleep(random(0, 800) / 1000)
  end
  return n
end

-- What the brokers answer ends in its middle: half of a record, or of a length.
local function cut_answer(world, random)
  local rule = world.kafka_proxy:cut('down middle any %s %d', EFFECTS[random(1, 2)],
    random(1, 20))
  return pcall(world.wait_for, world, 'the cut', 20, function()
    return world.kafka_proxy:fired(rule)
  end) and 1 or 0
end

local function stall(world, random)
  world.kafka_proxy:command('stall down on')
  world:sleep(random(500, 6000) / 1000)
  return world.kafka_proxy:counters().waiting_down > 0 and 1 or 0
end

-- Bytes are lost and nobody is told, until the connection is reset.
local function hole(world, random)
  local before = world.kafka_proxy:counters().lost_down
  world.kafka_proxy:command('hole down on')
  world:sleep(random(500, 6000) / 1000)
  return world.kafka_proxy:counters().lost_down > before and 1 or 0
end

local function refuse(world, random)
  local before = world.kafka_proxy:counters().refused
  world.kafka_proxy:command('refuse on')
  world.kafka_proxy:command('kill reset')
  world:sleep(random(500, 5000) / 1000)
  return world.kafka_proxy:counters().refused - before
end

local function heal(world) world.kafka_proxy:heal() end

local function proxied(name, fire)
  return { name = name, needs = 'kafka_proxy', fire = fire, heal = heal }
end

return {
  { name = 'kafka.kill', weight = 2, solo = true, fire = kill },
  { name = 'kafka.stop', solo = true, fire = stop },
  { name = 'kafka.pause', weight = 2, fire = pause },
  { name = 'kafka.long_pause', solo = true, fire = long_pause },
  { name = 'kafka.stranger', solo = true, fire = stranger },
  { name = 'kafka.topic_recreated', fire = topic.recreate },
  { name = 'kafka.topic_outgrown', is_optional = true, fire = topic.outgrow },
  proxied('kafka.cut', cut),
  proxied('kafka.cut_answer', cut_answer),
  proxied('kafka.stall', stall),
  proxied('kafka.hole', hole),
  proxied('kafka.refuse', refuse),
}
