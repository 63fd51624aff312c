-- Rows behind Debezium's ExtractNewRecordState.
local decoding = require 'decoding'

local REWRITE = { format = 'debezium', flattened = 'rewrite' }
local TOMBSTONE = { format = 'debezium', flattened = 'tombstone' }
local UNSAID = { format = 'debezium' }

local function read(options, ...)
  local records = {}
  for i, value in ipairs { ... } do
    records[i] = { topic = 'topic', key = '{"id":1}', value = value or nil, time_ms = 7 }
  end
  return decoding.new(options):want('data.id', 'after.id', 'before.id', 'data.__lsn'):run(records)
end

local SCHEMA = '{"schema":{"type":"struct","fields":[{"type":"int32","optional":false,"field":"id"},'
  .. '{"type":"bytes","optional":true,"name":"org.apache.kafka.connect.data.Decimal","version":1,'
  .. '"parameters":{"scale":"2"},"field":"n"},{"type":"string","optional":true,"field":"__op"},'
  .. '{"type":"string","optional":true,"field":"__deleted"}],"optional":false,"name":"t.Value"},"payload":%s}'

describe('a flattened row', function()
  for name, options in pairs { said = REWRITE, unsaid = UNSAID } do
    it('is data and after, with what was added to it (' .. name .. ')', function()
      local d = read(options, '{"id":1,"__deleted":"false","__op":"u","__lsn":9,"__source_ts_ms":5}')
      assert.are.equal('ok', d:state(1))
      assert.are.same({ 'u', 'u', 5 }, { d:op(1), d:type(1), d:time(1) })
      assert.are.same({ ['data.id'] = 'int:1', ['after.id'] = 'int:1', ['before.id'] = 'missing',
        ['data.__lsn'] = 'int:9' }, d:values(1))
      assert.are.equal('missing', d:root(1, 'before'))
    end)
    it('that was deleted is data and before (' .. name .. ')', function()
      for _, mark in ipairs { '"true"', 'true' } do
        local d = read(options, '{"id":1,"n":0,"__deleted":' .. mark .. ',"__op":"d"}')
        assert.are.same({ 'ok', 'd', 'd' }, { d:state(1), d:op(1), d:type(1) })
        assert.are.same({ ['data.id'] = 'int:1', ['after.id'] = 'missing', ['before.id'] = 'int:1',
          ['data.__lsn'] = 'missing' }, d:values(1))
        assert.are.equal('null', d:root(1, 'after'))
      end
    end)
    it('leaves its tombstone without effect (' .. name .. ')', function()
      assert.are.equal('skipped', read(options, false):state(1))
    end)
  end
  it('behind a schema has exact decimals', function()
    for _, options in ipairs { REWRITE, UNSAID } do
      local value = SCHEMA:format '{"id":1,"n":"BNI=","__op":"c","__deleted":"false"}'
      local d = decoding.new(options):want('data.n'):run { { value = value }, { value = value } }
      for i = 1, 2 do
        assert.are.same({ 'c', true, 'dec:12.34' }, { d:op(i), d:has_schema(i), d:value(i, 'data.n') })
      end
    end
  end)
  it('without __op has an operation only when it was deleted', function()
    local d = read(REWRITE, '{"id":1,"__deleted":"false"}', '{"id":1,"__deleted":"true"}')
    assert.are.same({ 'ok', 'ok' }, { d:state(1), d:state(2) })
    assert.is_nil(d:op(1))
    assert.is_nil(d:type(1))
    assert.are.equal('d', d:op(2))
  end)
  it('takes the time of the record when the source did not come along', function()
    assert.are.equal(7, read(REWRITE, '{"id":1,"__op":"c"}'):time(1))
  end)
  it('may have columns with the names of an envelope', function()
    local d = decoding.new(REWRITE):want('data.op', 'data.source', 'data.before'):run {
      { value = '{"op":"x","source":"web","before":3,"__op":"c"}' },
    }
    assert.are.same({ ['data.op'] = 'x', ['data.source'] = 'web', ['data.before'] = 'int:3' }, d:values(1))
    assert.are.equal('c', d:op(1))
  end)
  it('is told from an envelope by __deleted alone, whatever its columns', function()
    local d = decoding.new(UNSAID):want('data.op', 'data.after', 'after.x'):run {
      { value = '{"op":"c","after":{"x":1},"__deleted":"false","__op":"u"}' },
    }
    assert.are.same({ ['data.op'] = 'c', ['data.after'] = 'object:{"x":1}', ['after.x'] = 'missing' }, d:values(1))
    assert.are.equal('u', d:op(1))
  end)
  it('without __deleted is a misfit until the pipeline says how deletes come', function()
    local d = read(UNSAID, '{"id":1,"owner":"x"}')
    assert.are.equal('failed', d:state(1))
    assert.is_truthy(d:reason(1):find("has no field op, but id, owner. For rows after ExtractNewRecordState say flattened = 'rewrite' or "
      .. "'tombstone'", 1, true), d:reason(1))
    assert.is_true(d:is_misfit(1))
  end)
  it('fails when __deleted or __op make no sense', function()
    local d = read(REWRITE, '{"id":1,"__deleted":"maybe"}', '{"id":1,"__op":"x"}')
    assert.is_truthy(d:reason(1):find('neither true nor false', 1, true))
    assert.is_truthy(d:reason(2):find('not one of c, u, d', 1, true))
  end)
  it('is a misfit when an envelope comes instead', function()
    local d = read(REWRITE, '{"before":null,"after":{"id":1},"source":{"ts_ms":1},"op":"c"}')
    assert.is_true(d:is_misfit(1))
    assert.is_truthy(d:reason(1):find('take that word out', 1, true))
  end)
end)

describe("a tombstone with flattened = 'tombstone'", function()
  it('is the delete, without data', function()
    local d = read(TOMBSTONE, false, SCHEMA:format 'null')
    for i = 1, 2 do
      assert.are.same({ 'ok', 'd', 'd', 7 }, { d:state(i), d:op(i), d:type(i), d:time(i) })
      assert.are.equal('missing', d:root(i, 'data'))
    end
  end)
  it('stands beside rows', function()
    local d = read(TOMBSTONE, '{"id":1,"__op":"c"}')
    assert.are.same({ 'c', 'int:1' }, { d:op(1), d:value(1, 'data.id') })
  end)
end)

describe("Debezium's own records", function()
  local own = {
    transaction = '{"status":"BEGIN","id":"1:2","event_count":null,"data_collections":null,"ts_ms":1}',
    heartbeat = '{"ts_ms":1795443612905}',
    ['schema change'] = '{"source":{"ts_ms":1},"ts_ms":1,"databaseName":"d","schemaName":"s","ddl":null,"tableChanges":[]}',
    ['schema history'] = '{"source":{"server":"m"},"position":{"pos":4},"ts_ms":1,"databaseName":"d","ddl":"x","tableChanges":[]}',
    ['old schema change'] = '{"source":{"server":"m"},"databaseName":"d","ddl":"x"}',
  }
  for name, value in pairs(own) do
    it('move the position only: ' .. name, function()
      local behind = '{"schema":{"type":"struct","fields":[],"optional":false},"payload":' .. value .. '}'
      for _, options in ipairs { UNSAID, REWRITE, TOMBSTONE } do
        local d = read(options, value, behind)
        assert.are.same({ 'skipped', 'skipped' }, { d:state(1), d:state(2) })
      end
    end)
  end
  it('are not taken for rows with more columns', function()
    local d = read(REWRITE, '{"status":"BEGIN","id":"1","event_count":1,"data_collections":null,"note":"x"}', '{"ts_ms":1,"x":2}')
    assert.are.same({ 'ok', 'ok' }, { d:state(1), d:state(2) })
  end)
end)

describe('the source of a change', function()
  local value = '{"before":null,"after":{"id":1},"source":{"ts_ms":5,"lsn":77,"nested":{"a":1}},"op":"c"}'
  it('is read where a path wants it', function()
    local d = decoding.new(UNSAID):want('source.lsn', 'source.nested.a'):run { { value = value } }
    assert.are.same({ ['source.lsn'] = 'int:77', ['source.nested.a'] = 'int:1' }, d:values(1))
    assert.are.equal(5, d:time(1))
  end)
  it('is read late', function()
    local d = decoding.new(UNSAID):want('data.id'):run { { value = value } }
    assert.is_true(d:fault('source.lsn'))
    assert.is_true(d:fault('source'))
    assert.are.equal('int:77', d:value(1, 'source.lsn'))
    assert.are.equal('object:{"ts_ms":5,"lsn":77,"nested":{"a":1}}', d:value(1, 'source'))
  end)
  it('is missing where there is none', function()
    local d = read(REWRITE, '{"id":1,"__op":"c"}')
    assert.is_true(d:fault('source.lsn'))
    assert.are.equal('missing', d:value(1, 'source.lsn'))
  end)
end)
