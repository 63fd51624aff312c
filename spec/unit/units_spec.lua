-- Units of times and encodings of bytes: what an event, a handler and the pipeline
-- itself may say, in every format. Nothing is guessed.
local bundles = require 'spec.unit.bundles'

local NOW = 1700000000000 -- 2023-11-14T22:13:20Z

local function kafka(words)
  return "kafka { brokers = 'b', group = 'g', topics = { 't' }, " .. words .. ' }'
end

local FORMATS = {
  { 'json', "format = 'json'" },
  { 'an outbox', "format = 'outbox'" },
  { 'raw outbox rows', "format = 'outbox', outbox = { table = { key = 'key' } }" },
  { 'raw outbox rows with a time', "format = 'outbox', outbox = { table = { key = 'key', time = 'at' } }" },
  { 'envelopes', "format = 'debezium'", true },
  { 'flattened rows', "format = 'debezium', flattened = 'rewrite'", true },
}

local function event_of(data)
  return { type = 'T', key = '7', time = NOW, op = 'c', data = data }
end

-- One row of columns [columns], assigned by [body]; or why not.
local function assigned(words, columns, body, data)
  local _, result = pcall(function()
    local b = bundles.load(bundles.pipeline("projection { table = 'a', append = true, columns = { " .. columns
      .. ' }, on = function(row, event) ' .. body .. ' end }', kafka(words)))
    return b:run { events = { event_of(data or { n = 1700000000 }) } }:rows('a')[1]
  end)
  return result
end

local ALL = "z = 'timestamptz', p = 'timestamp(3)', d = 'date'"

describe('event.time', function()
  for _, format in ipairs(FORMATS) do
    for _, times in ipairs { '', 'seconds', 'millis', 'micros', 'nanos', format[3] and 'adaptive', format[3] and 'isostring' } do
      it(('is milliseconds for %s with times = %q'):format(format[1], times), function()
        local words = format[2] .. (times ~= '' and (", times = '%s'"):format(times) or '')
        assert.are.same({ z = '2023-11-14T22:13:20Z', p = '2023-11-14T22:13:20', d = '2023-11-14' },
          assigned(words, ALL, 'row.z = event.time row.p = decimal(event.time) row.d = event.time'))
      end)
    end
  end
  it('is milliseconds for keys that are functions, and for rows of a batch function', function()
    local b = bundles.load(bundles.pipeline([[
      projection { table = 'a', key = { at = { 'timestamptz', from = function(event) return event.time end } },
        columns = { n = 'bigint' }, initial = { n = 0 }, on = function(row) row.n = row.n + 1 end },
      projection { tables = { c = { key = { d = 'date' }, columns = { at = 'timestamp', last = 'timestamptz' } } },
        batch = function(batch, tables)
          local last, kept = nil, nil
          for event in batch:events() do
            kept = tables.c:row(event.time)
            kept.at = event.time
            last = event.time
          end
          kept.last = last
        end }]], kafka "format = 'json'"))
    local result = b:run { events = { event_of {}, event_of {} } }
    assert.are.same({ { at = '2023-11-14T22:13:20Z', n = 2 } }, result:rows('a'))
    assert.are.same({ { d = '2023-11-14', at = '2023-11-14T22:13:20', last = '2023-11-14T22:13:20Z' } }, result:rows('c'))
  end)
end)

describe('a number of an event', function()
  for _, format in ipairs(FORMATS) do
    it('has no unit for ' .. format[1] .. ' until times says it', function()
      local said = assigned(format[2], ALL, 'row.z = event.data.n')
      assert.matches('a.z: number 1700000000 %(2023%-11%-14T22:13:20 as seconds, 1970%-01%-20T16:13:20 as milliseconds', said)
      assert.matches('has no stated unit: write times = .* in kafka{}', said)
      assert.matches('seconds%(x%), millis%(x%), micros%(x%) or nanos%(x%)', said)
      for times, text in pairs { seconds = '2023-11-14T22:13:20', millis = '1970-01-20T16:13:20' } do
        local row = assigned(format[2] .. (", times = '%s'"):format(times), ALL, 'row.z, row.p = event.data.n, event.data.n')
        assert.are.same({ z = text .. 'Z', p = text }, row)
      end
    end)
    it('that a handler makes of event.time has none either for ' .. format[1], function()
      assert.matches('has no stated unit', assigned(format[2], ALL, 'row.z = event.time - event.time % 86400000'))
      assert.are.same({ z = '2023-11-14T00:00:00Z' },
        assigned(format[2], ALL, 'row.z = millis(event.time - event.time % 86400000)'))
    end)
  end
  it('in a raw outbox has not the unit of the time column', function()
    local words = "format = 'outbox', outbox = { table = { key = 'key', time = 'at' } }, times = 'micros'"
    assert.matches('has no stated unit: what times says in kafka{} is how the connector', assigned(words, ALL, 'row.z = event.data.n'))
    assert.are.same({ z = '2023-11-14T22:13:20Z' }, assigned(words, ALL, 'row.z = seconds(event.data.n)'))
  end)
  it('is told by its own topic, and by what all topics agree in where no event is', function()
    local topics = "kafka { brokers = 'b', group = 'g', format = 'json', topics = { { 's', times = 'seconds' }, { 'm', times = '%s' }, 'u' } }"
    local function given(second)
      return pcall(function()
        local b = bundles.load(bundles.pipeline("projection { table = 'a', key = { id = { 'text', from = 'key' } }, topics = { 's', 'm' }, "
          .. "columns = { at = 'timestamptz', was = 'timestamptz' }, on = function(row, event) row.at = event.data.n end }", topics:format(second)))
        return b:run { given = { a = { { id = 'x', was = 1700000000 }, { id = 'y', was = '2000-01-01' } } },
          events = { { topic = 's', key = 'x', data = { n = 1700000000 } }, { topic = 'm', key = 'y', data = { n = 5 } } } }:rows('a')
      end)
    end
    local ok, rows = given 'seconds'
    assert.is_true(ok, rows)
    table.sort(rows, function(a, b) return a.id < b.id end)
    assert.are.same({ { id = 'x', at = '2023-11-14T22:13:20Z', was = '2023-11-14T22:13:20Z' },
      { id = 'y', at = '1970-01-01T00:00:05Z', was = '2000-01-01T00:00:00Z' } }, rows)
    ok, rows = given 'millis'
    assert.is_false(ok)
    assert.matches('a.was: number 1700000000 .*has no stated unit', rows)
  end)
end)

describe('a schema', function()
  local function field(name, type, logical)
    return ('{"type":"%s",%s"optional":true,"field":"%s"}'):format(type, logical and ('"name":"%s",'):format(logical) or '', name)
  end
  local SCHEMA = '{"schema":{"type":"struct","fields":[{"type":"struct","field":"after","fields":[' .. table.concat({
    field('id', 'int64'), field('ms', 'int64', 'io.debezium.time.Timestamp'), field('us', 'int64', 'io.debezium.time.MicroTimestamp'),
    field('t', 'int32', 'org.apache.kafka.connect.data.Time'), field('plain', 'int64'), field('d', 'int32', 'io.debezium.time.Date'),
  }, ',') .. ']}]},"payload":{"op":"c","source":{"ts_ms":1700000000000,"ts_us":1700000000000007},"after":'
  local function event()
    return { key = '{"id":1}', value = SCHEMA .. '{"id":1,"ms":1600000000000,"us":1600000000000001,"t":3600000,"plain":1700000000,"d":19675}}}' }
  end
  local function rows(columns, rest, words)
    local _, result = pcall(function()
      local b = bundles.load(bundles.pipeline("projection { table = 'a', key = { id = 'bigint' }, columns = { " .. columns .. ' }, ' .. rest .. ' }',
        kafka("format = 'debezium'" .. (words or ''))))
      return b:run { events = { event() } }:rows('a')[1]
    end)
    return result
  end
  for _, words in ipairs { '', ", times = 'micros'", ", times = 'adaptive'" } do
    it('tells the unit of its own times, in mirrors and in handlers, with' .. (words == '' and 'out' or words), function()
      local want = { id = 1, ms = '2020-09-13T12:26:40Z', us = '2020-09-13T12:26:40.000001', t = '01:00:00', d = '2023-11-14',
        at = '2023-11-14T22:13:20Z', exact = '2023-11-14T22:13:20.000007Z' }
      assert.are.same(want, rows("ms = 'timestamptz', us = 'timestamp', t = 'time', d = 'date', at = { 'timestamptz', from = 'source.ts_ms' }, "
        .. "exact = { 'timestamptz', from = 'source.ts_us' }", 'mirror = true', words))
      assert.are.same(want, rows("ms = 'timestamptz', us = 'timestamp', t = 'time', d = 'date', at = 'timestamptz', exact = 'timestamptz'",
        'map = function(row, event) local a = event.after row.ms, row.us, row.t, row.d = a.ms, a.us, a.t, a.d '
          .. 'row.at, row.exact = event.source.ts_ms, event.source.ts_us end', words))
    end)
    it('tells no unit of a plain number, with' .. (words == '' and 'out' or words), function()
      assert.matches('number 1700000000 .*has no stated unit', rows("plain = 'timestamptz'", 'mirror = true', words))
      assert.matches('number 1700000000 .*has no stated unit',
        rows("plain = 'timestamptz'", 'map = function(row, event) row.plain = event.after.plain end', words))
      assert.are.equal('2023-11-14T22:13:20Z',
        rows("plain = 'timestamptz'", 'map = function(row, event) row.plain = seconds(event.after.plain) end', words).plain)
    end)
  end
  it('is not needed for what Debezium adds itself', function()
    local function at(words, from, value)
      local b = bundles.load(bundles.pipeline("projection { table = 'a', key = { id = 'bigint' }, columns = { at = { 'timestamptz', from = '"
        .. from .. "' } }, mirror = true }", kafka("format = 'debezium', " .. words)))
      return b:run { events = { { key = '{"id":1}', value = value } } }:rows('a')[1].at
    end
    local bare = '{"op":"c","after":{"id":1},"source":{"ts_ms":1700000000000,"ts_ns":1700000000000007000}}'
    local flat = '{"id":1,"__deleted":"false","__source_ts_ms":1700000000000,"__ts_us":1700000000000007}'
    for _, times in ipairs { "decimals = 'string'", "times = 'adaptive'", "times = 'nanos'" } do
      assert.are.equal('2023-11-14T22:13:20Z', at(times, 'source.ts_ms', bare))
      assert.are.equal('2023-11-14T22:13:20.000007Z', at(times, 'source.ts_ns', bare))
      for _, flattened in ipairs { '', ", flattened = 'rewrite'" } do
        assert.are.equal('2023-11-14T22:13:20Z', at(times .. flattened, 'data.__source_ts_ms', flat))
        assert.are.equal('2023-11-14T22:13:20.000007Z', at(times .. flattened, 'data.__ts_us', flat))
      end
    end
  end)
end)

describe('seconds, millis, micros, nanos and days', function()
  local function text(expression, data)
    local row = assigned("format = 'json'", "s = 'text'", 'row.s = ' .. expression, data)
    return type(row) == 'table' and row.s or row
  end
  for expression, want in pairs {
    ['seconds(1700000000)'] = '2023-11-14T22:13:20Z', ['millis(1700000000123)'] = '2023-11-14T22:13:20.123Z',
    ['micros(1700000000123456)'] = '2023-11-14T22:13:20.123456Z', ['nanos(1700000000123456)'] = '1970-01-20T16:13:20.000123Z',
    ['days(19675)'] = '2023-11-14T00:00:00Z', ['days(-1)'] = '1969-12-31T00:00:00Z', ['seconds(0)'] = '1970-01-01T00:00:00Z',
    ['seconds(-0.5)'] = '1969-12-31T23:59:59.5Z', ["seconds(decimal '1700000000.0000005')"] = '2023-11-14T22:13:20.000001Z',
    ['nanos(event.data.big)'] = '2023-11-14T22:13:20.123457Z', ['micros(1.5)'] = '1970-01-01T00:00:00.000002Z',
    ['tostring(seconds(5))'] = '1970-01-01T00:00:05Z', ["'at ' .. seconds(5)"] = 'at 1970-01-01T00:00:05Z',
    ['tostring(seconds(5) == millis(5000) and seconds(5) < micros(5000001) and seconds(5) ~= 5)'] = 'true',
  } do
    it(expression .. ' is ' .. want, function()
      assert.are.equal(want, text(expression, { big = 1700000000123456789LL }))
    end)
  end
  for expression, want in pairs {
    ['seconds(event.data.missing)'] = 'seconds%(x%): x is nil: look first whether the field is there',
    ["millis('1700000000')"] = 'millis%(x%): x is a text: .* write millis%(decimal%(x%)%)',
    ['micros(true)'] = 'micros%(x%): x is a boolean', ['nanos(event)'] = 'nanos%(x%): x is an event',
    ['seconds(seconds(1))'] = 'x is a time already', ['days(0.5)'] = 'days%(x%): 0.5 has a fraction',
    ['seconds(1e15)'] = 'outside the years 0001 to 294246', ['seconds(0/0)'] = 'and no time', ['seconds({})'] = 'x is a table',
    ['seconds(5) + 1'] = 'a time cannot be reckoned with', ['seconds(5).usec2'] = "a time has no field 'usec2'",
    ['tostring(seconds(5) < 6)'] = 'a time is compared with another one',
  } do
    it(expression .. ' is refused', function()
      assert.matches(want, text(expression))
    end)
  end
  it('go into columns of every time type, keys and JSON, whatever times says', function()
    for _, times in ipairs { "format = 'json'", "format = 'json', times = 'nanos'", "format = 'debezium', times = 'isostring'",
      "format = 'debezium'" } do
      assert.are.same({ z = '2023-11-14T22:13:20.5Z', p = '2023-11-14T22:13:20.5', d = '2023-11-14', t = '01:00:00',
        j = '{"at":"1970-01-01T00:00:05Z"}', k = '"1970-01-01T00:00:05Z"' },
        assigned(times, ALL .. ", t = 'time', j = 'jsonb', k = 'json'",
          'row.z, row.p, row.d = seconds(1700000000.5), seconds(1700000000.5), seconds(1700000000.5) '
            .. 'row.t, row.j, row.k = seconds(3600), { at = seconds(5) }, seconds(5)'))
    end
    local b = bundles.load(bundles.pipeline("projection { table = 'a', "
      .. "key = { d = { 'date', from = function(event) return days(event.data.day) end } }, "
      .. "columns = { n = 'bigint' }, on = function(row) row.n = 1 end }", kafka "format = 'json'"))
    assert.are.same({ { d = '2023-11-14', n = 1 } }, b:run { events = { { key = 'k', data = { day = 19675 } } } }:rows('a'))
  end)
  it('do not change', function()
    assert.is_falsy(tostring(text('(function() local t = seconds(5) t.usec = 7 return tostring(t) end)()')):find('00:00:00', 1, true))
  end)
end)

describe('times in initial', function()
  local function initial(column, value, words)
    local text = bundles.pipeline("projection { table = 'a', key = { id = { 'text', from = 'key' } }, columns = { c = '" .. column
      .. "', seen = 'text', n = 'bigint' }, initial = { c = " .. value .. ' }, on = function(row) row.seen, row.n = row.c, 1 end }',
      kafka(words or "format = 'json'"))
    local said = bundles.refusal(text)
    if said then return said end
    local event = { key = 'k', type = 'T', op = 'c', data = {} }
    local row = bundles.load(text):run { events = { event } }:rows('a')[1]
    assert.are.equal(row.seen, row.c)
    return row.c
  end
  it('are texts or have a unit; zero is the same in all', function()
    for _, words in ipairs { "format = 'json'", "format = 'json', times = 'seconds'", "format = 'debezium', times = 'isostring'",
      "format = 'debezium'" } do
      assert.matches('pipeline.lua:4: .*initial.c cannot be used: number 1700000000 .*has no stated unit: write a text of ISO 8601, or seconds',
        initial('timestamptz', '1700000000', words))
      assert.are.equal('1970-01-01T00:00:00Z', initial('timestamptz', '0', words))
      assert.are.equal('00:00:00', initial('time', '0', words))
      assert.are.equal('1970-01-01', initial('date', '0', words))
      assert.are.equal('2023-11-14T22:13:20Z', initial('timestamptz', 'seconds(1700000000)', words))
      assert.are.equal('2023-11-14', initial('date', 'days(19675)', words))
      assert.are.equal('09:00:00', initial('time', 'seconds(9 * 3600)', words))
      assert.are.equal('2023-11-14T22:13:20Z', initial('timestamptz', "'2023-11-14T22:13:20Z'", words))
    end
    assert.matches('text .deadbeef. could be base64 or hex .*: write hex, with', initial('bytea', "'deadbeef'"))
  end)
end)

describe('bytes of an event', function()
  for _, format in ipairs(FORMATS) do
    it('that could be hex as well as base64 are read as binary says for ' .. format[1], function()
      local data = { b = 'deadbeef', x = '\\xdeadbeef', o = '3q2+7w==' }
      local said = assigned(format[2], "b = 'bytea'", 'row.b = event.data.b', data)
      assert.matches("a.b: text 'deadbeef' could be base64 or hex %(\\xdeadbeef as hex, \\x75e69d6de79f as base64%): state binary = ", said)
      assert.are.same({ b = '\\xdeadbeef', x = '\\xdeadbeef' },
        assigned(format[2] .. ", binary = 'hex'", "b = 'bytea', x = 'bytea'", 'row.b, row.x = event.data.b, event.data.x', data))
      assert.are.same({ b = '\\x75e69d6de79f', x = '\\xdeadbeef' },
        assigned(format[2] .. ", binary = 'base64'", "b = 'bytea', x = 'bytea'", 'row.b, row.x = event.data.b, event.data.x', data))
      assert.are.same({ b = '\\xdeadbeef', x = '\\xdeadbeef' },
        assigned(format[2], "b = 'bytea', x = 'bytea'", 'row.b, row.x = event.data.o, event.data.x', data))
    end)
  end
end)

describe('times and binary of kafka', function()
  local function plan(source)
    local out = {}
    for i, topic in ipairs(bundles.plan(bundles.pipeline("projection { table = 'a', append = true, columns = { n = 'bigint' }, on = function() end }",
      source)).source.settings) do out[i] = topic.times .. ' ' .. topic.binary end
    return table.concat(out, ', ')
  end
  local head = "kafka { brokers = 'b', group = 'g', "
  it('hold for every format, and a topic may say its own', function()
    for _, format in ipairs { 'json', 'outbox', 'debezium' } do
      assert.are.equal('seconds hex, millis base64', plan(head .. "format = '" .. format
        .. "', times = 'seconds', binary = 'hex', topics = { 't', { 'u', times = 'millis', binary = 'bytes' } } }"))
    end
    for _, format in ipairs { 'json', 'outbox' } do
      assert.are.equal('seconds unsaid, seconds unsaid',
        plan(head .. "times = 'seconds', topics = { { 't', format = 'json' }, { 'u', format = '" .. format .. "' } } }"))
    end
  end)
  it('of topics of a connector say nothing of what others wrote', function()
    local topics = "times = '%s', binary = 'hex', topics = { { 't', format = 'debezium' }, { 'u', format = 'json' } } }"
    for _, times in ipairs { 'micros', 'adaptive' } do
      assert.are.equal(times .. ' hex, unsaid unsaid', plan(head .. topics:format(times)))
      assert.are.equal(times .. ' hex, unsaid unsaid', plan(head .. "format = 'debezium', " .. topics:format(times)))
    end
    assert.are.equal('micros unsaid, millis unsaid', plan(head
      .. "format = 'debezium', times = 'micros', topics = { 't', { 'u', format = 'json', times = 'millis' } } }"))
  end)
  it('are units where no connector wrote', function()
    for _, source in ipairs { "format = 'json', times = 'adaptive', topics = { 't' } }",
      "format = 'debezium', topics = { 't', { 'u', format = 'outbox', times = 'adaptive' } } }" } do
      assert.matches("times = 'adaptive' is how a connector writes rows; for the format %w+ write the unit of all numbers",
        bundles.refusal(bundles.pipeline("projection { table = 'a', append = true, columns = { n = 'bigint' }, on = function() end }",
          head .. source)))
    end
    assert.are.equal('millis unsaid', plan(head .. "format = 'json', times = 'connect', topics = { 't' } }"))
  end)
end)
