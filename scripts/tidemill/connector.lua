-- `tidemill connector`: which Debezium connectors a pipeline needs, read from its topics,
-- as the JSON that Kafka Connect's REST API takes: one for each outbox (topics with the
-- same words in front of the last dot) and one for each prefix of table topics. Every
-- property here is one of Debezium 3.3, of its transforms or of Kafka Connect's
-- converters; examples/README.md says why each is there.
local debezium = require 'tidemill.plan.debezium'
local path_of = require 'tidemill.core.path'
local projection = require 'tidemill.plan.projection'
local value = require 'tidemill.core.value'

local M = {}

local SLOT_LONGEST = 63 -- of PostgreSQL's names

-- What columns need.

local TIMES = { time = true, timestamp = true, timestamptz = true }

-- A numeric or a time without a word about it in kafka{} is read by the schema of its
-- record.
local function needs_schemas(plan, topic)
  if topic.format ~= 'debezium' then
    return topic.outbox ~= nil and topic.outbox.time ~= nil and topic.times == 'unsaid'
  end
  for _, p in ipairs(plan.projections) do
    for _, c in ipairs(projection.reads(p, topic.name) and p.columns or {}) do
      if c.kind == 'numeric' and topic.decimals == 'unsaid'
        or TIMES[c.kind] and topic.times == 'unsaid' then
        return true
      end
    end
  end
  return false
end

-- A key column of the row: on a delete only its primary key is there, unless the table
-- says otherwise.
local function old_path(p)
  for i = 1, p.kind == 'append' and 0 or p.n_key do
    local path = (p.columns[i].paths or {})[1]
    local root = path and path_of.read(path)[1]
    if root == 'data' or root == 'before' then return path end
  end
end

local function note_identity(needs, topic, table_name)
  for _, p in ipairs(needs.plan.projections) do
    local path = projection.reads(p, topic.name) and old_path(p)
    if path then
      return needs.note('%s: the key of projection %s comes from %s, which a delete has '
        .. 'only after ALTER TABLE %s REPLICA IDENTITY FULL, unless it is in the primary '
        .. 'key', topic.name, p.table, path, table_name)
    end
  end
end

-- The list.

-- What the topics of one connector have in common.
local function form_of(kind, prefix, topic)
  local outbox, unavailable = topic.outbox or {}, topic.unavailable or {}
  return table.concat({ kind, prefix, topic.decimals, topic.times, topic.flattened,
    topic.binary, unavailable.text or '', topic.type_header or '', outbox.key or '' },
      '\0')
end

local function kind_of(topic)
  return topic.format ~= 'outbox' and 'rows' or topic.outbox and 'raw' or 'outbox'
end

local function add_topic(needs, topic)
  local kind = kind_of(topic)
  local prefix, table_name
  if topic.format == 'json' then
    return needs.note('%s: format json needs no connector: whoever produces it writes '
      .. 'JSON', topic.name)
  elseif kind == 'outbox' then
    -- "outbox.event.account" is routed to by "outbox.event." and the value.
    prefix = topic.name:match('^.*%.') or ''
  else
    -- "srv.public.users" is prefix srv and table public.users.
    prefix, table_name = topic.name:match('^(.+)%.([^.]+%.[^.]+)$')
    if not prefix then
      return needs.note('%s: not named PREFIX.SCHEMA.TABLE, as Debezium names the topics '
        .. 'of tables, so its connector is not printed: set topic.prefix and '
        .. 'table.include.list by hand, and route to this name by a transform '
        .. '(RegexRouter)', topic.name)
    end
  end
  local form = form_of(kind, prefix, topic)
  local need = needs[form]
  if not need then
    need = { kind = kind, prefix = prefix, topic = topic, tables = {} }
    needs[form], needs[#needs + 1] = need, need
  end
  need.has_schemas = need.has_schemas or needs_schemas(needs.plan, topic)
  need.tables[#need.tables + 1] = table_name
  if kind == 'rows' then note_identity(needs, topic, table_name) end
end

local function name_it(needs, need, taken)
  local base = ('%s-%s'):format(needs.plan.name,
    need.kind == 'outbox' and 'outbox' or need.prefix)
  local k = 2
  need.name = base
  while taken[need.name] do need.name, k = ('%s-%d'):format(base, k), k + 1 end
  taken[need.name] = true
  -- As PostgreSQL takes names of slots: a-z, 0-9 and _.
  need.slot = need.name:gsub('%W', '_'):lower():sub(1, SLOT_LONGEST)
end

-- A prefix names one connector: what two of them wrote could not be told apart.
local function note_twice(needs, i)
  for k = 1, needs[i].kind == 'outbox' and 0 or i - 1 do
    if needs[k].kind ~= 'outbox' and needs[k].prefix == needs[i].prefix then
      needs.note('%s: the topics %s.* are read in different ways, and a connector writes '
        .. 'all of its topics in one: give them the same settings in kafka{}, or the '
        .. 'tables two prefixes', needs[i].name, needs[i].prefix)
    end
  end
end

local function needs_of(plan)
  local needs, taken = { plan = plan, notes = {} }, {}
  function needs.note(...) needs.notes[#needs.notes + 1] = (...):format(select(2,
    ...)) end
  for _, topic in ipairs(plan.source.settings) do add_topic(needs, topic) end
  for i, need in ipairs(needs) do
    name_it(needs, need, taken)
    note_twice(needs, i)
  end
  return needs
end

-- The properties of one.

local STRING_CONVERTER = debezium.STRING_CONVERTER
local JSON_CONVERTER = debezium.JSON_CONVERTER

local function json_converters(need)
  local is_on = need.has_schemas and 'true' or 'false'
  return {
    'key.converter', JSON_CONVERTER, 'key.converter.schemas.enable', is_on,
    'value.converter', JSON_CONVERTER, 'value.converter.schemas.enable', is_on,
    -- Or a NULL of a column with a DEFAULT comes as that default.
    'value.converter.replace.null.with.default', 'false',
  }
end

local function unwrap(topic)
  return topic.flattened == 'unsaid' and {} or {
    'transforms', 'unwrap',
    'transforms.unwrap.type', debezium.UNWRAP,
    'transforms.unwrap.delete.tombstone.handling.mode', topic.flattened,
    'transforms.unwrap.add.fields', 'op,lsn,source.ts_ms',
    'transforms.unwrap.replace.null.with.default', 'false',
  }
end

local function time_mode(topic)
  return { 'time.precision.mode', debezium.time_mode(topic.times) }
end

local FORMS = {}

function FORMS.outbox(put, need)
  put {
    'key.converter', STRING_CONVERTER, 'value.converter', STRING_CONVERTER,
    'tombstones.on.delete', 'false', 'transforms', 'outbox',
    'transforms.outbox.type', debezium.EVENT_ROUTER,
    debezium.PLACEMENT, 'type:header:' .. need.topic.type_header,
    'transforms.outbox.route.topic.replacement', need.prefix .. '${routedByValue}',
    'transforms.outbox.table.expand.json.payload', 'false',
  }
end

-- Keyed by the aggregate, so that one partition holds all of its events.
function FORMS.raw(put, need)
  local outbox, keys = need.topic.outbox, {}
  for i, name in ipairs(need.tables) do keys[i] = name .. ':' .. outbox.key end
  put(json_converters(need))
  if outbox.time then put(time_mode(need.topic)) end
  put { 'tombstones.on.delete', 'false', 'skipped.operations', 'u,d,t',
    'message.key.columns', table.concat(keys, ';') }
  put(unwrap(need.topic))
end

function FORMS.rows(put, need)
  local topic = need.topic
  put(json_converters(need))
  put { 'decimal.handling.mode',
    topic.decimals == 'unsaid' and 'precise' or topic.decimals }
  put(time_mode(topic))
  if topic.binary == 'hex' then put { 'binary.handling.mode', 'hex' } end
  if topic.unavailable then
    put { 'unavailable.value.placeholder', topic.unavailable.text }
  end
  put { 'skipped.operations', 'none' }
  put(unwrap(topic))
end

---@param said table what a pipeline cannot know of its source
local function text_of(plan, need, said, indent)
  local lines, is_outbox = {}, need.kind == 'outbox'
  local function put(list)
    for i = 1, #list, 2 do
      lines[#lines + 1] = ('%s    "%s": %s'):format(indent, list[i],
        value.encode(list[i + 1]))
    end
  end
  put {
    'connector.class', 'io.debezium.connector.postgresql.PostgresConnector',
    'tasks.max', '1',
    'database.hostname', said.host or '${env:PGHOST}',
    'database.port', said.port or '5432', 'database.user', said.user or '${env:PGUSER}',
    'database.password', said.password or '${env:PGPASSWORD}',
    'database.dbname', said.dbname or '${env:PGDATABASE}',
    'topic.prefix', is_outbox and need.name or need.prefix,
    'table.include.list', is_outbox and said.table or table.concat(need.tables, ','),
    'plugin.name', 'pgoutput', 'slot.name', need.slot, 'publication.name', need.slot,
    'publication.autocreate.mode', 'filtered',
    'snapshot.mode', plan.source.start == 'latest' and 'no_data' or 'initial',
  }
  FORMS[need.kind](put, need)
  -- Where the broker makes no topics by itself, Connect does.
  put { 'topic.creation.default.partitions', said.partitions or '-1',
    'topic.creation.default.replication.factor', '-1' }
  return ('%s{\n%s  "name": "%s",\n%s  "config": {\n%s\n%s  }\n%s}'):format(indent,
    indent,
    need.name, indent, table.concat(lines, ',\n'), indent, indent)
end

local function choose(needs, said)
  if not said.name then return needs end
  local names = {}
  for i, need in ipairs(needs) do
    if need.name == said.name then return { need } end
    names[i] = need.name
  end
  return nil, ("tidemill connector: no connector '%s' is needed%s\n"):format(said.name,
    #names > 0 and ', but ' .. table.concat(names, ', ') or '')
end

-- What the JSON does not say, for the one who reads it.
local function notes_of(needs, said, is_table_said)
  local lines, has_outbox = {}, false
  for _, need in ipairs(needs) do has_outbox = has_outbox or need.kind == 'outbox' end
  if #needs > 1 and not said.name then
    lines[1] = ('%d connectors are needed, so this is a list, which Kafka Connect does '
      .. 'not take. One at a time:'):format(#needs)
    for _, need in ipairs(needs) do
      lines[#lines + 1] = ('  tidemill connector %s %s'):format(said.path, need.name)
    end
  end
  if has_outbox and not is_table_said then
    lines[#lines + 1] = ('the outbox table is assumed to be %s; --table names another')
      :format(said.table)
  end
  for _, note in ipairs(needs.notes) do lines[#lines + 1] = note end
  lines[#lines + 1] = ''
  return table.concat(lines, '\n')
end

---@param plan table of the bundle
---@param said table { path, name, host, port, user, password, dbname, table, partitions }
---@return { out: string|nil, err: string } out: nil when there is none to print
function M.print(plan, said)
  local needs, is_table_said = needs_of(plan), said.table ~= nil
  said.table = said.table or 'public.outbox'
  local list, refusal = choose(needs, said)
  local notes, texts = notes_of(needs, said, is_table_said), {}
  if not list then return { err = refusal .. notes } end
  if #list == 0 then return { err = 'no connector is needed\n' .. notes } end
  for i, need in ipairs(list) do
    texts[i] = text_of(plan, need, said, #list > 1 and '  ' or '')
  end
  local text = table.concat(texts, ',\n')
  return { out = #list > 1 and '[\n' .. text .. '\n]\n' or text .. '\n', err = notes }
end

return M
