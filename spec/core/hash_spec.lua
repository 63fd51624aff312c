local bit = require 'bit'
local ffi = require 'ffi'
local core = require 'spec.core.core'
local C = core.lib

core.headers('base/hash.h')

local function new_hash()
  local h = ffi.new('struct hash')
  C.hash_init(h)
  return ffi.gc(h, C.hash_close)
end

local is_new = ffi.new('int[1]')

local function put(h, key)
  local p, len = core.bytes(key)
  return C.hash_put(h, p, len, is_new), is_new[0] == 1
end

describe('hash', function()
  it('numbers keys in order of first sight', function()
    local h = new_hash()
    local cases = {
      { 'a', 0, true }, { 'b', 1, true }, { 'a', 0, false }, { '', 2, true },
      { 'ab', 3, true }, { '', 2, false },
    }
    for i, case in ipairs(cases) do
      local number, fresh = put(h, case[1])
      assert.are.same({ case[2], case[3] }, { number, fresh }, 'case ' .. i)
    end
    assert.are.equal(4, h.n_keys)
    assert.are.equal('ab', ffi.string(h.keys[3].p, h.keys[3].len))
  end)

  it('tells apart keys that differ in length, in one bit or behind a NUL', function()
    local h, n = new_hash(), 0
    for len = 0, 70 do
      put(h, ('x'):rep(len))
      put(h, ('\0'):rep(len + 1))
      n = n + 2
    end
    assert.are.equal(n, h.n_keys)
    for at = 1, 36 do
      for shift = 0, 7 do
        local other = string.char(bit.bxor(('k'):byte(), 2 ^ shift))
        local key = ('k'):rep(at - 1) .. other .. ('k'):rep(36 - at)
        assert.is_true(select(2, put(h, key)))
      end
    end
  end)

  it('finds 100,000 keys again after growing, and no others', function()
    local h, keys, n = new_hash(), {}, core.rounds(100000)
    for i = 1, n do
      keys[i] = ('%08x-%04x-key-%d'):format(i * 2654435761 % 4294967296, i % 65536, i)
      assert.are.equal(i - 1, (put(h, keys[i])))
    end
    for i = 1, n, 7 do
      assert.are.equal(i - 1, tonumber(C.hash_get(h, keys[i], #keys[i])))
    end
    assert.are.equal(-1, tonumber(C.hash_get(h, 'none', 4)))
    assert.is_true(h.n_keys * 5 <= h.n_slots * 3)
  end)

  it('is empty after a reset, of many keys and of few', function()
    local h = new_hash()
    for round = 1, 6 do
      local n = round % 2 == 1 and 5000 or 3
      for i = 1, n do assert.are.equal(i - 1, (put(h, 'key' .. i))) end
      C.hash_reset(h)
      assert.are.equal(0, h.n_keys)
      assert.are.equal(-1, tonumber(C.hash_get(h, 'key1', 4)))
      for i = 0, h.n_slots - 1 do assert(h.slots[i].number == 0) end
    end
  end)

  it('spreads counters, in text and in binary, over all bits', function()
    local makes = {
      function(i) return ('%d'):format(i) end,
      function(i) return ffi.string(ffi.new('uint64_t[1]', i), 8) end,
      function(i) return ('account-%032d'):format(i) end,
    }
    for _, make in ipairs(makes) do
      local buckets = {}
      for i = 1, 65536 do
        local key = make(i)
        local bucket = tonumber(C.hash_bytes(key, #key) % 1024)
        buckets[bucket] = (buckets[bucket] or 0) + 1
      end
      for bucket = 0, 1023 do
        -- 64 expected; six standard deviations are 48.
        assert.is_true(math.abs((buckets[bucket] or 0) - 64) < 48)
      end
    end
  end)
end)
