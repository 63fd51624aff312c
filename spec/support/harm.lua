-- A pipeline whose lanes come to harm: two topics, of which one is harmed while
-- the other goes on. Every event has a key of its own, so a row that counts 2
-- was applied twice, and a missing row was lost.
local admin = require 'kafka_admin'
local assert = require 'luassert'
local counts = require 'counts'
local kafka = require 'kafka'
local tidemill = require 'tidemill'

local M = {}

--- [options]: producer, partitions (of the harmed topic), start.
function M.new(options)
  local producer = options.producer
  local n_partitions = options.partitions or 1
  local s = counts.new { producer = producer, partitions = n_partitions }
  s.other = s.topic .. '_other'
  producer:create_topic(s.other, 1)
  local path = s.bundle .. '/pipeline.lua'
  local text = tidemill.read(path)
    :gsub("topics = { '(.-)' }", "topics = { '%1', '" .. s.other .. "' }")
    :gsub("start = 'earliest'", ("start = '%s', options = { " ..
      "['topic.metadata.refresh.interval.ms'] = '500' }"):format(
      options.start or 'earliest'))
  tidemill.write(path, text)

  --- Events with the keys [from] to [to].
  function s.produce(from, to, partition, topic)
    -- A producer of its own: the one of before knows the topic that was.
    local p = kafka.producer()
    for key = from, to do
      p:send { topic = topic or s.topic, partition = partition or key % n_partitions,
               key = tostring(key), value = '{"kind":"add","amount":1}' }
    end
    p:flush()
    p:close()
  end

  function s.lane(run, partition)
    for _, lane in ipairs((run:status() or { lanes = {} }).lanes) do
      if lane.topic == s.topic and lane.partition == (partition or 0) then return lane end
    end
  end

  --- Waits until a lane is halted, and looks whether it says why.
  function s.wait_halted(run, partition, ...)
    local lane
    run:wait_for('the lane to halt', 30, function()
      lane = s.lane(run, partition)
      return lane and lane.state == 'halted'
    end)
    for _, word in ipairs { ... } do
      assert.is_truthy(lane.message:find(word, 1, true),
        ('"%s" is missing in: %s'):format(word, lane.message))
    end
    assert.matches('^%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%dZ$', lane.halted_since)
    return lane
  end

  --- The other topic is read as if nothing had happened.
  function s.check_other(run, key)
    s.produce(key, key, 0, s.other)
    run:wait_for('the other lane', 20, function() return s.has(key, key) end)
  end

  --- Every event of the range was applied, and once.
  function s.has(from, to)
    return s.db:value(("SELECT count(*) FILTER (WHERE n = 1) || ' ' || count(*) " ..
      'FROM counts WHERE id BETWEEN %d AND %d'):format(from, to))
      == ('%d %d'):format(to - from + 1, to - from + 1)
  end

  function s.n_rows(from, to)
    return s.db:number(('SELECT count(*) FROM counts WHERE id BETWEEN %d AND %d')
      :format(from, to))
  end

  function s.wait_has(run, from, to)
    run:wait_for(('events %d to %d'):format(from, to), 30, function()
      return s.has(from, to)
    end)
  end

  --- What `tidemill lane resume` does, and seek when there is an offset.
  function s.resume(partition, offset)
    s.db:rows(([[UPDATE tidemill.lane SET epoch = epoch + 1, halted = NULL,
      halted_at = NULL, halted_generation = NULL, is_rewound = true,
      next_offset = %s WHERE topic = '%s' AND partition = %d]]):format(
      offset or 'next_offset', s.topic, partition or 0))
  end

  function s.position(partition)
    return s.db:number(([[SELECT next_offset FROM tidemill.lane WHERE topic = '%s'
      AND partition = %d]]):format(s.topic, partition or 0))
  end

  --- Runs until [from] to [to] are applied, and stops.
  function s.apply(from, to)
    s.produce(from, to)
    local result = tidemill.until_end(s.bundle, { env = s.env })
    assert.equal(0, result.status, result.text)
    assert.is_true(s.has(from, to))
  end

  function s.replace_topic(n)
    admin.delete_topic(producer, s.topic)
    producer:create_topic(s.topic, n or n_partitions)
  end

  function s.begin()
    return s.start { '--instance', 'until-end' }
  end

  --- What a backup keeps, and its restoration.
  function s.back_up()
    s.db:rows('CREATE TABLE backup_lane AS SELECT * FROM tidemill.lane')
    s.db:rows('CREATE TABLE backup_counts AS SELECT * FROM counts')
  end

  function s.restore()
    s.db:rows([[BEGIN; LOCK tidemill.lane, counts IN EXCLUSIVE MODE;
      DELETE FROM tidemill.lane; INSERT INTO tidemill.lane SELECT * FROM backup_lane;
      DELETE FROM counts; INSERT INTO counts SELECT * FROM backup_counts; COMMIT]])
  end
  return s
end

return M
