-- `x:table(…)` in a bundle is compiled as f(x, …). What is compiled must do what
-- the text says, line by line.
local bundles = require 'spec.unit.bundles'
local calls = require 'tidemill.load.calls'
local util = require 'jit.util'

local CASES = {
  { 'a name', 'return x:table()', 'return f(x)' },
  { 'fields, indices and calls', "return a.b[c[1]]:d(e).f {g} 'h' [[i]]:table(1, 2)", "return f(a.b[c[1]]:d(e).f {g} 'h' [[i]],1, 2)" },
  { 'parentheses', 'x = (a or b):table().y', 'x = f(((a or b))).y' },
  { 'a call in a call', 'x:table(y:table(), z):table()', 'f((f(x,f(y), z)))' },
  { 'a statement behind a text', "local s = 'a'\n(x):table()", "local s = 'a'\nf(((x)))" },
  { 'a statement behind a text that is a keyword', "s = 'function' (x):table()", "s = 'function' f(((x)))" },
  { 'a statement behind a table', 'local s = {}\n(x):table()', 'local s = {}\nf(((x)))' },
  { 'a statement behind a number, and behind end', 'local n = 1 (x):table() do end (y):table()', 'local n = 1 f(((x))) do end f(((y)))' },
  { 'a statement behind parameters', 'f = function(a) (x):table() end function f(a) (y):table() end function a.b:c(d) (z):table() end',
    'f = function(a) f(((x))) end function f(a) f(((y))) end function a.b:c(d) f(((z))) end' },
  { 'a statement behind names that are declared', 'local a (x):table() local a, b (y):table() goto c (z):table() ::c::',
    'local a f(((x))) local a, b f(((y))) goto c f(((z))) ::c::' },
  { 'a call behind what is assigned', 'local a, b = c, d (x):table() e = f, g (y):table()',
    'local a, b = c, f((d (x))) e = f, f((g (y)))' },
  { 'functions that are called', '(function(a) return a:table() end)(x):table()', 'f(((function(a) return f(a) end)(x)))' },
  { 'indices in a table', 'return { [x:table()] = y:table(), f [x]:table(), [z] = (w):table() }',
    'return { [f(x)] = f(y), f(f [x]), [z] = f(((w))) }' },
  { 'operators', 'return not x:table() and #y:table() .. -z:table()', 'return not f(x) and #f(y) .. -f(z)' },
  { 'words that look alike', 'x.table() y:tables() table.x() z = { table = 1 } x:table "a" x:table {}', nil },
  { 'the definition of a method', 'function a.b:table(x) return x:table() end', 'function a.b:table(x) return f(x) end' },
  { 'a label', '::table:: x:table() ::a:: y:table()', '::table:: f(x) ::a:: f(y)' },
  { 'texts and comments', "x = ':table()' -- y:table()\n--[[ z:table() ]] w:table()", "x = ':table()' -- y:table()\n--[[ z:table() ]] f(w)" },
  { 'a call that gives several values, of which the first one is asked',
    "f():table() f 'a':table() f {}:table(); (g()):table():table() f():table(1) a[f()]:table()",
    "f((f())) f((f 'a')) f((f {})); f((f(((g()))))) f(f(),1) f(a[f()])" },
  { 'a field that is called goto', 'local a = b.goto\nf(x):table() a:goto(x):table() goto c (z):table() ::c::',
    'local a = b.goto\nf((f(x))) f((a:goto(x))) goto c f(((z))) ::c::' },
  { 'lines', 'return x\n:\n-- why\ntable(\ny)', 'return f(x\n\n\n,\ny)' },
  { 'lines as on other systems', 'x:table()\r\ny:table()', 'f(x)\nf(y)' },
}

describe('calls.rewrite', function()
  for _, case in ipairs(CASES) do
    it('reads ' .. case[1], function() assert.are.equal(case[3], calls.rewrite(case[2], 'f')) end)
  end

  -- Random expressions on tables that tell what is asked of them.
  local function expressions(seed)
    math.randomseed(seed)
    local any, depth = nil, 0
    local function arguments()
      local list = {}
      for i = 1, math.random(0, 2) do list[i] = any() end
      return table.concat(list, ', ')
    end
    local LEAVES = { 'x', 'y', 'f(x)', '(x)', '(x or y)', "f 'text'", 'f {x}', 'f [[text]]', '(function() return x end)()' }
    local SUFFIXES = {
      function() return ':table(' .. arguments() .. ')' end, function() return ' : table(' .. arguments() .. ')' end,
      function() return '.field' end, function() return ':method(' .. arguments() .. ')' end, function() return '[1]' end,
      function() return "['table']:table(" .. arguments() .. ')' end, function() return '(' .. any() .. ')' end,
      function() return ':method {' .. any() .. '}' end, function() return '--[[ :table() ]]:table(' .. arguments() .. ')' end,
    }
    function any()
      depth = depth + 1
      local text = LEAVES[math.random(#LEAVES)]
      for _ = 1, depth > 3 and 0 or math.random(0, 4) do text = text .. SUFFIXES[math.random(#SUFFIXES)]() end
      depth = depth - 1
      return text
    end
    return any
  end

  local function run(text, name)
    local log = {}
    local object = setmetatable({}, {
      __index = function(self, key)
        -- The method is looked up behind the arguments instead of before them.
        if key ~= 'table' then log[#log + 1] = 'index ' .. tostring(key) end
        return self
      end,
      __call = function(self, ...)
        log[#log + 1] = 'call ' .. select('#', ...)
        return self
      end,
    })
    local env = { x = object, y = object, f = function() log[#log + 1] = 'f' return object end }
    env[name] = function(x, ...) return x:table(...) end
    assert(load('return ' .. text, 'text', 't', env))()
    return table.concat(log, '\n')
  end

  it('gives text that does the same', function()
    local n = 0
    for seed = 1, 300 do
      local text = expressions(seed)()
      local rewritten = calls.rewrite('return ' .. text, 'call')
      if rewritten then
        n = n + 1
        assert.are.equal(run(text, 'call'), run(rewritten:sub(8), 'call'), text .. '\n' .. rewritten)
        assert.is_nil(calls.rewrite(rewritten, 'call'), rewritten)
      end
    end
    assert.is_true(n > 100)
  end)
  it('leaves no call of that name in the bytecode', function()
    local function calls_of(f, n)
      local k = -1
      local constant = util.funck(f, k)
      while constant ~= nil do
        n = n + (constant == 'table' and 1 or 0)
        if type(constant) == 'proto' then n = calls_of(constant, n) end
        k = k - 1
        constant = util.funck(f, k)
      end
      return n
    end
    local f = assert(loadstring(calls.rewrite('local a, b = ... return a:table(b:table()), a.b:table(), function() return b:table() end', 'f')))
    assert.are.equal(0, calls_of(f, 0))
  end)
end)

describe('a call in a bundle', function()
  local JSON = "kafka { brokers = 'b', group = 'g', topics = { 't' }, format = 'json' }"
  local function failure(body)
    local b = bundles.load(bundles.pipeline("projection { table = 'a', append = true, columns = { n = 'bigint' }, on = function(row, event)\n"
      .. body .. '\nend }', JSON))
    local ok, reason = pcall(b.run, b, { events = { { key = 'k', data = { o = {}, list = { 1 } } } } })
    assert.is_false(ok)
    return reason
  end
  it('names its line when it fails', function()
    assert.is_truthy(failure('local t = event.data.o:table()\nrow.n = event.data.x:table()'):find('pipeline.lua:6: ', 1, true))
    assert.is_truthy(failure('\n\nevent.data.list:table()'):find("pipeline.lua:7: attempt to call method 'table' (a nil value)", 1, true))
    assert.is_truthy(failure('\nevent.headers:table()'):find('pipeline.lua:6: headers are read by name', 1, true))
  end)
  it('is found in modules of the bundle too, also in those that are required late', function()
    local b = bundles.load {
      ['pipeline.lua'] = bundles.pipeline("projection { table = 'a', append = true, columns = { n = 'bigint', t = 'text' }, "
        .. "on = function(row, event) row.n = require('late').n(event.data) row.t = event.data.table end }", JSON),
      ['late.lua'] = 'return { n = function(x) return x:table().n end }',
    }
    assert.are.same({ { n = 5, t = 'mine' } }, b:run({ events = { { key = 'k', data = { n = 5, table = 'mine' } } } }):rows('a'))
  end)
  it("of source's table is told from the field, which is the table's name", function()
    local b = bundles.load(bundles.pipeline("projection { table = 'a', append = true, columns = { t = 'text', u = 'text', n = 'bigint' }, "
      .. 'on = function(row, event) row.t, row.u, row.n = event.source.table, event.source:table().table, event.source:table().n end }',
      (JSON:gsub("'json'", "'debezium'"))))
    assert.are.same({ { t = 'users', u = 'users', n = 3 } },
      b:run({ events = { { key = { id = 1 }, after = { id = 1 }, source = { table = 'users', n = 3 } } } }):rows('a'))
  end)
end)
