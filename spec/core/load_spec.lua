-- Loading a bundle in a VM of its own, as the program does it.
local bundles = require 'spec.unit.bundles'
local ffi = require 'ffi'
local core = require 'spec.core.core'
local C = core.lib

core.headers('base/loop.h', 'base/err.h', 'base/buf.h', 'model/type.h', 'model/plan.h', 'lua/vm.h')
ffi.cdef 'int setenv(const char *, const char *, int);'

-- The VM looks for its scripts beside the binary, and for the core in it.
ffi.C.setenv('TIDEMILL_SCRIPTS', (os.getenv('TIDEMILL_ROOT') or '.') .. '/scripts', 1)

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

  -- Memory ends it, and not time, on the slowest machine too.
  local function hungry(files) return load(files, 600000) end

  it('refuses one that takes all memory', function()
    local reason = hungry { ['pipeline.lua'] =
      "\nlocal t = {} for i = 1, 1e9 do t[i] = ('x'):rep(1e6) .. i end" }
    assert.is_truthy(reason:find('./pipeline.lua:2: the scripts took more than 512 MiB', 1, true), reason)
  end)

  it('refuses one that leaves no memory at all', function()
    -- Most of it is gone soon, the last bytes one small table after the other.
    local MOST = "local kept = {} for i = 1, 500 do kept[i] = ('x'):rep(1e6) .. i end local t = {} "
    local reason = hungry { ['pipeline.lua'] = MOST .. 'for i = 1, 1e9 do t[i] = {} end' }
    assert.is_truthy(reason:find('512 MiB', 1, true), reason)
    reason = hungry { ['pipeline.lua'] = MOST .. 'pcall(function() for i = 1, 1e9 do t = { t } end end) ' .. FINE }
    assert.is_truthy(reason and reason:find('512 MiB', 1, true), reason)
  end)

  it('refuses one that catches that there was no memory', function()
    local reason = hungry { ['pipeline.lua'] = "pcall(function() local t = {} for i = 1, 1e9 do "
      .. "t[i] = ('x'):rep(1e6) .. i end end) " .. FINE }
    assert.is_truthy(reason and reason:find('512 MiB', 1, true), reason)
  end)

  it('refuses a module that takes all memory', function()
    local reason = hungry { ['pipeline.lua'] = bundles.pipeline("'p'"),
      ['p.lua'] = "local t = {} for i = 1, 1e9 do t[i] = ('x'):rep(1e6) .. i end" }
    assert.is_truthy(reason:find('512 MiB', 1, true), reason)
  end)
end)

describe('what tells one load of a bundle from another', function()
  local NAME = 'TIDEMILL_SPEC_SECRET'
  local PROJECTION = "projection { table = 't', key = { id = 'bigint' }, columns = { a = 'text' }, "
    .. "on = function(row) row.a = 'one' end }"

  -- Identity and contract.
  local function marks(files)
    local out
    assert.is_false((load(files, nil, function(plan)
      out = { ffi.string(plan.identity), ffi.string(plan.contract), ffi.string(plan.hash) }
    end)))
    return out
  end

  local function with(projection, words)
    return { ['pipeline.lua'] = (bundles.pipeline(projection or PROJECTION)
      :gsub("'postgresql[^']*'", ("env('%s', 'postgresql://h/x')"):format(NAME))
      :gsub('return pipeline', (words or '') .. '%0')) }
  end

  it('is also what env() and file() gave, which cannot be guessed from it', function()
    local secret = os.tmpname()
    local function write(text)
      local file = assert(io.open(secret, 'w'))
      file:write(text)
      file:close()
    end
    finally(function() os.remove(secret); ffi.C.setenv(NAME, '', 1) end)
    local files = with(nil, ("local s = file('%s')\n"):format(secret))
    write 'one'
    local first, again = marks(files), marks(files)
    assert.are.same(first, again)
    write 'two'
    local second = marks(files)
    assert.are_not.equal(first[1], second[1])
    assert.are.same({ first[2], first[3] }, { second[2], second[3] })
    ffi.C.setenv(NAME, 'postgresql://h/y', 1)
    assert.are_not.equal(second[1], marks(files)[1])
  end)

  it('is a contract of tables, keys, columns, types, kinds and formats, not of code', function()
    local contract = marks(with())[2]
    local function another(from, to) return marks(with((PROJECTION:gsub(from, to))))[2] end
    assert.are.equal(contract, another("'one'", "'two'"))
    assert.are.equal(contract, another("columns = { a = 'text' }", "%0, initial = { a = 'x' }"))
    for from, to in pairs { ["table = 't'"] = "table = 'u'", ['id ='] = 'key =', ['bigint'] = 'uuid',
      ["a = 'text'"] = "a = 'varchar(9)'", ["{ a = 'text' }"] = "{ a = 'text', b = 'text' }",
      ['key = { id = .bigint. }'] = 'append = true', ["'bigint'"] = "{ 'bigint', from = 'data.x' }",
      ['on = function.row. row.a = .one. end'] = "mirror = true" } do
      assert.are_not.equal(contract, another(from, to), to)
    end
    local files = with()
    files['pipeline.lua'] = files['pipeline.lua']:gsub("format = '%w+'", "format = 'json', type = 'data.kind'")
    assert.are_not.equal(contract, marks(files)[2])
  end)
end)
