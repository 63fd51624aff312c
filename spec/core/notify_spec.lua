-- What systemd is told, over a socket of the spec's own; and what a SIGHUP means.
local ffi = require 'ffi'
local metric_table = require 'spec.core.metric_table'
local core = require 'spec.core.core'
local C = core.lib

pcall(ffi.cdef, 'typedef int pid_t;')
pcall(ffi.cdef, 'int getpid(void);')
pcall(ffi.cdef, 'int fork(void);')
pcall(ffi.cdef, 'int waitpid(int, int *, int);')
pcall(ffi.cdef, 'void _exit(int);')
pcall(ffi.cdef, 'int setenv(const char *, const char *, int);')
pcall(ffi.cdef, 'int unsetenv(const char *);')
core.headers('supervise/notify.h', 'supervise/hangup.h')
ffi.cdef [[
struct spec_un { uint16_t family; char path[108]; };
int socket(int, int, int);
int bind(int, const struct spec_un *, uint32_t);
ssize_t recv(int, void *, size_t, int);
int close(int);
int usleep(unsigned);
int forkpty(int *, char *, void *, void *);
int sighold(int);
void (*signal(int, void (*)(int)))(int);
]]
local UNIX, DATAGRAM, DONTWAIT, HUP = 1, 2, 0x40, 1
local SECOND = 1000000ULL

-- A socket of that name, "@x" being abstract; its next datagrams, in order.
local function listen(name)
  local address = ffi.new('struct spec_un', { UNIX })
  ffi.copy(address.path, name)
  if name:sub(1, 1) == '@' then address.path[0] = 0 end
  local fd = C.socket(UNIX, DATAGRAM, 0)
  assert(C.bind(fd, address, 2 + #name) == 0)
  finally(function()
    C.close(fd)
    os.remove(name)
  end)
  local buffer = ffi.new('char[2000]')
  return function()
    local list = {}
    while true do
      local n = tonumber(C.recv(fd, buffer, 2000, DONTWAIT))
      if n < 0 then return list end
      list[#list + 1] = ffi.string(buffer, n)
    end
  end
end

local function notify(env, page)
  for _, variable in ipairs { 'NOTIFY_SOCKET', 'WATCHDOG_USEC', 'WATCHDOG_PID' } do
    C.unsetenv(variable)
  end
  for variable, value in pairs(env) do C.setenv(variable, tostring(value), 1) end
  local view = ffi.new('struct admin_view', { page, 'shop', 'f00d', '1.0', 'here' })
  local n = ffi.new('struct notify')
  C.notify_open(n, view)
  return n, view
end

local function beat(page, at)
  for i = 0, page.n_workers - 1 do
    page.workers[i].pid, page.workers[i].heartbeat_usec = 1, at or C.clock_usec()
  end
end

local function names(list)
  for i, text in ipairs(list) do list[i] = text:match '^%u+' end
  return table.concat(list, ' ')
end

describe('what systemd is told', function()
  for _, name in ipairs { '@tidemill-spec-' .. C.getpid(), os.tmpname() .. '.sock' } do
    it('comes in order, to ' .. (name:match '^@' and 'an abstract socket' or 'a path'), function()
      local page, read = metric_table.new_page(), listen(name)
      local n, view = notify({ NOTIFY_SOCKET = name }, page)
      C.notify_tick(n, C.clock_usec())
      assert.are.equal('STATUS', names(read()))
      page.workers[0].heartbeat_usec = 1
      C.notify_tick(n, C.clock_usec())
      C.notify_reloaded(n, 5)
      assert.are.same({}, read())
      beat(page)
      page.workers[0].is_ready, page.workers[1].is_ready = 1, 0
      ffi.copy(page.workers[1].waiting_for, 'database: "away"\nfor long')
      C.notify_tick(n, C.clock_usec())
      C.notify_tick(n, C.clock_usec())
      local said = read()
      assert.are.equal('READY=1', said[1])
      assert.are.equal('STATUS=shop: 1 of 2 workers ready, 0 lanes, 0 halted, 0 dead letters; '
        .. 'database: "away" for long', said[2])
      assert.are.equal(2, #said)
      C.notify_reloaded(n, 5)
      C.notify_stopping(n)
      assert.are.same({ 'RELOADING=1\nMONOTONIC_USEC=5', 'READY=1', 'STOPPING=1' }, read())
      C.notify_close(n)
      assert(view)
    end)
  end

  it('feeds the watchdog while every heartbeat is young, three times a limit', function()
    local name = '@tidemill-spec-dog-' .. C.getpid()
    local page, read = metric_table.new_page(), listen(name)
    local n, view = notify({ NOTIFY_SOCKET = name, WATCHDOG_USEC = 3 * 1000000,
      WATCHDOG_PID = C.getpid() }, page)
    local now = C.clock_usec()
    local function fed(after)
      C.notify_tick(n, now + after)
      return (names(read()):match 'WATCHDOG' ~= nil)
    end
    beat(page)
    assert.are.same({ true, false, true, false, true }, { fed(0ULL), fed(SECOND / 2), fed(SECOND),
      fed(SECOND * 19 / 10), fed(SECOND * 2) })
    page.workers[1].heartbeat_usec = now - page.heartbeat_seconds * SECOND
    assert.is_false(fed(SECOND * 4))
    page.workers[1].pid = 0 -- it was killed; another one comes
    assert.is_true(fed(SECOND * 5))
    C.notify_close(n)
    assert(view)
  end)

  it('is nothing without a socket, to a wrong one, or to one of another process', function()
    local page, name = metric_table.new_page(), '@tidemill-spec-none-' .. C.getpid()
    beat(page)
    for _, env in ipairs { {}, { NOTIFY_SOCKET = '' }, { NOTIFY_SOCKET = 'vsock:1:2' },
      { NOTIFY_SOCKET = '/' .. ('x'):rep(200) }, { NOTIFY_SOCKET = '/nowhere/at/all' } } do
      local n, view = notify(env, page)
      assert.are.equal(-1, n.fd)
      C.notify_tick(n, C.clock_usec())
      C.notify_stopping(n)
      assert(view)
    end
    local read = listen(name)
    local n, view = notify({ NOTIFY_SOCKET = name, WATCHDOG_USEC = 3, WATCHDOG_PID = 1 }, page)
    C.notify_tick(n, C.clock_usec())
    assert.are.equal('READY STATUS', names(read()))
    C.notify_close(n)
    assert(view)
  end)
end)

describe('a SIGHUP', function()
  -- Does it end a run, in a process on a terminal of its own, which is [gone] or not?
  local function ends(gone, prepare)
    local master, status = ffi.new('int[1]'), ffi.new('int[1]')
    local page = ffi.gc(C.page_new(1), C.page_free) -- shared
    local pid = C.forkpty(master, nil, nil, nil)
    if pid == 0 then
      C.sighold(HUP)
      if prepare then prepare() end
      local h = ffi.new('struct hangup')
      C.hangup_init(h)
      page.n_lanes = 1
      for _ = 1, 300 do
        if C.hangup_ends(h) then C._exit(7) end
        C.usleep(1000)
      end
      C._exit(0)
    end
    while page.n_lanes == 0 do C.usleep(1000) end
    if gone then C.close(master[0]) end
    C.waitpid(pid, status, 0)
    if not gone then C.close(master[0]) end
    return status[0] == 7 * 256
  end

  it('ends a run when its terminal has gone, unless that is to be ignored', function()
    assert.is_true(ends(true))
    assert.is_false(ends(false))
    assert.is_false(ends(true, function() C.signal(HUP, ffi.cast('void (*)(int)', 1)) end))
  end)
end)
