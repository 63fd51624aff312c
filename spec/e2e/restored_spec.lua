-- Halts that the database tells of: one that was restored to an older time, halts
-- that are written down, and lanes that a person moves.
local harm = require 'harm'
local kafka = require 'kafka'
local tidemill = require 'tidemill'

local producer

local function setup() return harm.new { producer = producer } end

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
    local before = s.wait_halted(run, 0, 'group offset 30')
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

  -- A backup that is taken later must not carry the leave that a person gave.
  it('is believed in once, and not again when that row comes back', function()
    local s = setup()
    local run = s.begin()
    finally(function() run:destroy() end)
    s.produce(1, 10)
    s.wait_has(run, 1, 10)
    s.resume(0, 4)
    run:wait_for('the last six to be applied again', 10, function()
      return s.n_events() == 16
    end)
    run:wait_for('the leave to end', 10, function()
      return s.db:number('SELECT count(*) FROM tidemill.lane WHERE is_rewound') == 0
    end)
    s.produce(11, 12)
    s.wait_has(run, 11, 12)
    s.back_up()
    s.produce(13, 20)
    s.wait_has(run, 13, 20)
    assert.equal(0, (run:stop()))
    s.db:rows [[BEGIN; DELETE FROM tidemill.lane;
      INSERT INTO tidemill.lane SELECT * FROM backup_lane; COMMIT]]
    run = s.begin()
    s.wait_halted(run, 0, 'group offset 20', 'lane seek')
    assert.is_true(s.has(13, 20))
    assert.equal(0, (run:stop()))
  end)

  it('forward is not held against the record that it moved away from', function()
    local s = setup()
    s.apply(1, 20)
    s.produce(21, 30)
    s.resume(0, 30)
    for _ = 1, 2 do
      local result = tidemill.until_end(s.bundle, { env = s.env })
      assert.equal(0, result.status, result.text)
    end
    s.apply(31, 35)
    assert.equal(0, s.n_rows(21, 30))
  end)
end)
