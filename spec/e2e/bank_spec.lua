-- The bank of examples/bank, from a real outbox topic to real tables, against
-- a model that shares no code with Tidemill.
local kafka = require 'kafka'
local new_bank = require('bank').new
local tidemill = require 'tidemill'

local PARTITIONS = 4

-- The example with a topic, group and database of its own. [batch] goes into
-- the pipeline.
local function setup(producer, options)
  local topic = tidemill.unique('bank')
  producer:create_topic(topic, PARTITIONS)
  local bundle = tidemill.example('bank', {
    ['outbox.event.account'] = topic,
    ["group = 'bank'"] = ("group = '%s'"):format(topic),
    ["name = 'bank',"] = "name = 'bank', " .. (options and options.batch or ''),
  })
  local url, db = tidemill.database(bundle)
  local bank = new_bank { seed = 11, topic = topic, accounts = 200 }
  return {
    topic = topic, bundle = bundle, db = db, bank = bank, env = { DATABASE_URL = url },
  }
end

local function run_to_end(s, args)
  local result = tidemill.until_end(s.bundle, { env = s.env, args = args })
  assert.equal(0, result.status, result.text)
  return result
end

describe('examples/bank', function()
  local producer
  lazy_setup(function() producer = kafka.producer() end)

  it('turns an outbox topic into the rows that the model gives', function()
    local s = setup(producer)
    s.bank:send(producer, 5000)
    run_to_end(s)
    s.bank:check_all(s.db)
  end)

  it('reads on where it stopped and applies nothing twice', function()
    local s = setup(producer)
    s.bank:send(producer, 2000)
    run_to_end(s)
    run_to_end(s)
    s.bank:check_all(s.db)
    s.bank:send(producer, 1000)
    run_to_end(s)
    s.bank:check_all(s.db)
    assert.is_true(tidemill.is_caught_up(s.db, producer, s.topic, PARTITIONS))
  end)

  for _, batch in ipairs {
    'batch = { size = 1 },',
    'batch = { size = 100, linger_ms = 1000 },',
    'batch = { size = 7, linger_ms = 0, concurrency = 8 },',
    'batch = { size = 10000, bytes = 4096, concurrency = 1 },',
  } do
    it('gives the same rows with ' .. batch, function()
      local s = setup(producer, { batch = batch })
      s.bank:send(producer, 1500)
      run_to_end(s)
      s.bank:check_all(s.db)
    end)
  end

  it('gives the same rows with three workers', function()
    local s = setup(producer)
    s.bank:send(producer, 4000)
    run_to_end(s, { '--workers', '3' })
    s.bank:check_all(s.db)
  end)

  it('gives the same rows for records that came before its start and after', function()
    local before, after = setup(producer), setup(producer)
    before.bank:send(producer, 1200)
    run_to_end(before)
    local run = tidemill.start(after.bundle, { env = after.env })
    finally(function() run:destroy() end)
    run:wait_ready()
    for _ = 1, 12 do after.bank:send(producer, 100) end
    run:wait_caught_up(after.db, producer, after.topic, PARTITIONS)
    for _, s in ipairs { before, after } do s.bank:check_all(s.db) end
    local sql = "SELECT md5(string_agg(b::text, ' ' ORDER BY id)) FROM balances b"
    assert.equal(before.db:value(sql), after.db:value(sql))
    assert.equal(0, (run:stop()))
  end)

  it('waits for linger_ms, and no longer, before it commits a small batch', function()
    local s = setup(producer, { batch = 'batch = { size = 100, linger_ms = 1000 },' })
    local run = tidemill.start(s.bundle, { env = s.env })
    finally(function() run:destroy() end)
    run:wait_ready()
    s.bank:send(producer, 250)
    run:wait_caught_up(s.db, producer, s.topic, PARTITIONS, 10)
    s.bank:check_all(s.db)
    -- 250 records on four lanes in batches of 100, not one at a time.
    run:wait_counted(250, 'events_total')
    assert.is_true(run:metric('batches_total') <= 12, run:get('/metrics'))
    assert.equal(0, (run:stop()))
  end)

  it('applies what a transaction commits and not what it aborts', function()
    local s = setup(producer)
    local transactional = kafka.producer { ['transactional.id'] = s.topic }
    for round = 1, 6 do
      transactional:begin()
      if round % 2 == 0 then
        transactional:send { topic = s.topic, key = 'no uuid', value = '{}',
          headers = { eventType = 'MoneyDeposited' } }
        transactional:flush()
        transactional:abort()
      else
        s.bank:send(transactional, 300)
        transactional:commit()
      end
    end
    transactional:close()
    run_to_end(s)
    s.bank:check_all(s.db)
  end)

  it('keeps exact decimals that a double would round', function()
    local s = setup(producer)
    local key = '11111111-1111-4111-8111-111111111111'
    local function send(type, value)
      producer:send { topic = s.topic, key = key, value = value,
        headers = { id = type .. #value, eventType = type } }
    end
    send('AccountCreated', '{"owner":"Zoë","initial_balance":"9007199254740993.01"}')
    send('MoneyDeposited', '{"owner":"Zoë","amount":0.10}')
    send('MoneyDeposited', '{"owner":"Zoë","amount":0.200}')
    -- EventRouter with StringConverter sends an object; some chains send the
    -- object as JSON in a string.
    send('MoneyDeposited', [["{\"owner\":\"Zoë\",\"amount\":1e-2}"]])
    producer:flush()
    run_to_end(s)
    local row = s.db:rows('SELECT * FROM balances')[1]
    assert.same({ '9007199254740993.32', 'Zoë', '4' },
      { row.balance, row.owner, row.version })
  end)
end)
