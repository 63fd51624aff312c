-- The table of metrics: what /metrics, /status and runtime/admin/README.md make of a page.
local ffi = require 'ffi'
require 'spec.core.flow' -- declares what the headers below stand on
local core = require 'spec.core.core'
local exposition = require 'exposition'
local json = require 'cjson'
local C = core.lib

core.headers('admin/metrics.h')
ffi.cdef 'typedef int pid_t;'
core.headers('supervise/slot.h')

-- Two workers and the lanes of [topic], 'orders' unless said.
local function new_page(topic)
  local page = ffi.gc(C.page_new(2), C.page_free)
  page.started_usec = C.clock_usec()
  for i = 0, 1 do assert(C.page_lane(page, topic or 'orders', i) ~= nil) end
  return page
end

local function written(write, page)
  local out = ffi.gc(ffi.new('struct buf'), C.buf_close)
  local view = ffi.new('struct admin_view', { page, 'shop', 'f00d', '1.0', 'here' })
  write(view, out)
  return ffi.string(out.data, out.len)
end

local function metrics(page) return written(C.metrics_write, page) end
local function status(page) return json.decode(written(C.status_write, page)) end

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
}

describe('the table of metrics', function()
  it('has every series at 0 before anything happened', function()
    local families = exposition.read(metrics(new_page()))
    for _, f in ipairs(families) do
      local words = f.name:match('errors') and 10 or f.name:match('stage') and 5 * 13
      local owners = (f.name:match('build') or f.name:match('uptime')) and 1 or 2
      assert.are.equal(owners * (words or 1), #f.samples, f.name)
      for _, s in ipairs(f.samples) do
        if f.name ~= 'tidemill_uptime_seconds' then
          assert.are.equal(ALLOWED[f.name] or 0, s.value, f.name)
        end
      end
    end
  end)

  it('has as many series as its page says', function()
    local worker, lane, run = readme('/runtime/admin'):gsub('%s+', ' '):match(
      'There are (%d+) series a worker, (%d+) a lane and (%d+) of the run')
    local _, series = exposition.read(metrics(new_page()))
    local n = 0
    for _ in pairs(series) do n = n + 1 end
    assert.are.equal(2 * worker + 2 * lane + run, n)
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
      key = (key or f.name:match('^tidemill_(.*)$')):gsub('_total$', '')
      for _, sample in ipairs(f.samples) do
        local first, last = sample.labels[1], sample.labels[#sample.labels]
        local object = owner == 'lane' and s.lanes[tonumber(last[2]) + 1]
          or first and first[1] == 'worker' and s.workers[first[2] + 1]
        if object and sample.suffix ~= '_bucket' and key ~= 'state' then
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

  it('stands in its page, line by line', function()
    local wanted = {}
    for _, f in ipairs((exposition.read(metrics(new_page())))) do
      local labels = {}
      for i, label in ipairs(f.samples[1].labels) do
        if label[1] ~= 'le' then labels[i] = label[1] end
      end
      wanted[#wanted + 1] = ('| `%s` | %s | %s | %s |'):format(f.name, f.type,
        table.concat(labels, ', '), f.help):gsub('  +', ' ')
    end
    local found = {}
    for line in readme('/runtime/admin'):gmatch('[^\n]+') do
      if line:match('^| `tidemill_[%w_]+` |') then found[#found + 1] = line end
    end
    assert.are.equal(table.concat(wanted, '\n'), table.concat(found, '\n'))
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

describe('a time that is measured', function()
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
