-- What a run knows of its halts is in tidemill.lane before it ends: the next run would
-- meet them too late.
local counts = require 'counts'
local kafka = require 'kafka'
local admin = require 'kafka_admin'
local harm = require 'harm'
local process = require 'process'
local tidemill = require 'tidemill'

local producer

local function n_letters(s)
  return s.db:number('SELECT count(*) FROM tidemill.dead_letter')
end

local function n_halted(s)
  return s.db:number('SELECT count(*) FROM tidemill.lane WHERE halted IS NOT NULL')
end

-- Whoever writes a halt is refused while the trigger is there.
local function refuse_halts(s)
  s.db:rows [[CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN RAISE EXCEPTION 'not now'; END $$;
    CREATE TRIGGER refuse BEFORE UPDATE ON tidemill.lane FOR EACH ROW
    WHEN (NEW.halted IS NOT NULL AND OLD.halted IS NULL) EXECUTE FUNCTION refuse()]]
end

describe('the halt of a lane', function()
  lazy_setup(function() producer = producer or kafka.producer() end)

  -- A schedule that runs a pipeline again and again must not drain its topic.
  it('is known to the next run that is to end', function()
    local s = counts.new { producer = producer }
    s.send_good(4000)
    for key = 1, 400 do s.send(key, '{"kind":"add","amount":"much"}') end
    producer:flush()
    for round = 1, 3 do
      local result = tidemill.until_end(s.bundle, { env = s.env })
      assert.equal(65, result.status, result.text)
      assert.matches('of the last 1000 records failed', result.err)
      assert.equal(50, n_letters(s), 'round ' .. round)
    end
    assert.equal(1, n_halted(s))
  end)

  it('is known to a worker that follows one which was killed', function()
    local s = counts.new { producer = producer }
    local run = s.start()
    finally(function() run:destroy() end)
    run:wait_ready()
    for key = 1, 400 do s.send(key, '{"kind":"add","amount":"much"}') end
    producer:flush()
    for _ = 1, 3 do
      run:wait_for('the letters', 30, function() return n_letters(s) >= 50 end)
      for _, pid in ipairs(run:workers()) do process.signal(pid, process.KILL) end
      run:wait_for('the next worker to halt', 30, function()
        return run:metric('lane_halted') == 1
      end)
    end
    assert.equal(50, n_letters(s))
    assert.equal(0, (run:stop()))
  end)

  it('is tried again until it is written, and what is not at the end is said', function()
    local s = harm.new { producer = producer }
    s.apply(1, 20)
    s.produce(21, 40)
    admin.expire(producer, s.topic, 0, 30)
    refuse_halts(s)
    local result = tidemill.until_end(s.bundle, { env = s.env })
    assert.equal(65, result.status, result.text)
    assert.matches('was not written to tidemill.lane before the end', result.text)
    assert.matches('not now', result.text)

    local run = s.begin()
    finally(function() run:destroy() end)
    run:wait_for('the first try', 30, function()
      return run:text():find('halts were not written', 1, true)
    end)
    local before = run:metric 'errors_total'
    run:wait_for('three more', 30, function()
      return run:metric 'errors_total' >= before + 3
    end)
    assert.equal(1, select(2, run:text():gsub('halts were not written', '')))
    s.check_other(run, 900)
    assert.equal(0, n_halted(s))
    s.db:rows 'DROP TRIGGER refuse ON tidemill.lane'
    run:wait_for('the halt to be written', 30, function() return n_halted(s) == 1 end)
    local status, seconds = run:stop()
    assert.equal(0, status)
    assert.is_true(seconds < 5)
  end)
end)
