local bundles = require 'spec.unit.bundles'

local function says(text)
  return bundles.refusal { ['pipeline.lua'] = text }
end

local function contains(part, whole)
  assert.is_truthy(whole and whole:find(part, 1, true), tostring(whole))
end

describe('sandbox.globals', function()
  for _, name in ipairs { 'os', 'io', 'debug', 'ffi', 'jit', 'package', 'load', 'loadstring', 'dofile', 'loadfile', 'coroutine',
    'getfenv', 'setfenv', 'getmetatable', 'collectgarbage', '_G' } do
    it('has no ' .. name, function()
      contains(("pipeline.lua:2: '%s' is not available in a pipeline"):format(name), says('\nlocal x = ' .. name .. '\nreturn x'))
    end)
  end
  it('writes all digits of an integer', function()
    contains('|1795466000000123|-9007199254740991|0.5|1e+300|',
      says("error('|' .. tostring(1795466000000123) .. '|' .. tostring(-9007199254740991) .. '|' "
        .. ".. tostring(0.5) .. '|' .. tostring(1e300) .. '|')"))
  end)
  it('names an unknown global', function()
    contains("pipeline.lua:1: there is no global 'projektion': did you mean 'projection'?", says('return projektion {}'))
  end)
  it('refuses to set a global', function()
    contains("pipeline.lua:2: the global 'n' cannot be set: write `local n`", says('\nn = 1'))
  end)
  it('names a function that a library lacks', function()
    contains("string.uper is not available: did you mean 'upper'?", says("return string.uper('x')"))
    contains('math.random is not available: handlers must give the same rows every time', says('return math.random()'))
    contains('string.dump is not available', says('return string.dump(function() end)'))
    contains('string cannot be changed', says('string.x = 1'))
  end)
  it('bounds string.rep', function()
    contains('string.rep: the result would be longer than 16 MiB', says("return string.rep('x', 1e9)"))
  end)
  it('keeps decimals out of math', function()
    contains('math.floor does not take decimals', says("return math.floor(decimal '1.5')"))
    contains('math.max does not take decimals', says("return math.max(1, decimal '1.5')"))
  end)
  local function gives(expression, expected)
    contains(expected, says("error('|' .. tostring(" .. expression .. ") .. '|')"))
  end
  it('asks no metatable for what only some builds of LuaJIT ask for', function()
    contains('|c 1 a|', says([[
local t = setmetatable({ c = 1 }, { __pairs = function() error('asked') end })
local u = setmetatable({ 'a' }, { __ipairs = function() error('asked') end })
local said = ''
for k, v in pairs(t) do said = said .. k .. ' ' .. v end
for _, v in ipairs(u) do said = said .. ' ' .. v end
error('|' .. said .. '|')]]))
    contains("bad argument #1 to 'pairs'", says('for _ in pairs(nil) do end'))
    contains("bad argument #1 to 'ipairs'", says('for _ in ipairs(nil) do end'))
  end)
  it('lets bit work on whole numbers of 64 bits', function()
    gives("bit.band(decimal '9007199254740993', 0xff)", '|1|')
    gives("bit.band(decimal '18446744073709551615', decimal '18446744073709551614', 0xffff)", '|65534|')
    gives("bit.bxor(decimal '-9223372036854775808', 1)", '|-9223372036854775807|')
    gives("bit.rshift(decimal '9223372036854775807', 1)", '|4611686018427387903|')
    gives("bit.tohex(decimal '9007199254740993')", '|0020000000000001|')
    gives('bit.bor(1, 2, 4)', '|7|')
    gives('bit.bnot(0)', '|-1|')
    contains("bit.band takes whole numbers of at most 64 bits, not 1.5", says("return bit.band(decimal '1.5', 1)"))
    contains('bit.bor takes whole numbers of at most 64 bits, not 18446744073709551616',
      says("return bit.bor(decimal '18446744073709551616', 1)"))
  end)
  it('lets string.format print them', function()
    gives("string.format('%d|%5d|%s|%x|%%|%.1f', decimal '9007199254740993', decimal '7', decimal '9007199254740993', "
      .. "decimal '18446744073709551615', 0.5)", '|9007199254740993|    7|9007199254740993|ffffffffffffffff|%|0.5|')
    gives("('%-4d%03d'):format(decimal '-5', 7)", '|-5  007|')
    contains("string.format('%f') prints doubles: write tostring(round(x, 2))", says("return string.format('%.2f', decimal '1.5')"))
    contains("string.format('%d') takes whole numbers of at most 64 bits, not 1.5", says("return string.format('%d', decimal '1.5')"))
    contains("string.format('%d') takes 64 bits, and 9223372036854775808 has more: use %s",
      says("return string.format('%d', decimal '9223372036854775808')"))
  end)
  it('gives the right bits of a Lua number, or none', function()
    gives('bit.band(4503599627370501, 1023)', '|5|') -- beyond 2^51 LuaJIT gives any
    gives('bit.band(-4503599627370501, 1023)', '|1019|')
    gives('bit.bor(9007199254740990, 1)', '|9007199254740991|')
    gives('bit.rshift(4294967295, 1)', '|2147483647|')
    gives('bit.tobit(5000000000 * 31)', '|381177344|') -- as hashes have it
    gives('bit.rshift(decimal(5000000000), 22)', '|1192|')
    gives('bit.rshift(bit.tobit(5000000000), 22)', '|168|')
    for _, call in ipairs { 'rshift(x, 22)', 'arshift(x, 22)', 'rol(x, 1)', 'ror(x, 1)', 'bswap(x)', 'tohex(x)' } do
      for _, x in ipairs { '5000000000', '9007199254740991' } do
        contains(('bit.%s takes 32 bits of a Lua number, and %s has more: write decimal(x) for 64 bits, bit.tobit(x) for the '
          .. 'lowest 32'):format(call:match '%a+', x), says(('local x = %s return bit.%s'):format(x, call)))
      end
    end
    for _, x in ipairs { '2^53', '-2^60', '0/0', '1/0', '2251799813685249.5' } do
      contains('bit.band takes whole numbers below 2^53, not', says(('return bit.band(%s, 1)'):format(x)))
    end
  end)
  it('does not cut a fraction that rounding made', function()
    local may = "a double that Lua's arithmetic has rounded, where %d may be meant: compute with decimals, as in round(decimal("
    contains('math.floor(x): x is 1998.9999999999998, ' .. may:format(1999), says("return math.floor('19.99' * 100)"))
    contains('math.floor(x): x is 434.99999999999994, ' .. may:format(435), says("return math.floor('4.35' * 100)"))
    contains('math.ceil(x): x is 7.0000000000000009, ' .. may:format(7), says("return math.ceil('0.07' * 100)"))
    contains('math.ceil(x): x is -28.999999999999996, ' .. may:format(-29), says("return math.ceil('-0.29' * 100)"))
    contains('math.modf(x): x is -1998.9999999999998, ' .. may:format(-1999), says("return math.modf('-19.99' * 100)"))
    contains("string.format('%d'): x is 1998.9999999999998, " .. may:format(1999), says("return ('%d'):format('19.99' * 100)"))
    gives("('%.2f|%d|%s'):format('19.99' * 100, '0.07' * 100, '19.99' * 100)", '|1999.00|7|1999|')
    gives("round(decimal('19.99') * 100)", '|1999|')
    for expression, expected in pairs {
      ["'0.07' * 100"] = '7|8', ['1700000000999999 / 1e6'] = '1700000000|1700000001', ['1700000000000001 / 1e6'] = '1700000000|1700000001',
      ["'12.5'"] = '12|13', ['-0.5'] = '-1|0', ['4503599627370495 / 2'] = '2251799813685247|2251799813685248', ['1 / 0'] = 'inf|inf',
    } do
      local floor, ceil = expected:match('(.*)|(.*)')
      gives('math.floor(' .. expression .. ')', '|' .. floor .. '|')
      if expression ~= "'0.07' * 100" then gives('math.ceil(' .. expression .. ')', '|' .. ceil .. '|') end
    end
  end)
  it('prints all digits of a Lua number', function()
    gives("('%s|%d|%5.1f'):format(1234567890123456, 1234567890123456, 0.5)", '|1234567890123456|1234567890123456|  0.5|')
    gives("table.concat({ 1, 1234567890123456, decimal '9007199254740993', 'x' }, ',')", '|1,1234567890123456,9007199254740993,x|')
    gives("table.concat({ 1, 2, 1234567890123456, 4 }, '-', 2, 3)", '|2-1234567890123456|')
    gives('string.sub(1234567890123456, -3)', '|456|')
    gives("string.len(decimal '9007199254740993')", '|16|')
    gives('1234567890123.45', '|1234567890123.45|')
    gives("'123456789012345.67' * 1", '|123456789012345.67|')
    gives('0.1 + 0.2', '|0.3|')
    gives('-1 / 0', '|-inf|')
    gives('1e20', '|1e+20|')
    contains('the number 9007199254740992 is beyond 2^53', says("return tostring('9007199254740993' * 1)"))
  end)
  it('gives the nearest Lua number of a decimal', function()
    gives("tonumber(decimal '1.50')", '|1.5|')
  end)
  it('refuses bytecode', function()
    contains('pipeline.lua', bundles.refusal { ['pipeline.lua'] = string.dump(function() return 1 end) })
  end)
  it('refuses constructors in handlers', function()
    local b = bundles.load(bundles.pipeline("projection { table = 'a', append = true, columns = { n = 'text' }, on = function(row) row.n = "
      .. "env('HOME') end }"))
    local ok, reason = pcall(b.run, b, { events = { { key = 'k', type = 'X' } } })
    assert.is_false(ok)
    contains('env can be used only while the pipeline is loaded', reason)
  end)
end)

describe('sandbox.pcall', function()
  it('does not hide from the spec kit that an event cannot be read', function()
    local b = bundles.load(bundles.pipeline("projection { table = 'a', append = true, columns = { n = 'bigint' }, on = function(row, event) "
      .. 'pcall(function() row.n = event.data.y end) end }', "kafka { brokers = 'b', group = 'g', topics = { 't' }, format = 'json' }"))
    local ok, reason = pcall(b.run, b, { events = { { data = { x = 1 } }, { value = '{"x":1,"y":tru}' } } })
    assert.is_false(ok)
    contains('event 2 cannot be read', reason)
  end)
  it('gives what the function gives, and the words of an error', function()
    contains('|true|1|nil|3|false|said|', says("local function all(...) local t = {} "
      .. "for i = 1, select('#', ...) do t[i] = tostring((select(i, ...))) end "
      .. "return table.concat(t, '|') end error('|' .. all(pcall(function(...) return ... end, 1, nil, 3)) .. '|' .. all(xpcall(error, "
      .. "function(e) return e end, 'said', 0)) .. '|')"))
    contains('|false|nil|', says("error('|' .. tostring(pcall(error)) .. '|' .. tostring((select(2, pcall(error)))) .. '|')"))
  end)
end)

describe('sandbox.purity', function()
  local function handler(before, body)
    return bundles.refusal(bundles.pipeline("projection { table = 'a', key = { id = 'text' }, columns = { n = 'bigint' },\non = { X = "
      .. "function(row, event)\n"
      .. body .. '\nend } }'):gsub('^', before .. '\n'))
  end
  it('refuses an upvalue that is assigned', function()
    contains("pipeline.lua:7: a handler assigns the variable 'count', which outlives the event", handler('local count = 0', 'count = count + 1'))
  end)
  it('refuses a global', function()
    contains("pipeline.lua:7: a handler assigns the global 'count'", handler('', 'count = 1'))
  end)
  it('sees functions that a handler calls', function()
    contains("pipeline.lua:1: a handler assigns the variable 'n'", handler('local n = 0 local function bump() n = n + 1 end', 'bump()'))
  end)
  it('sees functions in tables', function()
    contains("a handler assigns the variable 'n'", handler('local n = "" local m = { bump = function() n = nil end }', 'm.bump()'))
  end)
  it('sees inner functions', function()
    contains("pipeline.lua:7: a handler assigns the variable 'n'", handler('local n = 0', 'local f = function() n = "x" end f()'))
  end)
  it('tells a local of the handler from the variable that it hides', function()
    local before = 'local n, other = 1, { 2 }'
    assert.is_nil(handler(before, 'local n = n local function add(x) local other = other n = n + #other + x end add(1) row.n = n'))
    assert.is_nil(handler(before, 'local k = n do local n = k local f = function() return function() n = n + 1 end end f()() row.n = n end'))
    assert.is_nil(handler(before, 'local function add(n) return function() n = n + 1 return n end end row.n = add(n)()'))
    assert.is_nil(handler(before, 'for n = n, 2 do (function() n = n + 1 end)() end'))
    contains("pipeline.lua:7: a handler assigns the variable 'n'", handler(before, 'do local n = n end local f = function() n = 2 end f()'))
    contains("pipeline.lua:7: a handler assigns the variable 'other'", handler(before, 'local n = n local f = function() n = 2 return function() '
      .. 'other = n end end f()()'))
    contains("pipeline.lua:1: a handler assigns the variable 'n'", handler('local n = 1 local function f() return function() '
      .. 'local k = n return function() n = k end end end', 'local n = n f()()()'))
  end)
  it('tells them among many functions and constants', function()
    local inner = {}
    for i = 1, 300 do inner[i] = ("do local f = function(x) local s = { 'a%d', %d.5, x } return s, n end f(1) end"):format(i, i) end
    local many = 'do ' .. table.concat(inner, '\n') .. ' end '
    assert.is_nil(handler('local n = 1', many .. 'local n = n local f = function() n = 2 end f()'))
    contains("assigns the variable 'n'", handler('local n = 1', many .. 'local f = function() n = 2 end f()'))
  end)
  it('allows an inner function to assign a local of the handler', function()
    assert.is_nil(handler('local k = 1', 'local sum = 0 local function add(x) sum = sum + x + k end add(1) row.n = sum'))
  end)
end)

describe('sandbox.require', function()
  it('loads a module once, for everyone', function()
    local plan = bundles.plan {
      ['pipeline.lua'] = bundles.pipeline("'p.a', 'p.b'"),
      ['p/a.lua'] = "return require('shared.make')('a')", ['p/b.lua'] = "return require('shared.make')('b')",
      ['shared/make.lua'] = "return function(name) return projection { table = name, append = true, columns = {}, on = function() end } end",
    }
    assert.are.equal('b', plan.projections[2].table)
    assert.are.equal('p.b', plan.projections[2].module)
  end)
  it('does not leave the bundle', function()
    contains("there is no module 'tidemill.core.api' in the bundle", says("return require 'tidemill.core.api'"))
    contains('require takes the name of a module of the bundle', says("return require '../x'"))
  end)
  it('refuses links that leave the bundle', function()
    local said = bundles.with({ ['pipeline.lua'] = 'return 1' }, function(folder)
      os.execute('ln -s /etc/passwd ' .. folder .. '/evil.lua')
      return select(2, pcall(require('tidemill.boot').open, folder))
    end)
    contains('evil.lua: is a link to a file outside the folder', said)
  end)
end)
