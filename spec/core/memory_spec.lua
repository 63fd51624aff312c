local ffi = require 'ffi'
local core = require 'spec.core.core'
local C = core.lib

core.headers('base/buf.h')

local function arena(keep_bytes)
  local a = ffi.gc(ffi.new('struct arena'), C.arena_close)
  C.arena_init(a, keep_bytes)
  return a
end

local function address(p) return tonumber(ffi.cast('intptr_t', p)) end

describe('arena', function()
  it('gives aligned bytes that do not overlap, of any size', function()
    math.randomseed(9)
    local a, taken = arena(0), {}
    for i = 1, 3000 do
      local size = math.random(20) == 1 and math.random(1, 300000) or math.random(0, 200)
      local p = C.arena_alloc(a, size)
      assert(address(p) % 16 == 0)
      ffi.fill(p, size, i % 251)
      taken[i] = { ffi.cast('uint8_t *', p), size, i % 251 }
    end
    for _, t in ipairs(taken) do
      if t[2] > 0 then assert(t[1][0] == t[3] and t[1][t[2] - 1] == t[3]) end
    end
  end)

  it('gives zeroes when asked to, also where others have written', function()
    local a = arena(1e6)
    ffi.fill(C.arena_alloc(a, 5000), 5000, 0xaa)
    C.arena_reset(a)
    local p = ffi.cast('uint8_t *', C.arena_zero(a, 5000))
    for i = 0, 4999 do assert(p[i] == 0) end
  end)

  it('allocates nothing under a steady load', function()
    local a, total = arena(1e7), nil
    for _ = 1, 10 do
      for _ = 1, 1000 do C.arena_alloc(a, 1000) end
      total = total or a.total_bytes
      assert.are.equal(total, a.total_bytes)
      C.arena_reset(a)
      assert.are.equal(total, a.total_bytes)
    end
  end)

  it('gives back what is over the bytes to keep', function()
    local a = arena(100000)
    for _ = 1, 10 do
      for _ = 1, 3000 do C.arena_alloc(a, 1000) end
      assert.is_true(a.total_bytes >= 3000000)
      C.arena_reset(a)
      assert.is_true(a.total_bytes <= 100000)
    end
    C.arena_close(a)
    assert.are.equal(0, tonumber(a.total_bytes))
  end)

  it('shares a limit with others, which sees what all of them have begun', function()
    local l, a, b = ffi.new('struct arena_limit', { most = 3e6 }), arena(1e5), arena(1e5)
    a.limit, b.limit = l, l
    for i = 1, 1400 do C.arena_alloc(i % 2 == 0 and a or b, 1000) end
    assert.is_false(l.is_over)
    for _ = 1, 2000 do C.arena_alloc(a, 1000) end
    assert.is_true(l.is_over)
    C.arena_reset(a)
    C.arena_reset(b)
    assert(tonumber(l.taken) <= 2e5)
    assert.is_true(l.is_over, 'it stays until someone clears it')
    C.arena_close(a)
    C.arena_close(b)
    assert.are.equal(0, tonumber(l.taken))
  end)

  it('does not lose the small blocks behind a large one', function()
    local a = arena(1e9)
    for _ = 1, 5 do
      for _ = 1, 20 do C.arena_alloc(a, 16000) end
      C.arena_alloc(a, 3000000)
      C.arena_reset(a)
    end
    assert.is_true(a.total_bytes < 5000000)
  end)

  it('copies bytes with a NUL behind them, also none', function()
    local a = arena(0)
    assert.are.equal('ab\0c\0', ffi.string(C.arena_dup(a, 'ab\0c', 4), 5))
    assert.are.equal('\0', ffi.string(C.arena_dup(a, nil, 0), 1))
    assert.are.equal(('x'):rep(40000) .. '7',
      ffi.string(C.arena_printf(a, '%s%d', ('x'):rep(40000), ffi.cast('int', 7))))
  end)
end)

describe('buf', function()
  local function new_buf() return ffi.gc(ffi.new('struct buf'), C.buf_close) end

  it('grows and keeps what it holds', function()
    local b, parts = new_buf(), {}
    for i = 1, 2000 do
      local text = ('%d;'):format(i):rep(i % 9)
      C.buf_put(b, text, #text)
      parts[i] = text
    end
    local whole = table.concat(parts)
    assert.are.equal(whole, ffi.string(b.data, b.len))
    assert.is_true(b.cap >= b.len and b.cap < 4 * #whole)
  end)

  it('has room for what was reserved, without another block', function()
    local b = new_buf()
    C.buf_puts(b, 'abc')
    C.buf_reserve(b, 100000)
    local data = b.data
    for _ = 1, 1000 do C.buf_put(b, ('y'):rep(100), 100) end
    assert.is_true(b.data == data)
    assert.are.equal(100003, tonumber(b.len))
  end)

  it('ends as text with a NUL that is not counted', function()
    local b = new_buf()
    assert.are.equal('', ffi.string(C.buf_text(b)))
    C.buf_printf(b, '%s-%s', 'a', ('b'):rep(300))
    assert.are.equal('a-' .. ('b'):rep(300), ffi.string(C.buf_text(b)))
    assert.are.equal(302, tonumber(b.len))
    C.buf_put(b, nil, 0)
    assert.are.equal(302, tonumber(b.len))
  end)
end)
