-- Lanes that must not be read on: what Kafka has, or what the database says, is
-- not what was read before. Each halts with words, the others go on, and what a
-- person decides brings it back. Every event has a key of its own, so a row
-- that counts 2 was applied twice, and a missing row was lost.
local admin = require 'kafka_admin'
local counts = require 'counts'
local kafka = require 'kafka'
local process = require 'process'
local tidemill = require 'tidemill'

local producer

-- The topic that is harmed, and another one that goes on meanwhile.
local function setup(options)
  options = options or {}
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
    local run = s.start { '--instance', 'until-end' }
    return run
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

describe('a topic that was created again', function()
  lazy_setup(function() producer = producer or kafka.producer() end)

  it('with fewer records halts its lane until it is sought', function()
    local s = setup()
    s.apply(1, 20)
    s.replace_topic()
    s.produce(101, 105)
    local run = s.begin()
    finally(function() run:destroy() end)
    s.wait_halted(run, 0, 'position 20', 'end of the partition (5)', 'created again',
      'tidemill lane seek')
    s.check_other(run, 900)
    assert.equal(1, run:metric('lane_halted'))
    s.resume(0, 0)
    s.wait_has(run, 101, 105)
    assert.is_true(s.has(1, 20))
    assert.matches('lane goes on', run:text())
    assert.equal('running', s.lane(run).state)
    assert.equal('', s.lane(run).halted_since)
    assert.equal(0, (run:stop()))
  end)

  it('with more records than were read halts its lane, and nothing is skipped', function()
    local s = setup()
    s.apply(1, 20)
    s.replace_topic()
    s.produce(101, 150)
    local run = s.begin()
    finally(function() run:destroy() end)
    s.wait_halted(run, 0, 'offset 19', 'another record', 'its time is',
      'tidemill lane seek', 'tidemill lane resume')
    s.check_other(run, 900)
    assert.equal(20, s.position())
    assert.equal(0, s.db:number('SELECT count(*) FROM counts WHERE id BETWEEN 101 AND 150'))
    s.resume(0, 0)
    s.wait_has(run, 101, 150)
    assert.is_true(s.has(1, 20))
    assert.equal(0, (run:stop()))
  end)

  it('goes on behind the position when a person says that it is the same', function()
    local s = setup()
    s.apply(1, 20)
    s.replace_topic()
    s.produce(101, 150)
    local run = s.begin()
    finally(function() run:destroy() end)
    s.wait_halted(run, 0, 'another record')
    s.resume()
    s.wait_has(run, 121, 150)
    assert.equal(0, s.db:number('SELECT count(*) FROM counts WHERE id BETWEEN 101 AND 120'))
    assert.equal(0, (run:stop()))
    -- The new anchor holds: nothing speaks against going on.
    s.apply(151, 160)
  end)

  it('while it is read halts its lane too', function()
    local s = setup()
    local run = s.begin()
    finally(function() run:destroy() end)
    s.produce(1, 20)
    s.wait_has(run, 1, 20)
    s.replace_topic()
    s.produce(101, 103)
    s.wait_halted(run, 0, 'created again')
    s.check_other(run, 900)
    s.resume(0, 0)
    s.wait_has(run, 101, 103)
    s.produce(104, 130)
    s.wait_has(run, 104, 130)
    assert.equal(0, (run:stop()))
  end)

  it('ends a run that is to end with 65, also when it has as many records', function()
    local s = setup()
    s.apply(1, 20)
    s.replace_topic()
    s.produce(101, 120)
    local result = tidemill.until_end(s.bundle, { env = s.env })
    assert.equal(65, result.status, result.text)
    assert.matches(s.topic .. '/0: offset 19 holds another record', result.err)
  end)

  it('with fewer partitions halts the lanes that are gone', function()
    local s = setup { partitions = 3 }
    s.apply(1, 30)
    s.replace_topic(1)
    local run = s.begin()
    finally(function() run:destroy() end)
    for partition = 1, 2 do
      s.wait_halted(run, partition, 'no such partition any more', 'the topic has 1',
        'position 10', 'tidemill lane resume')
    end
    s.wait_halted(run, 0, 'created again')
    s.check_other(run, 900)
    assert.equal(3, run:metric('lane_halted'))
    local _, n = run:text():gsub('a partition is gone', '')
    assert.equal(2, n)
    assert.equal(0, (run:stop()))

    s.resume(0, 0)
    local result = tidemill.until_end(s.bundle, { env = s.env })
    assert.equal(65, result.status, result.text)
    assert.matches(s.topic .. '/1: there is no such partition', result.err)
    assert.matches(s.topic .. '/2: there is no such partition', result.err)

    run = s.begin()
    s.wait_halted(run, 1)
    s.resume(1)
    s.resume(2)
    run:wait_for('the lanes to be let go', 20, function()
      return run:metric('lane_halted') == 0
    end)
    assert.equal(0, (run:stop()))
    result = tidemill.until_end(s.bundle, { env = s.env })
    assert.equal(0, result.status, result.text)
  end)
end)

describe('records that expired', function()
  lazy_setup(function() producer = producer or kafka.producer() end)

  it('after they were applied are not missed', function()
    local s = setup()
    s.apply(1, 20)
    admin.expire(producer, s.topic, 0, 20)
    s.apply(21, 25)
  end)

  it('before they were applied halt the lane, naming them', function()
    local s = setup()
    s.apply(1, 20)
    s.produce(21, 40)
    admin.expire(producer, s.topic, 0, 30)
    local run = s.begin()
    finally(function() run:destroy() end)
    s.wait_halted(run, 0, 'records 20 to 29', 'tidemill lane seek` to 30')
    s.check_other(run, 900)
    assert.equal(20, s.position())
    s.resume(0, 30)
    s.wait_has(run, 31, 40)
    assert.equal(0, s.db:number('SELECT count(*) FROM counts WHERE id BETWEEN 21 AND 30'))
    assert.equal(0, (run:stop()))
    s.apply(41, 45)
  end)
end)

describe('a database that was restored to an older time', function()
  lazy_setup(function() producer = producer or kafka.producer() end)

  local function check_halted(s, run)
    s.wait_halted(run, 0, 'position 10', 'a backup was restored', 'tidemill lane resume')
    s.produce(31, 35)
    assert.equal(10, s.position())
    s.resume()
    s.wait_has(run, 1, 35)
    assert.equal(0, (run:stop()))
    s.apply(36, 40)
    assert.is_true(s.has(1, 40))
  end

  it('while nothing ran halts, and resumes exactly once', function()
    local s = setup()
    s.apply(1, 10)
    s.back_up()
    s.apply(11, 30)
    s.restore()
    local run = s.begin()
    finally(function() run:destroy() end)
    s.check_other(run, 900)
    check_halted(s, run)
  end)

  it('while it is read halts, and resumes exactly once', function()
    local s = setup()
    local run = s.begin()
    finally(function() run:destroy() end)
    s.produce(1, 10)
    s.wait_has(run, 1, 10)
    s.back_up()
    s.produce(11, 29)
    s.wait_has(run, 11, 29)
    s.restore()
    s.produce(30, 30)
    check_halted(s, run)
  end)

  it('stays halted over a restart, with the same words', function()
    local s = setup()
    s.apply(1, 10)
    s.back_up()
    s.apply(11, 30)
    s.restore()
    local run = s.begin()
    finally(function() run:destroy() end)
    local before = s.wait_halted(run, 0, 'told 30')
    run:wait_for('the halt to be written down', 10, function()
      return s.db:value(("SELECT halted FROM tidemill.lane WHERE topic = '%s'"):format(
        s.topic)) == before.message
    end)
    assert.equal(0, (run:stop()))
    local since = s.db:value(([[SELECT to_char(halted_at AT TIME ZONE 'UTC',
      'YYYY-MM-DD"T"HH24:MI:SS"Z"') FROM tidemill.lane WHERE topic = '%s']]):format(
      s.topic))
    run = s.begin()
    local after = s.wait_halted(run)
    assert.equal(before.message, after.message)
    assert.equal(since, after.halted_since)
    check_halted(s, run)
  end)
end)

describe('a halt in tidemill.lane', function()
  lazy_setup(function() producer = producer or kafka.producer() end)

  -- As a guard or a rule writes it; [generation]: an SQL expression.
  local function halt(s, generation)
    s.db:rows(([[UPDATE tidemill.lane SET halted = 'too many dead letters',
      halted_at = now(), halted_generation = %s WHERE topic = '%s']]):format(
      generation, s.topic))
  end

  it('of this generation waits for a person', function()
    local s = setup()
    s.apply(1, 10)
    for _, generation in ipairs { 'generation', 'NULL' } do
      halt(s, generation)
      local result = tidemill.until_end(s.bundle, { env = s.env })
      assert.equal(65, result.status, result.text)
      assert.matches('too many dead letters', result.err)
    end
    s.resume()
    s.apply(11, 20)
  end)

  it('of another generation ends by itself', function()
    local s = setup()
    s.apply(1, 10)
    halt(s, "'another'")
    s.apply(11, 20)
  end)
end)

describe('a lane that a person moves', function()
  lazy_setup(function() producer = producer or kafka.producer() end)

  it('is read from there at once, also when nothing comes in', function()
    local s = setup()
    local run = s.begin()
    finally(function() run:destroy() end)
    s.produce(1, 10)
    s.wait_has(run, 1, 10)
    s.resume(0, 4)
    run:wait_for('the last six to be applied again', 10, function()
      return s.n_events() == 16
    end)
    s.produce(11, 12)
    s.wait_has(run, 11, 12)
    assert.equal(0, (run:stop()))
  end)
end)

describe('a topic that gets more partitions', function()
  lazy_setup(function() producer = producer or kafka.producer() end)

  for _, start in ipairs { 'earliest', 'latest' } do
    it('loses none of their records when start is ' .. start, function()
      local s = setup { partitions = 3, start = start }
      local run = s.begin()
      finally(function() run:destroy() end)
      run:wait_ready()
      s.produce(1, 60)
      admin.grow_topic(producer, s.topic, 6)
      -- In Kafka before anybody reads the new partitions.
      for partition = 0, 5 do
        s.produce(100 + 10 * partition, 109 + 10 * partition, partition)
      end
      process.wait_for('six lanes', 30, function()
        return s.db:number(("SELECT count(*) FROM tidemill.lane WHERE topic = '%s'")
          :format(s.topic)) == 6
      end)
      s.wait_has(run, 1, 60)
      s.wait_has(run, 100, 159)
      assert.equal(0, (run:stop()))
    end)
  end
end)
