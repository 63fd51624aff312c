-- Tables of which no column is assigned: rows are there, and no more.
local kafka = require 'kafka'
local tidemill = require 'tidemill'

local pipeline = [[
local function see() end
local function gone(row) row:delete() end

return pipeline {
  name = 'presence',
  source = kafka { brokers = env('KAFKA_BROKERS'), group = '%s', topics = { '%s' },
    format = 'json', type = 'data.kind', start = 'earliest' },
  database = postgres { write = env('DATABASE_URL') },
  batch = { size = 2, linger_ms = 0 },
  projections = {
    projection { table = 'own', key = { id = { 'text', from = 'key' } }, columns = {},
      on = { see = see, gone = gone } },
    projection { table = 'common', key = { id = { 'text', from = 'data.id' } },
      columns = {}, on = { see = see, gone = gone } },
    projection { table = 'mapped', map = true, key = { id = 'text' }, columns = {},
      on = { see = see, gone = gone } },
    projection { table = 'copied', mirror = true, key = { id = 'text' }, columns = {} },
    projection { table = 'log', append = true, columns = {}, on = { see = see } },
    projection {
      tables = {
        asked = { key = { id = 'text' }, columns = {} },
        added = { append = true, columns = {} },
      },
      batch = function(batch, tables)
        for event in batch:events() do
          local row = tables.asked:row(event.data.id)
          if event.type == 'see' then row:reset() else row:delete() end
          tables.added:add()
        end
      end,
    },
  },
}
]]

describe('a table without columns', function()
  it('has the rows that its events make, whatever its kind', function()
    local producer, topic = kafka.producer(), tidemill.unique('presence')
    producer:create_topic(topic, 1)
    local bundle = tidemill.bundle { ['pipeline.lua'] = pipeline:format(topic, topic) }
    local url, db = tidemill.database(bundle)
    db:rows [[ALTER TABLE log ADD COLUMN n bigint GENERATED ALWAYS AS IDENTITY;
      ALTER TABLE added ADD COLUMN n bigint GENERATED ALWAYS AS IDENTITY]]
    for text in ('a see,b see,c gone,b gone,a see,b see,a gone'):gmatch('[^,]+') do
      local id, kind = text:match('(%w) (%w+)')
      producer:send { topic = topic, key = id,
        value = ('{"id":"%s","kind":"%s"}'):format(id, kind) }
    end
    producer:flush()
    local run = tidemill.until_end(bundle, { env = { DATABASE_URL = url } })
    assert.equal(0, run.status, run.text)
    assert.equal(0, db:number('SELECT count(*) FROM tidemill.dead_letter'), run.text)
    local function ids(name)
      return db:value(("SELECT string_agg(id, ' ' ORDER BY id) FROM %s"):format(name))
    end
    for _, name in ipairs { 'own', 'common', 'mapped', 'asked' } do
      assert.equal('b', ids(name), name)
    end
    assert.equal('a b c', ids 'copied')
    assert.equal(4, db:number('SELECT count(DISTINCT n) FROM log'))
    assert.equal(7, db:number('SELECT count(DISTINCT n) FROM added'))
  end)
end)
