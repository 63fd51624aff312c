-- The group gives a worker that comes back under its name the lanes it had. What
-- Kafka got meanwhile is given to nobody, until somebody asks for it.
local counts = require 'counts'
local kafka_admin = require 'kafka_admin'
local process = require 'process'

describe('partitions that are added while no worker is there', function()
  it('are read by the workers that come back under their names', function()
    local s = counts.new { partitions = 1 }
    local args = { '--instance', 'unread', '--workers', '2' }
    local run = s.start(args)
    finally(function() s.run:destroy() end)
    s.send_good(10)
    run:wait_caught_up(s.db, s.producer, s.topic, 1)
    run.process:signal(process.KILL)
    run.process:wait(10)
    kafka_admin.grow_topic(s.producer, s.topic, 3)
    -- Soon enough to be the same members of the group, the one that has no lane too.
    s.start(args)
    s.send(11, '{"kind":"add","amount":1}', 1)
    s.send(12, '{"kind":"add","amount":1}', 2)
    s.producer:flush()
    s.run:wait_for('the new partitions', 40, function() return s.n_events() == 12 end)
    assert.matches('partitions are read by nobody', s.run:text())
  end)
end)
