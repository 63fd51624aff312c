-- Processes for specs: started with their output in a file, signalled, waited
-- for; and the time to wait for a condition.
local ffi = require 'ffi'

ffi.cdef [[
typedef struct { long sec; long nsec; } spec_time;
int clock_gettime(int, spec_time *);
int nanosleep(const spec_time *, spec_time *);
int posix_spawnp(int *, const char *, void *, void *, const char **, const char **);
int posix_spawn_file_actions_init(void *);
int posix_spawn_file_actions_addopen(void *, int, const char *, int, unsigned);
int posix_spawn_file_actions_adddup2(void *, int, int);
int posix_spawn_file_actions_destroy(void *);
int posix_spawnattr_init(void *);
int posix_spawnattr_setflags(void *, short);
int posix_spawnattr_setpgroup(void *, int);
int posix_spawnattr_destroy(void *);
int waitpid(int, int *, int);
int kill(int, int);
extern char **environ;
]]

local C = ffi.C
local MONOTONIC, WNOHANG, SETPGROUP = 1, 1, 2
local WRITE_CREATE_APPEND = 1 + 64 + 1024

local M = { TERM = 15, KILL = 9, INT = 2, HUP = 1, STOP = 19, CONT = 18 }
local Process = {}
Process.__index = Process

--- Seconds on a clock that only goes forward.
function M.now()
  local t = ffi.new('spec_time')
  C.clock_gettime(MONOTONIC, t)
  return tonumber(t.sec) + tonumber(t.nsec) / 1e9
end

function M.sleep(seconds)
  local whole = math.floor(seconds)
  local t = ffi.new('spec_time', whole, (seconds - whole) * 1e9)
  C.nanosleep(t, nil)
end

--- Polls until [condition] gives something true, and returns that; after
--- [seconds] it raises, naming [what].
function M.wait_for(what, seconds, condition)
  local deadline = M.now() + seconds
  while true do
    local value = condition()
    if value then return value end
    if M.now() > deadline then
      local text = type(what) == 'function' and what() or what
      error(('waited %g s for: %s'):format(seconds, text), 2)
    end
    M.sleep(0.02)
  end
end

local function strings(list)
  local array = ffi.new('const char *[?]', #list + 1)
  for i, text in ipairs(list) do array[i - 1] = text end
  return array
end

local function environment(extra)
  local list, i = {}, 0
  while C.environ[i] ~= nil do
    local text = ffi.string(C.environ[i])
    if not extra[text:match('^[^=]*')] then list[#list + 1] = text end
    i = i + 1
  end
  for name, value in pairs(extra) do list[#list + 1] = name .. '=' .. value end
  return list
end

-- When it began, which tells it from a later one of its number: field 22 of its stat.
local function began(pid)
  local f = io.open(('/proc/%d/stat'):format(pid))
  local text = f and f:read('*a') or ''
  if f then f:close() end
  return text:match('^.*%) ' .. ('%S+ '):rep(19) .. '(%d+)')
end

-- The runner ends what a spec that crashed has left behind.
local function note_started(pid)
  local folder = os.getenv('TIDEMILL_SCRATCH')
  local f = folder and io.open(folder .. '/started', 'a')
  if f then
    f:write(pid, ' ', began(pid) or '-', '\n')
    f:close()
  end
end

--- Starts [argv] in a process group of its own. [options]: out, err (files),
--- env (table).
function M.start(argv, options)
  local actions, attributes = ffi.new('char[256]'), ffi.new('char[512]')
  C.posix_spawn_file_actions_init(actions)
  C.posix_spawn_file_actions_addopen(actions, 0, '/dev/null', 0, 0)
  C.posix_spawn_file_actions_addopen(actions, 1, options.out, WRITE_CREATE_APPEND, 420)
  if options.err then
    C.posix_spawn_file_actions_addopen(actions, 2, options.err, WRITE_CREATE_APPEND, 420)
  else
    C.posix_spawn_file_actions_adddup2(actions, 1, 2)
  end
  C.posix_spawnattr_init(attributes)
  C.posix_spawnattr_setflags(attributes, SETPGROUP)
  C.posix_spawnattr_setpgroup(attributes, 0)
  local pid = ffi.new('int[1]')
  -- The lists keep the strings alive that the arrays point into.
  local env = environment(options.env or {})
  local code = C.posix_spawnp(pid, argv[1], actions, attributes, strings(argv),
    strings(env))
  C.posix_spawn_file_actions_destroy(actions)
  C.posix_spawnattr_destroy(attributes)
  assert(code == 0, 'cannot start ' .. argv[1])
  note_started(pid[0])
  return setmetatable({ pid = pid[0], argv = argv }, Process)
end

--- The exit status, or nil while it runs. Death by a signal is 128 + signal.
function Process:status()
  if self.exit_status then return self.exit_status end
  local status = ffi.new('int[1]')
  if C.waitpid(self.pid, status, WNOHANG) ~= self.pid then return nil end
  local signal = status[0] % 128
  self.exit_status = signal ~= 0 and 128 + signal or math.floor(status[0] / 256) % 256
  return self.exit_status
end

function Process:wait(seconds)
  local what = 'the end of ' .. table.concat(self.argv, ' ')
  return M.wait_for(what, seconds, function() return self:status() end)
end

function Process:signal(number)
  return self.exit_status == nil and C.kill(self.pid, number) == 0
end

function M.signal(pid, number)
  return C.kill(pid, number) == 0
end

--- False also for a process that has ended but was not waited for.
function M.is_alive(pid)
  local f = io.open(('/proc/%d/stat'):format(pid))
  if not f then return false end
  -- It may end between the two: then there is nothing to be read.
  local state = (f:read('*a') or ''):match('^.*%) (%a)')
  f:close()
  return state ~= nil and state ~= 'Z' and state ~= 'X'
end

--- The process ids of the children that are alive.
function M.children(pid)
  local pids = {}
  local f = io.open(('/proc/%d/task/%d/children'):format(pid, pid))
  for child in (f and f:read('*a') or ''):gmatch('%d+') do
    if M.is_alive(tonumber(child)) then pids[#pids + 1] = tonumber(child) end
  end
  if f then f:close() end
  return pids
end

--- Ends the process and everything in its group.
function Process:destroy()
  C.kill(-self.pid, M.KILL)
  if not self.exit_status then self:wait(10) end
end

return M
