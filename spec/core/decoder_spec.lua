-- The envelope formats, on what the real connectors wrote (spec/fixtures).
local decoding = require 'decoding'

local ID = '11111111-1111-4111-8111-111111111111'

-- Position of the first record of a fixture whose op is [op].
local function find(records, op)
  for i, r in ipairs(records) do
    if r.value and r.value:find('"op":"' .. op .. '"', 1, true) and r.key and
      r.key:find(ID, 1, true) then
      return i
    end
  end
end

local function states(d, n)
  local out = {}
  for i = 1, n do out[i] = d:state(i) end
  return table.concat(out, ' ')
end

describe('decoder: debezium', function()
  local records = decoding.fixture('debezium-bare-decimal-precise')
  local d

  before_each(function()
    d = decoding.new { format = 'debezium' }
    d:want('data.id', 'data.owner', 'data.balance', 'data.opened', 'data.ts', 'data.big',
      'data.tags', 'data.d', 'data.none')
    d:want('key', 'key.id'):run(records)
  end)

  it('reads an insert', function()
    local i = find(records, 'c')
    assert.same('ok', d:state(i))
    assert.same({
      ['data.id'] = ID, ['data.owner'] = 'Zoë', ['data.balance'] = 'BNI=',
      ['data.opened'] = 'int:20780', ['data.ts'] = 'int:1795443612904964',
      ['data.big'] = 'xxx', ['data.tags'] = 'array:["a","b"]', ['data.d'] = 'dec:0.1',
      ['data.none'] = 'missing', ['key'] = 'object:{"id":"' .. ID .. '"}',
      ['key.id'] = ID,
    }, d:values(i))
    assert.same('c', d:op(i))
    assert.same('c', d:type(i))
    assert.same(1795443612905, d:time(i))
    assert.False(d:has_schema(i))
    assert.same('null', d:root(i, 'before'))
    assert.same(d:root(i, 'data'), d:root(i, 'after'))
  end)

  it('lets the mark of an unchanged large value through', function()
    assert.same('__debezium_unavailable_value', d:value(find(records, 'u'), 'data.big'))
  end)

  it('takes data from before on a delete', function()
    local i = find(records, 'd')
    assert.same(ID, d:value(i, 'data.id'))
    assert.same('null', d:value(i, 'data.owner'))
    assert.same(d:root(i, 'before'), d:root(i, 'data'))
    assert.same('null', d:root(i, 'after'))
  end)

  it('skips the tombstone', function()
    local n = 0
    for i, r in ipairs(records) do
      n = n + (r.value and 0 or 1)
      assert.same(r.value and 'ok' or 'skipped', d:state(i))
    end
    assert.True(n > 0)
  end)

  it('knows a truncate, which has no key', function()
    for _, name in ipairs { 'debezium-with-schema',
                            'debezium-bare-decimal-string-connect-times-transaction' } do
      local all = decoding.fixture(name)
      local n = 0
      d = decoding.new { format = 'debezium' }
      d:want('data.id', 'key'):run(all)
      for i, r in ipairs(all) do
        if r.value and r.value:find('"op":"t"', 1, true) then
          n = n + 1
          assert.same({ 'ok', 't', 't' }, { d:state(i), d:op(i), d:type(i) })
          assert.same({ ['data.id'] = 'missing', key = 'missing' }, d:values(i))
        end
      end
      assert.same(1, n)
    end
  end)

  it('gives before, after and data side by side', function()
    d = decoding.new { format = 'debezium' }
    d:want('data.x', 'after.x', 'before.x'):run {
      { value = '{"before":{"x":1},"after":{"x":2},"op":"u"}', time_ms = 7 },
      { value = '{"op":"d","after":null,"before":{"x":3}}' },
      { value = '{"op":"d","after":{"x":9}}' },
      { value = '{"after":{"x":4},"op":"c"}' },
    }
    assert.same({ ['data.x'] = 'int:2', ['after.x'] = 'int:2', ['before.x'] = 'int:1' },
      d:values(1))
    assert.same(7, d:time(1))
    assert.same({ ['data.x'] = 'int:3', ['after.x'] = 'missing', ['before.x'] = 'int:3' },
      d:values(2))
    assert.same('missing', d:value(3, 'data.x'))
    assert.same('missing', d:root(3, 'data'))
    assert.same('int:4', d:value(4, 'data.x'))
  end)

  it('skips heartbeats, logical messages and transaction metadata', function()
    local all = decoding.fixture('debezium-bare-decimal-string-connect-times-transaction')
    d = decoding.new { format = 'debezium' }
    d:run(all)
    local n = 0
    for i, r in ipairs(all) do
      if r.topic == 'm3.transaction' then
        n = n + 1
        assert.same('skipped', d:state(i))
      else
        assert.same(r.value and 'ok' or 'skipped', d:state(i))
      end
    end
    assert.True(n > 0)
    d:run {
      { topic = '__debezium-heartbeat.m', value = '{"ts_ms":1}' },
      { value = '{"op":"m","message":{"prefix":"p"}}' },
      { value = 'null' }, { value = '{"schema":null,"payload":null}' },
    }
    assert.same('skipped skipped skipped skipped', states(d, 4))
  end)

  it('refuses an unknown op and values that are no object', function()
    d = decoding.new { format = 'debezium' }
    d:run { { value = '{"op":"x"}' }, { value = '{"op":"create"}' }, { value = '{"op":1}' },
            { value = '[]' }, { value = '{}' } }
    assert.same('failed failed failed failed failed', states(d, 5))
    assert.truthy(d:reason(5):find('none at all', 1, true))
  end)
end)

describe('decoder: debezium with schema', function()
  local records = decoding.fixture('debezium-with-schema')

  local function envelope(fields, payload, rest)
    return '{"schema":{"type":"struct","fields":[{"type":"struct","fields":[' .. fields ..
      '],"field":"before"},{"type":"struct","fields":[' .. fields ..
      '],"field":"after"}]},"payload":{"before":null,"after":' .. payload ..
      ',"op":"c"}' .. (rest or '') .. '}'
  end
  local function field(name, logical, more)
    return ('{"type":"int64","name":"%s","field":"%s"%s}'):format(logical, name, more or '')
  end

  it('makes decimals and times what they mean', function()
    local d = decoding.new { format = 'debezium' }
    d:want('data.id', 'data.balance', 'data.opened', 'data.at', 'data.ts', 'data.b')
    d:want('key', 'key.id'):run(records)
    local i = find(records, 'c')
    assert.same({
      ['data.id'] = ID, ['data.balance'] = 'dec:12.34', ['data.opened'] = 'int:20780',
      ['data.at'] = d:value(i, 'data.at'), ['data.ts'] = d:value(i, 'data.ts'),
      ['data.b'] = '3q2+7w==', ['key'] = 'object:{"id":"' .. ID .. '"}', ['key.id'] = ID,
    }, d:values(i))
    local micros = records[i].value:match('"after".-"ts":(%d+)', #records[i].value / 2)
    assert.same('dec:' .. micros:sub(1, -4) .. '.' .. micros:sub(-3), d:value(i, 'data.ts'))
    assert.truthy(d:value(i, 'data.at'):find('^2026%-.*Z$'))
    assert.True(d:has_schema(i))
    assert.same('c', d:op(i))
    assert.same('dec:99.99', d:value(find(records, 'u'), 'data.balance'))
    assert.same(ID, d:value(find(records, 'd'), 'data.id'))
    assert.same('null', d:value(find(records, 'd'), 'data.balance'))
  end)

  it('reads a record behind a schema it knows as it reads the first', function()
    local d = decoding.new { format = 'debezium' }
    d:want('data.balance', 'data.ts', 'before.id', 'after.owner', 'key.id')
    d:run(records)
    local first = {}
    for i in ipairs(records) do first[i] = d:values(i) end
    d:run(records)
    for i in ipairs(records) do assert.same(first[i], d:values(i)) end
  end)

  it('knows all logical types', function()
    local at = field('micro', 'io.debezium.time.MicroTimestamp') .. ',' ..
      field('nano', 'io.debezium.time.NanoTimestamp') .. ',' ..
      field('whole', 'io.debezium.time.NanoTime') .. ',' ..
      field('milli', 'io.debezium.time.Timestamp') .. ',' ..
      field('day', 'io.debezium.time.Date') .. ',' ..
      field('text', 'io.debezium.data.Json') .. ',' ..
      field('neg', 'org.apache.kafka.connect.data.Decimal', ',"parameters":{"scale":"3"}') ..
      ',' .. field('big', 'org.apache.kafka.connect.data.Decimal') .. ',' ..
      field('any', 'io.debezium.data.VariableScaleDecimal') .. ',' ..
      field('toast', 'org.apache.kafka.connect.data.Decimal') .. ',' ..
      field('bytes', 'org.apache.kafka.connect.data.Decimal')
    local d = decoding.new { format = 'debezium' }
    d:want('after.micro', 'after.nano', 'after.whole', 'after.milli', 'after.day',
      'after.text', 'after.neg', 'after.big', 'after.any', 'after.toast',
      'after.bytes')
    d:run { { value = envelope(at, '{"micro":1500,"nano":-1500001,"whole":7000000,' ..
      '"milli":5,"day":6,"text":"{}","neg":"/w==","big":"DLnyXR5T7NS4N09N",' ..
      '"any":{"scale":-2,"value":"DA=="},"toast":"__debezium_unavailable_value",' ..
      '"bytes":"X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ=="}') } }
    assert.same('ok', d:state(1), d:reason(1))
    assert.same({
      ['after.micro'] = 'dec:1.500', ['after.nano'] = 'dec:-1.500001',
      ['after.whole'] = 'int:7', ['after.milli'] = 'int:5', ['after.day'] = 'int:6',
      ['after.text'] = '{}', ['after.neg'] = 'dec:-0.001',
      ['after.big'] = 'dec:3938615924906251173720706893', ['after.any'] = 'dec:1200',
      ['after.toast'] = '__debezium_unavailable_value',
      ['after.bytes'] = 'X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ==',
    }, d:values(1))
  end)

  it('refuses what does not fit its schema', function()
    local at = field('x', 'org.apache.kafka.connect.data.Decimal')
    local d = decoding.new { format = 'debezium' }
    d:want('data.x')
    for _, value in ipairs { '"?"', '""', 'true', '{}', '"' .. ('////'):rep(6) .. '"' } do
      d:run { { value = envelope(at, '{"x":' .. value .. '}') } }
      assert.same('failed', d:state(1))
      assert.truthy(d:reason(1):find('does not fit its schema', 1, true), d:reason(1))
    end
  end)

  it('takes a changed schema, and members behind the payload, as they are', function()
    local a = field('x', 'io.debezium.time.MicroTimestamp')
    local b = field('x', 'io.debezium.time.NanoTimestamp')
    local d = decoding.new { format = 'debezium' }
    d:want('data.x')
    d:run {
      { value = envelope(a, '{"x":1000000}') }, { value = envelope(b, '{"x":1000000}') },
      { value = envelope(a, '{"x":2000000}') },
      { value = envelope(a, '{"x":1}', ',"more":1') },
      { value = envelope(a, '{"x":3000000') },
    }
    assert.same('int:1000', d:value(1, 'data.x'))
    assert.same('int:1', d:value(2, 'data.x'))
    assert.same('int:2000', d:value(3, 'data.x'))
    assert.same('failed', d:state(4))
    assert.truthy(d:reason(4):find('schema, payload, more', 1, true))
    assert.same('failed', d:state(5))
  end)
end)

describe('decoder: outbox', function()
  it('reads the type from its header, and the payload', function()
    for _, name in ipairs { 'outbox-router-string', 'outbox-router-expanded' } do
      local records = decoding.fixture(name)
      local d = decoding.new { format = 'outbox' }
      d:want('data.amount', 'data.owner', 'data.n', 'key'):run(records)
      assert.same('ok ok ok', states(d, 3))
      assert.same('AccountCreated', d:type(1))
      assert.same('MoneyDeposited', d:type(2))
      assert.same('Zoë', d:value(1, 'data.owner'))
      assert.same(ID, d:value(1, 'key'))
      assert.same(1, d:time(1))
      assert.same(name == 'outbox-router-string' and 'dec:5.10' or 'dec:5.1',
        d:value(2, 'data.amount'))
      if name == 'outbox-router-string' then
        assert.same('dec:12345678901234567890.5', d:value(1, 'data.n'))
      end
    end
  end)

  it('reads a payload in a text, behind a schema, or both', function()
    local d = decoding.new { format = 'outbox', type_header = 'kind' }
    local headers = { kind = 'T' }
    local schema = '{"schema":{"type":"struct","fields":[{"name":' ..
      '"io.debezium.time.MicroTimestamp","field":"x"}]},"payload":'
    d:want('data', 'data.x')
    d:run {
      { value = '{"x":5000}', headers = headers },
      { value = '"{\\"x\\": \\"a\\\\nb\\"}"', headers = headers },
      { value = schema .. '{"x":5000}}', headers = headers },
      { value = schema .. '{"x":6000}}', headers = headers },
      { value = '{"schema":{"type":"string"},"payload":"{\\"x\\":1}"}', headers = headers },
      { value = '{"schema":{"type":"string"},"payload":"{\\"x\\":2}"}', headers = headers },
      { value = '{"schema":null,"payload":{"x":7}}', headers = headers },
      { value = '{"schema":{"type":"string"},"payload":"{\\"x\\":"}', headers = headers },
    }
    local got = {}
    for i = 1, 7 do got[i] = d:value(i, 'data.x') end
    assert.same({ 'int:5000', 'a\nb', 'int:5', 'int:6', 'int:1', 'int:2', 'int:7' }, got)
    assert.same('object:{"x": "a\\nb"}', d:value(2, 'data'))
    assert.True(d:has_schema(3) and d:has_schema(4))
    assert.False(d:has_schema(1) or d:has_schema(7))
    assert.same('failed', d:state(8))
    assert.truthy(d:reason(8):find('the text in the value is not JSON', 1, true))
  end)

  it('reads what is behind schemas of more bytes than are remembered', function()
    local d = decoding.new({ format = 'outbox' }):want('data.n')
    for i = 1, 20 do
      local value = '{"schema":{"type":"struct","doc":"' .. ('x'):rep(1e6) .. i % 12 .. '","fields":[{"type":"bytes",'
        .. '"name":"org.apache.kafka.connect.data.Decimal","parameters":{"scale":"2"},"field":"n"}]},"payload":{"n":"BNI="}}'
      d:run { { value = value, headers = { eventType = 'T' } }, { value = value, headers = { eventType = 'T' } } }
      assert.are.same({ 'dec:12.34', 'dec:12.34' }, { d:value(1, 'data.n'), d:value(2, 'data.n') })
    end
  end)
  it('skips tombstones, and names the setting when the type is missing', function()
    local d = decoding.new { format = 'outbox' }
    d:run { { headers = { id = 'a' } }, { value = '{}' } }
    assert.same('skipped failed', states(d, 2))
    assert.truthy(d:reason(2):find(
      'table.fields.additional.placement=type:header:eventType', 1, true))
  end)
end)

describe('decoder: json', function()
  it('takes the value as data and its type from a field', function()
    local d = decoding.new { format = 'json', type_path = 'data.kind' }
    d:want('data', 'data.a.b')
    d:run {
      { value = ' {"a":{"b":true},"kind":"A"} ', time_ms = 9 }, { value = '{"kind":null}' },
      { value = '[1,2]' }, { value = '"text"' }, { value = 'null' }, {},
      { value = '{"kind":5}' },
    }
    assert.same('ok ok ok ok ok skipped failed', states(d, 7))
    assert.same('A', d:type(1))
    assert.same(9, d:time(1))
    assert.True(d:value(1, 'data.a.b'))
    assert.is_nil(d:type(2))
    assert.same('array:[1,2]', d:value(3, 'data'))
    assert.same('text', d:value(4, 'data'))
    assert.same('null', d:value(5, 'data'))
    assert.truthy(d:reason(7):find('data.kind', 1, true))
  end)

  it('is no wrapper of Connect: schema and payload are fields', function()
    local d = decoding.new { format = 'json' }
    d:want('data.payload.x'):run { { value = '{"schema":{},"payload":{"x":1}}' } }
    assert.same('int:1', d:value(1, 'data.payload.x'))
  end)
end)

describe('decoder: keys', function()
  local SCHEMA = '{"schema":{"type":"string"},"payload":'
  local cases = {
    { 'abc', 'abc' }, { '42', '42' }, { '"quo\\"ted"', 'quo"ted' }, { ID, ID },
    { '', '' }, { 'null', 'null' }, { '{6F96-11}', '{6F96-11}' }, { '"', '"' },
    { '[1', '[1' }, { ' x ', ' x ' }, { 'Zoë', 'Zoë' },
    { '{"id":1}', 'object:{"id":1}', 'int:1' }, { ' { "id" : "a" } ', 'object:{ "id" : "a" }', 'a' },
    { '{}', 'object:{}' }, { '{"schema":1,"payload":2}', 'object:{"schema":1,"payload":2}' },
    { SCHEMA .. '"x"}', 'x' }, { SCHEMA .. '42}', '42' }, { SCHEMA .. 'null}', 'missing' },
    { SCHEMA .. '{"id":3}}', 'object:{"id":3}', 'int:3' },
    { '{"payload":{"id":4}}', 'object:{"payload":{"id":4}}' },
    { nil, 'missing' },
  }
  for i = 1, #cases do
    local key, whole, id = cases[i][1], cases[i][2], cases[i][3] or 'missing'
    it('reads ' .. tostring(key), function()
      local d = decoding.new { format = 'json' }
      d:want('key', 'key.id')
      for _ = 1, 2 do
        d:run { { key = key, value = '1' } }
        assert.same('ok', d:state(1), d:reason(1))
        assert.same({ key = whole, ['key.id'] = id }, d:values(1))
      end
    end)
  end

  it('refuses bytes that are no text, and broken objects', function()
    local d = decoding.new { format = 'json' }
    d:want('key')
    for key, why in pairs { ['\0\0\0\0\1x'] = 'Avro', ['a\255'] = 'neither JSON nor text',
                            ['{"id":'] = 'key is not JSON: cut off' } do
      d:run { { key = key, value = '1' } }
      assert.same('failed', d:state(1))
      assert.truthy(d:reason(1):find(why, 1, true), d:reason(1))
    end
  end)

  it('leaves the key alone when nobody asks for it', function()
    local d = decoding.new { format = 'json' }
    d:want('data.x'):run { { key = '\255', value = '{"x":1}' } }
    assert.same('ok', d:state(1))
    assert.False(d:fault('key'))
    assert.same('failed', d:state(1))
  end)
end)

describe('a decoder of several topics', function()
  it('reads each record as its topic is written', function()
    local d = decoding.new {
      { name = 'o', format = 'outbox' }, { name = 'd', format = 'debezium' },
      { name = 'j', format = 'json', type_path = 'data.kind' },
    }
    d:want('data.id')
    d:run {
      { topic = 'o', value = '{"id":1,"op":"c"}', headers = { eventType = 'Made' } },
      { topic = 'd', value = '{"before":null,"after":{"id":2},"op":"c"}' },
      { topic = 'j', value = '{"id":3,"kind":"Seen"}' },
      { topic = 'o', value = '{"id":4}', headers = { eventType = 'Made' } },
    }
    for i, expected in ipairs { 'int:1', 'int:2', 'int:3', 'int:4' } do
      assert.are.equal(expected, d:value(i, 'data.id'))
    end
    assert.are.same({ 'Made', 'c', 'Seen', 'Made' }, { d:type(1), d:type(2), d:type(3), d:type(4) })
    assert.are.same({ nil, 'c' }, { d:op(1), d:op(2) })
    assert.are.same({ 0, 1, 2, 0 }, { d.events.topics[0], d.events.topics[1], d.events.topics[2], d.events.topics[3] })
  end)
end)
