local conversion = require 'spec.core.conversion'
local core = require 'spec.core.core'

local text, number, object, array = core.text, core.number, core.object, core.array
local run = conversion.run
local outbox, debezium, schema = conversion.outbox, conversion.debezium, conversion.schema
local nines = ('9'):rep(38)
-- On arm64 LuaJIT has integers, of which -0 is 0; a quotient is none of them.
local MINUS_ZERO = 0 / -1

describe('convert: json and jsonb', function()
  run(it, {
    { 'jsonb', object '{"a": 1}', 'json {"a": 1}' },
    { 'json', array '[1,2]', 'json [1,2]' }, { 'jsonb', number '1.50', 'json 1.50' },
    { 'jsonb', number '1e400', 'json 1e400' },
    { 'jsonb', number(nines), 'json ' .. nines },
    { 'jsonb', core.bool(true), 'json true' }, { 'json', core.bool(false), 'json false' },
    { 'jsonb', core.double(0.1), 'json 0.1' },
    { 'jsonb', core.double(0 / 0), 'error: JSON, which has no such number' },
    { 'jsonb', core.double(1.1 * 3), 'json 3.3000000000000003' },
    { 'jsonb', core.double(1e300), 'json 1e+300' },
    { 'json', core.double(MINUS_ZERO), 'json -0' }, { 'json', core.number '-0.0', 'json -0.0' },
    { 'jsonb', core.double(5e-324), 'json 5e-324' },
    { 'jsonb', text 'say "hi"\\', [[json "say \"hi\"\\"]] },
    { 'json', text 'a\nb\t\1\8\12\r', [[json "a\nb\t\u0001\b\f\r"]] },
    { 'json', text 'a\0b', [[json "a\u0000b"]] },
    { 'jsonb', text 'a\0b', 'error: jsonb cannot store' },
    { 'jsonb', text 'Zoë', 'json "Zoë"' }, { 'jsonb', text '', 'json ""' },
    { 'jsonb', text '{}', 'json "{}"', outbox },
    { 'jsonb', object [[{"a":"x\u0000"}]],
      'error: holds \\u0000, which jsonb cannot store' },
    { 'json', object [[{"a":"x\u0000"}]], [[json {"a":"x\u0000"}]] },
    { 'jsonb', object [[{"a":"x\\u0000"}]], [[json {"a":"x\\u0000"}]] },
    { 'jsonb', object [[{"a":"\\\u0000"}]], 'error: \\u0000' },
    { 'jsonb', object [[{"a":"\\u0000","b":"\u0000"}]], 'error: \\u0000' },
    { 'jsonb', text '{"k": 1}', 'json {"k": 1}', debezium },
    { 'jsonb', text ' [1]', 'json  [1]', schema },
    { 'jsonb', text '"x"', 'json "x"', debezium },
    { 'jsonb', text 'null', 'json null', debezium },
    { 'jsonb', text 'hello', 'error: is not JSON', debezium },
    { 'jsonb', text '', 'error: is not JSON', debezium },
    { 'jsonb', text '  ', 'error: is not JSON', debezium },
    { 'jsonb', text '{"a":"\0"}', 'error: NUL', debezium },
  })
end)

describe('convert: arrays', function()
  run(it, {
    { 'text[]', array '["a","b"]', 'literal {"a","b"}' },
    { 'text[]', array '[]', 'literal {}' }, { 'text[]', array ' [ ]', 'error: an array' },
    { 'text[]', array '[ "a" , null,"NULL" ]', 'literal {"a",NULL,"NULL"}' },
    { 'text[]', array [=[["say \"hi\"","back\\slash","{},","",  "\u00eb\n"]]=],
      'literal {"say \\"hi\\"","back\\\\slash","{},","","ë\n"}' },
    { 'text[]', array '["a",["b"]]', 'error: is not flat' },
    { 'text[]', array '[{"a":1}]', 'error: is not flat' },
    { 'text[]', array '[1]', 'error: an item that is not a text' },
    { 'text[]', array '[true]', 'error: an item that is not a text' },
    { 'text[]', array [=[["a\u0000"]]=], 'error: \\u0000' },
    { 'text[]', array [=[["\q"]]=], 'error: broken escape' },
    { 'text[]', array '["a"', 'error: is not a JSON array' },
    { 'text[]', array '["a', 'error: does not end' },
    { 'text[]', array '["a",]', 'error: an item' },
    { 'text[]', array '["a" "b"]', 'error: is not a JSON array' },
    { 'text[]', array '[', 'error: does not end' },
    { 'text[]', text '{a,b}', 'literal {a,b}' },
    { 'text[]', text 'a,b', 'error: is not a text[]' },
    { 'text[]', text '{a\0}', 'error: is not a text[]' },
    { 'bigint[]', array '[1, -2,null, 9223372036854775807]',
      'literal {1,-2,NULL,9223372036854775807}' },
    { 'bigint[]', array '["12",1e3]', 'literal {12,1000}' },
    { 'bigint[]', array '[1e18]', 'literal {1000000000000000000}' },
    { 'bigint[]', array '[-0,0]', 'literal {0,0}' },
    { 'bigint[]', array '[1.5]', 'error: not a bigint' },
    { 'bigint[]', array '[9223372036854775808]', 'error: not a bigint' },
    { 'bigint[]', array '["x"]', 'error: not a bigint' },
    { 'bigint[]', array '[nul]', 'error: not a bigint' },
    { 'bigint[]', array '[[1]]', 'error: is not flat' },
    { 'bigint[]', text '{1,2}', 'literal {1,2}' },
    { 'bigint[]', number '1', 'error: is not a bigint[]' },
    { 'text[]', object '{}', 'error: an object is not a text[]' },
  })
end)
