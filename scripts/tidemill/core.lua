-- The C core as Lua sees it: the text of runtime/base/api.h, handed to
-- ffi.cdef once. In the binary the tm_* functions are in the executable;
-- specs load them from a library. Refuses to run against a core whose structs
-- have other sizes.
local ffi = require 'ffi'

local function spec_library()
  return os.getenv('TIDEMILL_SPEC_SO') or os.getenv('SPECLIB')
    or 'build/libtidemill-spec.so'
end

local function host_of_specs()
  local open, reason = package.loadlib(spec_library(), 'luaopen_tidemill_host')
  if not open then
    error(spec_library() .. ' cannot be loaded (' .. tostring(reason)
      .. '): build it with `make`, or set TIDEMILL_SPEC_SO')
  end
  return open()
end

local host = package.preload['tidemill.host'] and require 'tidemill.host'
  or host_of_specs()

ffi.cdef((host.api:gsub('%f[^\n%z]#[^\n]*', '')))

local C = host.is_binary and ffi.C or ffi.load(spec_library())

local sizes = ffi.new('uint32_t[5]')
C.tm_sizes(sizes)
local expected = {
  ffi.sizeof('struct tm_cell'), ffi.sizeof('struct tm_dec'), ffi.sizeof('struct tm_batch'),
  ffi.sizeof('struct tm_rows'), C.TM_API_VERSION,
}
for i = 1, 5 do
  if sizes[i - 1] ~= expected[i] then
    error('the scripts of Tidemill do not fit this binary: install both from one version')
  end
end

return { C = C, host = host }
