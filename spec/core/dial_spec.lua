-- Which of several hosts an attempt goes to, and on what terms; nothing here
-- is ever answered.
local bundles = require 'spec.unit.bundles'
local ffi = require 'ffi'
local core = require 'spec.core.core'
local C = core.lib

core.headers('base/err.h', 'base/loop.h', 'model/type.h', 'model/plan.h', 'postgres/wire/conn.h',
  'postgres/wire/hosts.h', 'postgres/wire/dial.h', 'postgres/wire/session.h')
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

-- The words that libpq goes by in an attempt.
local function words(conninfo, host, must_write)
  local e = ffi.new('struct err')
  local pg = C.dial_start(target(conninfo, host, must_write), ffi.new('struct pgturns'), e)
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

-- A resolver that knows three names: 'one' has one address, 'two' has two.
local ADDRESSES = { one = { '10.0.0.1' }, two = { '10.0.1.1', 'fd00::2' } }
local asked = {}
local resolve = ffi.cast('hosts_resolve_fn', function(name, i, out)
  local list = ADDRESSES[ffi.string(name)] or {}
  asked[#asked + 1] = ffi.string(name)
  if list[i + 1] then ffi.copy(out, list[i + 1]) end
  return #list
end)

-- Compiled code must not call what calls back.
local function pick(t, turns, out)
  return C.hosts_pick(t, resolve, core.arena(), turns, out, ffi.new('struct err'))
end
jit.off(pick)

-- The turns of a round from where [t] stands, as 'host/address:port'.
local function round(t)
  local turns, out, list = ffi.new('struct pgturns'), ffi.new('struct host'), {}
  repeat
    local ok = pick(t, turns, out)
    local text = ('%s/%s:%s'):format(ffi.string(out.host), ffi.string(out.hostaddr),
      ffi.string(out.port))
    list[#list + 1] = ok and text or 'unknown ' .. ffi.string(out.host)
  until not C.hosts_next(t, turns)
  return table.concat(list, ' ')
end

describe('hosts_pick', function()
  local cases = {
    { 'dbname=x', '/:' },
    { 'plainname', '/:' },
    { 'host=one', 'one/10.0.0.1:' },
    { 'host=two port=7', 'two/10.0.1.1:7 two/fd00::2:7' },
    { 'postgres://one:1,two:2/x', 'one/10.0.0.1:1 two/10.0.1.1:2 two/fd00::2:2' },
    { 'host=one,two port=7', 'one/10.0.0.1:7 two/10.0.1.1:7 two/fd00::2:7' },
    { 'host=nobody,one', 'unknown nobody one/10.0.0.1:' },
    { 'host=/run/postgresql', '/run/postgresql/:' },
    { 'host=two hostaddr=10.9.9.9', 'two/10.9.9.9:' },
    { 'hostaddr=10.0.0.1,10.0.0.2 port=1,2', '/10.0.0.1:1 /10.0.0.2:2' },
  }
  for _, case in ipairs(cases) do
    it(('gives each of "%s" its turn'):format(case[1]), function()
      assert.are.equal(case[2], round(target(case[1])))
    end)
  end
  it('goes on behind the last one that failed, round and round', function()
    local t = target 'host=one,two'
    round(t)
    assert.are.equal('one/10.0.0.1: two/10.0.1.1: two/fd00::2:', round(t))
    t.host, t.address = 1, 1 -- that one had answered
    assert.are.equal('two/fd00::2: one/10.0.0.1:', round(t))
  end)
  it('resolves only the name whose turn it is', function()
    asked = {}
    pick(target 'host=one,two', ffi.new('struct pgturns'), ffi.new('struct host'))
    assert.are.same({ 'one' }, asked)
  end)
  it('reads the variable, unless a service may say otherwise', function()
    finally(function() C.unsetenv('PGHOST') end)
    C.setenv('PGHOST', 'one,one', 1)
    assert.are.equal('one/10.0.0.1: one/10.0.0.1:', round(target 'dbname=x'))
    assert.are.equal('one/10.0.0.1: one/10.0.0.1:', round(target 'plainname'))
    assert.are.equal('two/10.0.1.1: two/fd00::2:', round(target 'host=two dbname=x'))
    assert.are.equal('/:', round(target 'service=main'))
  end)
end)

describe('hosts_is_readable', function()
  local cases = {
    [true] = { 'postgres://u:p%40ss@h/x', 'postgres://u@h1:1,h2:2/x', 'host=a,b port=1,2',
      'postgres://u@%2Frun%2Fa@b/x', 'host=@abstract', 'dbname=a@b', 'postgres:///x',
      'postgres://[::1]:5432/x', 'service=main', 'postgres://u@h/x?service=main',
      'postgres://u:p@h/a%40b', 'shop', 'a@b' },
    [false] = { 'postgres://u:p@ss@h/x', 'postgres://u:p/ss@h/x', 'postgres://u:1/ss@h/x',
      'postgres://u:p%zz@h/x', 'host=h password=a b', 'host=h port=secret', 'http://h/x',
      'postgres://u:p@s/s@h/x', 'postgres://u:p@1/s@h:1/x', 'u:secret@h/x', 'u:p@h' },
  }
  for expected, list in pairs(cases) do
    for _, conninfo in ipairs(list) do
      it(('is %s for %s'):format(expected, conninfo), function()
        assert.are.equal(expected, C.hosts_is_readable((core.bytes(conninfo .. '\0'))))
      end)
    end
  end
end)

describe('a password', function()
  ffi.cdef [[
  struct option *PQconninfoParse(const char *, char **);
  ]]
  local SIGNS = { '@', '/', ':', '?', '#', '%', '&', '=', '[', ']', '+', ',', ' ', '@@', '//', '/@', '@/', '%4', '$', '!' }

  -- Parts of letters and digits that are found again, between special characters.
  local function random()
    local parts = {}
    for i = 1, math.random(2, 4) do
      local digits = math.random(3) == 1
      parts[i] = digits and tostring(math.random(10000, 65535)) or ('qz'):rep(2) .. string.char(math.random(97, 122)):rep(3)
    end
    local text = parts[1]
    for i = 2, #parts do text = text .. SIGNS[math.random(#SIGNS)] .. parts[i] end
    if math.random(4) == 1 then text = text .. SIGNS[math.random(#SIGNS)] end
    if math.random(4) == 1 then text = SIGNS[math.random(#SIGNS)] .. text end
    return text, parts
  end

  local FORMS = { 'postgres://app:%s@db.example:5432/shop', 'postgresql://app:%s@a,b/shop?sslmode=require', 'postgres://:%s@db/shop',
    'postgres://app:%s@/shop', 'host=db user=app password=%s dbname=shop', 'password=%s host=db', 'app:%s@db/shop', 'postgres:/app:%s@db/shop',
    'postgres://app:%s@db/shop?application_name=a@b', 'mysql://app:%s@db/shop' }

  -- What libpq would go by, and name in its errors: all words but the password.
  local function shown(conninfo)
    local list, text = C.PQconninfoParse(conninfo, nil), ''
    local i = 0
    while list ~= nil and list[i].keyword ~= nil do
      if ffi.string(list[i].keyword) ~= 'password' and list[i].val ~= nil then text = text .. ffi.string(list[i].val) .. '\n' end
      i = i + 1
    end
    return text
  end

  it('with special characters is never taken for anything that is shown', function()
    math.randomseed(tonumber(os.getenv 'SEED') or 31)
    local n_refused = 0
    for _ = 1, 20000 do
      local password, parts = random()
      local conninfo = FORMS[math.random(#FORMS)]:format(password)
      local e = ffi.new('struct err')
      if C.dial_check(conninfo, e) then
        local text = shown(conninfo)
        for _, part in ipairs(parts) do
          if not ('shop app'):find(part, 1, true) then assert.is_nil(text:find(part, 1, true), conninfo .. '\n' .. text) end
        end
      else
        n_refused = n_refused + 1
        local text = ffi.string(e.text)
        assert.is_truthy(text:find('percent-encode', 1, true), text)
        for _, part in ipairs(parts) do assert.is_nil(text:find(part, 1, true), text) end
      end
    end
    assert.is_true(n_refused > 4000 and n_refused < 19000, n_refused)
  end)

  it('is not shown of a list that was written with other signs between its words', function()
    for _, sign in ipairs { ';', ',', '&', '; ' } do
      for _, word in ipairs { 'password', 'Password', 'pwd' } do
        local text = 'host=db' .. sign .. 'port=5432' .. sign .. word .. '=secret'
        assert.is_false(C.hosts_is_readable((core.bytes(text .. '\0'))), text)
      end
    end
    assert.is_false(C.hosts_is_readable((core.bytes 'host=db;port=5432\0')))
    for _, text in ipairs { 'host=/run/a=b;c dbname=x', 'dbname=a;b user=x=y password=a;pwd=b', "host=a options='-c x.y=a;b'" } do
      assert.is_true(C.hosts_is_readable((core.bytes(text .. '\0'))), text)
    end
  end)

  it('that is percent-encoded is always read', function()
    for _ = 1, 2000 do
      local password = random()
      local encoded = password:gsub('%W', function(c) return ('%%%02X'):format(c:byte()) end)
      assert.is_true(C.hosts_is_readable((core.bytes('postgres://app:' .. encoded .. '@db/shop\0'))))
    end
  end)
end)

describe('hosts_resolve', function()
  it('knows what is an address already, and says when a name has none', function()
    local out = ffi.new('char[64]')
    assert.are.equal(1, C.hosts_resolve('127.0.0.1', 0, out, 64))
    assert.are.equal('127.0.0.1', ffi.string(out))
    assert.are.equal(0, C.hosts_resolve('..', 0, out, 64))
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

-- A pooler that takes no options at the start, and knows nobody without them: what
-- each start-up packet held decides what is answered. Returns its port.
local function start_pooler()
  ffi.cdef [[
  int socket(int, int, int); int bind(int, const void *, unsigned); int listen(int, int);
  int accept(int, void *, void *); int getsockname(int, void *, unsigned *);
  long read(int, void *, size_t); long write(int, const void *, size_t);
  int close(int); int fork(void); void _exit(int); unsigned alarm(unsigned);
  ]]
  local function refusal(code, text)
    local fields = ('SFATAL\0VFATAL\0C%s\0M%s\0\0'):format(code, text)
    return 'E\0\0\0' .. string.char(#fields + 4) .. fields
  end
  local address = ffi.new('uint8_t[16]', { 2, 0, 0, 0, 127, 0, 0, 1 })
  local fd, size = ffi.C.socket(2, 1, 0), ffi.new('unsigned[1]', 16)
  assert(ffi.C.bind(fd, address, 16) == 0 and ffi.C.listen(fd, 5) == 0)
  ffi.C.getsockname(fd, address, size)
  if ffi.C.fork() == 0 then
    ffi.C.alarm(20)
    local bytes = ffi.new('char[4096]')
    for _ = 1, 2 do
      local c = ffi.C.accept(fd, nil, nil)
      local packet = ffi.string(bytes, tonumber(ffi.C.read(c, bytes, 4096)))
      local answer = packet:find('options\0', 1, true)
        and refusal('08P01', 'unsupported startup parameter: options')
        or refusal('28P01', 'no such user')
      ffi.C.write(c, answer, #answer)
      ffi.C.close(c)
    end
    ffi.C._exit(0)
  end
  ffi.C.close(fd)
  return address[2] * 256 + address[3]
end

describe('the settings of a session', function()
  it('bound statements, locks and open transactions', function()
    local t = ffi.new('struct plan_timeouts', {
      statement_ms = 1234, lock_ms = 567, idle_in_transaction_ms = 8901 })
    local sql = ffi.string(C.session_set(C.SESSION_WORKER, t))
    assert.matches("'statement_timeout', '1234ms'", sql, 1, true)
    assert.matches("'lock_timeout', '567ms'", sql, 1, true)
    assert.matches("'idle_in_transaction_session_timeout', '8901ms'", sql, 1, true)
  end)
  it('end a wait for a lock before they end the statement that waits', function()
    local t = ffi.new('struct plan_timeouts', { statement_ms = 1000, lock_ms = 1000 })
    assert.matches("'lock_timeout', '750ms'",
      ffi.string(C.session_set(C.SESSION_WORKER, t)), 1, true)
    t.statement_ms = 0
    assert.matches("'lock_timeout', '1000ms'",
      ffi.string(C.session_set(C.SESSION_WORKER, t)), 1, true)
  end)
  it('are there from the start, behind those of the address', function()
    local said = '-c array_nulls=off -c search_path=app'
    local all = words(TWO .. " options='" .. said .. "'").options
    assert.equal(said, all:sub(1, #said))
    assert.matches('-c array_nulls=on', all:sub(#said), 1, true)
    assert.matches('-c DateStyle=ISO,\\ MDY', all, 1, true)
    assert.matches('-c lock_timeout=20000ms', all, 1, true)
  end)
  it('are left to later where a pooler takes none at the start', function()
    local e = ffi.new('struct err')
    local address = ("host=127.0.0.1 port=%d user=x dbname=x sslmode=disable "
      .. "gssencmode=disable"):format(start_pooler())
    assert.is_true(C.dial_wait(address, 'spec', true, 0, e) == nil)
    assert.equal('28P01', ffi.string(e.sqlstate))
    assert.matches('no such user', ffi.string(e.text))
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
