-- Prints N free TCP ports of 127.0.0.1: luajit free_ports.lua N. They are held
-- together while being chosen, so they differ.
local ffi = require 'ffi'

ffi.cdef [[
int socket(int, int, int);
int bind(int, const void *, unsigned);
int getsockname(int, void *, unsigned *);
]]

local AF_INET, SOCK_STREAM = 2, 1

local ports = {}
for i = 1, tonumber(arg[1]) do
  local fd = ffi.C.socket(AF_INET, SOCK_STREAM, 0)
  local address = ffi.new('uint8_t[16]')
  ffi.cast('uint16_t *', address)[0] = AF_INET
  address[4], address[7] = 127, 1
  assert(ffi.C.bind(fd, address, 16) == 0, 'no free port')
  ffi.C.getsockname(fd, address, ffi.new('unsigned[1]', 16))
  ports[i] = address[2] * 256 + address[3]
end
print(table.concat(ports, ' '))
