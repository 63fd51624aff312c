-- Which deaths of a worker count against the record that it was at: real child
-- processes, judged as the supervisor does.
require 'spec.core.flow' -- declares what the headers below stand on
local ffi = require 'ffi'
local core = require 'spec.core.core'
local C = core.lib

ffi.cdef 'typedef int pid_t;'
core.headers('model/poison_table.h', 'flow/batch/poison.h', 'supervise/slot.h', 'supervise/watchdog.h')
ffi.cdef [[
int fork(void);
int waitpid(int, int *, int);
int raise(int);
int kill(int, int);
int usleep(unsigned);
void _exit(int);
]]
local SEGV, ABRT, KILL, TERM, RUNNING = 11, 6, 9, 15, C.SLOT_RUNNING
local SECOND = 1000000

-- A worker in slot 1 that is at [current] of five records (offsets 50-54) and
-- does [body] there; without it no handler runs.
local function start(body, current, page, n_events)
  local s = { page = page or ffi.gc(C.page_new(2), C.page_free), slot = ffi.new('struct slot'),
    records = ffi.new('struct record[5]'), batch = ffi.new('struct batch') }
  for i = 0, 4 do s.records[i].topic, s.records[i].offset = 'orders', 50 + i end
  s.batch.input.records, s.batch.input.events.n, s.batch.input.view.current = s.records, n_events or 5, current or -1
  s.slot.number, s.slot.state, s.page.heartbeat_seconds = 1, RUNNING, 20
  C.slot_clear_page(s.slot, s.page)
  s.page.workers[1].heartbeat_usec = 1
  s.slot.pid = C.fork()
  if s.slot.pid == 0 then
    C.poison_watch(s.page, 1)
    if current then C.poison_scripts_begin(s.batch) end
    s.page.workers[1].is_ready = 1
    body(s)
    C._exit(0)
  end
  while s.page.workers[1].is_ready == 0 do C.usleep(1000) end
  return s
end

-- Waits for its end, and gives how often its record is counted.
local function deaths(s)
  local status = ffi.new('int[1]')
  assert.are.equal(s.slot.pid, C.waitpid(s.slot.pid, status, 0))
  C.watchdog_death(s.slot, s.page, status[0])
  return s.page.poison[0].deaths, ffi.string(s.page.poison[0].how), tonumber(s.page.poison[0].place.offset)
end

describe('watchdog_death', function()
  for name, signal in pairs { SIGSEGV = SEGV, SIGABRT = ABRT } do
    it('counts a crash in a handler: ' .. name, function()
      local n, how, offset = deaths(start(function() C.raise(signal) end, 3))
      assert.are.same({ 1, 53 }, { n, offset })
      assert.is_truthy(how:find('^signal ' .. signal .. ' '), how)
    end)
  end
  it('calls a record poison at the second crash', function()
    local function crash() C.raise(SEGV) end
    local first = start(crash, 3)
    assert.are.equal(1, (deaths(first)))
    assert.is_false(C.poison_table_get(first.page, 0, ffi.new('struct page_poison')))
    assert.are.equal(2, (deaths(start(crash, 3, first.page))))
    assert.is_true(C.poison_table_get(first.page, 0, ffi.new('struct page_poison')))
  end)
  it('does not count a crash outside of handlers, or an end by itself', function()
    assert.are.equal(0, (deaths(start(function() C.raise(SEGV) end))))
    assert.are.equal(0, (deaths(start(function() end, 3))))
  end)
  for _, signal in ipairs { KILL, TERM, SEGV, ABRT } do
    it('does not count signal ' .. signal .. ' from outside while a handler runs', function()
      local s = start(function() while true do C.usleep(1000) end end, 3)
      C.kill(s.slot.pid, signal)
      assert.are.equal(0, (deaths(s)))
    end)
  end
end)

describe('a death while scripts run', function()
  -- What the lanes may have in their next batches: [n] records of each were at hand.
  local function most(body, ...)
    local s = start(body, 3)
    for i, n in ipairs { ... } do
      local lane = C.page_lane(s.page, 'orders', i)
      lane.worker, lane.n_running = 1, n
    end
    C.page_lane(s.page, 'orders', 99).worker = 1
    deaths(s)
    local list = {}
    for i = 0, s.page.n_lanes - 1 do
      list[i + 1] = s.page.lanes[i].most
      assert.are.equal(0, s.page.lanes[i].n_running)
    end
    return list
  end
  local function crash() C.raise(SEGV) end
  it('leaves an eighth of its batch to each lane', function()
    assert.are.same({ 5, 0 }, most(crash, 40))
    assert.are.same({ 1, 0 }, most(crash, 1))
    assert.are.same({ 5, 3, 0 }, most(crash, 40, 30))
  end)
  it('is counted where the failure rule was asked', function()
    for i, body in ipairs { crash, function() C.raise(KILL) end, function() end } do
      local s = start(body)
      s.page.workers[1].in_rule = 1
      deaths(s)
      assert.are.equal(i < 3 and 1 or 0, s.page.rule_deaths)
    end
  end)
  it('changes nothing where no scripts ran', function()
    assert.are.same({ 0, 0 }, most(crash, 0))
  end)
end)

-- Waits for the answer to a question.
local function answered(s)
  while s.page.workers[1].at.is_set == 0 do C.usleep(1000) end
end

-- Looks at a worker without a sign of life since 1 us: is it to be killed, and is it
-- stuck? It is told that it is late at 5 s; the record at which it then is has 20 s from
-- there. [between] happens behind the look at half of that time, [behind] at its end.
local function look(s, between, behind, is_silent)
  local function at(seconds) return C.watchdog_look(s.slot, s.page, seconds * SECOND) end
  local since = is_silent and 0 or 5.1
  assert.is_false(at(4.9))
  assert.are.equal(0, s.slot.looks)
  assert.is_false(at(5.1))
  if not is_silent then answered(s) end
  assert.is_false(at(5.7))
  assert.is_false(at(since + 9.9))
  assert.is_false(at(since + 10.1))
  between(s)
  assert.is_false(at(since + 10.7))
  local waits = is_silent and '' or 'a handler takes long for orders/0/' .. tonumber(s.page.workers[1].at.offset)
  assert.are.equal(waits, ffi.string(s.page.workers[1].waiting_for))
  assert.is_false(at(since + 19.6))
  behind(s)
  assert.is_false(at(since + 20))
  local is_dead = at(since + 20.2)
  assert.is_false(at(since + 20.3)) -- said once
  C.kill(s.slot.pid, KILL)
  return is_dead, s.slot.is_stuck
end

local function cpu_ticks(pid)
  local f = assert(io.open(('/proc/%d/stat'):format(pid)))
  local text = f:read('*a')
  f:close()
  return tonumber(text:match('^.*%) %a' .. (' %-?%d+'):rep(10) .. ' (%d+)'))
end

local function until_it_worked(s)
  local before = cpu_ticks(s.slot.pid)
  while cpu_ticks(s.slot.pid) < before + 12 do C.usleep(1000) end
end

local function answered_and_worked(s)
  answered(s)
  until_it_worked(s)
end

local function nothing() end

-- [turn] of the loop, again and again.
local function busy(turn)
  return function(s)
    while true do
      for _ = 1, 1e5 do s.page.workers[1].counters[0] = s.page.workers[1].counters[0] + 1 end
      if turn then turn(s) end
    end
  end
end

describe('watchdog_look', function()
  it('finds a worker stuck that computes at one record', function()
    local s = start(busy(), 2)
    assert.are.same({ true, true }, { look(s, answered_and_worked, answered) })
    local n, how, offset = deaths(s)
    assert.are.same({ 1, 'it did not come back within 20 s', 52 }, { n, how, offset })
  end)
  it('blames no record for a worker that sleeps', function()
    local s = start(function() while true do C.usleep(1000000) end end, 2)
    local is_dead, is_stuck = look(s, answered, answered)
    assert.are.same({ true, false }, { is_dead, is_stuck })
    assert.are.equal(0, (deaths(s)))
  end)
  it('blames no record for a worker that is suspended', function()
    local s = start(busy(), 2)
    C.kill(s.slot.pid, 19)
    local is_dead, is_stuck = look(s, nothing, nothing, true)
    assert.are.same({ true, false }, { is_dead, is_stuck })
    assert.are.equal(0, (deaths(s)))
  end)
  it('leaves a worker alone that gets on, but not for ever', function()
    local s = start(busy(function(s) s.batch.input.view.current = s.page.workers[0].pid end), 0)
    local n, at, is_dead = 0, 0, false
    while not is_dead and at < 200 do
      at = at + 0.6
      local looks = s.slot.looks
      is_dead = C.watchdog_look(s.slot, s.page, at * SECOND)
      if s.slot.looks ~= looks and s.slot.looks % 2 == 1 then -- it was asked
        answered(s)
        n = n + 1
        s.page.workers[0].pid = n % 5
        until_it_worked(s)
      end
    end
    C.kill(s.slot.pid, KILL)
    assert.is_true(at > 80 and at < 100, at)
    assert.is_false(s.slot.is_stuck)
    assert.are.equal(0, (deaths(s)))
  end)
  it('tells a run over several records that it is late, and not one over a single one', function()
    for n = 1, 2 do
      local s = start(busy(function(s) s.page.workers[0].pid = s.batch.input.view.is_late end), 0, nil, n)
      C.watchdog_look(s.slot, s.page, 5.1 * SECOND)
      answered(s)
      until_it_worked(s)
      assert.are.equal(n - 1, s.page.workers[0].pid)
      C.kill(s.slot.pid, KILL)
      deaths(s)
    end
  end)
  it('asks nothing of a worker that has shown no life yet, and kills it in the end', function()
    local s = start(busy(), 2)
    s.page.workers[1].heartbeat_usec = 0
    for at = 1, 19 do assert.is_false(C.watchdog_look(s.slot, s.page, at * SECOND)) end
    assert.are.equal(0, s.page.workers[1].at.is_set)
    assert.is_true(C.watchdog_look(s.slot, s.page, 20 * SECOND))
    assert.is_false(s.slot.is_stuck)
    C.kill(s.slot.pid, KILL)
    assert.are.equal(0, (deaths(s)))
  end)
  it('blames no record for a worker that stands still outside of handlers', function()
    local s = start(busy())
    local is_dead, is_stuck = look(s, until_it_worked, until_it_worked, true)
    assert.are.same({ true, false }, { is_dead, is_stuck })
    assert.are.equal(0, (deaths(s)))
  end)
  it('begins anew after a sign of life', function()
    local s = start(busy(), 2)
    assert.is_false(C.watchdog_look(s.slot, s.page, 11 * SECOND))
    assert.are.equal(1, s.slot.looks)
    s.page.workers[1].heartbeat_usec = 12 * SECOND
    assert.is_false(C.watchdog_look(s.slot, s.page, 13 * SECOND))
    assert.are.equal(0, s.slot.looks)
    C.kill(s.slot.pid, KILL)
    assert.are.equal(0, (deaths(s)))
  end)
end)
