-- The circuit breaker: by example, and against a model under random sequences.
local ffi = require 'ffi'
local core = require 'spec.core.core'
local C = core.lib

core.headers('base/loop.h', 'flow/database/breaker.h')

local CLOSED, HALF_OPEN, OPEN = 0, 1, 2
local MOST, LEAST = 0xffff, 0 -- the ends of the jitter

local function breaker(limits)
  local l = ffi.new('struct breaker_limits', {
    window = 20, failures = 5, ratio = 0.5, open = 500000, open_max = 4000000,
  })
  for name, value in pairs(limits or {}) do l[name] = value end
  local k = ffi.new('struct breaker')
  C.breaker_init(k, l)
  return k
end

local function state(k) return tonumber(k.state) end

local function succeed(k, n)
  for _ = 1, n or 1 do C.breaker_succeeded(k, C.breaker_try(k)) end
end

-- [n] failures in a row at [now]; how many of them opened it.
local function fail(k, n, now, random)
  local n_opened = 0
  for _ = 1, n do
    if C.breaker_failed(k, C.breaker_try(k), now or 0, random or MOST) then
      n_opened = n_opened + 1
    end
  end
  return n_opened
end

local function opened(limits, random)
  local k = breaker(limits)
  assert.are.equal(1, fail(k, k.limits.failures, 0, random))
  return k
end

describe('breaker', function()
  it('stays closed below its number of failures, even when nothing else happened', function()
    local k = breaker()
    assert.are.equal(0, fail(k, 4))
    assert.are.equal(CLOSED, state(k))
    assert.is_true(C.breaker_allows(k, 0))
  end)

  it('opens at the number of failures and the share', function()
    local k = breaker()
    for _ = 1, 4 do
      succeed(k)
      fail(k, 1)
    end
    succeed(k)
    assert.are.equal(CLOSED, state(k))
    assert.are.equal(1, fail(k, 1)) -- 5 of 10
    assert.are.equal(OPEN, state(k))
  end)

  it('opens when the last ones all failed, however good the window was', function()
    local k = breaker()
    succeed(k, 20)
    assert.are.equal(0, fail(k, 4))
    assert.are.equal(1, fail(k, 1)) -- 5 of 20
  end)

  it('stays closed while few fail among many that succeed', function()
    local k = breaker()
    for _ = 1, 100 do
      succeed(k, 2)
      assert.are.equal(0, fail(k, 1))
    end
    assert.are.equal(CLOSED, state(k))
  end)

  it('forgets what has left the window', function()
    local k = breaker { window = 4, failures = 2, ratio = 0.5 }
    fail(k, 1)
    succeed(k, 4)
    assert.are.equal(0, fail(k, 1)) -- the first one is out of sight
    assert.are.equal(1, fail(k, 1))
  end)

  it('lets nothing through until the cool-down is over, then one probe', function()
    local k = opened()
    assert.is_false(C.breaker_allows(k, 499999))
    assert.are.equal(OPEN, state(k))
    assert.is_true(C.breaker_allows(k, 500000))
    assert.are.equal(HALF_OPEN, state(k))
    C.breaker_try(k)
    assert.is_false(C.breaker_allows(k, 1e9))
  end)

  it('closes when the probe succeeds, and has forgotten everything', function()
    local k = opened()
    C.breaker_allows(k, 500000)
    assert.is_true(C.breaker_succeeded(k, C.breaker_try(k)))
    assert.are.equal(CLOSED, state(k))
    assert.are.equal(0, fail(k, 4, 500000))
    assert.are.equal(1, fail(k, 1, 500000))
    assert.is_true(C.breaker_allows(k, 1000000)) -- the first cool-down again
  end)

  it('opens for twice as long when the probe fails, up to the cap', function()
    local k, now, waits = opened(), 0, {}
    for i = 1, 6 do
      waits[i] = tonumber(k['until']) - now
      now = tonumber(k['until'])
      assert.is_true(C.breaker_allows(k, now))
      assert.are.equal(1, fail(k, 1, now))
    end
    assert.are.same({ 500000, 1000000, 2000000, 4000000, 4000000, 4000000 }, waits)
  end)

  it('keeps half of each cool-down whatever the random number', function()
    assert.are.equal(250000, tonumber(opened(nil, LEAST)['until']))
  end)

  it('lets another probe through when the first came to nothing', function()
    local k = opened()
    C.breaker_allows(k, 500000)
    C.breaker_withdrawn(k, C.breaker_try(k))
    assert.are.equal(HALF_OPEN, state(k))
    assert.is_true(C.breaker_allows(k, 500000))
  end)

  it('does not listen to what was in flight when it opened', function()
    local k = breaker()
    local good, bad, gone = C.breaker_try(k), C.breaker_try(k), C.breaker_try(k)
    fail(k, 5)
    assert.is_false(C.breaker_succeeded(k, good))
    assert.are.equal(OPEN, state(k))
    C.breaker_allows(k, 500000)
    local probe = C.breaker_try(k)
    assert.is_false(C.breaker_failed(k, bad, 500000, 0))
    C.breaker_withdrawn(k, gone)
    assert.is_false(C.breaker_allows(k, 500000)) -- the probe is still out
    assert.is_true(C.breaker_succeeded(k, probe))
  end)

  it('takes a clock that goes back for one that stands', function()
    local k = opened()
    C.breaker_allows(k, 500000)
    C.breaker_failed(k, C.breaker_try(k), 10, MOST)
    assert.are.equal(1500000, tonumber(k['until']))
    assert.is_false(C.breaker_allows(k, 0))
  end)
end)

-- The same rules, written as a list of outcomes instead of a ring.
local Model = {}
Model.__index = Model

function Model:note(has_failed)
  table.insert(self.outcomes, has_failed)
  if #self.outcomes > self.window then table.remove(self.outcomes, 1) end
end

function Model:is_too_much()
  local n, last_good = 0, 0
  for i, has_failed in ipairs(self.outcomes) do
    if has_failed then n = n + 1 else last_good = i end
  end
  local in_a_row = #self.outcomes - last_good
  return n >= self.failures
    and (n / #self.outcomes >= self.ratio or in_a_row >= self.failures)
end

describe('breaker, under random sequences,', function()
  local random = math.random

  -- Drives one breaker and its model; check(k, before, event) after each step.
  local function drive(seed, n_steps, check)
    math.randomseed(seed)
    local window = random(1, 30)
    local limits = { window = window, failures = random(1, window),
      ratio = random(1, 100) / 100, open = random(2, 1000) * 1000 }
    limits.open_max = limits.open * random(1, 20)
    local k = breaker(limits)
    local now, tickets = 0, {}
    for _ = 1, n_steps do
      local before = { state = state(k), ['until'] = tonumber(k['until']), now = now }
      local step, event = random(1, 10), { what = 'time' }
      if step <= 2 then
        now = now + random(0, tonumber(limits.open) * 3)
      elseif step <= 6 and C.breaker_allows(k, now) then
        event = { what = 'try', probe = state(k) == HALF_OPEN }
        local ticket = C.breaker_try(k)
        table.insert(tickets, { ticket, tonumber(k.era) })
      elseif #tickets > 0 then
        local ticket = table.remove(tickets, random(#tickets))
        event.current = ticket[2] == tonumber(k.era)
        local dice = random(1, 10)
        if dice <= 4 then
          event.what, event.changed = 'success', C.breaker_succeeded(k, ticket[1])
        elseif dice <= 9 then
          event.what, event.changed = 'failure',
            C.breaker_failed(k, ticket[1], now, random(0, 0x7fffffff))
        else
          event.what = 'withdrawn'
          C.breaker_withdrawn(k, ticket[1])
        end
      end
      check(k, before, event, limits, now)
    end
  end

  local function for_seeds(check_of)
    for seed = 1, core.rounds(300) do
      local check = check_of()
      drive(seed, 400, function(...)
        local ok, reason = pcall(check, ...)
        if not ok then error(('seed %d: %s'):format(seed, reason), 0) end
      end)
    end
  end

  it('opens exactly when its model does', function()
    for_seeds(function()
      local model
      return function(k, before, event, limits)
        model = model or setmetatable({ outcomes = {}, window = limits.window,
          failures = limits.failures, ratio = limits.ratio }, Model)
        if not event.current then return end
        if before.state == CLOSED and event.what == 'failure' then
          model:note(true)
          assert.are.equal(model:is_too_much(), event.changed)
        elseif before.state == CLOSED and event.what == 'success' then
          model:note(false)
        elseif before.state == HALF_OPEN and event.what == 'success' then
          model.outcomes = {}
        end
        if state(k) == OPEN then model.outcomes = {} end
      end
    end)
  end)

  it('never has two probes out, and nothing else while one is', function()
    for_seeds(function()
      local n_out = 0
      return function(k, before, event)
        if event.what == 'try' and event.probe then n_out = n_out + 1 end
        if event.current and before.state == HALF_OPEN then n_out = 0 end
        assert.is_true(n_out <= 1)
        if state(k) == HALF_OPEN then assert.are.equal(n_out == 1, k.is_probing) end
      end
    end)
  end)

  it('changes its state only along the four arrows', function()
    local seen = {}
    for_seeds(function()
      return function(k, before, event)
        local after = state(k)
        if before.state == after then return end
        local arrow = before.state .. after
        seen[arrow] = (seen[arrow] or 0) + 1
        local cause = ({
          [CLOSED .. OPEN] = event.what == 'failure',
          [OPEN .. HALF_OPEN] = event.what == 'try',
          [HALF_OPEN .. OPEN] = event.what == 'failure' and event.current,
          [HALF_OPEN .. CLOSED] = event.what == 'success' and event.current,
        })[arrow]
        assert.is_true(cause, arrow .. ' by ' .. event.what)
      end
    end)
    for _, arrow in ipairs { '02', '21', '12', '10' } do assert.is_true(seen[arrow] > 100) end
  end)

  it('cools down for half to all of a step that only grows, up to the cap', function()
    for_seeds(function()
      local step, last
      return function(k, _, event, limits, now)
        if not event.changed then return end
        if state(k) == CLOSED then
          step, last = nil, nil
          return
        end
        step = math.min(step and step * 2 or limits.open, limits.open_max)
        local wait = tonumber(k['until']) - now
        assert(wait >= math.floor(step / 2) and wait <= step,
          ('%d is not within %d'):format(wait, step))
        -- The most of one step is the least of the next.
        assert.is_true(not last or step == limits.open_max or wait >= last - 1)
        last = wait
      end
    end)
  end)

  it('is never half-open before the cool-down is over', function()
    for_seeds(function()
      return function(k, before, _, _, now)
        if before.state == OPEN and state(k) ~= OPEN then
          assert.is_true(now >= before['until'])
        end
      end
    end)
  end)
end)
