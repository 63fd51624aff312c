-- Batch functions: what they see, what they may not do, and what is refused at
-- load.
local bundles = require 'spec.unit.bundles'

local JSON = "kafka { brokers = 'b', group = 'g', topics = { 't', 'u' }, format = 'json', type = 'data.kind' }"
local ONE = JSON:gsub(", 'u'", '')

local TABLES = [[
  balances = { key = { id = { 'text', from = 'data.id' } }, columns = { n = 'bigint', owner = 'text' }, initial = { n = 0 } },
  owners = { key = { owner = 'text' }, columns = { n = 'bigint', best = 'text' }, initial = { n = 0 } },
  pairs = { key = { a = 'bigint', b = 'text' }, columns = { n = 'bigint' } },
  ledger = { append = true, columns = { id = 'text', n = 'bigint' } },
]]

local function text(body, tables, more)
  return bundles.pipeline(('projection { %s tables = { %s },\nbatch = function(batch, tables)\n%s\nend }'):format(
    more or '', tables or TABLES, body), JSON)
end

local function load(body, tables, more) return bundles.load(text(body, tables, more)) end

local function event(id, data)
  data = data or {}
  data.id = id
  return { key = id, type = data.kind, topic = data.topic, data = data }
end

local function failure(body, events, tables)
  local b = load(body, tables)
  local ok, reason = pcall(b.run, b, { events = events or { event 'a' } })
  assert.is_false(ok, 'it did not fail')
  return reason
end

local function contains(part, whole)
  assert.is_truthy(tostring(whole):find(part, 1, true), whole)
end

local ABA = { event('a', { n = 1 }), event('b', { n = 2 }), event('a', { n = 3 }) }

describe('batch function', function()
  it('goes through events with their rows, in order', function()
    local r = load [[
      for event, row in tables.balances:events() do
        row.n, row.owner = row.n + event.data.n, event.type
        tables.ledger:insert { id = row.id, n = row.n }
      end]]:split { events = { event('a', { n = 1, kind = 'x' }), event('b', { n = 2 }), event('a', { n = 3, kind = 'y' }) } }
    assert.are.same({ { id = 'a', n = 4, owner = 'y' }, { id = 'b', n = 2 } }, r:rows 'balances')
    assert.are.same({ { id = 'a', n = 1 }, { id = 'b', n = 2 }, { id = 'a', n = 4 } }, r:rows 'ledger')
  end)
  it('goes through groups in order of their first event', function()
    local r = load [[
      for row, events in tables.balances:groups() do
        for event in events do row.n = row.n * 10 + event.data.n end
        tables.ledger:insert { id = row.id, n = row.n }
      end]]:run { events = { event('b', { n = 1 }), event('a', { n = 2 }), event('b', { n = 3 }) } }
    assert.are.same({ { id = 'b', n = 13 }, { id = 'a', n = 2 } }, r:rows 'ledger')
  end)
  it('may go through the events of a group twice, and stop in between', function()
    local r = load [[
      for row, events in tables.balances:groups() do
        for event in events do row.owner = event.data.o break end
        for event in events do row.n = row.n + event.data.n end
        for event in events do row.n = row.n + event.data.n end
      end]]:run { events = { event('a', { n = 1, o = 'first' }), event('b', { n = 5 }), event('a', { n = 3, o = 'second' }) } }
    assert.are.same({ { id = 'a', n = 8, owner = 'first' }, { id = 'b', n = 10 } }, r:rows 'balances')
  end)
  it('goes through all events of the batch, of all topics', function()
    local body = [[for event in batch:events() do local l = tables.ledger:add() l.id = event.topic .. event.data.id end]]
    local events = { event('1'), event('2', { topic = 'u' }), event('3', { kind = 'no' }), event('4') }
    local function ids(more)
      local out = {}
      for _, row in ipairs(load(body, nil, more):run({ events = events }):rows 'ledger') do out[#out + 1] = row.id end
      return table.concat(out, ' ')
    end
    assert.are.equal('t1 u2 t3 t4', ids())
    assert.are.equal('t1 u2 t4', ids "ignore = { 'no' },")
    assert.are.equal('u2', ids "topics = { 'u' },")
  end)
  it('keeps views of events and rows until it returns', function()
    local r = load [[
      local first, last = nil, {}
      for event, row in tables.balances:events() do first = first or event last[#last + 1] = row end
      for i, row in ipairs(last) do row.n = i row.owner = first.data.id .. #first.data.list end]]
      :run { events = { event('a', { list = { 1, 2 } }), event('b', { list = { 1 } }) } }
    assert.are.same({ { id = 'a', n = 1, owner = 'a2' }, { id = 'b', n = 2, owner = 'a2' } }, r:rows 'balances')
  end)
  it('tells arrays of two events apart', function()
    local r = load [[
      local kept
      for event in batch:events() do
        kept = kept or event
        tables.ledger:insert { id = tostring(#event.data.list), n = #kept.data.list }
      end]]:run { events = { event('a', { list = { 1, 2, 3 } }), event('b', { list = { 1 } }) } }
    assert.are.same({ { id = '3', n = 3 }, { id = '1', n = 3 } }, r:rows 'ledger')
  end)
  it('is not called for a batch without events for it', function()
    local b = load('error("called")', nil, "topics = { 'u' },")
    assert.are.same({}, b:run({ events = { event 'a' } }):rows 'balances')
  end)
end)

describe('a row by its key', function()
  local COUNT = [[for event in batch:events() do local o = tables.owners:row(event.data.id) o.n = o.n + 1 end]]
  it('is loaded, made and changed', function()
    local r = load(COUNT):split { given = { owners = { { owner = 'a', n = 40, best = 'x' }, { owner = 'c', n = 7 } } }, events = ABA }
    assert.are.same({ { owner = 'a', n = 42, best = 'x' }, { owner = 'b', n = 1 }, { owner = 'c', n = 7 } }, r:rows 'owners')
  end)
  it('may be named beforehand, with all others', function()
    local r = load([[
      local keys = {}
      for event in batch:events() do keys[#keys + 1] = event.data.id end
      tables.owners:load(keys)
      tables.pairs:load { { 1, 'x' }, { 2, 'y' } }
      tables.pairs:row(1, 'x').n = #{ tables.owners:row('a') } * tables.pairs:row(2, 'y').n]] .. '\n' .. COUNT)
      :run { given = { owners = { { owner = 'a', n = 40 } }, pairs = { { a = 2, b = 'y', n = 9 } } }, events = ABA }
    assert.are.same({ { owner = 'a', n = 42 }, { owner = 'b', n = 1 } }, r:rows 'owners')
    assert.are.same({ a = 1, b = 'x', n = 9 }, r:row('pairs', { 1, 'x' }))
  end)
  it('may come out of another such row', function()
    local b = load [[
      for event in batch:events() do
        local o = tables.owners:row(event.data.id)
        while o.best do o = tables.owners:row(o.best) end
        o.n = o.n + 1
      end]]
    local chain = {}
    for i = 1, 10 do chain[i] = { owner = 'a' .. i, n = 0, best = i < 10 and 'a' .. i + 1 or nil } end
    local r = b:run { given = { owners = chain }, events = { event 'a1', event 'a4' } }
    assert.are.equal(2, r:row('owners', 'a10').n)
    for i = 1, 40 do chain[i] = { owner = 'a' .. i, n = 0, best = 'a' .. i + 1 } end
    local ok, reason = pcall(b.run, b, { given = { owners = chain }, events = { event 'a1' } })
    assert.is_false(ok)
    contains('asks for more rows each time', reason)
  end)
  it('may exist or not: what is raised for one that is not loaded yet does not count', function()
    local b = load [[
      for event in batch:events() do
        local o = tables.owners:row(event.data.id)
        if not o.exists then error('no such owner') end
        o.n = o.n + 1
      end]]
    local given = { owners = { { owner = 'a', n = 0 }, { owner = 'b', n = 0 } } }
    assert.are.equal(2, b:run({ given = given, events = ABA }):row('owners', 'a').n)
    local ok, reason = pcall(b.run, b, { events = { event 'a', event 'nobody' } })
    assert.is_false(ok)
    contains('no such owner (event 2', reason)
  end)
  it('converts the key as its column says', function()
    local r = load [[for event in batch:events() do tables.pairs:row(event.data.n, decimal '1.50' + 1).n = 1 end]]
    local ok, reason = pcall(r.run, r, { events = { event('a', { n = 1 }) } })
    assert.is_false(ok)
    contains('pairs.b: key', reason)
    r = load [[for event in batch:events() do tables.pairs:row(event.data.s, 'x').n = 1 end]]
    assert.are.same({ { a = 7, b = 'x', n = 1 } }, r:run({ events = { event('a', { s = '7' }) } }):rows 'pairs')
  end)
  it('must have a key, of all its columns', function()
    contains("owners.owner: a row is asked for without a value for it", failure 'tables.owners:row(nil)')
    contains("'pairs' has a key of 2 columns, not 1", failure 'tables.pairs:row(1)')
    contains("'owners' has a key of 1 columns, not 2", failure "tables.owners:row('a', 'b')")
    contains("'pairs' has a key of 2 columns, not 1", failure 'tables.pairs:load { 1 }')
    contains('tables.owners:load takes a list of keys', failure "tables.owners:load 'a'")
  end)
  it('that belongs to other records is not reached by chance', function()
    local tables = [[ accounts = { key = { id = { 'text', from = 'key' } }, columns = { n = 'bigint' } %s } ]]
    local body = "for event in batch:events() do tables.accounts:row(event.data.to).n = 1 end"
    local function run(more)
      local b = bundles.load((text(body, tables:format(more)):gsub(", 'u'", '')))
      return pcall(b.run, b, { events = { event('a', { to = 'a' }), event('b', { to = 'a' }) } })
    end
    local ok, reason = run ''
    assert.is_false(ok)
    contains("a row of 'accounts' belongs to the records of its key, and this event is none of them", reason)
    contains('(event 2', reason)
    assert.is_true((run ', shared = true'))
  end)
end)

describe('batch function, used wrongly,', function()
  it('names what a table has', function()
    contains("tables has no 'ownrs': did you mean 'owners'?", failure 'tables.ownrs:row(1)')
    contains("tables.ledger has no 'rows'", failure 'tables.ledger:rows()')
    contains("tables.owners has no 'events'", failure 'for event in tables.owners:events() do end')
    contains("tables.balances has no 'add'", failure 'tables.balances:add()')
    contains("batch has no 'event': did you mean 'events'?", failure 'batch:event()')
    contains("table 'ledger' has no column 'm' in this projection", failure 'tables.ledger:insert { m = 1 }')
    contains('tables.ledger:insert takes a table', failure 'tables.ledger:insert(5)')
  end)
  it('cannot change what it was handed', function()
    contains('tables.owners cannot be assigned', failure 'tables.owners = 1')
    contains('batch.x cannot be assigned', failure 'batch.x = 1')
  end)
  it('raises when views, loops or tables are kept', function()
    local function kept(keep, use)
      local b = bundles.load((text(('if kept[1] then %s end %s'):format(use, keep)):gsub('^', 'local kept = {} ')))
      -- One batch may run it twice already, for rows that it asks for.
      local ok, reason = pcall(b.run, b, { events = ABA })
      if ok then ok, reason = pcall(b.run, b, { events = ABA }) end
      assert.is_false(ok)
      return reason
    end
    local each = 'for event, row in tables.balances:events() do kept[1] = %s end'
    contains('stale event', kept(each:format 'event', 'local x = kept[1].data'))
    contains('stale event', kept(each:format 'event.data', 'local x = kept[1].n'))
    contains('stale row', kept(each:format 'row', 'kept[1].n = 1'))
    contains('stale row', kept("kept[1] = tables.owners:row('a')", 'local x = kept[1].n'))
    contains('stale loop', kept('kept[1], kept[2] = tables.balances:events()', 'for event in kept[1], kept[2] do end'))
    contains('stale loop', kept('for row, events in tables.balances:groups() do kept[1] = events end', 'for event in kept[1] do end'))
  end)
  it('raises when its tables are used after it returned, and no pcall catches that', function()
    local b = bundles.load((bundles.pipeline([[
      projection { tables = { a = { key = { id = { 'text', from = 'key' } }, columns = { n = 'bigint' } },
          l = { append = true, columns = { n = 'bigint' } } },
        batch = function(batch, tables) kept[1], kept[2] = tables, batch end },
      projection { table = 'b', append = true, columns = { n = 'bigint' }, on = function(row, event) row.n = 1
        local uses = { function() kept[1].a:events() end, function() kept[1].a:groups() end, function() kept[1].a:row('a') end,
          function() kept[1].a:load { 'a' } end, function() kept[1].l:add() end, function() kept[1].l:insert {} end, function() kept[2]:events() end }
        local use = uses[event.data.use]
        if use and not pcall(use) then error('caught') end
      end }]], ONE):gsub('^', 'local kept = {} ')))
    for use = 1, 7 do
      local ok, reason = pcall(b.run, b, { events = { event('a', { use = use }) } })
      assert.is_false(ok)
      contains('pipeline.lua:', reason)
      contains('stale loop', reason)
    end
    assert.are.equal(1, #b:run({ events = { event('a', { use = 8 }) } }):rows 'b')
  end)
  it('names the event at which its loop stands', function()
    contains('(event 2, no type)', failure("for event, row in tables.balances:events() do row.n = event.data.s end",
      { event('a', { s = 1 }), event('b', { s = 'x' }) }))
    local said = failure("\nerror('outside')")
    contains('pipeline.lua:11: outside', said)
    contains('(event 1, no type)', said) -- it is alone
  end)
end)

describe('check.batch', function()
  local function refused(name, said, spec, line)
    it(name, function()
      local message = bundles.refusal(bundles.pipeline('projection {\n' .. spec .. '\n}', JSON))
      local expected = ('pipeline.lua:%d: %s'):format(line or 5, said)
      assert.are.equal(expected, tostring(message):sub(1, #expected))
    end)
  end
  local good = "tables = { a = { key = { id = 'bigint' }, columns = { n = 'bigint' } } }, batch = function() end,"
  refused('wants tables', "projection: 'tables' is missing: write tables = { name = {", 'batch = function() end', 4)
  refused('wants a function', "projection: 'tables' goes with batch = function(batch, tables) … end", 'tables = { a = {} }')
  refused('wants batch to be a function', "projection: 'batch' must be a function, not a table: write batch = function", 'batch = {}, tables = {}')
  refused('wants a table', "projection: 'tables' is empty", 'batch = function() end, tables = {}')
  refused('wants names of tables', "projection: 'tables' has names as keys", "batch = function() end, tables = { 'a' }")
  refused('wants tables as entries', "projection: tables.a must be a table", "batch = function() end, tables = { a = 'text' }")
  for word, value in pairs { on = 'function() end', map = 'true', mirror = 'true', merge = '{}', newer = "'n'", before_write = 'function() end',
    strict = 'true' } do
    refused('refuses ' .. word, ("projection: '%s' cannot be used beside batch = function"):format(word), good .. '\n' .. word .. ' = ' .. value, 6)
  end
  for word, value in pairs { key = "{ id = 'bigint' }", columns = "{ n = 'bigint' }", initial = '{}', append = 'true' } do
    refused('says where ' .. word .. ' belongs', ("projection: '%s' belongs into an entry of tables"):format(word),
      word .. ' = ' .. value .. ', ' .. good)
  end
  refused('says where table belongs', "projection 'b': 'table' belongs into an entry of tables", good .. "\ntable = 'b'", 6)
  refused('names the nearest key', "projection: unknown key 'ignor': did you mean 'ignore'?", good .. "\nignor = { 'x' }", 6)
  refused('names a topic of nobody', "projection: the topic 'v' is not one of the source", good .. "\ntopics = { 'v' }", 6)
  local function entry(name, said, spec, line)
    refused(name, said, 'batch = function() end, tables = {\na = {\n' .. spec .. '\n} }', line)
  end
  entry('names the nearest key of a table', "table 'a': unknown key 'colums': did you mean 'columns'?", "key = { id = 'bigint' },\ncolums = {}", 8)
  entry('says where a key of a table belongs', "table 'a': unknown key 'on': it belongs into projection { … }",
    "key = { id = 'bigint' }, columns = {},\non = {}", 8)
  entry('wants columns', "table 'a': 'columns' is missing", "key = { id = 'bigint' }", 6)
  entry('wants a key', "table 'a': 'key' is missing: write key = { id = 'bigint' }, or append = true", 'columns = {}', 6)
  entry('refuses the key of an append', "table 'a': 'key' has no use in an append", "append = true, columns = {},\nkey = { id = 'bigint' }", 8)
  entry('refuses a shared append', "table 'a': 'shared' has no use in an append", 'append = true, columns = {},\nshared = true', 8)
  entry('refuses shared where it is so anyway', "table 'a': 'shared' has no use here: rows that are asked for by key are always shared",
    "key = { id = 'bigint' }, columns = {},\nshared = true", 8)
  entry('wants all key columns of one sort', "table 'a': either each key column says where it is from",
    "columns = {},\nkey = { id = { 'bigint', from = 'key' }, b = 'text' }", 8)
  entry('names the nearest type', "table 'a': column 'n': unknown type 'bigit': did you mean 'bigint'?",
    "key = { id = 'bigint' },\ncolumns = { n = 'bigit' }", 8)
  entry('wants a possible name', "table 'a ': table = 'a ': it has a blank at an end, or a line break",
    "key = { id = 'bigint' }, columns = {},\ntable = 'a '", 8)
  it('refuses a table that another projection has', function()
    local other = "projection { table = 'a', append = true, columns = {}, on = function() end }"
    local set = 'projection { ' .. good .. ' }'
    contains("the table 'a' belongs to another projection already (pipeline.lua:4)", bundles.refusal(bundles.pipeline(other .. ',\n' .. set, JSON)))
    contains("the table 'a' belongs to another projection already (pipeline.lua:4)", bundles.refusal(bundles.pipeline(set .. ',\n' .. other, JSON)))
    contains("the table 'x' belongs to another projection already", bundles.refusal(bundles.pipeline(
      "projection { batch = function() end, tables = { a = { append = true, table = 'x', columns = {} },\n"
        .. "b = { append = true, table = 'x', columns = {} } } }", JSON)))
  end)
  it('sees what a batch function keeps outside', function()
    contains("pipeline.lua:10: a handler assigns the variable 'n', which outlives the event", bundles.refusal((text(
      'for event in batch:events() do n = n + 1 end'):gsub('^', 'local n = 0 '))))
    assert.is_nil(bundles.refusal(text 'local n = 0 local function f() n = n + 1 end f()'))
  end)
  it('decides for each table how it is kept exact', function()
    local function exact(tables, source)
      local plan = bundles.plan(bundles.pipeline(('projection { batch = function() end, tables = { %s } }'):format(tables), source))
      local out = {}
      for i, p in ipairs(plan.projections) do out[i] = p.table .. ' ' .. p.kind .. ' ' .. p.exact end
      return table.concat(out, ', '), plan.projections[1]
    end
    local tables = [[ a = { key = { id = { 'text', from = 'key' } }, columns = {} }, b = { table = 's.b', key = { id = 'text' }, columns = {} },
      c = { key = { id = { 'text', from = 'data.x' } }, columns = {} }, d = { shared = true, key = { id = { 'text', from = 'key' } }, columns = {} },
      e = { append = true, columns = {} } ]]
    assert.are.equal('a fold aligned, s.b fold shared, c fold shared, d fold shared, e append append', (exact(tables, ONE)))
    assert.are.equal('a fold shared, s.b fold shared, c fold shared, d fold shared, e append append', (exact(tables, JSON)))
    local _, b = exact("b = { key = { id = 'text' }, columns = {} }", ONE)
    contains('its rows are asked for by key, so two lanes may change one row: rows are locked inside the transaction', b.why)
    assert.is_nil(b.why:find('merge', 1, true))
  end)
  it('wants the right to delete for each of its tables, when it may', function()
    local function deletes(body)
      local out = {}
      for i, p in ipairs(bundles.plan(text(body)).projections) do out[i] = p.deletes end
      return out
    end
    assert.are.same({ true, true, true, true }, deletes "tables.owners:row('a'):delete()")
    assert.are.same({ false, false, false, false }, deletes '')
  end)
  it('takes examples by table', function()
    local said = bundles.refusal(bundles.pipeline('projection { ' .. good .. '\nexamples = { { events = {}, rows = { b = {} } } } }', JSON))
    contains('pipeline.lua:5: projection: an example is { events = { … }, rows = { table = { … } } }', said)
  end)
end)
