-- What the spec kit makes of runs: rows between batches, records that fail, and whose
-- line an error names.
local bundles = require 'spec.unit.bundles'

local JSON = "kafka { brokers = 'b', group = 'g', topics = { 't' }, format = 'json', type = 'data.type' }"

local function contains(part, whole)
  assert.is_truthy(tostring(whole):find(part, 1, true), whole)
end

describe('a row of the spec kit', function()
  local VALUES = {
    jsonb = { '{"a":[1,2.50,"x"],"b":null}', '[1,[2]]', '"text"', '12.50', 'true', '"{\\"a\\":1}"', '"12"' },
    json = { '{"z":1,"a":"ü"}', '"x"', '[]' },
    ['text[]'] = { '["a b","c\\"d",null,""]', '[]' }, ['bigint[]'] = { '[1,9007199254740993]' },
    bytea = { '"\\\\x00ff"' }, date = { '"2024-02-29"' }, time = { '"12:30:00.25"' }, timestamp = { '"2024-02-29T12:30:00.25"' },
    timestamptz = { '"2024-02-29T12:30:00.25Z"', '"infinity"' }, uuid = { '"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"' },
    text = { '"{\\"a\\":1}"', '"12"' }, ['varchar(5)'] = { '"12"' }, ['numeric(8,3)'] = { '12.5', '"1.25"' }, numeric = { '9007199254740993.5' },
    bigint = { '9007199254740993', '7' }, smallint = { '7' }, boolean = { 'true', 'false' }, real = { '0.1' },
    ['double precision'] = { '0.1', '1e300' },
  }
  for type, values in pairs(VALUES) do
    it('reads the same after further batches, and when it was given: ' .. type, function()
      local b = bundles.load(bundles.pipeline(([[projection { table = 'a', key = { id = { 'text', from = 'key' } },
        columns = { v = '%s', n = 'integer', seen = 'text' }, initial = { n = 0 },
        on = { Set = function(row, event) row.v = event.data.v end, Add = function(row) row.n, row.seen = row.n + 1, tostring(row.v) end } }]])
        :format(type), JSON))
      for _, v in ipairs(values) do
        b:reset()
        local set = { key = 'k', value = '{"type":"Set","v":' .. v .. '}' }
        local add = { key = 'k', value = '{"type":"Add"}' }
        local first = b:run({ events = { set } }):row('a', 'k').v
        local seen = b:run({ events = { add } }):row('a', 'k').seen
        for _ = 1, 3 do
          local row = b:run({ events = { add } }):row('a', 'k')
          assert.are.equal(tostring(first), tostring(row.v))
          assert.are.equal(seen, row.seen)
        end
        b:reset()
        local row = b:run({ given = { a = { { id = 'k', v = first } } }, events = { add, add } }):row('a', 'k')
        assert.are.equal(tostring(first), tostring(row.v))
        assert.are.equal(seen, row.seen)
      end
    end)
  end
  it('takes a table for a json column, and refuses a text that is no JSON', function()
    local b = bundles.load(bundles.pipeline([[projection { table = 'a', key = { id = { 'text', from = 'key' } },
      columns = { v = 'jsonb', n = 'integer' }, on = { Add = function(row) row.n = 1 end } }]], JSON))
    local add = { key = 'k', type = 'Add', data = {} }
    assert.are.equal('{"a":[1,2]}', b:run({ given = { a = { { id = 'k', v = { a = { 1, 2 } } } } }, events = { add } }):row('a', 'k').v)
    local ok, reason = pcall(b.run, b, { given = { a = { { id = 'k', v = 'plain' } } } })
    assert.is_false(ok)
    contains("given: column 'v' is jsonb, and 'plain' is no JSON: write a table, or the JSON of a text: '\"plain\"'", reason)
  end)
end)

describe('an event that fails in the spec kit', function()
  -- Two folds and a ledger read the topic; each can refuse.
  local TABLES = [[
    projection { table = 'a', key = { id = { 'text', from = 'key' } }, columns = { n = 'integer' }, initial = { n = 0 }, on = {
      Add = function(row, event) if event.data.bad == 'a' then error('bad a') end row.n = row.n + event.data.n end,
      Other = function(row) row.n = -1 end } },
    projection { table = 'sum', key = { id = { 'text', from = 'data.to' } }, columns = { n = 'integer' }, initial = { n = 0 }, on = {
      Add = function(row, event) row.n = row.n + event.data.n if event.data.bad == 'sum' then error('bad sum') end end } },
    projection { table = 'log', append = true, columns = { n = 'smallint' },
      on = { Add = function(row, event) row.n = event.data.big or event.data.n end } }]]
  local b
  before_each(function() b = bundles.load(bundles.pipeline(TABLES, JSON)) end)

  local function add(key, n, more)
    local data = { n = n, to = 'all' }
    for name, v in pairs(more or {}) do data[name] = v end
    return { key = key, type = 'Add', data = data }
  end

  it('is set aside, later ones of its key wait behind it, and all others are applied', function()
    for _, how in ipairs { 'run', 'split' } do
      b:reset()
      local result = b[how](b, { dead_letters = 4, events = { add('x', 1), add('y', 10, { bad = 'sum' }), add('x', 2), add('y', 20),
        add('z', 5, { big = 40000 }), add('x', 4), add('z', 1, { bad = 'a' }), add('w', 100) } })
      assert.are.same({ { id = 'w', n = 100 }, { id = 'x', n = 7 } }, result:rows 'a')
      assert.are.same({ { id = 'all', n = 107 } }, result:rows 'sum')
      assert.are.same({ { n = 1 }, { n = 2 }, { n = 4 }, { n = 100 } }, result:rows 'log')
      local letters = result.dead_letters
      local short = {}
      for i, letter in ipairs(letters) do short[i] = { letter.event, letter.key, letter.type, letter.offset, letter.held } end
      assert.are.same({ { 2, 'y', 'Add', 1, false }, { 4, 'y', 'Add', 3, true }, { 5, 'z', 'Add', 4, false }, { 7, 'z', 'Add', 6, true } }, short)
      assert.is_truthy(letters[1].reason:find('^%S*pipeline%.lua:8: bad sum$'), letters[1].reason)
      contains('log.n: number 40000 is out of range', letters[3].reason)
      contains('held', letters[2].reason)
      -- And so in the next run.
      assert.is_true(b:run({ dead_letters = 1, events = { add('y', 1) } }).dead_letters[1].held)
      assert.are.equal(8, b:run({ events = { add('x', 1) } }):row('a', 'x').n)
    end
  end)

  it('holds nothing where only appends read the topic, or the pipeline says so', function()
    local log = bundles.load(bundles.pipeline([[projection { table = 'log', append = true, columns = { n = 'smallint' },
      on = { Add = function(row, event) row.n = event.data.n end } }]], JSON))
    assert.are.same({ { n = 1 } }, log:run({ dead_letters = 1, events = { add('k', 70000), add('k', 1) } }):rows 'log')
    local loose = bundles.load((bundles.pipeline(TABLES, JSON):gsub("name = 'x'", '%0, dead_letters = { hold = false }')))
    assert.are.equal(1, loose:run({ dead_letters = 1, events = { add('k', 5, { bad = 'a' }), add('k', 1) } }):row('a', 'k').n)
  end)

  it('is found where it cannot be read, and where its key is wrong', function()
    local result = b:run { dead_letters = 3, events = { { key = 'q', value = '{"n":' }, add('x', 1),
      { type = 'Add', data = { n = 1, to = 'all' } }, { key = 'v', type = 'Add', data = { n = 1, to = {} } } } }
    assert.are.equal(1, result:row('a', 'x').n)
    contains('cannot be read: value is not JSON', result.dead_letters[1].reason)
    contains('key', result.dead_letters[2].reason)
  end)

  it('is found in a batch function, inside of its loop and outside', function()
    local batch = bundles.load(bundles.pipeline([[projection {
      tables = { a = { key = { id = { 'text', from = 'key' } }, columns = { n = 'integer' } } },
      batch = function(batch, tables)
        local sum = 0
        for event, row in tables.a:events() do
          if event.data.n < 0 then error('negative') end
          row.n, sum = event.data.n, sum + event.data.n
        end
        if sum > 100 then error('too much') end
      end }]], JSON))
    local result = batch:run { dead_letters = 2, events = { add('x', 1), add('y', -1), add('z', 200), add('w', 3) } }
    assert.are.same({ { id = 'w', n = 3 }, { id = 'x', n = 1 } }, result:rows 'a')
    contains('negative', result.dead_letters[1].reason)
    contains('too much', result.dead_letters[2].reason)
  end)

  it('ends the run with an error that says how to expect it, unless the case does', function()
    local ok, reason = pcall(b.run, b, { events = { add('x', 1), add('y', 1, { bad = 'a' }), add('y', 1) } })
    assert.is_false(ok)
    contains('pipeline.lua:5: bad a (event 2, Add); with it 2 are set aside: where that is meant, write dead_letters = 2', reason)
    assert.is_truthy(reason:find('kit_spec.lua:%d+%)$'), reason)
    -- What the refused run left behind holds nothing.
    assert.are.equal(1, b:run({ events = { add('y', 1) } }):row('a', 'y').n)
    ok, reason = pcall(b.run, b, { dead_letters = 1, events = { add('x', 1) } })
    assert.is_false(ok)
    contains('0 events are set aside, not 1', reason)
    ok, reason = pcall(b.run, b, { dead_letters = true, events = {} })
    assert.is_false(ok)
    contains('dead_letters = 1', reason)
  end)

  it('leaves nothing of a refused run but what it was given', function()
    b:reset()
    assert.is_false(pcall(b.run, b, { given = { a = { { id = 'x', n = 5 } } }, events = { add('x', 1), add('y', 1, { bad = 'a' }) }, split = true }))
    assert.are.same({ { id = 'x', n = 5 } }, b:run({}):rows 'a')
  end)

  it('is no dead letter where a run would halt', function()
    local halts = bundles.load(bundles.pipeline([[projection { table = 'a', key = { id = 'bigint' }, columns = { at = 'timestamptz' },
      on = { Add = function(row, event) row.at = event.data.at end } }]], JSON))
    local ok, reason = pcall(halts.run, halts, { dead_letters = 1, events = { { key = { id = 1 }, type = 'Add', data = { at = 1700000000 } } } })
    assert.is_false(ok)
    contains('times', reason)
  end)
end)

describe('an error of the spec kit', function()
  local b = bundles.load(bundles.pipeline([[projection { table = 'a', key = { id = { 'text', from = 'key' } }, columns = { n = 'integer' },
    on = { AccountOpened = function(row) row.n = 1 end }, ignore = { 'AccountRenamed' } }]], JSON))

  local function line_of(f)
    local ok, reason = pcall(f)
    assert.is_false(ok)
    local line = debug.getinfo(f, 'S').linedefined
    assert.is_truthy(tostring(reason):find('kit_spec.lua:' .. line .. '%f[%D]'), reason)
    return reason
  end

  it('names the line of the spec', function()
    contains("did you mean 'events'", line_of(function() b:run { event = {} } end))
    contains("no field 'datas'", line_of(function() b:run { events = { {}, { datas = 1 } } } end))
    contains('(event 2)', line_of(function() b:run { events = { {}, { datas = 1 } } } end))
    contains("no projection has the table 'b'", line_of(function() local _ = b:run({}):rows 'b' end))
    contains("no column 'm'", line_of(function() b:run { given = { a = { { id = 'x', m = 1 } } } } end))
    contains('events is a list: write { { type = … } }', line_of(function() b:run { events = { type = 'AccountOpened' } } end))
    contains('events has nothing at 1, and items behind that', line_of(function() b:run { events = { nil, { key = 'x' } } } end))
    contains('given.a is a list: write { { id = … } }', line_of(function() b:run { given = { a = { id = 'x' } } } end))
    contains("has no value for its key 'id'", line_of(function() b:run { given = { a = { { n = 1 } } } } end))
    contains("class = 'date'", line_of(function() b:decide { class = 'date' } end))
    contains('no such pipeline', line_of(function() require('tidemill.testing').load('/nowhere/at/all') end))
  end)

  it('is a type that is written wrongly, with the nearest word', function()
    local said = line_of(function() b:run { events = { { key = 'k', type = 'AcountOpened', data = {} } } } end)
    contains("no projection handles or ignores the type 'AcountOpened': did you mean 'AccountOpened'?", said)
    b:run { events = { { key = 'k', type = 'AccountRenamed', data = {} }, { key = 'k', data = {} } } }
  end)
end)
