-- From the records of a loaded bundle to the plan: plain tables with every
-- default filled in, which load.c copies into struct plan. What concerns one
-- projection is in projection.lua.
local cache = require 'tidemill.plan.cache'
local check = require 'tidemill.plan.check'
local dsl = require 'tidemill.load.dsl'
local failure = require 'tidemill.plan.failure'
local locate = require 'tidemill.load.locate'
local parts = require 'tidemill.plan.parts'
local projection = require 'tidemill.plan.projection'
local protected = require 'tidemill.core.protected'
local schema = require 'tidemill.plan.schema'
local set = require 'tidemill.plan.table_set'
local source = require 'tidemill.plan.source'
local trace = require 'tidemill.core.trace'

local M = {}

local function with_defaults(given, field)
  local out = {}
  for name, f in pairs(field.fields) do out[name] = f.default end
  for name, value in pairs(given or {}) do out[name] = value end
  return out
end

local function database(checker, record)
  if not check.record(checker, record) then return nil end
  local spec = record.spec
  local fields = schema.postgres
  local out = { write = spec.write, read = spec.read, file = record.file,
    pool_max = with_defaults(spec.pool, fields.pool).max, line = record.line }
  for _, name in ipairs { 'timeouts', 'retry', 'breaker' } do
    out[name] = with_defaults(spec[name], fields[name])
  end
  -- Defaults included: who lowers one of two may have to lower the other.
  local function ordered(name, low, high)
    local t = out[name]
    if t[low] > t[high] then
      local given = (spec[name] or {})[low] and low or high
      checker.fail(record, { name, given }, ("'%s' (%d) must not be above '%s' (%d)")
        :format(low, t[low], high, t[high]))
    end
  end
  ordered('retry', 'floor_ms', 'cap_ms')
  ordered('breaker', 'failures', 'window')
  ordered('breaker', 'open_ms', 'open_max_ms')
  ordered('timeouts', 'lock_ms', 'statement_ms')
  return out
end

-- The direct mode: a transaction for each event, as soon as it is there.
local DIRECT = { size = 1, linger_ms = 0 }

local function limits(spec)
  local given = spec.batch == false and DIRECT or spec.batch
  return with_defaults(given, schema.pipeline.batch)
end

-- A batch has memory for each column of each event: with tables of more than 64 columns
-- it has fewer events, so that it takes no more than with one of 64.
local WIDE = 64

local function narrow(limit, list)
  local widest = WIDE
  for _, p in ipairs(list) do widest = math.max(widest, #p.columns) end
  if widest > WIDE then
    limit.given_size, limit.widest = limit.size, widest
    limit.size = math.max(1, math.floor(limit.size * WIDE / widest))
  end
end

local function dead_letters(checker, record, topics)
  local given = with_defaults(record.spec.dead_letters, schema.pipeline.dead_letters)
  for _, topic in ipairs(topics) do
    if topic == given.topic then
      checker.fail(record, { 'dead_letters', 'topic' }, ("'%s' is a topic that this "
        .. 'pipeline reads: dead letters need one of their own'):format(topic))
    end
  end
  return {
    max_failed = math.floor(given.max_share * 1000), max_held = given.max_held,
    holds = given.hold, topic = given.topic,
  }
end

-- One entry of `projections`: a record, or the name of a module that gives one.
local function resolve(checker, record, item, i, require)
  if type(item) == 'string' then
    local line = locate.position(record, { 'projections', i })
    local ok, found, place = xpcall(require, trace.trace, item,
      ('%s:%d: '):format(record.file, line))
    if not ok then
      -- The state is not safe to use without memory.
      if protected.is_no_memory(found) then protected.raise_no_memory() end
      return checker.add(found)
    elseif not place then
      return nil
    end
    if not dsl.is_record(found, 'projection') then
      checker.fail_at({ word = 'projection', spec = {}, file = place.file }, place.line,
        1, ("the module '%s' must return projection { … }, and gives %s"):format(item,
        found == true and 'nothing' or check.name_type(found)))
      return nil
    end
    found.module = item
    return found
  elseif dsl.is_record(item, 'projection') then
    return item
  end
  checker.fail(record, { 'projections', i }, "'projections' is a list of module names "
    .. 'and projection { … }, not of ' .. check.name_type(item))
end

local function check_list(checker, record, list)
  local before, last = #checker.messages, 0
  for key in next, list do
    if type(key) == 'number' and key >= 1 and key == math.floor(key) then
      last = math.max(last, key)
    else
      checker.fail(record, { 'projections', key }, type(key) == 'number'
        and ("'projections' is a list that begins at 1, and has something at %s")
          :format(tostring(key))
        or ("'projections' is a list: write what it has without the name '%s'")
          :format(tostring(key)))
    end
  end
  for i = 1, last do
    if list[i] == nil then
      return checker.fail(record, { 'projections' }, ("'projections' has nothing at "
        .. 'place %d: is the variable misspelt, or declared further down?'):format(i))
    end
  end
  if next(list) == nil then
    checker.fail(record, { 'projections' }, "'projections' must be a list with at least "
      .. "one entry: projections = { 'projections.balances' }")
  end
  return #checker.messages == before
end

-- A table has one owner, or parts. [path]: where the record [found] names it.
local function own(checker, found, path, p, by_table)
  local bare = p.table_name
  if p.table_schema ~= '' and p.table_schema ~= 'public' then
    bare = p.table_schema .. '\0' .. bare
  end
  local other = by_table[bare]
  if other and other.table_schema ~= p.table_schema then
    return checker.fail(found, path, ("the table '%s' may be '%s', which belongs to "
      .. 'another projection (%s:%d): write both with their schema')
      :format(p.table, other.table, other.file, other.line))
  end
  by_table[bare] = other or { file = p.file, line = p.line, table = p.table,
    table_schema = p.table_schema }
  local list = by_table[bare]
  list[#list + 1] = { p = p, record = found, path = path }
  if #list > 1 then parts.join(checker, list) end
end

local function projections(checker, record, plan, require)
  local list, by_table, named = record.spec.projections, {}, {}
  if not check_list(checker, record, list) then return end
  for i, item in ipairs(list) do
    if named[item] then
      checker.fail(record, { 'projections', i }, ("'projections' names '%s' twice")
        :format(item))
    end
    local found = not named[item] and resolve(checker, record, item, i, require)
    named[item] = type(item) == 'string'
    local made = {}
    if found and set.is_one(found) then
      made = set.new(checker, found, plan) or {}
    elseif found then
      made[1] = projection.new(checker, found, plan)
    end
    for _, p in ipairs(made) do
      p.part_of, p.index = -1, #plan.projections
      plan.projections[p.index + 1] = p
      own(checker, found, p.in_set and { 'tables', p.name } or { 'table', p.table }, p,
        by_table)
    end
  end
end

---@param record table the record that the pipeline file returned
---@param bundle table as read by the core
---@param stock table the rules of Tidemill
---@return table|nil plan, string? messages
function M.new(record, bundle, require, stock)
  local checker = check.new()
  check.record(checker, record)
  local spec = record.spec
  if spec.name and (not spec.name:find('^[%w_%-%.]+$') or #spec.name > 100) then
    checker.fail(record, { 'name' }, ("name = '%s' may have letters, digits, _ - and . "
      .. 'only, and 100 of them at most'):format(spec.name))
  end
  local plan = {
    path = bundle.folder .. '/' .. bundle.entry, folder = bundle.folder,
    files = bundle.files,
    hash = bundle.hash, name = spec.name, projections = {},
    -- What is wrong in one place does not hide what is wrong in others.
    source = spec.source and source.new(checker, spec.source)
      or { is_wrong = true, topics = {}, settings = {} },
    database = spec.database and database(checker, spec.database),
    limits = limits(spec),
    cache = cache.limits(spec),
    failure = failure.resolve(checker, record, bundle, require, stock),
  }
  plan.dead_letters = dead_letters(checker, record, plan.source.topics)
  if spec.projections then projections(checker, record, plan, require) end
  narrow(plan.limits, plan.projections)
  if #checker.messages > 0 then return nil, check.text(checker) end
  return plan
end

return M
