-- Is the record key the row key? Asked of each record where lanes own their rows, since
-- Kafka keeps the order of records by the bytes of their key alone.
local flow = require 'spec.core.flow'
local core = require 'spec.core.core'
local ffi = require 'ffi'
local C = core.lib

local KINDS = {
  fold = { "columns = { n = 'bigint' }, on = function(row) row.n = 1 end", 'debezium' },
  ['fold of json'] = { "columns = { n = 'bigint' }, on = function(row) row.n = 1 end", "json', times = 'millis" },
  ['fold of an outbox'] = { "columns = { n = 'bigint' }, on = function(row) row.n = 1 end", 'outbox' },
  map = { "columns = { n = 'bigint' }, map = function(row, event) row.n = 1 end", 'debezium' },
  mirror = { "columns = { n = 'bigint' }, mirror = true", 'debezium' },
  ['mirror of MySQL'] = { "columns = { n = 'bigint' }, mirror = true", 'debezium', source = '{"connector":"mysql"}' },
  ['mirror with a version'] = { "columns = { n = 'bigint' }, mirror = true, newer = 'n'", 'debezium' },
  ['flattened mirror'] = { "columns = { n = 'bigint' }, mirror = true", "debezium', flattened = 'rewrite" },
  ['batch function'] = { "batch = function(batch, tables) for e, row in tables.a:events() do row.n = 1 end end",
    'json', is_set = true },
}

local function trial_of(kind, keys)
  local k = KINDS[kind]
  if k.is_set then
    return flow.trial(("tables = { a = { key = { %s }, columns = { n = 'bigint' } } }, %s"):format(keys, k[1]), k[2])
  end
  return flow.trial(("table = 'a', key = { %s }, %s"):format(keys, k[1]), k[2])
end

-- A value of the format with these fields of the row.
local function value_of(kind, row)
  local format = KINDS[kind][2]
  if format:find 'flattened' then return (row:gsub('}$', (row == '{}' and '' or ',') .. '"__op":"u","__deleted":"false"}')) end
  return format == 'debezium' and ('{"op":"u","before":null,"after":%s,"source":%s}'):format(row, KINDS[kind].source or '{}') or row
end

--- 'row KEY', 'halt' or 'failure', and the words.
local function outcome(trial, kind, key, row)
  trial:decode { { key, value_of(kind, row) } }
  if KINDS[kind][2] == 'outbox' then
    C.tm_trial_reset(trial.c)
    local value = value_of(kind, row)
    C.tm_trial_event(trial.c, 't', 0, 0, 1, key, key and #key or -1, value, #value)
    C.tm_trial_header(trial.c, 'eventType', 'Made', 4)
    trial.batch = C.tm_trial_decode(trial.c)
  end
  local view = C.tm_trial_rows(trial.c, 0)
  if view ~= nil then
    trial.view, trial.c_rows = view, ffi.cast('struct rows *', view)
    return 'row ' .. table.concat(trial:keys(), ' ')
  end
  local words = ffi.string(trial.batch.error)
  if trial.batch.error_class == C.ERR_CONFIG then return 'halt', words end
  assert.are.equal(C.ERR_DATA, trial.batch.error_class, words)
  return 'failure', words
end

local function all_kinds(test)
  for kind in pairs(KINDS) do test(kind) end
end
local function is_by_field(kind) return not KINDS[kind].is_set end

describe('a record key of one field', function()
  -- The record key, the row's fields, what becomes of it.
  local CASES = {
    { '{"id":7}', '{"id":7}', 'row 7' }, { '{"id":7}', '{}', 'row 7' }, { '7', '{"id":7}', 'row 7' },
    { '"7"', '{"id":7}', 'row 7' }, { '7', '{}', 'row 7' }, { '{"id":"7"}', '{"id":7}', 'row 7' },
    { '{"schema":{"type":"struct"},"payload":{"id":7}}', '{"id":7}', 'row 7' },
    { '{"schema":{"type":"int64"},"payload":7}', '{"id":7}', 'row 7' },
    { ' { "id" : 7 } ', '{"id":7}', 'row 7' }, { '{"\\u0069d":7}', '{"id":7}', 'row 7' },
    -- Another column: it alone is no proof.
    { '{"customer_id":7}', '{"id":1,"customer_id":7}', 'halt' }, { '{"customer_id":7}', '{"id":7}', 'halt' },
    { '{"customer_id":7}', '{}', 'halt' }, { '{"ID":7}', '{"id":7}', 'halt' }, { '{"Id":7}', '{"id":7}', 'halt' },
    { '{"id ":7}', '{"id":7}', 'halt' }, { '{"":7}', '{"id":7}', 'halt' }, { '{"x":{"id":7}}', '{"id":7}', 'halt' },
    { '{"schema":{"type":"struct"},"payload":{"customer_id":7}}', '{"id":7}', 'halt' },
    { '{}', '{"id":7}', 'halt' }, { '{"id":7,"x":1}', '{"id":7}', 'halt' }, { '{"id":7,"id":7}', '{"id":7}', 'halt' },
    -- Another value.
    { '{"id":8}', '{"id":7}', 'halt' }, { '8', '{"id":7}', 'halt' }, { '{"id":null}', '{"id":7}', 'halt' },
    { 'abc', '{"id":7}', 'halt' }, { '"{\\"id\\":7}"', '{"id":7}', 'halt' },
    -- No value at all.
    { nil, '{"id":7}', 'failure' }, { '{"id":null}', '{}', 'failure' }, { 'abc', '{}', 'failure' },
    { '{"schema":{"type":"string"},"payload":null}', '{"id":7}', 'failure' }, { '{"id":[7]}', '{}', 'failure' },
    { '{"id":true}', '{}', 'failure' }, { '{"id":1.5}', '{}', 'failure' }, { '', '{}', 'failure' },
    -- Another way to write the value.
    { '07', '{"id":7}', 'failure' }, { '+7', '{}', 'failure' }, { '-0', '{"id":0}', 'failure' }, { '"007"', '{}', 'failure' },
    { '{"id":"07"}', '{"id":7}', 'failure' }, { '{"id":7.0}', '{"id":7}', 'failure' }, { '{"id":7e0}', '{}', 'failure' },
    { '{"id":70E-1}', '{}', 'failure' }, { '{"id":-0}', '{"id":0}', 'failure' }, { ' 7', '{}', 'failure' },
    { '{"schema":{"type":"string"},"payload":"07"}', '{"id":7}', 'failure' },
  }
  all_kinds(function(kind)
    it('is the row key by its name and value, or nothing: ' .. kind, function()
      if not is_by_field(kind) then return end
      local trial = trial_of(kind, "id = 'bigint'")
      for _, case in ipairs(CASES) do
        local got, words = outcome(trial, kind, case[1], case[2])
        assert.are.equal(case[3], got, ('%s | %s | %s'):format(tostring(case[1]), case[2], tostring(words)))
      end
    end)
  end)

  all_kinds(function(kind)
    it("has any name with from = 'key', and one way to be written: " .. kind, function()
      local trial = trial_of(kind, "id = { 'bigint', from = 'key' }")
      for key, expected in pairs {
        ['7'] = 'row 7', ['{"id":7}'] = 'row 7', ['{"account":7}'] = 'row 7', ['{"account":"7"}'] = 'row 7',
        ['{"account":"07"}'] = 'failure', ['{"account":7.0}'] = 'failure', ['07'] = 'failure',
        ['{"a":1,"b":2}'] = 'halt', ['{"id":7,"b":2}'] = 'halt', ['{}'] = 'halt', ['{"account":null}'] = 'failure',
        ['{"account":{"id":7}}'] = 'halt',
      } do
        local got, words = outcome(trial, kind, key, '{"account":7}')
        assert.are.equal(expected, got, key .. ' ' .. tostring(words))
      end
      -- A mirror copies the row: its key must be the row's all the same.
      local is_mirror = kind:find 'mirror' ~= nil
      assert.are.equal(is_mirror and 'halt' or 'row 7', (outcome(trial, kind, '{"customer_id":7}', '{"id":1,"customer_id":7}')))
      assert.are.equal(is_mirror and 'halt' or 'row 7', (outcome(trial, kind, '7', '{"id":1}')))
    end)
  end)
end)

describe('a record key of several fields', function()
  it('is the row key when it has all of them and no other, over many shapes', function()
    math.randomseed(tonumber(os.getenv 'SEED') or 11)
    local names = { 'a', 'b', 'A', 'c' }
    for kind in pairs(KINDS) do
      local trial = trial_of(kind, "a = { 'bigint', from = 'key' }, b = { 'bigint', from = 'key' }")
      local by_name = is_by_field(kind) and trial_of(kind, "a = 'bigint', b = 'bigint'") or nil
      for _ = 1, 300 do
        local parts, has, n = {}, {}, 0
        for _, name in ipairs(names) do
          if math.random(2) == 1 then
            has[name] = tostring(math.random(3)); n = n + 1
            table.insert(parts, math.random(#parts + 1), ('"%s":%s'):format(name, has[name]))
          end
        end
        local key = '{' .. table.concat(parts, math.random(2) == 1 and ', ' or ',') .. '}'
        local is_whole = has.a and has.b and n == 2
        local row = is_whole and ('row %s/%s'):format(has.a, has.b) or 'halt'
        assert.are.equal(row, (outcome(trial, kind, key, '{}')), kind .. key)
        if by_name then
          local a = tostring(math.random(3))
          assert.are.equal(is_whole and has.a ~= a and 'halt' or row,
            (outcome(by_name, kind, key, ('{"a":%s}'):format(a))), kind .. key .. a)
        end
      end
      assert.are.equal('halt', (outcome(trial, kind, '7', '{"a":7,"b":7}')))
    end
  end)
end)

describe('a record key', function()
  local UUID = '0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9'
  -- Type, format, the keys that are plain, others of the same values.
  local TYPES = {
    { 'uuid', 'fold of json', { UUID, '"' .. UUID .. '"', '{"id":"' .. UUID .. '"}' },
      { UUID:upper(), '{' .. UUID .. '}', (UUID:gsub('-', '')), (UUID:gsub('f9$', 'F9')), '{"id":"' .. UUID:upper() .. '"}',
        '0a1b-2c3d4e5f-6071-8293-a4b5c6d7e8f9' } },
    { 'smallint', 'fold of json', { '0', '-32768', '32767' }, { '+1', '00', '-01', '{"id":1.00}' } },
    { 'bigint', 'fold of json', { '-9223372036854775808', '9223372036854775807', '{"id":9007199254740993}' },
      { '09223372036854775807', '{"id":1e3}' } },
    { 'text', 'fold of json', { '1', '01', ' 1', '"1"', 'Ä', 'A\204\136', '1.0', '{"id":"01"}' }, {} },
    { 'date', 'fold of json', { '2024-01-31', '"2024-01-31"', '{"id":1706659200000}' },
      { '+2024-01-31', ' 2024-01-31', '2024-01-31Z', '{"id":1706659200001}' } },
    { 'date', 'mirror', { '{"id":19753}' }, { '{"id":"2024-01-31Z"}' } },
    { 'timestamptz', 'fold of json', { '2024-01-31T12:00:00Z', '2024-01-31T12:00:00.000000Z', '2024-01-31T12:00:00.5Z' },
      { '2024-01-31T12:00Z', '2024-01-31 12:00:00Z', '2024-01-31T13:00:00+01:00', '2024-01-31T12:00:00+00:00',
        '2024-01-31t12:00:00z', '2024-01-31T12:00:00.500Z', '2024-01-31', '2024-01-31T12:00:00.0000001Z' } },
    { 'timestamptz(3)', 'fold of json', { '2024-01-31T12:00:00.500Z', '2024-01-31T12:00:00Z', '{"id":1706659200000}' },
      { '2024-01-31T12:00:00.500000Z', '2024-01-31T12:00:00.5004Z' } },
    { 'timestamptz(0)', 'fold of json', { '2024-01-31T12:00:00Z', '{"id":1706659200000}' }, { '{"id":1706659200001}', '{"id":1706659199999}' } },
    { 'varchar(3)', 'fold of json', { 'ab', 'ab ', '"1"' }, {} },
    { 'boolean', 'fold of json', { 'true', '"false"', '{"id":true}' }, { '{"id":1}' } },
    { 'boolean', 'mirror', { '{"id":true}', '{"id":1}', '{"id":0}' }, {} },
    { 'numeric', 'fold of json', { '1.5', '-7', '"1.5"', '{"id":"1.5"}', '{"id":7}' },
      { '1.50', '1e0', '+1', '{"id":7.0}', '{"id":"7.0"}' } },
    { 'numeric(6,2)', 'fold of json', { '1.50', '7.00', '{"id":"7.00"}' },
      { '1.5', '7', '{"id":7}', '{"id":7.5}', '7.001' } },
    { 'char(3)', 'fold of json', { 'ab', 'abc', '{"id":""}', 'äöü' }, { 'ab ', 'ab  ', '{"id":"   "}' } },
    { 'char(3)', 'mirror', { '{"id":"ab "}', '{"id":"abc"}' }, { '{"id":"ab"}' } },
    { 'char(3)', 'mirror of MySQL', { '{"id":"ab"}', '{"id":"abc"}' }, { '{"id":"ab "}' } },
    { 'timestamp', 'fold of json', { '2024-01-31T12:00:00', '{"id":1706659200001}' },
      { '2024-01-31 12:00:00', '2024-01-31T12:00:00Z', '2024-01-31T12:00:00.0' } },
    { 'bytea', 'fold of json', { '\\x61ff', '"\\\\x61ff"' }, { '\\x61FF', 'Yf8=' } },
  }
  for _, case in ipairs(TYPES) do
    it(('is written in the one way of its type: %s, %s'):format(case[1], case[2]), function()
      local trial = trial_of(case[2], ("id = '%s'"):format(case[1]))
      for _, key in ipairs(case[3]) do
        local got, words = outcome(trial, case[2], key, '{}')
        assert.is_truthy(got:find '^row ', key .. ' ' .. tostring(words))
      end
      for _, key in ipairs(case[4]) do
        local got, words = outcome(trial, case[2], key, '{}')
        assert.are.equal('failure', got, key .. ' ' .. tostring(words))
        assert.is_truthy(words:find('is another way to write the ' .. (case[1]:gsub('tz.*', ''):gsub('^char', 'character')), 1, true), words)
      end
    end)
  end

  all_kinds(function(kind)
    it('is a uuid in capitals where the pipeline says so, and then in no other letters: ' .. kind, function()
      local from = is_by_field(kind) and '' or ", from = 'key'"
      local upper = trial_of(kind, "id = { 'uuid', letters = 'upper'" .. from .. ' }')
      local lower = trial_of(kind, "id = { 'uuid', letters = 'lower'" .. from .. ' }')
      local UP, digits = UUID:upper(), '00000000-1111-2222-3333-444444444444'
      local mixed = UUID:gsub('a', 'A', 1)
      for form in pairs { ['%s'] = 1, ['"%s"'] = 1, ['{"id":"%s"}'] = 1 } do
        for value, expected in pairs { [UUID] = 'lower', [UP] = 'upper', [digits] = 'both', [mixed] = 'none',
          [UUID:gsub('-', '')] = 'none', [UP:gsub('-', '')] = 'none', ['{' .. UP .. '}'] = 'none',
          [UUID:sub(1, -2) .. 'F'] = 'none', [UP:sub(1, -2) .. 'f'] = 'none' } do
          for letters, trial in pairs { upper = upper, lower = lower } do
            local got, words = outcome(trial, kind, form:format(value), ('{"id":"%s"}'):format(value:upper()))
            local is_right = expected == letters or expected == 'both'
            assert.are.equal(is_right and 'row' or 'failure', got:match '^%a+', form:format(value) .. ' ' .. tostring(words))
            if not is_right then
              local hint = ("say id = { 'uuid', letters = '%s'%s } in `key`"):format(letters == 'upper' and 'lower' or 'upper', from)
              assert.are.equal(expected ~= 'none', words:find(hint, 1, true) ~= nil, words)
            end
          end
        end
      end
    end)
  end)

  it('is in the one way in which a connector writes its numbers', function()
    local decimal = '{"type":"bytes","name":"org.apache.kafka.connect.data.Decimal","version":1,"parameters":{"scale":"%d"},"field":"id"}'
    local variable = '{"type":"struct","fields":[{"type":"int32","field":"scale"},{"type":"bytes","field":"value"}],'
      .. '"name":"io.debezium.data.VariableScaleDecimal","version":1,"field":"id"}'
    local double = '{"type":"double","optional":true,"field":"id"}'
    local function behind(field, value)
      return ('{"schema":{"type":"struct","fields":[%s]},"payload":{"id":%s}}'):format(field, value)
    end
    local said, unsaid, json = flow.trial, flow.trial, flow.trial
    local mirror = "table = 'a', key = { id = 'bigint' }, columns = {}, mirror = true"
    said, unsaid, json = said(mirror, 'debezium', ", decimals = 'double'"), unsaid(mirror, 'debezium'), json(mirror)
    for _, case in ipairs {
      { unsaid, behind(decimal:format(0), '"Bw=="'), 'row 7' }, { unsaid, behind(decimal:format(1), '"Rg=="'), 'failure' },
      { unsaid, behind(variable, '{"scale":0,"value":"Bw=="}'), 'row 7' },
      { unsaid, behind(variable, '{"scale":1,"value":"Rg=="}'), 'failure' },
      { unsaid, behind(double, '7.0'), 'failure' }, -- the schema of the value tells
      { said, '{"id":7.0}', 'row 7' }, { said, '{"id":1.2E7}', 'row 12000000' }, { said, '{"id":7}', 'row 7' },
      { said, '{"id":7.00}', 'failure' }, { unsaid, '{"id":7.0}', 'failure' }, { json, '{"id":7.0}', 'failure' },
    } do
      local got, words = outcome(case[1], case[1] == json and 'fold of json' or 'mirror', case[2], '{}')
      assert.are.equal(case[3], got, case[2] .. tostring(words))
    end
    local value = '{"schema":{"type":"struct","fields":[]},"payload":{"op":"u","before":null,"after":{}}}'
    for number, row in pairs { ['7.0'] = 7, ['1.2E7'] = 12000000, ['7.00'] = false, ['7.5'] = false } do
      local view = unsaid:rows { { behind(double, number), value } }
      assert.are.same(row and { row } or nil, view and unsaid:keys(), number)
    end
  end)

  it('is bytes as `binary` says, and else hex with its mark', function()
    local key = "table = 'a', key = { id = { 'bytea', from = 'key' } }, columns = {}, on = function() end"
    local keys = { '\\x61ff00', '61ff00', 'Yf8A' }
    for words, right in pairs { [''] = 1, [", binary = 'hex'"] = 2, [", binary = 'base64'"] = 3 } do
      for i, text in ipairs(keys) do
        local trial = flow.trial(key, 'json', words)
        local got, why = outcome(trial, 'fold of json', text, '{}')
        assert.are.equal(i == right, got:find '^row' ~= nil, words .. text .. got)
        if i ~= right and words ~= '' then -- the right way is named
          assert.is_truthy(why:find('another way to write the bytea ' .. keys[right], 1, true) or why:find 'bytea: ', why)
        elseif i ~= right and i == 3 then
          assert.is_truthy(why:find("say binary = 'base64' or 'hex' in kafka{}", 1, true), why)
        end
      end
    end
  end)

  it("of MongoDB is the document's _id in JSON, as a text", function()
    for kind, from in pairs { ['flattened mirror'] = '', mirror = ", from = 'key'", fold = '', map = '' } do
      for key_type, cases in pairs { text = { { '"{\\"$oid\\": \\"64ab\\"}"', '"64ab"', true }, { '"\\"abc\\""', '"abc"', true },
          { '"\\"abd\\""', '"abc"' }, { '"{\\"$oid\\": \\"64ac\\"}"', '"64ab"' }, { '"{\\"$uuid\\": \\"64ab\\"}"', '"64ab"' },
          { '"{\\"$oid\\": \\"64ab\\", \\"a\\": 1}"', '"64ab"' }, { '"{\\"$oid\\": "', '"64ab"' } },
        bigint = { { '"7"', '7', true }, { '"8"', '7' }, { '"7 8"', '7' } } } do
        local trial = trial_of(kind, ("_id = { '%s'%s }"):format(key_type, from))
        for _, case in ipairs(cases) do
          local got, words = outcome(trial, kind, ('{"id":%s}'):format(case[1]), ('{"_id":%s}'):format(case[2]))
          assert.are.equal(case[3] and 'row' or 'halt', got:match '^%a+', kind .. case[1] .. tostring(words))
          got = outcome(trial, kind, ('{"key":%s}'):format(case[1]), ('{"_id":%s}'):format(case[2]))
          if from == '' then assert.are.equal('halt', got) end
        end
      end
    end
  end)

  it('names both keys and what to do, where it is another one', function()
    local function words(kind, key, row)
      local got, text = outcome(trial_of(kind, "id = 'bigint'"), kind, key, row)
      assert.are.equal('halt', got)
      return text
    end
    local function has(text, ...)
      for _, part in ipairs { ... } do assert.is_truthy(text:find(part, 1, true), text) end
    end
    local key, row = '{"customer_id":7}', '{"id":1,"customer_id":7}'
    has(words('mirror', key, row), 'the record key {"customer_id":7} is not the row\'s key (id = 1)',
      'message.key.columns=SCHEMA.TABLE:id', "newer = 'lsn', lsn = { 'bigint', from = 'source.lsn' }")
    has(words('map', key, row), "from = 'data.id' and name the later row with newer")
    has(words('fold', key, row), "from = 'data.id', whose rows are locked")
    has(words('fold of json', '8', '{"id":7}'), 'the record key 8 is not the row\'s key (id = 7)', "from = 'data.id'",
      "if the record key is meant, with from = 'key'")
    has(words('fold', '{"id":7,"x":1}', '{"id":7}'), 'name every field of the record key in `key`, or set message.key.columns')
  end)

  it('is remembered as it is written, so that another way can be told once', function()
    local function others(...)
      local records = {}
      for i, key in ipairs { ... } do records[i] = { key, '{}' } end
      local trial = trial_of('fold of json', "id = 'text'")
      assert(trial:rows(records))
      local other = trial.c_rows.program.form.other
      return other ~= nil and ffi.string(other) or nil
    end
    assert.is_nil(others('{"id":"a"}', '{"id":"b"}', '{"id":""}'))
    assert.is_nil(others('a', 'b', '17', ''))
    assert.is_nil(others('"a"', '"b\\"c"', '""'))
    assert.is_nil(others('{"schema":null,"payload":{"id":"a"}}', '{"schema":null,"payload":{"id":"bc"}}'))
    assert.are.equal('t/0/1 with the key {"id": "a"}', others('{"id":"a"}', '{"id": "a"}', 'x'))
    assert.are.equal('t/0/1 with the key "a"', others('a', '"a"'))
    assert.are.equal('t/0/2 with the key {"id":"a"}', others('a', 'b', '{"id":"a"}'))
    assert.are.equal('t/0/1 with the key {"schema":null,"payload":{"id":"a"}}',
      others('{"id":"a"}', '{"schema":null,"payload":{"id":"a"}}'))
  end)

  it('does not matter where something else tells the order, or nothing needs it', function()
    local key, row = '{"customer_id":7}', '{"op":"u","before":null,"after":{"id":1},"source":{"lsn":3}}'
    for _, projection in ipairs {
      "key = { id = 'bigint' }, mirror = true, newer = 'lsn', columns = { lsn = { 'bigint', from = 'source.lsn' } }",
      "key = { id = 'bigint' }, map = true, newer = 'n', columns = { n = 'bigint' }, on = { u = function(row) row.n = 1 end, d = function() end }",
      "key = { id = { 'bigint', from = 'data.id' } }, columns = { n = 'bigint' }, on = function(row) row.n = 1 end",
      "key = { id = 'bigint' }, merge = { n = 'sum' }, columns = { n = 'bigint' }, on = function(row) row.n = 1 end",
    } do
      local trial = flow.trial("table = 'a', " .. projection, 'debezium')
      local view, reason = trial:rows { { key, row } }
      assert.is_truthy(view, reason)
      assert.are.same({ 1 }, trial:keys())
    end
  end)

  it('of a delete is enough for a mirror; a fold says so when it misses more', function()
    for before, key in pairs { ['null'] = '{"id":7}', ['{"id":7}'] = '7' } do
      local trial = trial_of('mirror', "id = 'bigint'")
      assert(trial:rows { { key, ('{"op":"d","before":%s,"after":null}'):format(before) } })
      assert.are.same({ 7 }, trial:keys())
    end
  end)
end)

describe('a record key that was printed as text', function()
  local CURE = 'the record key is a row that was printed as text: set '
    .. 'key.converter=org.apache.kafka.connect.json.JsonConverter at the connector'

  it('is told with the converter, whatever is made of it', function()
    for _, case in ipairs {
      { 'map', "id = { 'bigint', from = 'key' }" }, { 'mirror', "id = 'bigint'" },
      { 'fold', "id = 'bigint', b = 'bigint'" },
    } do
      local _, words = outcome(trial_of(case[1], case[2]), case[1], 'Struct{id=1}', '{"id":1}')
      assert.is_truthy(words:find(CURE, 1, true), words)
    end
  end)
end)
