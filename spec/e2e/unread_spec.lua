-- The group gives a worker that comes back under its name the lanes it had. What
-- Kafka got meanwhile is given to nobody, until somebody asks for it.
local counts = require 'counts'
local kafka_admin = require 'kafka_admin'
local process = require 'process'

local ARGS = { '--instance', 'unread', '--workers', '2' }

describe('partitions that are added while no worker is there', function()
  local s

  -- One more partition, and an event in it, while the workers are away; they are
  -- back soon enough to be the same members of the group.
  local function add_one(n)
    s.run:wait_for('both workers', 30, function() return #s.run:workers() == 2 end)
    s.run.process:signal(process.KILL)
    s.run.process:wait(10)
    kafka_admin.grow_topic(s.producer, s.topic, n)
    s.start(ARGS)
    s.send(100 + n, '{"kind":"add","amount":1}', n - 1)
    s.producer:flush()
    s.run:wait_for('the new partition', 40, function()
      return s.n_events() == 10 + n - 1
    end)
    return s.run:text():find('partitions are read by nobody', 1, true)
  end

  it('are read by the workers that come back under their names', function()
    s = counts.new { partitions = 1 }
    local run = s.start(ARGS)
    finally(function() s.run:destroy() end)
    s.send_good(10)
    run:wait_caught_up(s.db, s.producer, s.topic, 1)
    -- Now and then the group has something to share out all the same.
    local n, was_nobodys = 1, nil
    while not was_nobodys and n < 6 do
      n = n + 1
      was_nobodys = add_one(n)
    end
    assert.is_truthy(was_nobodys)
  end)
end)

describe('partitions whose claim fails', function()
  it('are those of the worker that has them: it does not join the group again', function()
    local s = counts.new { partitions = 2 }
    s.db:rows "INSERT INTO counts (id) VALUES (1)"
    local run = s.start()
    finally(function() run:destroy() end)
    -- As long as it takes to see that partitions are nobody's.
    run:wait_for('twelve seconds', 20, function()
      return ((run:status() or {}).uptime_seconds or 0) > 12
    end)
    assert.is_truthy(run:text():find('has no position yet', 1, true), run:text())
    assert.is_nil(run:text():find('read by nobody', 1, true))
    s.db:rows 'TRUNCATE counts'
    run:wait_ready()
  end)
end)
