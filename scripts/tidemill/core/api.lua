-- The C core as Lua sees it: the text of runtime/model/api.h, handed to
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

-- LuaJIT looks the fields of a struct up before the metatype's __index and
-- __newindex, so a field of a struct that scripts can hold is a word in a space
-- of users' names: a record's field or a column of that name would read and write
-- ours, and with it memory. Such fields have names that nobody else can say: no
-- JSON, which is UTF-8; no column; no Lua source, which would have to guess.
---@return string the name that a field of such a struct has here: view[INDEX]
local function field(name)
  return '\255' .. host.nonce .. name
end

-- Declarations with the names of fields as field() gives them.
local function hide(fields)
  return (fields:gsub('([%a_][%w_]*)(%s*[,;])', function(name, stop)
    return field(name) .. stop
  end))
end

ffi.cdef((host.api:gsub('%f[^\n%z]#[^\n]*', '')
  :gsub('struct tm_dec %b{}', hide)))

local C = host.is_binary and ffi.C or ffi.load(spec_library(), true)

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
-- every text has to be another one. Its fields are named by field().
local function new_type(fields)
  n_types = n_types + 1
  return ffi.typeof(('struct { %s } /* %s %d */'):format(hide(fields), this_load,
    n_types))
end

return { C = C, host = host, new_type = new_type, field = field }
