-- The tools that provoke faults do what they say: a fault that did not happen
-- proves nothing.
local counts = require 'counts'
local kafka = require 'kafka'
local pg = require 'pg'
local preload = require 'spec.faults.preload'
local process = require 'process'
local proxy = require 'spec.faults.proxy'

local server = os.getenv('TIDEMILL_PG')
local address = server:match('@([%d.]+:%d+)')

describe('the proxy', function()
  local p, db
  before_each(function()
    p = proxy.start { to = address }
    db = assert(pg.connect(server .. '/postgres'))
  end)
  after_each(function()
    p:stop()
    db:close()
  end)

  local function connect() return pg.connect(p:url(server) .. '/postgres') end

  it('passes everything on and counts it', function()
    local session = assert(connect())
    assert.equal('1', session:value('SELECT 1'))
    local long = ('x'):rep(3000000)
    assert.equal(3000000, session:number(("SELECT length('%s')"):format(long)))
    assert.equal(5000000, #session:value("SELECT repeat('y', 5000000)"))
    local n = p:counters()
    assert.equal(1, n.accepted)
    assert.equal(1, n.open)
    assert.is_true(n.bytes_up > 3000000 and n.bytes_down > 5000000)
    assert.equal(0, n.lost_up + n.lost_down)
    session:close()
    process.wait_for('the end', 10, function() return p:counters().open == 0 end)
  end)

  -- The Query message of a text is its length and six bytes.
  for place, share in pairs { before = 0, middle = 0.5, after = 1 } do
    it('cuts a message to the server ' .. place, function()
      -- One server for all runs of this file.
      db:rows(('SET client_min_messages = warning; DROP TABLE IF EXISTS cut_%s')
        :format(place))
      db:rows(('CREATE TABLE cut_%s (place text)'):format(place))
      local sql = ("INSERT INTO cut_%s VALUES ('%s')"):format(place, place)
      local session = assert(connect())
      local rule = p:cut('up %s Query~INSERT+INTO close', place)
      assert.is_nil(p:fired(rule))
      session:rows('SELECT 1')
      assert.is_nil(p:fired(rule))
      assert.is_false(pcall(session.rows, session, sql))
      local total, forwarded = p:fired(rule)
      assert.equal(#sql + 6, total)
      assert.equal(math.floor(total * share), forwarded)
      assert.equal(1, p:counters()['cut_up_' .. place])
      -- The server is told goodbye; until then it may be at work.
      process.wait_for('the end', 10, function() return p:counters().open == 0 end)
      process.wait_for('the backend', 10, function()
        local n = db:number('SELECT count(*) FROM cut_' .. place)
        return n == (place == 'after' and 1 or 0)
      end)
    end)

    it('cuts a message to the client ' .. place, function()
      local session = assert(connect())
      local rule = p:cut('down %s CommandComplete reset 2', place)
      session:rows('SELECT 1')
      assert.is_false(pcall(session.rows, session, 'SELECT 2'))
      -- "C", the length, "SELECT 1" and a NUL.
      local total, forwarded = p:fired(rule)
      assert.equal(14, total)
      assert.equal(14 * share, forwarded)
      assert.equal(1, p:counters()['cut_down_' .. place])
    end)
  end

  it('knows the statement that a message is about', function()
    local session = assert(connect())
    local rule = p:cut('up before Query~commit close')
    session:rows('BEGIN')
    session:rows('SELECT 1')
    assert.is_nil(p:fired(rule))
    assert.is_false(pcall(session.rows, session, 'COMMIT'))
    assert.equal(12, (p:fired(rule)))
  end)

  it('cuts one side alone', function()
    local session = assert(connect())
    p:cut('up after Query half')
    -- The server answers what it got, then sees the end.
    assert.equal('1', session:value('SELECT 1'))
    process.wait_for('the end', 10, function() return p:counters().open == 1 end)
    assert.is_false(pcall(session.rows, session, 'SELECT 2'))
    assert.equal(1, p:counters().effect_half)
  end)

  it('delays replies', function()
    local session = assert(connect())
    p:command('delay down 300')
    local from = process.now()
    session:rows('SELECT 1')
    assert.is_true(process.now() - from >= 0.29)
    assert.is_true(p:counters().delayed_down > 0)
    p:heal()
    from = process.now()
    session:rows('SELECT 1')
    assert.is_true(process.now() - from < 0.25)
  end)

  it('swallows what one direction says', function()
    assert(connect()):close()
    p:command('hole up on')
    assert.is_nil((pg.connect(p:url(server) .. '/postgres?connect_timeout=2')))
    assert.is_true(p:counters().lost_up > 0)
    p:heal()
    assert(connect()):close()
  end)

  it('lets bytes wait and loses none', function()
    p:command('stall up on')
    assert.is_nil((pg.connect(p:url(server) .. '/postgres?connect_timeout=2')))
    assert.is_true(p:counters().waiting_up > 0)
    p:heal()
    assert(connect()):close()
    assert.equal(0, p:counters().lost_up)
  end)

  it('refuses connections and ends those there are', function()
    local session = assert(connect())
    p:command('refuse on')
    assert.is_nil((connect()))
    assert.equal('1', session:value('SELECT 1'))
    assert.equal('1', p:command('kill reset'))
    assert.is_false(pcall(session.rows, session, 'SELECT 1'))
    local n = p:counters()
    assert.is_true(n.refused >= 1)
    assert.equal(1, n.killed)
    p:heal()
    assert(connect()):close()
  end)

  it('carries any other protocol', function()
    local plain = proxy.start { to = os.getenv('KAFKA_BROKERS'), plain = true }
    finally(function() plain:stop() end)
    -- The broker then names its own address, so only the first talk is here.
    local producer = kafka.producer { ['bootstrap.servers'] = '127.0.0.1:' .. plain.port }
    assert.is_truthy(producer:topics())
    assert.is_true(plain:counters().messages_down > 0)
    producer:close()
  end)
end)

describe('the preload', function()
  local test = preload.is_usable() and it or pending

  test('makes the n-th call of a worker fail, once or at a distance', function()
    local faults = preload.start()
    local s = counts.new {}
    for name, value in pairs(faults.env) do s.env[name] = value end
    local run = s.start()
    finally(function()
      run:destroy()
      faults:stop()
      -- The runner takes a crash in a log for a defect; this one is wanted.
      os.remove(run.log)
    end)
    s.send_good(10)
    run:wait_caught_up(s.db, s.producer, s.topic, 1)
    assert.equal(0, (faults:fired('calloc')))

    -- A worker at work allocates nothing; a new connection does.
    faults:arm('calloc', { nth = 3 })
    run:wait_for('the third call', 30, function()
      s.db:rows [[SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE application_name LIKE 'tidemill%' AND datname = current_database()]]
      s.send_good(5)
      return faults:fired('calloc') == 1
    end)
    assert.equal(3, select(2, faults:fired('calloc')))
    run:wait_for('a new worker', 30, function()
      return run:metric('worker_restarts_total') == 1
    end)

    faults:arm('recv', {
      nth = 2, every = 5, caller = 'libpq', error = preload.ECONNRESET,
    })
    run:wait_for('two calls that fail', 60, function()
      s.send_good(5)
      return faults:fired('recv') >= 2
    end)
    faults:disarm()
    run:wait_caught_up(s.db, s.producer, s.topic, 1)
    assert.equal(0, (faults:fired('send')))
    assert.equal(0, (run:stop()))
  end)

  test('moves the wall clock and no other', function()
    local faults = preload.start()
    local s = counts.new {}
    for name, value in pairs(faults.env) do s.env[name] = value end
    faults:set_clock(-86400 * 365)
    local run = s.start()
    finally(function()
      run:destroy()
      faults:stop()
    end)
    s.send_good(10)
    run:wait_caught_up(s.db, s.producer, s.topic, 1)
    assert.is_true(faults:clock_readings() > 0)
    assert.matches('ts=' .. os.date('!%Y', os.time() - 86400 * 365), run:text())
    assert.equal(0, (run:stop()))
  end)
end)
