-- `once`: events that were applied before, or come late, change nothing, however
-- they are split into batches and whatever fails between them.
local batches = require 'spec.core.batches'
local bundles = require 'spec.unit.bundles'
local flow = require 'spec.core.flow'
local core = require 'spec.core.core'
local C = core.lib

-- What fails does so behind assignments; nothing is held, so that the model is
-- simple.
local function pipeline(key)
  return (bundles.pipeline(([[
    projection { table = 'sums', key = { id = %s },
      columns = { n = 'bigint', seen = 'bigint', version = '%s' },
      initial = { n = 0, seen = 0 }, once = { version = 'data.version' },
      on = function(row, event)
        if event.data.reset then row:reset() end
        row.n, row.seen = row.n + event.data.x, row.seen + 1
        if event.data.bad then error('a bad record') end
      end },
    projection { table = 'log', append = true, columns = { x = 'bigint' },
      on = function(row, event)
        row.x = event.data.x
        if event.data.refused then error('refused') end
      end },
  ]]):format(key, 'numeric'), "kafka { brokers = 'b', group = 'g', topics = { 't' }, format = 'json' }")
    :gsub("name = 'x'", "name = 'x', dead_letters = { hold = false, max_share = 1 }"))
end

local function event(e)
  return ('{"id":"%s","x":%d,"version":%s%s}'):format(e.id, e.x, e.version,
    (e.reset and ',"reset":true' or '') .. (e.bad and ',"bad":true' or '')
    .. (e.refused and ',"refused":true' or ''))
end

local function random_events(n)
  local events = {}
  for i = 1, n do
    local version = math.random(-4, 12)
    events[i] = {
      id = 'k' .. math.random(4), x = math.random(100), bad = math.random(9) == 1,
      refused = math.random(12) == 1, reset = math.random(10) == 1,
      value = version, version = version % 2 == 0 and version or version .. '.0',
    }
    -- Records that are repeated come as they were.
    if i > 1 and math.random(3) == 1 then
      for name, v in pairs(events[math.random(i - 1)]) do events[i][name] = v end
    end
  end
  return events
end

-- The rows, and how many events `once` left out.
local function model(events)
  local rows, n_repeated = {}, 0
  for _, e in ipairs(events) do
    local row = rows[e.id]
    if row and e.value <= row.version then
      -- A record that another projection refuses is none that was applied.
      n_repeated = n_repeated + (e.refused and 0 or 1)
    elseif not e.bad and not e.refused then
      row = row and not e.reset and row or { n = 0, seen = 0 }
      rows[e.id] = { n = row.n + e.x, seen = row.seen + 1, version = e.value }
    end
  end
  return rows, n_repeated
end

local function plain(rows)
  local out = {}
  for id, cells in pairs(rows) do
    out[id] = { n = flow.value(cells[1]), seen = flow.value(cells[2]),
      version = flow.value(cells[3]) }
  end
  return out
end

-- All events through batches of [cuts] records each; the rows, and what was left out.
local function apply(batch, events, next_size)
  local rows, at, n_repeated = {}, 1, 0
  while at <= #events do
    local lane = {}
    for i = at, math.min(#events, at + next_size() - 1) do lane[#lane + 1] = event(events[i]) end
    at = at + #lane
    batch:run({ lane }, function() batch:load(0, rows) end)
    batch:store(0, rows)
    n_repeated = n_repeated + C.rows_repeated(batch.c.rows[0])
  end
  return plain(rows), n_repeated
end

local KEYS = { aligned = "{ 'text', from = 'key' }", shared = "{ 'text', from = 'data.id' }" }

for exact, key in pairs(KEYS) do
  describe('once of a fold (' .. exact .. ')', function()
    local batch
    setup(function() batch = batches.open(pipeline(key)) end)
    teardown(function() batch:forget():close() end)

    it('gives the rows of a model for any events in any batches', function()
      assert.are.equal(exact == 'aligned' and C.EXACT_ALIGNED or C.EXACT_SHARED,
        batch.plan.projections[0].exact)
      math.randomseed(71)
      local n_left_out = 0
      for _ = 1, core.rounds(100) do
        local events = random_events(math.random(1, 40))
        local most = math.random(1, 12)
        batch:forget()
        local rows, n_repeated = apply(batch, events, function() return math.random(most) end)
        local want, n = model(events)
        assert.are.same(want, rows)
        assert.are.equal(n, n_repeated)
        n_left_out = n_left_out + n
      end
      assert.is_true(n_left_out > core.rounds(300), n_left_out)
    end)

    it('changes nothing when everything comes again', function()
      math.randomseed(72)
      local events = random_events(60)
      for i = 1, 60 do events[60 + i] = events[i] end
      batch:forget()
      local rows = apply(batch, events, function() return 7 end)
      assert.are.same((model { unpack(events, 1, 60) }), rows)
    end)

    it('sets a record aside that has no version, naming path and column', function()
      batch:forget():run { { '{"id":"a","x":1}', '{"id":"b","x":1,"version":null}',
        '{"id":"c","x":1,"version":3}' } }
      assert.are.equal('FF.', batch:states())
      for i = 0, 1 do
        assert.is_truthy(batch:reason(i):find('sums.version: the event has no data.version', 1,
          true), batch:reason(i))
      end
    end)

    it('sets a record aside whose version does not fit the column', function()
      batch:forget():run { { '{"id":"a","x":1,"version":"new"}', '{"id":"b","x":1,"version":"3.5"}' } }
      assert.are.equal('F.', batch:states())
      assert.is_truthy(batch:reason(0):find('sums.version', 1, true), batch:reason(0))
    end)
  end)
end

local function bundle(projection)
  return bundles.load(bundles.pipeline('projection { ' .. projection .. ' }',
    "kafka { brokers = 'b', group = 'g', topics = { 't' }, format = 'json' }"))
end

local function fold(body, words)
  return bundle(([[table = 'a', key = { id = 'bigint' }, columns = { n = 'bigint', v = 'bigint' },
    once = { v = 'data.v' }, %s on = function(row, event) %s end]]):format(words or '', body))
end

local function one(v, more)
  local data = { id = 1, v = v }
  for name, x in pairs(more or {}) do data[name] = x end
  return { key = 1, data = data }
end

describe('a handler of a fold with once', function()
  local function raises(message, body, words)
    local b = fold(body, words)
    local ok, reason = pcall(b.run, b, { events = { one(1) } })
    assert.is_false(ok)
    assert.is_truthy(reason:find(message, 1, true), reason)
  end

  it('cannot assign the column', function()
    raises("'v' is set by `once`, from the event: do not assign it", 'row.v = 7')
    raises("'v' is set by `once`", 'row.n = 1', 'before_write = function(row) row.v = 1 end,')
  end)
  it('cannot delete the row, which an older event would bring back', function()
    raises('row:delete() cannot be used with `once`', 'row.n = 1 row:delete()')
  end)
  it('sees the version of the last event, also behind row:reset()', function()
    local b = fold('if event.data.v > 5 then row:reset() row.n = row.v else row.n = 1 end')
    assert.are.same({ id = 1, n = 4, v = 6 }, b:run({ events = { one(4), one(6) } }):row('a', 1))
  end)
  it('keeps the version of an event that changes nothing else', function()
    local b = fold('if event.data.x then row.n = (row.n or 0) + event.data.x end')
    local result = b:run { events = { one(1, { x = 1 }), one(3), one(2, { x = 5 }) } }
    assert.are.same({ id = 1, n = 1, v = 3 }, result:row('a', 1))
  end)
  it('makes no row by looking at one that is not there', function()
    local b = fold('if event.data.x then row.n = event.data.x end')
    assert.are.same({}, b:run({ events = { one(9) } }):rows('a'))
    assert.are.same({ id = 1, n = 2, v = 1 }, b:run({ events = { one(1, { x = 2 }) } }):row('a', 1))
  end)
  it('is called for a row whose column is NULL', function()
    local b = fold('row.n = 1')
    local result = b:run { given = { a = { { id = 1 } } }, events = { one(1) } }
    assert.are.same({ id = 1, n = 1, v = 1 }, result:row('a', 1))
  end)
  it('may have versions in the source of a record', function()
    local b = bundles.load(bundles.pipeline([[projection { table = 'a', key = { id = 'bigint' },
      columns = { n = 'bigint', lsn = 'bigint' }, initial = { n = 0 }, once = { lsn = 'source.lsn' },
      on = { u = function(row, event) row.n = row.n + event.data.x end,
        d = function(row) row.n = -1 end } }]],
      "kafka { brokers = 'b', group = 'g', topics = { 't' }, format = 'debezium' }"))
    local function value(op, lsn)
      return { key = '{"id":1}', value = ('{"before":%s,"after":%s,"op":"%s","source":{"lsn":%d}}')
        :format(op == 'd' and '{"id":1}' or 'null', op == 'd' and 'null' or '{"id":1,"x":1}', op, lsn) }
    end
    local events = { value('u', 3), value('u', 5), value('u', 4), value('u', 5), value('d', 4) }
    assert.are.same({ id = 1, n = 2, lsn = 5 }, b:run({ events = events }):row('a', 1))
    assert.are.same({ id = 1, n = -1, lsn = 6 },
      b:run({ events = { value('d', 6), value('u', 5) } }):row('a', 1))
  end)
  it('may have times as versions', function()
    local b = bundle [[table = 'a', key = { id = 'bigint' },
      columns = { n = 'bigint', at = 'timestamptz(3)' }, initial = { n = 0 },
      once = { at = 'data.at' }, on = function(row) row.n = row.n + 1 end]]
    local function at(text) return { key = 1, data = { id = 1, at = text } } end
    local result = b:run { split = true, events = { at '2024-05-01T10:00:00.002Z',
      at '2024-05-01T12:00:00.002+02:00', at '2024-05-01T10:00:00.001Z',
      at '2024-05-01T10:00:00.003Z' } }
    assert.are.equal(2, result:row('a', 1).n)
  end)
end)

describe('once of an append', function()
  local function append(id)
    return bundle([[table = 'a', append = true, columns = { id = 'text', x = 'bigint' }, once = 'id',
      on = function(row, event) row.id, row.x = ]] .. (id or 'event.data.id') .. [[, event.data.x end]])
  end
  local function event_of(id, x) return { data = { id = id, x = x } } end

  it('keeps the first of events that are repeated, in a batch and across batches', function()
    local events = { event_of('a', 1), event_of('b', 2), event_of('a', 3), event_of('c', 4), event_of('b', 5) }
    for _, split in ipairs { true, false } do
      assert.are.same({ { id = 'a', x = 1 }, { id = 'b', x = 2 }, { id = 'c', x = 4 } },
        append():run({ split = split, events = events }):rows('a'))
    end
  end)
  it('wants a value to know a repeated event by', function()
    local result = append('nil'):run { events = { event_of('a', 1) }, dead_letters = 1 }
    assert.are.equal('a.id: the row has no value for it, by which a repeated event is known (once): assign it',
      result.dead_letters[1].reason)
  end)

  local batch
  teardown(function() if batch then batch:forget():close() end end)
  it('sets a record aside that has no such value', function()
    batch = batches.open(bundles.pipeline([[projection { table = 'a', append = true,
      columns = { id = 'text', x = 'bigint' }, once = 'id',
      on = function(row, event) row.id, row.x = event.data.name, event.data.x end }]],
      "kafka { brokers = 'b', group = 'g', topics = { 't' }, format = 'json' }"))
    batch:run { { '{"name":"a","x":1}', '{"x":2}', '{"name":null,"x":3}', '{"name":"b","x":4}' } }
    assert.are.equal('.FF.', batch:states())
    assert.are.equal(C.ERR_DATA, batch:class(1))
  end)
end)
