-- Kafka by SASL_SSL: what works, and what people are told when it does not.
local counts = require 'counts'
local kafka = require 'kafka'
local process = require 'process'
local tidemill = require 'tidemill'

local certificates = os.getenv('TIDEMILL_CERTIFICATES')
local SECURE, PLAIN = os.getenv('KAFKA_SECURE_BROKERS'), os.getenv('KAFKA_BROKERS')
-- Before, librdkafka sends a nonce twice, which Kafka 4 does not let pass.
local HAS_SCRAM = kafka.version >= 0x020601ff

-- Lua text of `options`; [change] says what is different, false: left out.
local function options(change)
  local all = {
    ['security.protocol'] = "'sasl_ssl'", ['sasl.mechanism'] = "'PLAIN'",
    ['sasl.username'] = "'mill'", ['sasl.password'] = "env('SASL_PASSWORD')",
    ['ssl.ca.location'] = ("'%s/ca.pem'"):format(certificates),
  }
  for name, value in pairs(change or {}) do all[name] = value or nil end
  local list = {}
  for name, value in pairs(all) do
    list[#list + 1] = ("['%s'] = %s"):format(name, value)
  end
  return 'options = { ' .. table.concat(list, ', ') .. ' }'
end

-- The bundle of [s] with these options, and [more] in its pipeline.
local function bundle_of(s, change, more)
  local text = tidemill.read(s.bundle .. '/pipeline.lua')
  local at = text:find("format = 'json'", 1, true)
  text = text:sub(1, at - 1) .. options(change) .. ', ' .. text:sub(at)
  at = text:find('  projections =', 1, true)
  return tidemill.bundle {
    ['pipeline.lua'] = text:sub(1, at - 1) .. (more or '') .. text:sub(at),
    ['projections/counts.lua'] = counts.projection,
  }
end

local function new(producer, change, more)
  local s = counts.new { producer = producer }
  s.bundle = bundle_of(s, change, more)
  s.env.KAFKA_BROKERS = SECURE
  return s
end

-- A broker of Kafka 3, and how it is reached.
local function kafka3()
  local folder = os.getenv('TIDEMILL_SCRATCH') .. '/' .. tidemill.unique('kafka3')
  local ports = {}
  for i = 1, 3 do ports[i] = tostring(tidemill.free_port()) end
  local broker = process.start({
    'spec/support/kafka/start.sh', folder, ports[1], ports[2], ports[3], certificates,
    os.getenv('SASL_PASSWORD'),
  }, { out = folder .. '.out', env = { KAFKA_POM = 'kafka3' } })
  local producer = kafka.producer { ['bootstrap.servers'] = '127.0.0.1:' .. ports[1],
    log_level = 0 }
  process.wait_for(function() return tidemill.read(folder .. '.out') end, 90, function()
    return producer:topics(1000)
  end)
  local dead = tidemill.unique('dead')
  producer:create_topic(dead, 1)
  return broker, { producer = producer, dead = dead, secure = '127.0.0.1:' .. ports[3] }
end

describe('SASL_SSL to Kafka', function()
  local producer
  lazy_setup(function() producer = kafka.producer() end)

  it('is how records are read, and dead letters are produced', function()
    local dead = tidemill.unique('dead')
    producer:create_topic(dead, 1)
    local s = new(producer, nil, ("  dead_letters = { topic = '%s' },\n"):format(dead))
    s.send_good(20)
    s.send(1, 'no JSON')
    producer:flush()
    local run = s.start()
    finally(function() run:destroy() end)
    run:wait_for('the dead letter in Kafka', 30, function()
      return producer:high(dead, 0) == 1
    end)
    assert.equal(20, s.n_events())
    assert.equal(0, (run:stop()))
  end)

  it('may want a certificate of the client', function()
    local s = new(producer, {
      ['ssl.certificate.location'] = ("'%s/client.pem'"):format(certificates),
      ['ssl.key.location'] = ("'%s/locked.key'"):format(certificates),
      ['ssl.key.password'] = "env('KEY_PASSWORD')",
    })
    s.send_good(5)
    local result = tidemill.until_end(s.bundle, { env = s.env })
    assert.equal(0, result.status, result.text)
    assert.equal(5, s.n_events())
  end)

  it('takes SCRAM where librdkafka and Kafka agree on it, or says what does', function()
    local s = new(producer, { ['sasl.mechanism'] = "'SCRAM-SHA-512'" })
    s.send_good(5)
    local run = s.start()
    finally(function() run:destroy() end)
    run:wait_for(HAS_SCRAM and 'the rows' or 'words about librdkafka', 30, function()
      if HAS_SCRAM then return s.n_events() == 5 end
      return run:text():find('SCRAM needs librdkafka 2.6.1', 1, true)
    end)
  end)

  -- Debian 12's librdkafka and Kafka 4 do not; Kafka 3 does with any.
  it('takes SCRAM-SHA-512', function()
    local broker, older = kafka3()
    local run
    finally(function()
      if run then run:destroy() end
      broker:destroy()
    end)
    local s = new(older.producer, { ['sasl.mechanism'] = "'SCRAM-SHA-512'" },
      ("  dead_letters = { topic = '%s' },\n"):format(older.dead))
    s.env.KAFKA_BROKERS = older.secure
    s.send_good(5)
    s.send(1, 'no JSON')
    older.producer:flush()
    run = s.start()
    run:wait_for('the dead letter in Kafka', 30, function()
      return older.producer:high(older.dead, 0) == 1
    end)
    assert.equal(5, s.n_events())
  end)

  -- They wait for a second each, so they run at the same time.
  it('that fails is told with what to do, in the log and by /readyz', function()
    local cases = {
      { 'is wrong: see sasl', { ['sasl.password'] = "'wrong'" } },
      { 'set it to one that it supports', { ['sasl.mechanism'] = "'SCRAM-SHA-256'" } },
      { 'not signed by a CA of ssl.ca.location',
        { ['ssl.ca.location'] = ("'%s/other.pem'"):format(certificates) } },
      { 'for another name', {}, (SECURE:gsub('127.0.0.1', 'localhost')) },
      { 'the port speaks TLS', { ['security.protocol'] = "'sasl_plaintext'" } },
      { 'the port wants SASL', { ['security.protocol'] = "'ssl'" } },
      { 'port speaks no', {}, PLAIN },
    }
    local runs = {}
    finally(function()
      for _, run in ipairs(runs) do run:destroy() end
    end)
    local s = counts.new { producer = producer }
    for i, case in ipairs(cases) do
      runs[i] = tidemill.start(bundle_of(s, case[2]), { env = {
        DATABASE_URL = s.url, KAFKA_BROKERS = case[3] or SECURE,
      } })
    end
    for i, case in ipairs(cases) do
      runs[i]:wait_for(case[1], 30, function()
        local body, status = runs[i]:get('/readyz')
        return status == 503 and body:find(case[1], 1, true)
          and runs[i]:text():find(case[1], 1, true)
      end)
      assert.equal(0, runs[i]:metric('worker_restarts_total'))
    end
  end)

  it('that cannot even begin ends the run, and says why', function()
    local s = counts.new { producer = producer }
    for words, change in pairs {
      ['the file of ssl.ca.location'] = { ['ssl.ca.location'] = "'/none.pem'" },
      ['sasl.mechanism is none'] = { ['sasl.mechanism'] = "'SCRAM-SHA-1024'" },
      ['sasl.username and sasl.password must be set'] = { ['sasl.username'] = false,
        ['sasl.mechanism'] = "'SCRAM-SHA-512'" },
      ['ssl.key.password'] = {
        ['ssl.certificate.location'] = ("'%s/client.pem'"):format(certificates),
        ['ssl.key.location'] = ("'%s/locked.key'"):format(certificates),
        ['ssl.key.password'] = "'wrong'",
      },
    } do
      local result = tidemill.until_end(bundle_of(s, change), { env = s.env })
      assert.equal(78, result.status, result.text)
      assert.is_truthy(result.text:find(words, 1, true), result.text)
    end
  end)
end)
