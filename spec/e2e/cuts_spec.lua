-- Connections to PostgreSQL cut before, inside and behind each message around a
-- COMMIT, in both directions: nothing is lost and nothing repeated.
local bank = require 'bank'
local kafka = require 'kafka'
local process = require 'process'
local proxy = require 'spec.faults.proxy'
local tidemill = require 'tidemill'

local PARTITIONS = 3
local PLACES = { 'before', 'middle', 'after' }
-- What a COMMIT and its answer are on the wire.
local MESSAGES = {
  up = { 'Parse~COMMIT', 'Bind~COMMIT', 'Execute~COMMIT', 'Sync~COMMIT' },
  down = { 'CommandComplete~COMMIT', 'ReadyForQuery~COMMIT' },
}

describe('a connection that is cut', function()
  local producer, s
  lazy_setup(function() producer = kafka.producer() end)

  before_each(function()
    local topic = tidemill.unique('cuts')
    producer:create_topic(topic, PARTITIONS)
    local bundle = tidemill.example('bank', {
      ['outbox.event.account'] = topic,
      ["group = 'bank'"] = ("group = '%s'"):format(topic),
      ["name = 'bank',"] = "name = 'bank', batch = { size = 20, linger_ms = 5 },",
    })
    local url, db = tidemill.database(bundle)
    s = { topic = topic, db = db }
    s.bank = bank.new { seed = 12, topic = topic, accounts = 50 }
    s.proxy = proxy.start { to = url:match('@([%d.]+:%d+)') }
    s.run = tidemill.start(bundle, { env = { DATABASE_URL = s.proxy:url(url) } })
    s.run:wait_ready()
  end)
  after_each(function()
    s.run:destroy()
    s.proxy:stop()
  end)

  -- Sends events until the cut has happened, then lets a batch succeed: failures in
  -- a row are tried again later and later.
  local function cut(direction, place, message, effect)
    local text = ('%s %s %s %s'):format(direction, place, message, effect)
    local rule = s.proxy:cut(text)
    s.run:wait_for(text, 30, function()
      s.bank:send(producer, 20)
      return s.proxy:fired(rule)
    end)
    s.run:wait_caught_up(s.db, producer, s.topic, PARTITIONS, 60)
  end

  local function finish()
    s.run:wait_caught_up(s.db, producer, s.topic, PARTITIONS, 60)
    s.bank:check_all(s.db)
    assert.equal(0, s.run:metric('worker_restarts_total'))
    assert.equal(0, (s.run:stop()))
  end

  for direction, messages in pairs(MESSAGES) do
    for _, effect in ipairs { 'close', 'reset', 'half' } do
      it(('%s around COMMIT (%s) costs nothing'):format(direction, effect), function()
        for _, message in ipairs(messages) do
          for _, place in ipairs(PLACES) do cut(direction, place, message, effect) end
        end
        local n = s.proxy:counters()
        for _, place in ipairs(PLACES) do
          assert.equal(#messages, n[('cut_%s_%s'):format(direction, place)])
        end
        assert.is_true(s.run:metric('commit_unknown_total') > 0)
        finish()
      end)
    end
  end

  it('behind a COMMIT that is carried out finds it carried out', function()
    for _ = 1, 5 do cut('up', 'after', 'Execute~COMMIT', 'close') end
    finish()
    assert.matches('outcome=committed', s.run:text())
  end)

  it('before a COMMIT gets there does the batch again', function()
    for _ = 1, 5 do cut('up', 'before', 'Execute~COMMIT', 'close') end
    finish()
    assert.matches('outcome=not_committed', s.run:text())
    assert.is_nil(s.run:text():find('outcome=committed', 1, true))
  end)

  it('at any other message, again and again, costs nothing', function()
    for _, place in ipairs(PLACES) do
      for _, message in ipairs { 'Startup', 'Parse', 'Bind', 'Execute', 'Sync' } do
        if message == 'Startup' then s.proxy:command('kill close') end
        cut('up', place, message, 'reset')
      end
      for _, message in ipairs { 'BindComplete', 'DataRow', 'CommandComplete' } do
        cut('down', place, message, 'reset')
      end
    end
    finish()
  end)

  it('without a word to anybody, and reset later, repeats nothing', function()
    local rule = s.proxy:cut('down before CommandComplete~COMMIT hole')
    s.run:wait_for('a COMMIT without answer', 30, function()
      s.bank:send(producer, 20)
      return s.proxy:fired(rule)
    end)
    local from = process.now()
    s.proxy:heal()
    finish()
    assert.is_true(process.now() - from < 20)
    assert.matches('outcome=committed', s.run:text())
  end)
end)
