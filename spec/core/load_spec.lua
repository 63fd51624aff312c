-- Loading a bundle in a VM of its own, as the program does it.
local bundles = require 'spec.unit.bundles'
local ffi = require 'ffi'
local core = require 'spec.core.core'
local C = core.lib

core.headers('base/loop.h', 'base/err.h', 'base/buf.h', 'model/type.h', 'model/plan.h', 'lua/vm.h')
ffi.cdef 'int setenv(const char *, const char *, int);'

-- The VM looks for its scripts beside the binary, and for the core in it.
ffi.C.setenv('TIDEMILL_SCRIPTS', (os.getenv('TIDEMILL_ROOT') or '.') .. '/scripts', 1)
local everywhere = ffi.load(os.getenv('SPECLIB') or 'build/libtidemill-spec.so', true)

--- What loading these files says, or false and the name of the plan, which [look]
--- may look at.
local function load(files, limit_ms, look)
  local e = ffi.new('struct err')
  return bundles.with(files, function(folder)
    local bundle = core.bundle(folder)
    local vm = C.vm_new(bundle, e)
    assert(vm ~= nil, ffi.string(e.text))
    if limit_ms then C.vm_limit_load(vm, limit_ms) end
    local plan = C.vm_load(vm, e)
    C.vm_free(vm)
    if plan == nil then return (ffi.string(e.text):gsub(folder:gsub('%W', '%%%0'), '.')) end
    local name = ffi.string(plan.name)
    if look then look(plan) end
    C.plan_free(plan)
    return false, name
  end)
end

local FINE = bundles.pipeline("projection { table = 't', append = true, columns = { a = 'text' }, "
  .. 'on = function() end }')

local function assert_refused(files, ...)
  local reason = load(files, 200)
  for _, part in ipairs { ... } do
    assert.is_truthy(reason and reason:find(part, 1, true), reason)
  end
end

describe('loading a bundle', function()
  it('gives a plan', function()
    assert.is_truthy(everywhere)
    local _, name = load { ['pipeline.lua'] = bundles.pipeline(
      "projection { table = 't', key = { id = 'uuid' }, columns = { a = 'text' }, "
      .. 'map = function(row) row.a = nil end }') }
    assert.are.equal('x', name)
  end)

  it('knows the line of each column and of the database, which messages name', function()
    local lines = {}
    load({
      ['pipeline.lua'] = "return pipeline { name = 'x', source = kafka { brokers = 'b', group = 'g', topics = { 't' }, format = 'json' },\n"
        .. "database = postgres { write = 'postgresql://h/x' },\nprojections = { 'a' } }",
      ['a.lua'] = "local more = {\n  b = 'text',\n}\nreturn projection {\n  table = 't',\n  key = {\n    id = 'uuid',\n  },\n"
        .. '  columns = more,\n  map = function(row) row.b = nil end,\n}',
    }, nil, function(plan)
      for i = 0, plan.projections[0].n_columns - 1 do lines[i + 1] = plan.projections[0].columns[i].line end
      lines.database, lines.file = plan.database.line, ffi.string(plan.database.file):match('[^/]+$')
      lines.projection = plan.projections[0].line
    end)
    assert.same({ 7, 2, database = 2, file = 'pipeline.lua', projection = 4 }, lines)
  end)

  it('stops a file that does not come to an end, naming its line', function()
    assert_refused({ ['pipeline.lua'] = 'local n = 0\nwhile true do\n  n = n + 1\nend' },
      './pipeline.lua:', 'took too long')
    assert_refused({ ['pipeline.lua'] = "require 'a'", ['a.lua'] = '\n\nrepeat until false' },
      './a.lua:3:', 'took too long')
  end)

  it('stops one that catches the error as well', function()
    local body = 'while true do pcall(function() while true do end end) end'
    assert_refused({ ['pipeline.lua'] = body }, './pipeline.lua:1:', 'took too long')
    assert_refused({ ['pipeline.lua'] = 'pcall(function() while true do end end) ' .. FINE },
      './pipeline.lua:1:', 'took too long')
  end)

  it('shows that it is alive while a file computes', function()
    local e, life = ffi.new('struct err'), ffi.new('uint64_t[1]')
    local bundle = bundles.with({ ['pipeline.lua'] = 'while true do end' }, core.bundle)
    local vm = C.vm_new(bundle, e)
    C.vm_limit_load(vm, 50)
    C.vm_shows_life(vm, life)
    local before = C.clock_usec()
    assert.is_true(C.vm_load(vm, e) == nil)
    assert.is_true(life[0] >= before + 45000 and life[0] <= C.clock_usec())
    C.vm_free(vm)
  end)

  it('refuses one that takes all memory', function()
    local reason = load { ['pipeline.lua'] =
      "\nlocal t = {} for i = 1, 1e9 do t[i] = ('x'):rep(1e6) .. i end" }
    assert.is_truthy(reason:find('./pipeline.lua:2: the scripts took more than 512 MiB', 1, true), reason)
  end)

  it('refuses one that leaves no memory at all', function()
    -- Most of it is gone soon, the last bytes one small table after the other.
    local MOST = "local kept = {} for i = 1, 500 do kept[i] = ('x'):rep(1e6) .. i end local t = {} "
    local reason = load { ['pipeline.lua'] = MOST .. 'for i = 1, 1e9 do t[i] = {} end' }
    assert.is_truthy(reason:find('512 MiB', 1, true), reason)
    reason = load { ['pipeline.lua'] = MOST .. 'pcall(function() for i = 1, 1e9 do t = { t } end end) ' .. FINE }
    assert.is_truthy(reason and reason:find('512 MiB', 1, true), reason)
  end)

  it('refuses one that catches that there was no memory', function()
    local reason = load { ['pipeline.lua'] = "pcall(function() local t = {} for i = 1, 1e9 do "
      .. "t[i] = ('x'):rep(1e6) .. i end end) " .. FINE }
    assert.is_truthy(reason and reason:find('512 MiB', 1, true), reason)
  end)

  it('refuses a module that takes all memory', function()
    local reason = load { ['pipeline.lua'] = bundles.pipeline("'p'"),
      ['p.lua'] = "local t = {} for i = 1, 1e9 do t[i] = ('x'):rep(1e6) .. i end" }
    assert.is_truthy(reason:find('512 MiB', 1, true), reason)
  end)
end)
