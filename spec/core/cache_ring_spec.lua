-- The ring of the row cache against a model that is a plain table.
local ffi = require 'ffi'
local core = require 'spec.core.core'
local C = core.lib

core.headers('base/loop.h', 'flow/table/cache_ring.h')

local BYTES, TTL, SECOND = 65536, 600, 1000000

local function open(bytes, ttl)
  local c = ffi.gc(ffi.new('struct cache_ring'), C.cache_ring_close)
  C.cache_ring_open(c, bytes or BYTES, (ttl or TTL) * SECOND)
  return c
end

local key_struct = ffi.new('struct cache_key')
-- The text must outlive the call, and does: callers hold it.
local function key(text, projection)
  key_struct.projection, key_struct.p, key_struct.len = projection or 0, text, #text
  key_struct.hash = C.cache_ring_hash(key_struct)
  return key_struct
end

local function put(c, text, value, o)
  o = o or {}
  C.cache_ring_put(c, key(text, o.projection), o.claim or 1, o.xmin or 7, value, #value,
    o.now or 0)
end

local function find(c, text, o)
  o = o or {}
  local e = C.cache_ring_find(c, key(text, o.projection), o.claim or 1, o.now or 0)
  if e == nil then return nil end
  return ffi.string(C.cache_ring_value(e), e.value_len), e.xmin
end

local function drop(c, text, projection) C.cache_ring_drop(c, key(text, projection)) end

-- Bytes of an entry in the ring.
local function size(text, value)
  return math.floor((ffi.sizeof('struct cache_entry') + #text + #value + 7) / 8) * 8
end

describe('the row cache', function()
  it('gives back what was put, to the byte, and the newest of it', function()
    local c = open()
    put(c, 'a', 'one', { xmin = 1 })
    put(c, 'b', '', { xmin = 2 })
    put(c, '', 'no key\0at all', { xmin = 3 })
    put(c, 'a', 'another, which is longer', { xmin = 4 })
    assert.are.same({ 'another, which is longer', 4 }, { find(c, 'a') })
    assert.are.same({ '', 2 }, { find(c, 'b') })
    assert.are.same({ 'no key\0at all', 3 }, { find(c, '') })
    assert.is_nil(find(c, 'c'))
    assert.are.equal(3, c.n_entries)
  end)

  it('tells projections with the same key apart', function()
    local c = open()
    put(c, 'a', 'of 0')
    put(c, 'a', 'of 5', { projection = 5 })
    assert.are.equal('of 0', (find(c, 'a')))
    assert.are.equal('of 5', (find(c, 'a', { projection = 5 })))
    drop(c, 'a', 5)
    assert.are.equal('of 0', (find(c, 'a')))
    assert.is_nil(find(c, 'a', { projection = 5 }))
  end)

  it('has nothing for another claim of the lane, then or later', function()
    local c = open()
    put(c, 'a', 'x', { claim = 4 })
    assert.is_nil(find(c, 'a', { claim = 5 }))
    assert.is_nil(find(c, 'a', { claim = 4 }))
    assert.are.equal(0, c.n_entries)
  end)

  it('has nothing that is older than its time, and no use makes it younger', function()
    local c = open(BYTES, 10)
    put(c, 'a', 'x', { now = 5 * SECOND })
    assert.are.equal('x', (find(c, 'a', { now = 14 * SECOND })))
    assert.is_nil(find(c, 'a', { now = 15 * SECOND }))
    assert.is_nil(find(c, 'a', { now = 5 * SECOND }))
  end)

  it('forgets everything when it is cleared', function()
    local c = open()
    local era = c.era
    for i = 1, 100 do put(c, 'key' .. i, 'x') end
    C.cache_ring_clear(c)
    for i = 1, 100 do assert.is_nil(find(c, 'key' .. i)) end
    assert.are.same({ 0, 0 }, { c.n_entries, tonumber(c.live_bytes) })
    assert.is_true(c.era > era)
    put(c, 'a', 'x')
    assert.are.equal('x', (find(c, 'a')))
  end)

  it('takes no row of more than an eighth of it, and forgets the older one', function()
    local c = open()
    local most = math.floor(tonumber(c.ring_bytes) / 8)
    put(c, 'a', 'small')
    put(c, 'b', 'stays')
    put(c, 'a', ('x'):rep(most))
    assert.is_nil(find(c, 'a'))
    assert.are.equal('stays', (find(c, 'b')))
    local large = ('y'):rep(most - 64)
    put(c, 'a', large)
    assert.are.equal(large, (find(c, 'a')))
  end)

  it('is never larger than it may be', function()
    for _, bytes in ipairs { 65536, 65540, 100000, 1048576, 33554432 } do
      local c = open(bytes)
      assert.is_true(tonumber(c.ring_bytes) + c.n_slots * 8 <= bytes)
      assert.is_true(c.n_slots * 8 <= bytes / 8)
      assert.are.equal(0, tonumber(c.ring_bytes % 8))
    end
  end)

  it('keeps many small rows as long as its index has room', function()
    local c = open()
    for i = 1, 2000 do put(c, ('%d'):format(i), '') end
    assert.are.equal(c.n_slots / 4 * 3, c.n_entries)
    assert.is_truthy(find(c, '2000'))
    assert.is_nil(find(c, '1'))
    assert.are.equal(2000 - c.n_entries, tonumber(c.n_evicted))
  end)

  it('finds what it must through all that collides, moves and wraps', function()
    -- Values of very different sizes in a small ring, against a table.
    math.randomseed(20261124)
    local c, model, clock = open(BYTES, 50), {}, 0
    local n_hits = 0
    local ring = tonumber(c.ring_bytes)
    local written = 0 -- bytes put so far, and when each key was last put
    for step = 1, 15000 do
      clock = clock + math.random(0, 25000)
      local name = ('k%d'):format(math.random(1, step % 4000 < 2000 and 3000 or 150))
      local claim, dice = math.random(1, 40) == 1 and 2 or 1, math.random(1, 100)
      if dice <= 45 then
        local value = ('%s/%d/'):format(name, step)
        value = value .. ('v'):rep(math.random(1, 200) == 1 and math.random(0, 9000)
          or math.random(0, 60))
        put(c, name, value, { claim = claim, xmin = step, now = clock })
        local n = size(name, value)
        model[name] = n <= ring / 8 and { value = value, claim = claim, xmin = step,
          at = clock, written = written } or nil
        written = written + n
      elseif dice <= 50 then
        drop(c, name)
        model[name] = nil
      else
        local value, xmin = find(c, name, { claim = claim, now = clock })
        local m = model[name]
        if value then
          n_hits = n_hits + 1
          assert.is_truthy(m, name .. ' was dropped')
          assert.are.same({ m.value, m.xmin, m.claim }, { value, xmin, claim })
          assert.is_true(clock - m.at < 50 * SECOND)
        elseif m and m.claim == claim and clock - m.at < 49 * SECOND
          and written - m.written < ring / 2 - ring / 8 then
          error(('%s was used %d bytes ago, and is gone'):format(name,
            written - m.written))
        end
        if not value and m and (m.claim ~= claim or clock - m.at >= 50 * SECOND) then
          model[name] = nil
        end
      end
      assert.is_true(c.head - c.tail <= c.ring_bytes)
      assert.is_true(c.n_entries <= c.n_slots / 4 * 3)
      assert.is_true(c.live_bytes <= c.ring_bytes)
    end
    assert.is_true(n_hits > 1000, n_hits)
    assert.is_true(c.n_evicted > 1000, tonumber(c.n_evicted))
    assert.is_true(c.head > 3 * c.ring_bytes)
  end)

  it('keeps busy rows while many others pass through', function()
    local c, lost = open(), 0
    for i = 1, 5000 do
      put(c, 'once' .. i, ('x'):rep(40))
      if i % 10 == 0 then
        for k = 1, 20 do
          if i > 10 and not find(c, 'busy' .. k) then lost = lost + 1 end
          put(c, 'busy' .. k, ('y'):rep(40))
        end
      end
    end
    assert.are.equal(0, lost)
    -- They were packed in their place most of the time: two thirds of all that
    -- was put is theirs, and it did not push out the others.
    assert.is_truthy(find(c, 'once' .. 4700))
  end)
end)
