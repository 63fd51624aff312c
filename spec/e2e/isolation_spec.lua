-- Records that only the database refuses: the bad one is found, set aside with
-- what the database said, and nobody else is blamed, skipped or held up.
local counts = require 'counts'
local kafka = require 'kafka'
local tidemill = require 'tidemill'

local producer

local function most_transactions(n) return 2 * math.log(n) / math.log(2) + 1 end

-- The pipeline with other words: each must stand in it.
local function change(s, from, to)
  local path = s.bundle .. '/pipeline.lua'
  local text = tidemill.read(path)
  local at, behind = text:find(from, 1, true)
  assert(at, from .. ' does not stand in the pipeline')
  tidemill.write(path, text:sub(1, at - 1) .. to .. text:sub(behind + 1))
end

local function good(s, key, partition)
  s.send(key, '{"kind":"add","amount":1}', partition or 0)
end

local function set_up(options)
  options = options or {}
  options.producer = producer
  local s = counts.new(options)
  change(s, 'size = 100', 'size = 10000')
  return s
end

describe('a record that the database refuses', function()
  lazy_setup(function() producer = kafka.producer() end)

  it('is found in few transactions and set aside alone', function()
    local s = set_up { partitions = 3 }
    s.db:rows('ALTER TABLE counts ADD CHECK (amount < 500)')
    for key = 1, 3000 do good(s, key, key % 3) end
    s.send(9999, '{"kind":"add","amount":999}', 1)
    good(s, 9999, 1)
    for key = 3001, 6000 do good(s, key, key % 3) end
    producer:flush()
    local run = s.start()
    finally(function() run:destroy() end)
    run:wait_for('all others', 60, function() return s.n_events() == 6000 end)
    run:wait_caught_up(s.db, producer, s.topic, 3)
    assert.equal('1/1000 failed, 1/1001 held', s.letters())
    local letter = s.db:value([[SELECT class || ' ' || sqlstate || ' ' || message
      FROM tidemill.dead_letter WHERE state = 'failed']])
    assert.matches('data 23514 ', letter)
    assert.matches('counts_amount_check', letter)
    -- One more for each lane that was in the batch with it.
    assert.is_true(run:metric('isolations_total') <= most_transactions(2002) + 3)
    assert.equal(0, run:metric('lane_halted'))
    assert.equal(0, (run:stop()))
  end)

  it('since it takes too long is set aside while the others are applied', function()
    local s = set_up { partitions = 2 }
    change(s, "write = env('DATABASE_URL')",
      "write = env('DATABASE_URL'), timeouts = { statement_ms = 1000, lock_ms = 1000 }")
    s.db:rows [[
      CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN IF NEW.id = 77 THEN PERFORM pg_sleep(60); END IF; RETURN NEW; END $$;
      CREATE TRIGGER slow BEFORE INSERT ON counts FOR EACH ROW EXECUTE FUNCTION slow()]]
    for key = 1, 60 do good(s, key, 0) end
    good(s, 77, 1)
    for key = 101, 104 do good(s, key, 1) end
    producer:flush()
    local run = s.start()
    finally(function() run:destroy() end)
    run:wait_for('all others', 60, function()
      return s.n_events() == 64 and s.letters() == '1/0 failed'
    end)
    assert.equal('57014', s.db:value('SELECT sqlstate FROM tidemill.dead_letter'))
    assert.equal(0, run:metric('breaker_opens_total'))
    assert.equal(0, (run:stop()))
  end)

  it('by the hundred does not cost a hundred full batches', function()
    local s = set_up()
    change(s, "projections = ", "dead_letters = { max_share = 1 }, projections = ")
    s.db:rows('ALTER TABLE counts ADD CHECK (amount < 500)')
    for key = 1, 10000 do
      s.send(key, key % 100 == 50 and '{"kind":"add","amount":999}'
        or '{"kind":"add","amount":1}')
    end
    producer:flush()
    local run = s.start()
    finally(function() run:destroy() end)
    run:wait_caught_up(s.db, producer, s.topic, 1, 60)
    assert.equal(9900, s.n_events())
    assert.equal(100, s.db:number(
      "SELECT count(*) FROM tidemill.dead_letter WHERE sqlstate = '23514'"))
    -- All records were sent to the database a few times at most.
    local n = run:metric('isolations_total') + run:metric('batches_total')
    assert.is_true(n < 100 * 20, n .. ' transactions')
    assert.equal(0, (run:stop()))
  end)

  it('halts its lane when too many are', function()
    local s = set_up()
    s.db:rows('ALTER TABLE counts ADD CHECK (amount < 0)')
    s.send_good(200)
    local run = s.start()
    finally(function() run:destroy() end)
    run:wait_for('the lane to halt', 60, function()
      return run:metric('lane_halted') == 1
    end)
    assert.equal(50, s.db:number('SELECT count(*) FROM tidemill.dead_letter'))
    run:wait_for('the halt in the table', 10, function()
      return s.db:value("SELECT coalesce(halted, '') FROM tidemill.lane")
        :find('of the last 1000', 1, true)
    end)
    -- A person mends the table and lets it go on.
    s.db:rows('ALTER TABLE counts DROP CONSTRAINT counts_amount_check')
    local resumed = tidemill.call(
      { 'lane', 'resume', s.bundle, s.topic .. '/0', '--yes' }, { env = s.env })
    assert.equal(0, resumed.status, resumed.text)
    run:wait_for('the rest', 30, function() return s.n_events() == 150 end)
    local retried = tidemill.call({ 'dlq', 'retry', s.bundle, '--all', '--wait', '30' },
      { env = s.env })
    assert.equal(0, retried.status, retried.text)
    assert.equal(200, s.n_events())
    assert.equal('', s.letters())
    assert.equal(0, (run:stop()))
  end)

  it('again in a retry stays where it is; the others of it are applied', function()
    local s = set_up()
    s.db:rows('ALTER TABLE counts ADD CHECK (amount < 500)')
    for key = 1, 20 do
      s.send(key, '{"kind":"add","amount":999}')
      good(s, key)
    end
    producer:flush()
    local run = s.start()
    finally(function() run:destroy() end)
    run:wait_for('the letters', 60, function()
      return s.db:number('SELECT count(*) FROM tidemill.dead_letter') == 40
    end)
    s.db:rows [[ALTER TABLE counts DROP CONSTRAINT counts_amount_check,
      ADD CHECK (amount < 500 OR id <> 7)]]
    local retried = tidemill.call({ 'dlq', 'retry', s.bundle, '--all', '--wait', '60' },
      { env = s.env })
    assert.equal(65, retried.status, retried.text)
    assert.equal('0/12 failed, 0/13 held', s.letters())
    assert.equal(38, s.n_events())
    assert.equal(2, s.db:number(
      'SELECT attempts FROM tidemill.dead_letter WHERE "offset" = 12'))
    assert.equal(0, (run:stop()))
  end)
end)

describe('a batch that the database refuses though its records are good', function()
  lazy_setup(function() producer = producer or kafka.producer() end)

  it('since they exchange unique values is applied record by record', function()
    local s = set_up { projection = [[
return projection {
  table = 'counts', key = { id = { 'bigint', from = 'key' } },
  columns = { mail = 'text' },
  on = { add = function(row, event) row.mail = event.data.mail end },
}
]] }
    s.db:rows('CREATE UNIQUE INDEX ON counts (mail)')
    local function mail(key, text)
      s.send(key, ('{"kind":"add","mail":"%s"}'):format(text))
    end
    for key = 1, 50 do mail(key, 'm' .. key) end
    for key = 1, 49, 2 do
      mail(key, 'x' .. key)
      mail(key + 1, 'm' .. key)
      mail(key, 'm' .. key + 1)
    end
    producer:flush()
    local result = tidemill.until_end(s.bundle, { env = s.env })
    assert.equal(0, result.status, result.text)
    assert.equal('', s.letters())
    assert.equal(50, s.db:number([[SELECT count(*) FROM counts
      WHERE mail = 'm' || CASE WHEN id % 2 = 1 THEN id + 1 ELSE id - 1 END]]))
  end)

  it('need not be, when only the order of its tables was wrong', function()
    local s = set_up()
    tidemill.write(s.bundle .. '/projections/parents.lua', [[
return projection {
  table = 'parents', key = { id = { 'bigint', from = 'key' } },
  columns = { name = 'text' },
  on = { add = function(row, event) row.name = 'p' end,
         gone = function(row) row:delete() end },
}
]])
    tidemill.write(s.bundle .. '/projections/counts.lua', [[
return projection {
  table = 'counts', key = { id = { 'bigint', from = 'key' } },
  columns = { parent = 'bigint' },
  on = { add = function(row, event) row.parent = event.data.id end,
         gone = function(row) row:delete() end },
}
]])
    change(s, "'projections.counts'", "'projections.counts', 'projections.parents'")
    s.db:rows('DROP TABLE counts')
    tidemill.apply(s.bundle, s.env)
    s.db:rows('ALTER TABLE counts ADD FOREIGN KEY (parent) REFERENCES parents')
    for key = 1, 100 do s.send(key, ('{"kind":"add","id":%d}'):format(key)) end
    producer:flush()
    local run = s.start()
    finally(function() run:destroy() end)
    run:wait_caught_up(s.db, producer, s.topic, 1)
    for key = 1, 50 do s.send(key, '{"kind":"gone"}') end
    producer:flush()
    run:wait_caught_up(s.db, producer, s.topic, 1)
    assert.equal('', s.letters())
    assert.equal(0, run:metric('isolations_total'))
    assert.equal('50 50', s.db:value(
      "SELECT (SELECT count(*) FROM counts) || ' ' || (SELECT count(*) FROM parents)"))
    assert.equal(0, (run:stop()))
  end)

  it('since a parent comes a moment later is tried again first', function()
    local s = set_up { partitions = 2, projection = [[
return projection {
  table = 'counts', key = { id = { 'bigint', from = 'key' } },
  columns = { parent = 'bigint' },
  on = { add = function(row, event) row.parent = event.data.parent end },
}
]] }
    s.db:rows [[CREATE TABLE parents (id bigint PRIMARY KEY);
      ALTER TABLE counts ADD FOREIGN KEY (parent) REFERENCES parents]]
    s.send(1, '{"kind":"add","parent":5}')
    s.send(2, '{"kind":"add","parent":6}')
    producer:flush()
    local run = s.start()
    finally(function() run:destroy() end)
    run:wait_for('a retry', 30, function()
      return (run:metric('batch_retries_total') or 0) >= 1
    end)
    s.db:rows('INSERT INTO parents VALUES (5)')
    run:wait_for('the first to be applied and the second set aside', 30, function()
      return s.letters() == '0/1 failed'
    end)
    assert.equal(1, s.db:number('SELECT count(*) FROM counts WHERE parent = 5'))
    assert.equal('23503', s.db:value('SELECT sqlstate FROM tidemill.dead_letter'))
    assert.equal(0, (run:stop()))
  end)
end)

describe('a failure rule of the pipeline', function()
  lazy_setup(function() producer = producer or kafka.producer() end)

  it('decides what becomes of a record', function()
    local s = set_up()
    change(s, 'projections = ', [[failure = failure { decide = function(failure)
      if failure.sqlstate == '23514' and failure.records == 1 then
        return 'dead_letter'
      end
    end }, projections = ]])
    s.db:rows('ALTER TABLE counts ADD CHECK (amount < 500)')
    s.send(1, '{"kind":"add","amount":999}')
    good(s, 1)
    producer:flush()
    local result = tidemill.until_end(s.bundle, { env = s.env })
    assert.equal(0, result.status, result.text)
    assert.equal('0/0 failed', s.letters())
    assert.equal(1, s.n_events())
  end)

  it('may halt the lane, and a rule that raises gives way to the stock rule', function()
    local s = set_up { partitions = 2 }
    change(s, 'projections = ', [[failure = failure { decide = function(failure)
      if failure.partition == 0 then return 'halt' end
      error('no idea')
    end }, projections = ]])
    s.send('x', '{"kind":"add"}', 0)
    s.send('y', '{"kind":"add"}', 1)
    good(s, 1, 1)
    producer:flush()
    local run = s.start()
    finally(function() run:destroy() end)
    run:wait_for('a halt and a letter', 30, function()
      return run:metric('lane_halted') == 1 and s.letters() == '1/0 failed'
    end)
    run:wait_for('the rest', 30, function() return s.n_events() == 1 end)
    assert.is_true(run:metric('rule_faults_total') >= 1)
    assert.matches('no idea', run:text())
    assert.equal(0, (run:stop()))
  end)

  it('may ask for retries without end, which people are told of', function()
    local s = set_up()
    change(s, 'projections = ', [[failure = failure { decide = function(failure)
      if failure.class ~= 'schema' then return 'retry', 0 end
    end }, projections = ]])
    s.db:rows('ALTER TABLE counts ADD CONSTRAINT small CHECK (amount < 500)')
    for key = 1, 500 do good(s, key) end
    s.send(1, '{"kind":"add","amount":999}')
    producer:flush()
    local run = s.start()
    finally(function() run:destroy() end)
    run:wait_for('the word', 30, function()
      return run:text():find('asks for a batch to be tried again and again', 1, true)
    end)
    run:wait_for('the reason', 30, function()
      local text, status = run:get('/readyz')
      return status == 503 and text:find('the failure rule retries: ', 1, true)
    end)
    assert.is_true(run:metric('batch_retries_total') < 100)
    s.db:rows('ALTER TABLE counts DROP CONSTRAINT small')
    run:wait_for('all', 30, function() return s.n_events() == 501 end)
    run:wait_ready()
    assert.equal(0, (run:stop()))
  end)
end)

describe('a dead letter of an outbox', function()
  lazy_setup(function() producer = producer or kafka.producer() end)

  it('keeps its headers, so that a retry knows its type', function()
    local topic = tidemill.unique('outbox')
    producer:create_topic(topic, 1)
    local bundle = tidemill.example('bank', {
      ['outbox.event.account'] = topic,
      ["group = 'bank'"] = ("group = '%s'"):format(topic),
    })
    local url, db = tidemill.database(bundle)
    db:rows('ALTER TABLE balances ADD CONSTRAINT positive CHECK (balance >= 0)')
    local key = '00000001-0000-4000-8000-000000000001'
    local function send(kind, value)
      producer:send { topic = topic, partition = 0, key = key, value = value,
        headers = { id = kind, eventType = kind, ['a "name"'] = '\255\0"' } }
    end
    send('AccountCreated', '{"owner":"a","initial_balance":1}')
    send('MoneyWithdrawn', '{"owner":"a","amount":50}')
    send('MoneyDeposited', '{"owner":"a","amount":9}')
    producer:flush()
    local env = { DATABASE_URL = url }
    local result = tidemill.until_end(bundle, { env = env, args = { '--strict' } })
    assert.equal(65, result.status, result.text)
    assert.matches('records were set aside in this run.- failed=1 held=1 ' ..
      'dead_letters=2 by_topic="' .. topic .. ' 2"', result.err)
    assert.matches('msg="stopped" events=%d+ .*failed=1 held=1 dead_letters=2\n$',
      result.err)
    -- What an earlier run set aside is counted, and does not fail this one.
    result = tidemill.until_end(bundle, { env = env, args = { '--strict' } })
    assert.equal(0, result.status, result.text)
    assert.matches('failed=0 held=0 dead_letters=2\n$', result.err)
    -- A held letter shows why it waits.
    local listed = tidemill.call({ 'dlq', 'list', bundle, '--state', 'held' },
      { env = env })
    assert.matches('held +%S+ +held .*held: new row', listed.out)
    send('MoneyDeposited', '{"owner":"a","amount":0}')
    producer:flush()
    assert.matches('after a failed one.- failed=0 held=1 first=%S+/0/3 ' ..
      'error="it waits behind %S+/0/1, which failed', tidemill.until_end(bundle,
        { env = env }).err)
    assert.equal('/wAi', db:value(
      [[SELECT jsonb_path_query_first(headers,
        '$[*] ? (@.name == "a \"name\"").base64') #>> '{}'
        FROM tidemill.dead_letter LIMIT 1]]))
    assert.equal('failed, held, held', db:value([[
      SELECT string_agg(state, ', ' ORDER BY "offset") FROM tidemill.dead_letter]]))
    db:rows('ALTER TABLE balances DROP CONSTRAINT positive')
    local run = tidemill.start(bundle,
      { env = env, args = { '--instance', 'until-end' } })
    finally(function() run:destroy() end)
    local retried = tidemill.call({ 'dlq', 'retry', bundle, '--all', '--wait', '30' },
      { env = env })
    assert.equal(0, retried.status, retried.text .. run:text())
    assert.equal('-40.00', db:value('SELECT balance::text FROM balances'))
    assert.equal('3', db:value([[SELECT count(*)::text FROM ledger]]))
    assert.equal(0, (run:stop()))
  end)
end)

describe('dead letters with a topic', function()
  lazy_setup(function() producer = producer or kafka.producer() end)

  -- A schedule that runs a pipeline again and again may never run it for long.
  it('are produced before a run ends, however short it was', function()
    local s = set_up()
    local topic = s.topic .. '.dead'
    producer:create_topic(topic, 1)
    change(s, 'projections = ',
      ("dead_letters = { topic = '%s' }, projections = "):format(topic))
    for round = 1, 2 do
      for key = 1, 250 do s.send(round * 1000 + key, '{"kind":"add","amount":1}') end
      for _, key in ipairs { 'x', 'y', 'z' } do s.send(key .. round, '{"kind":"add"}') end
      producer:flush()
      local result = tidemill.until_end(s.bundle, { env = s.env })
      assert.equal(0, result.status, result.text)
      assert.equal(3 * round, producer:high(topic, 0))
      assert.equal(0, s.db:number(
        'SELECT count(*) FROM tidemill.dead_letter WHERE is_unpublished'))
    end
  end)

  it('are produced to it with what is wrong, besides being in the table', function()
    local s = set_up()
    local topic = s.topic .. '.dead'
    change(s, 'projections = ',
      ("dead_letters = { topic = '%s' }, projections = "):format(topic))
    local headers = {}
    for i = 1, 300 do headers['h' .. i] = 'v' .. i end
    producer:send { topic = s.topic, partition = 0, key = 'x',
      value = '{"kind":"add"}', headers = headers }
    s.send('x', '{"kind":"add","amount":1}')
    producer:flush()
    local run = s.start()
    finally(function() run:destroy() end)
    -- A topic that is missing shows within seconds, and so does one that is made.
    run:wait_for('the line', 15, function()
      return run:text():find 'dead letters cannot be produced.*the topic does not exist'
    end)
    assert.matches('^dead letters stay in the table alone, .* does not exist',
      run:status().workers[1].waiting_for)
    producer:create_topic(topic, 1)
    run:wait_for('both to be delivered', 20, function()
      return producer:high(topic, 0) == 2 and s.db:number(
        'SELECT count(*) FROM tidemill.dead_letter WHERE NOT is_unpublished') == 2
    end)
    run:wait_for('the words to go', 10, function()
      return run:status().workers[1].waiting_for == ''
    end)
    assert.equal(0, (run:stop()))
    -- A pipeline of its own reads them: what is in the headers is there.
    local reader = tidemill.bundle { ['pipeline.lua'] = ([[
return pipeline { name = 'dead', source = kafka { brokers = env('KAFKA_BROKERS'),
    group = '%s', topics = { '%s' }, format = 'json', start = 'earliest' },
  database = postgres { write = env('DATABASE_URL') },
  projections = { projection { table = 'dead', append = true,
    columns = { place = 'text', state = 'text', message = 'text' },
    on = function(row, event)
      local h = event.headers
      row.place = event.key .. ' ' .. h['tidemill.topic'] .. '/'
        .. h['tidemill.partition'] .. '/' .. h['tidemill.offset']
      row.state, row.message = h['tidemill.state'], h['tidemill.message']
      for i = 1, h['tidemill.state'] == 'failed' and 300 or 0 do
        assert(h['h' .. i] == 'v' .. i)
      end
    end } } }
]]):format(topic, topic) }
    tidemill.apply(reader, s.env)
    local result = tidemill.until_end(reader, { env = s.env })
    assert.equal(0, result.status, result.text)
    assert.equal(('x %s/0/0 failed, x %s/0/1 held'):format(s.topic, s.topic), s.db:value(
      "SELECT string_agg(place || ' ' || state, ', ' ORDER BY place) FROM dead"))
    assert.equal(1, s.db:number(
      "SELECT count(*) FROM dead WHERE message LIKE '%bigint%'"))
  end)
end)
