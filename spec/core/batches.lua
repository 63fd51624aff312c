-- Batches without Kafka and PostgreSQL: leases over records made here, the real
-- decoder, keys, VM and rows. Load it before spec.core.core.
local flow = require 'spec.core.flow'
local bundles = require 'spec.unit.bundles'
local ffi = require 'ffi'
local core = require 'spec.core.core'
local C = core.lib

-- A callback from C must not arrive in compiled code.
jit.off()

ffi.cdef 'int setenv(const char *, const char *, int);'
ffi.C.setenv('TIDEMILL_SCRIPTS', (os.getenv('TIDEMILL_ROOT') or '.') .. '/scripts', 0)

local MAX_RECORDS, MAX_LANES = 4000, 16
local FAILURE = ffi.new('struct err')
local no_header = ffi.cast('record_header_fn', function() return false end)

local M = {}
local Batch = {}
Batch.__index = Batch
M.Batch = Batch

--- A generation of the bundle, which must outlive it.
function M.generation(bundle)
  local e = ffi.new('struct err')
  local vm = C.vm_new(bundle, e)
  assert(vm ~= nil, ffi.string(e.text))
  local plan = C.vm_load(vm, e)
  assert(plan ~= nil, ffi.string(e.text))
  local generation = C.generation_new(bundle, vm, plan, no_header)
  assert(C.generation_prepare(generation, e), ffi.string(e.text))
  return generation
end

--- Records and leases for batch [c], which is bound to the generation from here on.
function M.of(c, generation)
  local self = setmetatable({ c = c, generation = generation }, Batch)
  self.vm, self.plan = generation.vm, generation.plan
  C.batch_bind(c, generation)
  self.records = ffi.new('struct record[?]', MAX_RECORDS)
  self.leases = ffi.new('struct lease[?]', MAX_LANES)
  return self:forget()
end

local function open(folder)
  local bundle, c = core.bundle(folder), ffi.new('struct batch')
  C.batch_init(c)
  local self = M.of(c, M.generation(bundle))
  self.bundle = bundle
  return self
end

--- The program's parts under a batch of this pipeline.
function M.open(pipeline)
  return bundles.with({ ['pipeline.lua'] = pipeline }, open)
end

--- Calls each(batch).
function M.with(pipeline, each)
  local self = M.open(pipeline)
  local ok, reason = xpcall(each, debug.traceback, self)
  self:forget():close()
  if not ok then error(reason, 0) end
end

function Batch:close()
  C.batch_close(self.c)
  C.generation_drop(self.generation)
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
  C.batch_clear(b)
  for i, values in ipairs(lanes) do
    local lease = self.leases[i - 1]
    ffi.fill(lease, ffi.sizeof(lease))
    lease.lane, lease.first, lease.n = self.lanes[i - 1], at, #values
    lease.start = 100
    for j, value in ipairs(values) do
      add(self, at, i - 1, value, 100 + 2 * j)
      at = at + 1
    end
  end
  b.input.records, b.input.leases, b.input.n_leases = self.records, self.leases, #lanes
  b.input.header = no_header
  C.batch_prepare(b, at)
  return self
end

function Batch:decode(slice)
  local turns = 1
  while not C.batch_decode(self.c, slice or MAX_RECORDS) do turns = turns + 1 end
  return turns
end

--- [load]: reads rows before the handlers run.
function Batch:fold(load)
  C.batch_keys(self.c)
  if load then load(self) end
  assert(C.batch_fold(self.c, FAILURE), 'the rows did not come to rest')
  C.batch_set_ends(self.c)
  return self
end

function Batch:run(lanes, load)
  self:begin(lanes):decode()
  return self:fold(load)
end

-- Lanes and their guards as if nothing had ever failed.
function Batch:forget()
  local list = {}
  for i = 1, MAX_LANES do list[i] = {} end
  self.lanes = flow.lanes(list, 't', self.plan.dead_letters.max_failed)
  return self
end

-- The position after, of each lane.
function Batch:ends()
  local out = {}
  for i = 0, self.c.input.n_leases - 1 do out[#out + 1] = tonumber(self.leases[i]['end']) end
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
  for i = 0, self.c.input.n_leases - 1 do
    local l, part = self.leases[i], {}
    for e = l.first, l.first + l.n - 1 do
      part[#part + 1] = LETTERS[self.c.input.events.states[e]]
    end
    out[#out + 1] = table.concat(part)
  end
  return table.concat(out, ' ')
end

function Batch:reason(event) return ffi.string(self.c.failures.letters[event].reason) end
function Batch:class(event) return tonumber(self.c.failures.letters[event].class) end

-- ---- rows between batches ----

--- Hands rows over as if just read: of projection number [index] from 0,
--- [rows]: key -> cells by column, as store() keeps them.
function Batch:load(index, rows)
  local r = self.c.rows[index]
  for row = r.first_row, r.view.n_rows - 1 do
    local kept = rows[flow.value(r.view.cells[0][row])]
    if kept then
      r.base_flags[row] = C.TM_ROW_LOADED + C.TM_ROW_EXISTS
      for column, cell in pairs(kept) do r.base[column][row] = cell end
    end
  end
end

--- Keeps what the batch left in its rows, as a table of the database would: for
--- columns of numbers.
function Batch:store(index, rows)
  local view = self.c.rows[index].view
  for row = self.c.rows[index].first_row, view.n_rows - 1 do
    local key, kept = flow.value(view.cells[0][row]), nil
    if bit.band(view.flags[row], C.TM_ROW_EXISTS) ~= 0 then
      kept = {}
      for column = 1, view.n_columns - 1 do
        kept[column] = ffi.new('struct tm_cell', view.cells[column][row])
      end
    end
    rows[key] = kept
  end
end

return M
