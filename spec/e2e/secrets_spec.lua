-- Passwords and tokens go where they must and are seen nowhere else: not in a
-- log at its most talkative, not in an answer, a message, a table or a title.
local counts = require 'counts'
local kafka = require 'kafka'
local tidemill = require 'tidemill'

local scratch = os.getenv('TIDEMILL_SCRATCH')
local certificates = os.getenv('TIDEMILL_CERTIFICATES')

local function encode(text)
  return (text:gsub('%W', function(c) return ('%%%02X'):format(c:byte()) end))
end

local secrets = {
  url = 'Ur1/@%:s3cret',      -- in a URL, so percent-encoded there
  service = 'S3rvice"s3cret', -- in a service file
  wrong = 'Wr0ng/@%:s3cret',  -- the server knows another one
  option = '0pt-s3cret',      -- where an option wants something else
  token = 'T0ken-s3cret-of-the-admin-port',
  sasl = os.getenv('SASL_PASSWORD'),
  key = os.getenv('KEY_PASSWORD'),
}

-- As base64 writes it inside a longer text: what does not depend on neighbours.
local DIGITS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'
local function base64(text)
  local out = {}
  for i = 1, #text - 2, 3 do
    local a, b, c = text:byte(i, i + 2)
    local n = a * 65536 + b * 256 + c
    for shift = 3, 0, -1 do
      local digit = math.floor(n / 64 ^ shift) % 64 + 1
      out[#out + 1] = DIGITS:sub(digit, digit)
    end
  end
  return table.concat(out)
end

-- All that a secret may look like.
local function forms(secret)
  local list = { secret, encode(secret), (secret:gsub('/', '%%2F'):gsub('@', '%%40')),
    (secret:gsub('"', '\\"')) }
  for skip = 1, 3 do list[#list + 1] = base64(secret:sub(skip)) end
  -- Pieces that a misread address leaves over.
  for piece in secret:gmatch('[%w%-]+') do
    if #piece > 4 then list[#list + 1] = piece end
  end
  return list
end

local function find_secret(text)
  for name, secret in pairs(secrets) do
    for _, form in ipairs(forms(secret)) do
      if text:find(form, 1, true) then return name .. ' as ' .. form end
    end
  end
end

local n_looked
local function is_clean(what, text)
  n_looked = n_looked + #text
  local found = find_secret(text)
  assert(not found, ('%s shows the secret %s:\n%s'):format(what, tostring(found), text))
end

local TALKATIVE = { TIDEMILL_LOG = 'debug' }
local function env_of(more)
  local env = { SECRET_OPTION = secrets.option }
  for name, value in pairs(TALKATIVE) do env[name] = value end
  for name, value in pairs(more) do env[name] = value end
  return env
end

local function with(url, user, password)
  return (url:gsub('//[^@]*@', function()
    return ('//%s:%s@'):format(user, encode(password))
  end))
end

-- A run tries again and tells why by the admin port.
local function tells_refusal(run, words)
  run:wait_for('a refusal', 30, function()
    return (run:get('/readyz') or ''):find(words, 1, true)
  end)
  for _, page in ipairs { '/readyz', '/metrics', '/status' } do
    is_clean(page, (run:get(page)))
  end
  assert.equal(0, (run:stop()))
  is_clean('the log', run:text())
end

describe('a secret', function()
  local producer, s, pipeline
  lazy_setup(function()
    n_looked = 0
    producer = kafka.producer()
    s = counts.new { producer = producer }
    s.db:rows('GRANT mill TO secured')
    pipeline = tidemill.read(s.bundle .. '/pipeline.lua')
  end)
  lazy_teardown(function() s.db:rows "ALTER ROLE secured PASSWORD 'right'" end)

  -- The pipeline with other words in it.
  local function bundle(change)
    local text = pipeline
    for from, to in pairs(change) do
      local at, behind = text:find(from, 1, true)
      text = text:sub(1, at - 1) .. to .. text:sub(behind + 1)
    end
    return tidemill.bundle {
      ['pipeline.lua'] = text, ['projections/counts.lua'] = counts.projection,
    }
  end
  local function options(list)
    return { ["format = 'json'"] = ('options = { %s }, format = \'json\''):format(list) }
  end

  it('would be found in every form', function()
    for _, secret in pairs(secrets) do
      for _, text in ipairs { secret, encode(secret),
        base64('user\0' .. secret .. '\n\n'), base64('\0user\0' .. secret .. '\n\n'),
        base64(' user\0' .. secret .. '\n\n') } do
        assert.is_truthy(find_secret('x' .. text .. 'y'), text)
      end
    end
    assert.is_nil(find_secret 'password authentication failed for user "secured"')
  end)

  it('is not seen while all is well', function()
    s.db:rows(("ALTER ROLE secured PASSWORD '%s'"):format(secrets.url))
    tidemill.write(scratch .. '/token', secrets.token .. '\n')
    tidemill.write(scratch .. '/sasl', secrets.sasl .. '\n')
    local talking = bundle(options(([[debug = 'all', ['security.protocol'] = 'sasl_ssl',
      ['sasl.mechanism'] = 'PLAIN', ['sasl.username'] = 'mill',
      ['sasl.password'] = file('%s/sasl'), ['ssl.ca.location'] = '%s/ca.pem',
      ['ssl.certificate.location'] = '%s/client.pem',
      ['ssl.key.location'] = '%s/locked.key',
      ['ssl.key.password'] = env('KEY_PASSWORD')]]):format(scratch, certificates,
      certificates, certificates)))
    local env = env_of {
      DATABASE_URL = with(s.url, 'secured', secrets.url),
      KAFKA_BROKERS = os.getenv('KAFKA_SECURE_BROKERS'),
    }
    local run = tidemill.start(talking, {
      env = env, args = { '--admin-token-file', scratch .. '/token' },
    })
    finally(function() run:destroy() end)
    s.send_good(20)
    s.send(1, '{"kind":"add","amount":"no number"}')
    producer:flush()
    run:wait_for('every record', 60, function()
      return tidemill.is_caught_up(s.db, producer, s.topic, 1)
    end)
    -- It does talk: librdkafka's own lines are there.
    assert.matches('facility=SASL', run:text())
    for _, page in ipairs { '/livez', '/readyz', '/metrics', '/status', '/none' } do
      is_clean(page, (run:get(page)))
      is_clean(page, (tidemill.shell(
        ('curl -s -H "Authorization: Bearer %s" http://127.0.0.1:%d%s'):format(
          secrets.token, run.port, page))))
    end
    for _, pid in ipairs { run.process.pid, unpack(run:workers()) } do
      for _, file in ipairs { 'cmdline', 'comm' } do
        is_clean(file, tidemill.read(('/proc/%d/%s'):format(pid, file)))
      end
    end
    for _, name in ipairs { 'lane', 'dead_letter', 'audit' } do
      is_clean(name, s.db:value(('SELECT coalesce(string_agg(t::text, chr(10)), \'\') ' ..
        'FROM tidemill.%s t'):format(name)))
    end
    is_clean('pg_stat_activity', s.db:value(
      "SELECT string_agg(a::text, chr(10)) FROM pg_stat_activity a"))
    assert.equal(0, (run:stop()))
    is_clean('the log', run:text())
    -- The verbs, too.
    for _, argv in ipairs { { 'check' }, { 'schema', '--role', 'x' }, { 'lane', 'list' },
      { 'lane', 'list', '--json' }, { 'dlq', 'list' }, { 'dlq', 'export' } } do
      local words = { argv[1], unpack(argv, 2) }
      table.insert(words, (argv[1] == 'lane' or argv[1] == 'dlq') and 3 or 2, talking)
      is_clean(argv[1], tidemill.call(words, { env = env }).text)
    end
  end)

  it('is not seen when the database cannot be reached', function()
    local port = s.url:match(':(%d+)/')
    tidemill.write(scratch .. '/secret_services', ([[
[wrong]
host=127.0.0.1
port=%s
user=secured
password=%s
dbname=postgres
[broken]
host=127.0.0.1
nonsense=%s
]]):format(port, secrets.service, secrets.service))
    local host = '127.0.0.1:' .. port .. '/x'
    local n = 0
    for _, url in ipairs {
      with(s.url, 'secured', secrets.wrong), with(s.url, 'nobody', secrets.wrong),
      with(s.url:gsub(':%d+/', ':1/'), 'secured', secrets.wrong),
      with(s.url, 'secured', secrets.wrong) .. '?sslmode=require',
      with(s.url, 'secured', secrets.wrong):gsub('127.0.0.1', 'no-such-host.invalid'),
      with(s.url, 'secured', secrets.wrong):gsub('127.0.0.1', '127.0.0.1:1,127.0.0.1'),
      'postgresql://secured:' .. secrets.wrong .. '@' .. host,
      'postgresql://secured:' .. secrets.wrong:gsub('[%%/]', '') .. '@' .. host,
      'postgresql://secured:' .. secrets.wrong:gsub('[%%@]', '') .. '@' .. host,
      'postgresql://secured:1' .. secrets.wrong:gsub('[%%@:]', '') .. '@' .. host,
      'postgresql://secured:' .. secrets.wrong .. host,
      'postgresql//secured:' .. secrets.wrong .. '@' .. host,
      'host=127.0.0.1 password=x ' .. secrets.wrong, 'password=' .. secrets.wrong,
      "host=127.0.0.1 password='" .. secrets.wrong, secrets.wrong, 'x' .. secrets.wrong,
      'host=127.0.0.1 port=' .. secrets.option .. ' password=' .. secrets.wrong,
      'service=wrong', 'service=broken', 'service=none password=' .. secrets.wrong,
      ('host=127.0.0.1 port=%s user=secured sslcert=%s/client.pem sslkey=%s/locked.key '
        .. 'sslpassword=%s'):format(port, certificates, certificates, secrets.option),
    } do
      local env = env_of {
        DATABASE_URL = url, PGSERVICEFILE = scratch .. '/secret_services',
      }
      for _, argv in ipairs { { 'check', s.bundle }, { 'lane', 'list', s.bundle },
        { 'schema', s.bundle, '--apply' } } do
        local result = tidemill.call(argv, { env = env })
        assert.is_true(result.status == 78 or result.status == 69, result.text)
        is_clean(argv[1] .. ' at an address', result.text)
        n = n + 1
      end
    end
    assert.equal(66, n)
    local run = tidemill.start(s.bundle, {
      env = env_of { DATABASE_URL = with(s.url, 'secured', secrets.wrong) },
    })
    finally(function() run:destroy() end)
    tells_refusal(run, 'password authentication failed')
  end)

  it('is not seen when Kafka or its options are wrong', function()
    local secret = "env('SECRET_OPTION')"
    local secure = "['security.protocol'] = 'sasl_ssl', ['sasl.username'] = 'mill', "
      .. ("['ssl.ca.location'] = '%s/ca.pem', debug = 'all', "):format(certificates)
    for _, list in ipairs {
      "['sasl.pasword'] = " .. secret, "['security.protocol'] = " .. secret,
      "['sasl.mechanism'] = " .. secret .. ", ['security.protocol'] = 'sasl_ssl'",
      "['socket.timeout.ms'] = " .. secret, 'debug = ' .. secret,
      "['ssl.ca.pem'] = " .. secret .. ", ['security.protocol'] = 'ssl'",
      "['ssl.key.pem'] = " .. secret .. ", ['security.protocol'] = 'ssl'",
      "['ssl.cipher.suites'] = " .. secret .. ", ['security.protocol'] = 'ssl'",
      "['sasl.password'] = { " .. secret .. ' }',
      secure .. ([[['ssl.certificate.location'] = '%s/client.pem', ['ssl.key.location'] =
        '%s/locked.key', ['ssl.key.password'] = ]]):format(certificates, certificates)
        .. secret,
    } do
      local path = bundle(options(list))
      for _, verb in ipairs { 'check', 'schema' } do
        is_clean(verb, tidemill.call({ verb, path }, { env = env_of(s.env) }).text)
      end
      local result = tidemill.until_end(path, { env = env_of(s.env) })
      assert.equal(78, result.status, list .. '\n' .. result.text)
      is_clean('run with ' .. list, result.text)
    end
    local runs = {}
    finally(function()
      for _, run in ipairs(runs) do run:destroy() end
    end)
    for i, mechanism in ipairs { 'PLAIN', 'SCRAM-SHA-512' } do
      runs[i] = tidemill.start(bundle(options(secure .. ("['sasl.mechanism'] = '%s', "
        .. "['sasl.password'] = "):format(mechanism) .. secret)), {
        env = env_of { DATABASE_URL = s.url,
          KAFKA_BROKERS = os.getenv('KAFKA_SECURE_BROKERS') },
      })
    end
    for _, run in ipairs(runs) do
      tells_refusal(run, 'password is wrong')
    end
  end)

  it('is not seen when the pipeline is wrong', function()
    local secret = "env('SECRET_OPTION')"
    local database = "postgres { write = env('DATABASE_URL') }"
    for _, to in ipairs {
      'postgres { wirte = ' .. secret .. ' }',
      'postgres { write = { ' .. secret .. ' } }',
      "postgres { write = env('DATABASE_URL'), pool = " .. secret .. ' }',
      "postgres { write = env('DATABASE_URL'), retry = { cap_ms = " .. secret .. ' } }',
      'postgres(' .. secret .. ')', 'postgres { write = ' .. secret .. ' .. nil }',
      'postgres { write = ' .. secret .. '() }', secret,
      'postgres { write = ' .. secret .. '.x.y }',
    } do
      local path = bundle { [database] = to }
      for _, verb in ipairs { 'check', 'run' } do
        local result = tidemill.call({ verb, path }, { env = env_of(s.env) })
        assert.equal(78, result.status, to .. '\n' .. result.text)
        is_clean(verb .. ' with ' .. to, result.text)
      end
    end
  end)

  it('was looked for in what was said', function() assert.is_true(n_looked > 100000) end)
end)
