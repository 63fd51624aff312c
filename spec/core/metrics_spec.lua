-- The table of metrics: what /metrics, /status and runtime/admin/README.md make of a page.
local ffi = require 'ffi'
local metric_table = require 'spec.core.metric_table'
local core = require 'spec.core.core'
local exposition = require 'exposition'
local json = require 'cjson'
local C = core.lib

ffi.cdef [[
typedef int pid_t;
int getpid(void);
struct rusage { long user[2], system[2], others[14]; };
]]
core.headers('supervise/slot.h', 'supervise/vitals.h')

local new_page, metrics = metric_table.new_page, metric_table.metrics
local function status(page) return json.decode(metric_table.written(C.status_write, page)) end

-- Worker 1 has a number of its own in each field, from 1 on.
local function fill(page)
  local worker, n = page.workers[1], 0
  local function next_number()
    n = n + 1
    return n
  end
  for i = 0, C.COUNTERS - 1 do worker.counters[i] = next_number() end
  worker.counters[C.COUNT_STARVED_USEC] = worker.counters[C.COUNT_STARVED_USEC] * 1000000
  for i = 0, C.GAUGES - 1 do worker.gauges[i] = next_number() end
  for i = C.ERR_NONE + 1, C.ERR_CLASSES - 1 do worker.errors[i] = next_number() end
  for i = 0, C.STAGES - 1 do
    worker.stages[i].usec = next_number() * 1000000
    worker.stages[i].n[i] = next_number()
  end
  for _, times in ipairs { worker.batches, worker.event_ages } do
    times.usec, times.n[3] = next_number() * 1000000, next_number()
  end
  worker.committed_ms = next_number() * 1000
  worker.process.cpu_usec = next_number() * 1000000
  worker.process.resident_bytes, worker.process.open_fds = next_number(), next_number()
  worker.process.max_fds, worker.process.started_ms = next_number(), next_number() * 1000
  worker.restarts = next_number()
  return n
end

local function readme(folder)
  local file = assert(io.open((os.getenv('TIDEMILL_ROOT') or '.') .. folder .. '/README.md'))
  local text = file:read('*a')
  file:close()
  return text
end

local ALLOWED = { -- what is not 0 before anything happened
  tidemill_build_info = 1, tidemill_worker_heartbeat_age_seconds = -1, tidemill_lane_state = 1,
  tidemill_lane_event_age_seconds = -1, tidemill_newest_event_age_seconds = -1,
}
local OF_RUN = { tidemill_build_info = true, tidemill_uptime_seconds = true,
  tidemill_newest_event_age_seconds = true }

describe('the table of metrics', function()
  it('has every series at 0 before anything happened', function()
    local families = exposition.read(metrics(new_page()))
    for _, f in ipairs(families) do
      local words = f.name:match('errors') and 10 or f.name:match('stage') and 5 * 13
        or f.type == 'histogram' and 13
      local owners = (OF_RUN[f.name] or f.name:match('^process_')) and 1 or 2
      assert.are.equal(owners * (words or 1), #f.samples, f.name)
      for _, s in ipairs(f.samples) do
        if f.name ~= 'tidemill_uptime_seconds' then
          assert.are.equal(ALLOWED[f.name] or 0, s.value, f.name)
        end
      end
    end
  end)

  it('has as many series as its page says', function()
    local worker, lane, tables, run = readme('/runtime/admin'):gsub('%s+', ' '):match(
      'There are (%d+) series a worker, (%d+) a lane, (%d+) a table and (%d+) of the run')
    local _, series = exposition.read(metrics(new_page()))
    local n = 0
    for _ in pairs(series) do n = n + 1 end
    assert.are.equal(2 * (worker + lane + tables) + run, n)
  end)

  it('shows each number of the page once', function()
    local page = new_page()
    local n = fill(page)
    local seen = {}
    local families = exposition.read(metrics(page))
    for _, f in ipairs(families) do
      for _, s in ipairs(f.samples) do
        local of = s.labels[1]
        if of and of[1] == 'worker' and of[2] == '1' and s.suffix ~= '_bucket' and s.value > 0 then
          assert.is_nil(seen[s.value], f.name)
          seen[s.value] = f.name
        end
      end
    end
    for i = 1, n do assert(seen[i], i .. ' of ' .. n .. ' is not there') end
  end)

  it('gives /status the same numbers', function()
    local page = new_page()
    fill(page)
    page.lanes[1].position, page.lanes[1].high, page.lanes[1].letters = 7, 19, 3
    page.lanes[1].event_ms, page.workers[1].pid = 1700000000250, 4711
    local s, n = status(page), 0
    for _, f in ipairs((exposition.read(metrics(page)))) do
      local owner, key = f.name:match('^tidemill_(worker)_(.*)$')
      if not owner then owner, key = f.name:match('^tidemill_(lane)_(.*)$') end
      if not owner then owner, key = f.name:match('^(process)_(.*)$') end
      key = (key or f.name:match('^tidemill_(.*)$')):gsub('_total$', '')
      for _, sample in ipairs(f.samples) do
        local first, last = sample.labels[1], sample.labels[#sample.labels]
        local object = owner == 'lane' and s.lanes[tonumber(last[2]) + 1]
          or owner == 'process' and s.process
          or first and first[1] == 'worker' and s.workers[first[2] + 1]
        if object and sample.suffix ~= '_bucket' and key ~= 'state'
          and key ~= 'event_age_seconds' then -- of the moment
          local value = object[key]
          if value == nil then value = object[f.type == 'gauge' and 'gauges' or 'counters'][key] end
          if owner ~= 'lane' and last ~= first then value = value[last[2]] end
          if sample.suffix ~= '' then value = value[sample.suffix:sub(2)] end
          if type(value) == 'boolean' then value = value and 1 or 0 end
          assert.are.equal(sample.value, value, f.name)
          n = n + 1
        end
      end
    end
    assert.is_true(n > 100)
    assert.are.same({ 'unowned', 12 }, { s.lanes[2].state, s.lanes[2].lag })
  end)

  it('tells how old events are by the newest record below a position', function()
    local page = new_page()
    local now = tonumber(C.wall_usec()) / 1e6
    local function ages()
      local _, all = exposition.read(metrics(page))
      return all.tidemill_newest_event_age_seconds,
        all['tidemill_lane_event_age_seconds{topic="orders",partition="0"}'],
        all['tidemill_lane_event_age_seconds{topic="orders",partition="1"}']
    end
    page.lanes[0].event_ms = (now - 100) * 1000
    local newest, first, second = ages()
    assert.is_true(math.abs(newest - 100) < 5 and math.abs(first - 100) < 5)
    assert.are.equal(-1, second)
    page.lanes[1].event_ms = (now + 1000) * 1000 -- its clock goes before ours
    newest, first, second = ages()
    assert.are.same({ 0, 0 }, { newest, second })
    assert.is_true(first >= 100)
  end)

  it('has one series for each table, whoever wrote it', function()
    local page = new_page()
    metric_table.name_tables(page, { 'a', 's.b', 'a', '"ü""\n"' })
    for projection = 0, 3 do
      for slot = 0, 1 do
        C.page_rows(page, projection, slot).written = 10 ^ projection
      end
    end
    C.page_rows(page, 2, 1).events, C.page_rows(page, 1, 0).unchanged = 7, 8
    local families, all = exposition.read(metrics(page))
    assert.are.equal(3, #families.tidemill_table_rows_written_total.samples)
    assert.are.same({ 200, 20, 2000, 7, 8 }, {
      all['tidemill_table_rows_written_total{table="a"}'],
      all['tidemill_table_rows_written_total{table="s.b"}'],
      all['tidemill_table_rows_written_total{table="\\"ü\\"\\"\\n\\""}'],
      all['tidemill_table_events_total{table="a"}'],
      all['tidemill_table_rows_unchanged_total{table="s.b"}'],
    })
    assert.are.same({ table = 'a', events = 7, rows_written = 200, rows_unchanged = 0 },
      status(page).tables[1])
    assert.is_true(C.page_rows(page, C.PAGE_TABLES, 0) == nil)
  end)

  it('does not leave the page where that is rubbish', function()
    local page = new_page()
    page.n_written, page.written_as[0] = 0xffffffff, 0xffffffff
    ffi.fill(page.written, ffi.sizeof(page.written), 0x61)
    local tables = status(page).tables
    assert.are.equal(C.PAGE_TABLES, #tables)
    assert.are.equal(C.PAGE_NAME - 1, #tables[1].table)
    assert.is_true(C.page_rows(page, 0, 0) == nil)
  end)

  it('keeps its series and what they counted when a worker ends and its lanes go', function()
    local page, slot = new_page(), ffi.new('struct slot')
    slot.number = 1
    fill(page)
    for i = 0, 1 do page.lanes[i].worker, page.lanes[i].state = 1, C.PAGE_LANE_RUNNING end
    local before = metrics(page)
    C.slot_clear_page(slot, page)
    exposition.check_grown(before, metrics(page))
    page.lanes[0].worker, page.lanes[0].state = 0, C.PAGE_LANE_HALTED
    exposition.check_grown(before, metrics(page))
  end)

  it('keeps to the format whatever a topic is called', function()
    for _, topic in ipairs { 'a"b\\c', 'a\nb', '\\', '"', ',b="c"', '\xff', ('x'):rep(400) } do
      local families = exposition.read(metrics(new_page(topic)))
      assert.are.equal(2, #families.tidemill_lane_lag.samples)
    end
  end)

  it('stands in its page, line by line; `make docs` writes it', function()
    local page = readme('/runtime/admin')
    local _, last = page:find(metric_table.HEAD, 1, true)
    assert.are.equal(metric_table.lines(), page:match('^(.-)\n[^|]', last + 1))
  end)

  it('has every metric that the pages speak of', function()
    local families = exposition.read(metrics(new_page()))
    for _, folder in ipairs { '', '/scripts', '/runtime/cli', '/runtime/admin' } do
      for name in readme(folder):gmatch 'tidemill_[%l_]+' do
        assert(families[name] or families[name:gsub('_bucket$', '')] or name == 'tidemill_', name)
      end
    end
  end)
end)

describe('the reading of metrics that specs rely on', function()
  local HEAD = '# HELP a_total b\n# TYPE a_total counter\n'

  it('takes what is right', function()
    local _, all = exposition.read(HEAD .. 'a_total{x="1",y="\\"\\\\"} 2\na_total 3\n')
    assert.are.same({ ['a_total{x="1",y="\\"\\\\"}'] = 2, a_total = 3 }, all)
  end)

  for _, wrong in ipairs {
    'a_total 1\n', HEAD .. 'a_total 1', HEAD .. 'a_total 1\na_total 1\n', HEAD .. HEAD,
    HEAD .. 'b_total 1\n', HEAD .. 'a_total x\n', HEAD .. 'a_total{x="1" 1\n',
    HEAD .. 'a_total{x="1",} 1\n', HEAD .. 'a_total{x="1",x="2"} 1\n',
    HEAD .. 'a_total{x="a"b"} 1\n', '# TYPE a gauge\na 1\n', '# HELP a b\na 1\n',
    '# HELP a b\n# TYPE a counter\n', '# HELP a_total b\n# TYPE a_total gauge\n',
    '# HELP a_ms b\n# TYPE a_ms gauge\n', '# HELP bytes_of_a b\n# TYPE bytes_of_a gauge\n',
    '# HELP a b\n# TYPE a histogram\na_bucket{le="1"} 2\na_bucket{le="+Inf"} 1\na_count 1\n',
    '# HELP a b\n# TYPE a histogram\na_bucket{le="1"} 2\na_bucket{le="+Inf"} 2\na_count 3\n',
  } do
    it('refuses ' .. wrong:gsub('\n', ' | '), function()
      assert.is_false((pcall(exposition.read, wrong)))
    end)
  end

  it('sees a series that vanishes, and a counter that falls', function()
    local before = HEAD .. 'a_total{x="1"} 2\na_total{x="2"} 2\n'
    for _, x in ipairs { 'a_total{x="1"} 2\n', 'a_total{x="1"} 2\na_total{x="2"} 1\n' } do
      assert.is_false((pcall(exposition.check_grown, before, HEAD .. x)))
    end
    exposition.check_grown(before, HEAD .. 'a_total{x="1"} 2\na_total{x="2"} 3\n')
  end)
end)

describe('what the kernel says of a process', function()
  local function used(page, slot)
    C.vitals_of_slot(slot, page)
    return page.workers[slot.number].process
  end

  it('is there for this one', function()
    local page = new_page()
    C.vitals_of_self(page.process)
    local p, now = page.process, tonumber(C.wall_usec()) / 1e6
    assert.is_true(p.resident_bytes > 2 ^ 20 and p.cpu_usec > 0)
    assert.is_true(p.open_fds >= 3 and p.open_fds < p.max_fds)
    local age = now - tonumber(p.started_ms) / 1000
    assert.is_true(age > -1 and age < 3600, age)
    local _, all = exposition.read(metrics(page))
    assert.are.equal(tonumber(p.open_fds), all.process_open_fds)
    assert.are.equal(tonumber(p.started_ms) / 1000, all.process_start_time_seconds)
  end)

  it('counts files that are opened', function()
    local process = ffi.new('struct page_process')
    C.vitals_of_self(process)
    local before = tonumber(process.open_fds)
    local file = assert(io.open('/dev/null'))
    C.vitals_of_self(process)
    file:close()
    assert.are.equal(before + 1, tonumber(process.open_fds))
  end)

  it('goes on where the worker before ended, and never falls', function()
    local page, slot = new_page(), ffi.new('struct slot')
    C.slot_started(slot, page, C.getpid(), 0)
    local first = tonumber(used(page, slot).cpu_usec)
    assert.is_true(first > 0 and page.workers[0].process.resident_bytes > 0)
    C.vitals_ended(slot, page, ffi.new('struct rusage', { { 0, first }, { 0, 5 } }))
    C.slot_clear_page(slot, page)
    local p = page.workers[0].process
    assert.are.same({ first + 5, 0, 0 },
      { tonumber(p.cpu_usec), tonumber(p.resident_bytes), tonumber(p.started_ms) })
    slot.state = C.SLOT_WAITING
    assert.are.equal(first + 5, tonumber(used(page, slot).cpu_usec))
    C.slot_started(slot, page, C.getpid(), 0)
    assert.is_true(tonumber(used(page, slot).cpu_usec) >= 2 * first + 5)
  end)

  it('is nothing for one that is gone', function()
    local page, slot = new_page(), ffi.new('struct slot')
    C.slot_started(slot, page, 0x3fffff, 0)
    assert.are.equal(0, tonumber(used(page, slot).resident_bytes))
  end)
end)

describe('a time that is measured', function()
  it('is found from wherever the last one was', function()
    local times, bucket = ffi.new('struct page_times'), ffi.new('uint32_t[1]')
    for _, ms in ipairs { 0, 5, 10, 11, 3600000, 3600001, 7, 59999, 60000, 60001, 1 } do
      C.page_time_near(times, C.page_age_bounds, ms * 1000, bucket)
    end
    local found = {}
    for i = 0, C.PAGE_BOUNDS - 1 do found[i + 1] = tonumber(times.n[i]) end
    assert.are.same({ 5, 1, 0, 0, 0, 0, 0, 2, 1, 1, 1 }, found)
  end)

  it('is counted by the first bound that is not below it', function()
    local times = ffi.new('struct page_times')
    local sum = 0
    for i = 0, C.PAGE_BOUNDS - 2 do
      local bound = tonumber(C.page_bounds[i])
      C.page_time(times, bound)
      C.page_time(times, bound + 1)
      sum = sum + 2 * bound + 1
    end
    assert.are.equal(sum, tonumber(times.usec))
    assert.are.equal(2 * (C.PAGE_BOUNDS - 1), tonumber(C.page_times_count(times)))
    for i = 0, C.PAGE_BOUNDS - 1 do
      assert.are.equal((i > 0 and i < C.PAGE_BOUNDS - 1) and 2 or 1, tonumber(times.n[i]), i)
    end
  end)
end)
