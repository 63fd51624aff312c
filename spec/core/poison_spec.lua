-- Records that kill workers: what a dying worker leaves in the page, and what
-- becomes of the record when it has killed two.
local flow = require 'spec.core.flow'
local ffi = require 'ffi'
local core = require 'spec.core.core'
local C = core.lib

core.headers('model/poison_table.h', 'flow/batch/poison.h')
ffi.cdef [[
int fork(void);
int waitpid(int, int *, int);
int raise(int);
int kill(int, int);
int getpid(void);
int getppid(void);
int usleep(unsigned);
void _exit(int);
]]
local SEGV, ABRT, BUS, ILL, USR1, KILL = 11, 6, 7, 4, 10, 9
local PREFIX, N = 'orders', 5

local function new_page() return ffi.gc(C.page_new(2), C.page_free) end

-- A batch of two lanes: partition 0 with offsets 100-104, 1 with 200-204.
local function new_batch()
  local s = { records = ffi.new('struct record[?]', 2 * N), states = ffi.new('uint8_t[?]', 2 * N),
    reasons = ffi.new('const char *[?]', 2 * N), leases = ffi.new('struct lease[2]'),
    lanes = flow.lanes { { count = N }, { count = N } }, c = ffi.new('struct batch') }
  C.arena_init(s.c.memory.arena, 0)
  for i = 0, 2 * N - 1 do
    local lane = i < N and 0 or 1
    s.records[i].topic, s.records[i].partition, s.records[i].lane = PREFIX, lane, lane
    s.records[i].offset = 100 * (lane + 1) + i % N
  end
  for lane = 0, 1 do
    local lease = s.leases[lane]
    lease.lane, lease.first, lease.n, lease.halt = s.lanes[lane], lane * N, N, -1
  end
  s.c.input.records, s.c.input.leases, s.c.input.n_leases = s.records, s.leases, 2
  s.c.input.events.n, s.c.input.events.states, s.c.input.events.reasons = 2 * N, s.states, s.reasons
  s.c.input.view.current = -1
  return s
end

-- What a worker leaves that runs event [current] and then does [ending] to
-- itself: the place as topic/partition/offset, and the signal it died of.
local function leaves(ending, current, not_running)
  local page, s = new_page(), new_batch()
  local pid = C.fork()
  if pid == 0 then
    C.poison_watch(page, 1)
    if not not_running then C.poison_scripts_begin(s.c) end
    s.c.input.view.current = current
    ending(page)
    C._exit(0)
  end
  local status = ffi.new('int[1]')
  assert.are.equal(pid, C.waitpid(pid, status, 0))
  local at = page.workers[1].at
  local place = at.is_set ~= 0 and ('%s/%d/%d'):format(ffi.string(at.topic), at.partition, tonumber(at.offset)) or nil
  return place, status[0] % 128
end

describe('a worker that crashes', function()
  for name, signal in pairs { SIGSEGV = SEGV, SIGABRT = ABRT, SIGBUS = BUS, SIGILL = ILL } do
    it('with ' .. name .. ' leaves the record whose handler ran, and dies of it', function()
      local place, died_of = leaves(function() C.raise(signal) end, 7)
      assert.are.equal('orders/1/202', place)
      assert.are.equal(signal, died_of)
    end)
  end
  it('by a fault leaves the record too', function()
    local place, died_of = leaves(function() ffi.cast('int *', 16)[0] = 1 end, 3)
    assert.are.equal('orders/0/103', place)
    assert.are.equal(SEGV, died_of)
  end)
  it('outside of handlers leaves nothing', function()
    assert.is_nil((leaves(function() C.raise(SEGV) end, -1)))
    assert.is_nil((leaves(function() C.raise(SEGV) end, 3, true)))
    assert.is_nil((leaves(function() C.poison_scripts_end() C.raise(SEGV) end, 3)))
  end)
  it('because somebody else sent the signal leaves nothing', function()
    local place, died_of = leaves(function()
      local me = C.getpid()
      if C.fork() == 0 then
        C.kill(me, SEGV)
        C._exit(0)
      end
      while true do C.usleep(1000) end
    end, 7)
    assert.is_nil(place)
    assert.are.equal(SEGV, died_of)
  end)
  it('by kill -9 leaves nothing', function()
    local place, died_of = leaves(function() C.raise(KILL) end, 7)
    assert.is_nil(place)
    assert.are.equal(KILL, died_of)
  end)
end)

describe('a worker that is asked where it is', function()
  -- Asks the worker, and kills it when it has answered.
  local function answer(current)
    local page, s = new_page(), new_batch()
    local pid = C.fork()
    if pid == 0 then
      C.poison_watch(page, 1)
      C.poison_scripts_begin(s.c)
      s.c.input.view.current = current
      page.workers[1].is_ready = 1
      while true do C.usleep(1000) end
    end
    local w = page.workers[1]
    while w.is_ready == 0 do C.usleep(1000) end
    w.at.is_set = 9 -- neither yes nor no
    C.kill(pid, USR1)
    while w.at.is_set == 9 do C.usleep(1000) end
    C.kill(pid, KILL)
    C.waitpid(pid, nil, 0)
    return w.at
  end
  it('says the record whose handler runs', function()
    local at = answer(9)
    assert.are.same({ 1, 'orders', 1, 204 }, { at.is_set, ffi.string(at.topic), at.partition, tonumber(at.offset) })
  end)
  it('says that no handler runs', function() assert.are.equal(0, answer(-1).is_set) end)
end)

local function place(offset, partition, topic)
  return ffi.new('struct page_place', { 1, partition or 1, offset, topic or PREFIX })
end

describe('suspect', function()
  local out = ffi.new('struct page_poison')
  local function poison(page)
    local list = {}
    for i = 0, C.poison_table_count(page) - 1 do
      if C.poison_table_get(page, i, out) then list[#list + 1] = tonumber(out.place.offset) end
    end
    return list
  end
  it('is poison by its second death, and not by those of others', function()
    local page = new_page()
    assert.are.equal(1, C.poison_table_add(page, place(202), 'a'))
    C.poison_table_add(page, place(203), 'a')
    C.poison_table_add(page, place(202, 0), 'a')
    C.poison_table_add(page, place(202, 1, 'order'), 'a')
    assert.are.same({}, poison(page))
    assert.are.equal(2, C.poison_table_add(page, place(202), 'b'))
    assert.are.same({ 202 }, poison(page))
    assert.are.equal(3, C.poison_table_add(page, place(202), 'c'))
    assert.are.same({ 202 }, poison(page))
    assert.are.equal(4, page.n_poison)
  end)
  local MOST = tonumber(C.PAGE_POISON)
  local function full()
    local page = new_page()
    for offset = 1, MOST do
      C.poison_table_add(page, place(offset), 'a')
      C.poison_table_add(page, place(offset), 'a')
    end
    return page
  end
  local function has(page, offset)
    for _, other in ipairs(poison(page)) do
      if other == offset then return true end
    end
    return false
  end
  it('gives way in a full table when its lane has moved past it', function()
    local page = full()
    page.lanes[0] = { partition = 1, topic = PREFIX, position = 500, state = C.PAGE_LANE_RUNNING }
    page.n_lanes = 1
    for offset = MOST + 1, MOST + 499 do
      C.poison_table_add(page, place(offset), 'a')
      C.poison_table_add(page, place(offset), 'a')
    end
    assert.are.equal(MOST, #poison(page))
    assert.is_false(has(page, 1))
    assert.is_false(has(page, 499))
    assert.is_true(has(page, 500))
    assert.is_true(has(page, MOST + 499))
  end)
  it('gives way in a full table before one that is poison', function()
    local page = full()
    page.lanes[0] = { partition = 1, topic = PREFIX, position = 0, state = C.PAGE_LANE_RUNNING }
    page.n_lanes = 1
    C.poison_table_add(page, place(2000), 'a') -- the oldest one has to go
    C.poison_table_add(page, place(2001), 'a')
    C.poison_table_add(page, place(2002), 'a')
    assert.are.equal(MOST - 1, #poison(page))
    assert.are.equal(2, C.poison_table_add(page, place(2002), 'a'))
    assert.is_true(has(page, 2))
    assert.is_true(has(page, 2002))
  end)
end)

describe('poison_apply', function()
  local function after(deaths)
    local page, s = new_page(), new_batch()
    for _, at in ipairs(deaths) do C.poison_table_add(page, at, 'signal 11 (Segmentation fault)') end
    C.poison_watch(page, 0)
    C.poison_apply(s.c)
    return s
  end
  local function failed(s)
    local n = 0
    for e = 0, 2 * N - 1 do
      if s.states[e] == C.TM_EVENT_FAILED then n = n + 1 end
    end
    return n
  end
  it('fails the record at which two workers died, in its lane alone', function()
    local s = after { place(202), place(202) }
    assert.are.equal(C.TM_EVENT_FAILED, s.states[N + 2])
    assert.are.equal(tonumber(C.ERR_SCRIPT), tonumber(s.c.failures.letters[N + 2].class))
    assert.are.equal('the worker died twice while a handler ran for this record: signal 11 (Segmentation fault)',
      ffi.string(s.c.failures.letters[N + 2].reason))
    assert.are.equal(1, failed(s))
    assert.are.equal(C.TM_EVENT_OK, s.states[N + 1])
  end)
  it('lets a record pass at which one worker died', function()
    local s = after { place(202), place(203), place(202, 0), place(202, 1, 'order') }
    assert.are.equal(0, failed(s))
  end)
  it('lets records pass that are not in the batch', function()
    local s = after { place(205), place(205), place(200, 0), place(200, 0) }
    assert.are.equal(0, failed(s))
  end)
end)
