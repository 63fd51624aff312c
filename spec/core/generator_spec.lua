-- load.lua as `tidemill dev` runs it.
local ffi = require 'ffi'
local core = require 'spec.core.core'
local C = core.lib

core.headers('base/err.h', 'model/record.h', 'lua/generator.h')
ffi.cdef [[
int fork(void);
int waitpid(int, int *, int);
void _exit(int);
]]

local function with(text, fn)
  local path = os.tmpname()
  local file = assert(io.open(path, 'w'))
  file:write(text)
  file:close()
  local e = ffi.new('struct err')
  local generator = C.generator_open(path, e)
  if generator == nil then
    fn(nil, ffi.string(e.text):gsub(path, 'load.lua', 1), e)
  else
    fn(generator, nil, e)
    C.generator_close(generator)
  end
  os.remove(path)
end

describe('load.lua', function()
  it('gives events until there are no more', function()
    with([[return { topics = { a = { partitions = 3 }, b = {} }, rate = 7, next = function(n)
      if n < 3 then return { topic = 'a', key = 'k' .. n, value = 'v', headers = { h = 'x' } } end
    end }]], function(g, _, e)
      local r = ffi.new('struct generator_record')
      assert.are.same({ 3, 1, 0, 7 }, { C.generator_partitions(g, 'a'), C.generator_partitions(g, 'b'),
        C.generator_partitions(g, 'c'), C.generator_rate(g) })
      for n = 1, 2 do
        assert.is_true(C.generator_next(g, n, r, e))
        assert.are.same({ 'a', 'k' .. n, 'v', 'h', 'x', 1 }, { ffi.string(r.topic), ffi.string(r.key, r.key_len),
          ffi.string(r.value), ffi.string(r.headers[0].name), ffi.string(r.headers[0].value), r.n_headers })
      end
      assert.is_false(C.generator_next(g, 3, r, e))
      assert.are.equal(0, tonumber(e.class))
    end)
  end)
  it('raises where it is told, and nowhere else', function()
    local raising = "setmetatable(%s, { __index = function() error('x') end })"
    with(("return { topics = %s, next = function(n) if n == 1 then return %s end error({}) end }"):format(
      raising:format '{}', raising:format "{ topic = 'a' }"), function(g, _, e)
      local r = ffi.new('struct generator_record')
      assert.are.equal(0, C.generator_partitions(g, 'a'))
      assert.is_true(C.generator_next(g, 1, r, e))
      assert.is_false(C.generator_next(g, 2, r, e))
      assert.are.equal('it raised no text', ffi.string(e.text))
    end)
    with("\nerror 'no'", function(_, reason) assert.are.equal('load.lua:2: no', reason) end)
  end)
  it('ends its process when it takes all memory', function()
    local pid = C.fork()
    if pid == 0 then
      with("local s = 'x' while true do s = s .. s end", function() C._exit(0) end)
    end
    local status = ffi.new('int[1]')
    assert.are.equal(pid, C.waitpid(pid, status, 0))
    assert.are.equal(78, bit.rshift(status[0], 8))
  end)
end)
