-- What a batch that is committed adds to the page.
local batches = require 'spec.core.batches'
local metric_table = require 'spec.core.metric_table'
local bundles = require 'spec.unit.bundles'
local ffi = require 'ffi'
local core = require 'spec.core.core'
local C = core.lib

core.headers('flow/show/show.h', 'flow/batch/measure.h', 'flow/rows/table_set.h')

local PIPELINE = bundles.pipeline([[
  projection { table = 'folds', key = { id = 'text' }, columns = { n = 'bigint' },
    on = function(row, event)
      if event.data.x < 0 then error 'bad' end
      row.n = (row.n or 0) + 1
    end },
  projection { table = 'pairs', key = { id = { 'text', from = { 'data.id', 'data.other' } } },
    columns = { n = 'bigint' }, merge = { n = 'sum' }, on = function(row) row.n = 1 end },
  projection { tables = { a = { table = 'as', append = true, columns = { n = 'bigint' } },
    f = { table = 'others', key = { id = 'text' }, columns = { n = 'bigint' } } },
    batch = function(batch, tables)
      for event in batch:events() do tables.a:insert { n = event.data.x } end
    end },
]], "kafka { brokers = 'b', group = 'g', topics = { 't' }, format = 'json' }")

local function event(id, x)
  return ('{"id":"%s","other":"o%s","x":%d}'):format(id, id, x or 1)
end

-- Runs the lanes and counts the batch; each(page, worker) looks at what was counted.
-- [change](batch) before it is committed.
local function committed(lanes, change, each)
  batches.with(PIPELINE, function(batch)
    local page = metric_table.new_page()
    local names = {}
    for i = 0, batch.plan.n_projections - 1 do
      local name = ffi.string(batch.plan.projections[i].table)
      names[i + 1] = name == 'others' and 'folds' or name -- one that two write
    end
    metric_table.name_tables(page, names)
    local show, loop = ffi.new('struct show'), ffi.gc(C.loop_new(), C.loop_free)
    C.show_init(show, page, 1)
    show.loop = loop
    batch:run(lanes)
    batch.c.input.leased_at = C.clock_usec() - 2000000
    if change then change(batch) end
    C.measure_committed(show, batch.c)
    each(page, page.workers[1], batch)
  end)
end

local function counted(page, table)
  for i = 0, page.n_written - 1 do
    if ffi.string(page.written[i].table) == table then return page.written[i].of[1] end
  end
end

local function buckets(times)
  local out = {}
  for i = 0, C.PAGE_BOUNDS - 1 do out[i + 1] = tonumber(times.n[i]) end
  return table.concat(out, ' ')
end

describe('a batch that is committed', function()
  it('tells how old its events are, how long it took, and when', function()
    local now = tonumber(C.wall_usec()) / 1000
    local ages = { [0] = 0, 5000, 30000, 400000, 4000000 }
    committed({ { event 'a', event 'b', event 'c' }, { event 'd', event 'e' } }, function(batch)
      for i = 0, 4 do batch.records[i].time_ms = now - ages[i] end
    end, function(_, worker)
      assert.are.equal(5, tonumber(C.page_times_count(worker.event_ages)))
      -- Whoever runs this is slow at times.
      assert.matches('^%d %d %d %d %d 0 1 1 1 0 1$', buckets(worker.event_ages))
      local sum = tonumber(worker.event_ages.usec) / 1000 - 4435000
      assert.is_true(sum >= -5 and sum < 5000, sum)
      assert.are.equal('0 0 0 0 0 0 0 1 0 0 0', buckets(worker.batches))
      assert.is_true(math.abs(tonumber(worker.committed_ms) - now) < 5000)
    end)
  end)

  it('has no age for a record without a time, and none below 0', function()
    committed({ { event 'a', event 'b', event 'c' } }, function(batch)
      batch.records[0].time_ms, batch.records[1].time_ms = 0, -1
      batch.records[2].time_ms = tonumber(C.wall_usec()) / 1000 + 3600000
    end, function(_, worker)
      assert.are.equal('1 0 0 0 0 0 0 0 0 0 0', buckets(worker.event_ages))
      assert.are.equal(0, tonumber(worker.event_ages.usec))
    end)
  end)

  it('counts events by table: each once, those that are applied', function()
    committed({ { event('a', 1), event('b', -1), event('c', 1), event('b', 2) }, { event 'a' } },
      nil, function(page, worker, batch)
        assert.are.equal('.F.h .', batch:states())
        assert.are.equal(3, tonumber(C.page_times_count(worker.event_ages)))
        assert.are.equal(3, tonumber(counted(page, 'pairs').events))
        assert.are.equal(3, tonumber(counted(page, 'as').events))
        -- Two projections write it.
        assert.are.equal(6, tonumber(counted(page, 'folds').events))
        assert.are.equal(3, page.n_written)
      end)
  end)

  it('counts what stays behind a halt as little as its lane moves over it', function()
    committed({ { event 'a', event 'b', event 'c' }, { event 'd' } }, function(batch)
      batch.leases[0].halt = 1
      C.batch_set_ends(batch.c)
    end, function(page, worker)
      assert.are.equal(2, tonumber(worker.counters[C.COUNT_EVENTS]))
      assert.are.equal(2, tonumber(C.page_times_count(worker.event_ages)))
      assert.are.equal(2, tonumber(counted(page, 'pairs').events))
      assert.are.equal(2, tonumber(counted(page, 'as').events))
    end)
  end)

  it('counts rows by table as the writer did', function()
    committed({ { event 'a' } }, function(batch)
      for i = 0, batch.c.n_rows - 1 do
        batch.c.rows[i].n_written, batch.c.rows[i].n_unchanged = i + 1, 10 * (i + 1)
      end
    end, function(page)
      local sums = {}
      for _, t in ipairs { 'folds', 'pairs', 'as' } do
        local c = counted(page, t)
        sums[#sums + 1] = tonumber(c.written) + tonumber(c.unchanged)
      end
      table.sort(sums)
      assert.are.equal(110, sums[1] + sums[2] + sums[3])
    end)
  end)
end)
