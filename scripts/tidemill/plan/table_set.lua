-- A projection with `batch = function(batch, tables)`. Each entry of `tables`
-- becomes a projection of the plan that owns its table; they stand one behind
-- the other, and the first of them leads: its has the function.
local cache = require 'tidemill.plan.cache'
local check = require 'tidemill.plan.check'
local columns = require 'tidemill.plan.columns'
local exact = require 'tidemill.plan.exact'
local locate = require 'tidemill.load.locate'
local projection = require 'tidemill.plan.projection'
local schema = require 'tidemill.plan.schema'
local source_of = require 'tidemill.plan.source'

local M = {}

local WORDS = { batch = true, tables = true, topics = true, ignore = true,
  examples = true }

function M.is_one(record)
  return record.spec.batch ~= nil or record.spec.tables ~= nil
end

-- What is said for the projection and belongs to one of its tables, or to a
-- projection of another kind.
local function strip(checker, record)
  local spec, words = {}, {}
  for name, v in pairs(record.spec) do
    if WORDS[name] or not schema.projection[name] then
      spec[name] = v
    else
      words[#words + 1] = name
    end
  end
  table.sort(words)
  for _, name in ipairs(words) do
    checker.fail(record, { name }, schema.table[name]
      and ("'%s' belongs into an entry of tables: tables = { name = { %s = … } }")
        :format(name, name)
      or ("'%s' cannot be used beside batch = function: the function says it all")
        :format(name))
  end
  return spec
end

local function check_spec(checker, record)
  local fields = {}
  for name in pairs(WORDS) do fields[name] = schema.projection[name] end
  local ok = check.fields(checker, record, {}, strip(checker, record), fields)
  -- What is misspelt is told already.
  local spec, meant = record.spec, record.meant
  if spec.batch ~= nil and spec.tables == nil and not meant.tables then
    checker.fail(record, {}, "'tables' is missing: write tables = { name = { key = "
      .. '{ … }, columns = { … } } }')
  elseif spec.tables ~= nil and spec.batch == nil and not meant.batch then
    checker.fail(record, { 'tables' }, "'tables' goes with batch = function(batch, "
      .. "tables) … end; one table is table = 'name'")
  end
  return ok and spec.batch ~= nil and spec.tables ~= nil
end

-- An entry as a record of its own, so that messages name its lines.
local function entry_of(checker, record, name)
  local spec = record.spec.tables[name]
  local node, line = locate.below(record, { 'tables', name })
  if type(name) ~= 'string' then
    checker.fail(record, { 'tables' }, "'tables' has names as keys: tables = { name = { "
      .. 'key = { … }, columns = { … } } }')
    return nil
  elseif type(spec) ~= 'table' then
    checker.fail(record, { 'tables', name }, ("tables.%s must be a table: { key = { … }, "
      .. 'columns = { … } }'):format(name))
    return nil
  end
  local copy = {}
  for word, v in pairs(spec) do copy[word] = v end
  copy.table = spec.table == nil and name or spec.table
  return { word = 'table', spec = copy, written = spec, file = record.file, line = line,
    node = node, outline = record.outline }
end

local function check_key(checker, entry, p)
  local n_from = 0
  for i = 1, p.n_key do
    if p.columns[i].from ~= 'field' then n_from = n_from + 1 end
  end
  if n_from > 0 and n_from < p.n_key then
    checker.fail(entry, { 'key' }, 'either each key column says where it is from, and '
      .. 'each event enters its row, or none does, and rows are asked for by key')
  elseif n_from == 0 then
    for i = 1, p.n_key do
      local column = p.columns[i]
      column.from = 'asked'
      if column.in_capitals then
        checker.fail(entry, { 'key', column.name, 'letters' },
          ("key column '%s': letters say how record keys write the uuid, but rows of "
            .. 'this table are asked for'):format(column.name))
      end
    end
  else
    for i = 1, p.n_key do
      if p.columns[i].from == 'function' then p.keys_in_lua = true end
    end
    return
  end
  if entry.spec.shared then
    checker.fail(entry, { 'shared' }, "'shared' has no use here: rows that are asked for "
      .. 'by key are always shared')
  end
end

local function check_uses(checker, entry)
  local spec = entry.spec
  for _, word in ipairs { 'key', 'shared' } do
    if spec.append and spec[word] then
      checker.fail(entry, { word }, ("'%s' has no use in an append: each row is one of "
        .. 'its own'):format(word))
    end
  end
  if not spec.append and not spec.key then
    checker.fail(entry, {}, "'key' is missing: write key = { id = 'bigint' }, or "
      .. 'append = true')
  end
end

local function new_table(checker, record, plan, name)
  local before = #checker.messages
  local entry = entry_of(checker, record, name)
  if not entry or not check.record(checker, entry) then return nil end
  local table_schema, table_name = projection.check_table(checker, entry)
  if not table_schema then return nil end
  check_uses(checker, entry)
  local spec = entry.spec
  local kind = spec.append and 'append' or 'fold'
  local list, n_key = columns.new(checker, entry, kind)
  local p = {
    table = spec.table, table_schema = table_schema, table_name = table_name,
    name = name, module = record.module or record.file,
    file = entry.file, line = entry.line, kind = kind, columns = list, n_key = n_key,
    newer = -1, once = -1, ignore = record.spec.ignore, strict = false,
    unlogged = spec.unlogged or false,
    has_handler = true,
    on = function() end, topics = record.spec.topics, is_shared = spec.shared,
    in_set = true, n_set = 0,
  }
  if kind == 'fold' and n_key > 0 then check_key(checker, entry, p) end
  if #checker.messages > before then return nil end
  for _, topic in ipairs(source_of.read_by(plan.source, p.topics)) do
    p.reads_raw_outbox = p.reads_raw_outbox or topic.is_raw_outbox
  end
  p.exact, p.why = exact.decide(checker, entry, p, plan.source.topics)
  if kind == 'fold' and #list == n_key and p.why then
    p.why = p.why .. '; it has no columns, so row:reset() alone makes a row'
  end
  cache.decide(checker, entry, p, plan.cache)
  return p
end

local function check_examples(checker, record)
  local known = {}
  for name, entry in pairs(record.spec.tables) do
    known[type(entry) == 'table' and entry.table or name] = true
  end
  for _, example in ipairs(record.spec.examples or {}) do
    local rows = type(example) == 'table' and example.rows
    local ok = type(rows) == 'table' and type(example.events) == 'table'
    for name, list in pairs(ok and rows or {}) do
      ok = ok and known[name] and type(list) == 'table'
    end
    if not ok then
      checker.fail(record, { 'examples' }, 'an example is { events = { … }, rows = { '
        .. 'table = { … } } }')
    end
  end
end

---@param plan table the plan so far: its source
---@return table[]|nil list of projections
function M.new(checker, record, plan)
  if not check_spec(checker, record) then return nil end
  projection.check_topics(checker, record, plan.source)
  if record.spec.ignore then
    check.texts(checker, record, { 'ignore' }, record.spec.ignore)
  end
  check_examples(checker, record)
  local list = {}
  for _, name in ipairs(locate.sorted(record, { 'tables' }, record.spec.tables)) do
    list[#list + 1] = new_table(checker, record, plan, name)
  end
  if next(record.spec.tables) == nil then
    checker.fail(record, { 'tables' }, "'tables' is empty: write tables = { name = { "
      .. 'key = { … }, columns = { … } } }')
  end
  if not list[1] then return nil end
  list[1].n_set, list[1].batch = #list, record.spec.batch
  list[1].examples = record.spec.examples
  return list
end

return M
