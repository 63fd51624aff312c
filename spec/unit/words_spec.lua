-- What a person is told of a handler that failed: what is, in words of a pipeline,
-- and what to do. LuaJIT's own names of types and values say neither.
local bundles = require 'spec.unit.bundles'

local HEAD = "projection { table = 'a', append = true, columns = { t = 'text', n = 'bigint', "
  .. "j = 'jsonb' }, on = function(row, event)\n"

-- Why a handler of this body fails, without its place.
local function why(body, data)
  local b = bundles.load(bundles.pipeline(HEAD .. body .. '\nend }',
    "kafka { brokers = 'b', group = 'g', topics = { 't' }, format = 'json' }"))
  local ok, reason = pcall(b.run, b, { events = { { key = 'k', data = data or {} } } })
  assert.is_false(ok, body)
  return (reason:gsub('^.-pipeline%.lua:%d+: ', ''):gsub(' %(event 1, [^)]*%)$', ''))
end

local function says(cases)
  for body, words in pairs(cases) do
    local said = why(body, { n = 5, t = 'x', o = { a = 1 } })
    assert.is_truthy(said:find(words, 1, true), body .. ' says: ' .. said)
    for _, leak in ipairs { 'cdata', 'struct', '0x' } do assert.is_nil(said:find(leak, 1, true), said) end
  end
end

describe('a handler that fails tells', function()
  it('that a field is missing or null, where its value is nil', function()
    says {
      ['row.n = event.data.q.x'] = "attempt to index field 'q' (a nil value): it is nil, as a field is that is missing or null",
      ['row.n = event.data.q + 1'] = "field 'q' (a nil value): a field that is missing or null is nil",
      ["row.t = event.data.q .. 'x'"] = "a field that is missing or null is nil: write (event.data.x or '')",
      ['row.n = #event.data.q'] = "a field that is missing or null is nil: look first",
      ['row.n = event.data.n.x'] = 'fields are of objects, and this is a number',
      ['for _ in pairs(event.data.q) do end'] = 'got nil): a field that is missing or null is nil',
      ['row.t = nothing.upper()'] = "there is no global 'nothing'",
      ['row.t = event.data.o:foo()'] = 'there is no such function',
    }
  end)
  it('which view stands where a value belongs', function()
    says {
      ["row.t = event .. 'x'"] = 'attempt to concatenate an event and a text: name one of its fields, as in event.data.x',
      ["row.t = event.data.o .. 'x'"] = 'an object of an event and a text: name one of its fields',
      ['row.n = row + 1'] = 'attempt to perform arithmetic on a row and a number: name one of its columns, as in row.x',
      ['row.n = event.data < 1'] = 'attempt to compare an object of an event with a number',
      ['row.n = #event'] = 'attempt to get length of an event',
      ['row.n = event()'] = 'an event is not callable',
      ['row.n = decimal(event)'] = 'an event cannot be used as a number',
      ['row.n = max(1, event.data.o)'] = 'max: an object of an event is not a number',
      ['row.n = math.floor(event)'] = 'math.floor takes a number, not an event',
      ['row.t = event.data[row]'] = 'fields of events have names: a row is none',
      ["row.t = string.len(event)"] = 'got an object, an event, a row or a decimal): name a field of it, or write tostring(x)',
    }
  end)
  it('what error() was given instead of a text', function()
    says {
      ['error(event)'] = "error() was called with an event instead of a text: write error('",
      ['error()'] = 'error() was called with nil (missing or null) instead of a text',
      ['error({ message = event.data.t })'] = 'x', ["error(decimal '1.5')"] = '1.5',
      ['error({})'] = 'error() was called with a table instead of a text', ['error(true)'] = 'with a boolean',
    }
  end)
  it('that a division by zero gives no number, and a fraction is none of a whole column', function()
    says {
      ['row.n = 0/0'] = 'a.n: number NaN is not a bigint: a division by zero gives it',
      ['row.n = -1/0'] = 'is not a bigint: a division by zero gives it',
      ['row.n = decimal(1/0)'] = 'Infinity is no number: a division by zero gives it',
      ['row.j = { 0/0 }'] = 'NaN is no number of JSON: a division by zero gives it',
      ['row.n = 1.5'] = 'a.n: number 1.5 has a fraction: the column holds whole numbers',
      ["row.n = decimal '18446744073709551615'"] = 'number 18446744073709551615 is out of range: -9223372036854775808 to 9223372036854775807',
    }
  end)
  it('that a function is called, not stored', function()
    says { ['row.t = event.data.t.find'] = 'a function cannot be stored: call it; a text has functions of these names' }
  end)
  it('that a text has no fields', function()
    -- In the program every text has these methods; specs share their VM with busted.
    local methods = require('tidemill.load.sandbox').text_methods()
    local function says_of(name) return select(2, pcall(function() return methods[name] end)) end
    assert.equal("a text has no field 'n': fields are of objects. Where the text holds JSON, let the producer write an "
      .. 'object instead, or put it whole into a jsonb column; what a row has in a json or jsonb column reads as a text',
      says_of 'n')
    assert.is_truthy(says_of('uper'):find("a text has no field 'uper' (did you mean 'upper'?): ", 1, true))
    assert.is_truthy(says_of('dump'):find('string.dump is not available: it can break the sandbox', 1, true))
  end)
end)

describe('the nearest word', function()
  local words = require 'tidemill.core.words'
  it('has a letter of the wrong one', function()
    assert.is_nil((words.nearest('1', { 'a', 'b' })))
    assert.is_nil((words.nearest('', { 'a' })))
    assert.equal('id', (words.nearest('d', { 'id' })))
    assert.equal('ab', (words.nearest('ac', { 'ab' })))
  end)
  it('may begin as it does, or be written in other letters', function()
    assert.equal('milliseconds', (words.nearest('Millis', { 'micros', 'milliseconds' })))
    assert.same({ 'Key', 0 }, { words.nearest('key', { 'Key', 'keys' }) })
    assert.same({ 'topics', 1 }, { words.nearest('tpoics', { 'topics' }) })
    assert.is_nil((words.nearest(('x'):rep(101), { ('x'):rep(100) })))
  end)
end)
