-- PostgreSQL by every kind of address, and by TLS: what works, and what people
-- are told when it does not.
local counts = require 'counts'
local kafka = require 'kafka'
local process = require 'process'
local server = require 'server'
local tidemill = require 'tidemill'

local certificates = os.getenv('TIDEMILL_CERTIFICATES')
local scratch = os.getenv('TIDEMILL_SCRATCH')

local function check(bundle, url, env)
  env = env or {}
  env.DATABASE_URL = url
  return tidemill.call({ 'check', bundle }, { env = env })
end

describe('an address', function()
  local s, name, port, services
  lazy_setup(function()
    s = counts.new {}
    name, port = s.url:match('/([^/]+)$'), s.url:match(':(%d+)/')
    services = scratch .. '/services'
    tidemill.write(services, ([[
[main]
host=127.0.0.1
port=%s
user=secured
password=right
dbname=%s
]]):format(port, name))
    tidemill.apply(s.bundle, s.env)
    s.db:rows 'GRANT mill TO secured'
  end)

  local function reaches(url, env)
    local result = check(s.bundle, url, env)
    assert.equal(0, result.status, result.text)
  end

  it('is a URL, or words', function()
    reaches(s.url)
    reaches(("host=127.0.0.1 port=%s user=mill dbname='%s'"):format(port, name))
    reaches(('postgresql://127.0.0.1/%s?user=secured&password=right&port=%s')
      :format(name, port))
  end)

  it('is a socket', function()
    local folder = scratch .. '/postgres'
    reaches(('host=%s port=%s user=mill dbname=%s'):format(folder, port, name))
    reaches(('postgresql://mill@%s:%s/%s'):format(folder:gsub('/', '%%2F'), port, name))
  end)

  it('is a service, whose password may be in a passfile', function()
    local env = { PGSERVICEFILE = services }
    reaches('service=main', env)
    reaches('postgresql://?service=main', env)
    reaches('postgresql:///' .. name .. '?service=main', { PGSERVICEFILE = services })
    tidemill.write(services, (tidemill.read(services):gsub('password=right',
      'passfile=' .. scratch .. '/passwords')))
    tidemill.write(scratch .. '/passwords', '*:*:*:secured:right\n')
    local done = os.execute('chmod 600 ' .. scratch .. '/passwords')
    assert(done == 0 or done == true) -- true: Lua 5.2
    reaches('service=main', env)
    local unknown = check(s.bundle, 'service=other', env)
    assert.equal(78, unknown.status, unknown.text)
    assert.matches('definition of service "other" not found', unknown.err)
  end)

  it('is several hosts, of which one answers', function()
    reaches(('postgresql://mill@127.0.0.1:1,127.0.0.1:%s/%s'):format(port, name))
  end)

  for what, url in pairs {
    ['@'] = 'postgresql://mill:geheim@nter2@127.0.0.1/x',
    ['/'] = 'postgresql://mill:geheim/nter2@127.0.0.1/x',
    ['%'] = 'postgresql://mill:geheim%nter2@127.0.0.1/x',
    ['a blank'] = 'host=127.0.0.1 password=geheim nter2',
  } do
    it(('with %s in its password is refused, without a word of it'):format(what),
      function()
        local result = check(s.bundle, url)
        assert.equal(78, result.status, result.text)
        assert.matches('percent%-encode', result.err)
        assert.is_nil(result.text:find('nter2', 1, true))
        assert.is_nil(result.text:find('geheim', 1, true))
      end)
  end
end)

describe('TLS to PostgreSQL', function()
  local own, s, words
  lazy_setup(function()
    own = server.start()
    s = counts.new { no_schema = true }
    tidemill.apply(s.bundle, { DATABASE_URL = own:url 'postgres' })
    words = ('host=127.0.0.1 port=%d user=mill dbname=postgres'):format(own.port)
  end)
  lazy_teardown(function() own:destroy() end)

  local full = ' sslmode=verify-full sslrootcert=' .. certificates

  local function is_refused(address, ...)
    local result = check(s.bundle, address)
    assert.equal(78, result.status, result.text)
    for _, word in ipairs { ... } do
      assert.is_truthy(result.err:find(word, 1, true), result.err)
    end
  end

  -- What was reloaded is the next session's, but not at once.
  local function becomes(status, address)
    process.wait_for('the settings of TLS', 10, function()
      return check(s.bundle, address).status == status
    end)
  end

  it('is missed where the server has none', function()
    is_refused(words .. ' sslmode=require', 'does not support SSL', 'set ssl = on')
  end)

  it('works with the right CA, and says what is wrong with others', function()
    own:use_certificate 'server'
    becomes(0, words .. full .. '/ca.pem')
    is_refused(words .. full .. '/other.pem', 'certificate verify failed',
      'not signed by a CA of the file sslrootcert')
    is_refused(words .. full .. '/none.pem', 'none.pem" does not exist', 'sslrootcert')
    is_refused(words .. full .. '/san', 'no certificate', 'sslrootcert')
    is_refused(words:gsub('127.0.0.1', 'localhost') .. full .. '/ca.pem',
      'does not match host name "localhost"', 'connect by a name')
  end)

  it('may want a certificate of the client', function()
    own:let_in 'hostssl all mill all cert'
    local mine = (' sslcert=%s/client.pem sslkey=%s/'):format(certificates, certificates)
    becomes(78, words .. full .. '/ca.pem')
    is_refused(words .. full .. '/ca.pem', 'requires a valid client certificate',
      'sslcert and sslkey')
    local locked = words .. full .. '/ca.pem' .. mine .. 'locked.key'
    for _, address in ipairs { words .. full .. '/ca.pem' .. mine .. 'client.key',
      locked .. ' sslpassword=' .. os.getenv('KEY_PASSWORD') } do
      local result = check(s.bundle, address)
      assert.equal(0, result.status, result.text)
    end
    is_refused(locked .. ' sslpassword=wrong', 'private key file', 'sslpassword')
    -- Nobody is asked for it at a terminal.
    is_refused(locked, 'private key file', 'sslpassword')
    local foreign = (' sslcert=%s/other.pem sslkey=%s/other.key'):format(certificates,
      certificates)
    is_refused(words .. full .. '/ca.pem' .. foreign, 'unknown ca',
      'does not accept the client certificate')
  end)

  it('that is not to be had lets a run wait, and go on once it is', function()
    local producer = kafka.producer()
    local t = counts.new { producer = producer, no_schema = true }
    t.env.DATABASE_URL = own:url 'postgres'
    tidemill.apply(t.bundle, t.env)
    local root = scratch .. '/' .. tidemill.unique('root') .. '.pem'
    tidemill.shell(('cp %s/other.pem %s'):format(certificates, root))
    t.env.DATABASE_URL = ('postgresql://desk@127.0.0.1:%d/postgres?sslmode=verify-full' ..
      '&sslrootcert=%s'):format(own.port, root)
    local db = own:connect 'postgres'
    db:rows 'GRANT mill TO desk'
    t.send_good(20)
    local run = t.start()
    finally(function() run:destroy() end)
    local from = process.now()
    run:wait_for('four refusals', 30, function()
      return (run:metric('errors_total', 'config') or 0) >= 4
    end)
    -- 0.1, 0.2, 0.4 s, of which half is random.
    assert.is_true(process.now() - from > 0.35)
    local body, status = run:get('/readyz')
    assert.equal(503, status)
    assert.matches('not signed by a CA of the file sslrootcert', body)
    tidemill.shell(('cp %s/ca.pem %s'):format(certificates, root))
    run:wait_caught_up(db, producer, t.topic, 1)
    assert.equal(20, db:number 'SELECT sum(n) FROM counts')
    assert.equal(0, run:metric('worker_restarts_total'))
    assert.equal('t', db:value [[SELECT bool_and(ssl) FROM pg_stat_ssl
      JOIN pg_stat_activity USING (pid) WHERE usename = 'desk']])
    assert.equal(0, (run:stop()))
  end)

  it('with a certificate that has expired is refused', function()
    own:use_certificate 'expired'
    local address = words:gsub('mill', 'desk') .. full .. '/ca.pem'
    becomes(78, address)
    is_refused(address, 'certificate verify failed', 'expired')
  end)
end)
