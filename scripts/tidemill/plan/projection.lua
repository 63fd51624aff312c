-- One projection of the plan: its kind, its columns and handlers. How it is
-- kept exact is decided in exact.lua.
local cache = require 'tidemill.plan.cache'
local check = require 'tidemill.plan.check'
local columns = require 'tidemill.plan.columns'
local exact = require 'tidemill.plan.exact'
local names = require 'tidemill.plan.names'
local source_of = require 'tidemill.plan.source'
local versions = require 'tidemill.plan.versions'
local words = require 'tidemill.core.words'

local M = {}

local OPS = { c = true, u = true, d = true, r = true, t = true }
local KINDS = { 'map', 'mirror', 'append', 'merge' }

local function kind_of(checker, record)
  local spec, kind = record.spec, nil
  for _, word in ipairs(KINDS) do
    -- Meant, and wrong in a way that is told already.
    if spec[word] == nil and check.has(record, word) then return nil end
    if spec[word] then
      if kind then
        checker.fail(record, { word }, ("'%s' and '%s' are two kinds of projection: "
          .. 'use one')
          :format(kind, word))
        return nil
      end
      kind = word
    end
  end
  return kind or 'fold'
end

---@return string|nil schema, string? table
local function check_table(checker, record)
  local schema, name = names.table(record.spec.table)
  if schema then return schema, name end
  checker.fail(record, { 'table' }, ("table = '%s': %s"):format(record.spec.table, name))
  return nil
end

-- Whether [test] holds for all settings of a list.
local function all(list, test)
  for _, topic in ipairs(list) do
    if not test(topic) then return false end
  end
  return #list > 0
end

local function is_debezium(topic) return topic.is_debezium end
local function is_typeless(topic)
  return topic.format == 'json' and not topic.type_path
end

---@param reads table[] settings of the topics that it reads
local function check_on(checker, record, reads)
  local on = record.spec.on
  local has_ops = all(reads, is_debezium)
  if type(on) ~= 'table' then return end
  if next(on) == nil then
    checker.fail(record, { 'on' }, "'on' is empty: write on = { TypeOfEvent = "
      .. "function(row, event) … end }")
  end
  for name, handler in pairs(on) do
    if type(name) ~= 'string' then
      checker.fail(record, { 'on' }, "'on' has types of events as keys: on = { "
        .. "TypeOfEvent = function(row, event) … end }")
    elseif type(handler) ~= 'function' then
      checker.fail(record, { 'on', name }, ("on.%s must be a function, not %s")
        :format(name, check.name_type(handler)))
    elseif has_ops and not OPS[name] then
      checker.fail(record, { 'on', name }, ("on.%s would never run: with debezium the "
        .. "type of an event is the letter of its operation: c, u, d, r or t")
        :format(name))
    end
  end
  if all(reads, is_typeless) then
    checker.fail(record, { 'on' }, "on = { … } would never run: with format = 'json' "
      .. "events have no type until the source says type = 'data.kind'; or make `on` "
      .. "one function")
  end
end

-- The handlers of a projection: a function, or functions by type; nil: none.
local function handlers(checker, record, kind)
  local spec = record.spec
  if kind == 'mirror' then
    for _, word in ipairs { 'on', 'before_write' } do
      if spec[word] then
        checker.fail(record, { word }, ("'%s' has no use in a mirror, which copies "
          .. "columns by name: use map = function(row, event) … end"):format(word))
      end
    end
    return nil
  end
  if type(spec.map) == 'function' then
    if spec.on then
      checker.fail(record, { 'on' }, "'on' and map = function are two handlers: write "
        .. "map = true beside on")
    end
    return spec.map
  end
  if not check.has(record, 'on') then
    checker.fail(record, {}, kind == 'fold'
      and "'on' is missing: write on = { TypeOfEvent = function(row, event) … end }, or "
        .. "mirror = true, or map = function(row, event) … end"
      or ("'on' is missing: a projection with %s needs handlers"):format(kind))
  end
  return spec.on
end

local function sorted_types(on)
  if type(on) ~= 'table' then return nil end
  local types = {}
  for name in pairs(on) do types[#types + 1] = name end
  table.sort(types)
  return types
end

local function check_topics(checker, record, source)
  local topics = record.spec.topics
  if not topics or not check.texts(checker, record, { 'topics' }, topics) then return end
  local known = {}
  for _, topic in ipairs(source.topics) do known[topic] = true end
  for _, topic in ipairs(topics) do
    if not known[topic] then
      checker.fail(record, { 'topics', topic }, ("the topic '%s' is not one of the "
        .. "source%s")
        :format(topic, words.hint(topic, source.topics)))
    end
  end
end

local function check_uses(checker, record, kind)
  local spec = record.spec
  if spec.ignore then check.texts(checker, record, { 'ignore' }, spec.ignore) end
  if kind == 'append' and spec.key then
    checker.fail(record, { 'key' }, "an append has no key: every event makes a row of "
      .. "its own")
  elseif kind ~= 'append' and not check.has(record, 'key') then
    checker.fail(record, {}, "'key' is missing: write key = { id = 'bigint' }")
  end
  if kind == 'merge' and (spec.initial or spec.before_write) then
    local word = spec.initial and 'initial' or 'before_write'
    checker.fail(record, { word }, ("'%s' has no use with merge: the server combines "
      .. "what events contribute, and no row is read"):format(word))
  end
  if kind == 'merge' and spec.columns and next(spec.columns) == nil then
    checker.fail(record, { 'columns' }, "'columns' is empty: there would be nothing to "
      .. "add up: name a column for each word of merge, or take a fold, which makes a "
      .. 'row of the key alone')
  end
  if kind == 'mirror' and spec.initial then
    checker.fail(record, { 'initial' }, "'initial' has no use in a mirror: an absent "
      .. "column takes the table's default")
  end
end

M.check_table, M.check_topics = check_table, check_topics

local function check_examples(checker, record)
  for i, example in ipairs(record.spec.examples or {}) do
    if type(example) ~= 'table' or type(example.events) ~= 'table'
      or type(example.rows) ~= 'table' then
      checker.fail(record, { 'examples', i }, ('example %d must be { events = { … }, '
        .. 'rows = { … } }'):format(i))
    end
  end
end

---@param plan table the plan so far: its source and cache
---@return table|nil
function M.new(checker, record, plan)
  local source, before = plan.source, #checker.messages
  check.record(checker, record)
  local schema, name
  if record.spec.table then schema, name = check_table(checker, record) end
  local kind = kind_of(checker, record)
  if not kind then return nil end
  local on = handlers(checker, record, kind)
  if not source.is_wrong then check_topics(checker, record, source) end
  local reads = source_of.read_by(source, record.spec.topics)
  check_on(checker, record, reads)
  check_uses(checker, record, kind)
  check_examples(checker, record)
  if not record.spec.columns then return nil end
  local list, n_key = columns.new(checker, record, kind)
  local newer = versions.newer(checker, record, kind, list, n_key)
  local once, once_path = versions.once(checker, record, kind, list, n_key)
  if #checker.messages > before or source.is_wrong then return nil end
  local spec = record.spec
  local p = {
    table = spec.table, table_schema = schema, table_name = name,
    module = record.module or record.file, file = record.file, line = record.line,
    kind = kind, columns = list, n_key = n_key, newer = newer, once = once,
    once_path = once_path,
    types = sorted_types(on), ignore = spec.ignore, strict = spec.strict or false,
    unlogged = spec.unlogged or false,
    has_handler = on ~= nil, on = on or function() end, before_write = spec.before_write,
    topics = spec.topics, examples = spec.examples,
  }
  for _, topic in ipairs(reads) do
    p.follows_deletes = p.follows_deletes or topic.is_debezium
    p.reads_raw_outbox = p.reads_raw_outbox or topic.is_raw_outbox
    if kind == 'mirror' and topic.format == 'json'
      and not words.has(spec.ignore, 'd') then
      topic.is_mirrored, p.reads_tombstones = true, true
    end
  end
  -- A handler of its own says what a delete does: it may mark the row.
  if kind == 'map' and type(on) == 'table' and on.d then p.follows_deletes = false end
  p.deletes = kind == 'map' and p.follows_deletes and not words.has(spec.ignore, 'd')
  p.newer_deletes = versions.of_deletes(kind, list[newer + 1])
  p.empties = (kind == 'mirror' or kind == 'map') and #reads == 1
    and reads[1].truncate == 'apply' and not words.has(spec.ignore, 't')
  for i = 1, n_key do
    if list[i].from == 'function' then p.keys_in_lua = true end
  end
  p.exact, p.why = exact.decide(checker, record, p, source.topics)
  cache.decide(checker, record, p, plan.cache)
  return p
end

---@return boolean # is the topic one of those that it reads?
function M.reads(p, topic)
  return not p.topics or words.has(p.topics, topic)
end

-- Every function of the user that runs for events.
function M.functions(p)
  local list = { p.before_write }
  list[#list + 1] = p.batch
  if type(p.on) == 'function' then list[#list + 1] = p.on end
  for _, name in ipairs(p.types or {}) do list[#list + 1] = p.on[name] end
  for i = 1, p.n_key do list[#list + 1] = p.columns[i].key_function end
  return list
end

return M
