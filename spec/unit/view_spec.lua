local bundles = require 'spec.unit.bundles'
local testing = require 'tidemill.testing'

local JSON = "kafka { brokers = 'b', group = 'g', topics = { 't' }, format = 'json' }"

local function pipeline(columns, body, kind, source)
  return bundles.pipeline(("projection { table = 'a', %s columns = { %s }, on = function(row, event)\n%s\nend }"):format(
    kind or 'append = true,', columns, body), source or JSON)
end

-- What a handler makes of one event.
local function row(columns, body, event)
  event.key = event.key or 'k'
  return bundles.load(pipeline(columns, body)):run({ events = { event } }):rows('a')[1]
end

local function failure(columns, body, event, kind)
  local b = bundles.load(pipeline(columns, body, kind))
  local ok, reason = pcall(b.run, b, { events = { event or { key = 'k', data = { x = 1 } } } })
  assert.is_false(ok, 'it did not fail')
  return reason
end

local function contains(part, whole)
  assert.is_truthy(whole:find(part, 1, true), whole)
end

describe('event', function()
  it('reads values by their kind', function()
    local got = row("n = 'bigint', d = 'numeric', s = 'text', b = 'boolean', z = 'text', i = 'bigint'",
      "local x = event.data row.n, row.d, row.s, row.b, row.z, row.i = x.n, x.d, x.s, x.b, x.z, x.o.i",
      { value = '{"n":9007199254740993,"d":12345678901234567890.5,"s":"Zo\\u00eb","b":true,"z":null,"o":{"i":7}}' })
    assert.are.equal(9007199254740993LL, got.n)
    assert.are.equal('12345678901234567890.5', tostring(got.d))
    assert.are.equal('Zoë', got.s)
    assert.is_true(got.b)
    assert.is_nil(got.z)
    assert.are.equal(7, got.i)
  end)
  it('tells missing from null', function()
    local got = row("a = 'boolean', b = 'boolean', c = 'boolean'",
      "row.a, row.b, row.c = event:has('data.x'), event:has('data.y'), event:has('data.o.z')", { value = '{"x":null,"o":{"z":1}}' })
    assert.are.same({ a = true, b = false, c = true }, got)
  end)
  it('knows where it comes from', function()
    local got = row("s = 'text', p = 'integer', o = 'bigint', t = 'bigint', h = 'text', k = 'text', id = 'text'",
      "row.s, row.p, row.o, row.t, row.h, row.k, row.id = event.topic, event.partition, event.offset, event.time, event.headers.h, "
        .. "event.key, event.id",
      { key = 'k7', partition = 3, offset = 41, time = 1234, headers = { h = 'x' }, data = {} })
    assert.are.same({ s = 't', p = 3, o = 41, t = 1234, h = 'x', k = 'k7', id = 't/3/41' }, got)
  end)
  it('finds a header by its whole name, however long', function()
    local long = ('n'):rep(300)
    local got = row("a = 'text', b = 'text', c = 'text'", "row.a, row.b, row.c = event.headers[('n'):rep(300)], event.headers[('n'):rep(299)], "
      .. "event.headers['h\\0']", { headers = { [long] = 'x', h = 'y' }, data = {} })
    assert.are.same({ a = 'x' }, got)
  end)
  it('gives arrays and tables with exact numbers', function()
    local got = row("a = 'text', n = 'integer', j = 'jsonb'",
      "local t = event.data:table() row.a, row.n, row.j = tostring(t.list[2]), #event.data.list, event.data.list",
        { value = '{"list":[1,9007199254740993,1.10]}' })
    assert.are.same({ '9007199254740993', 3 }, { got.a, got.n })
    assert.are.equal('[1,9007199254740993,1.10]', (got.j:gsub(' ', '')))
  end)
  it('iterates objects in the order of the record', function()
    local got = row("s = 'text'", "local s = '' for name, v in pairs(event.data) do s = s .. name .. v end row.s = s",
      { value = '{"z":1,"a":2,"m":3}' })
    assert.are.equal('z1a2m3', got.s)
  end)
  it('copies objects to jsonb as they are', function()
    local got = row("j = 'jsonb'", 'row.j = event.data.o', { value = '{"o":{"b":1.10,"a":[]}}' })
    assert.are.equal('{"b":1.10,"a":[]}', (got.j:gsub(' ', '')))
  end)
  it('an object key is a view', function()
    assert.are.equal(5, row("n = 'bigint'", 'row.n = event.key.id', { key = { id = 5 }, data = {} }).n)
  end)
  it('names an unknown word and refuses assignment', function()
    contains("an event has no field 'dta'", failure("n = 'bigint'", 'row.n = event.dta.x'))
    contains('event fields cannot be assigned', failure("n = 'bigint'", 'event.data.x = 1'))
  end)
  it('raises when it is kept', function()
    contains('stale event', failure("n = 'bigint'", 'if not kept.event then kept.event = event.data else row.n = kept.event.x end',
      nil, 'append = true,'):gsub("there is no global 'kept'.*", 'stale event'))
    local b = bundles.load((pipeline("n = 'bigint'", 'if kept[1] then row.n = kept[1].x end kept[1] = event.data'):gsub('^', 'local kept = {} ')))
    local event = { key = 'k', data = { x = 1 } }
    local ok, reason = pcall(b.run, b, { events = { event, event } })
    assert.is_false(ok)
    contains('stale event', reason)
    contains('pipeline.lua:5:', reason)
  end)
end)

describe('row', function()
  it('names column, table and line of a value that does not fit', function()
    local said = failure("n = 'smallint'", '\nrow.n = 40000')
    contains('pipeline.lua:6: a.n: ', said)
    contains('(event 1', said)
    contains('has a fraction', failure("n = 'bigint'", 'row.n = 1.5'))
    contains('beyond 2^53', failure("n = 'bigint'", 'row.n = 2^60'))
    contains('a.n: ', failure("n = 'bigint'", "row.n = 'abc'"))
    contains('a.s: ', failure("s = 'text'", 'row.s = 5'))
    contains('a.s: ', failure("s = 'varchar(2)'", "row.s = 'abc'"))
  end)
  it('names an unknown column', function()
    contains("table 'a' has no column 'ownr' in this projection: did you mean 'owner'?", failure("owner = 'text'", "row.ownr = 'x'"))
    contains("table 'a' has no column 'ownr'", failure("owner = 'text'", 'row.owner = row.ownr'))
  end)
  it('converts at once', function()
    local got = row("d = 'numeric(6,2)', t = 'text', r = 'real', u = 'uuid', at = 'timestamptz(0)'",
      "row.d = decimal '1.005' row.t = tostring(row.d) row.r = 0.1 row.u = '11111111-1111-4111-8111-11111111AAAA' row.at = "
        .. "'2024-01-01T01:00:00.6+01:00'", { data = {} })
    assert.are.equal('1.01', got.t)
    assert.are.equal(tonumber(require('ffi').cast('float', 0.1)), got.r)
    assert.are.equal('11111111-1111-4111-8111-11111111aaaa', got.u)
    assert.are.equal('2024-01-01T00:00:01Z', got.at)
  end)
  it('reads numeric as decimal also after a Lua number', function()
    assert.are.equal('0.30', row("d = 'numeric(6,2)', s = 'text'", "row.d = 0 row.d = row.d + 0.1 + '0.2' row.s = tostring(row.d)", { data = {} }).s)
  end)
  it('refuses to assign keys', function()
    contains("'id' is a key column of 'a'", failure("n = 'bigint'", "row.id = 'x'", nil, "key = { id = 'text' },"))
  end)
end)

describe('row of a fold', function()
  local function fold(body)
    return bundles.load(pipeline("n = 'bigint', s = 'text'", body, "key = { id = { 'text', from = 'key' } }, initial = { n = 0 },"))
  end
  it('begins with initial values and carries state', function()
    local b = fold('row.n = row.n + event.data.x')
    local e = { key = 'k', data = { x = 2 } }
    assert.are.same({ id = 'k', n = 4 }, b:split({ events = { e, e } }):row('a', 'k'))
    assert.are.same({ id = 'k', n = 6 }, b:run({ events = { e } }):row('a', 'k'))
  end)
  it('is not made by reading', function()
    assert.is_nil(fold('local _ = row.n'):run({ events = { { key = 'k', data = {} } } }):row('a', 'k'))
  end)
  it('exists, is deleted and reset', function()
    local b = fold([[
      if event.data.op == 'delete' then row:delete() elseif event.data.op == 'reset' then row:reset()
      else row.s = tostring(row.exists) row.n = row.n + 1 end]])
    local function run(...)
      b:reset()
      local events = {}
      for i, op in ipairs { ... } do events[i] = { key = 'k', data = { op = op } } end
      return b:split({ given = { a = { { id = 'k', n = 7, s = 'old' } } }, events = events }):row('a', 'k')
    end
    assert.are.same({ id = 'k', n = 8, s = 'true' }, run('add'))
    assert.is_nil(run('delete'))
    assert.are.same({ id = 'k', n = 1, s = 'false' }, run('delete', 'add'))
    assert.are.same({ id = 'k', n = 0 }, run('reset'))
    assert.are.same({ id = 'k', n = 1, s = 'true' }, run('add', 'reset', 'add'))
    assert.is_nil(run('delete', 'add', 'delete'))
  end)
  it('runs before_write once a changed row', function()
    local b = bundles.load(bundles.pipeline([[projection { table = 'a', key = { id = { 'text', from = 'key' } }, columns = { n = 'bigint',
      m = 'bigint' },
      initial = { n = 0 }, on = { X = function(row) row.n = row.n + 1 end }, before_write = function(row) row.m = row.n * 10 end }]]))
    local e = { key = 'k', type = 'X' }
    assert.are.same({ { id = 'k', n = 3, m = 30 } }, b:split({ events = { e, e, e } }):rows('a'))
  end)
end)

describe('an assignment that a column refuses and a script catches', function()
  local function rows(words)
    local b = bundles.load(bundles.pipeline("projection { table = 'a', key = { k = { 'text', from = 'key' } }, " .. words .. ' }',
      "kafka { brokers = 'b', group = 'g', topics = { 't' }, format = 'json' }"))
    return b:run({ events = { { key = 'x', data = { n = 'bad' } }, { key = 'y', data = { n = 2 } }, { key = 'y', data = { n = 'bad' } } } })
      :rows('a')
  end
  local ON = 'on = function(row, event) pcall(function() row.n = event.data.n end) end'

  it('makes no row of a fold or a merge', function()
    assert.are.same({ { k = 'y', n = 2, s = 'new' } },
      rows("columns = { n = 'bigint', s = 'text' }, initial = { n = 1, s = 'new' }, " .. ON))
    assert.are.same({ { k = 'y', n = 2 } }, rows("columns = { n = 'bigint' }, merge = { n = 'sum' }, " .. ON))
  end)
  it('leaves alone what is assigned before and behind it', function()
    assert.are.same({ { k = 'x', n = 5, s = 'd' }, { k = 'y', n = 5, s = 'd' } }, rows(
      "columns = { n = 'bigint', s = 'text' }, initial = { n = 1, s = 'new' }, "
      .. "on = function(row, event) row.s = 'd' row.n = 5 pcall(function() row.n = 'bad' end) end"))
  end)
end)

describe('kinds', function()
  it('append drops a row when the handler returns false', function()
    local b = bundles.load(pipeline("n = 'bigint'", 'if event.data.x == 2 then return false end row.n = event.data.x'))
    local events = {}
    for i = 1, 3 do events[i] = { key = 'k', data = { x = i } } end
    assert.are.same({ { n = 1 }, { n = 3 } }, b:split({ events = events }):rows('a'))
  end)
  it('map gives the same row under every split and follows deletes', function()
    local b = bundles.load(bundles.pipeline([[projection { table = 'a', key = { id = 'bigint' }, columns = { n = 'bigint', s = 'text',
      seen = 'text' },
      initial = { s = 'new' }, map = function(row, event) row.seen = tostring(row.n) row.n = event.after.n end }]],
      "kafka { brokers = 'b', group = 'g', topics = { 't' }, format = 'debezium' }"))
    local function change(op, id, n) return { key = { id = id }, op = op, after = op ~= 'd' and { id = id, n = n } or nil, before = { id = id } } end
    local result = b:split { events = { change('c', 1, 1), change('u', 1, 2), change('c', 2, 5), change('d', 2) } }
    assert.are.same({ { id = 1, n = 2, s = 'new', seen = 'nil' } }, result:rows('a'))
  end)
  it('map with newer keeps the later version', function()
    local b = bundles.load(bundles.pipeline([[projection { table = 'a', key = { id = { 'text', from = 'data.id' } },
      columns = { v = 'bigint', s = 'text' },
      newer = 'v', map = function(row, event) row.v, row.s = event.data.v, event.data.s end }]]))
    local function e(v, s) return { key = 'x', type = 'X', data = { id = 'k', v = v, s = s } } end
    assert.are.same({ { id = 'k', v = 3, s = 'c' } }, b:split({ events = { e(1, 'a'), e(3, 'c'), e(2, 'b'), e(3, 'd') } }):rows('a'))
  end)
  it('map with newer orders times and NaN as the database does', function()
    for type, list in pairs { timestamp = { '2020-01-01T00:00:00', '12020-01-01T00:00:00' },
      ['double precision'] = { 1, 'NaN' } } do
      local b = bundles.load(bundles.pipeline(([[projection { table = 'a', key = { id = { 'text', from = 'data.id' } },
        columns = { v = '%s', s = 'text' },
        newer = 'v', map = function(row, event) row.v, row.s = event.data.v, event.data.s end }]]):format(type)))
      local function e(v, s) return { key = 'x', type = 'X', data = { id = 'k', v = v, s = s } } end
      local result = b:run { events = { e(list[2], 'later'), e(list[1], 'earlier') } }
      assert.are.equal('later', result:rows('a')[1].s)
    end
  end)
  it('map with newer refuses row:delete()', function()
    local b = bundles.load(bundles.pipeline([[projection { table = 'a', key = { id = { 'text', from = 'data.id' } },
      columns = { v = 'bigint' }, newer = 'v', map = function(row) row:delete() end }]]))
    local ok, reason = pcall(b.run, b, { events = { { key = 'x', type = 'X', data = { id = 'k' } } } })
    assert.is_false(ok)
    assert.matches('row:delete%(%) cannot be used with `newer`', tostring(reason))
  end)
  it('merge adds up contributions and reads nil', function()
    local b = bundles.load(bundles.pipeline([[projection { table = 'a', key = { id = { 'text', from = 'data.id' } },
      columns = { n = 'bigint', top = 'numeric(6,2)', low = 'bigint' },
      merge = { n = 'sum', top = 'max', low = 'min' }, on = function(row,
        event) row.n = 1 if row.n ~= nil then error('read') end row.top = event.data.x row.low = event.data.x end }]]))
    local function e(x) return { key = 'x', type = 'X', data = { id = 'k', x = x } } end
    assert.are.same({ { id = 'k', n = 3, top = testing.decimal '9', low = 2 } }, b:split({ events = { e(5), e(9), e(2) } }):rows('a'))
  end)
  it('keys may be functions: none, one or several groups', function()
    local b = bundles.load(bundles.pipeline([[projection { table = 'a', key = { id = { 'text', from = function(event) return event.data.ids end } },
      columns = { n = 'bigint' }, initial = { n = 0 }, on = { X = function(row) row.n = row.n + 1 end } }]]))
    local function e(ids) return { key = 'x', type = 'X', data = { ids = ids } } end
    assert.are.same({ { id = 'a', n = 2 }, { id = 'b', n = 1 } }, b:split({ events = { e('a'), e({ 'a', 'b' }), e(nil) } }):rows('a'))
  end)
  it('dispatches by type and leaves unknown types alone', function()
    local b = bundles.load(bundles.pipeline([[projection { table = 'a', append = true, columns = { s = 'text' },
      on = { X = function(row, event) row.s = event.type end, Y = function(row) row.s = 'y' end } }]]))
    local result = b:split { events = { { key = 'k', type = 'X' }, { key = 'k', type = 'Z' }, { key = 'k', type = 'Y' } } }
    assert.are.same({ { s = 'X' }, { s = 'y' } }, result:rows('a'))
  end)
end)

-- A view is good during one call, which has a number of its own. Many workers make 2^32
-- calls within hours.
describe('the number of a call', function()
  local function upvalue(f, name)
    for i = 1, 60 do
      local n, v = debug.getupvalue(f, i)
      if n == name then return v end
    end
  end
  -- Rows of these events, of which the calls stand before and behind 2^32.
  local function rows_across(text)
    local b = bundles.load(text)
    local now = upvalue(upvalue(b.program.fold, 'run'), 'now')
    local events = {}
    for i = 1, 9 do events[i] = { key = 'k' .. i % 2, data = { x = i, y = i % 3 > 0 and i or nil } } end
    now.serial = 2 ^ 32 - 3
    b:run { events = { unpack(events, 1, 8) } }
    now.serial = 2 ^ 32 - 1
    return b:run({ events = { events[9] } }):rows 'a'
  end
  local function same(text, expected)
    assert.are.same(expected, rows_across(bundles.pipeline(text, JSON)))
  end
  it('may be above 2^32 in every kind of projection', function()
    local key, on = "table = 'a', key = { id = { 'text', from = 'key' } }, columns = { n = 'bigint', m = 'bigint' }, ",
      'row.n, row.m = event.data.x, event.data.y'
    same('projection { ' .. key .. 'on = function(row, event) ' .. on .. ' row.n = (row.n or 0) + (row.m or 0) end }',
      { { id = 'k0', n = 16, m = 8 }, { id = 'k1', n = 9 } })
    -- What an event leaves alone stays as the one before it left it.
    same('projection { ' .. key .. "newer = 'n', map = function(row, event) row.n = event.data.x "
      .. 'if event.data.y then row.m = event.data.y end end }', { { id = 'k0', n = 8, m = 8 }, { id = 'k1', n = 9, m = 7 } })
    same("projection { table = 'a', key = { id = { 'text', from = 'key' } }, columns = {}, on = function(row, event) "
      .. 'if event.data.x > 5 then row:delete() end end }', {})
    same("projection { tables = { a = { key = { id = { 'text', from = 'key' } }, columns = { n = 'bigint' }, initial = { n = 0 } } }, "
      .. 'batch = function(batch, tables) for row, events in tables.a:groups() do for event in events do '
      .. 'row.n = row.n + event.data.x end end end }', { { id = 'k0', n = 20 }, { id = 'k1', n = 25 } })
  end)
  it('tells a view of an earlier call, also of one 2^32 calls ago', function()
    local b = bundles.load(pipeline("n = 'bigint'", [[
      if event.data.x == 1 then kept.event = event end
      row.n = kept.event.data.x]]):gsub('^', 'local kept = {}\n'))
    local now = upvalue(upvalue(b.program.fold, 'run'), 'now')
    b:run { events = { { key = 'k', data = { x = 1 } } } }
    now.serial = now.serial + 2 ^ 32 - 2
    local ok, reason = pcall(b.run, b, { events = { { key = 'k', data = { x = 2 } } } })
    assert.is_false(ok)
    contains('stale event', reason)
  end)
end)
