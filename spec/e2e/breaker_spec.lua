-- The circuit breaker in a run: what an outage of the database under full
-- input looks like from outside, and what it costs.
local bank = require 'bank'
local kafka = require 'kafka'
local outage = require 'outage'
local pg = require 'pg'
local process = require 'process'
local tidemill = require 'tidemill'

local PARTITIONS = 4
local NOT_CLOSED = { [1] = true, [2] = true }
local scratch = os.getenv('TIDEMILL_SCRATCH')

local Setup = {}
Setup.__index = Setup

local function setup(producer)
  local topic = tidemill.unique('breaker')
  producer:create_topic(topic, PARTITIONS)
  local bundle = tidemill.example('bank', {
    ['outbox.event.account'] = topic,
    ["group = 'bank'"] = ("group = '%s'"):format(topic),
  })
  local url, db = tidemill.database(bundle)
  local s = setmetatable({
    topic = topic, db = db, url = url,
    bank = bank.new { seed = 9, topic = topic, accounts = 500 },
  }, Setup)
  s.run = tidemill.start(bundle, { env = { DATABASE_URL = url } })
  return s
end

-- How often the log has a text.
function Setup:count(text)
  local _, n = self.run:text():gsub(text, '')
  return n
end

-- The worker's memory in megabytes.
local function resident(run)
  local pages = tidemill.read(('/proc/%d/statm'):format(run:workers()[1]))
    :match('^%d+ (%d+)')
  return tonumber(pages) * 4096 / 1e6
end

local function wait_for_state(s, what, states)
  s.run:wait_for(what, 30, function() return states[s.run:metric('breaker_state')] end)
end

describe('a circuit breaker', function()
  local producer
  lazy_setup(function() producer = kafka.producer() end)

  it('ends the asking in an outage under full input, and soon after it', function()
    local s = setup(producer)
    finally(function()
      s.run:destroy()
      outage.finish(s.url)
    end)
    s.bank:send(producer, 20000)
    s.run:wait_caught_up(s.db, producer, s.topic, PARTITIONS)
    local rebalances = s.run:metric('rebalances_total')
    local worker = s.run:workers()[1]

    s.db:close()
    outage.begin(function() s.bank:send(producer, 20000) end)
    s.bank:send(producer, 20000)
    wait_for_state(s, 'the breaker to open', NOT_CLOSED)
    local body, status = s.run:get('/readyz')
    assert.equal(503, status)
    assert.matches('database: circuit breaker .* after %d+ failures', body)
    -- Until the inboxes and librdkafka's queue hold what they may; then more.
    local full, n_still = 0, 0
    for _ = 1, tidemill.is_sanitized() and 12 or 60 do
      s.bank:send(producer, 25000)
      local memory = resident(s.run)
      n_still = memory < full + 1 and n_still + 1 or 0
      full = math.max(full, memory)
      if n_still == 4 then break end
    end
    assert.is_true(n_still == 4 or tidemill.is_sanitized(), 'memory grows on and on')
    for _ = 1, 4 do
      s.bank:send(producer, 25000)
      assert.is_true(NOT_CLOSED[s.run:metric('breaker_state')])
    end
    local memory = resident(s.run)
    assert.is_true(memory < full + 16 or tidemill.is_sanitized(),
      full .. ' and then ' .. memory)
    assert.equal(200, select(2, s.run:get('/livez')))

    local applied = s.run:metric('events_total')
    s.db = outage.finish(s.url)
    -- The longest cool-down is 4 s; the rest is for a busy machine.
    s.run:wait_for('the first batch after the outage', 10, function()
      return s.run:metric('events_total') > applied
    end)
    s.run:wait_caught_up(s.db, producer, s.topic, PARTITIONS, 120)
    s.bank:check_all(s.db)
    wait_for_state(s, 'the breaker to close', { [0] = true })
    s.run:wait_ready()
    assert.equal(1, s.run:metric('breaker_opens_total'))
    assert.equal(rebalances, s.run:metric('rebalances_total'))
    assert.same({ worker }, s.run:workers())
    assert.same({ 1, 1 }, { s:count 'breaker of the database opened',
      s:count 'breaker of the database closed' })
    assert.equal(0, (s.run:stop()))
  end)

  it('tries a database that lacks something seldom, and with a small batch', function()
    local s = setup(producer)
    finally(function() s.run:destroy() end)
    s.bank:send(producer, 2000)
    s.run:wait_caught_up(s.db, producer, s.topic, PARTITIONS)
    -- Each move of a lane is an attempt; while there is a row in `full` the
    -- disk is. A sequence keeps count of what is rolled back.
    s.db:rows [[
      CREATE TABLE moves (at bigint, tx bigint, n bigint);
      CREATE SEQUENCE attempts;
      CREATE TABLE "full" AS SELECT 1 AS x;
      CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
      BEGIN
        PERFORM nextval('attempts');
        IF EXISTS (SELECT FROM "full") THEN
          RAISE 'no space left on device' USING ERRCODE = '53100';
        END IF;
        INSERT INTO moves
          VALUES (nextval('attempts'), txid_current(), NEW.next_offset - OLD.next_offset);
        RETURN NULL;
      END $$;
      CREATE TRIGGER note AFTER UPDATE OF next_offset ON tidemill.lane
        FOR EACH ROW WHEN (NEW.next_offset > OLD.next_offset) EXECUTE FUNCTION note()]]
    s.bank:send(producer, 20000)
    wait_for_state(s, 'the breaker to open', NOT_CLOSED)
    -- Half a second, one, two and four at most, each at least half of that.
    local before, since = s.db:number "SELECT last_value FROM attempts", process.now()
    s.run:wait_for('a cool-down above one second', 30, function()
      local wait = (s.run:get('/readyz') or ''):match('next try in ([%d.]+) s')
      return wait and tonumber(wait) > 1
    end)
    local n, seconds = s.db:number 'SELECT last_value FROM attempts' - before,
      process.now() - since
    assert.is_true(n <= 2 + seconds / 0.25, ('%d tries in %g s'):format(n, seconds))
    assert.matches('no space left on device', (s.run:get('/readyz')))

    s.db:rows 'DELETE FROM "full"'
    s.run:wait_caught_up(s.db, producer, s.topic, PARTITIONS)
    local first = s.db:number [[
      SELECT sum(n) FROM moves GROUP BY tx ORDER BY min(at) LIMIT 1]]
    assert.is_true(first <= 100, first .. ' records were the probe')
    assert.is_true(s.db:number 'SELECT max(n) FROM moves' > 100)
    s.bank:check_all(s.db)
    assert.equal(0, (s.run:stop()))
  end)

  it('looks an unknown COMMIT up as the first thing after an outage', function()
    local s = setup(producer)
    local data = scratch .. '/postgres/data'
    local admin = assert(pg.connect(pg.as('postgres', s.url)))
    finally(function()
      tidemill.write(data .. '/postgresql.auto.conf', '')
      s.run:destroy()
      outage.finish(s.url)
    end)
    s.run:wait_ready()
    -- A COMMIT is durable and waits for a standby that never comes.
    admin:rows 'SET synchronous_commit = local'
    admin:rows "ALTER SYSTEM SET synchronous_standby_names = 'nobody'"
    admin:rows 'SELECT pg_reload_conf()'
    s.bank:send(producer, 500)
    process.wait_for('a COMMIT that waits', 30, function()
      return admin:number [[
        SELECT count(*) FROM pg_stat_activity
        WHERE wait_event = 'SyncRep' AND application_name LIKE 'tidemill%']] > 0
    end)
    s.db:close()
    admin:close()
    outage.begin()
    wait_for_state(s, 'the breaker to open', NOT_CLOSED)
    tidemill.write(data .. '/postgresql.auto.conf', '')
    assert.equal(0, s:count 'an unknown COMMIT is known')

    s.db = outage.finish(s.url)
    s.run:wait_for('the COMMIT to be known', 10, function()
      return s.run:text():find('breaker of the database closed.*outcome=committed')
    end)
    s.run:wait_caught_up(s.db, producer, s.topic, PARTITIONS)
    s.bank:check_all(s.db)
    assert.is_true(s.run:metric('commit_unknown_total') >= 1)
    assert.equal(0, (s.run:stop()))
  end)

  it('stays closed when a connection is lost now and then', function()
    local s = setup(producer)
    finally(function() s.run:destroy() end)
    for _ = 1, 8 do
      s.bank:send(producer, 500)
      process.wait_for('a backend', 30, function()
        return s.db:number [[
          SELECT count(*) FILTER (WHERE pg_terminate_backend(pid)) FROM pg_stat_activity
          WHERE datname = current_database() AND application_name LIKE 'tidemill%'
          AND pid <> pg_backend_pid()]] > 0
      end)
      s.run:wait_caught_up(s.db, producer, s.topic, PARTITIONS)
    end
    s.bank:check_all(s.db)
    assert.equal(0, s.run:metric('breaker_opens_total'))
    assert.equal(0, (s.run:stop()))
  end)
end)
