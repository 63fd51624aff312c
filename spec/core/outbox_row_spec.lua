-- Rows of an outbox table that nobody routed.
local decoding = require 'decoding'

local function options(more)
  local all = { format = 'outbox', outbox = { id = 'id', key = 'aggregateid', type = 'type', payload = 'payload' } }
  for name, v in pairs(more or {}) do
    if name == 'time' then all.outbox.time = v else all[name] = v end
  end
  return all
end

local ROW = [[{"id":"e1","aggregatetype":"account","aggregateid":"a1","type":"Made","payload":"{\"n\": 5.10}"%s}]]
local function row(more) return ROW:format(more and ',' .. more or '') end
local function envelope(after, op)
  return ('{"before":null,"after":%s,"source":{"ts_ms":5,"lsn":9},"op":"%s","ts_ms":6}'):format(after, op or 'c')
end

local function read(more, ...)
  local records = {}
  for i, value in ipairs { ... } do
    records[i] = { topic = 'topic', key = '{"id":"e1"}', value = value or nil, time_ms = 7 }
  end
  return decoding.new(options(more)):want('data.n', 'key', 'id'):run(records)
end

local FIELD = '{"type":"%s","optional":true,%s"field":"%s"}'
local function fields(at)
  local list = {}
  for _, name in ipairs { 'id', 'aggregatetype', 'aggregateid', 'type', 'payload' } do
    list[#list + 1] = FIELD:format('string', '', name)
  end
  list[#list + 1] = FIELD:format('int64', ('"name":"io.debezium.time.%s",'):format(at or 'MicroTimestamp'), 'at')
  return '[' .. table.concat(list, ',') .. ']'
end
local function wrapped(value, at)
  return ('{"schema":{"type":"struct","fields":[{"type":"struct","fields":%s,"optional":true,"field":"after"}],"optional":false},"payload":%s}')
    :format(fields(at), value)
end

describe('an inserted outbox row', function()
  local cases = {
    ['in an envelope'] = { nil, envelope(row()), 5 },
    ['of the snapshot'] = { nil, envelope(row(), 'r'), 5 },
    ['behind a schema'] = { nil, wrapped(envelope(row())), 5 },
    ['flattened'] = { { flattened = 'rewrite' }, row('"__op":"c","__deleted":"false","__source_ts_ms":4'), 4 },
    ['flattened and unsaid'] = { nil, row('"__op":"c","__deleted":"false","__source_ts_ms":4'), 4 },
    ['flattened with nothing added'] = { nil, row(), 7 },
  }
  for name, case in pairs(cases) do
    it('is an event: ' .. name, function()
      local d = read(case[1], case[2], case[2])
      for i = 1, 2 do
        assert.are.equal(nil, d:reason(i))
        assert.are.same({ 'ok', 'Made', nil, case[3] }, { d:state(i), d:type(i), d:op(i), d:time(i) })
        assert.are.same({ key = 'a1', id = 'e1', ['data.n'] = 'dec:5.10' }, d:values(i))
      end
    end)
  end
  it('gives key, id and data late', function()
    local d = decoding.new(options()):run { { key = '{"id":"e1"}', value = envelope(row()) } }
    for _, path in ipairs { 'key', 'id', 'data.n', 'source.lsn' } do assert.is_true(d:fault(path)) end
    assert.are.same({ key = 'a1', id = 'e1', ['data.n'] = 'dec:5.10', ['source.lsn'] = 'int:9' }, d:values(1))
  end)
  it('may have numbers as key and id', function()
    local d = read(nil, envelope '{"id":12345678901234567890,"aggregateid":7,"type":"Made","payload":null}')
    assert.are.same({ key = '7', id = '12345678901234567890', ['data.n'] = 'missing' }, d:values(1))
    assert.are.equal('null', d:root(1, 'data'))
  end)
  it('may have its payload as an object', function()
    assert.are.equal('int:1', read(nil, envelope '{"id":1,"aggregateid":7,"type":"Made","payload":{"n":1}}'):value(1, 'data.n'))
  end)
  it('may use one column for two things', function()
    local d = decoding.new { format = 'outbox', outbox = { id = 'id', key = 'id', type = 'type', payload = 'payload' } }
    d:want('key', 'id'):run { { value = envelope(row()) } }
    assert.are.same({ key = 'e1', id = 'e1' }, d:values(1))
  end)
  it('may have columns with the names of an envelope when the pipeline says flattened', function()
    local d = read({ flattened = 'rewrite' }, row '"op":"d","after":1,"source":{}')
    assert.are.equal('ok', d:state(1))
  end)
end)

describe('what else happens to outbox rows', function()
  it('moves the position only', function()
    local d = read(nil, envelope(row(), 'u'), envelope('null', 'd'), envelope('null', 't'), false,
      '{"op":"m","source":{},"message":{"prefix":"p","content":"eA=="}}', row '"__deleted":"true"', row '"__op":"u"',
      '{"ts_ms":1}', '{"status":"END","id":"1:2","event_count":1,"data_collections":[],"ts_ms":1}')
    for i = 1, 9 do assert.are.equal('skipped', d:state(i), 'record ' .. i) end
  end)
  it('is a misfit when a column is not there', function()
    local d = read(nil, envelope '{"event_id":1,"aggregateid":7,"type":"Made","payload":null}')
    assert.is_true(d:is_misfit(1))
    assert.is_truthy(d:reason(1):find('the row has no column id, but event_id, aggregateid, type, payload: '
      .. "say outbox = { table = { id = 'column' } }", 1, true), d:reason(1))
  end)
  it('fails where a row has no type, or its payload is no JSON', function()
    local d = read(nil, envelope '{"id":1,"aggregateid":7,"type":null,"payload":null}',
      envelope '{"id":1,"aggregateid":7,"type":"Made","payload":"x"}')
    assert.is_truthy(d:reason(1):find('the column type of the outbox row', 1, true))
    assert.is_truthy(d:reason(2):find('the text in the value is not JSON', 1, true))
    assert.is_false(d:is_misfit(1))
  end)
end)

describe('the time column of an outbox row', function()
  local function time(more, at, wrap)
    local value = envelope(row('"at":' .. at))
    more.time = 'at'
    local d = read(more, wrap and wrapped(value, wrap) or value)
    return d:reason(1) or d:time(1), d:is_misfit(1)
  end
  it('is a text, or a number of the unit that is stated', function()
    assert.are.equal(1700000000123, (time({}, '"2023-11-14T22:13:20.123456Z"')))
    assert.are.equal(1700000000123, (time({ times = 'micros' }, '1700000000123456')))
    assert.are.equal(1700000000123, (time({ times = 'millis' }, '1700000000123')))
    assert.are.equal(-1, (time({ times = 'micros' }, '-1')))
  end)
  it('means what the schema says', function()
    assert.are.equal(1700000000123, (time({}, '1700000000123456', 'MicroTimestamp')))
    assert.are.equal(1700000000123, (time({}, '1700000000123', 'Timestamp')))
    assert.are.equal(1700000000123, (time({}, '1700000000123456789', 'NanoTimestamp')))
  end)
  it('gives way to the time of the source where it is null', function()
    assert.are.equal(5, (time({}, 'null')))
  end)
  it('is a misfit while its unit is not stated', function()
    for _, times in ipairs { 'unsaid', 'adaptive', 'iso' } do
      local reason, is_misfit = time({ times = times }, '1700000000123456')
      assert.is_truthy(reason:find("has no stated unit: write times = 'millis' or 'micros'", 1, true), reason)
      assert.is_true(is_misfit)
    end
  end)
end)
