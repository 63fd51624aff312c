-- inspect/recognise.h through FFI: records and a pipeline's words in, findings out.
local ffi = require 'ffi'
local core = require 'spec.core.core'
local decoding = require 'decoding'

-- A callback from C must not arrive in compiled code.
jit.off()

local M = {}

core.headers('base/arena.h', 'model/type.h', 'model/plan.h', 'inspect/recognise.h',
  'inspect/taken.h')
local C = core.lib

local headers_of = {}

local function header_of(message, name)
  local all = headers_of[tonumber(ffi.cast('intptr_t', message))] or {}
  return all[ffi.string(name)]
end

local header = ffi.cast('record_header_fn', function(message, name, out)
  local value = header_of(message, name)
  if value == nil then return 0 end
  out.name, out.value, out.len = name, value or nil, value and #value or 0
  return 1
end)

local header_at = ffi.cast('record_header_at_fn', function(message, at, out)
  local all = headers_of[tonumber(ffi.cast('intptr_t', message))] or {}
  local names = {}
  for name in pairs(all) do names[#names + 1] = name end
  table.sort(names)
  local name = names[at + 1]
  if not name then return 0 end
  out.name, out.value, out.len = core.bytes(name .. '\0'), all[name] or nil,
    all[name] and #all[name] or 0
  return 1
end)

local keep = {}

-- Cdata that lasts as long as the spec runs.
local function new(...)
  local value = ffi.new(...)
  keep[#keep + 1] = value
  return value
end

local function text(s)
  return s and core.bytes(s .. '\0') or nil
end

local function texts(list)
  if not list then return nil, 0 end
  local out = new('const char *[?]', #list + 1)
  for i, s in ipairs(list) do out[i - 1] = text(s) end
  return out, #list
end

local function topic_of(words)
  local t = new('struct plan_topic')
  t.name = text(words.name or 'srv.public.accounts')
  t.format = C['FORMAT_' .. words.format:upper()]
  if words.format == 'outbox' then t.type_header = text(words.type or 'eventType') end
  if words.format == 'json' then t.type_path = text(words.type) end
  for _, name in ipairs { 'decimals', 'times', 'binary', 'flattened', 'truncate' } do
    if words[name] then t[name] = C[(name .. '_' .. words[name]):upper()] end
  end
  if words.outbox then
    local o = new('struct plan_outbox')
    for _, name in ipairs { 'id', 'key', 'type', 'payload', 'time' } do
      o[name] = text(words.outbox[name])
    end
    t.outbox = o
  end
  return t
end

local function column(c, name, spec, is_key)
  local word, from = spec, nil
  if type(spec) == 'table' then word, from = spec[1], spec.from end
  c.name, c.is_key = text(name), is_key
  assert(C.type_parse(word, c.type), word)
  if from == 'key' then
    c.from = C.FROM_KEY
  elseif from then
    c.from = C.FROM_PATH
    c.paths, c.n_paths = texts { from }
  end
end

-- { kind = 'mirror', exact = 'aligned', key = { { name, type } }, columns = … }
local function projection_of(words, p)
  local key, columns = words.key or { { 'id', 'uuid' } }, words.columns or {}
  p.table = text(words.table or 'copies')
  p.kind = C['KIND_' .. (words.kind or 'mirror'):upper()]
  p.exact = C['EXACT_' .. (words.exact or 'overwrite'):upper()]
  p.columns = new('struct plan_column[?]', #key + #columns + 1)
  p.n_key, p.n_columns = #key, #key + #columns
  for i, c in ipairs(key) do column(p.columns[i - 1], c[1], c[2], true) end
  for i, c in ipairs(columns) do column(p.columns[#key + i - 1], c[1], c[2], false) end
  p.types, p.n_types = texts(words.types)
  p.ignore, p.n_ignore = texts(words.ignore)
  p.strict, p.newer, p.once, p.unlogged = words.strict or false, -1, -1, false
  p.empties = p.kind == C.KIND_MIRROR
  p.has_handler, p.file = not p.empties, text 'pipeline.lua'
end

local function plan_of(pipeline)
  local plan, projections = new('struct plan'), pipeline.projections or {}
  C.arena_init(plan.arena, 0)
  ffi.gc(plan.arena, C.arena_close)
  plan.projections = new('struct plan_projection[?]', #projections + 1)
  plan.n_projections = #projections
  for i, p in ipairs(projections) do projection_of(p, plan.projections[i - 1]) end
  plan.source.settings = topic_of(pipeline.topic)
  plan.source.topics = new('const char *[1]', plan.source.settings.name)
  plan.source.n_topics = 1
  return plan
end

-- Each in a block of its own, so that a sanitizer sees what is read beyond it.
local function copy(bytes)
  if not bytes then return nil, 0 end
  local block = ffi.gc(ffi.C.malloc(math.max(#bytes, 1)), ffi.C.free)
  keep[#keep + 1] = block
  ffi.copy(block, bytes, #bytes)
  return block, #bytes
end

local function records_of(records)
  local out = new('struct record[?]', #records + 1)
  headers_of = {}
  for i, r in ipairs(records) do
    local c = out[i - 1]
    c.key, c.key_len = copy(r.key)
    c.value, c.value_len = copy(r.value)
    c.topic, c.offset, c.time_ms = text(r.topic or 'topic'), i - 1, 1
    c.message = ffi.cast('void *', i)
    headers_of[i] = r.headers
  end
  return out
end

-- What a run of the pipeline makes of each record.
local function taken_of(plan, records, n, arena)
  local out = new('struct taken[?]', n + 1)
  local trial = ffi.gc(C.tm_trial_new(plan), C.tm_trial_free)
  for i = 0, n - 1 do out[i] = C.taken_by(trial, plan, records + i, header_at, arena) end
  return out
end

--- { summary, refused = { reason of each record, or false },
---   list = { { is_warning, what, cure, offset or nil } } }
---@param pipeline { topic: table, projections: table[], partitions: integer? }
---@param records table[] or the name of a fixture
function M.look(pipeline, records)
  if type(records) == 'string' then records = decoding.fixture(records) end
  local q, out, arena = ffi.new('struct recognise'), ffi.new('struct recognised'),
    core.arena()
  local plan = plan_of(pipeline)
  local list = new('const struct plan_projection *[?]', plan.n_projections + 1)
  for i = 0, plan.n_projections - 1 do list[i] = plan.projections + i end
  q.topic, q.projections, q.n_projections = plan.source.settings, list, plan.n_projections
  q.n_partitions = pipeline.partitions or 1
  q.records, q.n = records_of(records), #records
  q.header, q.header_at = header, header_at
  q.taken = taken_of(plan, q.records, #records, arena)
  if pipeline.passed then q.passed = new('bool[?]', #records + 1, pipeline.passed) end
  C.recognise(q, arena, out)
  local found = { summary = ffi.string(out.summary), list = {}, refused = {},
    keys = out.keys ~= nil and ffi.string(out.keys) or nil }
  for i = 1, #records do
    local why = q.taken[i - 1].reason
    found.refused[i] = why ~= nil and ffi.string(why)
  end
  for i = 0, out.n - 1 do
    local f = out.list[i]
    found.list[i + 1] = {
      is_warning = f.is_warning, what = ffi.string(f.what), cure = ffi.string(f.cure),
      offset = f.record ~= nil and tonumber(f.record.offset) or nil,
    }
  end
  return found
end

return M
