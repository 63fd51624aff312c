-- Memory that runs out for a moment, at any place: nothing is lost, nothing is
-- repeated, and nothing waits for long.
local counts = require 'counts'
local preload = require 'spec.faults.preload'
local process = require 'process'

describe('no memory', function()
  local test = preload.is_usable() and it or pending
  local faults, s, run, n_sent

  before_each(function()
    faults, s, n_sent = preload.start(), counts.new { partitions = 2 }, 0
    for name, value in pairs(faults.env) do s.env[name] = value end
    run = s.start()
    run:wait_ready()
  end)
  after_each(function()
    run:destroy()
    faults:stop()
    -- The runner takes an abort in a log for a defect.
    os.remove(run.log)
  end)

  local function send(n)
    s.send_good(n, n_sent + 1)
    n_sent = n_sent + n
  end

  local function reconnect()
    s.db:rows [[SELECT pg_terminate_backend(pid) FROM pg_stat_activity
      WHERE application_name LIKE 'tidemill%' AND datname = current_database()]]
  end

  -- The calls of a site from [first] to [last] fail in turn, under load. How long
  -- the longest stall after one was.
  local function fail_each(site, caller, first, last, provoke)
    local longest = 0
    for nth = first, last do
      local before = faults:fired(site)
      faults:arm(site, { nth = nth, caller = caller })
      if provoke then provoke() end
      run:wait_for(('call %d of %s'):format(nth, site), 30, function()
        send(2)
        return faults:fired(site) > before
      end)
      local from = process.now()
      run:wait_caught_up(s.db, s.producer, s.topic, 2, 60)
      longest = math.max(longest, process.now() - from)
    end
    return longest
  end

  local function check()
    assert.equal(n_sent, s.n_events())
    assert.equal(0, (run:stop()))
  end

  test('for an answer of the database is a connection lost', function()
    assert.is_true(fail_each('malloc', 'libpq', 1, 30) < 10)
    check()
    assert.equal(0, select(2, run:text():gsub('starting another', '')))
  end)

  test('for the scripts is the end of a worker, and not of the run', function()
    -- At work, and while a worker loads the pipeline.
    assert.is_true(fail_each('realloc', 'program', 1, 1) < 10)
    assert.is_true(fail_each('realloc', 'program', 2000, 2000, function()
      process.signal(run:workers()[1], process.KILL)
    end) < 10)
    check()
    assert.equal(2, select(2, run:text():gsub('out of memory', '')))
  end)

  test('for a connection is one more attempt', function()
    assert.is_true(fail_each('malloc', 'libpq', 1, 30, reconnect) < 10)
    check()
    assert.equal(0, select(2, run:text():gsub('starting another', '')))
  end)
end)
