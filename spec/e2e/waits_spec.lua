-- Waits that look healthy: they show where people look, and end by themselves.
local counts = require 'counts'
local kafka = require 'kafka'
local kafka_admin = require 'kafka_admin'
local kafka_reader = require 'kafka_reader'
local pg = require 'pg'
local tidemill = require 'tidemill'

local function lane(s, partition)
  for _, l in ipairs((s.run:status() or { lanes = {} }).lanes) do
    if l.partition == partition then return l end
  end
  return { message = '' }
end

local function n_logged(s, text)
  local _, n = s.run:text():gsub(text, '')
  return n
end

describe('partitions that a stranger in the group has', function()
  local s = counts.new { partitions = 4 }

  it('count as lag, take readiness away and say who has them', function()
    local run = s.start()
    local member
    finally(function()
      run:destroy()
      if member then member:close() end
    end)
    s.send_good(40)
    run:wait_caught_up(s.db, s.producer, s.topic, 4)
    run:wait_ready()

    member = kafka_reader.member(s.topic, s.topic)
    run:wait_for('the stranger to have two', 30, function()
      member:poll()
      return run:n_running() == 2
    end)
    s.send_good(40, 41)
    local body, status
    run:wait_for('the stranger to show', 60, function()
      member:poll()
      body, status = run:get('/readyz')
      return status == 503 and run:metric('lane_lag') == 20
    end)
    assert.matches("another member of group '[^']+' has it.*client.id stranger, host ",
      body)
    assert.equal(1, n_logged(s, 'partitions are not read by this pipeline'))

    member:close()
    member = nil
    run:wait_caught_up(s.db, s.producer, s.topic, 4)
    run:wait_for('readiness', 30, function()
      body, status = run:get('/readyz')
      return status == 200 and body == 'ok\n' and run:metric('lane_lag') == 0
    end)
    assert.equal(0, (run:stop()))
  end)

  it('are well when another run of the pipeline has them', function()
    local one, two = s.start { '--instance', 'one' }, s.start { '--instance', 'two' }
    finally(function()
      one:destroy()
      two:destroy()
    end)
    one:wait_for('both to share', 60, function()
      return one:n_running() == 2 and two:n_running() == 2
    end)
    one:wait_for('the other to be named', 60, function()
      local n = 0
      for _, l in ipairs(one:status().lanes) do
        if l.message == ('read by %s-two-0'):format(s.topic) then n = n + 1 end
      end
      return n == 2
    end)
    assert.equal('ok\n', (one:get('/readyz')))
    assert.equal('ok\n', (two:get('/readyz')))
    assert.is_nil(one:text():find('not read by', 1, true))
  end)
end)

describe('records behind a transaction that stays open', function()
  it('are shown with their lane, and read once it ends', function()
    local s = counts.new { partitions = 1 }
    local run = s.start()
    finally(function() run:destroy() end)
    s.send_good(10)
    run:wait_caught_up(s.db, s.producer, s.topic, 1)
    local slow = kafka.producer { ['transactional.id'] = s.topic }
    slow:begin()
    slow:send {
      topic = s.topic, partition = 0, key = '1', value = '{"kind":"add","amount":1}',
    }
    slow:flush()
    s.send_good(5)
    run:wait_for('the wait to show', 60, function()
      return lane(s, 0).message:find('a transaction that its producer has', 1, true)
    end)
    local body, status = run:get('/readyz')
    assert.equal(200, status)
    assert.matches('^ok\nlane [^\n]+ 6 records from offset 10 on stand behind', body)
    local list = require('tidemill').call({ 'lane', 'list', s.bundle, '--admin',
      '127.0.0.1:' .. run.port }, { env = s.env })
    assert.matches('\nthe run at [%d.:]+ waits:\nlane [^\n]+ 6 records from', list.out)
    run:wait_for('the line', 10, function() return n_logged(s, 'lane stands') == 1 end)
    slow:commit()
    run:wait_for('the records', 30, function() return s.n_events() == 16 end)
    run:wait_for('the words to go', 10, function() return lane(s, 0).message == '' end)
    slow:close()
  end)
end)

-- What is wrong with a lane's row, how that is mended, and the words about it.
local ROW = "topic = '%s' AND partition = %d"
local odd_rows = {
  { 'SELECT FROM tidemill.lane WHERE %s FOR UPDATE', is_lock = true,
    says = 'is locked by session %d+ of role postgres %(holder%)' },
  { 'odd: raise', says = 'cannot be claimed: .*refused by a trigger' },
  { 'UPDATE tidemill.lane SET epoch = 9223372036854775807 WHERE %s',
    mend = 'UPDATE tidemill.lane SET epoch = 7000000000 WHERE %s',
    says = 'out of range' },
  { "UPDATE tidemill.lane SET halted = 'x', halted_at = 'infinity' WHERE %s",
    mend = 'UPDATE tidemill.lane SET halted = NULL, halted_at = NULL WHERE %s',
    says = 'cannot be claimed: .*infin' },
  { 'odd: swallow', says = 'does not keep' },
  { 'odd: sleep', says = 'statement timeout' },
  { 'odd: defer', says = 'cannot be claimed: .*refused at the end' },
  { 'UPDATE tidemill.lane SET next_offset = -5 WHERE %s',
    mend = 'UPDATE tidemill.lane SET next_offset = 2, epoch = epoch + 1, '
      .. 'halted = NULL WHERE %s',
    says = 'is no position', halts = true },
}
local ODD = [[
  CREATE TABLE odd (topic text, partition int, kind text);
  CREATE FUNCTION odd() RETURNS trigger SECURITY DEFINER LANGUAGE plpgsql AS $$
  DECLARE k text := (SELECT kind FROM public.odd o
    WHERE o.topic = NEW.topic AND o.partition = NEW.partition);
  BEGIN
    IF k = 'raise' THEN RAISE 'refused by a trigger'; END IF;
    IF k = 'sleep' THEN PERFORM pg_sleep(30); END IF;
    IF k = 'swallow' THEN RETURN NULL; END IF;
    RETURN NEW;
  END $$;
  CREATE FUNCTION odd_late() RETURNS trigger SECURITY DEFINER LANGUAGE plpgsql AS $$
  BEGIN
    IF EXISTS (SELECT FROM public.odd o WHERE o.topic = NEW.topic
      AND o.partition = NEW.partition AND kind = 'defer') THEN
      RAISE 'refused at the end';
    END IF;
    RETURN NULL;
  END $$;
  CREATE TRIGGER odd BEFORE UPDATE ON tidemill.lane FOR EACH ROW EXECUTE FUNCTION odd();
  CREATE CONSTRAINT TRIGGER odd_late AFTER UPDATE ON tidemill.lane
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION odd_late()]]

describe('lanes whose rows of tidemill.lane cannot be claimed', function()
  it('wait by themselves and say why, until it is mended; the others run', function()
    local n = #odd_rows + 2 -- the first one and the last one are well
    local s = counts.new { partitions = n }
    local holder = pg.connect(pg.as('postgres', s.url))
    holder:rows("SET application_name = 'holder'")
    local function row(i) return ROW:format(s.topic, i) end
    local first = s.start { '--instance', 'one' }
    finally(function() first:destroy() end)
    s.send_good(2 * n, 0)
    first:wait_caught_up(s.db, s.producer, s.topic, n)
    assert.equal(0, (first:stop()))

    s.db:rows(ODD)
    for i, odd in ipairs(odd_rows) do
      local kind = odd[1]:match('^odd: (%a+)')
      local db = odd.is_lock and holder or s.db
      if odd.is_lock then holder:rows('BEGIN') end
      local sql = "INSERT INTO odd VALUES ('%s', %d, '%s')"
      db:rows(kind and sql:format(s.topic, i, kind) or odd[1]:format(row(i)))
    end
    s.db:rows('UPDATE tidemill.lane SET epoch = -5 WHERE ' .. row(n - 1)) -- no harm
    s.send_good(n, 0)
    local run = s.start { '--instance', 'one' }
    finally(function()
      run:destroy()
      holder:close()
    end)
    run:wait_for('the lanes that are well', 30, function()
      return s.db:number(('SELECT count(*) FROM tidemill.lane WHERE next_offset = 3 '
        .. 'AND partition IN (0, %d)'):format(n - 1)) == 2
    end)
    run:wait_for('all the words', 30, function()
      for i, odd in ipairs(odd_rows) do
        local l = lane(s, i)
        if not l.message:find(odd.says) then return false end
        assert.equal(odd.halts and 'halted' or 'unowned', l.state)
      end
      return true
    end)
    run:wait_for('the wait to take readiness', 20, function()
      local body, status = run:get('/readyz')
      return status == 503
        and body:find('lane [^\n]+/1: its row of tidemill.lane is locked by')
    end)
    run:wait_for('the lag of the lane that waits', 20, function()
      return lane(s, 1).lag == 1
    end)
    local list = tidemill.call({ 'lane', 'list', s.bundle, '--admin',
      '127.0.0.1:' .. run.port }, { env = s.env })
    assert.matches('/1: its row of tidemill.lane is locked by', list.out)
    assert.equal(1, n_logged(s, 'lane cannot be claimed[^\n]+/1 [^\n]+ is locked by'))
    assert.matches('its row of tidemill.lane is locked',
      run:status().workers[1].waiting_for)

    holder:rows('COMMIT')
    run:wait_for('the lane that was locked', 10, function()
      return s.db:number('SELECT next_offset FROM tidemill.lane WHERE ' .. row(1)) == 3
    end)
    s.db:rows('ALTER TABLE tidemill.lane DISABLE TRIGGER USER; DELETE FROM odd')
    for i, odd in ipairs(odd_rows) do
      if odd.mend then s.db:rows(odd.mend:format(row(i))) end
    end
    run:wait_caught_up(s.db, s.producer, s.topic, n)
    assert.equal(3 * n, s.n_events())
    run:wait_for('readiness', 30, function() return (run:get('/readyz')) == 'ok\n' end)
  end)

  it('begin without the one whose row is refused at the first start', function()
    local s = counts.new { partitions = 3 }
    s.db:rows('ALTER TABLE tidemill.lane ADD CONSTRAINT odd CHECK (partition <> 1)')
    s.send_good(6)
    local run = s.start()
    finally(function() run:destroy() end)
    run:wait_for('the others', 30, function() return s.n_events() == 4 end)
    run:wait_for('the words', 10, function()
      return lane(s, 1).message:find('its row of tidemill.lane cannot be made', 1, true)
    end)
    s.db:rows('ALTER TABLE tidemill.lane DROP CONSTRAINT odd')
    run:wait_caught_up(s.db, s.producer, s.topic, 3)
    assert.equal(6, s.n_events())
  end)
end)

describe('what Kafka refuses', function()
  local INVALID_MESSAGE, NOT_AUTHORIZED = 2, 30
  local mock = kafka_admin.mock(2)
  local s = counts.new { producer = mock.producer, topic = mock.topic, partitions = 2 }
  s.env.KAFKA_BROKERS = mock.brokers

  it('to a worker that wants to join is what it waits for', function()
    mock:refuse_join(1000, NOT_AUTHORIZED)
    local run = s.start()
    finally(function() run:destroy() end)
    local body, status
    run:wait_for('the reason', 60, function()
      body, status = run:get('/readyz')
      return status == 503 and body:find('has given this worker nothing to read', 1, true)
    end)
    assert.matches('our user may not do that', body)
    assert.equal(1, n_logged(s, 'the run waits'))
    mock:forgive()
    run:wait_ready(60)
  end)

  it('is shown, of a partition with its lane, as long as it lasts', function()
    local run = s.start()
    finally(function() run:destroy() end)
    run:wait_ready(60)
    s.send_good(10)
    run:wait_caught_up(s.db, s.producer, s.topic, 2)
    local body
    mock:take_leader(1)
    run:wait_for('the missing leader', 90, function()
      body = run:get('/readyz')
      return body:find('mock/1 has no leader', 1, true)
    end)
    mock:give_leader(1)
    run:wait_for('the leader', 90, function() return (run:get('/readyz')) == 'ok\n' end)
    mock:refuse_fetch(100000, INVALID_MESSAGE)
    run:wait_for('a lane that blocks', 60, function()
      local status
      body, status = run:get('/readyz')
      return status == 503
    end)
    assert.matches('^lane mock/%d: mock/%d: Kafka at [^\n]*damaged records', body)
    mock:forgive()
    s.send_good(10, 11)
    run:wait_caught_up(s.db, s.producer, s.topic, 2)
    run:wait_for('readiness', 30, function() return (run:get('/readyz')) == 'ok\n' end)
    local function says() return run:status().workers[1].waiting_for end
    mock:down()
    run:wait_for('the outage to show', 30, function()
      return says():find('^kafka: Kafka at [%d.:]+: no broker answers')
    end)
    mock:up() -- there is no work that would show it
    run:wait_for('its words to go', 30, function() return says() == '' end)
  end)

  it('to tell of a partition keeps no other lane from being claimed', function()
    mock:take_leader(1)
    local run = s.start()
    finally(function() run:destroy() end)
    s.send(1001, '{"kind":"add","amount":1}', 0)
    s.producer:flush()
    run:wait_for('the lane that has a leader', 60, function()
      return s.db:number('SELECT coalesce(sum(n), 0) FROM counts WHERE id = 1001') == 1
    end)
    local body, status
    run:wait_for('the other one to block', 30, function()
      body, status = run:get('/readyz')
      return status == 503 and body:find('^lane mock/1: mock/1 has no leader')
    end)
    assert.equal('unowned', lane(s, 1).state)
    assert.equal(0, run:metric('lane_lag'))
    mock:give_leader(1)
    s.send(1002, '{"kind":"add","amount":1}', 1)
    s.producer:flush()
    run:wait_caught_up(s.db, s.producer, s.topic, 2)
    run:wait_for('readiness', 30, function() return (run:get('/readyz')) == 'ok\n' end)
  end)

  teardown(function() mock:close() end)
end)

describe('a partition of which Kafka does not tell', function()
  local NOT_AUTHORIZED = 29
  local one = { '--instance', 'one' } -- else the last one's session has to end
  local mock = kafka_admin.mock(3, 2)
  local s = counts.new { producer = mock.producer, topic = mock.topic, partitions = 3 }
  s.env.KAFKA_BROKERS = mock.brokers

  it('begins with the others, and is read once Kafka tells', function()
    mock:give_leader(2, 2)
    s.send_good(6)
    mock:take_leader(2)
    local run = s.start(one)
    finally(function() run:destroy() end)
    run:wait_for('the lanes that have a leader', 60, function()
      return s.n_events() == 4
    end)
    assert.equal(-2,
      s.db:number('SELECT next_offset FROM tidemill.lane WHERE partition = 2'))
    run:wait_for('the other one to show', 30, function()
      return (run:get('/readyz')):find('lane mock/2: mock/2 has no leader', 1, true)
    end)
    local list = tidemill.call({ 'lane', 'list', s.bundle, '--admin',
      '127.0.0.1:' .. run.port }, { env = s.env })
    assert.matches('mock/2 +%- ', list.out)
    mock:give_leader(2, 2)
    run:wait_for('all of them', 30, function() return s.n_events() == 6 end)
    run:wait_ready()
    assert.equal(0, (run:stop()))
  end)

  it('is the only one that waits for what is refused, or late', function()
    mock:refuse_offsets(2, 6, NOT_AUTHORIZED)
    s.send_good(3, 7)
    local run = s.start(one)
    finally(function() run:destroy() end)
    run:wait_for('the refusal', 60, function()
      return lane(s, 2).message:find('does not tell which offsets it has', 1, true)
    end)
    assert.matches('Topic authorization failed %(our user may not', lane(s, 2).message)
    assert.equal(1, n_logged(s, 'lane cannot be claimed[^\n]+mock/2'))
    run:wait_for('all records', 30, function() return s.n_events() == 9 end)
    assert.equal(0, (run:stop()))

    s.send_good(3, 10)
    mock:delay(120000, 2)
    run = s.start(one)
    run:wait_for('the lanes of the other broker', 60, function()
      return s.n_events() == 11
    end)
    assert.matches('timed out', lane(s, 2).message)
    mock:delay(0, 2)
    run:wait_for('all records', 90, function() return s.n_events() == 12 end)
    assert.equal(0, run:metric('worker_restarts_total'))
  end)

  it('is not taken for one that was deleted', function()
    mock:refuse_topic(NOT_AUTHORIZED)
    local run = s.start(one)
    finally(function() run:destroy() end)
    local body, status
    run:wait_for('the reason', 60, function()
      body, status = run:get('/readyz')
      return status == 503 and body:find('topic mock: Kafka at', 1, true)
    end)
    assert.matches('does not tell of it: Broker: Topic authorization failed', body)
    assert.equal(0,
      s.db:number('SELECT count(*) FROM tidemill.lane WHERE halted IS NOT NULL'))
    mock:refuse_topic(0)
    run:wait_ready(90)
  end)

  it('begins where `latest` was when the others did', function()
    local late = counts.new { start = 'latest' }
    late.send_good(3)
    late.db:rows(([[INSERT INTO tidemill.lane (pipeline, topic, partition, next_offset,
      group_id, anchor_ms) SELECT 'counts', '%s', 0, -2, '%s',
      extract(epoch FROM clock_timestamp()) * 1000 + 500]]):format(
      late.topic, late.group))
    late.db:rows('SELECT pg_sleep(0.6)')
    late.send_good(4, 4)
    local run = late.start()
    finally(function() run:destroy() end)
    run:wait_caught_up(late.db, late.producer, late.topic, 1)
    assert.equal(4, late.n_events())
  end)

  teardown(function() mock:close() end)
end)

describe('a database that failed while nothing was to be done', function()
  it('gives readiness back once it answers', function()
    local s = counts.new()
    local name = s.db:value('SELECT current_database()')
    local function limit(n)
      s.db:rows(('ALTER DATABASE %s CONNECTION LIMIT %d'):format(name, n))
    end
    local run = s.start()
    finally(function() run:destroy() end)
    s.send_good(3)
    run:wait_caught_up(s.db, s.producer, s.topic, 1)
    run:wait_ready()
    limit(0)
    s.db:rows [[SELECT pg_terminate_backend(pid) FROM pg_stat_activity
      WHERE datname = current_database() AND pid <> pg_backend_pid()]]
    run:wait_for('the trouble to show', 30, function()
      local body, status = run:get('/readyz')
      return status == 503 and body:find('too many connections', 1, true)
    end)
    limit(-1)
    run:wait_ready(20)
  end)
end)
