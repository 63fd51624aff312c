-- Rows of a table that hold what no cell can: each costs the records that enter
-- it, and nobody else. And rows with the oddest values that can be read, which
-- stay as they are.
local kafka = require 'kafka'
local tidemill = require 'tidemill'

local pipeline = [[
return pipeline {
  name = 'unloadable',
  source = kafka { brokers = env('KAFKA_BROKERS'), group = '%s', topics = { '%s' },
    format = 'json', start = { 'earliest', onto_rows = true } },
  database = postgres { write = env('DATABASE_URL') },
  batch = { size = 10000, linger_ms = 300 },
  projections = { 'projections.own', 'projections.common', 'projections.payments' },
}
]]

local own = [[
return projection {
  table = 'own', key = { id = { 'bigint', from = 'key' } },
  columns = { amount = 'numeric', seen = 'timestamptz', told = 'timestamp',
    n = 'bigint' },
  initial = { n = 0 },
  on = function(row) row.n = row.n + 1 end,
}
]]

local common = [[
return projection {
  table = 'common', key = { owner = { 'text', from = 'data.owner' } },
  columns = { amount = 'numeric', n = 'bigint' },
  initial = { n = 0 },
  on = function(row) row.n = row.n + 1 end,
}
]]

local payments = [[
return projection {
  tables = {
    accounts = { key = { id = { 'bigint', from = 'key' } },
      columns = { amount = 'numeric', n = 'bigint' }, initial = { n = 0 } },
    banks = { key = { bank = 'text' },
      columns = { amount = 'numeric', n = 'bigint' }, initial = { n = 0 } },
  },
  batch = function(batch, tables)
    for event, account in tables.accounts:events() do
      account.n = account.n + 1
      local bank = tables.banks:row(event.data.bank)
      bank.n = bank.n + 1
    end
  end,
}
]]

local function set_up(producer)
  local s = { topic = tidemill.unique('unloadable') }
  producer:create_topic(s.topic, 2)
  s.bundle = tidemill.bundle {
    ['pipeline.lua'] = pipeline:format(s.topic, s.topic),
    ['projections/own.lua'] = own, ['projections/common.lua'] = common,
    ['projections/payments.lua'] = payments,
  }
  local url
  url, s.db = tidemill.database(s.bundle)
  s.env = { DATABASE_URL = url }

  function s.send(key, owner, bank)
    producer:send { topic = s.topic, partition = key % 2, key = tostring(key),
      value = ('{"owner":"%s","bank":"%s"}'):format(owner, bank) }
  end
  return s
end

local DIGITS = ('1234567890'):rep(5)

describe('a row that cannot be loaded', function()
  local producer
  lazy_setup(function() producer = kafka.producer() end)

  it('sets aside the records that enter it alone, in no more transactions', function()
    local s = set_up(producer)
    -- One row for each way in which rows are loaded, and for each value.
    s.db:rows([[INSERT INTO own (id, amount, seen, told, n) VALUES
      (11, 'NaN', NULL, NULL, 5), (12, ]] .. DIGITS .. [[.5, NULL, NULL, 5),
      (13, NULL, '294276-12-31 23:59:59.5+00', NULL, 5),
      (14, NULL, NULL, '294247-06-01', 5), (15, '-Infinity', NULL, NULL, 5);
      INSERT INTO common VALUES ('nan', 'NaN', 5);
      INSERT INTO accounts VALUES (16, 'Infinity', 5);
      INSERT INTO banks VALUES ('nan', 'NaN', 5)]])
    local before = s.db:rows('SELECT * FROM own ORDER BY id')
    for key = 101, 5100 do s.send(key, 'o' .. key % 50, 'b' .. key % 50) end
    for key = 11, 16 do -- the second one is held behind the first
      s.send(key, 'o1', 'b1')
      s.send(key, 'o1', 'b1')
    end
    s.send(21, 'nan', 'b1')
    s.send(22, 'nan', 'b1')
    s.send(21, 'o1', 'b1')
    s.send(31, 'o1', 'nan')
    s.send(31, 'o1', 'b1')
    for key = 101, 5100 do s.send(key, 'o' .. key % 50, 'b' .. key % 50) end
    producer:flush()

    local run = tidemill.start(s.bundle, { env = s.env })
    finally(function() run:destroy() end)
    run:wait_caught_up(s.db, producer, s.topic, 2)
    assert.equal(10000, s.db:number('SELECT sum(n) FROM own WHERE id > 100'))
    assert.equal(10000, s.db:number(
      "SELECT sum(n) FROM common WHERE owner <> 'nan'"))
    assert.equal(10000, s.db:number('SELECT sum(n) FROM accounts WHERE id > 100'))
    assert.equal(10000, s.db:number("SELECT sum(n) FROM banks WHERE bank <> 'nan'"))
    assert.same(before, s.db:rows('SELECT * FROM own WHERE id < 100 ORDER BY id'))

    -- Later ones are held in batches of their own.
    for key = 11, 16 do s.send(key, 'o1', 'b1') end
    s.send(101, 'o1', 'b1')
    producer:flush()
    run:wait_caught_up(s.db, producer, s.topic, 2)
    assert.equal(10001, s.db:number('SELECT sum(n) FROM own WHERE id > 100'))
    assert.equal('failed 9, held 14', s.db:value([[
      SELECT string_agg(state || ' ' || n, ', ' ORDER BY state) FROM (
        SELECT state, count(*) AS n FROM tidemill.dead_letter GROUP BY state) AS n]]))
    assert.equal(0, run:metric('isolations_total'))
    assert.equal(0, run:metric('lane_halted'))
    local n = run:metric('batches_total') + run:metric('batch_retries_total')
    assert.is_true(n <= 12, n .. ' transactions')

    local function message(key)
      return s.db:value(([[SELECT class || ': ' || message FROM tidemill.dead_letter
        WHERE state = 'failed' AND key = '%d']]):format(key))
    end
    for key, words in pairs {
      [11] = 'data: own.amount of the row with id 11: the table holds NaN, which',
      [12] = 'holds ' .. DIGITS .. '.5, which',
      [13] = 'own.seen of the row with id 13: the table holds 294276-12-31 23:59:59.5+00',
      [14] = 'own.told of the row with id 14: the table holds 294247-06-01 00:00:00',
      [15] = 'holds -Infinity, which', [16] = 'accounts.amount of the row with id 16',
      [21] = 'common.amount of the row with owner nan',
      [31] = 'banks.amount of the row with bank nan',
    } do
      assert.is_truthy(message(key):find(words, 1, true), message(key))
      assert.is_truthy(message(key):find('then tidemill dlq retry', 1, true))
    end

    -- The table is mended: everything is made up for.
    s.db:rows [[UPDATE own SET amount = 1, seen = NULL, told = NULL WHERE id < 100;
      UPDATE common SET amount = 1; UPDATE accounts SET amount = 1;
      UPDATE banks SET amount = 1]]
    local retried = tidemill.call({ 'dlq', 'retry', s.bundle, '--all', '--wait', '30' },
      { env = s.env })
    assert.equal(0, retried.status, retried.text)
    assert.equal(0, s.db:number('SELECT count(*) FROM tidemill.dead_letter'))
    assert.equal(5 * 5 + 6 * 3 + 5,
      s.db:number('SELECT sum(n) FROM own WHERE id < 100'))
    assert.equal(7, s.db:number("SELECT n FROM common WHERE owner = 'nan'"))
    assert.equal(6, s.db:number("SELECT n FROM banks WHERE bank = 'nan'"))
    assert.equal(0, (run:stop()))
  end)
end)

local odd_pipeline = [[
return pipeline {
  name = 'odd',
  source = kafka { brokers = env('KAFKA_BROKERS'), group = '%s', topics = { '%s' },
    format = 'json', start = { 'earliest', onto_rows = true } },
  database = postgres { write = env('DATABASE_URL') },
  projections = { projection {
    table = 'odd', key = { id = { 'bigint', from = 'key' } },
    columns = { n = 'bigint', d = 'date', t = 'time', ts = 'timestamp',
      tz = 'timestamptz', f = 'double precision', r = 'real', x = 'numeric',
      js = 'json', jb = 'jsonb', ta = 'text[]', ba = 'bigint[]', b = 'bytea',
      v = 'varchar(5)' },
    on = function(row) row.n = (row.n or 0) + 1 end,
  } },
}
]]

describe('a row with odd values', function()
  it('is loaded and written without a change of them', function()
    local producer, topic = kafka.producer(), tidemill.unique('odd')
    producer:create_topic(topic, 1)
    local bundle = tidemill.bundle {
      ['pipeline.lua'] = odd_pipeline:format(topic, topic),
    }
    local url, db = tidemill.database(bundle)
    db:rows [[INSERT INTO odd (id, n, d, t, ts, tz, f, r, x, js, jb, ta, ba, b, v)
      VALUES
      (1, 0, 'infinity', '24:00', 'infinity', '-infinity', 'NaN', '-Infinity',
       1e-30,
       ' { "a" : 1, "a" : 2 } ', '[]',
       '{}', '[5:6]={1,2}', '', '  x  '),
      (2, 0, '4713-01-01 BC', '00:00', '4713-01-01 BC', '0044-03-15 BC', '-0', '-0',
       -0.000,
       'null', 'null',
       '{{a,b},{c,NULL}}', '{{{1}}}', '\x00', ''),
      (3, 0, '5874897-12-31', '23:59:59.999999', '294246-12-31', '0001-12-31 BC',
       5e-324, 1e-45,
       99999999999999999999999999999999999999, '1', '{"x": 1e400}',
       '{"","NULL",NULL}', '{NULL}', NULL, NULL)]]
    local columns = 'd, t, ts, tz, f, r, x, js::text, jb, ta, ba, b, v'
    local before = db:rows('SELECT ' .. columns .. ' FROM odd ORDER BY id')
    for key = 1, 3 do
      producer:send { topic = topic, key = tostring(key), value = '{}' }
    end
    producer:flush()
    local run = tidemill.until_end(bundle, { env = { DATABASE_URL = url } })
    assert.equal(0, run.status, run.text)
    assert.equal(3, db:number('SELECT sum(n) FROM odd'))
    assert.same(before, db:rows('SELECT ' .. columns .. ' FROM odd ORDER BY id'))
  end)
end)
