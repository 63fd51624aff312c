-- The library of preload.c: its environment for tidemill.start, and the
-- shared page by which a run is armed while it goes on. What is covered is said
-- in preload.c.
local ffi = require 'ffi'
local tidemill = require 'tidemill'

-- The same as preload.h.
ffi.cdef [[
struct preload_state {
  int64_t left, period, calls, fired;
  int32_t error;
  uint32_t caller;
};
struct preload_control {
  int64_t clock_offset_usec, clock_shifted;
  struct preload_state sites[9];
};
int open(const char *, int, ...);
int close(int);
void *mmap(void *, size_t, int, int, int, long);
int munmap(void *, size_t);
]]

local C = ffi.C
local READ_WRITE, SHARED, READ_AND_WRITE_FILE = 3, 1, 2

local SITES = {
  malloc = 0, calloc = 1, realloc = 2, read = 3, write = 4, open = 5, send = 6,
  recv = 7, connect = 8,
}
local CALLERS = { program = 1, libpq = 2, kafka = 4 }

local M = {
  ENOMEM = 12, EIO = 5, EINTR = 4, EAGAIN = 11, EMFILE = 24, ENOENT = 2,
  ECONNRESET = 104, ECONNREFUSED = 111, EPIPE = 32, ENOSPC = 28,
}
local Preload = {}
Preload.__index = Preload

local scratch = os.getenv('TIDEMILL_SCRATCH') or '/tmp'
local folder = os.getenv('FAULT_TOOLS') or 'build'
-- The loader would look a bare name up in the system's folders.
local library = (folder:sub(1, 1) == '/' and '' or os.getenv('TIDEMILL_ROOT') .. '/') ..
  folder .. '/preload.so'

--- False for a build with AddressSanitizer, which has its own malloc.
function M.is_usable()
  return not tidemill.is_sanitized()
end

function M.start()
  local path = ('%s/%s.page'):format(scratch, tidemill.unique('preload'))
  local size = ffi.sizeof('struct preload_control')
  tidemill.write(path, ('\0'):rep(size))
  local fd = C.open(path, READ_AND_WRITE_FILE)
  local page = C.mmap(nil, size, READ_WRITE, SHARED, fd, 0)
  C.close(fd)
  assert(ffi.cast('intptr_t', page) ~= -1, 'cannot map ' .. path)
  return setmetatable({
    control = ffi.cast('struct preload_control *', page), size = size,
    env = { LD_PRELOAD = library, TIDEMILL_PRELOAD = path },
  }, Preload)
end

local function site(self, name)
  return self.control.sites[assert(SITES[name], name)]
end

--- Makes the [nth] call of a site (a function's name) fail, counted from now.
--- [options]: nth (1), every (again and again at that distance), error (errno),
--- caller ('program', 'libpq', 'kafka').
function Preload:arm(name, options)
  local s = site(self, name)
  s.left = 0
  s.error = options.error or M.ENOMEM
  s.caller = CALLERS[options.caller or 'program']
  s.period = options.every or 0
  s.left = options.nth or 1
end

function Preload:disarm()
  for _, i in pairs(SITES) do self.control.sites[i].left = 0 end
end

--- How many calls of a site have failed, and how many were counted.
function Preload:fired(name)
  local s = site(self, name)
  return tonumber(s.fired), tonumber(s.calls)
end

--- Moves the wall clock of every process of the run to that many seconds from
--- what it is.
function Preload:set_clock(seconds)
  self.control.clock_offset_usec = seconds * 1e6
end

--- How many times a moved clock was read.
function Preload:clock_readings() return tonumber(self.control.clock_shifted) end

--- What fired, by name.
function Preload:counters()
  local counters = { clock = self:clock_readings() }
  for name in pairs(SITES) do counters[name] = self:fired(name) end
  return counters
end

function Preload:stop()
  self:disarm()
  C.munmap(self.control, self.size)
end

return M
