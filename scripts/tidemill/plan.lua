-- From the records of a loaded bundle to the plan: plain tables with every
-- default filled in, which load.c copies into struct plan. What concerns one
-- projection is in projection.lua.
local check = require 'tidemill.check'
local dsl = require 'tidemill.dsl'
local failure = require 'tidemill.failure'
local projection = require 'tidemill.projection'
local words = require 'tidemill.words'

local M = {}

-- librdkafka properties that the pipeline sets by another word, or that
-- exactly-once rests on.
local RESERVED = {
  ['bootstrap.servers'] = 'write brokers = …',
  ['metadata.broker.list'] = 'write brokers = …',
  ['group.id'] = 'write group = …',
  ['group.instance.id'] = 'use --instance',
  ['auto.offset.reset'] = 'write start = …',
}
for _, name in ipairs {
  'enable.auto.commit', 'enable.auto.offset.store', 'isolation.level',
  'enable.partition.eof', 'partition.assignment.strategy', 'auto.commit.enable',
  'auto.commit.interval.ms', 'session.timeout.ms', 'max.poll.interval.ms', 'check.crcs',
} do
  RESERVED[name] = 'exactly-once rests on its value'
end

local function options(checker, record)
  local out, names = {}, {}
  for name in pairs(record.spec.options or {}) do names[#names + 1] = tostring(name) end
  table.sort(names)
  for _, name in ipairs(names) do
    local value = record.spec.options[name]
    local path = { 'options', name }
    if RESERVED[name] then
      checker.fail(record, path, ("the property '%s' is reserved: %s"):format(name,
        RESERVED[name]))
    elseif type(value) == 'table' or type(value) == 'function' or value == nil then
      checker.fail(record, path, ("the property '%s' must be a text, a number or a "
        .. "boolean: options = { ['name'] = 'value' }"):format(name))
    else
      local text = value
      if type(value) == 'number' then text = ('%.14g'):format(value) end
      out[#out + 1] = { name = name, value = tostring(text) }
    end
  end
  return out
end

-- "2024-01-31T12:00:00Z" in milliseconds since 1970; nil when it is no time.
local function iso_ms(text)
  local y, mo, d, h, mi, s = text:match(
    '^(%d%d%d%d)%-(%d%d)%-(%d%d)[T ](%d%d):(%d%d):(%d%d)Z$')
  if not y then
    y, mo, d = text:match('^(%d%d%d%d)%-(%d%d)%-(%d%d)$')
    h, mi, s = 0, 0, 0
  end
  if not y then return nil end
  y, mo, d = tonumber(y), tonumber(mo), tonumber(d)
  if mo < 1 or mo > 12 or d < 1 or d > 31 then return nil end
  -- Days since 1970 with the year beginning in March, so that leap days are last.
  local year = mo <= 2 and y - 1 or y
  local era = math.floor(year / 400)
  local day = math.floor((153 * (mo + (mo > 2 and -3 or 9)) + 2) / 5) + d - 1
  local of_era = (year - era * 400) * 365 + math.floor((year - era * 400) / 4)
    - math.floor((year - era * 400) / 100) + day
  local days = era * 146097 + of_era - 719468
  return ((days * 24 + tonumber(h)) * 60 + tonumber(mi)) * 60000 + tonumber(s) * 1000
end

local STARTS = { 'earliest', 'latest', 'group' }

local function start(checker, record, out)
  local value = record.spec.start
  out.start, out.start_ms = 'unsaid', 0
  if value == nil then return end
  if type(value) == 'table' then value = value.timestamp end
  for _, word in ipairs(STARTS) do
    if value == word then
      out.start = word
      return
    end
  end
  local ms = value
  if type(value) == 'string' then ms = iso_ms(value) end
  if type(ms) ~= 'number' or ms < 0 or ms ~= math.floor(ms) then
    checker.fail(record, { 'start' }, ("start = '%s'%s, or a time: milliseconds since "
      .. "1970 or '2024-01-31T12:00:00Z'"):format(tostring(value),
      words.hint(value, STARTS)))
    return
  end
  out.start, out.start_ms = 'timestamp', ms
end

local function source(checker, record)
  local spec = record.spec
  if not check.record(checker, record) then return nil end
  if not check.texts(checker, record, { 'topics' }, spec.topics) then return nil end
  local out = {
    brokers = spec.brokers, group = spec.group, topics = spec.topics,
    format = spec.format, decimals = spec.decimals or 'unsaid',
    times = spec.times or 'unsaid',
    options = options(checker, record),
  }
  start(checker, record, out)
  if spec.format == 'outbox' then
    out.type_header = (spec.type or 'eventType'):gsub('^headers%.', '')
  elseif spec.format == 'json' then
    out.type_path = spec.type
    if spec.type and not spec.type:find('^data%.[^.]') then
      checker.fail(record, { 'type' }, ("type = '%s' must be a path into the record: "
        .. "type = 'data.kind'"):format(spec.type))
    end
  elseif spec.type then
    checker.fail(record, { 'type' }, "'type' is for the formats outbox and json: with "
      .. "debezium event.type is the letter of the operation")
  end
  return out
end

local DATABASE = {
  timeouts = {
    connect_ms = 5000, statement_ms = 60000, lock_ms = 20000,
    idle_in_transaction_ms = 60000, tcp_user_ms = 30000,
  },
  retry = { floor_ms = 100, cap_ms = 4000 },
  breaker = { window = 20, failures = 5, ratio = 0.5, open_ms = 500, open_max_ms = 4000 },
}

local function with_defaults(given, defaults)
  local out = {}
  for name, value in pairs(defaults) do out[name] = value end
  for name, value in pairs(given or {}) do out[name] = value end
  return out
end

local function database(checker, record)
  if not check.record(checker, record) then return nil end
  local spec = record.spec
  local pool = spec.pool or {}
  local out = { write = spec.write, read = spec.read, pool_max = pool.max or 8 }
  for name, defaults in pairs(DATABASE) do
    out[name] = with_defaults(spec[name], defaults)
  end
  -- Defaults included: who lowers one of two may have to lower the other.
  local function ordered(name, low, high)
    local t = out[name]
    if t[low] > t[high] then
      checker.fail(record, { name }, ("'%s' (%d) must not be above '%s' (%d)"):format(low,
        t[low], high, t[high]))
    end
  end
  ordered('retry', 'floor_ms', 'cap_ms')
  ordered('breaker', 'failures', 'window')
  ordered('breaker', 'open_ms', 'open_max_ms')
  ordered('timeouts', 'lock_ms', 'statement_ms')
  return out
end

local function limits(spec)
  local batch = spec.batch or {}
  return {
    size = batch.size or 10000, bytes = batch.bytes or 8 * 1024 * 1024,
    linger_ms = batch.linger_ms or 100, concurrency = batch.concurrency or 4,
  }
end

local function dead_letters(checker, record)
  local given = record.spec.dead_letters or {}
  local topics = record.spec.source.spec.topics
  for _, topic in ipairs(type(topics) == 'table' and topics or {}) do
    if topic == given.topic then
      checker.fail(record, { 'dead_letters', 'topic' }, ("'%s' is a topic that this "
        .. 'pipeline reads: dead letters need one of their own'):format(topic))
    end
  end
  return {
    max_failed = math.floor((given.max_share or 0.05) * 1000),
    max_held = given.max_held or 10000,
    holds = given.hold ~= false, topic = given.topic,
  }
end

-- One entry of `projections`: a record, or the name of a module that gives one.
local function resolve(checker, record, item, require)
  if type(item) == 'string' then
    local found = require(item)
    if not dsl.is_record(found, 'projection') then
      checker.fail(record, { 'projections', item }, ("the module '%s' must return "
        .. 'projection { … }, and gives %s'):format(item, check.name_type(found)))
      return nil
    end
    found.module = item
    return found
  elseif dsl.is_record(item, 'projection') then
    return item
  end
  checker.fail(record, { 'projections' }, "'projections' is a list of module names and "
    .. 'projection { … }, not of ' .. check.name_type(item))
end

local function count(t)
  local n = 0
  for _ in pairs(t) do n = n + 1 end
  return n
end

local function projections(checker, record, plan, require)
  local list, by_table = record.spec.projections, {}
  if dsl.is_record(list) or #list == 0 or #list ~= count(list) then
    checker.fail(record, { 'projections' }, "'projections' must be a list with at least "
      .. "one entry: projections = { 'projections.balances' }")
    return
  end
  for _, item in ipairs(list) do
    local found = resolve(checker, record, item, require)
    local p = found and projection.new(checker, found, plan)
    if p then
      local other = by_table[p.table]
      if other then
        checker.fail(found, { 'table', p.table }, ("the table '%s' belongs to another "
          .. 'projection already (%s:%d): a table has one owner')
          :format(p.table, other.file, other.line))
      end
      by_table[p.table] = p
      plan.projections[#plan.projections + 1] = p
    end
  end
end

---@param record table the record that the pipeline file returned
---@param bundle table as read by the core
---@param stock table the rules of Tidemill
---@return table|nil plan, string? messages
function M.new(record, bundle, require, stock)
  local checker = check.new()
  local spec = record.spec
  local plan = {
    path = record.file, folder = bundle.folder, hash = bundle.hash, name = spec.name,
    projections = {},
  }
  if check.record(checker, record) then
    if not spec.name:find('^[%w_%-%.]+$') or #spec.name > 100 then
      checker.fail(record, { 'name' }, "'name' may have letters, digits, _ - and . only")
    end
    plan.source = source(checker, spec.source)
    plan.database = database(checker, spec.database)
    plan.limits = limits(spec)
    plan.failure = failure.resolve(checker, record, bundle, require, stock)
    plan.dead_letters = dead_letters(checker, record)
    if plan.source then projections(checker, record, plan, require) end
  end
  if #checker.messages > 0 then return nil, table.concat(checker.messages, '\n') end
  return plan
end

return M
