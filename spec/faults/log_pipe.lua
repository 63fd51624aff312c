-- A run's log through a pipe to a reader that can be made to stand still.
local ffi = require 'ffi'
local process = require 'process'
local tidemill = require 'tidemill'

ffi.cdef [[
int mkfifo(const char *, unsigned);
int open(const char *, int, ...);
int close(int);
int fcntl(int, int, ...);
int ioctl(int, unsigned long, ...);
]]

local C = ffi.C
local READ_WRITE, SET_PIPE_SIZE, BYTES_IN_IT, PIPE_BYTES = 2, 1031, 0x541B, 4096
-- A line that does not fit is not written in part.
local LINE = 600

local M = {}
local Pipe = {}
Pipe.__index = Pipe

--- { path (of the pipe), log (what the reader has read), process (the reader) }
function M.new(world)
  local base = world.scratch .. '/' .. tidemill.unique('pipe')
  assert(C.mkfifo(base, 384) == 0)
  -- Open for as long as the fault, so that the reader's file does not end between two
  -- writers, and small.
  local fd = C.open(base, READ_WRITE)
  assert(fd >= 0 and C.fcntl(fd, SET_PIPE_SIZE, ffi.new('int', PIPE_BYTES)) >= 0)
  return setmetatable({ path = base, log = base .. '.log', fd = fd,
    process = process.start({ 'cat', base }, { out = base .. '.log' }) }, Pipe)
end

function Pipe:is_full()
  local n = ffi.new('int[1]')
  C.ioctl(self.fd, BYTES_IN_IT, n)
  return n[0] > PIPE_BYTES - LINE
end

function Pipe:close()
  C.close(self.fd)
  self.process:destroy()
end

return M
