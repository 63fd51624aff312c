-- The page that workers write and the supervisor reads; the lists of batches.
local ffi = require 'ffi'
local flow = require 'spec.core.flow'
local core = require 'spec.core.core'
local C = core.lib

core.headers('flow/engine/engine.h', 'flow/show/show.h', 'flow/database/database.h')
ffi.cdef [[
typedef int pid_t;
int fork(void);
int waitpid(int, int *, int);
void _exit(int);
]]
core.headers('supervise/slot.h')

local function new_page() return ffi.gc(C.page_new(2), C.page_free) end

describe('page', function()
  it('has one entry a lane, made when it is first asked for', function()
    local page = new_page()
    local a = C.page_lane(page, 'orders', 0)
    local b = C.page_lane(page, 'orders', 1)
    assert.are.equal(3, (function()
      C.page_lane(page, 'order', 0)
      return page.n_lanes
    end)())
    assert.is_true(C.page_lane(page, 'orders', 0) == a and C.page_lane(page, 'orders', 1) == b)
    assert.are.equal(3, page.n_lanes)
    assert.are.same({ 'orders', 1, -1, -1, tonumber(C.PAGE_LANE_UNOWNED) },
      { ffi.string(b.topic), b.partition, b.worker, tonumber(b['end']), tonumber(b.state) })
  end)

  it('says no when it is full, and still finds what it has', function()
    local page = new_page()
    for i = 0, C.PAGE_LANES - 1 do assert(C.page_lane(page, 't', i) ~= nil) end
    assert.is_true(C.page_lane(page, 't', C.PAGE_LANES) == nil)
    assert.is_true(C.page_lane(page, 't', C.PAGE_LANES - 1) == page.lanes + C.PAGE_LANES - 1)
  end)

  -- Of all lanes by number, each process in an order of its own.
  local function ask_for_all(page, n, by)
    for i = 0, n - 1 do
      local partition = i * by % n
      local lane = C.page_lane(page, 't', partition)
      if lane ~= nil and lane.partition ~= partition then return false end
    end
    return true
  end

  it('gives each of several processes that add lanes at once the lane that it asked for', function()
    local page, pids = new_page(), {}
    for n, by in ipairs { 1, 7, 4001, 29989 } do
      pids[n] = C.fork()
      if pids[n] == 0 then C._exit(ask_for_all(page, 30000, by) and 0 or 1) end
    end
    local status = ffi.new 'int[1]'
    for _, pid in ipairs(pids) do
      C.waitpid(pid, status, 0)
      assert.are.equal(0, status[0])
    end
    assert.is_true(ask_for_all(page, 30000, 1))
    assert.are.equal(30000, page.n_lanes)
  end)

  it('adds no lane while another process that adds one is stopped, and waits for it once', function()
    local page, before = new_page(), C.clock_usec()
    local known = C.page_lane(page, 't', 0)
    page.lock = 4711
    for i = 1, 1000 do assert.is_true(C.page_lane(page, 't', i) == nil) end
    assert.is_true(C.page_lane(page, 't', 0) == known)
    assert.is_true(C.clock_usec() - before < 30e6) -- each time it would be 100 s
    assert.are.same({ 1, 4711 }, { page.n_lanes, page.lock })
    C.page_unlock(page, 4712)
    assert.are.equal(4711, page.lock)
    C.page_unlock(page, 4711)
    assert.is_true(C.page_lane(page, 't', 1) ~= nil)
    assert.are.equal(0, page.lock)
  end)

  it('is free again when the supervisor has seen the end of who had it', function()
    local page, slot = new_page(), ffi.new('struct slot')
    slot.number, page.workers[1].pid, page.lock = 1, 4711, 4711
    C.slot_clear_page(slot, page)
    assert.is_true(C.page_lane(page, 't', 0) ~= nil)
  end)
end)

local function shown_by(page, slot)
  local show = ffi.new('struct show')
  C.show_init(show, page, slot)
  return show
end

-- A lane that the page knows.
local function lane_with(fields)
  local page = new_page()
  local show, lanes = shown_by(page, 1), flow.lanes { fields }
  C.show_lane(show, lanes[0])
  return { show = show, page = page, lanes = lanes, c = lanes[0], entry = page.lanes[0] }
end

describe('the bound of a lane whose batch took too much', function()
  it('is known to its next worker', function()
    local page = new_page()
    local function of(slot, most)
      local show, lanes = shown_by(page, slot), flow.lanes { { most = most } }
      C.show_lane(show, lanes[0])
      return show, lanes
    end
    local show, lanes = of(0, 0)
    lanes[0].most = 40
    C.show_lane(show, lanes[0])
    C.show_lost(show, lanes[0])
    local _, next_lanes = of(1, 0)
    assert.are.equal(40, next_lanes[0].most)
  end)
end)

describe('a lane in the page', function()
  it('shows where it stands and who owns it', function()
    local lane = lane_with { position = 7, epoch = 3, kafka = { high = 9 } }
    assert.are.same({ 1, 7, 9, 3, tonumber(C.PAGE_LANE_RUNNING) },
      { lane.entry.worker, tonumber(lane.entry.position), tonumber(lane.entry.high),
        lane.entry.epoch, tonumber(lane.entry.state) })
    C.show_lost(lane.show, lane.c)
    assert.are.same({ -1, tonumber(C.PAGE_LANE_UNOWNED) },
      { lane.entry.worker, tonumber(lane.entry.state) })
  end)

  it('is not given up by a worker that does not own it any more', function()
    local lane = lane_with { position = 7 }
    lane.entry.worker = 0
    C.show_lost(lane.show, lane.c)
    assert.are.equal(0, lane.entry.worker)
  end)

  it('has reached its end by its position, or by the end of the partition', function()
    local cases = {
      -- end, position, eof, fetched, records in the inbox, leased: reached?
      { -1, 50, -1, 50, 0, false, 0, 'the end is not known' },
      { 50, 49, -1, 50, 0, false, 0, 'one record is left' },
      { 50, 50, -1, 50, 0, false, 1 },
      { 50, 60, -1, 60, 5, true, 1, 'what came after the end does not count' },
      { 0, 0, -1, 0, 0, false, 1, 'an empty partition' },
      { 50, 48, 50, 48, 0, false, 1, 'control records move no position' },
      { 50, 48, 49, 48, 0, false, 0, 'EOF was seen before the end' },
      { 50, 48, 50, 49, 1, false, 0, 'a record waits' },
      { 50, 48, 50, 49, 0, true, 0, 'a batch holds the last records' },
      { 50, 48, 50, 51, 0, false, 0, 'read on since EOF was seen' },
    }
    for i, case in ipairs(cases) do
      local lane = lane_with { position = case[2], kafka = { eof = case[3], fetched = case[4] },
                                 count = case[5], state = case[6] and 'LEASED' or nil }
      lane.entry['end'] = case[1]
      C.show_lane(lane.show, lane.c)
      assert.are.equal(case[7], lane.entry.reached, case[8] or 'case ' .. i)
    end
  end)
end)

describe('a lane that may be stale', function()
  it('has not reached its end before its anchor was compared', function()
    local function reached(fields)
      local lane = lane_with { position = 50, kafka = { high = 50 } }
      lane.entry['end'] = 50
      for name, value in pairs(fields) do lane.c.kafka[name] = value end
      C.show_lane(lane.show, lane.c)
      return lane.entry.reached
    end
    assert.are.equal(1, reached {})
    assert.are.equal(0, reached { is_checking = true, check_until = 2 ^ 63 })
    assert.are.equal(1, reached { is_checking = true, check_until = 1 })
    assert.are.equal(0, reached { is_replaced = true })
  end)

  it('whose partition is gone is shown once, until a person lets it go', function()
    local lane = lane_with { position = 7 }
    local function state()
      local e = lane.entry
      return { tonumber(e.state), e.worker, tonumber(e.position), ffi.string(e.message),
               e.reached, e.halted_since > 0 }
    end
    assert.is_true(C.show_gone(lane.entry, 9, 'gone'))
    assert.is_false(C.show_gone(lane.entry, 9, 'gone'))
    assert.are.same({ tonumber(C.PAGE_LANE_HALTED), -1, 9, 'gone', 0, true }, state())
    C.show_let_go(lane.entry)
    assert.are.same({ tonumber(C.PAGE_LANE_UNOWNED), -1, 9, '', 1, true }, state())
    assert.is_false(C.show_gone(nil, 9, 'gone'))
  end)
end)

describe('batches_move', function()
  it('keeps each batch in the list of its state', function()
    local batches = ffi.new('struct batches')
    local names = { 'free', 'decoding', 'ready', 'busy', 'resolving', 'waiting' }
    C.batches_open(batches, 3)
    local function counts()
      local out = {}
      for i, name in ipairs(names) do
        local n, link = 0, batches[name].head.next
        while link ~= batches[name].head do
          assert(link.next.prev == link)
          n, link = n + 1, link.next
        end
        assert.are.equal(n, batches[name].n)
        out[i] = n
      end
      return table.concat(out, ' ')
    end
    local steps = {
      { 1, 'DECODING', '2 1 0 0 0 0' }, { 0, 'DECODING', '1 2 0 0 0 0' },
      { 1, 'READY', '1 1 1 0 0 0' }, { 1, 'LOADING', '1 1 0 1 0 0' },
      { 1, 'OPENING', '1 1 0 1 0 0' }, { 1, 'WRITING', '1 1 0 1 0 0' },
      { 1, 'RESOLVING', '1 1 0 0 1 0' }, { 1, 'ASKING', '1 1 0 1 0 0' },
      { 1, 'WAITING', '1 1 0 0 0 1' }, { 1, 'FREE', '2 1 0 0 0 0' },
    }
    for _, step in ipairs(steps) do
      local is_busy = C.batches_move(batches, batches.all + step[1], C['BATCH_' .. step[2]])
      assert.are.equal(step[3], counts())
      assert.are.equal(step[3]:sub(7, 7) == '1', is_busy)
    end
    assert.is_true(batches.free.head.prev == batches.all[1].link)
  end)

  it('finds the oldest that may go on by now', function()
    local batches = ffi.new('struct batches')
    C.batches_open(batches, 3)
    assert.is_true(C.batches_due(batches.waiting, 9) == nil)
    for i = 0, 2 do
      C.batches_move(batches, batches.all + i, C.BATCH_WAITING)
      batches.all[i].tries.retry_at = 9 - i
    end
    assert.is_true(C.batches_due(batches.waiting, 6) == nil)
    assert.is_true(C.batches_due(batches.waiting, 8) == batches.all + 1)
    assert.is_true(C.batches_due(batches.waiting, 9) == batches.all)
    assert.is_true(C.batches_first(batches.waiting) == batches.all)
    assert.is_true(C.batches_first(batches.free) == nil)
  end)
end)

describe('trouble of the database', function()
  local plan, page, loop = ffi.new('struct plan'), new_page(), C.loop_new()
  local counts, show, database = page.workers[0], ffi.new('struct show'), ffi.new('struct database')

  local function fails_and_answers(between)
    show.is_ready = counts.is_ready == 1
    C.show_trouble(show, 'away')
    assert.are.same({ 0, 'database: away' }, { counts.is_ready, ffi.string(counts.waiting_for) })
    if between then between() end
    local ticket = ffi.new('uint32_t[1]', C.breaker_try(database.breaker))
    C.database_answered(database, ticket)
    return counts.is_ready
  end

  before_each(function()
    plan.database.write, plan.database.pool_max = 'host=nowhere', 1
    local breaker = plan.database.breaker
    breaker.window, breaker.failures, breaker.ratio = 10, 5, 0.5
    breaker.open_ms, breaker.open_max_ms = 10, 10
    ffi.fill(counts, ffi.sizeof(counts))
    C.show_init(show, page, 0)
    C.database_open(database, ffi.new('struct database_needs', { loop = loop, plan = plan, show = show }))
  end)
  after_each(function() C.database_close(database) end)
  teardown(function() C.loop_free(loop) end)

  it('is over with its next answer, though no work is there to show it', function()
    counts.is_ready = 1
    assert.are.equal(1, fails_and_answers())
    assert.are.equal('', ffi.string(counts.waiting_for))
    counts.is_ready = 1
    assert.are.equal(1, fails_and_answers(function() C.show_trouble(show, 'still away') end))
  end)

  it('makes no worker ready that was not, or that something else keeps', function()
    assert.are.equal(0, fails_and_answers())
    counts.is_ready = 1
    assert.are.equal(0, fails_and_answers(function() C.show_waits(show, '', 'a claim') end))
    assert.are.equal('a claim', ffi.string(counts.waiting_for))
  end)

  it('leaves the word to the group that gives the worker nothing', function()
    counts.is_ready = 1
    assert.are.equal(0, fails_and_answers(function()
      C.show_reason(show, C.REASON_WORKER, '', 'the group gives nothing')
      assert.are.equal('the group gives nothing; database: away',
        ffi.string(counts.waiting_for))
    end))
    assert.are.equal('the group gives nothing', ffi.string(counts.waiting_for))
    C.show_reason(show, C.REASON_WORKER, '', '')
    assert.are.same({ 1, '' }, { counts.is_ready, ffi.string(counts.waiting_for) })
  end)
end)
