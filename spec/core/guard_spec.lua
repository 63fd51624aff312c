local ffi = require 'ffi'
require 'spec.core.flow'
local core = require 'spec.core.core'
local C = core.lib

local function new(limit)
  local guard = ffi.gc(ffi.new('struct guard'), C.guard_close)
  C.guard_init(guard, limit)
  return guard
end

describe('guard', function()
  it('takes as many failures as its limit within a window, and not one more', function()
    local guard = new(3)
    for _, at in ipairs { 10, 11, 500 } do assert.is_true(C.guard_add(guard, at)) end
    assert.is_false(C.guard_add(guard, 1009))
    assert.is_true(C.guard_add(guard, 1010))
    assert.is_false(C.guard_add(guard, 1010))
    assert.is_true(C.guard_add(guard, 1011))
  end)

  it('without a limit takes none', function()
    assert.is_false(C.guard_add(new(0), 7))
  end)

  it('for any failures: no window of the last thousand ever holds more', function()
    math.randomseed(17)
    for _ = 1, core.rounds(200) do
      local limit, at, taken = math.random(0, 12), 0, {}
      local guard = new(limit)
      for _ = 1, 300 do
        at = at + math.random(1, 400)
        local recent = 0
        for _, other in ipairs(taken) do recent = recent + (at - other < 1000 and 1 or 0) end
        local may = recent < limit
        assert.are.equal(may, C.guard_add(guard, at))
        if may then taken[#taken + 1] = at end
      end
    end
  end)

  it('tries failures on a copy that may be taken over', function()
    local arena, guard = core.arena(), new(2)
    C.guard_add(guard, 1)
    local copy = C.guard_copy(guard, arena)
    assert.is_true(C.guard_add(copy, 2))
    assert.is_false(C.guard_add(copy, 3))
    assert.is_true(C.guard_add(guard, 4))
    C.guard_take(guard, copy)
    assert.is_false(C.guard_add(guard, 5))
    assert.is_true(C.guard_add(guard, 1001))
  end)
end)

describe('dossier', function()
  local list
  before_each(function() list = ffi.new('struct dossier *[1]') end)
  after_each(function() C.dossiers_free(list[0]) end)

  it('is one a lane, and is found again', function()
    local a = C.dossier_of(list, 'orders', 0, 50)
    local b = C.dossier_of(list, 'orders', 1, 50)
    assert.is_true(a ~= b and a == C.dossier_of(list, 'orders', 0, 50))
    assert.is_true(b == C.dossier_of(list, 'orders', 1, 50))
    assert.is_true(C.dossier_of(list, 'order', 0, 50) ~= a)
  end)

  it('knows which keys are held, how many records, and behind which', function()
    local d = C.dossier_of(list, 'orders', 0, 50)
    assert.is_true(C.dossier_find(d, 'a', 1) == nil)
    C.dossier_hold(d, 'a', 1, 2, 70)
    C.dossier_hold(d, 'a', 1, 1, 90)
    C.dossier_hold(d, '', 0, 1, 80)
    local a = C.dossier_find(d, 'a', 1)
    assert.are.same({ 3, 70 }, { a.n, tonumber(a.first) })
    assert.are.equal(80, tonumber(C.dossier_find(d, '', 0).first))
    assert.is_true(C.dossier_find(d, 'b', 1) == nil)
  end)

  it('forgets keys and what was refused at a claim, and failures after a halt', function()
    local d = C.dossier_of(list, 'orders', 0, 1)
    C.dossier_hold(d, 'a', 1, 1, 1)
    d.has_refused, d.n_letters = true, 1
    C.guard_add(d.guard, 1)
    C.dossier_renew(d)
    assert.is_true(C.dossier_find(d, 'a', 1) == nil)
    assert.are.same({ false, 0 }, { d.has_refused, d.n_letters })
    assert.is_false(C.guard_add(d.guard, 2))
    d.was_halted = true
    C.dossier_renew(d)
    assert.is_true(C.guard_add(d.guard, 2))
  end)
end)
