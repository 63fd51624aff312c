-- Numbers of records on every road through Lua and back, against a model of digits.
local bignum = require 'spec.unit.bignum'
local bundles = require 'spec.unit.bundles'
local numbers = require 'spec.unit.numbers'

local SOURCE = "kafka { brokers = 'b', group = 'g', topics = { 't' }, format = 'json' }"
local read, compare, number, digits = bignum.read, bignum.compare, numbers.number, numbers.digits

local function canonical(x) return bignum.text(read(type(x) == 'number' and ('%.17g'):format(x) or tostring(x))) end

describe('a number of a record', function()
  local columns = [[raw = 'text', view = 'text', tab = 'text', pair = 'text', item = 'text', json = 'json', doc = 'jsonb',
    num = 'numeric', big = 'bigint', double = 'double precision', why = 'text', again = 'numeric', kinds = 'text']]
  local b = bundles.load(bundles.pipeline(([[projection { table = 'a', append = true, columns = { %s },
    on = function(row, event)
      local d, why = event.data, ''
      row.raw, row.view, row.tab, row.item = d.raw, tostring(d.x), tostring(d:table().x), tostring(d.list[1])
      for name, v in pairs(d) do if name == 'x' then row.pair = tostring(v) end end
      row.json, row.doc, row.kinds = d.x, { x = d.x }, type(d.x)
      for _, name in ipairs { 'num', 'big', 'double' } do
        local ok, reason = pcall(function() row[name] = d.x end)
        if not ok then why = why .. reason .. '\n' end
      end
      pcall(function() row.again = row.big end)
      row.why = why
    end }]]):format(columns), SOURCE))
  local random = numbers.random(11)
  local events = {}
  for i = 1, 800 do
    local text = numbers.SPECIAL[i] or number(random)
    events[i] = { key = 'k', value = ('{"raw":"%s","x":%s,"list":[%s]}'):format(text, text, text) }
  end
  local rows = b:run({ events = events }):rows('a')

  it('is a number on every road through Lua, and as JSON', function()
    for _, row in ipairs(rows) do
      local expected = canonical(row.raw)
      for _, name in ipairs { 'tab', 'pair', 'item' } do assert.are.equal(row.view, row[name], name) end
      assert.are.equal(expected, canonical(row.view), row.raw)
      assert.are.equal(expected, canonical(row.json), row.raw)
      assert.are.equal(expected, canonical(row.doc:match('^{"x":(.*)}$')), row.raw)
      assert.are_not.equal('string', row.kinds)
    end
  end)
  it('is stored exactly or refused', function()
    local n_refused = 0
    for _, row in ipairs(rows) do
      local n = read(row.raw)
      local is_big = bignum.is_whole(n) and compare(n, read '9223372036854775807') <= 0
        and compare(n, read '-9223372036854775808') >= 0
      local fits = #n.digits <= 38 and n.power >= -30 and #n.digits + n.power <= 38
      if row.num ~= nil then assert.are.equal(bignum.text(n), canonical(row.num)) end
      assert.is_true(row.num ~= nil or not fits, row.raw)
      assert.are.equal(is_big, row.big ~= nil, row.raw)
      if is_big then
        assert.are.equal(bignum.text(n), canonical(row.big))
        assert.are.equal(bignum.text(n), canonical(row.again))
      end
      n_refused = n_refused + (row.num == nil and 1 or 0)
    end
    assert.is_true(n_refused > 50 and n_refused < #rows - 300)
  end)
  it('enters double precision as the nearest one, with its sign', function()
    for _, row in ipairs(rows) do
      local near = tonumber(row.raw)
      local is_none = near == math.huge or near == -math.huge or near == 0 and read(row.raw).sign ~= 0
      if is_none then
        assert.is_nil(row.double, row.raw)
        assert.matches('out of range for double precision', row.why)
      else
        assert.are.equal(near, row.double, row.raw)
        assert.are.equal(1 / near, 1 / row.double, row.raw)
      end
    end
  end)
  it('keeps the sign of a zero in JSON, as it was written', function()
    for _, row in ipairs(rows) do
      if read(row.raw).sign == 0 then assert.are.equal(row.raw:sub(1, 1), row.json:sub(1, 1)) end
    end
  end)
end)

describe('two numbers of a record', function()
  local b = bundles.load(bundles.pipeline([[projection { table = 'a', append = true,
    columns = { a = 'text', b = 'text', add = 'numeric', sub = 'numeric', mul = 'numeric', mod = 'numeric', order = 'text',
      why = 'text', sum = 'bigint', greatest = 'jsonb' },
    on = function(row, event)
      local x, y, why = event.data.x, event.data.y, ''
      row.a, row.b = event.data.a, event.data.b
      local function try(name, compute)
        local ok, reason = pcall(function() row[name] = compute() end)
        if not ok then why = why .. tostring(reason) .. '\n' end
      end
      try('add', function() return x + y end)
      try('sub', function() return x - y end)
      try('mul', function() return x * y end)
      if y ~= 0 then try('mod', function() return x % y end) end
      try('sum', function() return x + y end)
      try('greatest', function() return max(x, y) end)
      row.why = why
      if type(x) == 'string' then return end
      row.order = (x < y and '<' or '') .. (x == y and '=' or '') .. (x > y and '>' or '')
        .. (x <= y and 'l' or '') .. (x >= y and 'g' or '') .. (x ~= y and '!' or '')
    end }]], SOURCE))
  local random = numbers.random(5)
  local function pairs_of(n, make)
    local events = {}
    for i = 1, n do
      local x, y = make()
      events[i] = { key = 'k', value = ('{"a":"%s","b":"%s","x":%s,"y":%s}'):format(
        x:gsub('"', ''), y:gsub('"', ''), x, y) }
    end
    b:reset()
    return b:run({ events = events }):rows('a')
  end

  local function check(rows)
    local n = 0
    for _, row in ipairs(rows) do
      local x, y = read(row.a), read(row.b)
      for _, op in ipairs { 'add', 'sub', 'mul', 'mod' } do
        if row[op] ~= nil then
          n = n + 1
          assert.are.equal(bignum.text(bignum[op](x, y)), canonical(row[op]),
            ('%s %s %s'):format(row.a, op, row.b))
        end
      end
      if row.sum ~= nil then
        assert.are.equal(bignum.text(bignum.add(x, y)), canonical(row.sum))
      end
    end
    return n
  end

  it('give the exact sum, difference, product and rest, or are refused', function()
    local n = check(pairs_of(1500, function() return number(random), number(random) end))
    assert.is_true(n > 1500, n)
  end)
  it('are ordered by value', function()
    local texts = { [-1] = '<l!', [0] = '=lg', [1] = '>g!' }
    local rows = pairs_of(1500, function()
      local x = number(random)
      return x, random(1, 4) == 1 and x or number(random)
    end)
    for _, row in ipairs(rows) do
      local order = compare(read(row.a), read(row.b))
      assert.are.equal(texts[order], row.order, row.a .. ' and ' .. row.b)
      assert.are.equal(canonical(order > 0 and row.a or row.b), canonical(row.greatest), row.a .. ' and ' .. row.b)
    end
  end)
  it('do what they always did when they are small', function()
    for _, row in ipairs(pairs_of(500, function() return tostring(random(-30000, 30000)), tostring(random(1, 30000)) end)) do
      assert.are.equal('', row.why)
    end
  end)
  it('that are texts give no number that is not the right one', function()
    local function text() return ('"%s%s.%s"'):format(random(0, 1) == 0 and '-' or '', digits(random, random(1, 4)), digits(random, random(1, 3))) end
    local rows = pairs_of(1000, function() return text(), random(0, 1) == 0 and text() or tostring(random(1, 9999)) end)
    local n_refused = 0
    for _, row in ipairs(rows) do
      for what in row.why:gmatch('[^\n]+') do
        if what:find('decimal(event.data.amount) * 3', 1, true) then n_refused = n_refused + 1 end
      end
      row.mod = nil -- Lua's own of two doubles
    end
    assert.is_true(check(rows) > 1000)
    assert.is_true(n_refused > 50, n_refused)
  end)
end)

describe('a double that arithmetic has rounded', function()
  local ROUNDED = "is a double that Lua's arithmetic has rounded: compute with decimals, as in decimal(event.data.amount) * 3, "
    .. 'or say the digits with round(x, 2)'
  local BEYOND = 'is beyond 2^53, where Lua numbers are no longer exact: compute with decimals, as in decimal(event.data.amount) * 3'
  local COLUMNS = "num = 'numeric', cash = 'numeric(18,2)', big = 'bigint', int = 'integer', small = 'smallint', list = 'bigint[]'"

  local function run(kind, body, data, columns)
    local b = bundles.load(bundles.pipeline(("projection { table = 'a', %s columns = { %s }, on = function(row, event)\n%s\nend }")
      :format(kind, columns or COLUMNS, body), SOURCE))
    local event = { key = 'k', data = data or { t = '1.1', n = 94906267 } }
    return b:run({ events = { event } }):rows('a')[1]
  end
  local function refusal(...)
    local ok, reason = pcall(run, ...)
    assert.is_false(ok, 'it was accepted')
    return reason
  end
  local function has(part, whole) assert.is_truthy(whole:find(part, 1, true), whole) end

  local APPEND, FOLD = 'append = true,', "key = { id = { 'text', from = 'key' } },"
  it('goes rounded into a column whose scale leaves no doubt, and into no other', function()
    local function cash(expression, data)
      return tostring(run(APPEND, 'row.cash = ' .. expression, data or {}, "cash = 'numeric(18,2)'").cash)
    end
    assert.are.equal('19.99', cash('event.data.cents * 0.01', { cents = 1999 }))
    assert.are.equal('3.30', cash "'1.1' * 3")
    assert.are.equal('100.50', cash "'1.005' * 100")
    assert.are.equal('1.01', cash "'1.005' * 1")
    assert.are.equal('-0.57', cash '-3 * 0.19')
    assert.are.equal('859877.60', cash "'86548598.6' - '85688721.0'")
    has('number 37037036703703.68', refusal(APPEND, "row.cash = '12345678901234.56' * 3", {}, "cash = 'numeric(18,2)'"))
    has(ROUNDED, refusal(APPEND, "row.cash = '86548598.6' - '85688721.0'", {}, "cash = 'numeric(18,9)'"))
    has(BEYOND, refusal(APPEND, 'row.cash = event.data.n * event.data.n', { n = 94906267 }, "cash = 'numeric(18,2)'"))
  end)
  for _, name in ipairs { 'num', 'big', 'int', 'small' } do
    it('is refused by the column ' .. name, function()
      has(('a.%s: number 3.3000000000000003 %s'):format(name, ROUNDED), refusal(APPEND, ('row.%s = event.data.t * 3'):format(name)))
      has(('a.%s: number 9007199515875288 %s'):format(name, BEYOND), refusal(APPEND, ('row.%s = event.data.n * event.data.n'):format(name)))
      has(('a.%s: number '):format(name), refusal(APPEND, ('row.%s = 0 / 0'):format(name)))
      has(('a.%s: number '):format(name), refusal(APPEND, ('row.%s = -1 / 0'):format(name)))
    end)
  end
  it('is refused in an array of bigint', function()
    has('is beyond 2^53', refusal(APPEND, 'row.list = { 1, event.data.n * event.data.n }'))
    assert.are.equal('{1,9007199254740993}', run(APPEND, "row.list = { 1, decimal '9007199254740993' }").list)
  end)
  it('is refused where it joins a decimal, and as a contribution', function()
    has(ROUNDED, refusal(FOLD .. 'initial = { num = 0 },', 'row.num = row.num + event.data.t * 3'))
    local all = "merge = { num = 'sum', cash = 'max' },"
    has(ROUNDED, refusal(FOLD .. all, 'row.num = event.data.t * 3', nil, "num = 'numeric', cash = 'numeric(18,2)'"))
    has('is beyond 2^53', refusal(FOLD .. "merge = { big = 'sum' },", 'row.big = event.data.n * event.data.n', nil, "big = 'bigint'"))
  end)
  it('is refused as a version', function()
    has('a.v: number 3.3000000000000003 ' .. ROUNDED, refusal(FOLD .. "newer = 'v', map = true,", 'row.v = event.data.t * 3', nil, "v = 'numeric'"))
  end)
  it('is refused as a key, by a function and by a batch function', function()
    local b = bundles.load(bundles.pipeline([[projection { table = 'a', key = { id = { 'bigint', from = function(event)
      return event.data.n * event.data.n end } }, columns = { s = 'text' }, topics = { 't' },
      on = function(row) row.s = 'x' end },
      projection { tables = { z = { key = { id = 'bigint' }, columns = { s = 'numeric' } },
        log = { append = true, columns = { n = 'numeric' } } },
        topics = { 'u' }, batch = function(batch, tables)
          for event in batch:events() do
            if event.data.how == 'row' then tables.z:row(event.data.n * event.data.n).s = 1
            elseif event.data.how == 'cell' then tables.z:row(1).s = event.data.t * 3
            else tables.log:insert { n = event.data.t * 3 } end
          end
        end }]], SOURCE:gsub("'t' }", "'t', 'u' }")))
    local function of(event)
      local ok, reason = pcall(b.run, b, { events = { event } })
      assert.is_false(ok)
      return tostring(reason)
    end
    has('number 9007199515875288 is beyond 2^53', of { topic = 't', key = 'k', data = { n = 94906267 } })
    has('number 9007199515875288 is beyond 2^53', of { topic = 'u', key = 'k', data = { how = 'row', n = 94906267 } })
    has(ROUNDED, of { topic = 'u', key = 'k', data = { how = 'cell', t = '1.1' } })
    has(ROUNDED, of { topic = 'u', key = 'k', data = { how = 'insert', t = '1.1' } })
  end)
  it('is refused as an initial value, and only of exact columns', function()
    local function load(columns, initial)
      return bundles.refusal(bundles.pipeline(([[projection { table = 'a', %s columns = { %s }, initial = { x = %s },
        on = function(row) row.x = row.x end }]]):format(FOLD, columns, initial), SOURCE))
    end
    has('initial.x cannot be used: the number 0.3333333333333333 is a double', load("x = 'numeric'", '1 / 3'))
    has('initial.x cannot be used: the number 9007199254740992 is beyond 2^53', load("x = 'bigint'", '2 ^ 53'))
    for _, type in ipairs { 'double precision', 'real', 'jsonb' } do
      assert.is_nil(load(("x = '%s'"):format(type), '1 / 3'))
      assert.is_nil(load(("x = '%s'"):format(type), '1e30'))
    end
  end)
  it('is what double precision, real and JSON take', function()
    local columns = "d = 'double precision', r = 'real', j = 'jsonb', doc = 'json', z = 'double precision'"
    local row = run(APPEND, 'row.d, row.r, row.j, row.doc, row.z = event.data.t * 3, event.data.t * 3, event.data.t * 3, { event.data.t * 3 }, -0.0',
      nil, columns)
    assert.are.equal(1.1 * 3, row.d)
    assert.are.equal('3.3000000000000003 [3.3000000000000003]', row.j .. ' ' .. row.doc)
    assert.are.equal(-math.huge, 1 / row.z)
  end)
  it('has a cure for each', function()
    local row = run(APPEND, [[row.num = decimal(event.data.t) * 3
      row.cash, row.big = round(event.data.t * 3, 2), decimal(event.data.n) * event.data.n
      row.int, row.small = round(event.data.t * 3), 10 / 5]])
    assert.are.same({ '3.3', '3.30', '9007199515875289', 3, 2 }, { tostring(row.num), tostring(row.cash), tostring(row.big), row.int, row.small })
  end)
  it('with few digits is what was meant', function()
    local row = run(APPEND, 'row.num, row.cash, row.big, row.int = 0.1, event.data.t * 2, event.data.t * 10, 1e6')
    assert.are.same({ '0.1', '2.20', 11, 1000000 }, { tostring(row.num), tostring(row.cash), row.big, row.int })
  end)
end)

describe('whole numbers from 2^53 on', function()
  it('join, compare, print and go back to their column', function()
    local b = bundles.load(bundles.pipeline([[projection { table = 'a', key = { id = 'bigint' }, columns = { s = 'text', n = 'bigint', t = 'text' },
      on = function(row, event)
        local id = event.data.id
        row.n = row.n and row.n + 1 or id
        row.s = table.concat({ tostring(id), id .. '', id + 1 .. '', id - 1 .. '', id * 10 .. '', id % 1000 .. '', tostring(id + 0.5),
          type(id), tostring(id == row.id), tostring(id > 5) }, ' ')
      end }]], SOURCE))
    local function event(id) return { key = { id = id }, data = { id = id } } end
    for _, how in ipairs { 'run', 'split' } do
      b:reset()
      local result = b[how](b, { given = { a = { { id = 9223372036854775807LL, n = 9007199254740993LL } } },
        events = { event(9223372036854775807LL), event(9223372036854775807LL), event(9007199254740992LL), event(5) } })
      local row = result:row('a', 9223372036854775807LL)
      assert.are.equal('9223372036854775807 9223372036854775807 9223372036854775808 9223372036854775806 92233720368547758070 807 '
        .. '9223372036854775807.5 cdata true true', row.s)
      assert.is_true(row.n == 9007199254740995LL and row.id == 9223372036854775807LL)
      assert.are.equal('9007199254740992', tostring(result:row('a', '9007199254740992').n))
      assert.are.same({ 5, 5 }, { result:row('a', 5).id, result:row('a', 5).n })
      assert.are.equal('5 9007199254740992 9223372036854775807', table.concat({ tostring(result:rows('a')[1].id),
        tostring(result:rows('a')[2].id), tostring(result:rows('a')[3].id) }, ' '))
    end
  end)
  it('never wrap: what leaves 64 bits is refused by the column', function()
    local b = bundles.load(bundles.pipeline([[projection { table = 'a', append = true, columns = { n = 'bigint' },
      on = function(row, event) row.n = event.data.id + event.data.by end }]], SOURCE))
    local function sum(id, by) return b:run({ events = { { key = 'k', value = ('{"id":%s,"by":%s}'):format(id, by) } } }):rows('a') end
    for _, case in ipairs { { '9223372036854775807', '1' }, { '-9223372036854775808', '-1' }, { '9223372036854775807', '0.5' } } do
      local ok, reason = pcall(sum, case[1], case[2])
      assert.is_false(ok)
      assert.matches('a.n: number [-0-9.]+ %l+ ', tostring(reason))
      assert.truthy(tostring(reason):find('is out of range: -9223372036854775808 to ', 1, true)
        or tostring(reason):find('.5 has a fraction', 1, true), reason)
    end
    assert.are.equal('9223372036854775807', tostring(sum('9223372036854775806', '1')[1].n))
  end)
  it('add up exactly in a merge, and past 64 bits are refused', function()
    local b = bundles.load(bundles.pipeline([[projection { table = 'a', key = { id = { 'text', from = 'key' } }, columns = { n = 'bigint' },
      merge = { n = 'sum' }, on = function(row, event) row.n = event.data.n end }]], SOURCE))
    local function add(n) return b:run({ events = { { key = 'k', value = ('{"n":%s}'):format(n) } } }):row('a', 'k').n end
    assert.are.equal(9007199254740991, add('9007199254740991'))
    assert.are.equal('9007199254740993', tostring(add('2')))
    local ok, reason = pcall(add, '9223372036854775807')
    assert.is_false(ok)
    assert.matches('merge.n: the sum: number 9232379236109516800 is out of range', tostring(reason))
  end)
  it('are given and expected by examples as decimals', function()
    local specs = require 'tidemill.testing.specs'
    local said = {}
    local function say(text) said[#said + 1] = text end
    local function status(row)
      return bundles.with({ ['pipeline.lua'] = bundles.pipeline(([[projection { table = 'a', key = { id = 'bigint' }, columns = { n = 'numeric' },
        on = function(row, event) row.n = event.data.n end,
        examples = { { events = { { key = { id = decimal '9007199254740993' }, data = { n = 0.5 } } }, rows = { %s } } } }]])
        :format(row), SOURCE) }, function(folder) return specs.examples(folder, function() end, say) end)
    end
    local first, second = status "{ id = decimal '9007199254740993', n = 0.5 }", status '{ id = 9007199254740993 }'
    local third = status '{ n = 0.25 }'
    assert.are.same({ 0, 78, 78 }, { first, second, third }, table.concat(said))
    assert.matches('id: the number 9007199254740992 is beyond 2^53', table.concat(said), 1, true)
  end)
end)
