-- A batch without Kafka and PostgreSQL: what becomes of its records.
local batches = require 'spec.core.batches'
local flow = require 'spec.core.flow'
local bundles = require 'spec.unit.bundles'
local ffi = require 'ffi'
local core = require 'spec.core.core'
local C = core.lib

local FAILURE = ffi.new('struct err')

local PIPELINE = bundles.pipeline([[
  projection { table = 'sums', key = { id = { 'text', from = 'data.id' } },
    columns = { n = 'bigint', list = 'text' }, initial = { n = 0, list = '' },
    on = function(row, event)
      row.list = row.list .. event.data.x .. ' '
      row.n = row.n + event.data.x
      if event.data.bad then error('a bad record') end
    end },
  projection { table = 'log', append = true, columns = { x = 'bigint', k = 'bigint' },
    on = function(row, event) row.x, row.k = event.data.x, event.data.k end },
]], "kafka { brokers = 'b', group = 'g', topics = { 't' }, format = 'json' }")

local Batch = batches.Batch

-- Of the first projection: id -> the values that its row took, in order.
function Batch:sums()
  local view, out = self.c.rows[0].view, {}
  for row = 0, view.n_rows - 1 do
    if view.cells[1][row].tag ~= C.TM_MISSING then
      local list = {}
      for x in flow.value(view.cells[2][row]):gmatch('%S+') do list[#list + 1] = tonumber(x) end
      list.n = flow.value(view.cells[1][row])
      out[flow.value(view.cells[0][row])] = list
    end
  end
  return out
end

-- Of the second one: the values of its rows.
function Batch:log()
  local view, out = self.c.rows[1].view, {}
  for row = 0, view.n_rows - 1 do out[row + 1] = flow.value(view.cells[0][row]) end
  return out
end

local function good(id, x) return ('{"id":"%s","x":%d}'):format(id, x) end
local function bad(id, x) return ('{"id":"%s","x":%d,"bad":true}'):format(id, x) end
-- Refused by the second projection, when the first has taken it.
local function half(id, x) return ('{"id":"%s","x":%d,"k":"no number"}'):format(id, x) end

describe('batch', function()
  local batch
  setup(function() batch = batches.open(PIPELINE) end)
  teardown(function() batch:forget():close() end)
  before_each(function() batch:forget() end)

  -- The row of this id as one that the table holds and no cell can.
  local function not_held(id)
    return function(b)
      local r = b.c.rows[0]
      C.rows_unload(r)
      r.n_known = r.view.n_rows
      for row = 0, r.view.n_rows - 1 do
        if flow.value(r.view.cells[0][row]) == id then
          C.rows_not_held(r, row, 'the table holds NaN')
        end
      end
    end
  end

  it('sets the records aside whose row cannot be loaded, until it can', function()
    local refused = half('c', 5)
    batch:run({ { good('a', 1), good('b', 2), good('a', 3) }, { good('a', 4), refused } },
      not_held 'a')
    assert.are.equal('F.h FF', batch:states())
    assert.are.equal('the table holds NaN', batch:reason(0))
    assert.are.equal(tonumber(C.ERR_DATA), batch:class(0))
    assert.are.same({ b = { 2, n = 2 } }, batch:sums())
    assert.are.same({ 2 }, batch:log())
    -- The same batch again, from a load that went well.
    not_held 'nobody'(batch)
    assert.is_true(C.batch_fold(batch.c, FAILURE))
    assert.are.equal('... .F', batch:states())
    assert.are.same({ a = { 1, 3, 4, n = 8 }, b = { 2, n = 2 } }, batch:sums())
  end)

  it('moves every lane behind its last record when all are good', function()
    batch:run { { good('a', 1), good('b', 2) }, { good('a', 3) } }
    assert.are.equal('105 103', batch:ends())
    assert.are.same({ a = { 1, 3, n = 4 }, b = { 2, n = 2 } }, batch:sums())
    assert.are.same({ 1, 2, 3 }, batch:log())
    assert.are.equal(3, C.batch_moved(batch.c))
  end)

  it('sets a record aside whose handler raised, and moves over it', function()
    batch:run { { good('a', 1), bad('b', 2), good('c', 3) }, { good('a', 4), good('b', 5) } }
    assert.are.equal('107 105', batch:ends())
    assert.are.equal('.F. ..', batch:states())
    assert.are.same({ a = { 1, 4, n = 5 }, b = { 5, n = 5 }, c = { 3, n = 3 } }, batch:sums())
    assert.are.same({ 1, 3, 4, 5 }, batch:log())
    assert.are.equal(C.ERR_SCRIPT, batch:class(1))
    assert.is_truthy(batch:reason(1):find('a bad record', 1, true))
    assert.is_truthy(batch:reason(1):find('pipeline.lua:', 1, true))
  end)

  it('holds later records of the key in the same lane behind it', function()
    batch:run { { bad('a', 1), good('b', 2), good('a', 3), good('a', 4) }, { good('a', 5) } }
    assert.are.equal('F.hh .', batch:states())
    assert.are.equal('109 103', batch:ends())
    assert.are.same({ a = { 5, n = 5 }, b = { 2, n = 2 } }, batch:sums())
    assert.are.equal(102, tonumber(batch.c.failures.letters[2].behind))
  end)

  it('holds a record behind one that the table of dead letters holds', function()
    batch:begin { { good('a', 1), good('b', 2) } }
    C.held_keys_add(batch.lanes[0].keys, 'a', 1, 1, 77)
    batch:decode()
    batch:fold()
    assert.are.equal('h.', batch:states())
    assert.are.equal(77, tonumber(batch.c.failures.letters[0].behind))
  end)

  it('holds keys up to a number of bytes; then the lane halts before one more', function()
    local all_fail = batches.open((PIPELINE:gsub('projections =', 'dead_letters = { max_share = 1 }, %0')))
    finally(function() all_fail:forget():close() end)
    local MOST = 8 * 2 ^ 20
    local pool, lane, n = all_fail.lanes.c.held, all_fail.lanes[0], 0
    pool.most = MOST
    local function key() return ('k'):rep(200) .. n end
    local halt = -1
    while halt < 0 and n < 1e5 do
      local values = { good(key(), 1) }
      for i = 1, 999 do
        n = n + 1
        values[1 + i] = bad(key(), 1)
      end
      all_fail:run { values }
      -- As letters.c does once it is committed.
      for e = 0, #values - 1 do
        local record = all_fail.records[e]
        if all_fail.c.input.events.states[e] == C.TM_EVENT_FAILED then
          C.held_keys_add(lane.keys, record.key, record.key_len, 1, 100 + e)
        end
      end
      lane.n_seen = lane.n_seen + 1e6
      halt = all_fail.leases[0].halt
    end
    assert.are.equal(C.ERR_RESOURCE, tonumber(all_fail.leases[0].halt_class))
    assert.is_truthy(ffi.string(all_fail.leases[0].halt_reason):find('^too many keys wait behind dead letters: '
      .. 'those of this worker\'s lanes take %d+ MiB.*tidemill dlq discard.*lane resume.*a bad record$'))
    assert.is_true(tonumber(pool.bytes) < MOST + 2 ^ 20 + 300 * 1000, tonumber(pool.bytes))
    -- What is held already stays so, and good records go on.
    all_fail:run { { good('x', 1), good(('k'):rep(200) .. 1, 1), good('y', 1) } }
    assert.are.equal('.h.', all_fail:states())
    C.held_keys_forget(lane.keys)
    assert.is_true(tonumber(pool.bytes) < 1024, tonumber(pool.bytes))
    all_fail:run { { good('x', 1), bad('y', 1) } }
    assert.are.equal('.F', all_fail:states())
  end)

  it('keeps nothing of a record that a later projection refused', function()
    batch:run { { good('a', 1), half('a', 2), good('a', 3), good('b', 4) } }
    assert.are.equal('.Fh.', batch:states())
    assert.are.same({ a = { 1, n = 1 }, b = { 4, n = 4 } }, batch:sums())
    assert.are.same({ 1, 4 }, batch:log())
    assert.is_truthy(batch:reason(1):find('log.k', 1, true))
  end)

  it('sets a record aside that cannot be read, or has no key', function()
    batch:run { { good('a', 1), '{"id":', good('a', 2) }, { '{"x":3}' }, { good('a', 4) } }
    assert.are.equal('.F. F .', batch:states())
    assert.are.equal('107 103 103', batch:ends())
    assert.are.same({ a = { 1, 2, 4, n = 7 } }, batch:sums())
    assert.are.equal(C.ERR_DATA, batch:class(1))
    assert.is_truthy(batch:reason(3):find('the key field data.id is missing', 1, true))
  end)

  it('may have no good record at all', function()
    batch:run { { bad('a', 1), good('a', 2) }, { bad('b', 3) } }
    assert.are.equal('Fh F', batch:states())
    assert.are.same({}, batch:sums())
    assert.are.same({}, batch:log())
    assert.are.equal(-1, C.batch_first_good(batch.c))
  end)

  it('folds again from the same state: the same rows', function()
    batch:run { { good('a', 1), good('b', 2), bad('a', 3) } }
    local sums, log, states = batch:sums(), batch:log(), batch:states()
    for _ = 1, 3 do
      C.batch_fold(batch.c, FAILURE)
      assert.are.same({ sums, log, states }, { batch:sums(), batch:log(), batch:states() })
    end
  end)

  it('decodes in slices as it does at once', function()
    local values = {}
    for i = 1, 100 do values[i] = good('a' .. i % 7, i) end
    assert.are.equal(15, batch:begin({ values }):decode(7))
    batch:fold()
    local sums = batch:sums()
    assert.are.same(sums, batch:run({ values }):sums())
    assert.are.same({ 15, 14 }, { #sums.a1, #sums.a3 })
  end)

  it('gives the same states in whatever order failures are found', function()
    local lane = { good('a', 1), good('a', 2), good('b', 3), good('a', 4) }
    local function fail(events)
      batch:begin({ lane }):decode()
      for _, e in ipairs(events) do C.failures_add(batch.c, e, C.ERR_DATA, 'x', 1, -1) end
      C.failures_set_states(batch.c)
      return batch:states()
    end
    assert.are.equal('.F.h', fail { 1, 3 })
    assert.are.equal('.F.h', fail { 3, 1 })
    assert.are.equal('FhFh', fail { 3, 2, 1, 0 })
  end)

  it('moves over tombstones without rows', function()
    batch:begin({ { good('a', 1), good('a', 2) }, { good('b', 3) } })
    batch.records[1].value, batch.records[2].value = nil, nil
    batch:decode()
    batch:fold()
    assert.are.equal('105 103', batch:ends())
    assert.are.same({ a = { 1, n = 1 } }, batch:sums())
  end)

  it('halts a lane of which too many records failed, before the one too many', function()
    local lane, other = {}, {}
    for i = 1, 200 do
      lane[i] = (i > 20 and i <= 80) and bad('k' .. i, i) or good('k' .. i, i)
      other[i] = good('o' .. i, i)
    end
    batch:run { lane, other }
    local limit = batch.plan.dead_letters.max_failed
    assert.are.equal(50, limit)
    assert.are.equal(20 + limit, batch.leases[0].halt)
    assert.are.equal(100 + 2 * (20 + limit) + 1, tonumber(batch.leases[0]['end']))
    assert.are.equal(('.'):rep(20) .. ('F'):rep(limit) .. ('-'):rep(130) .. ' '
      .. ('.'):rep(200), batch:states())
    assert.is_truthy(ffi.string(batch.leases[0].halt_reason):find('of the last 1000', 1, true))
    assert.are.equal(220, #batch:log())
  end)

  it('where none may be set aside halts the lane without counting to zero', function()
    local strict = batches.open((PIPELINE:gsub("name = 'x'", "name = 'x', dead_letters = { max_share = 0 }")))
    strict:run { { good('a', 1), bad('b', 2), good('c', 3) } }
    assert.are.equal('.--', strict:states())
    local reason = ffi.string(strict.leases[0].halt_reason)
    assert.is_truthy(reason:find('the record failed, and max_share of dead_letters lets none be set aside', 1, true), reason)
    assert.is_truthy(reason:find('It failed with: .*a bad record'), reason)
    strict:forget():close()
  end)

  it('with failures in several projections comes to rest in a few runs', function()
    local lane, states = {}, {}
    for i = 1, 1000 do
      local make = i % 40 == 7 and bad or i % 40 == 27 and half or good
      lane[i], states[i] = make('k' .. i, i), make == good and '.' or 'F'
    end
    local before = batch.c.input.view.generation
    batch:run { lane }
    assert.are.equal(table.concat(states), batch:states())
    local runs = batch.c.input.view.generation - before
    assert.is_true(runs <= 6, runs .. ' runs')
  end)

  it('for any records: exactly those are applied that do not fail and are not held', function()
    math.randomseed(23)
    local function damaged(id, x)
      local kinds = { bad(id, x), '{"x":1}', '{"id":"' .. id .. '","x":"no"}', half(id, x),
                      'rubbish', '{"id":"' .. id .. '","x":1,"k":1.5}' }
      return kinds[math.random(#kinds)]
    end
    for _ = 1, core.rounds(300) do
      batch:forget()
      local lanes, sums, log, states = {}, {}, {}, {}
      local share, x = math.random(1, 40), 0
      for lane = 1, math.random(1, 5) do
        local values, part, held = {}, {}, {}
        for i = 1, math.random(1, 40) do
          local id = 'r' .. math.random(6)
          x = x + 1
          local is_bad = math.random(share) == 1
          values[i] = is_bad and damaged(id, x) or good(id, x)
          local key = values[i]:match('"id":"(%w+)"')
          if key and held[key] then
            part[i] = 'h'
          elseif is_bad then
            part[i] = 'F'
            if key then held[key] = true end
          else
            part[i] = '.'
            local row = sums[id] or { n = 0 }
            row[#row + 1], row.n, sums[id] = x, row.n + x, row
            log[#log + 1] = x
          end
        end
        lanes[lane], states[lane] = values, table.concat(part)
      end
      batch:run(lanes)
      assert.are.equal(table.concat(states, ' '), batch:states())
      assert.are.same(sums, batch:sums())
      assert.are.same(log, batch:log())
    end
  end)
end)
