local ffi = require 'ffi'
local core = require 'spec.core.core'
local C = core.lib

core.headers('base/loop.h', 'base/backoff.h')

local function delay(failures, floor, cap, random)
  return tonumber(C.backoff_delay(failures, floor, cap, random))
end

describe('backoff_delay', function()
  it('doubles with each failure in a row', function()
    for failures = 1, 10 do
      assert.are.equal(1000 * 2 ^ (failures - 1), delay(failures, 1000, 1e9, 0xffffffff))
    end
  end)

  it('never falls below half of the step, whatever the random number', function()
    math.randomseed(7)
    for _ = 1, 20000 do
      local failures = math.random(0, 60)
      local floor, cap = math.random(2, 1e6), math.random(1e6, 1e8)
      local step = math.min(floor * 2 ^ math.min(math.max(failures - 1, 0), 20), cap)
      local got = delay(failures, floor, cap, math.random(0, 0x7fffffff))
      assert(got >= math.floor(step / 2) and got <= step,
        ('%d failures, floor %d, cap %d: %d'):format(failures, floor, cap, got))
    end
  end)

  it('reaches both ends of its range and is spread evenly between them', function()
    assert.are.equal(500, delay(1, 1000, 1e9, 0))
    assert.are.equal(1000, delay(1, 1000, 1e9, 0xffff))
    local buckets = {}
    for random = 0, 0xffff do
      local bucket = math.min(9, math.floor((delay(1, 100000, 1e9, random) - 50000) / 5000))
      buckets[bucket] = (buckets[bucket] or 0) + 1
    end
    for i = 0, 9 do assert.is_true(math.abs(buckets[i] - 6554) < 20) end
  end)

  it('stays at the cap after any number of failures, without overflow', function()
    for _, failures in ipairs { 15, 21, 64, 1000, 0xffffffff } do
      assert.are.equal(5000000, delay(failures, 100000, 5000000, 0xffff))
      assert.are.equal(2500000, delay(failures, 100000, 5000000, 0))
    end
  end)

  it('takes no failure for the first', function()
    assert.are.equal(delay(1, 1000, 1e9, 99), delay(0, 1000, 1e9, 99))
  end)

  it('is a number of microseconds that needs more than 32 bits', function()
    assert.are.equal(3600000000, delay(40, 1000000, 3600000000, 0xffff))
    assert.are.equal(8, ffi.sizeof('usec'))
  end)
end)
