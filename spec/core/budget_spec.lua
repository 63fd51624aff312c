-- The memory of a VM, counted and limited wherever it comes from: malloc's on
-- x86-64, where both serve, LuaJIT's own elsewhere.
local ffi = require 'ffi'
local core = require 'spec.core.core'
local C = core.lib

ffi.cdef [[
typedef struct lua_State lua_State;
typedef void *(*lua_Alloc)(void *, void *, size_t, size_t);
void luaL_openlibs(lua_State *);
int luaL_loadstring(lua_State *, const char *);
int lua_pcall(lua_State *, int, int, int);
const char *lua_tolstring(lua_State *, int, size_t *);
void lua_settop(lua_State *, int);
int lua_gc(lua_State *, int, int);
int getpagesize(void);
int mincore(void *, size_t, unsigned char *);
]]
core.headers('base/loop.h', 'lua/budget.h')

-- Is the page of that address one of this process?
local function is_mapped(p)
  local address = ffi.cast('uintptr_t', p)
  return C.mincore(ffi.cast('void *', address - address % C.getpagesize()), 1, ffi.new 'unsigned char[1]') == 0
end

local ERRMEM, COUNT, COUNTB, COLLECT = 4, 3, 4, 2

local sources = { ["LuaJIT's own allocator"] = C.BUDGET_LUAJIT }
if jit.arch == 'x64' then sources.malloc = C.BUDGET_MALLOC end

for name, source in pairs(sources) do
  describe('a budget on ' .. name, function()
    local b, L

    before_each(function()
      b = ffi.new('struct budget', { max_bytes = -1ULL })
      L = C.budget_open_from(b, source)
      C.luaL_openlibs(L)
    end)
    after_each(function()
      if L then C.budget_close(L) end
    end)

    local function run(text)
      assert.are.equal(0, C.luaL_loadstring(L, text))
      local status = C.lua_pcall(L, 0, 0, 0)
      local why = status ~= 0 and ffi.string(C.lua_tolstring(L, -1, nil)) or nil
      C.lua_settop(L, 0)
      return status, why
    end
    local function used() return tonumber(b.used_bytes) end
    local function luajits() return C.lua_gc(L, COUNT, 0) * 1024 + C.lua_gc(L, COUNTB, 0) end

    it('counts each byte that LuaJIT counts, from its first one on', function()
      assert.are.equal(luajits(), used())
      run "t = {} for i = 1, 50000 do t[i] = ('x'):rep(i % 300) .. i end"
      assert.are.equal(luajits(), used())
      assert.is_true(used() > 2e6)
      run 't = nil'
      C.lua_gc(L, COLLECT, 0)
      assert.are.equal(luajits(), used())
      assert.is_true(used() < 2e6)
    end)

    it('refuses what is over the limit, and says so', function()
      b.max_bytes = used() + 4e6
      assert.are.equal(0, (run "a = ('x'):rep(1e6)"))
      assert.is_false(b.is_exceeded)
      local status, why = run "b = {} for i = 1, 1e6 do b[i] = ('y'):rep(100) .. i end"
      assert.are.equal(ERRMEM, status)
      assert.are.equal('not enough memory', why)
      assert.is_true(b.is_exceeded)
      assert.is_true(used() <= tonumber(b.max_bytes))
      b.max_bytes = -1ULL
    end)

    it('gives all memory back at the end', function()
      run "t = {} for i = 1, 2000 do t[i] = ('z'):rep(20) .. i end"
      local first = L
      assert.is_true(is_mapped(first))
      C.budget_close(L)
      L = nil
      if source == C.BUDGET_LUAJIT then
        assert.is_false(is_mapped(first)) -- as a whole: LuaJIT frees no piece of it
      else
        assert.are.equal(0, used())
      end
    end)
  end)
end
