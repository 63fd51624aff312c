-- Thousands of lanes on brokers that are far away.
local kafka_admin = require 'kafka_admin'
local tidemill = require 'tidemill'

local LANES = 4200

local pipeline = [[
return pipeline {
  name = 'lanes',
  source = kafka { brokers = '%s', group = 'lanes', topics = { '%s' }, format = 'json',
    start = 'earliest' },
  database = postgres { write = env('DATABASE_URL') },
  projections = { projection {
    table = 'sums', key = { id = { 'bigint', from = 'key' } },
    columns = { n = 'bigint' }, initial = { n = 0 },
    on = function(row, event) row.n = row.n + event.data.n end,
  } },
}
]]

describe('more lanes than one could ask about in turn', function()
  local mock = kafka_admin.mock(LANES)
  local bundle = tidemill.bundle {
    ['pipeline.lua'] = pipeline:format(mock.brokers, mock.topic),
  }
  local url, db = tidemill.database(bundle)
  local env = { DATABASE_URL = url, TIDEMILL_HEARTBEAT_SECONDS = '8' }

  local function send()
    for i = 0, LANES - 1 do
      mock.producer:send { topic = mock.topic, partition = i, key = tostring(i),
                           value = '{"n":1}' }
    end
    mock.producer:flush()
  end

  it('are claimed within one sign of life, though each answer takes 35 ms', function()
    send()
    mock:delay(35)
    local run = tidemill.start(bundle, {
      env = env, args = { '--instance', 'until-end' },
    })
    finally(function() run:destroy() end)
    run:wait_ready(60)
    run:wait_for('all records', 120, function()
      return db:number('SELECT count(*) FROM sums') == LANES
    end)
    assert.equal(0, run:metric('worker_restarts_total'))
    assert.equal(LANES, #run:status().lanes)
    assert.equal(0, (run:stop()))
    mock:delay(0)
  end)

  it('all have to reach their ends before a run with --until-end stops', function()
    send()
    local result = tidemill.until_end(bundle, { env = env, seconds = 120 })
    assert.equal(0, result.status, result.text)
    assert.equal(2 * LANES, db:number('SELECT sum(n) FROM sums'))
  end)

  teardown(function() mock:close() end)
end)
