-- A record that cannot be applied halts its lane, where it is, and no other.
local counts = require 'counts'
local kafka = require 'kafka'
local tidemill = require 'tidemill'

local projection = [[
return projection {
  table = 'counts',
  key = { id = { 'bigint', from = 'key' } },
  columns = { n = 'bigint' },
  initial = { n = 0 },
  on = {
    add = function(row, event)
      if event.data.amount == nil%s then error('an amount is missing') end
      row.n = row.n + 1
    end,
  },
}
]]

describe('a poison record', function()
  local producer
  lazy_setup(function() producer = kafka.producer() end)

  local function setup()
    local s = counts.new {
      producer = producer, partitions = 3, projection = projection:format(''),
    }
    s.send_good(300)
    s.send(4711, '{"kind":"add"}', 1)
    s.send_good(300, 301)
    return s
  end

  it('lets every record before it and all other lanes be applied', function()
    local s = setup()
    local result = tidemill.until_end(s.bundle, { env = s.env })
    assert.equal(65, result.status, result.text)
    -- Lanes 0 and 2 are through; lane 1 stands at its 101st record.
    assert.equal(500, s.n_events())
    assert.equal('100', s.db:value(
      'SELECT next_offset FROM tidemill.lane WHERE partition = 1'))
    assert.matches(s.topic .. '.?1', result.text)
    assert.matches('100', result.text)
    assert.matches('an amount is missing', result.text)
  end)

  it('is named by /status and counted while the other lanes go on', function()
    local s = setup()
    local run = s.start()
    finally(function() run:destroy() end)
    run:wait_for('the lane to halt', 30, function()
      return run:metric('lane_halted') == 1 and s.n_events() == 500
    end)
    assert.equal(1, run:metric('lane_halted', 'partition="1"'))
    assert.is_true(run:metric('errors_total', 'class="script"') >= 1)
    for _, lane in ipairs(run:status().lanes) do
      if lane.partition == 1 then
        assert.equal('halted', lane.state)
        assert.matches('100', lane.message)
        assert.matches('an amount is missing', lane.message)
      else
        assert.equal('running', lane.state)
      end
    end
    s.send(1, '{"kind":"add","amount":1}', 0)
    s.send(2, '{"kind":"add","amount":1}', 2)
    producer:flush()
    run:wait_for('the other lanes', 30, function() return s.n_events() == 502 end)
    assert.equal(0, (run:stop()))
  end)

  it('is found when before_write refuses a row from some event on', function()
    local s = counts.new { producer = producer, partitions = 2, projection = [[
return projection {
  table = 'counts', key = { id = { 'bigint', from = 'key' } },
  columns = { n = 'bigint', seen = 'text' }, initial = { n = 0 },
  on = { add = function(row) row.n = row.n + 1 end },
  before_write = function(row)
    if row.n > 1234 then error('more than 1234') end
    row.seen = 'n is ' .. row.n
  end,
}
]] }
    -- One row, and all of its events in one batch.
    local pipeline = tidemill.read(s.bundle .. '/pipeline.lua')
    tidemill.write(s.bundle .. '/pipeline.lua',
      (pipeline:gsub('size = 100', 'size = 10000')))
    for _ = 1, 6000 do s.send(1, '{"kind":"add"}', 1) end
    for _ = 1, 50 do s.send(2, '{"kind":"add"}', 0) end
    producer:flush()
    local result = tidemill.until_end(s.bundle, { env = s.env, seconds = 30 })
    assert.equal(65, result.status, result.text)
    assert.matches('more than 1234', result.text)
    assert.equal('1234', s.db:value(
      'SELECT next_offset FROM tidemill.lane WHERE partition = 1'))
    assert.equal('1234 n is 1234, 50 n is 50', s.db:value(
      "SELECT string_agg(n || ' ' || seen, ', ' ORDER BY id) FROM counts"))
  end)

  it('that takes all memory halts its lane alone', function()
    local s = counts.new { producer = producer, partitions = 2, projection = [[
return projection {
  table = 'counts', key = { id = { 'bigint', from = 'key' } }, columns = { n = 'bigint' },
  initial = { n = 0 },
  on = { add = function(row, event)
    local t = {}
    for i = 1, event.data.items or 0 do t[i] = ('x'):rep(1000) .. i end
    row.n = row.n + 1
  end },
}
]] }
    for i = 1, 300 do
      s.send(1, i == 200 and '{"kind":"add","items":1e9}' or '{"kind":"add"}', 1)
      s.send(2, '{"kind":"add"}', 0)
    end
    producer:flush()
    local result = tidemill.until_end(s.bundle, { env = s.env })
    assert.equal(65, result.status, result.text)
    assert.matches('1 offset 199: the scripts took more than 512 MiB', result.text)
    assert.equal('199, 300', s.db:value(
      "SELECT string_agg(n::text, ', ' ORDER BY id) FROM counts"))
    assert.is_nil(result.text:find('starting another', 1, true))
  end)

  it('is applied once the script can take it', function()
    local s = setup()
    assert.equal(65, tidemill.until_end(s.bundle, { env = s.env }).status)
    tidemill.write(s.bundle .. '/projections/counts.lua', projection:format(' and false'))
    local result = tidemill.until_end(s.bundle, { env = s.env })
    assert.equal(0, result.status, result.text)
    assert.equal(601, s.n_events())
  end)
end)
