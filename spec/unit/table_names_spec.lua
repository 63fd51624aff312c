-- Names of tables, as PostgreSQL allows them.
local bundles = require 'spec.unit.bundles'
local names = require 'tidemill.plan.names'

local TABLES = {
  balances = { '', 'balances' },
  ['app.balances'] = { 'app', 'balances' },
  ['App.Balances'] = { 'App', 'Balances' },
  ['order'] = { '', 'order' },
  ['order lines'] = { '', 'order lines' },
  ['2fa.größe'] = { '2fa', 'größe' },
  ['bal-ances;'] = { '', 'bal-ances;' },
  ['"a.b"."c"'] = { 'a.b', 'c' },
  ['"a.b".c'] = { 'a.b', 'c' },
  ['a."b.c"'] = { 'a', 'b.c' },
  ['"say ""hi"""'] = { '', 'say "hi"' },
  ['"My Schema"."Order Lines"'] = { 'My Schema', 'Order Lines' },
  ['" "'] = { '', ' ' },
  ['"tidemill.lane"'] = { '', 'tidemill.lane' },
  ['Tidemill.lane'] = { 'Tidemill', 'lane' },
  ["it's"] = { '', "it's" },
  [('ä'):rep(31) .. 'x'] = { '', ('ä'):rep(31) .. 'x' },
}

describe('a name of a table', function()
  for text, expected in pairs(TABLES) do
    it('is taken apart: ' .. text, function()
      assert.are.same(expected, { names.table(text) })
    end)
  end
  it('is refused where PostgreSQL would cut it, or could not take it', function()
    for _, text in ipairs { '', '.', 'a.', '.a', '""', 'a.""', 'a..b', 'a.b.c', '"a', '"a"b', 'a"b', 'a "b"', ' a', 'a ', 'a\n',
      ('ä'):rep(32), 'a\0', 'a\228', 'a\192\128', 'a\237\160\128', 'a\244\144\128\128', 'a\226\130', 'pg_temp.a',
      'information_schema.a', 'tidemill.a', '"tidemill".a' } do
      local schema, why = names.table(text)
      assert.is_nil(schema, text)
      assert.is_string(why)
    end
  end)
  it('is the same table however it is quoted', function()
    local list = "projections = { projection { table = 'a.b', map = function() end, key = { id = 'bigint' }, columns = {} }, "
      .. "projection { table = %q, map = function() end, key = { id = 'bigint' }, columns = {} } } }"
    local function said(other)
      return bundles.refusal((bundles.pipeline('X'):gsub('projections = .*', function() return list:format(other) end)))
    end
    assert.matches("'\"a\".\"b\"' belongs to another projection already", said '"a"."b"')
    assert.is_nil(said '"a.b"')
  end)
end)

describe('a name of a column', function()
  it('is quoted where a message says what to write', function()
    assert.are.same({ 'x1', "['1x']", "['end']", "['it\\'s']" }, { names.field 'x1', names.field '1x', names.field 'end',
      names.field "it's" })
    assert.are.same({ 'row.x', "row['a b']" }, { names.of('row', 'x'), names.of('row', 'a b') })
    local said = bundles.refusal(bundles.pipeline("projection { table = 'a', key = { id = 'bigint' }, "
      .. "columns = { ['a b'] = { 'text', from = 'data.x' } }, on = { X = function() end } }"))
    assert.is_truthy(said:find("here a handler assigns it: row['a b'] = event.data['a b']", 1, true), said)
  end)
end)

describe('a table of a batch function', function()
  it('may have any name of a table', function()
    local plan = bundles.plan(bundles.pipeline([=[projection {
      tables = { ['"a.b"."C d"'] = { key = { ['e"f.g'] = 'bigint' }, columns = { ['end'] = 'text' } } },
      batch = function(batch, tables)
        for event in batch:events() do tables['"a.b"."C d"']:row(1)['end'] = 'x' end
      end }]=]))
    local p = plan.projections[1]
    assert.are.same({ 'a.b', 'C d', 'e"f.g' }, { p.table_schema, p.table_name, p.columns[1].name })
  end)
end)
