-- Rows of tidemill.lane that are gone, or say less than is known: their lanes halt,
-- and what a person says brings them back. Nothing is applied twice meanwhile.
local harm = require 'harm'
local kafka = require 'kafka'
local process = require 'process'
local tidemill = require 'tidemill'

local producer

local function setup(options)
  options = options or {}
  options.producer = producer
  return harm.new(options)
end

-- [sql] with the condition of the lane's row for %s.
local function for_lane(s, sql)
  return (sql:gsub('%%s', ("topic = '%s' AND partition = 0"):format(s.topic)))
end

local function call(s, ...)
  local argv = { 'lane', ... }
  table.insert(argv, 3, s.bundle)
  argv[#argv + 1] = '--yes'
  return tidemill.call(argv, { env = s.env })
end

local function verb(s, ...)
  local result = call(s, ...)
  assert.equal(0, result.status, result.text)
end

-- What happens to the lane's row, and the words about it. [all]: it happens to every
-- row; [back]: the row is there and stands elsewhere.
local GONE = 'no position of this lane'
local harms = {
  { 'an emptied table', 'TRUNCATE tidemill.lane', says = GONE, all = true },
  { 'a deleted row', 'DELETE FROM tidemill.lane WHERE %s', says = GONE },
  { 'a position that is lower', 'UPDATE tidemill.lane SET next_offset = 1 WHERE %s',
    says = 'position 1,', back = true },
  { 'an epoch that is lower', 'UPDATE tidemill.lane SET epoch = 0 WHERE %s',
    says = 'epoch 1;' },
  { 'an older row that was rewound then', 'UPDATE tidemill.lane SET next_offset = 1, '
    .. 'epoch = epoch - 1, is_rewound = true WHERE %s',
    says = 'position 1,', back = true },
  { 'a table made again', 'DROP SCHEMA tidemill CASCADE', says = GONE, all = true,
    applies = true },
  { 'another table of the name', 'ALTER TABLE tidemill.lane RENAME TO lane_away; ' ..
    'ALTER TABLE tidemill.lane_away RENAME CONSTRAINT lane_pkey TO lane_away_pkey',
    says = GONE, all = true, applies = true },
  { 'a row without a position', 'ALTER TABLE tidemill.lane ALTER next_offset ' ..
    'DROP NOT NULL; UPDATE tidemill.lane SET next_offset = NULL WHERE %s',
    says = 'is no position', back = true },
}

describe('a run whose positions', function()
  lazy_setup(function() producer = producer or kafka.producer() end)

  it('go back or away halts the lane, and a verb brings it back', function()
    local s = setup()
    local run = s.begin()
    finally(function() run:destroy() end)
    s.produce(1, 10)
    s.wait_has(run, 1, 10)
    local at, key, other = 10, 10, 900
    s.check_other(run, other)
    for _, case in ipairs(harms) do
      s.db:rows(for_lane(s, case[2]))
      if case.applies then tidemill.apply(s.bundle, s.env) end
      s.produce(key + 1, key + 5)
      s.wait_halted(run, 0, case.says, 'tidemill lane seek')
      assert.equal(0, s.n_rows(key + 1, key + 5), case[1])
      if case.back then -- the rows did not go back with it
        verb(s, 'seek', s.topic .. '/0', '--to', tostring(at))
      else
        assert.equal(at, s.position(), case[1])
        process.wait_for('all halts', 20, function()
          return not case.all or s.db:number(
            'SELECT count(*) FROM tidemill.lane WHERE halted IS NOT NULL') == 2
        end)
        verb(s, 'resume', '--all')
      end
      s.wait_has(run, 1, key + 5)
      at, key, other = at + 5, key + 5, other + 1
      s.check_other(run, other)
    end
    assert.is_true(s.has(900, other))
    assert.equal(0, (run:stop()))
  end)

  it('are away for a while goes on by itself', function()
    local s = setup()
    local run = s.begin()
    finally(function() run:destroy() end)
    s.produce(1, 10)
    s.wait_has(run, 1, 10)
    s.db:rows('ALTER TABLE tidemill.lane RENAME TO lane_away')
    s.produce(11, 20)
    run:wait_for('the lane to miss its table', 30, function()
      return run:text():find('looks again', 1, true)
    end)
    s.db:rows('ALTER TABLE tidemill.lane_away RENAME TO lane')
    s.wait_has(run, 1, 20)
    assert.equal(0, (run:stop()))
  end)

  it('went away while nothing ran halts too, by the group offset', function()
    local s = setup { partitions = 2 }
    s.apply(1, 20)
    for i = 1, 2 do
      s.db:rows(for_lane(s, harms[i][2]))
      local key = s.db:number('SELECT max(id) FROM counts')
      s.produce(key + 1, key + 4)
      local result = tidemill.until_end(s.bundle, { env = s.env })
      assert.equal(65, result.status, result.text)
      assert.matches('older than the group offset', result.err)
      assert.matches('lane resume', result.err)
      assert.is_true(s.has(1, key))
      verb(s, 'resume', '--all')
      result = tidemill.until_end(s.bundle, { env = s.env })
      assert.equal(0, result.status, result.text)
      assert.is_true(s.has(1, key + 4))
    end
  end)

  -- What is seen is what was sent: each key once. A lane that halts is told to go on
  -- behind the records that its table holds, as a person would count them.
  it('come to harm again and again never counts a record twice', function()
    local s = setup { partitions = 3 }
    local random = require('bank').random(tonumber(os.getenv('SEED') or 7))
    local run = s.start { '--instance', 'until-end', '--workers', '2' }
    finally(function() run:destroy() end)
    local n_halts, last = 0, 30
    local copy = 'DROP TABLE IF EXISTS lane_copy; '
      .. 'CREATE TABLE lane_copy AS SELECT * FROM tidemill.lane'
    local actions = {
      function() s.db:rows 'TRUNCATE tidemill.lane' end,
      function() s.db:rows(for_lane(s, 'DELETE FROM tidemill.lane WHERE %s')) end,
      function() s.db:rows(copy) end,
      function()
        s.db:rows [[BEGIN; LOCK tidemill.lane; DELETE FROM tidemill.lane;
          INSERT INTO tidemill.lane SELECT * FROM lane_copy; COMMIT]]
      end,
      function()
        local workers = run:workers()
        process.signal(workers[random(1, #workers)], process.KILL)
      end,
      function()
        s.db:rows 'ALTER TABLE tidemill.lane RENAME TO lane_away'
        process.sleep(random(0, 3) / 10)
        s.db:rows 'ALTER TABLE tidemill.lane_away RENAME TO lane'
      end,
    }
    local function mend()
      for _, lane in ipairs(s.db:rows [[SELECT partition, next_offset FROM tidemill.lane
        WHERE halted IS NOT NULL AND topic NOT LIKE '%_other']]) do
        local at = s.db:number(('SELECT count(*) FROM counts WHERE id %% 3 = %d'):format(
          lane.partition))
        local name = ('%s/%d'):format(s.topic, lane.partition)
        local stands = at == tonumber(lane.next_offset)
        local result = stands and call(s, 'resume', name)
          or call(s, 'seek', name, '--to', tostring(at))
        -- 75: a worker has claimed it meanwhile; it is looked at again.
        assert.is_true(result.status == 0 or result.status == 75, result.text)
        n_halts = n_halts + (result.status == 0 and 1 or 0)
      end
    end
    s.produce(1, 30)
    s.wait_has(run, 1, 30)
    s.db:rows(copy)
    for _ = 1, 8 do
      if random(1, 2) == 1 then s.produce(last + 1, last + 9) last = last + 9 end
      actions[random(1, #actions)]()
      if random(1, 2) == 1 then actions[random(1, #actions)]() end
      s.produce(last + 1, last + 9)
      last = last + 9
      run:wait_for('the records or a halt', 60, function()
        mend()
        assert.equal(0, s.db:number('SELECT count(*) FROM counts WHERE n <> 1'))
        return s.has(1, last)
      end)
    end
    assert.is_true(n_halts > 0)
    assert.equal(0, (run:stop()))
  end)

  it('were emptied with the tables begins anew, and says so', function()
    local s = setup { partitions = 2 }
    s.apply(1, 20)
    s.db:rows('TRUNCATE tidemill.lane, counts')
    local result = tidemill.until_end(s.bundle,
      { env = s.env, args = { '--workers', '2' } })
    assert.equal(0, result.status, result.text)
    assert.matches('all is applied anew', result.text)
    assert.is_true(s.has(1, 20))
  end)
end)
