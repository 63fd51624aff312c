-- Exactly once while PostgreSQL drops connections, loses the answer to a
-- COMMIT, or is away.
local bank = require 'bank'
local kafka = require 'kafka'
local outage = require 'outage'
local pg = require 'pg'
local process = require 'process'
local tidemill = require 'tidemill'

local PARTITIONS = 4

local function setup(producer)
  local topic = tidemill.unique('database')
  producer:create_topic(topic, PARTITIONS)
  local bundle = tidemill.example('bank', {
    ['outbox.event.account'] = topic,
    ["group = 'bank'"] = ("group = '%s'"):format(topic),
    ["name = 'bank',"] = "name = 'bank', batch = { size = 50, linger_ms = 5 },",
  })
  local url, db = tidemill.database(bundle)
  local s = {
    topic = topic, bundle = bundle, db = db, url = url,
    bank = bank.new { seed = 8, topic = topic, accounts = 100 },
    random = bank.random(8),
  }
  s.run = tidemill.start(bundle, { env = { DATABASE_URL = url } })
  return s
end

-- Ends the backends of the pipeline that are in a state; how many.
local function terminate(db, where)
  return db:number([[
    SELECT count(*) FILTER (WHERE pg_terminate_backend(pid)) FROM pg_stat_activity
    WHERE datname = current_database() AND application_name LIKE 'tidemill%'
    AND pid <> pg_backend_pid() AND ]] .. where)
end

local function finish(s, producer)
  s.run:wait_caught_up(s.db, producer, s.topic, PARTITIONS, 120)
  s.bank:check_all(s.db)
end

describe('a database', function()
  local producer
  lazy_setup(function() producer = kafka.producer() end)

  it('that drops connections at any moment costs nothing', function()
    local s = setup(producer)
    finally(function() s.run:destroy() end)
    local n_killed = 0
    for _ = 1, 15 do
      s.bank:send(producer, 300)
      process.sleep(s.random(0, 100) / 1000)
      process.wait_for('a backend', 30, function()
        local n = terminate(s.db, 'true')
        n_killed = n_killed + n
        return n > 0
      end)
    end
    finish(s, producer)
    assert.is_true(n_killed >= 15)
    assert.is_true(s.run:metric('errors_total') > 0)
    assert.equal(0, (s.run:stop()))
  end)

  it('that drops connections inside COMMIT, before it happens, costs nothing', function()
    local s = setup(producer)
    finally(function() s.run:destroy() end)
    -- Makes each COMMIT take long enough to be hit.
    s.db:rows [[
      CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN PERFORM pg_sleep(0.03); RETURN NULL; END $$;
      CREATE CONSTRAINT TRIGGER slow AFTER UPDATE OF next_offset ON tidemill.lane
        DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION slow()]]
    local n_killed = 0
    for _ = 1, 12 do
      s.bank:send(producer, 200)
      process.wait_for('a COMMIT', 30, function()
        local n = terminate(s.db, "query ILIKE 'commit%' AND state = 'active'")
        n_killed = n_killed + n
        return n > 0
      end)
    end
    finish(s, producer)
    assert.is_true(n_killed >= 12)
    -- Not every one: looking an outcome up ends with a COMMIT too.
    assert.is_true(s.run:metric('commit_unknown_total') >= 6, s.run:get('/metrics'))
    assert.matches('outcome=not_committed', s.run:text())
    assert.equal(0, (s.run:stop()))
  end)

  it('whose answer to a COMMIT is lost after it happened repeats nothing', function()
    local s = setup(producer)
    local admin = assert(pg.connect(pg.as('postgres', s.url)))
    local function wait_for_nobody(is_on)
      admin:rows(is_on and "ALTER SYSTEM SET synchronous_standby_names = 'nobody'" or
        'ALTER SYSTEM RESET synchronous_standby_names')
      admin:rows('SELECT pg_reload_conf()')
    end
    finally(function()
      admin:rows('SET synchronous_commit = local')
      wait_for_nobody(false)
      s.run:destroy()
    end)
    s.run:wait_ready()
    admin:rows('SET synchronous_commit = local')
    local n_killed, n_rounds = 0, 0
    -- Not every one is a batch's: looking an outcome up ends with a COMMIT too.
    while n_killed < 6 or s.run:metric('commit_unknown_total') < 3 do
      n_rounds = n_rounds + 1
      assert.is_true(n_rounds <= 30, s.run:get('/metrics'))
      -- A COMMIT is durable here and waits for a standby that never comes;
      -- ending it then leaves it committed, and its answer unsent.
      wait_for_nobody(true)
      s.bank:send(producer, 200)
      process.wait_for('a COMMIT that waits', 30, function()
        local n = terminate(admin, "wait_event = 'SyncRep'")
        n_killed = n_killed + n
        return n > 0
      end)
      wait_for_nobody(false)
      process.sleep(s.random(0, 50) / 1000)
    end
    finish(s, producer)
    assert.matches('outcome=committed', s.run:text())
    assert.equal(0, (s.run:stop()))
  end)

  it('whose role commits asynchronously is asked to commit for good', function()
    local s = setup(producer)
    finally(function() s.run:destroy() end)
    s.run:stop()
    s.db:rows [[
      CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
      BEGIN
        UPDATE noted SET value = current_setting('synchronous_commit');
        RETURN NULL;
      END $$;
      CREATE TABLE noted AS SELECT ''::text AS value;
      CREATE TRIGGER note AFTER UPDATE OF next_offset ON tidemill.lane
        FOR EACH STATEMENT EXECUTE FUNCTION note()]]
    s.db:rows(("ALTER DATABASE %s SET synchronous_commit = off"):format(
      s.db:value('SELECT current_database()')))
    s.run = tidemill.start(s.bundle, { env = { DATABASE_URL = s.url } })
    s.bank:send(producer, 50)
    s.run:wait_for('a commit', 30, function()
      return s.db:value('SELECT value FROM noted') ~= ''
    end)
    assert.equal('on', s.db:value('SELECT value FROM noted'))
    assert.equal(0, (s.run:stop()))
  end)

  it('that is away for a while costs no membership and no records', function()
    local s = setup(producer)
    finally(function()
      s.run:destroy()
      outage.finish(s.url)
    end)
    s.bank:send(producer, 500)
    s.run:wait_caught_up(s.db, producer, s.topic, PARTITIONS)
    local rebalances = s.run:metric('rebalances_total')

    s.db:close()
    outage.begin()
    s.bank:send(producer, 500)
    s.run:wait_for('the run to notice', 30, function()
      local _, status = s.run:get('/readyz')
      return status == 503
    end)
    assert.matches('database', (s.run:get('/readyz')):lower())
    assert.equal(200, select(2, s.run:get('/livez')))

    s.db = outage.finish(s.url)
    finish(s, producer)
    assert.equal(rebalances, s.run:metric('rebalances_total'))
    assert.equal(0, s.run:metric('worker_restarts_total'))
    assert.equal(0, (s.run:stop()))
  end)
end)
