-- Keys: from records to rows, through the DSL's plans and the tm_trial functions.
local flow = require 'spec.core.flow'
local ffi = require 'ffi'
local core = require 'spec.core.core'
local C = core.lib

local function fold(keys, format)
  return flow.trial("table = 'a', key = { " .. keys .. " }, columns = { n = 'bigint' }, "
    .. 'initial = { n = 0 }, on = function(row) row.n = row.n + 1 end', format)
end

-- The keys of the rows and the pairs that records make.
local function keys(declared, records, format)
  local trial = fold(declared, format)
  assert(trial:rows(records))
  return trial:keys(), trial:pairs()
end

-- What is wrong with the only record.
local function refused(declared, record, format)
  local view, reason, at = fold(declared, format):rows { record }
  assert.is_nil(view, 'it was taken')
  assert.are.equal(0, at)
  return reason
end

local function contains(part, whole)
  assert.is_truthy(whole:find(part, 1, true), whole)
end

describe('a key by its type alone', function()
  local ID = "id = 'bigint'"

  it('is the field of an object key, before the one of the data', function()
    assert.are.same({ 7 }, keys(ID, { { '{"id":7}', '{"x":1}' } }))
    assert.are.same({ 7 }, keys(ID, { { '{"id":7}', '{"id":7}' } }))
  end)
  it('is the field of the data under a scalar key that agrees', function()
    assert.are.same({ 7 }, keys(ID, { { '7', '{"id":7}' } }))
    assert.are.same({ 7 }, keys(ID, { { '"7"', '{"id":7}' } }))
  end)
  it('is the whole record key, bare or quoted, by the type of the column', function()
    assert.are.same({ 7, 8, -9 }, keys(ID, { { '7', '{}' }, { '"8"', '{}' }, { '-9', '{}' } }))
    assert.are.same({ 'abc', 'd e' },
      keys("id = 'text'", { { 'abc', '{}' }, { '"d e"', '{}' } }))
  end)
  it('is of several columns when the record key has all of them', function()
    assert.are.same({ '1/x', '2/y' }, (keys("a = 'bigint', b = 'text'",
      { { '{"a":1,"b":"x"}', '{}' }, { '{"b":"y","a":2}', '{}' } })))
  end)
  it('comes from before on a delete', function()
    assert.are.same({ 5 }, (keys(ID, { { '{"id":5}', '{"op":"d","before":{"id":5}}' } },
      'debezium')))
  end)

  it('must be the record key, since lanes own their rows', function()
    for _, case in ipairs {
      { '{"id":7}', '{"id":8}' }, { '7', '{"id":8}' }, { '{"id":7,"x":1}', '{"id":7}' },
      { '{"x":7,"y":[1,2]}', '{"id":7}' },
    } do
      contains('is not the row\'s key', refused(ID, case))
    end
    contains("from = 'data.id'", refused(ID, { '7', '{"id":8}' }))
  end)
  it('counts the fields of an object key past commas in texts and arrays', function()
    assert.are.same({ 'a",b' }, (keys("id = 'text'", { { '{"id":"a\\",b"}', '{}' } })))
    assert.are.same({ 'x\\' }, (keys("id = 'text'", { { '{"id":"x\\\\"}', '{}' } })))
    contains('is not the row\'s key', refused("id = 'text'", { '{"id":"a","t":[1,2]}', '{}' }))
    assert.are.same({ 'a/[1,2]' }, (keys("id = 'text', t = { 'text', from = 'key' }",
      { { '{"id":"a","t":"[1,2]"}', '{}' } })))
    contains("a.id: key: ", refused("id = 'text'", { '{"id":["a","b"]}', '{}' }))
  end)
  it('names what a record without it has', function()
    contains('a.id: the record has no key', refused(ID, { nil, '{"id":1}' }))
    contains("neither the record key {\"id\":null} nor the event has a field 'id'",
      refused(ID, { '{"id":null}', '{}' }))
    contains('a.id: key: ', refused(ID, { 'abc', '{}' }))
  end)
end)

describe("a key from = 'key'", function()
  local ID = "id = { 'bigint', from = 'key' }"

  it('is a scalar key, the field of its name, or the only field', function()
    assert.are.same({ 7, 8, 9 }, (keys(ID, {
      { '7', '{}' }, { '{"id":8}', '{}' }, { '{"account":9}', '{}' } })))
  end)
  it('is not looked for in the data', function()
    contains('the record has no key', refused(ID, { nil, '{"id":1}' }))
  end)
  it('is refused when an object key leaves it open', function()
    contains('a.id', refused(ID, { '{"a":1,"b":2}', '{}' }))
    local shared = "table = 'a', key = { id = { 'bigint', from = 'key' } }, "
      .. "columns = { n = 'bigint' }, merge = { n = 'sum' }, on = function(row) row.n = 1 end"
    for _, key in ipairs { '{}', '{"a":1,"b":2}', '{"a":[1,2]}', '{"a":{"b":1}}' } do
      local view, reason = flow.trial(shared):rows { { key, '{}' } }
      assert.is_nil(view, key)
      contains('a.id', reason)
    end
  end)
end)

describe('a key from a path', function()
  local ID = "id = { 'bigint', from = 'data.o.id' }"

  it('is read at any depth, whatever the record key', function()
    assert.are.same({ 3, 4 }, (keys(ID, {
      { 'k', '{"o":{"id":3}}' }, { nil, '{"o":{"id":"4"}}' } })))
  end)
  it('may come from before, after or the key', function()
    local value = '{"before":{"x":1},"after":{"x":2},"op":"u"}'
    for from, expected in pairs { ['before.x'] = 1, ['after.x'] = 2, ['key.x'] = 3 } do
      local id = ("id = { 'bigint', from = '%s' }"):format(from)
      assert.are.same({ expected }, (keys(id, { { '{"x":3}', value } }, 'debezium')))
    end
  end)
  it('is refused when it is missing, null or of another type, naming the path', function()
    for _, value in ipairs { '{}', '{"o":{}}', '{"o":{"id":null}}', '{"o":5}' } do
      contains('a.id: the key field data.o.id is missing or null', refused(ID, { 'k', value }))
    end
    contains('a.id: key: ', refused(ID, { 'k', '{"o":{"id":"x"}}' }))
    contains('a.id: key: ', refused(ID, { 'k', '{"o":{"id":1.5}}' }))
  end)
end)

describe('a key from a list', function()
  local ID = "id = { 'text', from = { 'data.a', 'data.b', 'data.c' } }"

  it('enters a row for each value, the same row only once', function()
    local rows, entered = keys(ID, {
      { 'k', '{"a":"x","b":"y","c":"x"}' }, { 'k', '{"a":"z","b":"z","c":"z"}' },
      { 'k', '{"c":"y"}' },
    })
    assert.are.same({ 'x', 'y', 'z' }, rows)
    assert.are.equal('0>0 0>1 1>2 2>1', entered)
  end)
  it('leaves out what is missing or null, but not all of it', function()
    local rows, entered = keys(ID, { { 'k', '{"a":null,"c":"y"}' } })
    assert.are.same({ { 'y' }, '0>0' }, { rows, entered })
    contains('the key field data.a is missing or null', refused(ID, { 'k', '{"a":null}' }))
  end)
  it('stands beside other key columns', function()
    local rows = keys("m = { 'bigint', from = 'data.n' }, " .. ID,
      { { 'k', '{"n":1,"a":"x","b":"y"}' }, { 'k', '{"n":2,"a":"x"}' } })
    table.sort(rows)
    local either = table.concat(rows, ' ')
    assert.is_true(either == '1/x 1/y 2/x' or either == 'x/1 x/2 y/1', either)
  end)
  it('may make more pairs than there are events', function()
    local trial, records = fold(ID), {}
    for i = 1, 500 do
      records[i] = { 'k', ('{"a":"a%d","b":"b%d","c":"c%d"}'):format(i, i, i % 7) }
    end
    assert(trial:rows(records))
    assert.are.same({ 1500, 1007 }, { trial.view.n_pairs, trial.view.n_rows })
    for i = 0, 499 do
      for j, name in ipairs { 'a', 'b', 'c' } do
        local at = 3 * i + j - 1
        assert.are.equal(i, trial.view.pair_event[at])
        assert.are.equal(name .. (name == 'c' and (i + 1) % 7 or i + 1),
          trial:cell(0, trial.view.pair_row[at]))
      end
    end
  end)
end)

describe('a key from a function', function()
  it('gives one group, several or none', function()
    local rows, entered = keys("id = { 'text', from = function(event) return event.data.ids end }", {
      { 'k', '{"ids":"a"}' }, { 'k', '{"ids":["b","a","c"]}' }, { 'k', '{}' }, { 'k', '{"ids":[]}' },
      { 'k', '{"ids":"c"}' },
    })
    assert.are.same({ 'a', 'b', 'c' }, rows)
    assert.are.equal('0>0 1>1 1>0 1>2 4>2', entered)
  end)
  it('enters a row once, however often a list names it', function()
    local rows, entered = keys("id = { 'text', from = function(event) return event.data.ids end }",
      { { 'k', '{"ids":["a","b","a"]}' }, { 'k', '{"ids":["a"]}' } })
    assert.are.same({ { 'a', 'b' }, '0>0 0>1 1>0' }, { rows, entered })
  end)
  it('enters the rows behind a null of its list too, and refuses a table with names', function()
    local rows, entered = keys("id = { 'text', from = function(event) return event.data.ids end }",
      { { 'k', '{"ids":["a",null,"b"]}' }, { 'k', '{"ids":[null,null]}' }, { 'k', '{"ids":[null,"a"]}' } })
    assert.are.same({ { 'a', 'b' }, '0>0 0>1 2>0' }, { rows, entered })
    local trial = fold("id = { 'text', from = function(event) return event.data.o:table() end }")
    assert.are.equal(0, assert(trial:rows { { 'k', '{"o":{}}' } }).n_rows)
    local ok, reason = pcall(trial.rows, trial, { { 'k', '{"o":{"id":"a"}}' } })
    assert.is_false(ok)
    contains('a key is one value, a list of values or nil, and not a table with names', tostring(reason))
  end)
  it('stays when Lua has forgotten its text', function()
    local trial = fold("id = { 'text', from = function(event) return event.data.id .. '!' end }")
    local records = {}
    for i = 1, 500 do records[i] = { 'k', ('{"id":"key number %d"}'):format(i) } end
    assert(trial:rows(records))
    for _ = 1, 3 do
      collectgarbage()
      for i = 1, 5000 do assert(('other %d'):format(i)) end
    end
    for i, key in ipairs(trial:keys()) do
      assert.are.equal(('key number %d!'):format(i), key)
    end
  end)
  it('is converted to the type of its column', function()
    local id = "id = { 'bigint', from = function(event) return event.data.id end }"
    assert.are.same({ 5, 6 }, (keys(id, { { 'k', '{"id":5}' }, { 'k', '{"id":"6"}' } })))
    local trial = fold(id)
    local ok, reason = pcall(trial.rows, trial, { { 'k', '{"id":"x"}' } })
    assert.is_false(ok)
    contains('a.id: key: ', tostring(reason))
  end)
  it('stands beside columns that C computes', function()
    local rows = keys("a = { 'bigint', from = 'data.a' }, "
      .. "b = { 'text', from = function(event) return event.data.b .. '!' end }",
      { { 'k', '{"a":1,"b":"x"}' }, { 'k', '{"a":1,"b":"y"}' }, { 'k', '{"a":1,"b":"x"}' } })
    assert.are.same({ '1/x!', '1/y!' }, rows)
  end)
end)

describe('keys', function()
  it('are equal by value, whatever their text', function()
    local rows, entered = keys("id = { 'uuid', from = 'data.id' }", {
      { 'k', '{"id":"11111111-1111-4111-8111-11111111AAAA"}' },
      { 'k', '{"id":"11111111-1111-4111-8111-11111111aaaa"}' },
    })
    assert.are.same({ { '1111111111114111811111111111aaaa' }, '0>0 1>0' }, { rows, entered })
    rows = keys("id = { 'timestamptz', from = 'data.id' }", {
      { 'k', '{"id":"2024-01-01T01:00:00+01:00"}' }, { 'k', '{"id":"2024-01-01T00:00:00Z"}' } })
    assert.are.equal(1, #rows)
  end)
  it('of several texts are not mixed up', function()
    local rows = keys("a = { 'text', from = 'data.a' }, b = { 'text', from = 'data.b' }", {
      { 'k', '{"a":"xy","b":"z"}' }, { 'k', '{"a":"x","b":"yz"}' }, { 'k', '{"a":"","b":"xyz"}' },
      { 'k', '{"a":"xyz","b":""}' } })
    assert.are.equal(4, #rows)
    -- Zeroes must not look like a length.
    rows = keys("a = { 'bytea', from = 'data.a' }, b = { 'bytea', from = 'data.b' }", {
      { 'k', '{"a":"\\\\x78","b":"\\\\x0000000079"}' },
      { 'k', '{"a":"\\\\x7800000000","b":"\\\\x79"}' } })
    assert.are.equal(2, #rows)
  end)
  it('are not asked of tombstones', function()
    local rows, entered = keys("id = { 'bigint', from = 'data.id' }",
      { { 'k', nil }, { 'k', '{"id":1}' }, { nil, nil } })
    assert.are.same({ { 1 }, '1>0' }, { rows, entered })
  end)
  it('are found again by value', function()
    local trial = fold("id = { 'bigint', from = 'data.id' }")
    assert(trial:rows { { 'k', '{"id":5}' }, { 'k', '{"id":6}' } })
    assert.are.equal(1, C.tm_trial_find(trial.c, trial.view, core.text('6')))
    assert.are.equal(-1, C.tm_trial_find(trial.c, trial.view, core.int(7)))
    assert.are.equal(-2, C.tm_trial_find(trial.c, trial.view, core.text('x')))
    contains('bigint', ffi.string(trial.batch.error))
  end)
  it('a truncate is refused with what to do', function()
    local trial = flow.trial("table = 'a', mirror = true, key = { id = 'bigint' }, "
      .. "columns = { n = 'bigint' }", 'debezium')
    local view, reason = trial:rows { { nil, '{"op":"t","before":null,"after":null}' } }
    assert.is_nil(view)
    contains('a truncate is not applied by itself', reason)
  end)
end)
