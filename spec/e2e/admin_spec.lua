-- The admin port: what a load balancer, Prometheus and a person ask.
local counts = require 'counts'
local exposition = require 'exposition'
local kafka = require 'kafka'
local process = require 'process'
local tidemill = require 'tidemill'

describe('the admin port', function()
  it('tells health, metrics and status of a run', function()
    local producer = kafka.producer()
    local s = counts.new { producer = producer, partitions = 3 }
    s.send_good(900)
    s.send(1, '{"kind":"unheard of"}', 0)
    s.send(1, nil, 0)
    producer:flush()
    local run = s.start { '--workers', '2', '--instance', 'seen' }
    finally(function() run:destroy() end)
    run:wait_caught_up(s.db, producer, s.topic, 3)
    run:wait_ready()

    for _, page in ipairs { '/livez', '/readyz' } do
      local body, status = run:get(page)
      assert.same({ 'ok\n', 200 }, { body, status })
    end
    run:wait_for('the counters', 5, function() return run:metric('events_total') == 902
      or run:metric('events_total') == 901 or run:metric('events_total') == 900 end)
    assert.equal(1, run:metric('events_ignored_total'))
    assert.equal(1, run:metric('events_skipped_total'))
    assert.equal(0, run:metric('lane_lag'))
    assert.equal(902, run:metric('lane_position'))
    assert.equal(2, run:metric('worker_up'))
    assert.is_true(run:metric('rows_written_total') >= 900)
    assert.is_true(run:metric('stage_seconds_count', 'stage="commit"') >= 1)
    assert.equal(run:metric('batches_total'), run:metric('batch_seconds_count'))
    assert.equal(902, run:metric('event_age_seconds_count'))
    assert.equal(902, run:metric('event_age_seconds_bucket', 'le="600"'))
    assert.equal(run:metric('rows_written_total'),
      run:metric('table_rows_written_total', 'table="counts"'))
    assert.equal(900, run:metric('table_events_total', 'table="counts"'))
    assert.is_true(run:metric('last_commit_time_seconds', 'worker="0"') > os.time() - 600
      or run:metric('last_commit_time_seconds', 'worker="1"') > os.time() - 600)
    assert.equal(16, run:metric('pool_max'))
    run:wait_for('what the kernel says of the processes', 5, function()
      return run:metric('worker_resident_memory_bytes', 'worker="1"') > 2 ^ 20
    end)
    local process_of = run:status().process
    assert.is_true(process_of.resident_memory_bytes > 2 ^ 20 and process_of.open_fds > 3)

    local status = run:status()
    assert.equal('counts', status.name)
    assert.equal('seen', status.instance)
    assert.equal(2, #status.workers)
    assert.equal(3, #status.lanes)
    for _, lane in ipairs(status.lanes) do
      assert.equal(s.topic, lane.topic)
      assert.equal('running', lane.state)
      assert.equal(0, lane.lag)
    end

    -- Supervisor and workers are told apart, and no SIGHUP ends them.
    local function shown(pid)
      return (tidemill.read(('/proc/%d/cmdline'):format(pid)):gsub('%z+$', ''))
    end
    local pid, pids = run.process.pid, run:workers()
    local words = table.concat(run.process.argv, ' ')
    assert.equal('tidemill: supervisor counts: ' .. words, shown(pid))
    local titles = { shown(pids[1]), shown(pids[2]) }
    table.sort(titles)
    assert.same({ 'tidemill: worker 0 counts', 'tidemill: worker 1 counts' }, titles)
    for _, one in ipairs { pids[1], pids[2], pid } do process.signal(one, process.HUP) end
    run:wait_for('the words', 5, function()
      return run:text():find('SIGHUP: nothing was reloaded', 1, true)
    end)
    assert.same({ pids, 0 }, { run:workers(), run:metric('worker_restarts_total') })

    -- Another run on its port says so at once.
    local other = tidemill.start(s.bundle, { env = s.env, port = run.port })
    finally(function()
      other:destroy()
      run:destroy()
    end)
    other:wait_for('words about the port', 3, function()
      return other:text():find('the admin port is in use; waiting for it', 1, true)
    end)
    local _, missing = run:get('/nothing')
    assert.equal(404, missing)
    assert.equal(0, (run:stop()))
  end)

  it('keeps the series of its first scrape and what they counted', function()
    local s = counts.new { partitions = 2 }
    local run = s.start { '--workers', '2' }
    finally(function() run:destroy() end)
    local first
    run:wait_for('the first scrape', 10, function()
      first = run:get('/metrics')
      return first
    end)
    assert.equal(2 * 5, select(2, first:gsub('stage_seconds_count', '')))
    run:wait_ready()
    s.send_good(100)
    run:wait_caught_up(s.db, s.producer, s.topic, 2)
    run:wait_counted(100, 'events_total')
    local before = run:get('/metrics')
    exposition.check_grown(first, before)
    process.signal(run:workers()[1], process.KILL)
    run:wait_for('another worker', 30, function()
      return run:metric('worker_restarts_total') == 1
    end)
    run:wait_ready()
    exposition.check_grown(before, run:get('/metrics'))
    for partition = 0, 1 do
      local label = ('partition="%d"'):format(partition)
      assert.is_true(run:metric('lane_event_time_seconds', label) > os.time() - 600)
    end
    assert.equal(0, (run:stop()))
  end)

  it('is shut to other hosts unless there is a token', function()
    local s = counts.new { no_topic = true }
    local result = tidemill.call({ 'run', s.bundle, '--admin', '0.0.0.0:0' },
      { env = s.env, seconds = 20 })
    assert.equal(78, result.status, result.text)
    assert.matches('token', result.text)
  end)

  -- [1] is the port: 100 connections that drip a header twice a second, each
  -- anew when it is closed, until the shell that made them ends.
  local SLOW = [[
    for i in $(seq 100); do
      ( exec 2>/dev/null
        while exec 3<>/dev/tcp/127.0.0.1/$1; do
          printf 'GET /livez HTTP/1.1\r\n' >&3
          while printf 'X: y\r\n' >&3; do sleep 0.5; done
        done ) &
    done
    wait
  ]]

  it('answers while a hundred slow clients hold connections', function()
    local s = counts.new { partitions = 1 }
    local run = s.start()
    finally(function() run:destroy() end)
    run:wait_ready()
    local slow = process.start({ 'bash', '-c', SLOW, 'slow', tostring(run.port) },
      { out = '/dev/null' })
    finally(function()
      slow:destroy()
      run:destroy()
    end)
    run:wait_for('slow clients', 10, function()
      local text = tidemill.shell(
        ("grep -c ' 0100007F:%04X [0-9A-F:]* 01 ' /proc/net/tcp"):format(run.port))
      return tonumber(text) >= 40
    end)
    for _ = 1, 20 do
      local body, status = run:get('/livez')
      assert.same({ 'ok\n', 200 }, { body, status })
    end
  end)

  it('is ready with more workers than partitions, too', function()
    local s = counts.new { partitions = 1 }
    local run = s.start { '--workers', '2' }
    finally(function() run:destroy() end)
    run:wait_ready()
    assert.equal(2, #run:workers())
  end)
end)
