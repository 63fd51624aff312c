local lexer = require 'tidemill.load.lexer'
local locate = require 'tidemill.load.locate'

-- The tokens of a text as "line:column:kind:value".
local function tokens(text)
  local t, list = lexer.read(text), {}
  for i, kind in ipairs(t.kinds) do
    list[i] = ('%d:%d:%s:%s'):format(t.lines[i], t.columns[i], kind, t.values[i])
  end
  return list
end

describe('lexer', function()
  local cases = {
    { 'names, numbers and signs', 'a=0x1F..b', { '1:1:name:a', '1:2:symbol:=', '1:3:number:0x1F..b' } },
    { 'texts with escaped quotes', [['it\'s', "a\"b"]], { [[1:1:string:it\'s]], '1:8:symbol:,', [[1:10:string:a\"b]] } },
    { 'long texts, and lines behind them', '[==[\na]]\nb]==] c', { '1:1:string:a]]\nb', '3:7:name:c' } },
    { 'no comments', '--[[ x\n]] a -- b\nc', { '2:4:name:a', '3:1:name:c' } },
    { 'texts that go on in the next line', "'a\\\nb' c", { '1:1:string:a\\\nb', '2:4:name:c' } },
    { 'lines that end as on other systems', 'a\r\nb\rc', { '1:1:name:a', '2:1:name:b', '3:1:name:c' } },
    { 'no byte order mark', '\239\187\191a', { '1:1:name:a' } },
    { 'a comparison as one sign', 'a == b', { '1:1:name:a', '1:3:symbol:==', '1:6:name:b' } },
    { 'a label', '::a::b', { '1:1:symbol:::', '1:3:name:a', '1:4:symbol:::', '1:6:name:b' } },
    { 'a text that does not end', "a 'b", { '1:1:name:a', '1:3:string:b' } },
    { 'a comment that does not end', 'a --[[ b', { '1:1:name:a' } },
  }
  for _, case in ipairs(cases) do
    it('reads ' .. case[1], function() assert.are.same(case[3], tokens(case[2])) end)
  end
end)

-- A record of the first file's constructor; at: the line that called it.
local function record(word, spec, at, ...)
  local texts = {}
  for i, text in ipairs { ... } do texts[i .. '.lua'] = text end
  return locate.constructor({ texts = texts, file = '1.lua' }, word, spec, at and { file = '1.lua', line = at })
end

describe('locate.position', function()
  local function line(place, ...) return (locate.position(place, { ... })) end
  local TEXT = "local x = {\n  n = 1,\n}\nreturn projection {\n  table = 'a',\n  on = {\n    X = function(row)\n      row.key = { y = 1 }\n"
    .. "      if row.key then row.columns = 1 end\n    end,\n  },\n  ['key'] = {\n    id = { 'uuid', from = {\n      'key',\n      'data.x' } } },\n"
    .. '  initial = x,\n}\n'
  it('takes no assignment inside of a function for a key', function()
    local place = record('projection', { table = 'a', on = {}, key = {}, initial = {} }, nil, TEXT)
    assert.are.equal(4, place.line)
    assert.are.equal(12, line(place, 'key'))
    assert.are.equal(4, line(place, 'columns'))
    assert.are.equal(7, line(place, 'on', 'X'))
  end)
  it('finds items of lists by number and by text', function()
    local place = record('projection', { table = 'a' }, nil, TEXT)
    assert.are.equal(15, line(place, 'key', 'id', 'from', 2))
    assert.are.equal(14, line(place, 'key', 'id', 'from', 'key'))
  end)
  it('goes into a variable', function()
    assert.are.equal(2, line(record('projection', { table = 'a' }, nil, TEXT), 'initial', 'n'))
  end)
  it('tells constructors in one line by what they say', function()
    local text = "local l = { kafka { a = 1 }, kafka { b = 1,\n c = 2 } }"
    assert.are.equal(2, line(record('kafka', { b = 1, c = 2 }, 1, text), 'c'))
    assert.are.equal(1, line(record('kafka', { a = 1 }, 1, text), 'c'))
  end)
  it('finds the constructor of a function in another file', function()
    local place = record('projection', { table = 'a', columns = {} }, 1, "return make('a')",
      "return function(name)\n  return projection {\n    table = name,\n    columns = {} }\nend")
    assert.are.same({ '2.lua', 2, 4 }, { place.file, place.line, line(place, 'columns') })
  end)
  it('stays at the line of the call where nothing is written', function()
    local place = record('projection', { table = 'a' }, 2, '\nlocal p = projection(spec())')
    assert.are.same({ '1.lua', 2, 2 }, { place.file, place.line, line(place, 'table') })
  end)
end)

describe('locate.twice', function()
  it('finds keys that are written twice, but not those of another constructor', function()
    local place = record('pipeline', { name = 'x' }, nil,
      "return pipeline {\n  name = 'x',\n  batch = { size = 1,\n    size = 2 },\n  source = kafka { group = 'a', group = 'b' },\n}")
    local list = locate.twice(place, { name = 'x', batch = { size = 2 }, source = {} })
    assert.are.equal(1, #list)
    assert.are.same({ 'size', 4, 3 }, { list[1].key, list[1].line, list[1].first })
  end)
  local function n_twice(text, t) return #locate.twice(record('projection', t, nil, text), t) end
  it('finds none where keys are computed, or not those of the table that it is', function()
    local cases = {
      { "local id, x = 'a', 'b' return projection { [id] = 1, id = 2, [x] = 1, [x .. 'y'] = 2, [x .. 'y'] = 3 }", { a = 1, id = 2, b = 1, by = 3 } },
      { "return projection { [1LL] = 1, 2, [true] = 1, ['true'] = 2 }", { 2, ['true'] = 2, [true] = 1 } },
      { "return projection { ['a\\n'] = 1, [ [[a\\n]] ] = 2 }", { ['a\n'] = 1, ['a\\n'] = 2 } },
      { "return projection { [1] = 'x', ... }", { 'x' } },
      { "return projection { [1] = 'x', f() }", { 'x' } },
      { "local t = { a = 1, a = 2 } do local t = { b = 1 } return projection { c = t } end", { c = { b = 1 } } },
    }
    for _, case in ipairs(cases) do assert.are.equal(0, n_twice(case[1], case[2]), case[1]) end
    assert.are.equal(1, n_twice("return projection { [1] = 'x', 'y', }", { 'y' }))
    assert.are.equal(1, n_twice("return projection { ['a'] = 1, a = 2 }", { a = 2 }))
  end)
  it('comes to an end where variables are named like fields around them, or used again and again', function()
    assert.are.equal(0, n_twice("local function day() end return projection { day = { 'date', from = day } }", { day = { 'date' } }))
    assert.are.equal(0, n_twice('local a = { a = a, b = { a = a, b = a } } return projection { a = a, b = { b = a } }', { a = {}, b = { b = {} } }))
    local lines, t = { 'local t0 = { x = 1, x = 2 }' }, { x = 2 }
    for i = 1, 100 do
      lines[#lines + 1] = ('local t%d = { a = t%d, b = t%d }'):format(i, i - 1, i - 1)
      t = { a = t, b = t }
    end
    assert.are.equal(1, n_twice(table.concat(lines, '\n') .. ' return projection { a = t100 }', { a = t }))
  end)
end)
