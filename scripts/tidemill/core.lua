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
local expected = { [5] = C.TM_API_VERSION }
for i, name in ipairs { 'tm_cell', 'tm_dec', 'tm_batch', 'tm_rows' } do
  expected[i] = ffi.sizeof('struct ' .. name)
end
for i = 1, 5 do
  if sizes[i - 1] ~= expected[i] then
    error('the scripts of Tidemill do not fit this binary: install both from one '
      .. 'version')
  end
end

local n_types, this_load = 0, tostring({})

-- A struct type that nothing else has, for a metatype of its own. busted
-- remembers ffi.typeof by its text, also when it loads this file again, so
-- every text has to be another one.
local function new_type(fields)
  n_types = n_types + 1
  return ffi.typeof(('struct { %s } /* %s %d */'):format(fields, this_load, n_types))
end

return { C = C, host = host, new_type = new_type }
