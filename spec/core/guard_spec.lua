local ffi = require 'ffi'
local flow = require 'spec.core.flow'
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

describe('held keys', function()
  local lanes
  before_each(function() lanes = flow.lanes({ {} }, 't', 1) end)

  it('tell how many records wait for each, and behind which', function()
    local keys = lanes[0].keys
    assert.is_true(C.held_keys_find(keys, 'a', 1) == nil)
    C.held_keys_add(keys, 'a', 1, 2, 70)
    C.held_keys_add(keys, 'a', 1, 1, 90)
    C.held_keys_add(keys, '', 0, 1, 80)
    local a = C.held_keys_find(keys, 'a', 1)
    assert.are.same({ 3, 70 }, { a.n, tonumber(a.first) })
    assert.are.equal(80, tonumber(C.held_keys_find(keys, '', 0).first))
    assert.is_true(C.held_keys_find(keys, 'b', 1) == nil)
  end)

  it('are forgotten at a claim, with what was refused, and failures after a halt', function()
    local lane = lanes[0]
    C.held_keys_add(lane.keys, 'a', 1, 1, 1)
    lane.search.has_found, lane.letters.n = true, 1
    C.guard_add(lane.guard, 1)
    C.lane_renew(lane)
    assert.is_true(C.held_keys_find(lane.keys, 'a', 1) == nil)
    assert.are.same({ false, 0 }, { lane.search.has_found, lane.letters.n })
    assert.is_false(C.guard_add(lane.guard, 2))
    lane.was_halted = true
    C.lane_renew(lane)
    assert.is_true(C.guard_add(lane.guard, 2))
  end)

  it('take no memory once their lane was taken away', function()
    for n = 1, 1000 do C.held_keys_add(lanes[0].keys, ('k'):rep(100) .. n, 104, 1, n) end
    assert.is_true(lanes.c.held.bytes > 100000)
    lanes.partitions[0].is_assigned = false
    C.lanes_take(lanes.c, lanes.partitions)
    assert.is_true(tonumber(lanes.c.held.bytes) < 1024, tonumber(lanes.c.held.bytes))
  end)
end)
