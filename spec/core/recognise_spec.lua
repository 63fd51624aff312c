-- What `check` says of a connector that was set up otherwise than the pipeline says,
-- on what the real connectors wrote (spec/fixtures).
local recognising = require 'recognising' -- before decoding: both declare api.h
local decoding = require 'decoding'

local PRECISE = 'debezium-bare-decimal-precise'
local SCHEMA = 'debezium-with-schema'
local STRING = 'debezium-bare-decimal-string-connect-times-transaction'
local FLATTENED = 'debezium-flattened-decimal-double'
local EXPANDED = 'outbox-router-expanded'
local ROUTED = 'outbox-router-string'

--- The records of a fixture that are in one topic.
local function of_topic(name, topic)
  local list = {}
  for _, r in ipairs(decoding.fixture(name)) do
    if r.topic:find(topic, 1, true) then list[#list + 1] = r end
  end
  return list
end

local function without_truncate(records)
  local list = {}
  for _, r in ipairs(records) do
    if not (r.value and r.value:find('"op":"t"', 1, true)) then list[#list + 1] = r end
  end
  return list
end

local function changed(records, fn)
  local list = {}
  for i, r in ipairs(records) do
    local new = {}
    for k, v in pairs(r) do new[k] = v end
    list[i] = fn(new) or new
  end
  return list
end

local COLUMNS = {
  { 'owner', 'text' }, { 'balance', 'numeric(18,2)' }, { 'at', 'timestamptz' },
  { 'ts', 'timestamp' }, { 'opened', 'date' },
}
local MIRROR = { kind = 'mirror', columns = COLUMNS }
local FOLD = {
  kind = 'fold', exact = 'aligned', table = 'balances',
  key = { { 'id', { 'uuid', from = 'key' } } }, columns = { { 'owner', 'text' } },
  types = { 'AccountCreated', 'MoneyDeposited' },
}

local function debezium(words, projection)
  local topic = { format = 'debezium' }
  for k, v in pairs(words or {}) do topic[k] = v end
  return { topic = topic, projections = { projection or MIRROR } }
end

local function outbox(words, projection)
  local topic = { format = 'outbox', name = 'outbox.event.account' }
  for k, v in pairs(words or {}) do topic[k] = v end
  return { topic = topic, projections = { projection or FOLD } }
end

local function printed(found)
  local lines = { found.summary }
  for _, f in ipairs(found.list) do
    lines[#lines + 1] = ('%s %s\n    do: %s'):format(f.is_warning and 'warning' or 'problem',
      f.what, f.hint)
  end
  return table.concat(lines, '\n')
end

--- That there is such a finding, of this weight.
local function finds(found, weight, what, hint)
  for _, f in ipairs(found.list) do
    if f.what:find(what, 1, true) then
      assert.equal(weight, f.is_warning and 'warning' or 'problem', f.what)
      assert.is_truthy(f.hint:find(hint, 1, true), f.what .. '\n' .. f.hint)
      return f
    end
  end
  error('nothing says "' .. what .. '" in:\n' .. printed(found), 2)
end

local function finds_nothing(found)
  assert.equal(found.summary, printed(found))
end

describe('recognise', function()
  describe('finds nothing where the pipeline says what the connector does:', function()
    local right = {
      { 'decimals as they are written, times in micros', PRECISE,
        debezium { decimals = 'precise', times = 'micros' } },
      { 'the same, by the connector\'s word', PRECISE,
        debezium { decimals = 'precise', times = 'adaptive' } },
      { 'nothing said, but a schema', SCHEMA, debezium(), true },
      { 'decimals as texts, times in millis', STRING,
        debezium { decimals = 'string', times = 'millis' }, true },
      { 'flattened rows with __deleted', FLATTENED,
        debezium { decimals = 'double', times = 'micros' } },
      { 'the same, said', FLATTENED,
        debezium { decimals = 'double', times = 'micros', flattened = 'rewrite' } },
      { 'an outbox by EventRouter and StringConverter', ROUTED, outbox() },
    }
    for _, case in ipairs(right) do
      it(case[1], function()
        local records = of_topic(case[2], 'account')
        finds_nothing(recognising.look(case[3],
          case[4] and without_truncate(records) or records))
      end)
    end
  end)

  -- Fixture, what the pipeline says wrongly, and the words that must be there.
  local wrong = {
    { PRECISE, outbox(), 'problem', 'change events of a table',
      "write format = 'debezium' in kafka{}" },
    { PRECISE, debezium { times = 'micros' }, 'problem', "comes as 'ZA=='",
      "write decimals = 'precise' in kafka{}" },
    { PRECISE, debezium { decimals = 'string', times = 'micros' }, 'problem',
      "decimals = 'string', but copies.balance comes as 'ZA=='",
      "write decimals = 'precise' in kafka{}, or set decimal.handling.mode=string" },
    { PRECISE, debezium { decimals = 'double', times = 'micros' }, 'problem',
      "decimals = 'double', but", "write decimals = 'precise'" },
    { PRECISE, debezium { decimals = 'precise' }, 'problem',
      'copies.ts comes as 1795443663548854 without a schema',
      "write times = 'adaptive' in kafka{}, as the connector does by default: read so, ts "
      .. 'is 2026-11-23' },
    { PRECISE, debezium { decimals = 'precise', times = 'millis' }, 'warning',
      "times = 'millis', but copies.ts comes as 1795443663548854",
      "write times = 'adaptive' in kafka{}, as the connector does by default: read so, ts "
      .. 'is 2026-11-23; or set time.precision.mode=connect' },
    { PRECISE, debezium { decimals = 'precise', times = 'iso' }, 'problem',
      "times = 'isostring', but copies.ts comes as 1795443663548854, a number",
      "write times = 'adaptive' in kafka{}" },
    { PRECISE, debezium { decimals = 'precise', times = 'micros', flattened = 'rewrite' },
      'problem', 'flattened is said, but these are whole envelopes', 'remove flattened' },
    { PRECISE, { topic = { format = 'json' } }, 'warning', 'change events of a table',
      "write format = 'debezium'" },
    { SCHEMA, { topic = { format = 'json' } }, 'warning', 'change events of a table',
      "write format = 'debezium'" },
    { SCHEMA, outbox(), 'problem', 'change events of a table', "format = 'debezium'" },
    { STRING, debezium { times = 'millis' }, 'problem', "comes as '1.00'",
      "write decimals = 'string' in kafka{}" },
    { STRING, debezium { decimals = 'precise', times = 'millis' }, 'problem',
      "decimals = 'precise', but copies.balance comes as '1.00'",
      "write decimals = 'string' in kafka{}, or set decimal.handling.mode=precise" },
    { STRING, debezium { decimals = 'string', times = 'micros' }, 'warning',
      "but copies.ts comes as 1795443663548, which is 1970-01-21 in that unit",
      "write times = 'millis' in kafka{}: read so, ts is 2026-11-23; or set "
      .. 'time.precision.mode=microseconds' },
    { STRING, debezium { decimals = 'string' }, 'problem',
      'copies.ts comes as 1795443663548 without a schema',
      "write times = 'millis' in kafka{}" },
    { STRING, debezium { decimals = 'string', times = 'adaptive' }, 'warning',
      "times = 'adaptive', but copies.ts comes as 1795443663548, which is 1970-01-21",
      "declare ts with the digits of the source (timestamp has 6, timestamp(3) has 3), or "
      .. "write times = 'millis' in kafka{}" },
    { STRING, debezium { decimals = 'string', times = 'millis' }, 'problem',
      'the source table was truncated', "write truncate = 'apply' in kafka{}" },
    { STRING, debezium { decimals = 'string', times = 'millis' }, 'warning',
      "this is Debezium's transaction topic", 'take the topic off the list' },
    { FLATTENED, debezium { decimals = 'double', times = 'micros',
      flattened = 'tombstone' }, 'warning', 'the rows carry __deleted',
      "write flattened = 'rewrite'" },
    { FLATTENED, debezium { times = 'micros' }, 'warning',
      'copies.balance comes as a number with a fraction',
      'set decimal.handling.mode=string' },
    { FLATTENED, outbox(), 'problem', 'flattened rows of a table', "format = 'debezium'" },
    { FLATTENED, { topic = { format = 'json' } }, 'warning', 'flattened rows of a table',
      "format = 'debezium'" },
    { EXPANDED, outbox(), 'warning', 'the payload was expanded',
      'set transforms.outbox.table.expand.json.payload=false' },
    { EXPANDED, debezium(), 'problem', 'events that EventRouter made of an outbox',
      "write format = 'outbox'" },
    { ROUTED, debezium(), 'problem', 'events that EventRouter made of an outbox',
      "write format = 'outbox'" },
    { ROUTED, outbox { type = 'kind' }, 'problem',
      "the record has no header 'kind', so the type of its event is not known, but a "
      .. "header 'eventType'", "write type = 'eventType' in kafka{}" },
    { ROUTED, { topic = { format = 'json' } }, 'warning',
      'look like events that EventRouter made', "write format = 'outbox'" },
    { ROUTED, outbox { outbox = { id = 'id', key = 'aggregateid', type = 'type',
      payload = 'payload' } }, 'problem', 'events that EventRouter made',
      'remove outbox = { … }' },
  }
  for i, case in ipairs(wrong) do
    it(('%d: %s read as %s'):format(i, case[1], case[2].topic.format), function()
      finds(recognising.look(case[2], case[1]), case[3], case[4], case[5])
    end)
  end

  describe('of an outbox', function()
    it('without the type header names the placement and what becomes of old records',
      function()
        local records = changed(decoding.fixture(ROUTED), function(r)
          r.headers = { id = r.headers.id }
        end)
        local found = finds(recognising.look(outbox(), records), 'problem',
          "no header 'eventType'", 'additional.placement=type:header:eventType')
        assert.equal(0, found.offset)
        assert.is_truthy(found.hint:find("start = 'latest'", 1, true))
      end)

    it('with the type in the value asks for a header', function()
      local records = changed(decoding.fixture(ROUTED), function(r)
        r.headers = { id = r.headers.id }
        r.value = '{"eventType":"AccountCreated","payload":"{}"}'
      end)
      finds(recognising.look(outbox(), records), 'problem', 'a field beside the payload',
        ':header: for :envelope:')
    end)

    it('quoted, once and twice, names StringConverter', function()
      local once = changed(decoding.fixture(ROUTED), function(r)
        r.value = '"{\\"amount\\": 5.10}"'
      end)
      finds(recognising.look(outbox(), once), 'warning', 'a JSON text in quotes',
        'value.converter=org.apache.kafka.connect.storage.StringConverter')
      local twice = changed(decoding.fixture(ROUTED), function(r)
        r.value = [["\"{\\\"amount\\\": 5.10}\""]]
      end)
      finds(recognising.look(outbox(), twice), 'warning', 'quoted twice', 'StringConverter')
    end)

    it('of raw rows offers the router and the word', function()
      local raw = { {
        key = '{"id":"a"}',
        value = [[{"before":null,"after":{"id":"a","aggregatetype":"account",
          "aggregateid":"b","type":"AccountCreated","payload":"{}"},"source":{},"op":"c"}]],
      } }
      finds(recognising.look(outbox(), raw), 'problem', 'rows of an outbox table',
        'transforms.outbox.type=io.debezium.transforms.outbox.EventRouter at the '
        .. 'connector, or write outbox = { table = { … } }')
      local words = { id = 'id', key = 'aggregateid', type = 'type', payload = 'payload' }
      local one = outbox { outbox = words }
      finds_nothing(recognising.look(one, raw))
      one.partitions = 3
      finds(recognising.look(one, raw), 'warning', 'not keyed by the aggregate',
        'message.key.columns=SCHEMA.TABLE:aggregateid')
      words.key = 'aggregate_id'
      finds(recognising.look(outbox { outbox = words }, raw), 'problem',
        "has no column 'aggregate_id', but id, aggregatetype, aggregateid",
        "outbox = { table = { key = '…' } } in kafka{}; did you mean 'aggregateid'?")
    end)

    it('of rows that were printed as text names what is missing', function()
      finds(recognising.look(outbox(), { { key = 'a', value = 'Struct{after=Struct{id=a}}' } }),
        'problem', 'printed as text', 'EventRouter at the connector')
    end)

    it('names the handler that was probably meant', function()
      local records = changed(decoding.fixture(ROUTED), function(r)
        r.headers.eventType = r.headers.eventType:gsub('AccountCreated', 'AccountCreatd')
      end)
      finds(recognising.look(outbox(), records), 'warning', "the type 'AccountCreatd'",
        "did you mean 'AccountCreated'?")
    end)

    it('says of a type in quotes where they come from, unless a handler has them', function()
      local records = changed(decoding.fixture(ROUTED), function(r)
        r.headers.eventType = '"' .. r.headers.eventType .. '"'
      end)
      finds(recognising.look(outbox(), records), 'warning',
        'the type "AccountCreated" is in quotes', 'header.converter=org.apache.kafka')
      local fold = { types = { '"AccountCreated"', '"MoneyDeposited"' }, kind = 'fold',
        exact = 'aligned', key = FOLD.key }
      assert.falsy(printed(recognising.look(outbox(nil, fold), records)):find('in quotes'))
    end)

    it('says when no type that was seen has a handler, and of a strict projection which',
      function()
        local fold = { types = { 'Opened' }, kind = 'fold', exact = 'aligned',
          key = FOLD.key }
        finds(recognising.look(outbox(nil, fold), ROUTED), 'warning',
          'any type that was seen: AccountCreated, MoneyDeposited',
          'the handlers are for: Opened')
        fold.strict, fold.ignore = true, { 'MoneyDeposited' }
        assert.matches("is strict and has no handler for event type 'AccountCreated'",
          recognising.look(outbox(nil, fold), ROUTED).refused[1])
      end)
  end)

  describe('of keys', function()
    local function rows(key)
      return changed({ decoding.fixture(PRECISE)[2] }, function(r) r.key = key end)
    end
    local words = { decimals = 'precise', times = 'micros' }

    it('names a record without one, unless rows are appended', function()
      local none = rows(nil)
      none[1].key = nil
      finds(recognising.look(debezium(words), none), 'problem', 'the record has no key',
        'message.key.columns=SCHEMA.TABLE:id')
      finds_nothing(recognising.look(debezium(words,
        { kind = 'append', exact = 'append', columns = COLUMNS, key = {} }), none))
    end)

    it('names other fields, and the nearest', function()
      finds(recognising.look(debezium(words, { kind = 'mirror', columns = COLUMNS,
        key = { { 'account_id', 'uuid' } } }), rows '{"accountid":"a"}'), 'problem',
        "has the fields accountid, but the key of projection copies is made of "
        .. "'account_id'", "did you mean 'accountid'?")
    end)

    it('names more fields than the projection has', function()
      finds(recognising.look(debezium(words), rows '{"id":"a","tenant":1}'), 'problem',
        'has the fields id, tenant, but the key of projection copies names 1 of them',
        'name every field')
    end)

    it('names a key of another column, though it is alone, and what to change', function()
      local id = decoding.fixture(PRECISE)[2].key
      local other = id:gsub('"id"', '"customer_id"')
      finds(recognising.look(debezium(words), rows(other)), 'problem',
        "has the fields customer_id, but the key of projection copies is made of 'id', another field",
        "message.key.columns=SCHEMA.TABLE:id at the connector; or let the newest version win: newer = 'lsn'")
      finds(recognising.look(debezium(words, { kind = 'map', columns = COLUMNS }), rows(other)), 'problem',
        'a lane that reads this record halts', "from = 'data.id' and name the later row with newer")
      finds(recognising.look(debezium(words, { kind = 'fold', exact = 'aligned', columns = COLUMNS }), rows(other)),
        'problem', "made of 'id', another field", "from = 'data.id', whose rows are locked")
      finds_nothing(recognising.look(debezium(words, { kind = 'merge', exact = 'merge' }), rows(other)))
      finds(recognising.look(debezium(words, { kind = 'mirror', columns = COLUMNS,
        key = { { 'a', 'bigint' }, { 'b', 'bigint' } } }), rows '7'), 'problem', 'the record key is one value',
        'name one column')
    end)

    it('shows their fields, and whether they are row keys', function()
      local id = decoding.fixture(PRECISE)[2].key
      local function line(key, projection)
        return recognising.look(debezium(words, projection), key and rows(key) or {}).keys
      end
      assert.equal('record keys: the field id; the row keys of copies', line(id))
      assert.equal('record keys: one value; the row keys of copies', line '7')
      assert.equal('record keys: the field customer_id; not the row keys of copies', line '{"customer_id":7}')
      assert.equal('record keys: the fields id, tenant; not the row keys of copies', line '{"id":"a","tenant":1}')
      assert.equal('record keys: the field account; the row keys of copies',
        line('{"account":7}', { kind = 'fold', exact = 'aligned', key = { { 'id', { 'uuid', from = 'key' } } } }))
      assert.equal('record keys: none seen, so whether they are the row keys of copies is not known; a run asks each',
        line(nil))
      assert.is_nil(line(id, { kind = 'merge', exact = 'merge' }))
    end)

    it('warns of several ways to write them, which may be two partitions', function()
      local function two(a, b)
        return recognising.look({ topic = { format = 'json' }, projections = { { kind = 'fold', exact = 'aligned',
          key = { { 'id', 'bigint' } } } } }, { { key = a, value = '{"id":1}' }, { key = b, value = '{"id":1}' } })
      end
      for _, pair in ipairs {
        { '{"id":1}', '{"id": 1}' }, { '{"id":1}', '{"id":"1"}' }, { '1', '"1"' }, { '{"id":1}', '1' },
        { '{"id":1}', '{"schema":null,"payload":{"id":1}}' },
      } do
        finds(two(pair[1], pair[2]), 'warning', 'record keys are written in several ways', 'in one way')
      end
      for _, pair in ipairs { { '{"id":1}', '{"id":-25}' }, { '"a"', '"b\\"c"' }, { 'a', '17' }, { '{"id":"a:"}', '{"id":""}' } } do
        finds_nothing(two(pair[1], pair[2]))
      end
    end)

    it('names a path that no record has', function()
      finds(recognising.look(debezium(words, { kind = 'merge', exact = 'merge',
        key = { { 'owner', { 'text', from = 'data.ownr' } } } }), PRECISE), 'problem',
        'comes from data.ownr, which no record has', "did you mean 'owner'?")
    end)
  end)

  describe('of columns', function()
    local words = { decimals = 'precise', times = 'micros' }

    it('names one that the source does not have, and the nearest', function()
      finds(recognising.look(debezium(words, { kind = 'mirror',
        columns = { { 'ownr', 'text' } } }), PRECISE), 'warning',
        "copies.ownr: the source's row has no such column", "did you mean 'owner'?")
    end)

    it('warns only, where a handler may make something else of a field', function()
      finds(recognising.look(debezium({ times = 'micros' }, { kind = 'map',
        columns = COLUMNS }), PRECISE), 'warning', "comes as 'ZA=='", 'precise')
    end)

    it('tells units that differ from column to column, as adaptive has them', function()
      local mixed = changed({ decoding.fixture(PRECISE)[2] }, function(r)
        r.value = r.value:gsub('"opened":20780', '"opened":1795443663548')
      end)
      local function mirror(opened)
        return { kind = 'mirror', columns = { { 'opened', opened }, { 'ts', 'timestamp' } } }
      end
      finds(recognising.look(debezium(words, mirror 'timestamp'), mixed), 'warning',
        "times = 'micros', but copies.opened comes as 1795443663548",
        "write times = 'adaptive' in kafka{} and declare opened with the digits")
      finds(recognising.look(debezium({ decimals = 'precise' }, mirror 'timestamp(3)'),
        mixed), 'problem', 'does not say the unit of times', "write times = 'adaptive'")
      finds_nothing(recognising.look(debezium({ decimals = 'precise', times = 'adaptive' },
        mirror 'timestamp(3)'), mixed))
    end)
  end)

  describe('of envelopes that lack their row', function()
    local function look(value, words)
      return recognising.look(words or debezium(), { { key = '{"id":1}', value = value } })
    end
    local MONGO = '{"op":"%s","before":null,"after":%s,"source":{"connector":"mongodb"}}'

    it('names the field and what it is', function()
      finds(look '{"op":"u","before":{"id":1},"after":null,"source":{}}', 'problem',
        'op is u, and its field after is null, not an object', "format = 'json'")
      finds(look '{"op":"d","before":[1],"source":{}}', 'problem', 'its field before is an array', 'transform')
      finds_nothing(look '{"op":"d","before":null,"after":null,"source":{}}')
    end)
    it('names MongoDB, in every format that is no JSON', function()
      local found = look(MONGO:format('c', '"{\\"_id\\":1}"'))
      assert.equal('change events of MongoDB', found.summary)
      finds(found, 'problem', 'its field after is a text', "MongoDB writes it: let ExtractNewDocumentState")
      finds(look(MONGO:format('u', 'null')), 'problem', 'after is null', 'capture.mode=change_streams_update_full')
      assert.equal('change events of MongoDB', look(MONGO:format('d', 'null')).summary)
      finds(look(MONGO:format('c', '"{}"'), outbox()), 'problem', 'change events of MongoDB', 'MongoEventRouter')
    end)
  end)

  it('knows an event of an outbox without a payload by its type, and a tombstone by none', function()
    local function records(value)
      return { { key = 'a', value = value, headers = { id = 'x', eventType = 'AccountCreated' } } }
    end
    for _, value in ipairs { false, 'null', '{"schema":null,"payload":null}', '"null"' } do
      local found = recognising.look(outbox(), records(value or nil))
      assert.equal("(AccountCreated)", found.summary:match '%(.*$', value)
      for _, f in ipairs(found.list) do assert.is_true(f.is_warning, f.what) end
    end
    finds(recognising.look(outbox(), { { key = 'a', value = 'null', headers = { id = 'x' } } }), 'problem',
      "no header 'eventType'", 'placement')
    finds(recognising.look(outbox(), { { key = 'a', headers = { id = 'x' } } }), 'warning', 'tombstones', 'include')
  end)

  it('knows the bytes of a schema registry in every format', function()
    local avro = { { key = 'a', value = '\0\0\0\0\1abc' } }
    finds(recognising.look(outbox(), avro), 'problem', 'bytes of a schema registry',
      'value.converter=org.apache.kafka.connect.storage.StringConverter')
    finds(recognising.look(debezium(), avro), 'problem', 'bytes of a schema registry',
      'value.converter=org.apache.kafka.connect.json.JsonConverter')
    finds(recognising.look({ topic = { format = 'json' } }, avro), 'problem',
      'bytes of a schema registry', 'write JSON')
  end)

  it('tells flattened rows without __deleted what they lack', function()
    local bare = changed(decoding.fixture(FLATTENED), function(r)
      r.value = r.value and r.value:gsub('"__deleted":"%a+",', '')
    end)
    finds(recognising.look(debezium { decimals = 'double', times = 'micros' }, bare),
      'problem', 'carry no __deleted', "write flattened = 'tombstone' in kafka{}")
    finds(recognising.look(debezium { decimals = 'double', times = 'micros',
      flattened = 'rewrite' }, bare), 'warning', "flattened = 'rewrite', but",
      "write flattened = 'tombstone' in kafka{}")
    finds_nothing(recognising.look(debezium { decimals = 'double', times = 'micros',
      flattened = 'tombstone' }, bare))
  end)

  it('says when there is nothing but tombstones, and nothing when there is nothing',
    function()
      finds(recognising.look(debezium(), { { key = '{"id":1}' } }), 'warning', 'tombstones',
        'table.include.list')
      finds_nothing(recognising.look(debezium(), {}))
    end)

  it('says nothing of what a run has passed, but knows by it what a topic holds', function()
    local records = changed(decoding.fixture(ROUTED), function(r)
      r.headers = { id = r.headers.id }
    end)
    records[3] = decoding.fixture(ROUTED)[3]
    records[4] = { key = 'a', headers = {} }
    local one = outbox()
    finds(recognising.look(one, records), 'problem', "no header 'eventType'", 'placement')
    one.passed = { true, true, true, false }
    local found = recognising.look(one, records)
    finds_nothing(found)
    assert.equal("EventRouter's events (MoneyDeposited)", found.summary)
  end)

  it('says where truncates halt a lane, and where nobody minds them', function()
    local one = debezium { decimals = 'string', times = 'millis', truncate = 'apply' }
    local records = of_topic(STRING, 'accounts')
    finds_nothing(recognising.look(one, records))
    one.partitions = 2
    finds(recognising.look(one, records), 'problem', 'nobody knows which records',
      'one partition')
    finds_nothing(recognising.look(debezium({ decimals = 'string', times = 'millis' },
      { kind = 'mirror', columns = COLUMNS, ignore = { 't' } }), records))
  end)

  it('says in a few words what the records are', function()
    local function summary(pipeline, name)
      return recognising.look(pipeline, of_topic(name, 'account')).summary
    end
    assert.equal('change events of a table (c, u, d)', summary(debezium(), PRECISE))
    assert.matches('^change events of a table, with schema %(r,', summary(debezium(), SCHEMA))
    assert.equal('flattened rows (r, c, u, d)', summary(debezium(), FLATTENED))
    assert.equal("EventRouter's events (AccountCreated, MoneyDeposited)",
      summary(outbox(), ROUTED))
  end)
end)
