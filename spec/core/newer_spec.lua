-- `newer`: late and repeated versions of a row change nothing, and every split
-- into batches leaves what one statement an event would leave.
local bundles = require 'spec.unit.bundles'
local core = require 'spec.core.core'
local C = core.lib

local SOURCE = "kafka { brokers = 'b', group = 'g', topics = { 't' }, format = 'debezium' }"

local function bundle(projection)
  return bundles.load(bundles.pipeline('projection { ' .. projection .. ' }', SOURCE))
end

local COLUMNS = "columns = { a = 'bigint', b = 'text', v = %s }, newer = 'v',"
local function kind(words, version)
  return "table = 'p', key = { id = 'text' }, " .. COLUMNS:format(version or "'bigint'") .. words
end

local KINDS = {
  ['a mirror'] = { words = kind 'mirror = true' },
  ['a mirror whose deletes have versions'] =
    { words = kind('mirror = true', "{ 'bigint', from = 'data.__lsn' }"), deletes = true },
  ['a map'] = { words = kind [[map = function(row, event)
      row.v = event.data.v
      if event:has('data.a') then row.a = event.data.a end
      if event:has('data.b') then row.b = event.data.b end
    end]], no_nulls = true },
  ['a map that marks what is deleted'] = { words = kind [[map = true, on = {
      u = function(row, event)
        row.v, row.a = event.data.v, event.data.a
        if event:has('data.b') then row.b = event.data.b end
      end,
      d = function(row, event) row.v, row.b = event.data.v, 'gone' end,
    }]], no_nulls = true, marks = true },
}

-- What one statement for each event leaves: the words of examples/README.md.
local function model(events, how)
  local rows = {}
  for _, e in ipairs(events) do
    local have = rows[e.id]
    if e.op == 'd' and not how.marks then
      local is_old = how.deletes and e.v and have and have.v and e.v <= have.v
      if not is_old then rows[e.id] = nil end
    elseif not have or not have.v or (e.v and e.v > have.v) then
      local row = { id = e.id, v = e.v, a = have and have.a, b = have and have.b }
      if e.op == 'd' then
        row.b = 'gone'
      else
        if how.marks or e.has_a then row.a = e.a end
        if e.has_b then row.b = e.b end
      end
      rows[e.id] = row
    end
  end
  local list = {}
  for _, row in pairs(rows) do list[#list + 1] = row end
  table.sort(list, function(x, y) return x.id < y.id end)
  return list
end

local function random_event(how)
  local e = { id = 'k' .. math.random(3), v = math.random(-3, 9), op = 'u' }
  if math.random(6) == 1 then e.op = 'd' end
  if not how.no_nulls and math.random(8) == 1 then e.v = nil end
  e.has_a, e.has_b = math.random(3) > 1, math.random(3) > 1
  e.a = e.has_a and math.random(4) > 1 and math.random(99) or nil
  e.b = e.has_b and math.random(4) > 1 and 'b' .. math.random(99) or nil
  return e
end

-- NULL and missing are two things; a delete's `before` says defaults, and with
-- versions of deletes perhaps none.
local function record(e, how)
  local data = { id = e.id }
  if e.op == 'd' and not how.marks then
    data.v = 0
    if how.deletes then data.__lsn = e.v end
    return { key = e.id, op = 'd', before = data }
  end
  local null = require('tidemill.testing').null
  data[how.deletes and '__lsn' or 'v'] = e.v == nil and null or e.v
  if e.has_a then data.a = e.a == nil and null or e.a end
  if e.has_b then data.b = e.b == nil and null or e.b end
  if e.op == 'd' then return { key = e.id, op = 'd', before = data } end
  return { key = e.id, op = 'u', after = data }
end

for name, how in pairs(KINDS) do
  describe('newer of ' .. name, function()
    it('leaves the rows of a model for any events in any batches', function()
      math.randomseed(11)
      local b = bundle(how.words)
      for _ = 1, core.rounds(70) do
        local events, records = {}, {}
        for i = 1, math.random(1, 30) do
          events[i] = random_event(how)
          -- Repeated as it was.
          if i > 1 and math.random(4) == 1 then events[i] = events[math.random(i - 1)] end
          records[i] = record(events[i], how)
        end
        local at, most, result = 1, math.random(1, 15), nil
        b:reset()
        while at <= #records do
          local size = math.random(most)
          result = b:run { events = { unpack(records, at, math.min(#records, at + size - 1)) } }
          at = at + size
        end
        assert.are.same(model(events, how), result:rows('p'))
      end
    end)
  end)
end

describe('newer', function()
  local function upsert(id, data)
    data.id = id
    return { key = id, op = 'u', after = data }
  end

  it('leaves a value to the server that a later event of the batch does not say', function()
    local b = bundle(kind 'mirror = true')
    local events = { upsert('x', { v = 5, a = 1, b = 'five' }), upsert('x', { v = 7, a = 2 }) }
    local old = { id = 'x', v = 6, a = 0, b = 'six' }
    local result = b:run { given = { p = { old } }, events = events }
    assert.are.same({ id = 'x', v = 7, a = 2, b = 'six' }, result:row('p', 'x'))
  end)

  it('cannot be told from a record that lacks the column', function()
    local b = bundle(kind 'mirror = true')
    local result = b:run { events = { upsert('x', { a = 1 }) }, dead_letters = 1 }
    assert.are.equal('p.v: the event has no value for it, and without it nobody can tell which version of the row '
      .. 'is the later one (newer)', result.dead_letters[1].reason)
  end)

  it('does not take a version from what a delete shows of its row', function()
    local b = bundle(kind 'mirror = true')
    local result = b:run { events = { upsert('x', { v = 5 }),
      { key = 'x', op = 'd', before = { id = 'x', v = 0 } } } }
    assert.are.same({}, result:rows('p'))
  end)

  it('refuses row:delete() in a handler, also where deletes are followed', function()
    local b = bundle(kind [[map = function(row, event) row.v = event.data.v row:delete() end]])
    local ok, reason = pcall(b.run, b, { events = { upsert('x', { v = 1 }) } })
    assert.is_false(ok)
    assert.is_truthy(reason:find('row:delete() cannot be used with `newer`', 1, true), reason)
  end)

  -- As examples/README.md shows it.
  it('keeps a deleted row away from late records where a handler marks it', function()
    local b = bundle [[table = 'people', map = true, newer = 'lsn', key = { id = 'bigint' },
      columns = { name = 'text', lsn = 'bigint', is_deleted = 'boolean' }, on = {
        u = function(row, event)
          row.name, row.lsn, row.is_deleted = event.after.name, event.source.lsn, false
        end,
        d = function(row, event) row.lsn, row.is_deleted = event.source.lsn, true end }]]
    local function value(op, lsn, name)
      local row = ('{"id":1,"name":"%s"}'):format(name)
      return { key = '{"id":1}', value = ('{"before":%s,"after":%s,"op":"%s","source":{"lsn":%d}}')
        :format(op == 'd' and row or 'null', op == 'd' and 'null' or row, op, lsn) }
    end
    for _, split in ipairs { true, false } do
      b:reset()
      local result = b:run { split = split, events = { value('u', 5, 'a'), value('u', 7, 'b'),
        value('d', 9, ''), value('u', 7, 'b'), value('u', 8, 'c') } }
      assert.are.same({ id = 1, name = 'b', lsn = 9, is_deleted = true }, result:row('people', 1))
      assert.are.same({ id = 1, name = 'd', lsn = 10, is_deleted = false },
        b:run({ split = split, events = { value('u', 10, 'd') } }):row('people', 1))
    end
  end)

  it('of a mirror may come from the source of a record', function()
    local b = bundle [[table = 'p', mirror = true, key = { id = 'bigint' }, newer = 'lsn',
      columns = { x = 'bigint', lsn = { 'bigint', from = 'source.lsn' } }]]
    local function value(op, lsn, x)
      local row = ('{"id":1,"x":%d}'):format(x)
      return { key = '{"id":1}', value = ('{"before":%s,"after":%s,"op":"%s","source":{"lsn":%d}}')
        :format(op == 'd' and row or 'null', op == 'd' and 'null' or row, op, lsn) }
    end
    local result = b:run { events = { value('u', 5, 1), value('u', 7, 2), value('u', 6, 3),
      value('d', 4, 0) } }
    assert.are.same({ id = 1, x = 2, lsn = 7 }, result:row('p', 1))
    assert.are.same({ id = 1, x = 2, lsn = 7 }, b:run({ events = { value('d', 6, 0) } }):row('p', 1))
    assert.are.same({}, b:run({ events = { value('d', 8, 0) } }):rows('p'))
  end)

  it('of several topics is possible where deletes only mark rows', function()
    local text = bundles.pipeline('projection { ' .. kind [[topics = { 't', 'w' }, map = true, on = {
      u = function(row, event) row.v = event.data.v end,
      d = function(row, event) row.v = event.data.v end }]] .. ' }', (SOURCE:gsub("{ 't' }", "{ 't', 'w' }")))
    assert.are.equal('overwrite', bundles.plan(text).projections[1].exact)
  end)
end)

describe('a batch with newer', function()
  local batches = require 'spec.core.batches'
  local batch
  teardown(function() batch:forget():close() end)

  it('keeps one layer for each set of columns, however often they alternate', function()
    batch = batches.open(bundles.pipeline('projection { ' .. kind 'mirror = true' .. ' }', SOURCE))
    local lane = {}
    for i = 1, 600 do
      lane[i] = ('{"before":null,"after":{"id":"x","v":%d,"%s":%s},"op":"u"}'):format(i,
        i % 2 == 0 and 'a' or 'b', i % 2 == 0 and i or '"b' .. i .. '"')
    end
    batch:run { lane }
    local r, n = batch.c.rows[0], 0
    local at = r.last_layer[0]
    while at >= 0 do
      n, at = n + 1, r.layers[at].before
    end
    assert.are.equal(1, n)
    assert.are.equal(599, tonumber(r.layers[r.last_layer[0]].cells[3].i))
    assert.are.equal(C.TM_MISSING, r.view.cells[2][0].tag)
  end)
end)
