-- Failures whose class is not to be had from a code alone.
local counts = require 'counts'
local kafka = require 'kafka'
local tidemill = require 'tidemill'

-- Overwrites text in the broker's log of a partition: the checksum is wrong
-- then, which the broker itself does not look at.
local function overwrite(topic, from, to)
  local out = tidemill.shell(("find '%s' -path '*/%s-0/*.log'"):format(
    os.getenv('TIDEMILL_SCRATCH'), topic))
  local path = assert(out:match('^(%S+)\n$'), out)
  local at = assert(tidemill.read(path):find(from, 1, true), from .. ' is not there')
  local file = assert(io.open(path, 'r+b'))
  file:seek('set', at - 1)
  file:write(to)
  file:close()
end

describe('records that are damaged on the broker', function()
  it('hold their lane in front of them, until they can be read', function()
    local s = counts.new()
    s.send_good(10)
    s.send(11, '{"kind":"add","amount":1,"note":"undamaged"}')
    s.producer:flush()
    s.send_good(10, 12)
    overwrite(s.topic, 'undamaged', 'UNDAMAGED')
    local run = s.start()
    finally(function() run:destroy() end)
    local function lane(column)
      return s.db:number('SELECT coalesce(max(' .. column .. '), 0) FROM tidemill.lane')
    end
    run:wait_for('the words', 30, function()
      return run:text():find('records at offset 10 cannot be read', 1, true)
    end)
    -- Each claim begins to read again in front of them.
    run:wait_for('two more claims', 30, function() return lane('epoch') >= 3 end)
    assert.equal(10, lane('next_offset'))
    assert.equal(10, s.n_events())
    local body, status
    run:wait_for('the lane to take readiness away', 30, function()
      body, status = run:get('/readyz')
      return status == 503
    end)
    assert.matches('^lane [^\n]*records at offset 10 cannot be read', body)
    overwrite(s.topic, 'UNDAMAGED', 'undamaged')
    run:wait_for('all records', 30, function() return s.n_events() == 21 end)
    assert.equal(0, (run:stop()))
  end)
end)

describe('a code that a trigger made up', function()
  it('is a failure of its record, not of the database', function()
    local s = counts.new { partitions = 2, producer = kafka.producer() }
    s.db:rows [[
      CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF NEW.note = 'bad' THEN RAISE 'not this one' USING ERRCODE = 'AB123'; END IF;
        RETURN NEW;
      END $$;
      CREATE TRIGGER refuse BEFORE INSERT OR UPDATE ON counts
        FOR EACH ROW EXECUTE FUNCTION refuse()]]
    s.send_good(10)
    s.send(11, '{"kind":"add","note":"bad"}', 1)
    s.producer:flush()
    local run = s.start()
    finally(function() run:destroy() end)
    run:wait_for('the good records, and words about the bad one', 30, function()
      return s.n_events() == 10 and run:text():find('not this one', 1, true)
    end)
    assert.is_true(run:metric('errors_total', 'class="data"') >= 1)
    assert.equal(0, run:metric('errors_total', 'class="schema"'))
    assert.equal(0, (run:stop()))
  end)
end)
