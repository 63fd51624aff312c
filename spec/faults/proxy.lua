-- The TCP proxy of proxy.c, started and commanded: what it can do is said
-- there. Its counters prove what it did.
local ffi = require 'ffi'
local process = require 'process'
local tidemill = require 'tidemill'

ffi.cdef [[
struct proxy_address { uint16_t family; char path[108]; };
struct proxy_time { long sec; long usec; };
int socket(int, int, int);
int connect(int, const void *, unsigned);
int setsockopt(int, int, int, const void *, unsigned);
ssize_t send(int, const void *, size_t, int);
ssize_t recv(int, void *, size_t, int);
int close(int);
]]

local C = ffi.C
local UNIX, STREAM, NO_SIGNAL = 1, 1, 0x4000
local SOCKET_LEVEL, RECEIVE_TIMEOUT = 1, 20

local M = {}
local Proxy = {}
Proxy.__index = Proxy

local scratch = os.getenv('TIDEMILL_SCRATCH') or '/tmp'
local binary = (os.getenv('FAULT_TOOLS') or 'build') .. '/proxy'

local function dial(path)
  local fd = C.socket(UNIX, STREAM, 0)
  local address = ffi.new('struct proxy_address', { family = UNIX })
  ffi.copy(address.path, path)
  if C.connect(fd, address, ffi.sizeof(address)) ~= 0 then
    C.close(fd)
    return nil
  end
  -- A proxy that hangs fails the spec instead of hanging it too.
  C.setsockopt(fd, SOCKET_LEVEL, RECEIVE_TIMEOUT,
    ffi.new('struct proxy_time', 10, 0), ffi.sizeof('struct proxy_time'))
  return fd
end

--- [options]: to ('127.0.0.1:5432'), plain (no PostgreSQL inside).
function M.start(options)
  local base = ('%s/%s'):format(scratch, tidemill.unique('proxy'))
  local argv = { binary, base .. '.sock', options.to }
  if options.plain then argv[#argv + 1] = 'plain' end
  local self = setmetatable({ log = base .. '.log' }, Proxy)
  self.process = process.start(argv, { out = self.log })
  self.fd = process.wait_for('the proxy', 10, function()
    assert(not self.process:status(), tidemill.read(self.log))
    return dial(base .. '.sock')
  end)
  self.port = tonumber(self:command('port'))
  return self
end

local function read_line(fd)
  local buffer, text = ffi.new('char[4096]'), ''
  while not text:find('\n', 1, true) do
    local n = tonumber(C.recv(fd, buffer, 4096, 0))
    assert(n > 0, 'the proxy does not answer')
    text = text .. ffi.string(buffer, n)
  end
  return text:sub(1, -2)
end

--- Sends a command; its answer without "ok". Raises on "error".
function Proxy:command(format, ...)
  local line = format:format(...)
  assert(C.send(self.fd, line .. '\n', #line + 1, NO_SIGNAL) == #line + 1,
    'the proxy is gone')
  local ok, answer = read_line(self.fd):match('^(%a+) ?(.*)$')
  if ok ~= 'ok' then error(('proxy: %s: %s'):format(line, answer), 2) end
  return answer
end

--- The counters by name, as numbers.
function Proxy:counters()
  local counters = {}
  for name, value in self:command('counters'):gmatch('([%w_]+)=(%d+)') do
    counters[name] = tonumber(value)
  end
  return counters
end

--- Arms a cut; [rule] is the text of proxy.c's "cut". The rule's number.
function Proxy:cut(rule, ...)
  return tonumber(self:command('cut ' .. rule, ...))
end

--- The bytes of the message that a rule has hit and how many of them went on;
--- nil while it is armed.
function Proxy:fired(rule)
  local total, forwarded = self:command('rule %d', rule):match('^fired (%d+) (%d+)')
  return tonumber(total), tonumber(forwarded)
end

--- A database URL with the proxy in front of it.
function Proxy:url(url)
  return (url:gsub('127%.0%.0%.1:%d+', '127.0.0.1:' .. self.port))
end

function Proxy:heal() self:command('heal') end

function Proxy:stop()
  C.close(self.fd)
  self.process:destroy()
end

return M
