-- What each record becomes, over made-up envelopes, against a model that shares no
-- code with the decoder: an event with a row, a delete, an event without data, a
-- record that is passed by (skipped), one that fails, or a lane that halts (misfit).
local decoding = require 'decoding'

math.randomseed(tonumber(os.getenv 'SEED') or 7)

local function pick(list) return list[math.random(#list)] end

--- Values of a field: its JSON and its kind; nil stands for a missing field.
local ROWS = {
  { '{"id":1}', 'object' }, { '{}', 'object' }, { 'null', 'null' }, { nil, 'missing' },
  { '"abc"', 'text' }, { '"{\\"_id\\": 1}"', 'text' }, { '""', 'text' }, { '7', 'number' },
  { 'false', 'boolean' }, { '[{"id":1}]', 'array' },
}
local OPS = {
  '"c"', '"u"', '"d"', '"r"', '"c"', '"u"', '"d"', '"t"', '"m"', '"x"', '"cc"', '""', '1', 'null',
  'true', '{}', 'missing',
}
local SOURCES = {
  { '{"ts_ms":5}', 'object' }, { '{"ts_ms":5}', 'object' }, { '{"ts_ms":5}', 'object' },
  { 'null', 'null' }, { nil, 'missing' }, { '"pg"', 'text' }, { '[]', 'array' },
}

--- An object of these members, in any order; those without a value are left out.
local function object(members)
  local list = {}
  for name, json in pairs(members) do
    if json and json ~= 'missing' then
      table.insert(list, math.random(#list + 1), ('"%s":%s'):format(name, json))
    end
  end
  return '{' .. table.concat(list, ',') .. '}'
end

local WRAPPERS = {
  '%s', '%s', '{"schema":null,"payload":%s}',
  '{"schema":{"type":"struct","fields":[]},"payload":%s}', ' %s\n',
}
local function wrap(value) return (pick(WRAPPERS):gsub('%%s', function() return value end)) end

local ROW_OPS = { ['"c"'] = true, ['"r"'] = true, ['"u"'] = true }
local function is_none(kind) return kind == 'null' or kind == 'missing' end

--- What an envelope must become.
local function expected_of(op, before, after, source)
  if op == 'missing' then return 'misfit' end
  if op == '"m"' then return 'skipped' end
  if op == '"t"' then return 'truncate' end
  if not ROW_OPS[op] and op ~= '"d"' then return 'failed' end
  if not (before == 'object' or is_none(before)) then return 'misfit' end
  if not (source == 'object' or is_none(source)) then return 'misfit' end
  if ROW_OPS[op] then return after == 'object' and 'row' or 'misfit' end
  return (after == 'object' or is_none(after)) and 'delete' or 'misfit'
end

local function outcome(d, i)
  local state = d:state(i)
  if state == 'failed' then return d:is_misfit(i) and 'misfit' or 'failed' end
  if state == 'skipped' then return 'skipped' end
  local op = d:op(i)
  return op == 'd' and 'delete' or op == 't' and 'truncate' or 'row'
end

--- Decodes [records] and compares; [more] looks at an event closer.
local function compare(options, records, expected, more)
  local d = decoding.new(options):want('data.id', 'after.id', 'before.id', 'source.lsn'):run(records)
  for i, record in ipairs(records) do
    local what = ('%s\n%s'):format(tostring(record.value), tostring(d:reason(i)))
    assert.are.equal(expected[i], outcome(d, i), what)
    if more then more(d, i, what) end
  end
  return d
end

local function has_data(d, i) return d:root(i, 'data'):find '^object:' ~= nil end

describe('an envelope of Debezium', function()
  it('becomes what its op promises, or halts the lane', function()
    local records, expected, befores = {}, {}, {}
    for i = 1, 4000 do
      local op, before, after, source = pick(OPS), pick(ROWS), pick(ROWS), pick(SOURCES)
      records[i] = { key = '{"id":1}', time_ms = 7, value = wrap(object {
        op = op, before = before[1] or false, after = after[1] or false,
        source = source[1] or false, ts_ms = pick { '6', false } }) }
      expected[i], befores[i] = expected_of(op, before[2], after[2], source[2]), before[2]
    end
    compare({ format = 'debezium' }, records, expected, function(d, i, what)
      if expected[i] == 'row' then
        assert.is_true(has_data(d, i), what)
        assert.are.equal(d:root(i, 'data'), d:root(i, 'after'), what)
      elseif expected[i] == 'delete' then
        assert.are.equal(befores[i] == 'object', has_data(d, i), what)
      end
    end)
  end)

  it('names the field, what it is, and what to do', function()
    local function reason(value)
      local d = decoding.new { format = 'debezium' }:run { { value = value } }
      assert.is_true(d:is_misfit(1))
      return d:reason(1)
    end
    local function names(value, ...)
      local text = reason(value)
      for _, part in ipairs { ... } do assert.is_truthy(text:find(part, 1, true), text) end
    end
    names('{"before":null,"after":null,"op":"c"}', 'is not a Debezium envelope of a row: op is c, and its '
      .. 'field after is null, not an object', "format = 'json'")
    names('{"op":"u","before":{"id":1}}', 'op is u, and its field after is missing')
    names('{"op":"u","before":3,"after":{"id":1}}', 'its field before is a number')
    names('{"op":"r","after":"{\\"_id\\":1}","source":{"connector":"mongodb"}}', 'after is a text, not an object',
      "MongoDB writes it", 'ExtractNewDocumentState', "flattened = 'rewrite' or 'tombstone'")
    names('{"op":"u","after":null,"updateDescription":{},"source":{"connector":"mongodb"}}',
      'MongoDB tells what changed', 'capture.mode=change_streams_update_full')
    names('{"op":"c","after":{"id":1},"source":"pg"}', 'its field source is no object')
  end)

  it('is judged the same when a field is read late', function()
    local d = decoding.new { format = 'debezium' }:run {
      { value = '{"op":"c","after":{"id":1}}' }, { value = '{"op":"d","before":null}' } }
    assert.is_true(d:fault 'data.id')
    assert.is_true(d:fault 'before')
    assert.are.same({ 'int:1', 'missing' }, { d:value(1, 'data.id'), d:value(2, 'data.id') })
  end)
end)

describe('a flattened row of Debezium', function()
  local MARKS = { 'missing', 'null', '"true"', '"false"', 'true', 'false', '"maybe"', '1' }
  local MARK_OPS = { 'missing', 'null', '"c"', '"u"', '"r"', '"d"', '"x"', '1' }
  local LETTERS = { ['"c"'] = true, ['"u"'] = true, ['"r"'] = true, ['"d"'] = true }

  local function expected_row(mark, op)
    local is_said = not is_none(mark)
    if is_said and not mark:find 'true' and not mark:find 'false' then return 'failed' end
    local is_deleted = mark:find 'true' ~= nil
    if is_none(op) then return is_deleted and 'delete' or 'row' end
    if not LETTERS[op] then return 'failed' end
    if is_said and is_deleted ~= (op == '"d"') then return 'failed' end
    return op == '"d"' and 'delete' or 'row'
  end

  for _, mode in ipairs { 'rewrite', 'tombstone', 'unsaid' } do
    it('is a row or a delete by its marks, and fails when they make no sense: ' .. mode, function()
      local records, expected = {}, {}
      for _, mark in ipairs(MARKS) do
        for _, op in ipairs(MARK_OPS) do
          if mode ~= 'unsaid' or mark ~= 'missing' then
            table.insert(records, { value = wrap(object { id = '1', __deleted = mark, __op = op }) })
            table.insert(expected, expected_row(mark, op))
          end
        end
      end
      compare({ format = 'debezium', flattened = mode }, records, expected, function(d, i, what)
        if expected[i] == 'row' or expected[i] == 'delete' then assert.is_true(has_data(d, i), what) end
      end)
    end)
  end

  it('that is no object is a tombstone when it is null, and fails else', function()
    local values = { false, 'null', '{"schema":null,"payload":null}', '[]', '"{}"', '1', 'true' }
    for mode, first in pairs { rewrite = 'skipped', tombstone = 'delete', unsaid = 'skipped' } do
      local records, expected = {}, {}
      for i, value in ipairs(values) do
        records[i] = { value = value or nil }
        expected[i] = i <= 3 and first or 'failed'
      end
      compare({ format = 'debezium', flattened = mode }, records, expected)
    end
  end)
end)

describe('a row of an outbox table', function()
  local OUTBOX = { id = 'id', key = 'aggregateid', type = 'type', payload = 'payload' }
  local ROW = '{"id":1,"aggregateid":2,"type":"Made","payload":%s}'

  -- Without one letter as its op, and without `after`, it is a row without the columns.
  local function expected_insert(op, after)
    if op == '"c"' or op == '"r"' then return after == 'object' and 'row' or 'misfit' end
    if ('"u" "d" "t" "m"'):find(op, 1, true) then return 'skipped' end
    if op == 'missing' or after == 'missing' and not op:find '^"."$' then return 'misfit' end
    return 'failed'
  end

  it('is an event when it was inserted; what its envelope lacks halts the lane', function()
    local records, expected = {}, {}
    for i = 1, 1000 do
      local op, after = pick(OPS), pick(ROWS)
      local row = after[2] == 'object' and ROW:format '"{}"' or after[1] or false
      records[i] = { value = wrap(object { op = op, after = row, before = 'null', source = '{"ts_ms":5}' }) }
      expected[i] = expected_insert(op, after[2])
    end
    compare({ format = 'outbox', outbox = OUTBOX }, records, expected)
  end)

  it('flattened is told by its marks, and fails when they make no sense', function()
    local function row(more) return { value = ROW:format '"{}"':gsub('}$', more .. '}') } end
    compare({ format = 'outbox', outbox = OUTBOX }, {
      row ',"__op":"c"', row ',"__op":"u"', row ',"__op":"d"', row ',"__op":"x"', row ',"__op":null',
      row ',"__deleted":"true"', row ',"__deleted":"maybe"', row ',"__deleted":"false","__op":"d"', row '',
    }, { 'row', 'skipped', 'skipped', 'failed', 'row', 'skipped', 'failed', 'failed', 'row' })
  end)

  it('without a payload is an event without data', function()
    local d = decoding.new { format = 'outbox', outbox = OUTBOX }:want 'data.id'
    for _, payload in ipairs { 'null', '"null"', '" null "' } do
      d:run { { value = ('{"op":"c","source":{},"after":%s}'):format(ROW:format(payload)) } }
      assert.are.same({ 'ok', 'Made', 'null', 'missing' },
        { d:state(1), d:type(1), d:root(1, 'data'), d:value(1, 'data.id') }, payload)
    end
  end)
end)

describe('an event without a payload', function()
  local NULLS = {
    'null', ' null ', '{"schema":null,"payload":null}', '{"schema":{"type":"string"},"payload":null}',
    ' {"schema":{"type":"string"} , "payload": null } ', '"null"', '\n" null "\t',
    '{"schema":{"type":"string"},"payload":"null"}',
  }
  it('of EventRouter is an event without data, since its headers name its type', function()
    local d = decoding.new { format = 'outbox' }:want('data.id', 'data')
    for _ = 1, 2 do -- behind a schema that is known, too
      for i = 0, #NULLS do
        d:run { { value = '{"id":5}', headers = { eventType = 'Made' } },
          { value = NULLS[i], headers = { eventType = 'Closed' }, key = 'a', time_ms = 7 } }
        assert.are.same({ 'ok', 'Closed', 'null', 'missing', 7 },
          { d:state(2), d:type(2), d:value(2, 'data'), d:value(2, 'data.id'), d:time(2) }, tostring(NULLS[i]))
      end
    end
  end)
  it('of EventRouter is a tombstone when it has neither value nor type', function()
    local d = decoding.new { format = 'outbox' }:run { { key = 'a', headers = { id = 'x' } }, { key = 'a' } }
    assert.are.same({ 'skipped', 'skipped' }, { d:state(1), d:state(2) })
  end)
  it('of EventRouter fails when it has a value and no type', function()
    local d = decoding.new { format = 'outbox' }
    for _, value in ipairs(NULLS) do
      d:run { { value = value, headers = { id = 'x' } } }
      assert.is_truthy((d:reason(1) or ''):find("no header 'eventType'", 1, true), value)
    end
  end)
  it('is none when there are no bytes or a text without JSON: it fails', function()
    local d = decoding.new { format = 'outbox' }
    for _, value in ipairs { '', ' ', '""', '" "', '{"schema":{"type":"string"},"payload":""}' } do
      d:run { { value = value, headers = { eventType = 'Closed' } } }
      assert.is_truthy((d:reason(1) or ''):find('is not JSON: it is empty', 1, true), value)
    end
  end)
  it('of json is null, a tombstone, or fails where there is no JSON', function()
    local d = decoding.new { format = 'json', type_path = 'data.kind' }:want 'data'
    d:run { { value = 'null' }, { value = ' null ' }, {}, { value = '' }, { value = ' ' } }
    assert.are.same({ 'ok', 'ok', 'skipped', 'failed', 'failed' },
      { d:state(1), d:state(2), d:state(3), d:state(4), d:state(5) })
    assert.are.equal('null', d:value(1, 'data'))
  end)
end)
