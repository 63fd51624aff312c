-- runtime/flow for specs: pipelines made by the DSL, run through the tm_trial
-- functions; and lanes without Kafka. Load it before spec.core.core.
local bundles = require 'spec.unit.bundles'
local ffi = require 'ffi'
local core = require 'spec.core.core'

local M = {}

core.headers('base/err.h', 'base/buf.h', 'model/type.h', 'model/plan.h', 'base/hash.h',
  'base/list.h', 'base/loop.h', 'model/page.h', 'model/record.h', 'model/anchor.h',
  'decode/value/convert.h', 'decode/envelope/decoder.h', 'postgres/wire/conn.h', 'kafka/source.h',
  'model/failure.h', 'lua/vm.h', 'flow/rows/program.h', 'flow/rows/rows.h', 'flow/rows/table_set.h', 'flow/lane/guard.h',
  'flow/lane/dossier.h', 'flow/batch/letter.h', 'flow/batch/batch.h', 'flow/batch/verdict.h', 'flow/batch/truncate.h',
  'flow/rows/layers.h', 'flow/table/cache.h', 'flow/engine/recall.h')

local C = core.lib

local function hex(bytes)
  return (bytes:gsub('.', function(c) return ('%02x'):format(c:byte()) end))
end

--- A key or row cell as plain Lua.
function M.value(cell)
  local tag = core.tag(cell)
  if tag == 'missing' then return 'missing' end
  if tag == 'null' then return 'null' end
  if tag == 'uuid' then return hex(ffi.string(cell.p, 16)) end
  if tag == 'text' or tag == 'bytes' then return ffi.string(cell.p, cell.len) end
  if tag == 'dec' then return tonumber(cell.i) / 10 ^ cell.scale end
  return tonumber(cell.i)
end

local Trial = {}
Trial.__index = Trial

local JSON = "kafka { brokers = 'b', group = 'g', topics = { 't' }, format = 'json' }"

--- A trial of one projection; [format] is json unless said; [words]: more of kafka.
function M.trial(projection, format, words)
  local source = JSON:gsub("'json'", "'" .. (format or 'json') .. "'" .. (words or ''))
  local bundle = bundles.load(bundles.pipeline('projection { ' .. projection .. ' }', source))
  return setmetatable({ bundle = bundle, c = bundle.trial }, Trial)
end

--- Records in: a key (string or nil) and a value (JSON) each.
function Trial:decode(records)
  C.tm_trial_reset(self.c)
  for i, r in ipairs(records) do
    local key, value = r[1], r[2]
    C.tm_trial_event(self.c, r.topic or 't', r.partition or 0, i - 1, 1700000000000,
      key, key and #key or -1, value, value and #value or -1)
  end
  self.batch = C.tm_trial_decode(self.c)
  return self
end

--- The rows of the projection. nil, what is wrong and the index of its record.
function Trial:rows(records)
  self:decode(records)
  local view = C.tm_trial_rows(self.c, 0)
  if view == nil then return nil, ffi.string(self.batch.error), self.batch.current end
  if self.bundle.plan.projections[1].keys_in_lua then
    self.bundle.program.keys(self.batch, view)
    C.tm_trial_ready(self.c, view)
  end
  self.view, self.c_rows = view, ffi.cast('struct rows *', view)
  return self.view
end

--- Runs the handlers over the pairs.
function Trial:fold() self.bundle.program.fold(self.batch, self.view) end

function Trial:cell(column, row) return M.value(self.view.cells[column][row]) end

--- The pairs as 'event>row', in order.
function Trial:pairs()
  local out = {}
  for i = 0, self.view.n_pairs - 1 do
    out[#out + 1] = self.view.pair_event[i] .. '>' .. self.view.pair_row[i]
  end
  return table.concat(out, ' ')
end

--- The key of each row; of several columns joined by '/'.
function Trial:keys()
  local n_key, out = self.bundle.plan.projections[1].n_key, {}
  for row = self.c_rows.first_row, self.view.n_rows - 1 do
    local parts = {}
    for i = 1, n_key do parts[i] = self:cell(i - 1, row) end
    out[#out + 1] = n_key == 1 and parts[1] or table.concat(parts, '/')
  end
  return out
end

--- A row as if the table held it: one value (a cell) for each column behind
--- the key.
function Trial:given(row, ...)
  local n_key = self.bundle.plan.projections[1].n_key
  for i, cell in ipairs { ... } do
    assert(C.tm_trial_given(self.c, self.view, n_key + i - 1, row, cell) == 0)
  end
end

--- Lanes in a list, as the source keeps them; fields of each over the defaults.
function M.lanes(list)
  local lanes = ffi.new('struct lane[?]', #list)
  for i, fields in ipairs(list) do
    local lane = lanes[i - 1]
    lane.is_assigned, lane.partition, lane.epoch = true, i - 1, 10 + i
    lane.inbox.count = fields.count or 0
    lane.inbox.bytes = fields.bytes or 100 * lane.inbox.count
    lane.waiting_since = fields.since or 1
    for name, value in pairs(fields) do
      if not ({ count = 1, bytes = 1, since = 1 })[name] then lane[name] = value end
    end
    lane.next = i < #list and lanes + i or nil
  end
  return lanes
end

return M
