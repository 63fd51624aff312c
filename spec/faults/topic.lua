-- A topic of its own, with a pipeline and a database of its own, that is deleted
-- and made anew under the same name. Its lanes must halt: the records of the new
-- topic are not those behind their positions.
local counts = require 'counts'
local kafka = require 'kafka'
local process = require 'process'

local M = {}

local PARTITIONS = 2

-- Events with keys of their own, by a producer that does not know the old topic.
local function produce(s, from, n)
  local producer = kafka.producer()
  for key = from, from + n - 1 do
    producer:send { topic = s.topic, partition = key % PARTITIONS, key = tostring(key),
      value = '{"kind":"add","amount":1}' }
  end
  producer:flush()
  producer:close()
end

local function n_halted(run)
  local n = 0
  for _, lane in ipairs((run:status() or { lanes = {} }).lanes) do
    if lane.state == 'halted' then n = n + 1 end
  end
  return n
end

local function stop(world, run)
  run.process:signal(process.TERM)
  world:wait_for('the stop', 20, function() return run.process:status() end)
end

-- [is_running]: whether the pipeline sees it happen or finds it at its start.
local function replace(world, s, is_running, n)
  local admin = require 'kafka_admin'
  if not is_running then stop(world, s.run) end
  admin.delete_topic(world.producer, s.topic)
  world.producer:create_topic(s.topic, PARTITIONS)
  produce(s, 100001, n)
  if not is_running then s.start() end
end

-- Fewer records than were read, as many, or more.
local SIZES = { 10, 60, 400 }

--- How many lanes halted; raises when one of them was read on.
local function recreate(world, is_running, n)
  local s = counts.new { producer = world.producer, partitions = PARTITIONS }
  local run = s.start()
  produce(s, 1, 60)
  world:wait_for('the first topic', 60, function() return s.n_events() == 60 end)
  replace(world, s, is_running, n)
  run = s.run or run
  local ok = pcall(world.wait_for, world, 'the lanes to halt', 60, function()
    assert(s.n_events() == 60)
    return n_halted(run) == PARTITIONS
  end)
  local n_events, text = s.n_events(), run:text()
  run:destroy()
  s.db:close()
  if n_events ~= 60 then
    error(('%d records of the new topic were taken for those of the old one\n%s')
      :format(n_events - 60, text:sub(-2000)), 0)
  end
  return ok and PARTITIONS or 0
end

--- The pipeline finds it at its start, or sees positions behind the new end.
function M.recreate(world, random)
  local is_running = random(1, 4) == 1
  return recreate(world, is_running, is_running and SIZES[1] or SIZES[random(1, 3)])
end

--- While it runs, the new topic has more records than the old one had before
--- anybody looks.
function M.outgrow(world)
  return recreate(world, true, SIZES[3])
end

return M
