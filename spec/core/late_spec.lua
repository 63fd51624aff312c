-- A run over a batch that takes too long: the supervisor's question ends it before its
-- next event, in every loop that calls a script, compiled as it is.
local batches = require 'spec.core.batches'
local bundles = require 'spec.unit.bundles'
local ffi = require 'ffi'
local core = require 'spec.core.core'
local C = core.lib

core.headers('flow/batch/poison.h', 'flow/batch/lease.h', 'flow/batch/measure.h', 'flow/run/isolate.h',
  'flow/run/kind.h', 'flow/run/run.h', 'flow/run/transact.h')
ffi.cdef [[
int fork(void);
int waitpid(int, int *, int);
int kill(int, int);
int usleep(unsigned);
void _exit(int);
]]
local USR1, N = 10, 1000

-- [more] stands in the projection, whose handler or function calls slow().
local function pipeline(more)
  return ([[
local function slow()
  local x = 0
  for i = 1, 1e6 do x = (x + i) %% 7 end
  return x - x
end
]] .. bundles.pipeline('projection { %s }', "kafka { brokers = 'b', group = 'g', topics = { 't' }, format = 'json' }"))
    :format(more)
end

local function records(n)
  local list = {}
  for i = 1, n do list[i] = ('{"id":"k%d","x":%d}'):format(i, i) end
  return { list }
end

-- In a child that is asked again and again: how its run over [n] records ended,
-- 'late' or 'whole', at which of them it was asked, and at which it ended (-1: it left
-- its loop).
local function run(more, n)
  local page = ffi.gc(C.page_new(1), C.page_free)
  local batch = batches.open(pipeline(more))
  local pid = C.fork()
  if pid == 0 then
    C.poison_watch(page, 0)
    local e = ffi.new('struct err')
    batch:begin(records(n)):decode()
    C.poison_scripts_begin(batch.c)
    page.workers[0].is_ready = 1
    C.batch_keys(batch.c)
    C.batch_try(batch.c)
    local ok = batch.c.input.view.is_late == 0 and C.batch_fold(batch.c, e)
    page.lanes[0].position, page.lanes[0].high = batch.c.scripts.late_at, batch.c.input.view.current
    C._exit(batch.c.input.view.is_late ~= 0 and 2 or ok and 1 or 3)
  end
  while page.workers[0].is_ready == 0 do C.usleep(1000) end
  local status = ffi.new('int[1]')
  while C.waitpid(pid, status, 1) == 0 do
    C.usleep(20000)
    C.kill(pid, USR1)
  end
  batch:forget():close()
  return ({ 'whole', 'late' })[bit.rshift(status[0], 8)], tonumber(page.lanes[0].position), tonumber(page.lanes[0].high)
end

local COLUMNS = "columns = { n = 'bigint' }"
local KEY = "key = { id = { 'text', from = 'data.id' } }, " .. COLUMNS
local LOOP = "tables = { q = { " .. KEY .. " } }, batch = function(batch, tables) %s end"
local kinds = {
  fold = "table = 'q', initial = { n = 0 }, " .. KEY .. ", on = function(row, event) row.n = row.n + event.data.x + slow() end",
  presence = "table = 'q', key = { id = { 'text', from = 'data.id' } }, columns = {}, on = function(row, event) slow() end",
  once = "table = 'q', once = { v = 'data.x' }, initial = { n = 0 }, key = { id = { 'text', from = 'data.id' } }, "
    .. "columns = { n = 'bigint', v = 'bigint' }, on = function(row, event) row.n = row.n + slow() end",
  ['map, newer'] = "table = 'q', newer = 'n', " .. KEY .. ", map = function(row, event) row.n = event.data.x + slow() end",
  merge = "table = 'q', key = { id = { 'text', from = 'data.id' } }, columns = { n = 'bigint' }, merge = { n = 'sum' }, "
    .. "on = function(row, event) row.n = event.data.x + slow() end",
  append = "table = 'q', append = true, " .. COLUMNS .. ", on = function(row, event) row.n = event.data.x + slow() end",
  before_write = "table = 'q', " .. KEY .. ", on = function(row, event) row.n = event.data.x end, "
    .. 'before_write = function(row) row.n = row.n + slow() end',
  ['a function for keys'] = "table = 'q', key = { id = { 'text', from = function(event) return event.data.id .. slow() end } }, "
    .. COLUMNS .. ', on = function(row, event) row.n = 1 end',
  ['a function over events'] = LOOP:format 'for event, row in tables.q:events() do row.n = event.data.x + slow() end',
  ['a function over all events'] = LOOP:format 'for event in batch:events() do tables.q:row(event.data.id).n = slow() end',
  ['a function over rows'] = LOOP:format 'for row, events in tables.q:groups() do for event in events do row.n = event.data.x + slow() end end',
}

describe('a run over a batch that is late', function()
  for name, more in pairs(kinds) do
    it('ends before its next event: ' .. name, function()
      local how, at, ended = run(more, N)
      assert.are.equal('late', how)
      assert.is_true(at < N - 1 and ended <= at + 1, at .. ' ' .. ended)
    end)
  end
  it('ends as a whole when it is over one record', function()
    for _, name in ipairs { 'fold', 'map, newer', 'a function for keys', 'a function over rows' } do
      assert.are.equal('whole', (run(kinds[name], 1)), name)
    end
  end)
end)

describe('a batch that is late', function()
  -- Its lanes have [sizes] records each; its run was asked at [event], in the projection
  -- of that number. What the lanes may have in their next batches.
  local function most(sizes, event, projection, is_retry, give_up)
    local runs, worker = ffi.new('struct run'), ffi.new('struct worker')
    local page = ffi.gc(C.page_new(1), C.page_free)
    local loop = C.loop_new()
    for _, name in ipairs { 'free', 'ready' } do
      local head = runs.batches[name].head
      head.prev, head.next = head, head
    end
    C.show_init(worker.show, page, 0)
    runs.worker, worker.idle = worker, C.loop_idle_new(loop, nil, nil)
    local batch = batches.open(pipeline(kinds.fold .. ' }, projection { ' .. kinds.append:gsub("'q'", "'p'")))
    local lanes = {}
    for i, n in ipairs(sizes) do
      lanes[i] = records(n)[1]
      C.lane_lease(batch.lanes[i - 1])
    end
    batch:begin(lanes)
    for i = 0, #sizes - 1 do C.show_lane(worker.show, batch.lanes[i]) end
    local b = batch.c
    b.run, b.state, b.scripts.late_at, b.scripts.projection = runs, C.BATCH_READY, event, projection
    b.kind = is_retry and C.batch_of_letters or C.batch_of_records
    runs.batches.ready.head.prev, runs.batches.ready.head.next, runs.batches.ready.n = b.link, b.link, 1
    b.link.prev, b.link.next = runs.batches.ready.head, runs.batches.ready.head
    b.input.view.is_late = 1
    give_up = give_up or C.isolate_over
    C.transact_go(b, give_up(b))
    assert.are.same({ tonumber(C.BATCH_FREE), 0 }, { tonumber(b.state), b.input.n_leases })
    local list = {}
    for i = 1, #sizes do
      list[i] = batch.lanes[i - 1].most
      assert.are.equal(list[i], C.page_lane(page, 't', i - 1).most)
    end
    local retry = batch.lanes[0].letters.retry_most
    C.loop_idle_free(worker.idle)
    C.loop_free(loop)
    batch:forget():close()
    return list, retry
  end
  it('gives its lanes what there was time for, and a lane that was alone half of that', function()
    assert.are.same({ 100 }, (most({ 1000 }, 400, 0))) -- a fifth of two projections
    assert.are.same({ 350 }, (most({ 1000 }, 400, 1)))
    assert.are.same({ 120, 80 }, (most({ 600, 400 }, 400, 0)))
    assert.are.same({ 1 }, (most({ 2 }, 1, 1)))
    assert.are.same({ 1 }, (most({ 1000 }, -1, -1)))
  end)
  it('gives half to a lane that halts early, since the records behind were loaded too', function()
    assert.are.same({ 500 }, (most({ 1000 }, 0, 0, false, function(b)
      b.input.leases[0].halt = 1
      return C.isolate_narrow(b, ffi.new('struct err')) -- the one before is not to blame
    end)))
  end)
  it('takes fewer dead letters at once, and nothing from the lane', function()
    local list, retry = most({ 50 }, 3, 0, true)
    assert.are.same({ { 0 }, 25 }, { list, retry })
  end)
end)

describe('the pace of a batch', function()
  it('is that of its longest step', function()
    local show, page, b = ffi.new('struct show'), ffi.gc(C.page_new(1), C.page_free), ffi.new('struct batch')
    C.show_init(show, page, 0)
    local function step(seconds)
      C.measure_step(show, b, C.STAGE_LUA, C.clock_usec() - seconds * 1e6)
      return tonumber(b.scripts.pace)
    end
    assert.are.same({ tonumber(C.BATCH_QUICK), tonumber(C.BATCH_SLOW), tonumber(C.BATCH_TOO_SLOW), tonumber(C.BATCH_TOO_SLOW) },
      { step(2), step(3), step(6), step(1) })
    assert.is_true(page.workers[0].heartbeat_usec > 0)
  end)
end)
