-- Exactly once while processes die at random moments. The seed fixes what is
-- sent and whom it hits; when exactly it hits is up to the machine.
local kafka = require 'kafka'
local bank = require 'bank'
local process = require 'process'
local tidemill = require 'tidemill'

local PARTITIONS, SEED = 6, tonumber(os.getenv('SEED') or 42)
local KILLS = tonumber(os.getenv('KILLS') or 12)

local function setup(producer)
  local topic = tidemill.unique('kill')
  producer:create_topic(topic, PARTITIONS)
  local bundle = tidemill.example('bank', {
    ['outbox.event.account'] = topic,
    ["group = 'bank'"] = ("group = '%s'"):format(topic),
    ["name = 'bank',"] = "name = 'bank', batch = { size = 20, linger_ms = 5 },",
  })
  local url, db = tidemill.database(bundle)
  return {
    topic = topic, bundle = bundle, db = db, env = { DATABASE_URL = url },
    bank = bank.new { seed = SEED, topic = topic, accounts = 150 },
    random = bank.random(SEED),
  }
end

local function start(s, instance)
  return tidemill.start(s.bundle, {
    env = s.env, args = { '--workers', '2', '--instance', instance },
  })
end

describe('kill -9', function()
  local producer
  lazy_setup(function() producer = kafka.producer() end)

  it('of workers loses nothing and repeats nothing', function()
    local s = setup(producer)
    local run = start(s, 'kill')
    finally(function() run:destroy() end)
    run:wait_ready()
    local n_kills = 0
    for _ = 1, KILLS do
      s.bank:send(producer, 400)
      process.sleep(s.random(0, 300) / 1000)
      local workers = run:wait_for('a worker', 30, function()
        local list = run:workers()
        return #list > 0 and list
      end)
      if process.signal(workers[s.random(1, #workers)], process.KILL) then
        n_kills = n_kills + 1
      end
    end
    run:wait_caught_up(s.db, producer, s.topic, PARTITIONS, 120)
    s.bank:check_all(s.db)
    assert.equal(KILLS, n_kills)
    assert.is_true(run:metric('worker_restarts_total') >= n_kills - 1)
    assert.equal(0, (run:stop()))
  end)

  it('of the supervisor takes its workers with it; a new one carries on', function()
    local s = setup(producer)
    local run = start(s, 'kill')
    finally(function() run:destroy() end)
    for _ = 1, math.ceil(KILLS / 3) do
      s.bank:send(producer, 600)
      run:wait_ready(60)
      process.sleep(s.random(0, 200) / 1000)
      local workers = run:workers()
      assert.equal(2, #workers)
      assert.is_true(run.process:signal(process.KILL))
      assert.equal(128 + process.KILL, run.process:wait(10))
      process.wait_for('the end of the workers', 10, function()
        return not process.is_alive(workers[1]) and not process.is_alive(workers[2])
      end)
      run = start(s, 'kill')
    end
    run:wait_ready(60)
    run:wait_caught_up(s.db, producer, s.topic, PARTITIONS, 120)
    s.bank:check_all(s.db)
    assert.equal(0, (run:stop()))
  end)
end)
