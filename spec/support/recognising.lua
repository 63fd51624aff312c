-- tidemill.inspect on records: a pipeline's words in, findings out.
local core = require 'tidemill.core.api'
local decoding = require 'decoding'
local inspect = require 'tidemill.inspect.inspect'

local M = {}

local function topic_of(words)
  local topic = {
    name = 'srv.public.accounts', decimals = 'unsaid', times = 'unsaid',
    binary = 'unsaid', flattened = 'unsaid', truncate = 'halt',
  }
  for name, word in pairs(words) do topic[name] = word end
  topic.type = nil
  if words.format == 'outbox' then topic.type_header = words.type or 'eventType' end
  if words.format == 'json' then topic.type_path = words.type end
  if words.times == 'iso' then topic.times = 'isostring' end
  return topic
end

local function column(name, spec, is_key)
  local c = { name = name, type = spec, is_key = is_key, from = 'field', merge = 'none',
    line = 1 }
  if type(spec) == 'table' then
    c.type, c.from = spec[1], spec.from == 'key' and 'key' or 'path'
    c.paths = c.from == 'path' and { spec.from } or nil
  end
  local t = assert(core.host.type(c.type), c.type)
  c.kind, c.precision, c.scale = t.kind, t.precision, t.scale
  return c
end

-- { kind = 'mirror', exact = 'aligned', key = { { name, type } }, columns = … }
local function projection_of(words)
  local key, columns = words.key or { { 'id', 'uuid' } }, {}
  local p = {
    table = words.table or 'copies', kind = words.kind or 'mirror',
    exact = words.exact or 'overwrite', n_key = #key, columns = columns,
    types = words.types, ignore = words.ignore,
    strict = words.strict or false, newer = -1, once = -1, once_path = words.once_path,
    file = 'pipeline.lua', line = 1, n_set = 0,
  }
  p.empties = p.kind == 'mirror'
  p.has_handler = not p.empties
  for _, c in ipairs(key) do columns[#columns + 1] = column(c[1], c[2], true) end
  for _, c in ipairs(words.columns or {}) do
    columns[#columns + 1] = column(c[1], c[2], false)
  end
  return p
end

local function plan_of(pipeline)
  local topic = topic_of(pipeline.topic)
  local plan = {
    name = 'p', path = 'pipeline.lua', folder = '.', hash = ('0'):rep(64),
    resolved = {},
    projections = {},
    source = { brokers = '', group = 'p', start = 'unsaid', start_ms = 0, options = {},
      topics = { topic.name }, settings = { topic } },
    database = { write = '', file = 'pipeline.lua', line = 1, timeouts = {}, retry = {},
      breaker = {} },
    limits = {}, cache = {}, failure = { title = '' }, dead_letters = { holds = true },
  }
  for i, p in ipairs(pipeline.projections or {}) do
    plan.projections[i] = projection_of(p)
  end
  return plan
end

local function records_of(records, passed)
  local list = {}
  for i, r in ipairs(records) do
    local headers = {}
    for name, value in pairs(r.headers or {}) do
      headers[#headers + 1] = { name, value }
    end
    table.sort(headers, function(a, b) return a[1] < b[1] end)
    list[i] = { key = r.key, value = r.value, topic = r.topic or 'topic', partition = 0,
      offset = i - 1, time_ms = 1, headers = headers,
      is_passed = passed and passed[i] or false }
  end
  return list
end

--- { summary, keys, refused = { reason of each record, or false },
---   list = { { is_warning, what, hint, offset or nil } } }
---@param pipeline { topic: table, projections: table[], partitions: integer? }
---@param records table[] or the name of a fixture
function M.look(pipeline, records)
  if type(records) == 'string' then records = decoding.fixture(records) end
  local plan = plan_of(pipeline)
  local pointer, owner = core.host.plan(plan)
  local found = inspect.look(plan, pointer, 1, pipeline.partitions or 1,
    records_of(records, pipeline.passed))
  assert(owner)
  local out = { summary = found.summary, keys = found.keys, list = {}, refused = {} }
  for i, s in ipairs(found.samples) do out.refused[i] = s.refused or false end
  for _, f in ipairs(found.findings) do
    if not f.is_unexplained then
      f.offset = f.at and f.at - 1
      out.list[#out.list + 1] = f
    end
  end
  return out
end

return M
