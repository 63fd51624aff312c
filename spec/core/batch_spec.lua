-- A batch without Kafka and PostgreSQL: leases over records made here, the
-- real decoder, keys, VM and rows.
local flow = require 'spec.core.flow'
local bundles = require 'spec.unit.bundles'
local ffi = require 'ffi'
local core = require 'spec.core.core'
local C = core.lib

-- A callback from C must not arrive in compiled code.
jit.off()

ffi.cdef 'int setenv(const char *, const char *, int);'
-- The VM is a Lua state of its own, where the tm_* functions are looked up as
-- in the program itself.
ffi.load(os.getenv('TIDEMILL_SPEC_SO') or os.getenv('SPECLIB')
  or 'build/libtidemill-spec.so', true)
ffi.C.setenv('TIDEMILL_SCRIPTS', (os.getenv('TIDEMILL_ROOT') or '.') .. '/scripts', 0)

local MAX_RECORDS, MAX_LANES = 4000, 16
local FAILURE = ffi.new('struct err')
local no_header = ffi.cast('record_header_fn', function() return 0 end)

local PIPELINE = bundles.pipeline([[
  projection { table = 'sums', key = { id = { 'text', from = 'data.id' } },
    columns = { n = 'bigint', list = 'text' }, initial = { n = 0, list = '' },
    on = function(row, event)
      row.list = row.list .. event.data.x .. ' '
      row.n = row.n + event.data.x
      if event.data.bad then error('a bad record') end
    end },
  projection { table = 'log', append = true, columns = { x = 'bigint', k = 'bigint' },
    on = function(row, event) row.x, row.k = event.data.x, event.data.k end },
]], "kafka { brokers = 'b', group = 'g', topics = { 't' }, format = 'json' }")

local Batch = {}
Batch.__index = Batch

-- The program's parts under a batch; kept for all specs of this file.
local function open()
  local self, e = setmetatable({}, Batch), ffi.new('struct err')
  self.vm = C.vm_new(e)
  assert(self.vm ~= nil, ffi.string(e.text))
  self.plan = bundles.with({ ['pipeline.lua'] = PIPELINE }, function(folder)
    return C.vm_load(self.vm, folder, e)
  end)
  assert(self.plan ~= nil, ffi.string(e.text))
  self.decoder = C.decoder_new(self.plan.source, no_header)
  local programs = ffi.new('struct program *[1]')
  assert(C.programs_new(self.plan, self.decoder, programs, e), ffi.string(e.text))
  self.programs, self.c = programs[0], ffi.new('struct batch')
  C.batch_init(self.c, self.programs, self.plan.n_projections)
  self.records = ffi.new('struct record[?]', MAX_RECORDS)
  self.leases = ffi.new('struct lease[?]', MAX_LANES)
  self.lanes = ffi.new('struct lane[?]', MAX_LANES)
  return self
end

function Batch:close()
  C.batch_close(self.c)
  C.programs_free(self.programs, self.plan.n_projections)
  C.decoder_free(self.decoder)
  C.plan_free(self.plan)
  C.vm_free(self.vm)
end

local function add(self, at, lane, value, offset)
  local record = self.records[at]
  record.topic, record.partition, record.lane = 't', lane, lane
  record.key, record.key_len = core.bytes('k')
  record.value, record.value_len = core.bytes(value)
  record.offset, record.time_ms, record.message = offset, 1, nil
end

-- Values of each lane; offsets begin at 100 and leave gaps of one.
function Batch:begin(lanes)
  local at, b = 0, self.c
  C.arena_reset(b.arena)
  for i, values in ipairs(lanes) do
    local lease = self.leases[i - 1]
    ffi.fill(lease, ffi.sizeof(lease))
    lease.lane, lease.first, lease.n = self.lanes + i - 1, at, #values
    lease.start, lease.failed = 100, -1
    for j, value in ipairs(values) do
      add(self, at, i - 1, value, 100 + 2 * j)
      at = at + 1
    end
  end
  b.records, b.leases, b.n_leases = self.records, self.leases, #lanes
  b.header = no_header
  C.batch_prepare(b, self.decoder, at)
  return self
end

function Batch:decode(slice)
  local turns = 1
  while not C.batch_decode(self.c, self.decoder, slice or MAX_RECORDS) do turns = turns + 1 end
  return turns
end

function Batch:run(lanes)
  self:begin(lanes):decode()
  C.batch_keys(self.c, self.decoder, self.vm)
  C.batch_fold(self.c, self.vm, FAILURE)
  C.batch_settle(self.c)
  return self
end

-- 'good records>position after' of each lane.
function Batch:ends()
  local out = {}
  for i = 0, self.c.n_leases - 1 do
    local l = self.leases[i]
    out[#out + 1] = C.batch_n_good(self.c, l) .. '>' .. tonumber(l['end'])
  end
  return table.concat(out, ' ')
end

function Batch:reason(lane)
  return ffi.string(self.c.events.reasons[self.leases[lane].failed])
end

-- Of the first projection: id -> the values that its row took, in order.
function Batch:sums()
  local view, out = self.c.rows[0].view, {}
  for row = 0, view.n_rows - 1 do
    if view.cells[1][row].tag ~= C.TM_MISSING then
      local list = {}
      for x in flow.value(view.cells[2][row]):gmatch('%S+') do list[#list + 1] = tonumber(x) end
      list.n = flow.value(view.cells[1][row])
      out[flow.value(view.cells[0][row])] = list
    end
  end
  return out
end

-- Of the second one: the values of its rows.
function Batch:log()
  local view, out = self.c.rows[1].view, {}
  for row = 0, view.n_rows - 1 do out[row + 1] = flow.value(view.cells[0][row]) end
  return out
end

local function good(id, x) return ('{"id":"%s","x":%d}'):format(id, x) end
local function bad(id, x) return ('{"id":"%s","x":%d,"bad":true}'):format(id, x) end

describe('batch', function()
  local batch
  setup(function() batch = open() end)
  teardown(function() batch:close() end)

  it('moves every lane behind its last record when all are good', function()
    batch:run { { good('a', 1), good('b', 2) }, { good('a', 3) } }
    assert.are.equal('2>105 1>103', batch:ends())
    assert.are.same({ a = { 1, 3, n = 4 }, b = { 2, n = 2 } }, batch:sums())
    assert.are.same({ 1, 2, 3 }, batch:log())
    assert.are.equal(3, C.batch_total_good(batch.c))
  end)

  it('ends a lane at the record whose handler raised; the others go on', function()
    batch:run { { good('a', 1), bad('a', 2), good('b', 3) }, { good('a', 4), good('b', 5) } }
    assert.are.equal('1>103 2>105', batch:ends())
    assert.are.same({ a = { 1, 4, n = 5 }, b = { 5, n = 5 } }, batch:sums())
    assert.are.same({ 1, 4, 5 }, batch:log())
    assert.are.equal(C.ERR_SCRIPT, tonumber(batch.leases[0].failed_class))
    assert.is_truthy(batch:reason(0):find('a bad record', 1, true))
    assert.is_truthy(batch:reason(0):find('pipeline.lua:', 1, true))
  end)

  it('keeps nothing of a record that a later projection refused', function()
    batch:run { { good('a', 1), '{"id":"a","x":2,"k":"no number"}', good('a', 3) } }
    assert.are.equal('1>103', batch:ends())
    assert.are.same({ a = { 1, n = 1 } }, batch:sums())
    assert.are.same({ 1 }, batch:log())
    assert.is_truthy(batch:reason(0):find('log.k', 1, true))
  end)

  it('ends a lane at a record that cannot be read, or has no key', function()
    batch:run { { good('a', 1), '{"id":', good('a', 2) }, { '{"x":3}' }, { good('a', 4) } }
    assert.are.equal('1>103 0>100 1>103', batch:ends())
    assert.are.same({ a = { 1, 4, n = 5 } }, batch:sums())
    assert.are.equal(C.ERR_DATA, tonumber(batch.leases[0].failed_class))
    assert.is_truthy(batch:reason(1):find('the key field data.id is missing', 1, true))
  end)

  it('may have no good record at all', function()
    batch:run { { bad('a', 1), good('a', 2) }, { bad('b', 3) } }
    assert.are.equal('0>100 0>100', batch:ends())
    assert.are.same({}, batch:sums())
    assert.are.same({}, batch:log())
    assert.are.equal(-1, C.batch_first_good(batch.c))
  end)

  it('folds again from the same state: the same rows', function()
    batch:run { { good('a', 1), good('b', 2), bad('a', 3) } }
    local sums, log = batch:sums(), batch:log()
    for _ = 1, 3 do
      C.batch_fold(batch.c, batch.vm, FAILURE)
      assert.are.same({ sums, log }, { batch:sums(), batch:log() })
    end
  end)

  it('decodes in slices as it does at once', function()
    local values = {}
    for i = 1, 100 do values[i] = good('a' .. i % 7, i) end
    assert.are.equal(15, batch:begin({ values }):decode(7))
    C.batch_keys(batch.c, batch.decoder, batch.vm)
    C.batch_fold(batch.c, batch.vm, FAILURE)
    local sums = batch:sums()
    assert.are.same(sums, batch:run({ values }):sums())
    assert.are.same({ 15, 14 }, { #sums.a1, #sums.a3 })
  end)

  it('takes the first of two failures in a lane, in whatever order they are found', function()
    batch:begin({ { good('a', 1), good('a', 2), good('a', 3) } }):decode()
    C.batch_fail_event(batch.c, 2, C.ERR_DATA, 'later')
    C.batch_fail_event(batch.c, 1, C.ERR_SCRIPT, 'first')
    C.batch_fail_event(batch.c, 2, C.ERR_DATA, 'again')
    assert.are.equal(1, batch.leases[0].failed)
    assert.are.equal('first', batch:reason(0))
    assert.are.equal(C.ERR_SCRIPT, tonumber(batch.leases[0].failed_class))
    assert.are.equal(C.TM_EVENT_CUT, batch.c.events.states[2])
  end)

  it('moves over tombstones without rows', function()
    batch:begin({ { good('a', 1), good('a', 2) }, { good('b', 3) } })
    batch.records[1].value, batch.records[2].value = nil, nil
    batch:decode()
    C.batch_keys(batch.c, batch.decoder, batch.vm)
    C.batch_fold(batch.c, batch.vm, FAILURE)
    C.batch_settle(batch.c)
    assert.are.equal('2>105 1>103', batch:ends())
    assert.are.same({ a = { 1, n = 1 } }, batch:sums())
  end)

  it('for any records: the rows are those of each lane up to its first bad one', function()
    math.randomseed(23)
    local function damaged(id, x)
      local kinds = { bad(id, x), '{"x":1}', '{"id":"' .. id .. '","x":"no"}', 'rubbish',
                      '{"id":"' .. id .. '","x":1,"k":1.5}' }
      return kinds[math.random(#kinds)]
    end
    for _ = 1, 150 do
      local lanes, sums, log, ends = {}, {}, {}, {}
      local share, x = math.random(2, 60), 0
      for lane = 1, math.random(1, 5) do
        local values, n = {}, nil
        for i = 1, math.random(1, 40) do
          local id = 'r' .. math.random(6)
          x = x + 1
          if math.random(share) == 1 then
            n, values[i] = n or i - 1, damaged(id, x)
          else
            values[i] = good(id, x)
            if not n then
              local row = sums[id] or { n = 0 }
              row[#row + 1], row.n, sums[id] = x, row.n + x, row
              log[#log + 1] = x
            end
          end
        end
        n = n or #values
        lanes[lane], ends[lane] = values, n .. '>' .. (n > 0 and 100 + 2 * n + 1 or 100)
      end
      batch:run(lanes)
      assert.are.equal(table.concat(ends, ' '), batch:ends())
      assert.are.same(sums, batch:sums())
      assert.are.same(log, batch:log())
    end
  end)
end)
