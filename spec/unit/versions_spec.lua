-- What is said of `once`, `newer`, `from` of a column and `truncate` at load.
local bundles = require 'spec.unit.bundles'

local JSON = "kafka { brokers = 'b', group = 'g', topics = { 't' }, format = 'json' }"
local DEBEZIUM = "kafka { brokers = 'b', group = 'g', topics = { 't', 'w' }, format = 'debezium', truncate = 'apply' }"

local KINDS = {
  fold = "key = { id = 'bigint' }, on = function() end,",
  append = 'append = true, on = function() end,',
  merge = "key = { id = 'bigint' }, merge = { version = 'sum', word = 'max', ok = 'max' }, on = function() end,",
  map = "key = { id = 'bigint' }, map = function() end,",
  mirror = "key = { id = 'bigint' }, mirror = true,",
}

-- The words stand in line 5.
local function text(kind, words, source)
  return bundles.pipeline(("projection { table = 'a', columns = { version = 'bigint', word = 'text', ok = 'numeric' }, %s\n%s }")
    :format(KINDS[kind], words), source or JSON)
end

local function refused(name, kind, words, message, columns)
  it(name, function()
    local said = bundles.refusal((text(kind, words):gsub("ok = 'numeric'", columns or "%0")))
    assert.is_truthy(said, 'it was not refused')
    local expected = "pipeline.lua:5: projection 'a': " .. message
    assert.are.equal(expected, said:sub(1, #expected))
  end)
end

describe('once of a fold', function()
  refused('names the nearest column', 'fold', "once = { verson = 'data.version' }",
    "once.verson is not one of the columns: did you mean 'version'?")
  refused('says how to declare the column', 'fold', "once = { at_lsn = 'data.version' }",
    "once.at_lsn is not one of the columns: write columns = { at_lsn = 'bigint' }")
  refused('is a column and a path', 'fold', "once = 'version'",
    "'once' of a fold is one column and the path that its value comes from: once = { version = 'data.version' }")
  refused('is one column', 'fold', "once = { version = 'data.a', ok = 'data.b' }", "'once' of a fold is one column")
  refused('is not a list', 'fold', "once = { 'version' }", "'once' of a fold is one column")
  refused('is not nothing', 'fold', 'once = {}', "'once' of a fold is one column")
  refused('is not a number', 'fold', 'once = 5', "'once' must be a table or a text, not a number: write once = { version = 'data.version' }")
  refused('wants a type that grows', 'fold', "once = { word = 'data.word' }",
    'once.word: a text does not tell a repeated event from the next one: use smallint')
  refused('wants a path', 'fold', "once = { version = 'version' }",
    "once.version must be a path such as 'data.version', not 'version'")
  refused('wants a path and no function', 'fold', 'once = { version = function() end }',
    "once.version must be a path such as 'data.version', not a function")

  it('may have a path of any root', function()
    for _, path in ipairs { 'data.version', 'before.v', 'after.v.w', 'key.v', 'source.lsn' } do
      local plan = bundles.plan(text('fold', ("once = { version = '%s' }"):format(path)))
      local p = plan.projections[1]
      assert.are.same({ 'version', path }, { p.columns[p.once + 1].name, p.once_path })
      assert.is_truthy(p.why:find("an event is applied only when its " .. path
        .. " is above the row's 'version'", 1, true), p.why)
    end
  end)
  it('of another column is that one', function()
    assert.are.equal('aligned', bundles.plan(text('fold', "once = { ok = 'data.ok' }")).projections[1].exact)
  end)
end)

describe('once of an append', function()
  refused('wants a type whose equal values are the same', 'append', "once = 'ok'", "once = 'ok': a real cannot tell events apart",
    "ok = 'real'")
  refused('says how to declare the column', 'append', "once = 'event_id'",
    "once = 'event_id' is not one of the columns: write columns = { event_id = 'text' } and assign it "
      .. 'in each handler: row.event_id = event.id')
  refused('names the nearest column', 'append', "once = 'verson'", "once = 'verson' is not one of the columns: did you mean 'version'?")
  refused('is a column', 'append', "once = { version = 'data.version' }",
    "'once' of an append is the column that is the same for a repeated event: once = 'event_id'")

  it('is in the sentence of check', function()
    local p = bundles.plan(text('append', "once = 'word'")).projections[1]
    assert.is_truthy(p.why:find("whose 'word' is in the table already inserts nothing", 1, true), p.why)
  end)
end)

describe('once of others', function()
  refused('cannot be kept by a merge', 'merge', "once = { version = 'data.version' }",
    "'once' cannot be kept by a merge, which reads no row and so knows no version: use a fold")
  refused('is `newer` in a map', 'map', "once = { version = 'data.version' }",
    "'once' is for folds and appends: a map gives whole rows, so write newer = 'version'")
  refused('is `newer` in a mirror', 'mirror', "once = { version = 'data.version' }",
    "'once' is for folds and appends: a mirror copies whole rows, so write newer = 'version'")
end)

describe('a column with from', function()
  local function column(spec, kind)
    return bundles.pipeline(("projection { table = 'a', %s\ncolumns = { lsn = %s } }"):format(KINDS[kind or 'mirror'], spec), JSON)
  end
  local function says(name, spec, message, kind)
    it(name, function()
      local said = bundles.refusal(column(spec, kind))
      local expected = "pipeline.lua:5: projection 'a': " .. message
      assert.are.equal(expected, tostring(said):sub(1, #expected))
    end)
  end
  it('is fed from there in a mirror', function()
    local list = bundles.plan(column("{ 'bigint', from = 'source.lsn' }")).projections[1].columns
    assert.are.same({ 'path', { 'source.lsn' }, 'bigint' }, { list[2].from, list[2].paths, list[2].type })
  end)
  says('is assigned elsewhere', "{ 'bigint', from = 'source.lsn' }",
    "column 'lsn': 'from' is for key columns and for mirrors; here a handler assigns it: row.lsn = event.data.lsn", 'map')
  says('is assigned in a fold', "{ 'bigint', from = 'source.lsn' }", "column 'lsn': 'from' is for key columns and for mirrors", 'fold')
  says('wants a path', "{ 'bigint', from = 'lsn' }", "column 'lsn': from = 'lsn' must be a path such as 'source.lsn'")
  says('wants one path', "{ 'bigint', from = { 'source.lsn' } }", "column 'lsn' is its type, or in a mirror { 'bigint', from = 'source.lsn' }")
  says('wants a path at all', "{ 'bigint' }", "column 'lsn' is its type, or in a mirror")
  says('has no other keys', "{ 'bigint', form = 'source.lsn' }", "column 'lsn': unknown key 'form': did you mean 'from'?")
end)

describe('newer and deletes', function()
  local function plan(words)
    return bundles.plan(bundles.pipeline("projection { table = 'a', key = { id = 'bigint' }, " .. words .. ' }', DEBEZIUM)).projections[1]
  end
  it('says at load that a late record brings a deleted row back', function()
    local p = plan "columns = { v = 'bigint' }, newer = 'v', mirror = true, topics = { 't' }"
    assert.is_truthy(p.why:find('a late record after a delete brings its row back', 1, true), p.why)
    assert.is_false(p.newer_deletes)
  end)
  it('does not where a handler marks the row', function()
    local p = plan [[columns = { v = 'bigint' }, newer = 'v', map = true, topics = { 't' },
      on = { u = function() end, d = function() end }]]
    assert.is_falsy(p.why:find('brings', 1, true))
    assert.is_false(p.follows_deletes)
  end)
  it('knows paths whose values deletes have too', function()
    for path, has in pairs { ['source.lsn'] = true, ['data.__lsn'] = true, ['data.lsn'] = false } do
      local p = plan(("columns = { v = { 'bigint', from = '%s' } }, newer = 'v', mirror = true, topics = { 't' }"):format(path))
      assert.are.equal(has, p.newer_deletes)
    end
  end)
  it('empties what one topic feeds', function()
    assert.is_true(plan("columns = { v = 'bigint' }, mirror = true, topics = { 't' }").empties)
    assert.is_false(plan("columns = { v = 'bigint' }, on = function() end").empties)
  end)
end)
