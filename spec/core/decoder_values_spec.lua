-- Values, broken input, column faults and flat lists, whatever the envelope.
local decoding = require 'decoding'

local function read(value, ...)
  local d = decoding.new { format = 'json' }
  return d:want(...):run { { value = value } }
end

describe('decoder: values', function()
  local cases = {
    { '0', 'int:0' }, { '-1', 'int:-1' }, { '5.10', 'dec:5.10' }, { '1e2', 'int:100' },
    { '9007199254740993', 'int:9007199254740993' },
    { '9223372036854775807', 'int:9223372036854775807' },
    { '9223372036854775808', 'dec:9223372036854775808' },
    { '12345678901234567890.5', 'dec:12345678901234567890.5' },
    { ('9'):rep(39), 'number:' .. ('9'):rep(39) },
    { 'true', true }, { 'false', false }, { 'null', 'null' },
    { '""', '' }, { '"Zoë"', 'Zoë' }, { '"a\\"b\\\\c\\/d\\b\\f\\n\\r\\t"', 'a"b\\c/d\b\f\n\r\t' },
    { '"\\u00e9\\u20AC\\ud83d\\ude00\\u0000!"', 'é€😀\0!' },
    { '{ "a" : [ 1 ] }', 'object:{ "a" : [ 1 ] }' }, { '[]', 'array:[]' },
    { '[{"x":"]"}]', 'array:[{"x":"]"}]' },
  }
  for _, case in ipairs(cases) do
    it('reads ' .. case[1], function()
      local d = read(' { "before" : 1 , "x" : ' .. case[1] .. ' ,"after":2} \n', 'data.x')
      assert.same('ok', d:state(1), d:reason(1))
      assert.same(case[2], d:value(1, 'data.x'))
      assert.same(case[2], read('{"x":' .. case[1] .. '}', 'data.x'):value(1, 'data.x'))
      assert.same(case[2], read(case[1], 'data'):value(1, 'data'))
    end)
  end

  it('refuses what is no value', function()
    for _, value in ipairs { '', '01', '1.', '.5', '+1', '1e', 'nul', 'nulls', 'True', "'x'",
                             'NaN', '"\\x"', '"\\u12"', '"\\u12g4"', '-', '--1', '1 2', ':', '}', '0x10' } do
      local d = read('{"x":' .. value .. '}', 'data.x')
      assert.same('failed', d:state(1), value)
      assert.truthy(d:reason(1):find('^value is not JSON: '), value)
    end
  end)

  it('names the field whose text is JSON, and none of UTF-8', function()
    for _, value in ipairs { '"\\ud800"', '"\\udc00x"', '"\\ud800\\u0041"' } do
      local d = read('{"a":1, "x" : ' .. value .. '}', 'data.x')
      assert.equal('value holds half of a surrogate pair, such as \\ud83d alone, which is no '
        .. 'character, at byte 14 in the field x: let the producer write whole characters',
        d:reason(1))
    end
  end)

  it('is told to be of another encoding, also where one of its bytes ends no text', function()
    for value, words in pairs {
      ['{"a":"caf\233 x'] = 'bytes that are not UTF-8, at byte 9: let the producer write UTF-8',
      ['{"a":"\131\\"}'] = 'bytes that are not UTF-8, at byte 6: let the producer write UTF-8',
      ['{"a":"\226\130'] = 'cut off inside a text, at byte 8',
    } do
      assert.equal('value is not JSON: ' .. words, read(value, 'data.a'):reason(1))
    end
  end)

  it('tells a missing field from null, at any depth', function()
    local d = read('{"a":{"b":{"c":1}},"n":null,"s":5}', 'data.a', 'data.a.b.c', 'data.a.x.c',
      'data.n', 'data.n.c', 'data.s.c', 'data.m.c')
    assert.same({
      ['data.a'] = 'object:{"b":{"c":1}}', ['data.a.b.c'] = 'int:1',
      ['data.a.x.c'] = 'missing', ['data.n'] = 'null', ['data.n.c'] = 'missing',
      ['data.s.c'] = 'missing', ['data.m.c'] = 'missing',
    }, d:values(1))
  end)

  it('lets the last of equal keys win, with all below it', function()
    local d = read('{"x":1,"x":2,"o":{"a":1,"b":2},"o":{"b":3},"p":{"a":1},"p":null}',
      'data.x', 'data.o', 'data.o.a', 'data.o.b', 'data.p', 'data.p.a')
    assert.same({
      ['data.x'] = 'int:2', ['data.o'] = 'object:{"b":3}', ['data.o.a'] = 'missing',
      ['data.o.b'] = 'int:3', ['data.p'] = 'null', ['data.p.a'] = 'missing',
    }, d:values(1))
  end)

  it('finds keys in any order, with escapes, and of any length', function()
    local long = ('k'):rep(300)
    local d = decoding.new { format = 'json' }
    d:want('data.a', 'data.b', 'data.a\\b', "data['']", 'data.' .. long, 'data.é'):run {
      { value = '{"b":1,"a":2}' }, { value = '{"a":3,"b":4}' },
      { value = '{"\\u0061":5,"a\\\\b":6,"a\\b":7,"":8}' },
      { value = '{"' .. long .. 'k":1,"' .. long .. '":9,"é":10}' },
    }
    assert.same('int:1', d:value(1, 'data.b'))
    assert.same('int:2', d:value(1, 'data.a'))
    assert.same('int:3', d:value(2, 'data.a'))
    assert.same('int:5', d:value(3, 'data.a'))
    assert.same('int:6', d:value(3, 'data.a\\b'))
    assert.same('int:8', d:value(3, "data['']"))
    assert.same('int:9', d:value(4, 'data.' .. long))
    assert.same('int:10', d:value(4, 'data.é'))
  end)

  it('points into the record, or into the arena where it must', function()
    local d = read('{"a":"text","b":"te\\nxt","c":[1],"d":{"e":"deep"}}', 'data.a', 'data.b',
      'data.c', 'data.d.e')
    assert.same(6, d:place(1, 'data.a'))
    assert.is_nil(d:place(1, 'data.b'))
    assert.same(29, d:place(1, 'data.c'))
    assert.same(43, d:place(1, 'data.d.e'))
  end)
end)

describe('decoder: broken input', function()
  local deep = ('['):rep(1001) .. (']'):rep(1001)
  local cases = {
    { '', 'value is not JSON: it is empty, at byte 0' }, { ' \n', 'it is empty' },
    { 'hello', 'neither a value nor a number, at byte 0' },
    { '{"a":1', 'cut off, at byte 6' }, { '{"a":', 'cut off, at byte 5' },
    { '{"a', 'cut off inside a text, at byte 3' }, { '{"a"', 'a field name is missing' },
    { '{', 'a field name is missing' }, { '{"a":[1,{"b":2}', 'cut off' },
    { '{"a":1}x', 'something follows the JSON value, at byte 7' },
    { '{"a":1}{"a":2}', 'something follows' }, { '{"a":1,}', 'a field name is missing' },
    { '{"a" 1}', 'a field name is missing' }, { '{"a":1 "b":2}', 'a comma or brace' },
    { '{a:1}', 'a field name is missing' }, { '{"a":,}', 'a value is missing' },
    { '{"a":1]', 'a comma or brace is missing' }, { '}', 'a value is missing' },
    { '{"a":"\255"}', 'bytes that are not UTF-8, at byte 6' },
    { '{"a":"\237\160\128"}', 'bytes that are not UTF-8, at byte 6' },
    { '{"a":"x\ny"}', 'a control byte inside a text, at byte 7' },
    { '\239\187\191{}', 'byte order mark' }, { '{"a":\0}', 'a NUL byte' },
    { '\0\0\0\0\5abc', 'Avro or Protobuf of a schema registry' },
    { 'Struct{id=1}', 'printed as text: let the connector write JSON (org.apache.kafka.connect.json.JsonConverter' },
    { '{"a":' .. deep .. '}', 'nested deeper than 1000' },
    { '{\12"a":1}', 'a field name is missing' },
  }
  for _, case in ipairs(cases) do
    it('tells what is wrong with ' .. ('%q'):format(case[1]):sub(1, 30), function()
      for _, path in ipairs { 'data.a', 'data.other' } do
        local d = read(case[1], path)
        assert.same('failed', d:state(1), path)
        assert.truthy(d:reason(1):find(case[2], 1, true), d:reason(1))
      end
    end)
  end

  -- Where no field is read: inside of each of these, in place of %s.
  local UNREAD = {
    { { format = 'json' }, '{"id":1,"x":%s}' },
    { { format = 'json' }, '{"x":[[],{"y":{}},%s],"id":1}' },
    { { format = 'json' }, '{"id":1,"x":{"y":[1,{"z":%s,"n":null}]} }' },
    { { format = 'debezium' },
      '{"before":null,"after":{"id":1},"source":{"ts_ms":1,"x":%s,"lsn":2},"op":"c"}' },
    { { format = 'debezium' },
      '{"before":{"x":%s},"after":{"id":1,"y":"\\n"},"source":{"v":"1"},"op":"u","z":1}' },
    { { format = 'debezium' }, '{"schema":{"x":%s},"payload":{"after":{"id":1},"op":"c"}}' },
    { { format = 'debezium', flattened = 'rewrite' }, '{"id":1,"x":%s,"__deleted":"false"}' },
    { { format = 'outbox' }, '{"id":1,"x":%s}' },
    { { format = 'outbox' }, '{"schema":null,"payload":{"id":1,"x":{"y":%s}}}' },
  }
  local RIGHT = { '0', '-0.5e+10', '12345678', '1234567890123456789', '123456789012345678901234567',
    'null', 'true', 'false', '""', '"\\u00e9\\"\\\\\\/\\b"', '"\\ud800"', '[]', ' { } ',
    '{"":[{}]}', '[ 1 , [ ] ]', '{"a":1,"a":"b"}', '"Zoë"' }
  local WRONG = { 'nul', 'nullx', 'True', '01', '-', '1.', '.5', '1e', '+1', '0x10', '1 2', '1"',
    '"\\x"', '"\\u12g4"', '"\\u123"', '"a" "b"', "'a'", '{"a"}', '{"a":}', '{"a":1,}', '{,}',
    '{1:2}', '{a:1}', '{"a":1 "b":2}', '{"a"::1}', '{"a":1:2}', '{"\\q":1}', '[1,]', '[,1]',
    '[1 2]', '[:]', '[{]}', '[}', '{]', '1234567890123456789x', '12345678a', '\1', '\12', '\26' }

  it('fails the record, wherever no field is read', function()
    for _, case in ipairs(UNREAD) do
      local function states(values)
        local d, records = decoding.new(case[1]), {}
        for i, value in ipairs(values) do
          records[i] = { value = (case[2]:gsub('%%s', function() return value end)),
            headers = { eventType = 'T' } }
        end
        d:want('data.id'):run(records)
        local out = {}
        for i, value in ipairs(values) do out[i] = value .. ' ' .. d:state(i) end
        return out
      end
      local right, wrong = {}, {}
      for i, value in ipairs(RIGHT) do right[i] = value .. ' ok' end
      for i, value in ipairs(WRONG) do wrong[i] = value .. ' failed' end
      assert.same(right, states(RIGHT), case[2])
      assert.same(wrong, states(WRONG), case[2])
    end
  end)

  it('is told by its place, wherever no field is read', function()
    for value, words in pairs {
      ['{"id":1,"x":{"a":nul}}'] = 'neither a value nor a number, at byte 17',
      ['{"id":1,"x":[1,,2]}'] = 'a value is missing, at byte 15',
      ['{"id":1,"x":{"a":1 "b":2}}'] = 'a comma, brace or bracket is missing, at byte 19',
      ['{"id":1,"x":{"a"}}'] = 'a field name is missing, at byte 13',
      ['{"id":1,"x":["\\q"]}'] = 'a text with a wrong escape, at byte 13',
      ['{"id":1,"x":[1'] = 'cut off, at byte 14',
    } do
      local d = read(value, 'data.id')
      assert.equal('value is not JSON: ' .. words, d:reason(1))
    end
  end)

  it('fails the record alone', function()
    local d = decoding.new { format = 'json' }
    d:want('data.a'):run { { value = '{"a":1}' }, { value = '{' }, { value = '{"a":2}' } }
    assert.same({ 'ok', 'failed', 'ok' }, { d:state(1), d:state(2), d:state(3) })
    assert.same('int:2', d:value(3, 'data.a'))
  end)

  it('survives every prefix of every real record', function()
    for name, format in pairs {
      ['debezium-bare-decimal-precise'] = 'debezium', ['debezium-with-schema'] = 'debezium',
      ['outbox-router-string'] = 'outbox',
    } do
      local d = decoding.new { format = format }
      d:want('data.id', 'data.balance', 'data.tags', 'before.id', 'key.id')
      for _, r in ipairs(decoding.fixture(name)) do
        local cut = {}
        for n = 0, r.value and #r.value - 1 or -1, r.value and #r.value > 1000 and 7 or 1 do
          cut[#cut + 1] = { value = r.value:sub(1, n), headers = { eventType = 'T' } }
        end
        d:run(cut)
        for i = 1, #cut do assert.same('failed', d:state(i)) end
      end
    end
  end)
end)

describe('decoder: column faults', function()
  it('decodes one more column for the whole batch', function()
    local d = decoding.new { format = 'debezium' }
    d:want('data.id')
    local records = decoding.fixture('debezium-with-schema')
    d:run(records)
    local before = d:root(1, 'after')
    assert.True(d:fault('data.balance'))
    assert.True(d:fault('before.id'))
    assert.True(d:fault('key.id'))
    assert.True(d:fault('key'))
    assert.same(before, d:root(1, 'after'))
    local all = decoding.new { format = 'debezium' }
    all:want('data.id', 'data.balance', 'before.id', 'key.id', 'key'):run(records)
    for i in ipairs(records) do
      assert.same(all:state(i), d:state(i))
      if d:state(i) == 'ok' then assert.same(all:values(i), d:values(i)) end
    end
  end)

  it('fails records that cannot be read there', function()
    local d = decoding.new { format = 'json' }
    d:want('data.a'):run { { value = [[{"a":1,"b":"\ud800"}]] },
                           { value = '{"a":1,"b":2}' }, { value = '{' } }
    assert.same('ok', d:state(1))
    assert.False(d:fault('data.b'))
    assert.same({ 'failed', 'ok', 'failed' }, { d:state(1), d:state(2), d:state(3) })
    assert.truthy(d:reason(1):find('at byte 11', 1, true), d:reason(1))
    assert.same('int:2', d:value(2, 'data.b'))
    assert.True(d:fault('data.c'))
  end)

  it('reads the field with all others from the next batch on', function()
    local d = read('{"a":1,"b":{"c":2}}', 'data.a')
    assert.True(d:fault('data.b.c'))
    assert.same('int:2', d:value(1, 'data.b.c'))
    d:run { { value = '{"b":{"c":3}}' } }
    assert.same('int:3', d:value(1, 'data.b.c'))
  end)
end)

describe('decoder: flat lists', function()
  local d = decoding.new { format = 'json' }
  local cases = {
    { '5', { 'int:5' } }, { ' "x\\n" ', { 'x\n' } }, { '[]', { 'array/0' } },
    { '{}', { 'object/0' } }, { '[[],{}]', { 'array/2', 'array/0', 'object/0' } },
    { '[1,[2.50,null],"a"]',
      { 'array/3', 'int:1', 'array/2', 'dec:2.50', 'null', 'a' } },
    { '{"a":{"b":[true]},"c":9007199254740993}',
      { 'object/2', 'a', 'object/1', 'b', 'array/1', true, 'c', 'int:9007199254740993' } },
  }
  for _, case in ipairs(cases) do
    it('lists ' .. case[1], function() assert.same(case[2], d:tokens(case[1])) end)
  end

  it('refuses what is not JSON', function()
    for _, json in ipairs { '', '[', '[1', '[1,', '[1,]', '[,1]', '{"a"}', '{"a":}', '{"a":1',
                            '{"a":1,}', '{"a":1]', '[1}', '1 1', '{1:2}', '{"a":1 "b":2}',
                            '[tru]', '["\\ud800"]', ('['):rep(1001) .. (']'):rep(1001) } do
      assert.is_nil(d:tokens(json), json:sub(1, 20))
    end
    assert.same(1000, #d:tokens(('['):rep(1000) .. (']'):rep(1000)))
  end)
end)

describe('an event of an outbox whose type header is null', function()
  it('is told apart from one without the header', function()
    local function why(headers)
      local d = decoding.new { format = 'outbox' }
      d:want('data.a'):run { { key = 'k', value = '{"a":1}', headers = headers } }
      return d:reason(1)
    end
    assert.truthy(why({ eventType = false }):find("^the header 'eventType' of the record is null, "))
    assert.truthy(why({ type = 'A' }):find("^the record has no header 'eventType', "))
  end)
end)

describe('a key of bytes', function()
  local CURE = 'let the producer write keys as text or JSON (StringSerializer; at a connector key.converter='

  it('is told with the number that a serializer of Java wrote', function()
    for key, words in pairs {
      ['\0\0\0\5'] = 'the key is 4 bytes and no text: IntegerSerializer writes the number 5 so; ',
      ['\255\255\255\254'] = 'IntegerSerializer writes the number -2 so; ',
      ['\0\0\0\0\0\0\0\9'] = 'the key is 8 bytes and no text: LongSerializer writes the number 9 so; ',
      ['\0\0\0\5abc'] = 'it looks like Avro or Protobuf of a schema registry, which is not supported: ',
      ['\0\0\0\0\7\2\4\6'] = 'the number 117572614 so (or it is Avro or Protobuf of a schema registry); ',
      ['\255\1'] = 'the key is neither JSON nor text, but bytes that are not UTF-8, or hold a zero byte: ',
    } do
      local d = decoding.new { format = 'json' }
      d:want('key'):run { { key = key, value = '{}' } }
      assert.truthy(d:reason(1):find(words, 1, true), d:reason(1))
      assert.truthy(d:reason(1):find(CURE, 1, true), d:reason(1))
    end
  end)
end)
