-- A record that cannot be applied is set aside with the later ones of its key,
-- and costs nobody else anything.
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
    s.send(4711, '{"kind":"add","amount":1}', 1)
    producer:flush()
    return s
  end

  it('is set aside, and every other one applied', function()
    local s = setup()
    local result = tidemill.until_end(s.bundle, { env = s.env })
    assert.equal(0, result.status, result.text)
    assert.equal(600, s.n_events())
    assert.equal('1/100 failed, 1/201 held', s.letters())
    assert.equal('200, 202, 200', s.db:value(
      "SELECT string_agg(next_offset::text, ', ' ORDER BY partition) FROM tidemill.lane"))
    assert.matches('an amount is missing', s.db:value(
      'SELECT message FROM tidemill.dead_letter WHERE state = \'failed\''))
    assert.equal('4711 {"kind":"add"} script', s.db:value(
      "SELECT convert_from(key, 'UTF8') || ' ' || convert_from(value, 'UTF8') "
      .. "|| ' ' || class "
      .. "FROM tidemill.dead_letter WHERE state = 'failed'"))
  end)

  it('holds its key across restarts, and a retry applies all of it in order', function()
    local s = setup()
    assert.equal(0, tidemill.until_end(s.bundle, { env = s.env }).status)
    local run = s.start { '--instance', 'until-end' }
    finally(function() run:destroy() end)
    s.send(4711, '{"kind":"add","amount":1}', 1)
    producer:flush()
    run:wait_for('the later one to be held', 30, function()
      return s.letters() == '1/100 failed, 1/201 held, 1/202 held'
    end)
    -- The script still refuses the first one: all of them stay.
    s.db:rows('UPDATE tidemill.dead_letter SET retry_at = now()')
    run:wait_for('the retry', 30, function()
      return s.db:number(
        "SELECT attempts FROM tidemill.dead_letter WHERE state = 'failed'") == 2
    end)
    assert.equal('1/100 failed, 1/201 held, 1/202 held', s.letters())
    assert.equal(0, s.db:number(
      'SELECT count(*) FROM tidemill.dead_letter WHERE retry_at IS NOT NULL'))
    assert.equal(0, (run:stop()))
    -- Mended, it takes them all.
    tidemill.write(s.bundle .. '/projections/counts.lua', projection:format(' and false'))
    run = s.start { '--instance', 'until-end' }
    s.db:rows('UPDATE tidemill.dead_letter SET retry_at = now()')
    run:wait_for('the retry', 30, function() return s.letters() == '' end)
    assert.equal(603, s.n_events())
    run:wait_counted(3, 'dead_letters_applied_total')
    s.send(4711, '{"kind":"add","amount":1}', 1)
    producer:flush()
    run:wait_for('the key to be free', 30, function() return s.n_events() == 604 end)
    assert.equal('', s.letters())
    assert.equal(0, (run:stop()))
  end)

  it('does not leave its key behind when a retry takes several batches', function()
    local s = counts.new { producer = producer, projection = projection:format('') }
    local pipeline = tidemill.read(s.bundle .. '/pipeline.lua')
    tidemill.write(s.bundle .. '/pipeline.lua', (pipeline:gsub('batch =',
      'dead_letters = { max_share = 1.0 },\n  batch =')))
    -- Three batches of letters, and the last one came after a person had asked.
    for key = 1, 300 do s.send(key, '{"kind":"add"}') end
    s.send(1, '{"kind":"add","amount":1}')
    producer:flush()
    assert.equal(0, tidemill.until_end(s.bundle, { env = s.env }).status)
    s.db:rows('UPDATE tidemill.dead_letter SET retry_at = now() WHERE "offset" < 300')
    tidemill.write(s.bundle .. '/projections/counts.lua', projection:format(' and false'))
    local run = s.start { '--instance', 'until-end' }
    finally(function() run:destroy() end)
    run:wait_for('the retry', 30, function() return s.letters() == '' end)
    assert.equal(301, s.n_events())
    assert.equal(0, (run:stop()))
  end)

  it('by the dozen halts the lane, and no other, instead of draining it', function()
    local s = counts.new {
      producer = producer, partitions = 2, projection = projection:format(''),
    }
    for key = 1, 300 do
      s.send(key, '{"kind":"add"}', 1)
      s.send(1000 + key, '{"kind":"add","amount":1}', 0)
    end
    producer:flush()
    local run = s.start()
    finally(function() run:destroy() end)
    run:wait_for('the lane to halt', 30, function()
      return run:metric('lane_halted') == 1 and s.n_events() == 300
    end)
    assert.equal(1, run:metric('lane_halted', 'partition="1"'))
    local ready = run:get '/readyz'
    assert.equal(1, ready:find(('ok\nlane %s/1: halted: '):format(s.topic), 1, true),
      ready)
    for _, lane in ipairs(run:status().lanes) do
      if lane.partition == 1 then
        assert.equal('halted', lane.state)
        assert.matches('of the last 1000', lane.message)
        assert.matches('an amount is missing', lane.message)
        assert.equal(50, lane.dead_letters)
      else
        assert.equal('running', lane.state)
        assert.equal(0, lane.dead_letters)
      end
    end
    assert.equal('50 of 50', s.db:value(
      "SELECT count(*) || ' of ' || max(next_offset) FROM tidemill.dead_letter "
      .. 'JOIN tidemill.lane USING (topic, partition)'))
    s.send(5, '{"kind":"add","amount":1}', 0)
    producer:flush()
    run:wait_for('the other lane', 30, function() return s.n_events() == 301 end)
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
    assert.equal(0, result.status, result.text)
    assert.matches('more than 1234', result.text)
    assert.equal('1/1234 failed', s.db:value(
      [[SELECT partition || '/' || "offset" || ' ' || state FROM tidemill.dead_letter
        WHERE state = 'failed']]))
    assert.equal(6000 - 1235, s.db:number(
      "SELECT count(*) FROM tidemill.dead_letter WHERE state = 'held'"))
    assert.equal('1234 n is 1234, 50 n is 50', s.db:value(
      "SELECT string_agg(n || ' ' || seen, ', ' ORDER BY id) FROM counts"))
  end)

  it('that takes all memory or is no JSON is set aside, whatever is caught', function()
    local s = counts.new { producer = producer, partitions = 2, projection = [[
return projection {
  table = 'counts', key = { id = { 'bigint', from = 'key' } }, columns = { n = 'bigint' },
  initial = { n = 0 },
  on = { add = function(row, event)
    local late
    pcall(function()
      local t = {}
      for i = 1, event.data.items or 0 do t[i] = ('x'):rep(1000) .. i end
    end)
    pcall(function() late = event.data.late end)
    row.n = row.n + 1
  end },
}
]] }
    for i = 1, 300 do
      s.send(1, i == 200 and '{"kind":"add","items":1e9}' or '{"kind":"add"}', 1)
      s.send(2, i == 250 and '{"kind":"add","late":tru}' or '{"kind":"add"}', 0)
    end
    producer:flush()
    local result = tidemill.until_end(s.bundle, { env = s.env })
    assert.equal(0, result.status, result.text)
    assert.matches('the scripts took more than 512 MiB', s.db:value(
      'SELECT message FROM tidemill.dead_letter WHERE partition = 1 AND "offset" = 199'))
    assert.equal('0 51, 1 101', s.db:value([[SELECT string_agg(partition || ' ' || n, ', '
      ORDER BY partition) FROM (SELECT partition, count(*) AS n FROM tidemill.dead_letter
      GROUP BY partition) AS letters]]))
    assert.equal('199, 249', s.db:value(
      "SELECT string_agg(n::text, ', ' ORDER BY id) FROM counts"))
    assert.is_nil(result.text:find('starting another', 1, true))
  end)
end)
