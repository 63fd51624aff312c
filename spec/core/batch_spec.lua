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
  C.batch_init(self.c, self.programs, self.plan.n_projections, self.plan.dead_letters)
  self.records = ffi.new('struct record[?]', MAX_RECORDS)
  self.leases = ffi.new('struct lease[?]', MAX_LANES)
  self.lanes = ffi.new('struct lane[?]', MAX_LANES)
  self.dossiers = ffi.new('struct dossier *[1]')
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
  local key = value:match('"id":"(%w+)"')
  record.topic, record.partition, record.lane = 't', lane, lane
  record.key, record.key_len = nil, 0
  if key then record.key, record.key_len = core.bytes(key) end
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
    lease.start = 100
    lease.lane.dossier = C.dossier_of(self.dossiers, 't', i - 1,
      self.plan.dead_letters.max_failed)
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

function Batch:fold()
  C.batch_keys(self.c, self.decoder, self.vm)
  assert(C.batch_fold(self.c, self.vm, FAILURE), 'the rows did not come to rest')
  C.batch_settle(self.c)
  return self
end

function Batch:run(lanes)
  self:begin(lanes):decode()
  return self:fold()
end

-- Lanes and their guards as if nothing had ever failed.
function Batch:forget()
  C.dossiers_free(self.dossiers[0])
  self.dossiers[0] = nil
  return self
end

-- The position after, of each lane.
function Batch:ends()
  local out = {}
  for i = 0, self.c.n_leases - 1 do out[#out + 1] = tonumber(self.leases[i]['end']) end
  return table.concat(out, ' ')
end

local LETTERS = {
  [tonumber(C.TM_EVENT_OK)] = '.', [tonumber(C.TM_EVENT_SKIPPED)] = 's',
  [tonumber(C.TM_EVENT_FAILED)] = 'F', [tonumber(C.TM_EVENT_HELD)] = 'h',
  [tonumber(C.TM_EVENT_CUT)] = '-',
}

-- What becomes of each record: . applied, F failed, h held, - not this time.
function Batch:states()
  local out = {}
  for i = 0, self.c.n_leases - 1 do
    local l, part = self.leases[i], {}
    for e = l.first, l.first + l.n - 1 do
      part[#part + 1] = LETTERS[self.c.events.states[e]]
    end
    out[#out + 1] = table.concat(part)
  end
  return table.concat(out, ' ')
end

function Batch:reason(event) return ffi.string(self.c.letters[event].reason) end
function Batch:class(event) return tonumber(self.c.letters[event].class) end

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
-- Refused by the second projection, when the first has taken it.
local function half(id, x) return ('{"id":"%s","x":%d,"k":"no number"}'):format(id, x) end

describe('batch', function()
  local batch
  setup(function() batch = open() end)
  teardown(function() batch:forget():close() end)
  before_each(function() batch:forget() end)

  it('moves every lane behind its last record when all are good', function()
    batch:run { { good('a', 1), good('b', 2) }, { good('a', 3) } }
    assert.are.equal('105 103', batch:ends())
    assert.are.same({ a = { 1, 3, n = 4 }, b = { 2, n = 2 } }, batch:sums())
    assert.are.same({ 1, 2, 3 }, batch:log())
    assert.are.equal(3, C.batch_moved(batch.c))
  end)

  it('sets a record aside whose handler raised, and moves over it', function()
    batch:run { { good('a', 1), bad('b', 2), good('c', 3) }, { good('a', 4), good('b', 5) } }
    assert.are.equal('107 105', batch:ends())
    assert.are.equal('.F. ..', batch:states())
    assert.are.same({ a = { 1, 4, n = 5 }, b = { 5, n = 5 }, c = { 3, n = 3 } }, batch:sums())
    assert.are.same({ 1, 3, 4, 5 }, batch:log())
    assert.are.equal(C.ERR_SCRIPT, batch:class(1))
    assert.is_truthy(batch:reason(1):find('a bad record', 1, true))
    assert.is_truthy(batch:reason(1):find('pipeline.lua:', 1, true))
  end)

  it('holds later records of the key in the same lane behind it', function()
    batch:run { { bad('a', 1), good('b', 2), good('a', 3), good('a', 4) }, { good('a', 5) } }
    assert.are.equal('F.hh .', batch:states())
    assert.are.equal('109 103', batch:ends())
    assert.are.same({ a = { 5, n = 5 }, b = { 2, n = 2 } }, batch:sums())
    assert.are.equal(102, tonumber(batch.c.letters[2].behind))
  end)

  it('holds a record behind one that the table of dead letters holds', function()
    batch:begin { { good('a', 1), good('b', 2) } }
    C.dossier_hold(batch.dossiers[0], 'a', 1, 1, 77)
    batch:decode()
    batch:fold()
    assert.are.equal('h.', batch:states())
    assert.are.equal(77, tonumber(batch.c.letters[0].behind))
  end)

  it('keeps nothing of a record that a later projection refused', function()
    batch:run { { good('a', 1), half('a', 2), good('a', 3), good('b', 4) } }
    assert.are.equal('.Fh.', batch:states())
    assert.are.same({ a = { 1, n = 1 }, b = { 4, n = 4 } }, batch:sums())
    assert.are.same({ 1, 4 }, batch:log())
    assert.is_truthy(batch:reason(1):find('log.k', 1, true))
  end)

  it('sets a record aside that cannot be read, or has no key', function()
    batch:run { { good('a', 1), '{"id":', good('a', 2) }, { '{"x":3}' }, { good('a', 4) } }
    assert.are.equal('.F. F .', batch:states())
    assert.are.equal('107 103 103', batch:ends())
    assert.are.same({ a = { 1, 2, 4, n = 7 } }, batch:sums())
    assert.are.equal(C.ERR_DATA, batch:class(1))
    assert.is_truthy(batch:reason(3):find('the key field data.id is missing', 1, true))
  end)

  it('may have no good record at all', function()
    batch:run { { bad('a', 1), good('a', 2) }, { bad('b', 3) } }
    assert.are.equal('Fh F', batch:states())
    assert.are.same({}, batch:sums())
    assert.are.same({}, batch:log())
    assert.are.equal(-1, C.batch_first_good(batch.c))
  end)

  it('folds again from the same state: the same rows', function()
    batch:run { { good('a', 1), good('b', 2), bad('a', 3) } }
    local sums, log, states = batch:sums(), batch:log(), batch:states()
    for _ = 1, 3 do
      C.batch_fold(batch.c, batch.vm, FAILURE)
      assert.are.same({ sums, log, states }, { batch:sums(), batch:log(), batch:states() })
    end
  end)

  it('decodes in slices as it does at once', function()
    local values = {}
    for i = 1, 100 do values[i] = good('a' .. i % 7, i) end
    assert.are.equal(15, batch:begin({ values }):decode(7))
    batch:fold()
    local sums = batch:sums()
    assert.are.same(sums, batch:run({ values }):sums())
    assert.are.same({ 15, 14 }, { #sums.a1, #sums.a3 })
  end)

  it('gives the same states in whatever order failures are found', function()
    local lane = { good('a', 1), good('a', 2), good('b', 3), good('a', 4) }
    local function fail(events)
      batch:begin({ lane }):decode()
      for _, e in ipairs(events) do C.verdict_fail(batch.c, e, C.ERR_DATA, 'x', 1, -1) end
      C.verdict_settle(batch.c)
      return batch:states()
    end
    assert.are.equal('.F.h', fail { 1, 3 })
    assert.are.equal('.F.h', fail { 3, 1 })
    assert.are.equal('FhFh', fail { 3, 2, 1, 0 })
  end)

  it('moves over tombstones without rows', function()
    batch:begin({ { good('a', 1), good('a', 2) }, { good('b', 3) } })
    batch.records[1].value, batch.records[2].value = nil, nil
    batch:decode()
    batch:fold()
    assert.are.equal('105 103', batch:ends())
    assert.are.same({ a = { 1, n = 1 } }, batch:sums())
  end)

  it('halts a lane of which too many records failed, before the one too many', function()
    local lane, other = {}, {}
    for i = 1, 200 do
      lane[i] = (i > 20 and i <= 80) and bad('k' .. i, i) or good('k' .. i, i)
      other[i] = good('o' .. i, i)
    end
    batch:run { lane, other }
    local limit = batch.plan.dead_letters.max_failed
    assert.are.equal(50, limit)
    assert.are.equal(20 + limit, batch.leases[0].halt)
    assert.are.equal(100 + 2 * (20 + limit) + 1, tonumber(batch.leases[0]['end']))
    assert.are.equal(('.'):rep(20) .. ('F'):rep(limit) .. ('-'):rep(130) .. ' '
      .. ('.'):rep(200), batch:states())
    assert.is_truthy(ffi.string(batch.leases[0].halt_reason):find('of the last 1000', 1, true))
    assert.are.equal(220, #batch:log())
  end)

  it('with failures in several projections comes to rest in a few runs', function()
    local lane, states = {}, {}
    for i = 1, 1000 do
      local make = i % 40 == 7 and bad or i % 40 == 27 and half or good
      lane[i], states[i] = make('k' .. i, i), make == good and '.' or 'F'
    end
    local before = batch.c.view.generation
    batch:run { lane }
    assert.are.equal(table.concat(states), batch:states())
    local runs = batch.c.view.generation - before
    assert.is_true(runs <= 6, runs .. ' runs')
  end)

  it('for any records: exactly those are applied that do not fail and are not held', function()
    math.randomseed(23)
    local function damaged(id, x)
      local kinds = { bad(id, x), '{"x":1}', '{"id":"' .. id .. '","x":"no"}', half(id, x),
                      'rubbish', '{"id":"' .. id .. '","x":1,"k":1.5}' }
      return kinds[math.random(#kinds)]
    end
    for _ = 1, 300 do
      batch:forget()
      local lanes, sums, log, states = {}, {}, {}, {}
      local share, x = math.random(1, 40), 0
      for lane = 1, math.random(1, 5) do
        local values, part, held = {}, {}, {}
        for i = 1, math.random(1, 40) do
          local id = 'r' .. math.random(6)
          x = x + 1
          local is_bad = math.random(share) == 1
          values[i] = is_bad and damaged(id, x) or good(id, x)
          local key = values[i]:match('"id":"(%w+)"')
          if key and held[key] then
            part[i] = 'h'
          elseif is_bad then
            part[i] = 'F'
            if key then held[key] = true end
          else
            part[i] = '.'
            local row = sums[id] or { n = 0 }
            row[#row + 1], row.n, sums[id] = x, row.n + x, row
            log[#log + 1] = x
          end
        end
        lanes[lane], states[lane] = values, table.concat(part)
      end
      batch:run(lanes)
      assert.are.equal(table.concat(states, ' '), batch:states())
      assert.are.same(sums, batch:sums())
      assert.are.same(log, batch:log())
    end
  end)
end)
