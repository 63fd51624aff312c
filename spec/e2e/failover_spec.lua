-- The database is somewhere else: after a failover, behind a host that does
-- not answer, with another password.
local bank = require 'bank'
local ffi = require 'ffi'
local kafka = require 'kafka'
local pg = require 'pg'
local process = require 'process'
local server = require 'server'
local tidemill = require 'tidemill'

local PARTITIONS = 4

local POSTGRES = "postgres { write = env('DATABASE_URL', 'postgresql://localhost/bank') }"

local function new_bundle(producer, database, n_partitions)
  local topic = tidemill.unique('failover')
  producer:create_topic(topic, n_partitions or PARTITIONS)
  local bundle = tidemill.example('bank', {
    ['outbox.event.account'] = topic,
    ["group = 'bank'"] = ("group = '%s'"):format(topic),
    ["name = 'bank',"] = "name = 'bank', batch = { size = 200, linger_ms = 5 },",
    [POSTGRES] = database,
  })
  return bundle, bank.new { seed = 10, topic = topic, accounts = 200 }
end

-- Two servers, the second a standby that every COMMIT of the first waits for.
local function pair()
  local first = server.start()
  local second = server.start(first)
  first:set('synchronous_standby_names', '*')
  process.wait_for('the standby to be synchronous', 30, function()
    return first:run('SELECT sync_state FROM pg_stat_replication')[1].sync_state == 'sync'
  end)
  first:run 'CREATE DATABASE bank'
  return first, second, ('postgresql://mill@127.0.0.1:%d,127.0.0.1:%d/bank')
    :format(first.port, second.port)
end

local function setup(producer, url)
  local bundle, model = new_bundle(producer, "postgres { write = env('DATABASE_URL') }")
  local env = { DATABASE_URL = url }
  tidemill.apply(bundle, env)
  return tidemill.start(bundle, { env = env }), model
end

describe('a database', function()
  local producer
  lazy_setup(function() producer = kafka.producer() end)

  it('that fails over to its standby is followed there, and nothing is lost', function()
    local first, second, url = pair()
    local run, model
    finally(function()
      if run then run:destroy() end
      second:destroy()
      first:destroy()
    end)
    run, model = setup(producer, url)
    model:send(producer, 3000)
    run:wait_caught_up(first:connect 'bank', producer, model.topic, PARTITIONS)

    model:send(producer, 5000)
    first:crash()
    model:send(producer, 3000)
    run:wait_for('the run to notice', 30, function()
      return select(2, run:get('/readyz')) == 503
    end)
    second:run 'SELECT pg_promote()'
    local db = second:connect 'bank'
    run:wait_caught_up(db, producer, model.topic, PARTITIONS)
    model:check_all(db)
    run:wait_ready()
    assert.equal(0, run:metric('worker_restarts_total'))
    assert.equal(0, (run:stop()))
  end)

  it('that is demoted while it runs is left for the one that takes writes', function()
    local first, second, url = pair()
    local run, model
    finally(function()
      if run then run:destroy() end
      second:destroy()
      first:destroy()
    end)
    run, model = setup(producer, url)
    model:send(producer, 3000)
    run:wait_caught_up(first:connect 'bank', producer, model.topic, PARTITIONS)

    first:set('default_transaction_read_only', 'on')
    model:send(producer, 2000)
    run:wait_for('a write to be refused', 30, function()
      return run:text():find('sqlstate=25006', 1, true)
    end)
    second:run 'SELECT pg_promote()'
    local db = second:connect 'bank'
    run:wait_caught_up(db, producer, model.topic, PARTITIONS)
    model:check_all(db)
    assert.equal(0, run:metric('worker_restarts_total'))
    assert.equal(0, (run:stop()))
  end)

  it('that is away lets lanes go elsewhere, and is found again without work', function()
    -- Two runs of one group with a database each, so that one can be away.
    local mine = server.start()
    local bundle, model = new_bundle(producer,
      "postgres { write = env('DATABASE_URL') }", 1)
    local run, other
    finally(function()
      if run then run:destroy() end
      if other then other:destroy() end
      mine:destroy()
    end)
    local url, db = tidemill.database(bundle)
    local env = { DATABASE_URL = pg.as('mill', mine:url 'postgres') }
    tidemill.apply(bundle, env)
    run = tidemill.start(bundle, { args = { '--instance', 'z' }, env = env })
    model:send(producer, 1000)
    run:wait_caught_up(mine:connect 'postgres', producer, model.topic, 1)
    mine:crash()
    model:send(producer, 1000)
    run:wait_for('the breaker to open', 30, function()
      return run:metric('breaker_opens_total') == 1
    end)

    -- The only lane goes to the member whose name comes first.
    other = tidemill.start(bundle, { args = { '--instance', 'a' },
      env = { DATABASE_URL = url } })
    other:wait_caught_up(db, producer, model.topic, 1)
    model:check_all(db)
    assert.is_true(run:metric('breaker_state') > 0)
    assert.equal(503, select(2, run:get('/readyz')))

    mine:come_back()
    run:wait_ready()
    assert.equal(0, run:metric('breaker_state'))
    assert.equal(0, (run:stop()))
  end)

  it('is found behind a host that never answers', function()
    -- The kernel shakes hands for a socket that nobody accepts from.
    ffi.cdef [[
      struct spec_address { uint16_t family; uint16_t port; uint32_t ip; char zero[8]; };
      int socket(int, int, int);
      int bind(int, const struct spec_address *, unsigned);
      int listen(int, int);
      int getsockname(int, struct spec_address *, unsigned *);
      int close(int);
    ]]
    local bit = require 'bit'
    local mute, size = ffi.C.socket(2, 1, 0), ffi.new('unsigned[1]', 16)
    local at = ffi.new('struct spec_address', { family = 2, ip = 0x0100007f })
    assert(ffi.C.bind(mute, at, 16) == 0 and ffi.C.listen(mute, 16) == 0)
    ffi.C.getsockname(mute, at, size)
    local port = bit.bor(bit.lshift(bit.band(at.port, 255), 8), bit.rshift(at.port, 8))

    local bundle, model = new_bundle(producer,
      "postgres { write = env('DATABASE_URL'), timeouts = { connect_ms = 500 } }")
    local url, db = tidemill.database(bundle)
    local run = tidemill.start(bundle, { env = {
      DATABASE_URL = url:gsub('@', ('@127.0.0.1:%d,'):format(port)),
    } })
    finally(function()
      run:destroy()
      ffi.C.close(mute)
    end)
    model:send(producer, 2000)
    run:wait_caught_up(db, producer, model.topic, PARTITIONS)
    model:check_all(db)
    assert.equal(0, run:metric('breaker_opens_total'))
    assert.equal(0, (run:stop()))
  end)

  it('whose password changes is reached with the new one, without a restart', function()
    local secret = os.getenv('TIDEMILL_SCRATCH') .. '/' .. tidemill.unique('secret')
    local bundle, model = new_bundle(producer,
      ("postgres { write = file('%s') }"):format(secret))
    local url, db = pg.create(tidemill.unique('db'))
    local function put(password)
      local text = url:gsub('postgres@', 'secured:' .. password .. '@')
      tidemill.write(secret, text .. '\n')
    end
    tidemill.write(secret, url)
    local result = tidemill.call { 'schema', bundle, '--role', 'secured', '--apply' }
    assert(result.status == 0, result.text)
    put 'wrong'
    local run = tidemill.start(bundle)
    finally(function()
      run:destroy()
      db:rows "ALTER ROLE secured PASSWORD 'right'"
    end)
    model:send(producer, 1000)
    run:wait_for('the wrong password to be refused', 30, function()
      return (run:get('/readyz') or ''):find('password authentication failed', 1, true)
    end)
    put 'right'
    run:wait_caught_up(db, producer, model.topic, PARTITIONS)

    db:rows "ALTER ROLE secured PASSWORD 'another-one'"
    db:rows [[
      SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'secured']]
    model:send(producer, 1000)
    run:wait_for('the old password to be refused', 30, function()
      return run:text():find('28P01', 1, true)
    end)
    put 'another-one'
    run:wait_caught_up(db, producer, model.topic, PARTITIONS)
    model:check_all(db)
    run:wait_ready()
    assert.is_nil(run:text():find('another-one', 1, true))
    assert.is_nil(run:text():find('secured:', 1, true))
    assert.equal(0, run:metric('worker_restarts_total'))
    assert.equal(0, (run:stop()))
  end)
end)
