-- runtime/flow for specs: pipelines made by the DSL, run through the tm_trial
-- functions; and lanes without Kafka. Load it before spec.core.core.
local bundles = require 'spec.unit.bundles'
local ffi = require 'ffi'
local core = require 'spec.core.core'

local M = {}

core.headers('base/err.h', 'base/buf.h', 'model/type.h', 'model/plan.h', 'base/hash.h',
  'base/list.h', 'base/loop.h', 'model/page.h', 'model/record.h', 'model/anchor.h',
  'decode/value/convert.h', 'decode/envelope/decoder.h', 'postgres/wire/conn.h', 'kafka/source.h',
  'model/failure.h', 'lua/vm.h', 'flow/rows/program.h', 'flow/rows/rows.h', 'flow/rows/table_set.h',
  'model/facts.h', 'postgres/store/shape.h', 'flow/generation/generation.h', 'flow/lane/guard.h',
  'flow/lane/held_keys.h', 'flow/lane/lane.h', 'flow/batch/letter.h', 'flow/batch/batch.h',
  'flow/batch/stages.h', 'flow/batch/failures.h', 'flow/batch/truncate.h',
  'flow/rows/layers.h', 'flow/table/cache_ring.h', 'flow/run/row_cache.h')

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

local Lanes = {}

-- By number, from 0 on: in their order.
function Lanes:__index(key) return Lanes[key] or self.list[key] end

--- A batch has the lane of that number, and no more.
function Lanes:lease(i) C.lane_lease(self[i]) end
function Lanes:free(i) C.lane_end_lease(self[i]) end

--- So many records wait for it, of so many bytes, the oldest since then.
function Lanes:give(i, count, bytes, since)
  local p = self[i].kafka
  p.inbox.count, p.inbox.bytes, p.waiting_since = count, bytes or 100 * count, since or 1
  C.lane_place_again(self[i])
end

local function assign(to, fields)
  for name, value in pairs(fields) do
    if type(value) == 'table' then assign(to[name], value) else to[name] = value end
  end
end

--- Fields of the lane of that number, which may decide where it belongs.
function Lanes:set(i, fields)
  assign(self[i], fields)
  C.lane_place_again(self[i])
end

local OWN = { count = 1, bytes = 1, since = 1, state = 1, kafka = 1 }

local function claim(self, i, fields)
  local lane = self[i]
  lane.kafka.is_offered, lane.kafka.is_assigned = false, true
  lane.epoch = 11 + i
  C.lane_claim(lane)
  C.lane_claimed(lane)
  for name, value in pairs(fields) do
    if not OWN[name] then assign(lane, { [name] = value }) end
  end
  if fields.state ~= 'WANTS_KEYS' then C.lane_has_keys(lane) end
  self:give(i, fields.count or 0, fields.bytes, fields.since)
  if fields.state and fields.state ~= 'WANTS_KEYS' then
    C.lane_lease(lane)
    if fields.state ~= 'LEASED' then
      C.lane_become(lane, C['LANE_' .. fields.state])
      C.lane_end_lease(lane)
    end
  end
end

--- Lanes that are claimed, of the partitions 0, 1, ... of a topic; fields of each over
--- the defaults. count, bytes, since: of what waits; kafka: fields of the partition;
--- state: that it is brought into.
function M.lanes(list, topic, max_failed)
  local self = setmetatable({
    list = {}, partitions = ffi.new('struct partition[?]', #list + 1),
    c = ffi.gc(ffi.new('struct lanes'), C.lanes_close), topic = core.bytes((topic or 't') .. '\0'),
  }, Lanes)
  C.lanes_init(self.c, max_failed or 50, 2 ^ 30)
  for i, fields in ipairs(list) do
    local p = self.partitions[i - 1]
    p.topic, p.number, p.is_offered, p.n_offers = self.topic, i - 1, true, 1
    p.next = i < #list and self.partitions + i or nil
    assign(p, fields.kafka or {})
  end
  C.lanes_take(self.c, #list > 0 and self.partitions or nil)
  for i, fields in ipairs(list) do
    self.list[i - 1] = ffi.cast('struct lane *', self.partitions[i - 1].lane)
    claim(self, i - 1, fields)
  end
  return self
end

return M
