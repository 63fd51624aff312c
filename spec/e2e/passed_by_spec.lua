-- Events that no handler takes are told, and tombstones of a mirrored topic are
-- deletes.
local kafka = require 'kafka'
local tidemill = require 'tidemill'

local pipeline = [[
return pipeline {
  name = 'passed',
  source = kafka { brokers = env('KAFKA_BROKERS'), group = '%s', start = 'earliest',
    topics = { { '%s', format = 'outbox' }, { '%s', format = 'json' } } },
  database = postgres { write = env('DATABASE_URL') },
  projections = {
    projection { table = 'sums', key = { id = { 'text', from = 'key' } },
      topics = { '%s' }, columns = { n = 'bigint' }, initial = { n = 0 },
      ignore = { 'AccountRenamed' },
      on = { AccountCreated = function(row) row.n = row.n + 1 end } },
    projection { table = 'copies', mirror = true, key = { id = 'text' },
      topics = { '%s' }, columns = { x = 'bigint' } },
    projection { table = 'log', append = true, columns = { id = 'text' },
      topics = { '%s' }, on = { AccountRenamed = function(row, event)
        row.id = event.id end } },
  },
}
]]

describe('a run', function()
  it('tells once of each type without a handler, and deletes by tombstones', function()
    local producer = kafka.producer()
    local events, rows = tidemill.unique('passed'), tidemill.unique('rows')
    producer:create_topic(events, 1)
    producer:create_topic(rows, 1)
    local bundle = tidemill.bundle { ['pipeline.lua'] =
      pipeline:format(events, events, rows, events, rows, events) }
    local url, db = tidemill.database(bundle)
    local types = { 'AccountCreated', 'AccountCreatd', '"AccountCreated"',
      'AccountRenamed', 'Other' }
    for i = 1, 200 do
      producer:send { topic = events, key = 'a', value = '{}',
        headers = { eventType = types[i % #types + 1] } }
      producer:send { topic = rows, key = 'k' .. i, value = ('{"x":%d}'):format(i) }
      if i % 2 == 0 then producer:send { topic = rows, key = 'k' .. i } end
    end
    for i = 1, 300 do
      producer:send { topic = events, key = 'a', value = '{}',
        headers = { eventType = 'Type' .. i } }
    end
    producer:flush()
    local run = tidemill.until_end(bundle, { env = { DATABASE_URL = url } })
    assert.equal(0, run.status, run.text)
    assert.equal(40, db:number('SELECT n FROM sums'))
    assert.equal(100, db:number('SELECT count(*) FROM copies WHERE x % 2 = 1'))
    assert.equal(0, db:number('SELECT count(*) FROM copies WHERE x % 2 = 0'))

    local told = {}
    for line in run.text:gmatch('[^\n]+') do
      local name, rest = line:match('level=warn.*passed by.*projection=(%w+) type=(.*)')
      if name then told[#told + 1] = name .. ' ' .. rest end
    end
    local text = '\n' .. table.concat(told, '\n')
    local function count(words) return select(2, text:gsub(words, '')) end
    assert.equal(100, count '\nsums ')
    assert.equal(100, count '\nlog ')
    assert.equal(1, count("\n" .. [[sums "AccountCreatd" hint="did you mean 'Acc]]))
    assert.equal(1, count("\n" .. [[sums "\"AccountCreated\"" hint="the quotes are]]))
    assert.equal(1, count("\n" .. [[sums "Other" hint="%-"]]))
    assert.equal(0, count("\n" .. [[sums "AccountRenamed"]]))
    assert.equal(1, count("\n" .. [[log "AccountCreated"]]))
    assert.equal(2, count 'other types are not logged any more')
  end)
end)
