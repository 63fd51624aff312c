-- What `check` says of handlers without running them, and of a block without its end.
local boot = require 'tidemill.boot'
local bundles = require 'spec.unit.bundles'
local generator = require 'spec.unit.lua_generator'
local handlers = require 'tidemill.inspect.handlers'
local wrong = require 'wrong'

local function said_of(files)
  return bundles.with(type(files) == 'string' and { ['pipeline.lua'] = files } or files, function(folder)
    local plan, _, env = boot.open(folder)
    local list = handlers.of(plan, env)
    for i, text in ipairs(list) do list[i] = bundles.without_folder(text, folder) end
    return list
  end)
end

local FOLD = "projection { table = 'a', key = { id = { 'text', from = 'key' } }, columns = { n = 'integer', s = 'text', %s at = 'date' },\n"
  .. 'on = { T = function(row, event)\n%s\nend } }'

local function pipeline(body, columns, above)
  return (bundles.pipeline(FOLD:format(columns or '', body)):gsub('^', function() return above or '' end))
end

describe('check of handlers', function()
  local CASES = {
    ['os.time()'] = "'os' is not available in a pipeline: time comes from event.time", ["print('x')"] = "'print' is not available",
    ["io.write('x')"] = "'io' is not available", ['row.n = math.random(5)'] = 'math.random is not available',
    ['row.s = string.fromat(1)'] = "did you mean 'format'",
    ["local x = _G['a']"] = "'_G' is not available", ['row.n = evnt.data.n'] = "there is no global 'evnt'",
    ["error(tostrin(1))"] = "did you mean 'tostring'",
    ['row.s = event.payload'] = "an event has no field 'payload'", ["if event:hass('data.x') then row.n = 1 end"] = "did you mean 'has'",
    ["if event.has('data.x') then row.n = 1 end"] = "write event:has('data.x'), with a colon",
    ['event.data = nil'] = 'event fields cannot be assigned',
    ['row.delete()'] = 'write row:delete(), with a colon', ['return row.reset()'] = 'write row:reset(), with a colon',
    ['row:delet()'] = "did you mean 'delete'",
    ['row.m = 1'] = "no column 'm'", ['row.n = row.x + 1'] = "no column 'x'",
    ['local f = function() return os.date() end row.s = f()'] = "'os' is not available",
    ['for i = 1, 3 do if event.data.x then row.q = i end end'] = "no column 'q'", ['table.concat2(1)'] = 'table.concat2 is not available',
    ["if event == nil or row.n == 2 and not event.data then row.zz = 1 end"] = "no column 'zz'",
  }
  for body, what in pairs(CASES) do
    it('finds ' .. body, function()
      local said = said_of(pipeline(body))
      assert.are.equal(1, #said, table.concat(said, '\n'))
      assert.is_truthy(said[1]:find('^pipeline%.lua:6: '), said[1])
      assert.is_truthy(said[1]:find(what, 1, true), said[1])
    end)
  end

  it('finds a document that is assigned to itself, and becomes a text', function()
    for _, body in ipairs { 'row.j = event.data.j or row.j', 'row.j = row.j', 'local r = row r.j = r.j' } do
      local said = said_of(pipeline(body, "j = 'jsonb',"))
      assert.are.equal(1, #said, body)
      assert.is_truthy(said[1]:find('row.j reads as a text', 1, true), said[1])
    end
    for _, body in ipairs { 'row.s = event.data.s or row.s', 'row.j = event.data.j or {}', 'row.s = row.j', 'row.j = event.data.j',
      'if event.data.j ~= nil then row.j = event.data.j end' } do
      assert.are.same({}, said_of(pipeline(body, "j = 'jsonb',")), body)
    end
  end)

  it('finds it in functions that a handler calls, in key functions and in batch functions', function()
    assert.are.equal(1, #said_of(pipeline('row.n = helper()', nil, 'local function helper() return os.time() end ')))
    local said = said_of(bundles.pipeline([[projection { table = 'a', columns = {},
      key = { id = { 'text', from = function(event) return event.dta.x end } },
      on = { T = function() end } }, projection { tables = { b = { append = true, columns = {} } }, batch = function(batch, tables)
      print(1) end }]]))
    assert.are.equal(2, #said, table.concat(said, '\n'))
  end)

  it('finds it where a function inside of the handler, or one that it calls, has the row or the event', function()
    local helpers = 'local function set(r, e) r.q = 1 end local own = { of = function(_, e) return e.payload end } '
    for _, body in ipairs { 'local f = function() row.q = 1 end f()', 'each(function() return function() row.q = 1 end end)', 'set(row)',
      'return set(row, event)', 'row.s = own:of(event)', 'row.s = own.of(nil, event)', 'local r = row if r.n then set(r) end',
      "local x = require 'nothing'",
      'local r = row r.q = 1' } do
      local said = said_of(pipeline(body, nil, helpers .. 'local function each(f) return f() end '))
      assert.are.equal(1, #said, body .. ': ' .. table.concat(said, '\n'))
    end
  end)

  it('is silent about what is right, however it is written', function()
    local helpers = 'local own = { clamp = function(x) return x end } local function set(r, e, q) if q then r.q = e.payload end r.n = 1 end '
    for _, body in ipairs { 'local m = own or math row.n = m.clamp(1)', 'local m = event.data.x and own or string row.n = m.clamp and 1 or 2',
      'local f = function() row = { q = 1 } end f() row.n = row.q', 'local f = function(x) event = x end f(event.data) row.s = event.payload',
      'local f = function(x) local g = function() event = x end g() end f(event.data) row.s = event.payload',
      'local r = event.data.x and row or { q = 1 } local x = r.q', 'set(row, event)', 'set({}, event.data, true)',
      'for i = 1, 2 do local r = i == 1 and row or own row.n = r.clamp and 1 end' } do
      assert.are.same({}, said_of(pipeline(body, nil, helpers)), body)
    end
    for _, f in ipairs { 'function() local k, v = next({ { q = 1 } }) local x = v.q end',
      'function(...) local a, b = unpack { {}, { q = 2 } } return b.q end' } do
      assert.are.same({}, said_of((pipeline('@'):gsub('function%(row, event%)\n@\nend', function() return f end))))
    end
    for _, body in ipairs { 'row:delete()', 'row:reset() row.n = row.exists and 1 or 0', "tidemill.delete(row)",
      "if event:has('data.x') then row.n = 1 end",
      'local print, os = function() end, { time = function() return 1 end } print(os.time())', 'event = event.data row.s = event.payload',
      'row = { q = 1 } row.q = row.z', 'local r = event.data for k in pairs(r) do row.s = k end', "local d = event.data.delete row.s = d and d.x",
      "row.s = ('x'):rep(3) row.s = string.format('%d', 3)", '-- os.time() print\nrow.s = "print(os.time())"',
        'local event = { payload = 1 } row.n = event.payload',
      'local t = { row = { x = 1 } } row.n = t.row.x', 'if row.delete then row.n = 1 end', 'goto done ::done::', "event:has 'data.x'",
      'row.at = millis(event.time)', 'local has = event.has if has(event, "data.x") then row.n = 1 end' } do
      assert.are.same({}, said_of(pipeline(body)))
    end
    assert.are.same({}, said_of(pipeline('row.delete = 1 row.s = row.delete', "delete = 'integer',")))
    -- A handler that serves two tables may know which of them it has.
    assert.are.same({}, said_of((bundles.pipeline([[projection { table = 'a', append = true, columns = { x = 'text' }, on = { T = both } },
      projection { table = 'b', append = true, columns = { y = 'text' }, on = { T = both } }]]):gsub('^', function() return
      "local function both(row, event) if event.topic == 'u' then row.x = 'x' else row.y = 'y' end end " end))))
  end)

  it('is silent about all examples, right pipelines and whatever valid Lua is generated', function()
    for _, name in ipairs { 'bank', 'first', 'mirror', 'transfers' } do
      local plan, _, env = boot.open('examples/' .. name)
      assert.are.same({}, handlers.of(plan, env))
    end
    for _, files in pairs(wrong.right()) do assert.are.same({}, said_of(files)) end
    for _ = 1, 40 do
      local files = generator.bundle()
      assert.are.same({}, said_of(files))
    end
  end)
end)

describe('what other languages write', function()
  it('is told with what Lua writes', function()
    for body, what in pairs { ['if row.n == 1 then\nrow.n = 2\nelse if row.n == 2 then\nrow.n = 3\nend'] = 'is elseif meant?',
      ['if row.n then\nelif row.s then\nend'] = 'Lua writes elseif',
      ['row.n = row.s ? 1 : 2'] = 'Lua writes x and 1 or 2', ['row.n++'] = 'Lua writes n = n + 1',
      ['if !row.n then row.n = 1 end'] = 'Lua writes not' } do
      assert.is_truthy(bundles.refusal(pipeline(body)):find(what, 1, true), bundles.refusal(pipeline(body)))
    end
  end)
end)

describe('a text that is no Lua', function()
  it('is not shown: it may hold a password', function()
    for text, what in pairs { ["'postgres://app:sec\\@ret'"] = 'invalid escape sequence', ["'postgres://app:secret"] = 'unfinished string',
      ['"postgres://app:sec\\sret"'] = 'invalid escape sequence', ['[[postgres://app:secret'] = 'unfinished long string',
      ["'postgres://app:sec'ret'"] = "'}' expected",
      ["'a' 'secret'"] = "' expected" } do
      local said = bundles.refusal('return pipeline {\n  database = postgres { write = ' .. text .. ' },\n}')
      assert.is_truthy(said:find('^pipeline%.lua:%d: ') and said:find(what, 1, true), said)
      assert.is_nil(said:find('sec', 1, true) or said:find("'ret", 1, true), said)
    end
  end)
end)

describe('a record that fails', function()
  it('is told with what was compared with nil, or of another type', function()
    for body, what in pairs { ['row.s = tostring(event.data.a < event.data.b)'] = ': of event.data.a, event.data.b in this line one is nil',
      ['row.s = tostring(event.data.a < "3")'] = 'decimal(text) makes one',
      ['row.s = "a" .. event.data.l'] = "write table.concat(x, ', ')" } do
      local source = "kafka { brokers = 'b', group = 'g', topics = { 't' }, format = 'json', type = 'data.type' }"
      local bundle = bundles.load(bundles.pipeline(FOLD:format('', body), source))
      local ok, why = pcall(bundle.run, bundle, { events = { { key = 'k', type = 'T', data = { a = 1, l = { 1 } } } } })
      assert.is_false(ok)
      assert.is_truthy(why:find(what, 1, true), why)
    end
  end)
end)

describe('a block without its end', function()
  local function blocks(depth, lines, indent)
    local opens = { 'if event.data.x then', 'for i = 1, 3 do', 'while row.n do', 'for k, v in pairs(t) do', 'local function f()', 'do',
      'row.n = call(function()' }
    for _ = 1, math.random(2) do
      local word = opens[math.random(#opens)]
      lines[#lines + 1] = indent .. word
      if depth < 3 then blocks(depth + 1, lines, indent .. '  ') else lines[#lines + 1] = indent .. '  row.n = 1' end
      if word:find('^if') and math.random(2) == 1 then
        lines[#lines + 1], lines[#lines + 2] = indent .. 'else', indent .. '  row.n = 2'
      end
      lines[#lines + 1] = indent .. 'end' .. (word:find('%(function') and ')' or '')
    end
  end

  it('is told in the line where it begins', function()
    math.randomseed(5)
    local n = 0
    for _ = 1, 300 do
      local lines = { "return pipeline { name = 'x', projections = { projection {", '  on = {', '    T = function(row, event)' }
      blocks(1, lines, '      ')
      lines[#lines + 1] = '    end,'
      lines[#lines + 1] = '    U = function(row) row.n = 1 end,'
      lines[#lines + 1] = '  } } } }'
      local ends = {}
      for i, line in ipairs(lines) do
        if line:find('^ +end,?$') then ends[#ends + 1] = i end
      end
      local gone = ends[math.random(#ends)]
      local indent, began = #lines[gone]:match('^ *'), nil
      for i = gone - 1, 1, -1 do
        if #lines[i]:match('^ *') == indent and not lines[i]:find('^ *else') then began = i break end
      end
      table.remove(lines, gone)
      local said = bundles.refusal(table.concat(lines, '\n'))
      assert.is_truthy(said:find(('^pipeline.lua:%d: the \'end\' of this '):format(began)), said .. '\n' .. table.concat(lines, '\n'))
      n = n + 1
    end
    assert.are.equal(300, n)
  end)
end)
