-- A record that takes its worker with it is not tried for ever; a worker that
-- somebody kills is no fault of the record it was at.
local counts = require 'counts'
local kafka = require 'kafka'
local process = require 'process'
local tidemill = require 'tidemill'

-- The event's `turns` say how long its handler takes; 1e15 never returns.
local projection = [[
return projection {
  table = 'counts', key = { id = { 'bigint', from = 'key' } }, columns = { n = 'bigint' },
  initial = { n = 0 },
  on = { add = function(row, event)
    local x = 0
    for i = 1, event.data.turns or 0 do x = (x + i) % 7 end
    row.n = row.n + 1 + x - x
  end },
}
]]

-- Clock ticks (10 ms) that the process used by itself.
local function cpu_ticks(pid)
  local f = io.open(('/proc/%d/task/%d/stat'):format(pid, pid))
  local text = f and f:read('*a') or ''
  if f then f:close() end
  return tonumber(text:match('^.*%) %a' .. (' %-?%d+'):rep(10) .. ' (%d+)')) or 0
end

describe('a record whose handler never returns', function()
  local producer
  lazy_setup(function() producer = kafka.producer() end)

  it('costs two workers and then only itself', function()
    local s = counts.new { producer = producer, partitions = 3, projection = projection }
    s.env.TIDEMILL_HEARTBEAT_SECONDS = '4'
    s.send_good(300)
    s.send(4711, '{"kind":"add","turns":1e15}', 1)
    s.send_good(300, 301)
    local result = tidemill.until_end(s.bundle, { env = s.env, seconds = 60 })
    local _, deaths = result.text:gsub('worker died while a handler ran for a record', '')
    assert.equal(2, deaths, result.text)
    assert.matches('partition=1 offset=100 deaths=2', result.text)
    assert.equal(600, s.n_events())
    assert.equal('1/100 failed', s.letters())
    assert.equal('200, 201, 200', s.db:value("SELECT string_agg(next_offset::text, ', ' "
      .. 'ORDER BY partition) FROM tidemill.lane'))
    assert.matches('the worker died twice while a handler ran for this record: '
      .. 'it did not come back within 4 s',
      s.db:value('SELECT message FROM tidemill.dead_letter'))
    assert.equal(0, result.status, result.text)
  end)

  it('is not blamed for a suspended worker', function()
    local s = counts.new { producer = producer, projection = projection }
    s.env.TIDEMILL_HEARTBEAT_SECONDS = '8'
    s.send(1, '{"kind":"add","turns":1.5e8}')
    producer:flush()
    local run = s.start()
    finally(function() run:destroy() end)
    for n = 1, 2 do
      local worker = run:wait_for('a handler at work', 30, function()
        local pid = run:workers()[1]
        return pid and cpu_ticks(pid) > 30 and pid
      end)
      process.signal(worker, process.STOP)
      run:wait_for('its end', 30, function() return not process.is_alive(worker) end)
      assert.equal(n, select(2, run:text():gsub('stands still and is killed', '')))
    end
    run:wait_for('the record', 60, function() return s.n_events() == 1 end)
    assert.is_nil(run:text():find('worker died while a handler ran', 1, true))
    assert.equal(0, (run:stop()))
  end)
end)

describe('a batch that takes longer than a worker may be silent', function()
  it('is applied in smaller ones, and no worker is killed', function()
    local s = counts.new { projection = projection }
    s.env.TIDEMILL_HEARTBEAT_SECONDS = '6'
    for key = 1, 100 do s.send(key, '{"kind":"add","turns":6e6}') end -- 20 ms or more
    s.send(101, '{"kind":"add","turns":1e8}') -- longer than many of them
    s.producer:flush()
    local result = tidemill.until_end(s.bundle, { env = s.env, seconds = 120 })
    assert.equal(0, result.status, result.text)
    assert.is_nil(result.text:find('stands still', 1, true), result.text)
    assert.matches('its records come in smaller ones', result.text, 1, true)
    assert.equal(101, s.n_events())
    assert.equal('', s.letters())
  end)
end)

describe('the time that a worker may be silent', function()
  it('is refused when it is not a number of seconds', function()
    local s = counts.new { no_topic = true, no_schema = true }
    for _, wrong in ipairs { 'soon', '1', '3601', '5s' } do
      s.env.TIDEMILL_HEARTBEAT_SECONDS = wrong
      local result = tidemill.until_end(s.bundle, { env = s.env })
      assert.equal(78, result.status, result.text)
      local expected = ("TIDEMILL_HEARTBEAT_SECONDS is '%s': it must be a whole number "
        .. 'from 2 to 3600'):format(wrong)
      assert.matches(expected, result.text, 1, true)
    end
  end)
end)

describe('kill -9 of a worker while a handler runs', function()
  it('blames no record, however often it hits the same one', function()
    local s = counts.new { projection = projection }
    s.send(1, '{"kind":"add","turns":5e8}')
    s.send(2, '{"kind":"add"}')
    s.producer:flush()
    local run = s.start()
    finally(function() run:destroy() end)
    for _, signal in ipairs { process.KILL, process.KILL, process.KILL, process.TERM } do
      local worker = run:wait_for('a handler at work', 30, function()
        local pid = run:workers()[1]
        return pid and cpu_ticks(pid) > 30 and pid
      end)
      assert.equal(0, s.n_events())
      process.signal(worker, signal)
      run:wait_for('its end', 30, function() return not process.is_alive(worker) end)
    end
    run:wait_for('both records', 60, function() return s.n_events() == 2 end)
    assert.is_nil(run:text():find('worker died while a handler ran', 1, true))
    assert.equal(0, (run:stop()))
  end)
end)
