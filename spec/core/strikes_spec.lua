-- Which deaths of a worker count against the record that it was at: real child
-- processes, judged as the supervisor does.
require 'spec.core.flow' -- declares what the headers below stand on
local ffi = require 'ffi'
local core = require 'spec.core.core'
local C = core.lib

ffi.cdef 'typedef int pid_t;'
core.headers('base/suspect.h', 'flow/condemned.h', 'supervise/slot.h', 'supervise/strikes.h')
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
local function start(body, current, page)
  local s = { page = page or ffi.gc(C.page_new(2), C.page_free), slot = ffi.new('struct slot'),
    records = ffi.new('struct record[5]'), batch = ffi.new('struct batch') }
  for i = 0, 4 do s.records[i].topic, s.records[i].offset = 'orders', 50 + i end
  s.batch.records, s.batch.events.n, s.batch.view.current = s.records, 5, current or -1
  s.slot.number, s.slot.state, s.page.heartbeat_seconds = 1, RUNNING, 20
  C.slot_clear_page(s.slot, s.page)
  s.slot.pid = C.fork()
  if s.slot.pid == 0 then
    C.condemned_watch(s.page, 1)
    if current then C.condemned_enter(s.batch) end
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
  C.strikes_death(s.slot, s.page, status[0])
  return s.page.suspects[0].deaths, ffi.string(s.page.suspects[0].how), tonumber(s.page.suspects[0].place.offset)
end

describe('strikes_death', function()
  for name, signal in pairs { SIGSEGV = SEGV, SIGABRT = ABRT } do
    it('counts a crash in a handler: ' .. name, function()
      local n, how, offset = deaths(start(function() C.raise(signal) end, 3))
      assert.are.same({ 1, 53 }, { n, offset })
      assert.is_truthy(how:find('^signal ' .. signal .. ' '), how)
    end)
  end
  it('condemns the record of the second crash', function()
    local function crash() C.raise(SEGV) end
    local first = start(crash, 3)
    assert.are.equal(1, (deaths(first)))
    assert.is_false(C.suspect_condemned(first.page, 0, ffi.new('struct page_suspect')))
    assert.are.equal(2, (deaths(start(crash, 3, first.page))))
    assert.is_true(C.suspect_condemned(first.page, 0, ffi.new('struct page_suspect')))
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

-- Waits for the answer to a question.
local function answered(s)
  while s.page.workers[1].at.is_set == 0 do C.usleep(1000) end
end

-- Looks at a worker without a sign of life: is it to be killed, and is it stuck?
-- [between] happens after the first look, [behind] after the second.
local function look(s, between, behind)
  assert.is_false(C.strikes_look(s.slot, s.page, 9 * SECOND))
  assert.are.equal(0, s.slot.looks)
  assert.is_false(C.strikes_look(s.slot, s.page, 11 * SECOND))
  between(s)
  assert.is_false(C.strikes_look(s.slot, s.page, 19.6 * SECOND))
  behind(s)
  assert.is_false(C.strikes_look(s.slot, s.page, 20 * SECOND))
  local is_dead = C.strikes_look(s.slot, s.page, 20.2 * SECOND)
  assert.is_false(C.strikes_look(s.slot, s.page, 20.3 * SECOND)) -- said once
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
  while cpu_ticks(s.slot.pid) < before + 3 do C.usleep(1000) end
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

describe('strikes_look', function()
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
    local is_dead, is_stuck = look(s, nothing, nothing)
    assert.are.same({ true, false }, { is_dead, is_stuck })
    assert.are.equal(0, (deaths(s)))
  end)
  it('blames no record for a worker that gets on', function()
    local s = start(busy(function(s) s.batch.view.current = s.page.workers[0].pid end), 0)
    local is_dead, is_stuck = look(s, function()
      answered(s)
      s.page.workers[0].pid = 1
      until_it_worked(s)
    end, answered)
    assert.are.same({ true, false }, { is_dead, is_stuck })
    assert.are.equal(0, (deaths(s)))
  end)
  it('blames no record for a worker that stands still outside of handlers', function()
    local s = start(busy())
    local is_dead, is_stuck = look(s, until_it_worked, until_it_worked)
    assert.are.same({ true, false }, { is_dead, is_stuck })
    assert.are.equal(0, (deaths(s)))
  end)
  it('begins anew after a sign of life', function()
    local s = start(busy(), 2)
    assert.is_false(C.strikes_look(s.slot, s.page, 11 * SECOND))
    assert.are.equal(1, s.slot.looks)
    s.page.workers[1].heartbeat_usec = 12 * SECOND
    assert.is_false(C.strikes_look(s.slot, s.page, 13 * SECOND))
    assert.are.equal(0, s.slot.looks)
    C.kill(s.slot.pid, KILL)
    assert.are.equal(0, (deaths(s)))
  end)
end)
