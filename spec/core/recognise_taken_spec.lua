-- What a run takes is no problem for `check`, whatever it looks like.
local recognising = require 'recognising'

local function with(format, words, more)
  local topic = { format = format }
  for k, v in pairs(words or {}) do topic[k] = v end
  return { topic = topic, projections = { more } }
end

local function debezium(words, projection) return with('debezium', words, projection) end
local function outbox(words, projection) return with('outbox', words, projection) end

local function finds(found, weight, what, hint)
  local f = assert(found.list[1], 'nothing is found')
  assert.equal(weight, f.is_warning and 'warning' or 'problem')
  assert.is_truthy(f.what:find(what, 1, true), f.what)
  assert.is_truthy(f.hint:find(hint, 1, true), f.hint)
end

local function finds_nothing(found) assert.same({}, found.list) end

describe('recognise', function()
  describe("of MySQL's connector", function()
    local CHANGE = '{"op":"c","before":null,"after":{"id":1},"source":{"connector":"mysql","file":"b.1","pos":4}}'
    local function look(value, once)
      return recognising.look(debezium(nil, { kind = 'fold', key = { { 'id', 'bigint' } }, once_path = once,
        columns = { { 'version', 'bigint' } } }), { { key = '{"id":1}', value = value } })
    end

    it('names topics of changes of the schema, whoever they are for', function()
      for _, more in ipairs { '"tableChanges":[]', '"schemaName":null,"ts_ms":1', '"position":{},"tableChanges":[]' } do
        local found = look('{"source":{},"databaseName":"d","ddl":"CREATE",' .. more .. '}')
        assert.equal("Debezium's changes of the schema", found.summary)
        finds(found, 'warning', 'topic of changes of the schema', 'take the topic off the list')
      end
    end)
    it('tells versions that are in no record, or begin again', function()
      finds(look(CHANGE, 'source.lsn'), 'warning', 'source.lsn is in no record of this connector, but connector, file, pos', 'data.version')
      finds(look(CHANGE, 'source.pos'), 'warning', 'begins again with each file of the binlog', 'data.version')
      finds_nothing(look(CHANGE, 'data.version'))
    end)
  end)

  it('says beforehand where a handler may pass on a number without a unit', function()
    local fold = { table = 'balances', kind = 'fold', exact = 'aligned', columns = { { 'at', 'timestamptz' } },
      key = { { 'id', { 'uuid', from = 'key' } } } }
    local key = '11111111-1111-4111-8111-111111111111'
    local function look(number, words)
      local record = { key = key, value = ('{"at":%s}'):format(number) }
      return recognising.look({ topic = { format = 'json', times = words }, projections = { fold } },
        { record })
    end
    finds(look '1700000000', 'warning',
      'balances.at: the field at comes as 1700000000, and kafka{} does not say its unit',
      "write times = 'seconds' in kafka{}: read so, at is 2023-11-14; or let the handler "
      .. 'write seconds(event.data.at)')
    finds(look '1700000000000', 'warning', 'does not say its unit', "times = 'millis' in kafka{}: read so")
    finds(look '17', 'warning', 'does not say its unit',
      "write times = 'seconds', 'millis', 'micros' or 'nanos' in kafka{}, or let the handler write seconds(x)")
    finds_nothing(look('1700000000', 'millis'))
    finds_nothing(look '0')
    finds_nothing(look '"2023-11-14T00:00:00Z"')
  end)

  -- Columns may have any name, those of envelopes too.
  local ODD = { 'op', 'before', 'after', 'source', 'payload', 'schema', 'ts_ms', 'key',
    'value', 'type', 'status', 'event_count', 'aggregateid', 'eventType', '__lsn' }

  it('takes rows with odd columns, and their tombstones, as a run does', function()
    local mirror = { kind = 'mirror', key = { { 'id', 'bigint' } },
      columns = { { 'op', 'text' } } }
    for _, values in ipairs { '"c"', '{"a":1}', 'null', '7' } do
      local row = { '"id":1' }
      for _, name in ipairs(ODD) do
        row[#row + 1] = ('"%s":%s'):format(name, name == 'op' and '"c"' or values)
      end
      row = table.concat(row, ',')
      local key = '{"id":1}'
      for _, case in ipairs {
        { { flattened = 'tombstone' }, { '{"id":1,"op":"x","after":2}' }, true },
        { { flattened = 'tombstone' }, { ('{%s,"__op":"c"}'):format(row) }, true },
        { { flattened = 'rewrite' }, { ('{%s,"__deleted":"false"}'):format(row) } },
        { {}, { ('{%s,"__deleted":false}'):format(row) } },
        { {}, { ('{"op":"c","after":{%s}}'):format(row) } },
        { {}, { ('{"op":"u","before":{%s},"after":{%s},"source":{}}'):format(row, row) } },
      } do
        local records = { { key = key, value = case[2][1] } }
        if case[3] then records[2] = { key = key } end
        local found = recognising.look(debezium(case[1], mirror), records)
        for i = 1, #records do assert.is_false(found.refused[i]) end
        for _, f in ipairs(found.list) do
          assert.matches('^these are rows of an outbox table', f.what)
          assert.is_true(f.is_warning)
        end
        assert.matches(next(case[1]) and '^flattened rows' or '^%a+', found.summary)
      end
    end
  end)

  it('has no problem with what a run takes, whatever it is', function()
    local function pick(list) return list[math.random(#list)] end
    local function some(make, n)
      local list = {}
      for i = 1, math.random(0, n) do list[i] = make() end
      return table.concat(list, ',')
    end
    local NAMES = { 'id', 'owner', 'balance', 'at', 'b', '__op', '__deleted', '__source_ts_ms',
      unpack(ODD) }
    local VALUES = { 'null', '1', '1700000000', '"c"', '"d"', '"t"', '"u"', '"x"', 'true', '"true"',
      '"false"', '{}', '[]', '{"id":1}', '{"ts_ms":1}', '"1.50"', '"deadbeef"', '"{}"', '2.5' }
    local function member() return ('"%s":%s'):format(pick(NAMES), pick(VALUES)) end
    local function row() return '{"id":1,' .. (some(member, 6) .. '}'):gsub('^}', '"n":1}') end
    local function value()
      local made = pick {
        function() return ('{"op":"%s","before":%s,"after":%s,"source":{"ts_ms":1}}')
          :format(pick { 'c', 'u', 'd', 'r', 't', 'm', 'x' }, pick { 'null', row() }, pick { 'null', row(), '7' }) end,
        row, row, function() return pick(VALUES) end,
        function() return pick { '{"ts_ms":5}', 'no json', '\0\1', 'Struct{a=1}', '"\\"{}\\""' } end,
        function() return ('{"status":"END","id":"1","event_count":1,"data_collections":null,"ts_ms":1}') end,
      }()
      return math.random() < 0.2 and ('{"schema":%s,"payload":%s}'):format(pick { 'null', '{"type":"struct"}' }, made)
        or math.random() > 0.1 and made or nil
    end
    local RAW = { id = 'id', key = 'key', type = 'type', payload = 'payload' }
    local PIPELINES = { debezium(), debezium { flattened = 'rewrite', decimals = 'string' },
      debezium { flattened = 'tombstone', times = 'millis' }, debezium { truncate = 'apply', binary = 'hex' },
      outbox(), outbox { outbox = RAW }, outbox { outbox = RAW, flattened = 'rewrite' },
      { topic = { format = 'json' } }, { topic = { format = 'json', type = 'data.type' } } }
    local PROJECTIONS = { { kind = 'mirror', key = { { 'id', 'bigint' } }, columns = { { 'owner', 'text' },
      { 'balance', 'numeric(9,2)' }, { 'at', 'timestamptz' }, { 'b', 'bytea' } } },
      { kind = 'fold', exact = 'aligned', key = { { 'id', 'bigint' } }, columns = { { 'owner', 'text' } } },
      { kind = 'append', exact = 'append', key = {}, columns = { { 'owner', 'text' } } } }
    local n_taken, n_refused = 0, 0
    for seed = 1, 4000 do
      math.randomseed(seed)
      local pipeline, record = pick(PIPELINES), { key = pick { '{"id":1}', '1', 'a', '{"op":"c"}' }, value = value() }
      record.headers = { id = pick { 'x', false } or nil, eventType = pick { 'Opened', false } or nil }
      if math.random() < 0.1 then record.key = nil end
      pipeline.projections = { pick(PROJECTIONS) }
      local found = recognising.look(pipeline, { record })
      if found.refused[1] then n_refused = n_refused + 1 else n_taken = n_taken + 1 end
      for _, f in ipairs(found.list) do
        assert(f.is_warning or found.refused[1],
          ('seed %d: %s\n%s\n%s'):format(seed, pipeline.topic.format, tostring(record.value), f.what))
      end
    end
    assert(n_taken > 500 and n_refused > 500, n_taken .. ' ' .. n_refused)
  end)

  it('has words for all that the fuzzer found, whatever it is', function()
    local projections = { { kind = 'mirror', columns = { { 'balance', 'numeric' }, { 'ts', 'timestamp' }, { 'at', 'timestamptz' } } },
      { table = 'b', kind = 'fold', exact = 'shared', key = { { 'id', { 'bigint', from = 'data.nested.deep' } } },
        types = { 'AccountCreated', 'c' }, strict = true } }
    local function records_of(file)
      local pieces, records = {}, {}
      for piece in (io.open(file, 'rb'):read('*a'):sub(5) .. '\30'):gmatch '([^\30]*)\30' do
        pieces[#pieces + 1] = piece ~= '~' and piece
      end
      for i = 1, #pieces, 3 do
        records[#records + 1] = { key = pieces[i] or nil, value = pieces[i + 1] or nil,
          headers = { eventType = pieces[i + 2] or nil } }
      end
      return records
    end
    for file in io.popen('ls spec/fuzz/corpus/envelope/*'):lines() do
      local records = records_of(file)
      for _, format in ipairs { 'debezium', 'outbox', 'json' } do
        local found = recognising.look({ topic = { format = format }, projections = projections, partitions = 2 }, records)
        assert(#records == 0 or found.summary ~= '', file)
        for _, f in ipairs(found.list) do assert(f.what ~= '' and f.hint ~= '', file) end
      end
    end
  end)
end)

describe('an outbox record whose type header is null', function()
  it('is told so, and no other header is named but one with a value', function()
    local function look(headers)
      local record = { key = 'k', value = '{"a":1}', headers = headers }
      return recognising.look(with('outbox', nil, { table = 'b', kind = 'append', columns = { { 'a', 'bigint' } } }), { record })
    end
    local what = "the record has the header 'eventType', but its value is null, so the type of its event is not known"
    finds(look { eventType = false }, 'problem', what, 'let the service write one')
    finds(look { eventType = false, kind_type = false }, 'problem', what, 'let the service write one')
    finds(look { eventType = false, type = 'A' }, 'problem', what, "write type = 'type' in kafka{}")
    finds(look { type = 'A' }, 'problem', "the record has no header 'eventType'", "write type = 'type' in kafka{}")
  end)
end)
