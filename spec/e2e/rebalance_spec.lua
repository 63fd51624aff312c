-- Two supervisors of one group: lanes move between them while records flow.
local bank = require 'bank'
local kafka = require 'kafka'
local tidemill = require 'tidemill'

local PARTITIONS = 6

describe('two supervisors', function()
  it('share the lanes, and hand them over without loss or repetition', function()
    local producer = kafka.producer()
    local topic = tidemill.unique('rebalance')
    producer:create_topic(topic, PARTITIONS)
    local bundle = tidemill.example('bank', {
      ['outbox.event.account'] = topic,
      ["group = 'bank'"] = ("group = '%s'"):format(topic),
      ["name = 'bank',"] = "name = 'bank', batch = { size = 30, linger_ms = 5 },",
    })
    local url, db = tidemill.database(bundle)
    local b = bank.new { seed = 21, topic = topic, accounts = 100 }
    local runs = {}
    finally(function() for _, run in pairs(runs) do run:destroy() end end)
    local function start(name)
      runs[name] = tidemill.start(bundle, {
        env = { DATABASE_URL = url }, args = { '--instance', name },
      })
    end

    start('one')
    runs.one:wait_ready()
    b:send(producer, 500)
    start('two')
    runs.one:wait_for('lanes to be shared', 60, function()
      b:send(producer, 100)
      return runs.one:n_running() == 3 and runs.two:n_running() == 3
    end)
    b:send(producer, 1000)
    runs.two:wait_caught_up(db, producer, topic, PARTITIONS)
    b:check_all(db)
    assert.is_true(runs.one:metric('events_total') > 0)
    assert.is_true(runs.two:metric('events_total') > 0)

    assert.equal(0, (runs.one:stop()))
    b:send(producer, 500)
    runs.two:wait_for('all lanes to come over', 60, function()
      b:send(producer, 100)
      return runs.two:n_running() == PARTITIONS
    end)
    runs.two:wait_caught_up(db, producer, topic, PARTITIONS)
    b:check_all(db)
    assert.equal(0, (runs.two:stop()))
  end)
end)
