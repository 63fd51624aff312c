-- What handlers and tables see of each format, through the spec kit.
local bundles = require 'spec.unit.bundles'

local function source(text)
  return "kafka { brokers = 'b', group = 'g', topics = { 't' }, " .. text .. ' }'
end
local FLAT = source "format = 'debezium', flattened = 'rewrite', decimals = 'string'"
local TOMBSTONE = source "format = 'debezium', flattened = 'tombstone'"
local RAW = source "format = 'outbox', outbox = { table = { time = 'created_at' } }"

local MIRROR = "projection { table = 'a', mirror = true, key = { id = 'bigint' }, columns = { n = 'numeric(18,2)', s = 'text' } }"
local MAP = "projection { table = 'a', map = function(row, event) row.s = event.data.s end, key = { id = 'bigint' }, columns = { s = 'text' } }"
local LOG = [[projection { table = 'log', append = true,
  columns = { id = 'text', type = 'text', op = 'text', key = 'text', time = 'bigint', lsn = 'bigint', s = 'text', has = 'boolean' },
  on = function(row, event)
    row.id, row.type, row.op, row.time = event.id, event.type, event.op, event.time
    row.key = event.key and tostring(event.key)
    row.lsn = event.source and event.source.lsn
    row.s, row.has = event.data and event.data.s, event:has('source.lsn')
  end }]]

local function change(op, s)
  return { key = { id = 1 }, op = op, data = { id = 1, s = s, n = '1.50' } }
end

describe('flattened rows', function()
  it('are mirrored, and deleted again', function()
    local b = bundles.load(bundles.pipeline(MIRROR, FLAT))
    assert.are.equal('a', b:split({ events = { change('c', 'x'), change('u', 'a') } }):rows('a')[1].s)
    assert.are.same({}, b:split({ events = { change('d'), { key = { id = 1 }, tombstone = true } } }):rows('a'))
  end)
  it('are mapped, and deleted by tombstones', function()
    local b = bundles.load(bundles.pipeline(MAP, TOMBSTONE))
    assert.are.same({ { id = 1, s = 'a' } }, b:split({ events = { change('c', 'x'), change('u', 'a') } }):rows('a'))
    assert.are.same({}, b:split({ events = { { key = { id = 1 }, tombstone = true } } }):rows('a'))
  end)
  it('need no __op for mirrors', function()
    local b = bundles.load(bundles.pipeline(MIRROR, FLAT))
    assert.are.equal('a', b:run({ events = { { key = { id = 1 }, value = '{"id":1,"s":"a"}' } } }):rows('a')[1].s)
  end)
  it('need __op where `on` tells operations apart, and the failure names the property', function()
    local b = bundles.load(bundles.pipeline("projection { table = 'a', key = { id = 'bigint' }, columns = { s = 'text' }, "
      .. 'on = { c = function(row, event) row.s = event.data.s end } }', FLAT))
    local ok, reason = pcall(b.run, b, { events = { { key = { id = 1 }, value = '{"id":1,"s":"a"}' } } })
    assert.is_false(ok)
    assert.is_truthy(tostring(reason):find('transforms.unwrap.add.fields=op', 1, true), reason)
  end)
  it('keep what was added to them as fields of data', function()
    local b = bundles.load(bundles.pipeline("projection { table = 'a', mirror = true, key = { id = 'bigint' }, "
      .. "columns = { __lsn = 'bigint', __op = 'text' } }", FLAT))
    assert.are.same({ { id = 1, __lsn = 9, __op = 'u' } },
      b:run({ events = { { key = { id = 1 }, op = 'u', data = { id = 1, __lsn = 9 } } } }):rows('a'))
  end)
end)

describe('what an UPDATE left alone', function()
  it('is known by the placeholder that the pipeline names', function()
    local b = bundles.load(bundles.pipeline(MIRROR, source "format = 'debezium', decimals = 'string', unavailable = 'gone!'"))
    assert.are.equal('a', b:run({ events = { change('c', 'a'), change('u', 'gone!') } }):rows('a')[1].s)
  end)
  it('is no value of a new row, as one is told whose key was changed', function()
    local b = bundles.load(bundles.pipeline(MIRROR, source "format = 'debezium', decimals = 'string'"))
    local ok, reason = pcall(b.run, b, { events = { change('c', '__debezium_unavailable_value') } })
    assert.is_false(ok)
    assert.matches('left the value of this new row out.-REPLICA IDENTITY FULL', tostring(reason))
  end)
end)

describe('event.source', function()
  it('is a view of an envelope, and nil without one', function()
    local b = bundles.load(bundles.pipeline(LOG, source "format = 'debezium'"))
    local rows = b:split({ events = {
      { key = 'k', op = 'c', data = { s = 'a' }, source = { lsn = 77 }, time = 5 } } }):rows('log')
    assert.are.same({ 77, true, 'c', 5 }, { rows[1].lsn, rows[1].has, rows[1].op, rows[1].time })
    rows = bundles.load(bundles.pipeline(LOG, FLAT)):run({ events = { change('c', 'a') } }):rows('log')
    assert.is_nil(rows[1].lsn)
    assert.is_false(rows[1].has)
  end)
  it('is a path of keys', function()
    local b = bundles.load(bundles.pipeline("projection { table = 'a', key = { tx = { 'bigint', from = 'source.txId' } }, "
      .. "columns = { n = 'bigint' }, initial = { n = 0 }, on = function(row) row.n = row.n + 1 end }", source "format = 'debezium'"))
    local e = { key = 'k', op = 'c', data = { s = 'a' }, source = { txId = 3 } }
    assert.are.same({ { tx = 3, n = 2 } }, b:split({ events = { e, e } }):rows('a'))
  end)
end)

describe('raw outbox rows', function()
  it('are what EventRouter would have made of them', function()
    local b = bundles.load(bundles.pipeline(LOG, RAW))
    local rows = b:split({ events = {
      { key = 'acc-1', id = 'e1', type = 'Made', data = { s = 'a' }, time = 5 } } }):rows('log')
    assert.are.same({ { id = 'e1', type = 'Made', key = 'acc-1', time = 5, s = 'a', has = false } }, rows)
  end)
  it('fold by the key column', function()
    local b = bundles.load(bundles.pipeline("projection { table = 'a', key = { id = { 'text', from = 'key' } }, columns = { n = 'bigint' }, "
      .. 'initial = { n = 0 }, on = { Made = function(row, event) row.n = row.n + event.data.n end } }', RAW))
    local function e(key, n) return { key = key, type = 'Made', data = { n = n } } end
    assert.are.same({ { id = 'x', n = 3 }, { id = 'y', n = 5 } }, b:split({ events = { e('x', 1), e('y', 5), e('x', 2) } }):rows('a'))
  end)
  it('leave deletes of the outbox table without effect', function()
    local b = bundles.load(bundles.pipeline(LOG, RAW))
    assert.are.same({}, b:split({ events = { { key = 'x', type = 'Made', op = 'd' }, { key = 'x', tombstone = true } } }):rows('log'))
  end)
end)

describe('topics in several formats', function()
  it('give rows of a spec the meaning that they have in their own topic', function()
    local b = bundles.load(bundles.pipeline("projection { table = 'a', topics = { 'd' }, key = { id = 'bigint' }, "
      .. "columns = { j = 'jsonb', n = 'bigint' }, on = function(row) row.n = row.n + 1 end }",
      "kafka { brokers = 'b', group = 'g', topics = { { 'j', format = 'json' }, { 'd', format = 'debezium' } } }"))
    local result = b:run { given = { a = { { id = 1, j = '{}', n = 1 } } },
      events = { { topic = 'd', key = { id = 1 }, op = 'u', data = { id = 1 } } } }
    assert.are.same({ { id = 1, j = '{}', n = 2 } }, result:rows('a'))
  end)
  it('come together in one projection', function()
    local b = bundles.load(bundles.pipeline("projection { table = 'a', append = true, columns = { t = 'text', d = 'date', j = 'jsonb' }, "
      .. 'on = function(row, event) row.t, row.d, row.j = event.topic, event.data.d, event.data.j end }',
      "kafka { brokers = 'b', group = 'g', format = 'json', times = 'millis', topics = { 'j', { 'd', format = 'debezium' } } }"))
    -- 20000 is milliseconds in JSON and days in Debezium; a text is JSON in Debezium.
    assert.are.same({ { t = 'j', d = '1970-01-01', j = '"{}"' }, { t = 'd', d = '2024-10-04', j = '{}' } },
      b:split({ events = { { topic = 'j', key = 'k', data = { d = 20000, j = '{}' } },
        { topic = 'd', key = 'k', op = 'c', data = { d = 20000, j = '{}' } } } }):rows('a'))
  end)
end)

describe('an event of a spec', function()
  local b = bundles.load(bundles.pipeline("projection { table = 'a', append = true, columns = { n = 'bigint' }, "
    .. 'on = function(row, event) row.n = event.offset end }'))

  local function says(event)
    local ok, said = pcall(b.run, b, { events = { event } })
    return not ok and tostring(said) or nil
  end

  for _, case in ipairs {
    { { value = { n = 1 } }, "'value' of an event in a spec is a text, not a table: it is the record's value as Kafka has "
      .. "it; fields go into 'data'" },
    { { value = false }, "'value' of an event in a spec is a text, not false" },
    { { topic = 5 }, "'topic' of an event in a spec is a text, not a number" },
    { { headers = 'a' }, "'headers' of an event in a spec is a table, not a text" },
    { { time = '2024-01-01' }, "'time' of an event in a spec is a number, not a text" },
    { { partition = '0' }, "'partition' of an event in a spec is a number, not a text" },
  } do
    it('says what a field is: ' .. next(case[1]), function()
      assert.is_truthy((says(case[1]) or ''):find(case[2], 1, true), says(case[1]))
    end)
  end

  it('may have a time and an offset of 64 bits', function()
    assert.is_nil(says { key = 'k', type = 'E', data = {}, time = 1700000000000LL, offset = 7LL })
  end)
end)
