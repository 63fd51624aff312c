-- A worker with two generations: batches of both are under way, each under its own.
local batches = require 'spec.core.batches'
local bundles = require 'spec.unit.bundles'
local flow = require 'spec.core.flow'
local ffi = require 'ffi'
local core = require 'spec.core.core'
local C = core.lib

core.headers('model/page.h', 'postgres/wire/pool.h', 'flow/show/show.h', 'flow/database/database.h',
  'flow/engine/engine.h', 'flow/run/kind.h', 'flow/engine/swap.h', 'postgres/sql/sql.h')
ffi.cdef [[
struct mallinfo2 { size_t arena, ordblks, smblks, hblks, hblkhd, usmblks, fsmblks, uordblks, fordblks, keepcost; };
struct mallinfo2 mallinfo2(void);
]]

local function pipeline(projections, topics, words)
  return "return pipeline { name = 'x', source = kafka { brokers = 'b', group = 'g', topics = { " .. (topics or "'t'")
    .. " }, format = 'json' },\ndatabase = postgres { write = 'host=nowhere' }, " .. (words or '')
    .. ' projections = { ' .. projections .. ' } }'
end

local function fold(table, column, factor)
  return ("projection { table = '%s', key = { id = { 'text', from = 'key' } }, columns = { %s = 'bigint' }, initial = { %s = 0 }, "
    .. 'on = function(row, event) row.%s = row.%s + %d * event.data.x end },'):format(table, column, column, column,
    column, factor)
end

local ONES = fold('t', 'ones', 1)
local THOUSANDS = fold('other', 'n', 1) .. fold('t', 'thousands', 1000)

local kept = {} -- bundles outlive their generations

local function generation(text)
  local bundle = bundles.with({ ['pipeline.lua'] = text }, core.bundle)
  kept[#kept + 1] = bundle
  return batches.generation(bundle)
end

-- A worker without Kafka and database that has begun under this generation.
local function open(first)
  local g, loop, page = ffi.new('struct engine'), C.loop_new(), C.page_new(1)
  C.show_init(g.worker.show, page, 0)
  g.worker.loop, g.worker.now = loop, first
  C.engine_open(g)
  return g, function()
    C.engine_close(g)
    C.loop_free(loop)
    C.page_free(page)
  end
end

local function swaps(g, n)
  local e = ffi.new('struct err')
  return C.engine_swap(g, n, e) or { tonumber(e.class), ffi.string(e.text) }
end

-- A batch of slot [i] over these numbers, under the generation of now.
local function begin(g, i, numbers)
  local b, lane = batches.of(g.run.batches.all + i, g.worker.now), {}
  for k, x in ipairs(numbers) do lane[k] = ('{"id":"a","x":%d}'):format(x) end
  b:begin { lane }
  b.c.kind = C.batch_of_records
  C.run_move(b.c, C.BATCH_DECODING)
  b:decode(1)
  C.batch_keys(b.c)
  return b
end

-- What became of the one row, and of which column.
local function folded(b, projection)
  assert(C.batch_fold(b.c, ffi.new('struct err')))
  local r = b.c.rows[projection or 0]
  return tonumber(flow.value(r.view.cells[1][r.first_row])), ffi.string(r.program.plan.columns[1].name)
end

local function load_text(b, projection)
  return ffi.string(C.program_stmt(b.c.rows[projection or 0].program, C.STATEMENT_LOAD, nil))
end

local function release(b)
  b.c.input.n_leases = 0 -- what becomes of lanes is another's to show
  C.run_release(b.c)
end

local function in_use()
  collectgarbage()
  local m = ffi.C.mallinfo2()
  return tonumber(m.uordblks + m.hblkhd)
end

describe('a worker whose generation is swapped', function()
  it('ends batches under the one that they began with, and begins others under the new one', function()
    local g, close = open(generation(pipeline(ONES)))
    finally(function() close() end)
    local first = begin(g, 0, { 1, 2 })
    assert.is_true(swaps(g, generation(pipeline(THOUSANDS))))
    local second = begin(g, 1, { 1, 2, 3 })
    assert.is_true(g.worker.before == first.c.generation and g.worker.now == second.c.generation)
    assert.are.same({ 1, 2 }, { first.c.n_rows, second.c.n_rows })
    for _ = 1, 2 do -- an attempt, and a retry of it
      assert.are.same({ 3, 'ones' }, { folded(first) })
      assert.are.same({ 6000, 'thousands' }, { folded(second, 1) })
      C.batch_again(first.c)
      C.batch_again(second.c)
    end
    assert.is_truthy(load_text(first):find('"ones"', 1, true))
    assert.is_truthy(load_text(second, 1):find('"thousands"', 1, true))
    -- A slot goes from one to the other, and its rows with it.
    release(first)
    local third = begin(g, 0, { 5 })
    assert.are.same({ 2, 5000, 'thousands' }, { third.c.n_rows, folded(third, 1) })
    release(second)
    release(third)
  end)

  it('learns of tables for each by itself', function()
    local g, close = open(generation(pipeline(ONES)))
    finally(function() close() end)
    local first = begin(g, 0, { 1 })
    C.facts_set_schema(g.worker.now.tables.facts, 0, 'old', 3)
    assert.is_true(swaps(g, generation(pipeline(ONES))))
    local second = begin(g, 1, { 1 })
    C.facts_set_schema(g.worker.now.tables.facts, 0, 'new', 3)
    assert.is_truthy(load_text(first):find('"old"."t"', 1, true))
    assert.is_truthy(load_text(second):find('"new"."t"', 1, true))
    release(second)
    release(first)
  end)

  it('has no more than two, and frees the one before with its last batch', function()
    local g, close = open(generation(pipeline(ONES)))
    finally(function() close() end)
    local bytes
    for round = 1, 6 do
      local held, also = begin(g, 0, { 1 }), begin(g, 1, { 2 })
      assert.is_true(swaps(g, generation(pipeline(round % 2 == 1 and THOUSANDS or ONES))))
      local late = generation(pipeline(ONES))
      assert.are.equal(tonumber(C.ERR_CONFLICT), swaps(g, late)[1])
      C.generation_drop(late)
      release(held)
      assert.are.equal(1, folded(also) / 2)
      assert.is_true(g.worker.before ~= nil)
      release(also)
      assert.is_true(g.worker.before == nil)
      assert.are.equal(1, g.worker.now.n_holders)
      -- With a third round the slots have all that they keep.
      bytes = round == 4 and in_use() or bytes
    end
    assert.is_true(in_use() - bytes < 100000, in_use() - bytes)
  end)

  it('frees it at once when nothing is under way', function()
    local g, close = open(generation(pipeline(ONES)))
    finally(function() close() end)
    local n = g.worker.database.pool ~= nil and g.worker.now.number
    assert.is_true(swaps(g, generation(pipeline(ONES))))
    assert.is_true(g.worker.before == nil and g.worker.now.number > n)
    assert.is_true(g.worker.database.plan == g.worker.now.plan)
  end)

  it('keeps the row cache while the contract is the same', function()
    local g, close = open(generation(pipeline(ONES)))
    finally(function() close() end)
    local key = ffi.new('struct cache_key', { p = 'a', len = 1 })
    key.hash = C.cache_ring_hash(key)
    C.cache_ring_put(g.run.cache, key, 1, 7, 'v', 1, 0)
    local first = begin(g, 0, { 1 })
    assert.is_true(swaps(g, generation(pipeline(fold('t', 'ones', 2)))))
    assert.are.equal(1, g.run.cache.n_entries)
    C.row_cache_begin(first.c)
    assert.is_true(first.c.cached.is_used)
    release(first)
    first = begin(g, 0, { 1 })
    assert.is_true(swaps(g, generation(pipeline(THOUSANDS))))
    assert.are.equal(0, g.run.cache.n_entries)
    C.row_cache_begin(first.c)
    assert.is_false(first.c.cached.is_used)
    release(first)
  end)

  it('keeps its name, its group and its topics', function()
    local g, close = open(generation(pipeline(ONES)))
    finally(function() close() end)
    local now = g.worker.now
    for text, word in pairs {
      [pipeline(ONES, "'t', 'u'")] = 'topics', [pipeline(ONES, "'u'")] = 'topics',
      [pipeline(ONES):gsub("group = 'g'", "group = 'h'")] = 'group', [pipeline(ONES):gsub("name = 'x'", "name = 'y'")] = 'name',
    } do
      local other = generation(text)
      local class, says = unpack(swaps(g, other))
      assert.are.equal(tonumber(C.ERR_CONFIG), class)
      assert.is_truthy(says:find(word .. ': this run has ', 1, true), says)
      assert.is_true(g.worker.now == now and g.worker.before == nil)
      C.generation_drop(other)
    end
  end)
end)
