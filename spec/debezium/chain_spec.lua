-- The whole chain: an application writes to PostgreSQL, the real Debezium
-- connector tells Kafka, Tidemill makes read models in another database; the
-- connector and Tidemill are killed in the middle of the load. At the end source
-- and copies are compared row by row: the source's tables are the model.
local bank = require 'bank'
local chain = require 'spec.debezium.chain'
local kafka_reader = require 'kafka_reader'
local pg = require 'pg'
local shop = require 'spec.debezium.shop'
local tidemill = require 'tidemill'

local SEED = tonumber(os.getenv('SEED') or 11)

local emptied = [[
return pipeline {
  name = 'halting',
  source = kafka { brokers = env('KAFKA_BROKERS'), group = 'halting',
    topics = { 'plain.public.visits' }, format = 'debezium', start = 'earliest' },
  database = postgres { write = env('DATABASE_URL') },
  projections = { projection { table = 'visits', mirror = true, key = { id = 'bigint' },
    columns = { page = 'text' } } },
}
]]

-- The offset of a topic's first truncate, and how many rows there were before it.
local function before_truncate(topic)
  local reader, rows, n = kafka_reader.new { [topic] = 1 }, {}, 0
  local record = reader:next(5000)
  while not (record.value or ''):find('"op":"t"', 1, true) do
    local id = record.value and record.key:match '"id":(%d+)'
    if id then rows[id] = not record.value:find('"op":"d"', 1, true) or nil end
    record = reader:next(5000)
  end
  reader:close()
  for _ in pairs(rows) do n = n + 1 end
  return record.offset, n
end

describe('the chain', function()
  local app, s

  lazy_setup(function()
    local url, source = pg.create(tidemill.unique('shop'))
    app = shop.new(source, { seed = SEED })
    -- A snapshot tells of what is there before the connectors come.
    for _ = 1, 50 do app:step() end
    s = chain.new(url, app, bank.random(SEED))
  end)
  lazy_teardown(function() s:destroy() end)

  it('copies every table and event, whoever dies on the way', function()
    s:wait_until_still()
    s:suffer()
    app:add_column()
    s:suffer()
    local repeated = s:finish()
    s:wait_caught_up()
    s:check()
    assert.is_true(app.n_truncates > 2)
    -- It was no easy run: everybody died, and each connector told things twice.
    assert.same({ connect = 2, supervisor = 4, worker = 8 }, s.kills)
    for topic, n in pairs(repeated) do assert.is_true(n > 0, topic) end
  end)

  it('halts at a TRUNCATE of the source unless the pipeline says what it does', function()
    local bundle = tidemill.bundle { ['pipeline.lua'] = emptied }
    local url, db = tidemill.database(bundle)
    local result = tidemill.until_end(bundle, { env = { DATABASE_URL = url } })
    assert.equal(65, result.status, result.text)
    assert.matches('source table was truncated', result.text)
    local at, n = before_truncate('plain.public.visits')
    assert.equal(at, db:number 'SELECT next_offset FROM tidemill.lane')
    assert.equal(n, db:number 'SELECT count(*) FROM visits')
  end)
end)
