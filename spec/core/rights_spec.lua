-- The least rights of each kind of projection, as GRANTs.
local bundles = require 'spec.unit.bundles'
local ffi = require 'ffi'
local core = require 'spec.core.core'
local names = require 'tidemill.plan.names'
local C = core.lib

core.headers('base/buf.h', 'model/type.h', 'model/plan.h', 'postgres/store/rights.h')

local OWN = [[
GRANT USAGE ON SCHEMA tidemill TO "mi""ll";
GRANT SELECT, INSERT, UPDATE ON tidemill.lane TO "mi""ll";
GRANT SELECT, INSERT, UPDATE, DELETE ON tidemill.dead_letter TO "mi""ll";
GRANT EXECUTE ON FUNCTION tidemill.must(boolean, text) TO "mi""ll";
]]

-- What is granted on the table of a projection { table, kind, deletes }.
local function grants(p, start)
  local columns = ffi.new('struct plan_column[2]')
  columns[0].name, columns[1].name = 'id', 'a"b'
  local projection = ffi.new('struct plan_projection')
  local schema, name = names.table(p.table or 't')
  projection.name.schema, projection.name.table = schema, name
  projection.columns, projection.n_columns = columns, 2
  projection.kind, projection.deletes = p.kind, p.deletes or false
  projection.n_key = p.kind == C.KIND_APPEND and 0 or 1
  projection.once, projection.empties = p.once or -1, p.empties or false
  local plan, b = ffi.new('struct plan'), ffi.new('struct buf')
  plan.projections, plan.n_projections = projection, 1
  plan.source.start = start or C.START_EARLIEST
  C.rights_grant_run(b, plan, 'mi"ll')
  local text = ffi.string(b.data, b.len)
  assert.are.equal(OWN, text:sub(1, #OWN))
  return text:sub(#OWN + 1)
end

describe('rights_grant_run', function()
  it('grants what each kind does to its table', function()
    local cases = {
      [{ kind = C.KIND_FOLD }] = 'SELECT, INSERT, UPDATE',
      [{ kind = C.KIND_FOLD, deletes = true }] = 'SELECT, INSERT, UPDATE, DELETE',
      [{ kind = C.KIND_MAP }] = 'SELECT, INSERT, UPDATE',
      [{ kind = C.KIND_MIRROR }] = 'SELECT, INSERT, UPDATE, DELETE',
      [{ kind = C.KIND_MERGE }] = 'SELECT, INSERT, UPDATE',
      [{ kind = C.KIND_APPEND }] = 'INSERT',
      [{ kind = C.KIND_APPEND, once = 1 }] = 'SELECT ("a""b"), INSERT',
      [{ kind = C.KIND_APPEND, empties = true }] = 'INSERT, TRUNCATE',
      [{ kind = C.KIND_MAP, empties = true }] = 'SELECT, INSERT, UPDATE, TRUNCATE',
    }
    for p, rights in pairs(cases) do
      assert.are.equal(('GRANT %s ON "t" TO "mi""ll";\n'):format(rights), grants(p))
    end
  end)
  it('lets an append see whether there are rows, when start is not said', function()
    assert.are.equal('GRANT SELECT ("id"), INSERT ON "t" TO "mi""ll";\n',
      grants({ kind = C.KIND_APPEND }, C.START_UNSAID))
  end)
  it('opens the schema of a table', function()
    assert.are.equal('GRANT USAGE ON SCHEMA "app" TO "mi""ll";\n'
      .. 'GRANT INSERT ON "app"."t" TO "mi""ll";\n',
      grants { kind = C.KIND_APPEND, table = 'app.t' })
  end)
end)

describe('a projection', function()
  local function deletes(handler)
    return bundles.plan(bundles.pipeline(([[projection { table = 'a', key = { id = 'bigint' },
      columns = { n = 'bigint' }, on = { x = %s } }]]):format(handler))).projections[1].deletes
  end
  it('deletes rows when a handler, or what it calls, has the word', function()
    assert.is_false(deletes 'function(row) row.n = 1 end')
    assert.is_true(deletes 'function(row) row:delete() end')
    assert.is_true(deletes 'function(row) row["delete"](row) end')
    assert.is_true(deletes
      'function(row) local f = function() row:delete() end f() end')
    assert.is_true(deletes
      '(function() local f = function(r) r:delete() end return function(row) f(row) end end)()')
    assert.is_true(deletes 'function(row) tidemill.delete(row) end')
    assert.is_true(deletes '(function() local gone = tidemill.delete return function(row) gone(row) end end)()')
    assert.is_false(deletes
      '(function() local t, f = tidemill, tidemill.reset return function(row) t.exists(row) f(row) end end)()')
  end)
  it('deletes rows when it is a map that follows the deletes of its source', function()
    local function map_deletes(format, words)
      local source = ("kafka { brokers = 'b', group = 'g', topics = { 't' }, format = '%s' }"):format(format)
      return bundles.plan(bundles.pipeline(([[projection { table = 'a', key = { id = 'bigint' },
        columns = { n = 'bigint' }, %s }]]):format(words), source)).projections[1].deletes
    end
    assert.is_true(map_deletes('debezium', 'map = function(row) row.n = 1 end'))
    assert.is_false(map_deletes('debezium', "map = function(row) row.n = 1 end, ignore = { 'd' }"))
    assert.is_false(map_deletes('debezium', 'map = true, on = { c = function(row) row.n = 1 end, d = function(row) row.n = 2 end }'))
    assert.is_true(map_deletes('debezium', 'map = true, on = { c = function(row) row.n = 1 end }'))
    assert.is_false(map_deletes('debezium', 'on = function(row) row.n = 1 end'))
    assert.is_false(map_deletes('json', 'map = function(row) row.n = 1 end'))
  end)
end)
