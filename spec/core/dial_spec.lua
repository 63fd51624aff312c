-- Which of several hosts an attempt goes to, and on what terms; nothing here
-- is ever answered.
local bundles = require 'spec.unit.bundles'
local ffi = require 'ffi'
local core = require 'spec.core.core'
local C = core.lib

core.headers('base/err.h', 'base/loop.h', 'base/type.h', 'base/plan.h', 'postgres/conn.h',
  'postgres/dial.h')
ffi.cdef [[
struct option { char *keyword; char *envvar; char *compiled; char *val; char *label;
  char *dispchar; int dispsize; };
struct option *PQconninfo(struct pg_conn *);
void PQfinish(struct pg_conn *);
int setenv(const char *, const char *, int);
int unsetenv(const char *);
]]

local function target(conninfo, host, must_write)
  local t = ffi.new('struct pgtarget')
  t.conninfo, t.application_name = (core.bytes(conninfo .. '\0')), 'spec'
  t.timeouts, t.must_write, t.host = C.DIAL_TIMEOUTS, must_write or false, host or 0
  return t
end

local function hosts(conninfo) return C.dial_hosts(target(conninfo)) end

-- The words that libpq goes by in an attempt.
local function words(conninfo, host, must_write)
  local e = ffi.new('struct err')
  local pg = C.dial_start(target(conninfo, host, must_write), e)
  assert(pg ~= nil, ffi.string(e.text))
  local out, options = {}, C.PQconninfo(pg)
  local i = 0
  while options[i].keyword ~= nil do
    if options[i].val ~= nil then
      out[ffi.string(options[i].keyword)] = ffi.string(options[i].val)
    end
    i = i + 1
  end
  C.PQfinish(pg)
  return out
end

-- Ports of the loopback where nobody listens; a connect begins all the same.
local TWO = 'host=127.0.0.1,127.0.0.2 port=1,2 dbname=x'

describe('dial_hosts', function()
  local cases = {
    { 'dbname=x', 1 },
    { 'host=a', 1 },
    { 'host=a,b,c', 3 },
    { 'postgres://a:1,b:2/x', 2 },
    { 'postgresql://u:p@a,b/x?sslmode=require', 2 },
    { 'hostaddr=127.0.0.1,127.0.0.2', 2 },
    { 'plainname', 1 },
    { 'host=a,b cannot be read', 1 },
  }
  for _, case in ipairs(cases) do
    it(('finds %d in "%s"'):format(case[2], case[1]), function()
      assert.are.equal(case[2], hosts(case[1]))
    end)
  end
  it('reads the variable, unless a service may say otherwise', function()
    finally(function() C.unsetenv('PGHOST') end)
    C.setenv('PGHOST', 'a,b', 1)
    assert.are.equal(2, hosts('dbname=x'))
    assert.are.equal(2, hosts('plainname'))
    assert.are.equal(1, hosts('host=c dbname=x'))
    assert.are.equal(1, hosts('service=main'))
  end)
end)

describe('dial_start', function()
  it('takes the host whose turn it is, with its port', function()
    for i, port in ipairs { '1', '2', '1' } do
      local w = words(TWO, i - 1)
      assert.are.same({ '127.0.0.' .. port, port }, { w.host, w.port })
    end
  end)
  it('reads a URL, and one port for all', function()
    local w = words('postgres://127.0.0.1:1,127.0.0.2:2/x', 1)
    assert.are.same({ '127.0.0.2', '2', 'x' }, { w.host, w.port, w.dbname })
    w = words('host=127.0.0.1,127.0.0.2 port=7', 1)
    assert.are.same({ '127.0.0.2', '7' }, { w.host, w.port })
  end)
  it('leaves a single host as it is', function()
    local w = words('host=127.0.0.1 port=1', 5)
    assert.are.same({ '127.0.0.1', '1' }, { w.host, w.port })
  end)
  it('wants a server that takes writes, unless the conninfo says otherwise', function()
    assert.are.equal('read-write', words(TWO, 0, true).target_session_attrs)
    assert.are.equal('any', words(TWO, 0, false).target_session_attrs)
    assert.are.equal('primary',
      words(TWO .. ' target_session_attrs=primary', 0, true).target_session_attrs)
    finally(function() C.unsetenv('PGTARGETSESSIONATTRS') end)
    C.setenv('PGTARGETSESSIONATTRS', 'primary', 1)
    assert.are.equal('primary', words(TWO, 0, true).target_session_attrs)
  end)
  it('bounds how long bytes may stay without an acknowledgement', function()
    assert.are.equal('30000', words(TWO).tcp_user_timeout)
    assert.are.equal('5', words(TWO .. ' tcp_user_timeout=5').tcp_user_timeout)
  end)
end)

describe('dial_settings', function()
  it('bounds statements, locks and open transactions', function()
    local t = ffi.new('struct plan_timeouts', {
      statement_ms = 1234, lock_ms = 567, idle_in_transaction_ms = 8901 })
    local sql = ffi.string(C.dial_settings(t))
    assert.matches("'statement_timeout', '1234ms'", sql, 1, true)
    assert.matches("'lock_timeout', '567ms'", sql, 1, true)
    assert.matches("'idle_in_transaction_session_timeout', '8901ms'", sql, 1, true)
  end)
  it('has the defaults of the pipeline file', function()
    local plan = bundles.plan(bundles.pipeline(
      "projection { table = 'a', append = true, columns = {}, on = function() end }"))
    for name, value in pairs(plan.database.timeouts) do
      assert.are.equal(value, C.DIAL_TIMEOUTS[name])
    end
  end)
end)

describe('dial_also', function()
  local function error_of(class, sqlstate, text)
    local e = ffi.new('struct err')
    e.class = class
    ffi.copy(e.sqlstate, sqlstate)
    ffi.copy(e.text, text)
    return e
  end
  it('keeps what a server said over a host that was down', function()
    local e = error_of(C.ERR_CONNECTION, '', 'refused')
    C.dial_also(e, error_of(C.ERR_CONFIG, '28P01', 'wrong password'))
    assert.are.equal(C.ERR_CONFIG, e.class)
    assert.are.same({ '28P01', 'wrong password; refused' },
      { ffi.string(e.sqlstate), ffi.string(e.text) })
  end)
end)
