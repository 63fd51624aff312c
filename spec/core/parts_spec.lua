-- Projections that write other columns of one table each: what they leave is what each
-- of them would leave in a table of its own, side by side, in any batches.
local bundles = require 'spec.unit.bundles'
local core = require 'spec.core.core'

local SOURCE = "kafka { brokers = 'b', group = 'g', topics = { 't', 'u' }, format = 'json' }"
local HEAD = "projection { table = 'a', topics = { '%s' }, key = { id = 'text' }, %s }"

local function load(...)
  local list = {}
  for i, words in ipairs { ... } do list[i] = HEAD:format(i == 1 and 't' or 'u', words) end
  return bundles.load(bundles.pipeline(table.concat(list, ',\n'), SOURCE))
end

local function refused(...)
  local list = {}
  for i, words in ipairs { ... } do list[i] = HEAD:format(i == 1 and 't' or 'u', words) end
  return bundles.refusal(bundles.pipeline(table.concat(list, ',\n'), SOURCE))
end

local FOLD = [[columns = { n = 'bigint', s = 'text' }, initial = { n = 10 }, on = function(row, event)
  if not row.exists then row.s = 'new' end
  row.n = row.n + event.data.x
end]]
local NEXT = {
  fold = { [[columns = { m = 'bigint', seen = 'boolean' }, initial = { m = 5 }, on = function(row, event)
      row.m, row.seen = row.m - event.data.x, row.exists
    end]], function(row, x) row.m, row.seen = (row.m or 5) - x, row.m ~= nil end },
  map = { [[columns = { m = 'bigint' }, map = function(row, event) row.m = event.data.x end]],
    function(row, x) row.m = x end },
  mirror = { [[columns = { x = 'bigint' }, ignore = { 'd' }, mirror = true]], function(row, x) row.x = x end },
  merge = { [[columns = { m = 'bigint' }, merge = { m = 'sum' }, on = function(row, event) row.m = event.data.x end]],
    function(row, x) row.m = (row.m or 0) + x end },
}

describe('a fold and another projection of its table', function()
  for name, other in pairs(NEXT) do
    it('leave the rows of a model in any batches: ' .. name, function()
      math.randomseed(3)
      local b = load(FOLD, other[1])
      for _ = 1, core.rounds(30) do
        local model, events, result = {}, {}, nil
        for i = 1, math.random(20) do
          local id, x, topic = 'k' .. math.random(4), math.random(9), math.random(2) == 1 and 't' or 'u'
          events[i] = { topic = topic, key = id, data = { id = id, x = x } }
          model[id] = model[id] or { id = id }
          if topic == 'u' then
            other[2](model[id], x)
          else
            model[id].n, model[id].s = (model[id].n or 10) + x, 'new'
          end
        end
        local at = 1
        b:reset()
        while at <= #events do
          local size = math.random(6)
          result = b:run { events = { unpack(events, at, math.min(#events, at + size - 1)) } }
          at = at + size
        end
        local rows = {}
        for _, row in pairs(model) do rows[#rows + 1] = row end
        table.sort(rows, function(x, y) return x.id < y.id end)
        assert.are.same(rows, result:rows('a'))
      end
    end)
  end
  it('begins with initial in a row that is given for others alone', function()
    local result = load(FOLD, NEXT.map[1]):run { given = { a = { { id = 'k', m = 3 }, { id = 'l', n = 1 } } },
      events = { { topic = 't', key = 'k', data = { x = 1 } }, { topic = 't', key = 'l', data = { x = 1 } } } }
    assert.are.same({ { id = 'k', n = 11, s = 'new', m = 3 }, { id = 'l', n = 2 } }, result:rows('a'))
  end)
  it('cannot leave a row without a value in its columns, or delete it', function()
    local b = load("columns = { n = 'bigint' }, on = function(row) row.n = nil end", NEXT.map[1])
    local kept, reason = pcall(b.run, b, { events = { { topic = 't', key = 'k', data = {} } } })
    assert.is_false(kept)
    assert.is_truthy(reason:find('a: the row has no value in any column of this projection, so that it could not be '
      .. 'told from one that another projection made: assign one of them', 1, true), reason)
    b = load("columns = { n = 'bigint' }, on = function(row) row:delete() end", NEXT.map[1])
    local ok, why = pcall(b.run, b, { events = { { topic = 't', key = 'k', data = {} } } })
    assert.is_false(ok)
    assert.matches("row:delete%(%) cannot be used here: another projection writes other columns of 'a'", why)
  end)
  it('cannot do so between two events of a batch either', function()
    local b = load([[columns = { n = 'bigint', s = 'text' }, on = function(row, event) row.n, row.s = event.data.x, nil end]],
      NEXT.map[1])
    local events = {}
    for i, x in ipairs { 1, false, 3 } do
      events[i] = { topic = 't', key = 'k', data = { x = x or nil } }
    end
    for _, split in ipairs { true, false } do
      b:reset()
      local result = b:run { events = events, split = split, dead_letters = 2 }
      assert.are.same({ { id = 'k', n = 1 } }, result:rows('a'))
    end
  end)
  it('is not aligned and not cached', function()
    local plan = load(FOLD, NEXT.map[1]).plan
    local first, last = plan.projections[1], plan.projections[2]
    assert.are.same({ 'shared', false, true, -1 }, { first.exact, first.is_cached, first.is_part, first.part_of })
    assert.are.same({ true, 0 }, { last.is_part, last.part_of })
  end)
end)

describe('two projections of one table', function()
  local function says(words, ...)
    local said = refused(...)
    assert.is_truthy(tostring(said):find(words, 1, true), said)
  end
  it('are refused where they cannot both own their part of a row', function()
    says("which writes the column 'n', too: name columns of its own, or make one projection with the handlers of both",
      FOLD, "columns = { m = 'text', n = 'bigint' }, map = function() end")
    says("whose columns a delete of the source would take away: write ignore = { 'd' }", FOLD,
      "columns = { m = 'text' }, mirror = true")
    says('and there is no column that it alone writes', FOLD, 'columns = {}, map = function() end')
    says('both have to say unlogged', FOLD, "columns = { m = 'text' }, unlogged = true, map = function() end")
    says('its rows cannot be cached', FOLD .. ', cache = true', "columns = { m = 'text' }, map = function() end")
    local other = bundles.refusal(bundles.pipeline(HEAD:format('t', FOLD) .. ", projection { table = 'a', "
      .. "key = { id = { 'bigint', from = 'data.x' } }, columns = { m = 'text' }, map = function() end, topics = { 'u' }, newer = 'm' }",
      SOURCE))
    assert.matches("whose key is id = 'text': projections of one table have the same key", other)
  end)
  it('may be three', function()
    assert.is_nil(refused(FOLD, "columns = { m = 'text' }, map = function() end",
      "columns = { k = 'text' }, map = function() end"))
  end)
end)
