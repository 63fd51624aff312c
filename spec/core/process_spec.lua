-- Children of the supervisor.
local ffi = require 'ffi'
local core = require 'spec.core.core'
local C = core.lib

ffi.cdef 'typedef int pid_t;'
core.headers('supervise/process.h')
ffi.cdef 'int pause(void); int kill(int pid, int sig); int waitpid(int pid, int *s, int o);'

-- Has the process the file open? What checks memory has files of its own.
local function holds(pid, path)
  local pipe = io.popen(('ls -l /proc/%d/fd'):format(pid))
  local text = pipe:read('*a')
  pipe:close()
  assert(#text > 0)
  return text:find(path, 1, true) ~= nil
end

describe('a child', function()
  it('has no file of its parent but the three standard ones', function()
    local path = os.tmpname()
    local file = assert(io.open(path))
    local pid = C.process_fork(-1)
    if pid == 0 then
      while true do ffi.C.pause() end
    end
    assert.is_true(pid > 0)
    local is_held = true
    for _ = 1, 1000 do -- until it has come to close them
      is_held = is_held and holds(pid, path)
    end
    ffi.C.kill(pid, 9)
    ffi.C.waitpid(pid, nil, 0)
    file:close()
    os.remove(path)
    assert.is_false(is_held)
  end)

  it('that cannot be made is told with the limit that may be meant', function()
    local out = ffi.new('char[200]')
    for why, words in pairs {
      [11] = 'Resource temporarily unavailable: ', -- EAGAIN
      [12] = 'memory.max of the cgroup', [1] = 'Operation not permitted',
    } do
      C.process_describe_failure(why, out, 200)
      assert.is_truthy(ffi.string(out):find(words, 1, true), ffi.string(out))
    end
    C.process_describe_failure(11, out, 200)
    assert.matches('pids.max', ffi.string(out), 1, true)
  end)
end)
