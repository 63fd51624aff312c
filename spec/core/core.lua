-- The C core for specs: declarations come from the headers themselves, so that
-- they cannot drift from the code, and the functions from the spec library.
local ffi = require 'ffi'

local M = {}

local root = os.getenv('TIDEMILL_ROOT') or '.'

local function read_header(name)
  local file = assert(io.open(root .. '/runtime/' .. name))
  local text = file:read('*a')
  file:close()
  return text
end

-- What the FFI's parser cannot read: the preprocessor's lines, the functions
-- with a body, attributes.
local function strip(text)
  text = ('\n' .. text):gsub('\\\n', ' '):gsub('\n#[^\n]*', '\n')
  text = text:gsub('static inline[^{;]*%b{}', '')
  return (text:gsub('%s+MUSTCHECK%f[%W]', ''):gsub('__attribute__%(%(.-%)%)%s*;', ';'):gsub('\n_Noreturn ', '\n'))
end

-- tidemill.core declares api.h too: a spec that needs both loads it first.
local declared = { ['model/api.h'] = package.loaded['tidemill.core.api'] ~= nil }

--- Declares what a header of runtime/, and those that it includes, declare, once.
function M.header(name)
  if not declared[name] then
    declared[name] = true
    local text = read_header(name)
    for included in text:gmatch '\n#include "([^"]+)"' do M.header(included) end
    ffi.cdef(strip(text))
  end
end

function M.headers(...)
  for _, name in ipairs { ... } do M.header(name) end
end

M.headers('model/api.h', 'base/arena.h')
-- For all of the process at once: a VM that a spec makes looks the tm_* functions up as
-- in the program itself, and busted remembers a library as it was loaded first.
M.lib = ffi.load(os.getenv('TIDEMILL_SPEC_SO') or os.getenv('SPECLIB')
  or 'build/libtidemill-spec.so', true)

local C = M.lib

--- An arena that lives as long as the value that is returned.
function M.arena()
  local arena = ffi.gc(ffi.new('struct arena'), C.arena_close)
  C.arena_init(arena, 0)
  return arena
end

--- A bundle as the program reads it, until it is collected.
function M.bundle(path)
  M.header('lua/bundle.h')
  local b, e = ffi.new('struct bundle'), ffi.new('struct err')
  assert(C.bundle_read(b, path, root .. '/scripts', e), ffi.string(e.text))
  return ffi.gc(b, C.bundle_close)
end

local anchors = {}

--- Bytes at an address that lasts as long as the spec runs.
function M.bytes(s)
  anchors[#anchors + 1] = s
  return ffi.cast('const char *', s), #s
end

local function with_bytes(tag)
  return function(s)
    local cell = ffi.new('struct tm_cell')
    cell.p, cell.len = M.bytes(s)
    cell.tag = tag
    return cell
  end
end

M.text = with_bytes(C.TM_TEXT)
M.object = with_bytes(C.TM_OBJECT)
M.array = with_bytes(C.TM_ARRAY)

local function plain(tag, field)
  return function(v)
    local cell = ffi.new('struct tm_cell')
    cell.tag = tag
    if field then cell[field] = v end
    return cell
  end
end

M.null = plain(C.TM_NULL)
M.missing = plain(C.TM_MISSING)
M.int = plain(C.TM_INT, 'i')
M.double = plain(C.TM_DOUBLE, 'd')

function M.bool(v)
  local cell = plain(C.TM_BOOL)()
  cell.i = v and 1 or 0
  return cell
end

M.header('decode/json/number.h')
local number_arena = M.arena()

--- The cell of a JSON number, or nil when it is none.
function M.number(text)
  local cell = ffi.new('struct tm_cell')
  local p, len = M.bytes(text)
  if C.number_read(p, len, number_arena, cell) then return cell end
end

--- How often a random case is tried: less where each takes fifty times as long.
function M.rounds(n)
  return os.getenv('SPEC_IS_SLOW') and math.ceil(n / 5) or n
end

local tags = {}
local tag_list = read_header('model/api.h'):match('enum tm_tag (%b{})')
for name in tag_list:gmatch('(TM_%w+)[,%s]') do
  tags[tonumber(C[name])] = name:sub(4):lower()
end

--- The word of a cell's tag: 'int', 'dec', 'stamp', ...
function M.tag(cell) return tags[cell.tag] end

return M
