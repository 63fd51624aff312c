-- A truncate of the source: where batches are cut, whom it empties, and where it
-- cannot be applied.
local batches = require 'spec.core.batches'
local bundles = require 'spec.unit.bundles'
local flow = require 'spec.core.flow'
local ffi = require 'ffi'
local core = require 'spec.core.core'
local C = core.lib

local COPY = [[projection { table = 'copy', mirror = true, key = { id = 'text' },
  columns = { x = 'bigint' } },]]

local function pipeline(projections, topics)
  return bundles.pipeline(projections, ("kafka { brokers = 'b', group = 'g', "
    .. "topics = { %s }, format = 'debezium', truncate = 'apply' }"):format(topics or "'t'"))
end

local function row(id, x)
  return ('{"before":null,"after":{"id":"%s","x":%d},"op":"u"}'):format(id, x)
end
local function gone(id) return ('{"before":{"id":"%s"},"after":null,"op":"d"}'):format(id) end
local TRUNCATE = '{"before":null,"after":null,"op":"t"}'

local function reason(batch, lane)
  return ffi.string(batch.leases[lane or 0].halt_reason)
end

describe('a batch with truncates', function()
  local batch
  setup(function() batch = batches.open(pipeline(COPY)) end)
  teardown(function() batch:forget():close() end)
  before_each(function() batch:forget() end)

  local function emptied() return batch.c.rows[0].emptied_by end

  it('ends before a truncate', function()
    batch:run { { row('a', 1), row('b', 2), TRUNCATE, row('c', 3) } }
    assert.are.equal('..--', batch:states())
    assert.are.equal('105', batch:ends())
    assert.are.equal(-1, emptied())
    assert.are.equal(2, C.batch_moved(batch.c))
  end)

  it('ends behind a truncate that it begins with', function()
    batch:run { { TRUNCATE, row('a', 1), TRUNCATE } }
    assert.are.equal('.--', batch:states())
    assert.are.equal('103', batch:ends())
    assert.are.equal(0, emptied())
    assert.are.equal(0, batch.c.rows[0].view.n_rows)
  end)

  it('has two truncates in a row one after the other', function()
    batch:run { { TRUNCATE, TRUNCATE } }
    assert.are.equal('.-', batch:states())
  end)

  it('takes a last truncate without a cut', function()
    batch:run { { TRUNCATE } }
    assert.are.equal('.', batch:states())
    assert.are.equal(-1, batch.leases[0].cut)
  end)

  it('cuts each lane by itself', function()
    batch:run { { row('a', 1), row('b', 2) }, { row('c', 3), TRUNCATE }, { row('d', 4) } }
    assert.are.equal('.. .- .', batch:states())
    assert.are.equal('105 103 103', batch:ends())
  end)

  it('moves over tombstones that come before', function()
    batch:begin { { row('a', 1), TRUNCATE } }
    batch.records[0].value = nil
    batch:decode()
    batch:fold()
    assert.are.equal('s-', batch:states())
    assert.are.equal('103', batch:ends())
  end)

  it('blames no record behind the cut, nor does it hold behind it', function()
    batch:run { { row('a', 1), TRUNCATE, 'rubbish', '{"op":"u","after":{"id":"a","x":"no"}}', row('a', 2) } }
    assert.are.equal('.----', batch:states())
    assert.are.equal(-1, batch.leases[0].halt)
  end)

  it('sets records aside before the cut', function()
    batch:run { { row('a', 1), '{"op":"u","after":{"id":"b","x":"no"}}', row('b', 2), TRUNCATE } }
    assert.are.equal('.Fh-', batch:states())
    assert.are.equal('107', batch:ends())
  end)

  it('halts where the topic has more than one partition', function()
    batch:begin({ { TRUNCATE, row('a', 1) } }):decode()
    C.truncate_check(batch.c, batch.leases[0], 2)
    batch:fold()
    assert.are.equal('--', batch:states())
    assert.are.equal(0, batch.leases[0].halt)
    assert.are.equal(C.ERR_CONFIG, tonumber(batch.leases[0].halt_class))
    assert.is_truthy(reason(batch):find('copy: the source table was truncated, but its topic has 2 partitions', 1, true))
  end)

  it('halts while earlier records wait as dead letters', function()
    batch:begin({ { TRUNCATE } })
    batch.lanes[0].letters.n = 3
    batch:decode()
    C.truncate_check(batch.c, batch.leases[0], 1)
    batch:fold()
    assert.are.equal('-', batch:states())
    assert.is_truthy(reason(batch):find('3 earlier records wait as dead letters', 1, true))
  end)

  it('is never held, whatever its key', function()
    batch:begin({ { TRUNCATE } })
    C.held_keys_add(batch.lanes[0].keys, 'a', 1, 1, 77)
    batch.records[0].key, batch.records[0].key_len = core.bytes('a')
    batch:decode()
    batch.lanes[0].letters.n = 1
    C.truncate_check(batch.c, batch.leases[0], 1)
    batch:fold()
    assert.are.equal('-', batch:states())
    assert.are.equal(0, batch.leases[0].halt)
  end)

  it('goes on where nothing stands in the way', function()
    batch:begin({ { TRUNCATE } }):decode()
    C.truncate_check(batch.c, batch.leases[0], 1)
    batch:fold()
    assert.are.equal('.', batch:states())
  end)

  -- The rows of `copy` as PostgreSQL would have them behind each batch.
  local function write(rows)
    local r = batch.c.rows[0]
    if r.emptied_by >= 0 then
      assert(r.view.n_rows == 0)
      for id in pairs(rows) do rows[id] = nil end
    end
    for i = 0, r.view.n_rows - 1 do
      local flags, id = r.view.flags[i], flow.value(r.view.cells[0][i])
      if bit.band(flags, C.TM_ROW_TOUCHED) ~= 0 then
        local is_there = bit.band(flags, C.TM_ROW_EXISTS) ~= 0
        rows[id] = is_there and flow.value(r.view.cells[1][i]) or nil
      end
    end
  end

  it('for any records and any batches leaves what one record after the other leaves', function()
    math.randomseed(41)
    local n_cuts = 0
    for _ = 1, core.rounds(200) do
      local values, want = {}, {}
      for i = 1, math.random(1, 60) do
        local id, dice = 'k' .. math.random(5), math.random(10)
        if dice == 1 then
          values[i], want = TRUNCATE, {}
        elseif dice == 2 then
          values[i], want[id] = gone(id), nil
        else
          values[i], want[id] = row(id, i), i
        end
      end
      local rows, at, n_batches = {}, 1, 0
      while at <= #values do
        local size = math.random(1, 20)
        batch:forget():run { { unpack(values, at, math.min(#values, at + size - 1)) } }
        local moved = C.batch_moved(batch.c)
        assert.is_true(moved > 0)
        n_cuts = n_cuts + (batch.leases[0].cut >= 0 and 1 or 0)
        write(rows)
        at, n_batches = at + moved, n_batches + 1
      end
      assert.are.same(want, rows)
    end
    assert.is_true(n_cuts > core.rounds(200), n_cuts)
  end)
end)

describe('a truncate', function()
  local batch
  after_each(function() batch:forget():close() end)

  local function run(projections, values, topics)
    batch = batches.open(pipeline(projections, topics))
    return batch:run { values or { TRUNCATE } }
  end
  local function halts(projections, words, topics)
    run(projections, nil, topics)
    assert.are.equal('-', batch:states())
    assert.is_truthy(reason(batch):find(words, 1, true), reason(batch))
  end

  it('empties a map too', function()
    run [[projection { table = 'm', key = { id = 'text' }, columns = { x = 'bigint' },
      map = function(row, event) row.x = event.data.x end },]]
    assert.are.equal('.', batch:states())
    assert.are.equal(0, batch.c.rows[0].emptied_by)
  end)

  it('halts the lane where a fold reads the topic', function()
    halts(COPY .. [[projection { table = 'sums', key = { id = 'text' }, columns = { n = 'bigint' },
      on = function(row) row.n = (row.n or 0) + 1 end },]],
      'sums: the source table was truncated, and what this fold made of its rows cannot be taken back')
  end)

  it('halts the lane where a merge reads the topic', function()
    halts([[projection { table = 'n', key = { id = 'text' }, columns = { n = 'bigint' },
      merge = { n = 'sum' }, on = function(row) row.n = 1 end },]], 'what this merge made of its rows')
  end)

  it('does not matter to what ignores it', function()
    run(COPY .. [[projection { table = 'sums', key = { id = 'text' }, columns = { n = 'bigint' },
      on = { u = function(row) row.n = (row.n or 0) + 1 end }, ignore = { 't' } },
      projection { table = 'more', key = { id = 'text' }, columns = { n = 'bigint' },
        on = function(row) row.n = (row.n or 0) + 1 end, ignore = { 't' } },
      projection { table = 'kept', mirror = true, key = { id = 'text' }, columns = { x = 'bigint' },
        ignore = { 't' } },]])
    assert.are.equal('.', batch:states())
    assert.are.equal(0, batch.c.rows[0].emptied_by)
    for i = 1, 3 do
      assert.are.equal(-1, batch.c.rows[i].emptied_by)
      assert.are.equal(0, batch.c.rows[i].view.n_pairs)
    end
  end)

  it('halts the lane where several topics feed the table', function()
    halts([[projection { table = 'm', key = { id = { 'text', from = 'data.id' } }, newer = 'x',
      columns = { x = 'bigint' }, topics = { 't', 'j' },
      on = { u = function(row, event) row.x = event.data.x end, d = function(row) row.x = 1 end },
      map = true },]], 'm: a source table was truncated, but several topics feed this one', "'t', 'j'")
  end)

  it('is an event for an append that has a handler for it', function()
    run([[projection { table = 'log', append = true, columns = { op = 'text' },
      on = { t = function(row, event) row.op = event.op end } },]], { TRUNCATE, row('a', 1) })
    assert.are.equal('.-', batch:states())
    assert.are.equal(1, batch.c.rows[0].view.n_rows)
    assert.are.equal('t', flow.value(batch.c.rows[0].view.cells[0][0]))
  end)

  it('passes an append by that has none', function()
    run([[projection { table = 'log', append = true, columns = { op = 'text' },
      on = { u = function(row, event) row.op = event.op end } },]])
    assert.are.equal('.', batch:states())
    assert.are.equal(0, batch.c.rows[0].view.n_rows)
  end)

  it('that a handler refuses halts the lane, and is never set aside', function()
    run(COPY .. [[projection { table = 'log', append = true, columns = { op = 'text' },
      on = { t = function() error('not that') end } },]])
    assert.are.equal('-', batch:states())
    assert.are.equal('100', batch:ends())
    assert.is_truthy(reason(batch):find('not that', 1, true))
  end)

  it('halts the lane as long as nobody said that it is to be applied', function()
    batch = batches.open((pipeline(COPY):gsub(", truncate = 'apply'", '')))
    batch:run { { row('a', 1), TRUNCATE, row('b', 1) } }
    assert.are.equal('.--', batch:states())
    assert.is_truthy(reason(batch):find('a truncate is not applied by itself', 1, true))
  end)
end)

describe('a truncate in tidemill test', function()
  local function bundle(projections) return bundles.load(pipeline(projections)) end
  local function upsert(id, x) return { key = id, op = 'u', after = { id = id, x = x } } end

  it('empties the table between the events around it', function()
    for _, split in ipairs { true, false } do
      local result = bundle(COPY):run { given = { copy = { { id = 'z', x = 1 } } }, split = split,
        events = { upsert('a', 1), { op = 't' }, upsert('b', 2), upsert('b', 3) } }
      assert.are.same({ { id = 'b', x = 3 } }, result:rows('copy'))
    end
  end)

  it('fails where a run would halt', function()
    local b = bundle [[projection { table = 'sums', key = { id = 'text' }, columns = { n = 'bigint' },
      on = function(row) row.n = 1 end },]]
    local ok, why = pcall(b.run, b, { events = { { op = 't' } } })
    assert.is_false(ok)
    assert.is_truthy(why:find('what this fold made of its rows cannot be taken back', 1, true), why)
  end)
end)
