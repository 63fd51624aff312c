-- From the records of a loaded bundle to the plan: plain tables with every
-- default filled in, which load.c copies into struct plan. What concerns one
-- projection is in projection.lua.
local check = require 'tidemill.check'
local dsl = require 'tidemill.dsl'
local failure = require 'tidemill.failure'
local projection = require 'tidemill.projection'
local source = require 'tidemill.source'

local M = {}

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

local function dead_letters(checker, record, topics)
  local given = record.spec.dead_letters or {}
  for _, topic in ipairs(topics) do
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
    plan.source = source.new(checker, spec.source)
    plan.database = database(checker, spec.database)
    plan.limits = limits(spec)
    plan.failure = failure.resolve(checker, record, bundle, require, stock)
    plan.dead_letters = dead_letters(checker, record,
      plan.source and plan.source.topics or {})
    if plan.source then projections(checker, record, plan, require) end
  end
  if #checker.messages > 0 then return nil, table.concat(checker.messages, '\n') end
  return plan
end

return M
