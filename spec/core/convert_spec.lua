local ffi = require 'ffi'
local conversion = require 'spec.core.conversion'
local core = require 'spec.core.core'
local C = core.lib

local text, number, object, array = core.text, core.number, core.object, core.array
local convert, run, stated = conversion.convert, conversion.run, conversion.stated
local json, outbox = conversion.json, conversion.outbox
local debezium, schema = conversion.debezium, conversion.schema
local nines = ('9'):rep(38)

describe('convert: null and missing pass through every type', function()
  for word in ffi.string(C.type_words()):gmatch('[^, ][^,]*') do
    it(word, function()
      assert.are.equal('null', core.tag((convert(word, core.null()))))
      assert.are.equal('missing', core.tag((convert(word, core.missing(), debezium))))
    end)
  end
end)

describe('convert: whole numbers', function()
  run(it, {
    { 'bigint', number '42', 'int 42' },
    { 'bigint', number '-9223372036854775808', 'int -9223372036854775808' },
    { 'bigint', number '9223372036854775808', 'error: out of range' },
    { 'bigint', number '1e30', 'error: out of range' },
    { 'bigint', number '1e400', 'error: out of range' },
    { 'smallint', number '32767', 'int 32767' },
    { 'smallint', number '32768', 'error: out of range: -32768 to 32767' },
    { 'integer', number '-2147483648', 'int -2147483648' },
    { 'integer', number '2147483648', 'error: out of range' },
    { 'integer', number '5.00', 'int 5' },
    { 'integer', number '5.01', 'error: number 5.01 has a fraction' },
    { 'integer', number '1e3', 'int 1000' },
    { 'bigint', number '9223372036854775807.0', 'int 9223372036854775807' },
    { 'bigint', number '0.0', 'int 0' },
    { 'bigint', text '9223372036854775807', 'int 9223372036854775807' },
    { 'bigint', text '-7', 'int -7' },
    { 'bigint', text '7.0', "error: text '7.0' is not a bigint" },
    { 'integer', text '', "error: text '' is not an integer" },
    { 'bigint', text 'abc', "error: text 'abc' is not a bigint" },
    { 'smallint', text '99999', 'error: out of range' },
    { 'bigint', core.bool(true), 'error: true is not a bigint' },
    { 'bigint', object '{}', 'error: an object is not a bigint' },
    { 'bigint', array '[1]', 'error: an array is not' },
    { 'bigint', core.double(42), 'int 42' }, { 'bigint', core.double(-0.0), 'int 0' },
    { 'bigint', core.double(2 ^ 53 - 1), 'int 9007199254740991' },
    { 'bigint', core.double(2 ^ 53), 'error: beyond 2^53' },
    { 'bigint', number '9007199254740992', 'int 9007199254740992' },
    { 'bigint', number '-0', 'int 0' }, { 'smallint', number '-0.0', 'int 0' },
    { 'bigint', core.double(-0.0), 'int 0' },
    { 'integer', core.double(1.1 * 3), 'error: rounded' },
    { 'bigint', core.double(2 ^ 53 + 2), 'error: beyond 2^53' },
    { 'bigint', core.double(0.5), 'error: has a fraction' },
    { 'integer', core.double(0 / 0), 'error: is not an integer' },
    { 'bigint', core.double(1 / 0), 'error: is not a bigint' },
  })
end)

describe('convert: boolean', function()
  run(it, {
    { 'boolean', core.bool(true), 'bool true' },
    { 'boolean', core.bool(false), 'bool false' },
    { 'boolean', text 'true', 'bool true' }, { 'boolean', text 'false', 'bool false' },
    { 'boolean', text 'yes', 'error: is not a boolean' },
    -- of MySQL, whose tinyint(1) holds other numbers too
    { 'boolean', number '1', 'bool true' }, { 'boolean', number '0', 'bool false' },
    { 'boolean', number '2', 'error: number 2 is not a boolean: of numbers only 0 and 1' },
    { 'boolean', number '-1', 'error: number -1 is not a boolean' },
    { 'boolean', number '1.5', 'error: is not a boolean' },
    { 'boolean', core.double(1), 'bool true' },
    { 'boolean', object '{}', 'error: is not' },
  })
end)

describe('convert: text and varchar', function()
  run(it, {
    { 'text', text 'Zoë', 'text Zoë' }, { 'text', text '', 'text' },
    { 'text', text 'a\0b', 'error: \\u0000' },
    { 'text', number '1', 'error: number 1 is not a text' },
    { 'text', core.double(1.5), 'error: number 1.5 is not a text' },
    { 'text', core.bool(false), 'error: false is not a text' },
    { 'text', object '{}', 'error: an object is not a text' },
    { 'varchar(3)', text 'Zoë', 'text Zoë' },
    { 'varchar(3)', text 'Zoës', 'error: has 4 characters: varchar(3) holds 3' },
    { 'varchar(2)', text '👍👍', 'text 👍👍' },
    { 'varchar', text(('x'):rep(1000)), 'text ' .. ('x'):rep(1000) },
    { 'varchar(3)', text '\0', 'error: \\u0000' },
    -- Debezium's placeholder is only Debezium's.
    { 'text', text '__debezium_unavailable_value', 'text __debezium_unavailable_value',
      outbox },
  })
  it('cuts long values in messages between characters', function()
    local _, message = convert('varchar(5)', text(('ö'):rep(200)))
    assert.is_truthy(message:find("text '" .. ('ö'):rep(30) .. "...'", 1, true), message)
  end)
end)

describe('convert: uuid', function()
  local id = '22222222-abcd-4222-8222-0123456789ab'
  run(it, {
    { 'uuid', text(id), 'uuid ' .. id }, { 'uuid', text(id:upper()), 'uuid ' .. id },
    { 'uuid', text((id:gsub('-', ''))), 'uuid ' .. id },
    { 'uuid', text('{' .. id .. '}'), 'uuid ' .. id },
    { 'uuid', text '2222-2222-abcd-4222-8222-0123-4567-89ab', 'uuid ' .. id },
    { 'uuid', text(id .. '0'), 'error: is not a uuid' },
    { 'uuid', text(id:sub(1, -2)), 'error: is not a uuid' },
    { 'uuid', text '', 'error: is not a uuid' },
    { 'uuid', text('-' .. id), 'error: is not' },
    { 'uuid', text(id .. '-'), 'error: is not' },
    { 'uuid', text((id:gsub('-', '--', 1))), 'error: is not' },
    { 'uuid', text((id:gsub('a', 'g', 1))), 'error: is not' },
    { 'uuid', text('{' .. id), 'error: is not' }, { 'uuid', text '{}', 'error: is not' },
    { 'uuid', number '1', 'error: is not a uuid' },
  })
end)

describe('convert: bytea', function()
  run(it, {
    { 'bytea', text '3q2+7w==', 'bytes \\xdeadbeef', debezium },
    { 'bytea', text 'AA==', 'bytes \\x00', debezium },
    { 'bytea', text '', 'bytes \\x', debezium },
    { 'bytea', text '\\xdeadbeef', 'bytes \\xdeadbeef', debezium },
    { 'bytea', text '\\xDEADbeef', 'bytes \\xdeadbeef', json },
    { 'bytea', text '\\x', 'bytes \\x', json },
    { 'bytea', text '3q2+7w==', 'bytes \\xdeadbeef', outbox },
    { 'bytea', text '\\xabc', 'error: hex with \\x in front', json },
    { 'bytea', text '\\xzz', 'error: hex' },
    { 'bytea', text 'AAA', 'error: base64' }, { 'bytea', text '====', 'error: base64' },
    { 'bytea', text 'A=AA', 'error: base64' },
    { 'bytea', text 'AA==AAAA', 'error: base64' },
    { 'bytea', text 'AAA=', 'bytes \\x0000' }, { 'bytea', text 'A A=', 'error: base64' },
    { 'bytea', number '1', 'error: is not a bytea' },
  })
end)

-- binary.handling.mode: texts tell base64 from hex, but for short ones.
describe('convert: bytea of Debezium', function()
  local hex, base64 = stated(nil, nil, 'HEX'), stated(nil, nil, 'BASE64')
  local function known(s)
    local cell = text(s)
    cell.hint = C.TM_HINT_BASE64
    return cell
  end
  run(it, {
    { 'bytea', text 'deadbeef', 'bytes \\xdeadbeef', hex },
    { 'bytea', text 'DEADBEEF', 'bytes \\xdeadbeef', hex },
    { 'bytea', text '', 'bytes \\x', hex },
    { 'bytea', text 'dead-', 'error: it is not hex: check binary', hex },
    { 'bytea', text '3q2+7w==', 'error: it is not hex: check binary', hex },
    { 'bytea', text 'deadbeef', 'bytes \\x75e69d6de79f', base64 },
    { 'bytea', known 'deadbeef', 'bytes \\x75e69d6de79f', schema },
    { 'bytea', text 'deadbeef', "error: could be base64 or hex (\\xdeadbeef as hex, ", debezium },
    { 'bytea', text 'DEADBEEF', "error: could be base64 or hex (\\xDEADBEEF as hex, ", debezium },
    { 'bytea', text 'deadbe', 'error: could be base64 or hex: state binary', schema },
    { 'bytea', text '0001', "error: could be base64 or hex (\\x0001 as hex, ", debezium },
    { 'bytea', text 'deAd', 'bytes \\x75e01d', debezium },
    { 'bytea', text '-_-_', 'bytes \\xfbffbf', base64 },
    { 'bytea', text '+/+/', 'bytes \\xfbffbf', base64 },
    { 'bytea', text 'xyz', 'error: check binary in kafka{}', debezium },
  })
end)

describe('convert: bytea outside Debezium', function()
  local hex, base64 = conversion.said(nil, 'HEX'), conversion.said(nil, 'BASE64')
  local unsaid = 'error: could be base64 or hex (\\xdeadbeef as hex, \\x75e69d6de79f as base64): '
    .. "state binary = 'base64' or 'hex' in kafka{}, or write hex with \\x in front"
  run(it, {
    { 'bytea', text 'deadbeef', unsaid, json }, { 'bytea', text 'deadbeef', unsaid, outbox },
    { 'bytea', text 'deadbe', 'error: could be base64 or hex: state binary', json },
    { 'bytea', text 'DeadBeef', 'error: could be base64 or hex (\\xDeadBeef as hex, ', json },
    { 'bytea', text 'deadbeef', 'bytes \\xdeadbeef', hex },
    { 'bytea', text 'deadbeef', 'bytes \\x75e69d6de79f', base64 },
    { 'bytea', text '\\xdeadbeef', 'bytes \\xdeadbeef', hex },
    { 'bytea', text '\\xdeadbeef', 'bytes \\xdeadbeef', base64 },
    { 'bytea', text 'dead', 'bytes \\xdead', hex }, { 'bytea', text 'wxyz', 'error: check binary in kafka{}', hex },
    { 'bytea', text 'wxyz', 'bytes \\xc31cb3', json }, { 'bytea', text '', 'bytes \\x', json },
    { 'bytea', text 'deadbeef', 'error: write hex, with \\x in front',
      { format = C.FORMAT_JSON, is_literal = true } },
  })
end)

-- What has no type of ours: it arrives as it was written, or is refused.
describe('convert: types of PostgreSQL without a type here', function()
  local precise = stated('PRECISE', 'ADAPTIVE')
  run(it, {
    { 'text', text '192.168.0.1/24', 'text 192.168.0.1/24', debezium },
    { 'text', text '[1,10)', 'text [1,10)', debezium },
    { 'text', text '<a>x</a>', 'text <a>x</a>', debezium },
    { 'text', text 'qg==', 'text qg==', debezium },
    { 'text', text '{"k": 1}', 'text {"k": 1}', debezium },
    { 'jsonb', text '{"a":"1","b":null}', 'json {"a":"1","b":null}', debezium },
    { 'jsonb', object '{"a":"1"}', 'json {"a":"1"}', debezium },
    { 'jsonb', object '{"x":1.5,"y":2.0,"wkb":"AQ==","srid":null}', 'json {"x":1.5,"y":2.0,"wkb":"AQ==","srid":null}', debezium },
    { 'jsonb', array '["AQ==",null]', 'json ["AQ==",null]', precise },
    { 'boolean', core.bool(true), 'bool true', debezium },
    { 'bigint[]', array '[1,null,-2]', 'literal {1,NULL,-2}', debezium },
    { 'text[]', array '["a",null,"b\\"c"]', 'literal {"a",NULL,"b\\"c"}', debezium },
    { 'text[]', array '[["a"]]', 'error: is not flat', debezium },
    { 'text[]', array '[1.5]', 'error: holds an item that is not a text', debezium },
    { 'text', object '{"x":1}', 'error: an object is not a text', debezium },
    { 'text', number '93784000000', 'error: is not a text', debezium },
    { 'bytea', object '{"wkb":"AQ=="}', 'error: is not a bytea', debezium },
    { 'double precision', text 'NaN', 'double nan', debezium },
    { 'real', text '-Infinity', 'double -inf', debezium },
    { 'numeric', text 'NaN', 'error: numeric columns take neither NaN nor Infinity', stated 'STRING' },
    { 'numeric', text 'NaN', 'error: numeric columns take neither NaN nor Infinity', stated 'DOUBLE' },
    { 'numeric(5,2)', text 'Infinity', 'error: numeric columns take neither', precise },
    { 'numeric', object '{"scale":3,"value":"BNI="}', 'dec 1.234', precise },
    { 'numeric(9,2)', object '{"scale":3,"value":"BNI="}', 'dec 1.23', precise },
    { 'numeric', object '{"scale":3,"value":"BNI="}', 'error: is not', stated 'STRING' },
    { 'bigint', object '{"scale":0,"value":"BNI="}', 'int 1234', precise },
    { 'bigint', object '{"scale":1,"value":"BNI="}', 'error: is not a bigint', precise },
    { 'bigint', object '{"scale":0,"value":"BNI="}', 'error: is not a bigint', schema },
    { 'bigint', object '{}', 'error: is not a bigint', precise },
  })
end)

describe('convert: what Debezium left out', function()
  local placeholder = '__debezium_unavailable_value'
  for word in ffi.string(C.type_words()):gmatch('[^, ][^,]*') do
    it(word .. ' is missing', function()
      for _, rules in ipairs { debezium, schema, stated('PRECISE', 'MICROS') } do
        local out = assert(convert(word, text(placeholder), rules))
        assert.are.equal('missing', core.tag(out))
      end
    end)
  end
  local bytes = { placeholder:byte(1, -1) }
  run(it, {
    { 'text[]', array('["' .. placeholder .. '"]'), 'missing', debezium },
    { 'text[]', array('[ "' .. placeholder .. '" ]'), 'missing', schema },
    { 'text[]', array('["' .. placeholder .. '","x"]'),
      'literal {"' .. placeholder .. '","x"}', debezium },
    { 'text[]', array('["' .. placeholder .. '"]'), 'literal {"' .. placeholder .. '"}',
      json },
    { 'bigint[]', array('[' .. table.concat(bytes, ',') .. ']'), 'missing', debezium },
    { 'bigint[]', array '[95,95]', 'literal {95,95}', debezium },
    { 'jsonb', array('["' .. placeholder .. '"]'), 'missing', debezium },
    { 'jsonb', array('[' .. table.concat(bytes, ',') .. ']'), 'missing', debezium },
    { 'jsonb', text('{"' .. placeholder .. '":"' .. placeholder .. '"}'), 'missing', debezium },
    { 'jsonb', object('{"' .. placeholder .. '":"' .. placeholder .. '"}'), 'missing', schema },
    { 'jsonb', array '["x"]', 'json ["x"]', debezium },
    { 'bytea', text 'X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ==', 'missing', debezium },
    { 'bytea', text(placeholder), 'missing', stated(nil, nil, 'HEX') },
    { 'numeric(18,2)', text 'X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ==', 'missing',
      stated 'PRECISE' },
    { 'text', text 'X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ==',
      'text X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ==', debezium },
  })
end)

describe('convert: what Debezium left out, in words of its own', function()
  local forms = require('tidemill.plan.placeholder').forms 'gone!'
  local names = { 'text', 'base64', 'pair', 'json_texts', 'json_numbers', 'texts', 'numbers' }
  local placeholder = ffi.new('struct plan_placeholder')
  for i, name in ipairs(names) do
    placeholder.forms[i - 1].p, placeholder.forms[i - 1].len = core.bytes(forms[name])
  end
  local rules = { format = C.FORMAT_DEBEZIUM, unavailable = placeholder }
  run(it, {
    { 'text', text 'gone!', 'missing', rules }, { 'date', text 'gone!', 'missing', rules },
    { 'text', text '__debezium_unavailable_value', 'text __debezium_unavailable_value', rules },
    { 'bytea', text 'Z29uZSE=', 'missing', rules }, { 'text', text 'Z29uZSE=', 'text Z29uZSE=', rules },
    { 'text[]', array '["gone!"]', 'missing', rules }, { 'bigint[]', array '[103, 111, 110, 101, 33]', 'missing', rules },
    { 'jsonb', array '["gone!"]', 'missing', rules }, { 'jsonb', array '[103,111,110,101,33]', 'missing', rules },
    { 'jsonb', text '{"gone!":"gone!"}', 'missing', rules }, { 'jsonb', object '{"gone!":"gone!"}', 'missing', rules },
    { 'text', text 'gone', 'text gone', rules }, { 'text', text '', 'text', rules },
  })
end)

describe('convert: once converted, a cell stays as it is', function()
  local samples = {
    smallint = number '7', bigint = number '7', ['numeric(18,2)'] = number '1.005',
    numeric = number(nines), real = number '0.1', ['double precision'] = number '0.1',
    boolean = core.bool(true), text = text 'x', ['varchar(4)'] = text 'x',
    uuid = text '22222222-2222-4222-8222-222222222222', bytea = text 'AA==',
    date = text '2026-11-23', ['time(3)'] = text '10:00:00.1234',
    timestamp = text '2026-11-23T10:00',
    ['timestamptz(3)'] = text '2026-11-23T10:00:00.1239Z', json = object '{}',
    jsonb = text 'x', ['text[]'] = array '["a"]', ['bigint[]'] = array '[1]',
  }
  for word, cell in pairs(samples) do
    it(word, function()
      local once = assert(convert(word, cell))
      local twice = assert(convert(word, once, debezium))
      assert.is_true(C.convert_equal(once, twice))
    end)
  end
end)

describe('convert.equal', function()
  local function equal(word, a, b)
    local one, other = assert(convert(word, a)), assert(convert(word, b))
    return C.convert_equal(one, other)
  end
  local cases = {
    { 'bigint', number '1', number '1', true },
    { 'bigint', number '1', number '2', false },
    { 'bigint', number '1', core.null(), false },
    { 'bigint', core.null(), core.null(), true },
    { 'bigint', core.missing(), core.null(), false },
    { 'numeric(18,2)', number '1.5', number '1.50', true },
    { 'numeric', number '1.5', number '1.50', false },
    { 'numeric', number '1.5', number '1.5', true },
    { 'numeric', number(nines), number(nines), true },
    { 'numeric', number(nines), number('-' .. nines), false },
    { 'numeric', number '1', number(nines), false },
    { 'numeric', number(nines), core.null(), false },
    { 'text', text 'a', text 'a', true }, { 'text', text 'a', text 'ab', false },
    { 'text', text '', text '', true }, { 'text', text '', core.null(), false },
    { 'boolean', core.bool(true), text 'true', true },
    { 'uuid', text '22222222-2222-4222-8222-222222222222',
      text '22222222222242228222222222222222', true },
    { 'uuid', text '22222222-2222-4222-8222-222222222222',
      text '22222222-2222-4222-8222-222222222223', false },
    { 'double precision', number '0.5', core.double(0.5), true },
    { 'double precision', text 'NaN', text 'NaN', true },
    { 'double precision', text 'NaN', number '1', false },
    { 'timestamptz', text '2026-11-23T10:00Z', text '2026-11-23T11:00+01', true },
    { 'jsonb', object '{}', object '{}', true },
    { 'jsonb', object '{}', object '{ }', false },
  }
  for i, case in ipairs(cases) do
    it(('case %d: %s'):format(i, case[1]), function()
      assert.are.equal(case[4], equal(case[1], case[2], case[3]))
    end)
  end
end)
