-- kafka { … }: where records come from, and how the records of each topic are
-- read. What an entry of `topics` leaves unsaid comes from kafka { … } itself.
local check = require 'tidemill.plan.check'
local debezium = require 'tidemill.plan.debezium'
local path_of = require 'tidemill.core.path'
local placeholder = require 'tidemill.plan.placeholder'
local schema = require 'tidemill.plan.schema'
local words = require 'tidemill.core.words'

local M = {}

-- librdkafka properties that the pipeline sets by another word, or that
-- exactly-once rests on.
local RESERVED = {
  ['bootstrap.servers'] = 'write brokers = …',
  ['metadata.broker.list'] = 'write brokers = …',
  ['group.id'] = 'write group = …',
  ['group.instance.id'] = 'use --instance',
  ['auto.offset.reset'] = 'write start = …',
  ['group.protocol'] = "it is 'classic', by which lanes are handed over all at once",
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

-- { 'earliest', onto_rows = true } or { timestamp = … }, or both
local function start_of_table(checker, record, spec, out)
  local function fail(text, ...) checker.fail(record, { 'start' }, text:format(...)) end
  local value = spec.timestamp or spec[1]
  if value == nil then
    fail("start = { … } has no timestamp: write start = "
      .. "{ timestamp = '2024-01-31T12:00:00Z' }")
    return
  end
  for field in pairs(spec) do
    if field ~= 1 and field ~= 'timestamp' and field ~= 'onto_rows' then
      local nearest = words.nearest(tostring(field), { 'timestamp', 'onto_rows' })
      fail("start: there is no '%s' in it%s", tostring(field),
        nearest and (": did you mean '%s'?"):format(nearest) or '')
      return
    end
  end
  if spec.onto_rows ~= nil and type(spec.onto_rows) ~= 'boolean' then
    fail('start: onto_rows must be true or false')
  elseif spec.onto_rows and value == 'latest' then
    fail("start: onto_rows goes with 'earliest', 'group' or a time: 'latest' needs "
      .. 'no such word')
  else
    out.onto_rows = spec.onto_rows == true
    return value
  end
end

local function start(checker, record, out)
  local value = record.spec.start
  out.start, out.start_ms, out.onto_rows = 'unsaid', 0, false
  if value == nil then return end
  if type(value) == 'table' then
    value = start_of_table(checker, record, value, out)
    if value == nil then return end
  end
  if words.has(STARTS, value) then
    out.start = value
    return
  end
  local ms = value
  if type(value) == 'string' then ms = iso_ms(value) end
  if type(ms) ~= 'number' or ms < 0 or ms ~= math.floor(ms) then
    local nearest = words.nearest(tostring(value), STARTS)
    checker.fail(record, { 'start' }, ("start = '%s': %s"):format(tostring(value),
      nearest and ("did you mean '%s'?"):format(nearest)
      or 'it can be earliest, latest, group or a time: milliseconds since 1970 or '
        .. "'2024-01-31T12:00:00Z'"))
    return
  end
  out.start, out.start_ms = 'timestamp', ms
end

local SETTINGS = {
  'type', 'flattened', 'outbox', 'decimals', 'times', 'binary', 'unavailable', 'truncate',
}
-- The formats for which a setting of topics means something.
local USES = {
  type = { outbox = true, json = true, raw = true }, decimals = { debezium = true },
  times = { debezium = true, raw = true, outbox = true, json = true },
  binary = { debezium = true, raw = true, outbox = true, json = true },
  unavailable = { debezium = true }, truncate = { debezium = true },
  flattened = { debezium = true, raw = true }, outbox = { outbox = true, raw = true },
}
local NO_USE = {
  type = "'type' is for the formats outbox and json: with debezium event.type is the "
    .. 'letter of the operation',
  outbox = "'outbox' is for the format outbox: it names the columns of an outbox table",
}
for _, name in ipairs(SETTINGS) do
  NO_USE[name] = NO_USE[name] or ("'%s' is for the format debezium: it says how the "
    .. 'connector writes rows'):format(name)
end

-- The connector's words for what has a shorter one, or is told from the value.
local SAME = {
  times = debezium.UNITS,
  binary = { bytes = 'base64', ['base64-url-safe'] = 'base64' },
}

local function word_of(given, name)
  local word = given[name] or 'unsaid'
  return SAME[name][word] or word
end

-- Modes of the connector that give each column a unit of its own. What no connector
-- wrote has one unit.
local MODES = { adaptive = true, adaptive_time_microseconds = true, isostring = true }
local KEEPS_MODES = { debezium = true, raw = true }

-- Raw outbox rows are an outbox that nobody routed.
local function use_of(given)
  return given.format == 'outbox' and given.outbox and 'raw' or given.format
end

-- The columns of the outbox table that EventRouter expects unless told otherwise.
local COLUMNS = { id = 'id', key = 'aggregateid', type = 'type', payload = 'payload' }

local function outbox_of(given)
  local out = { time = given.outbox.table.time }
  for name, default in pairs(COLUMNS) do
    out[name] = given.outbox.table[name] or default
  end
  return out
end

local function below(path, name)
  local at = { unpack(path) }
  at[#at + 1] = name
  return at
end

-- The header of type = 'eventType', which may be written as a path of has().
local function header_of(text)
  local steps = text:find('^headers%[') and path_of.read(text)
  return steps and #steps == 2 and tostring(steps[2]) or (text:gsub('^headers%.', ''))
end

-- A path into the data of a json record, or what to write instead.
local function why_no_type(text)
  local steps, reason = path_of.read_column(text)
  if steps and steps[1] == 'data' and steps[2] then return nil end
  return reason or "must be a path into the record: type = 'data.kind'"
end

-- type = '…' is a header for outbox, and a path for json. [path]: of the word.
local function check_type(checker, record, path, given)
  local text = given.type
  if not text then return end
  if given.format == 'outbox' and given.outbox then
    checker.fail(record, path, "'type' is a header, and rows of an outbox "
      .. "table have none: write outbox = { table = { type = 'column' } }")
  elseif given.format == 'json' then
    local why = why_no_type(text)
    if why then
      checker.fail(record, path, ("type = '%s'%s%s"):format(text,
        why:find('^must') and ' ' or ': ', why))
    end
  end
end

-- Does a connector write rows of any topic? Then `times` of kafka { … } is its word.
local function has_rows(spec)
  for _, entry in ipairs(spec.topics) do
    local own = type(entry) == 'table' and entry or {}
    local format = own.format or spec.format
    if format == 'debezium' or format == 'outbox' and (own.outbox or spec.outbox) then
      return true
    end
  end
  return false
end

-- A mode of kafka { … } is for its other topics.
local function check_times(checker, record, path, own, given, use)
  if KEEPS_MODES[use] or not MODES[given.times] then return end
  if own.times or not has_rows(record.spec) then
    checker.fail(record, path, ("times = '%s' is how a connector writes rows; for the "
      .. "format %s write the unit of all numbers: 'seconds', 'millis', 'micros' or "
      .. "'nanos'")
      :format(given.times, use))
  end
  given.times = nil
end

local function new_topic(name, given)
  local use = use_of(given)
  return {
    name = name, format = given.format, decimals = given.decimals or 'unsaid',
    type_header = given.format == 'outbox' and header_of(given.type or 'eventType')
      or nil,
    type_path = given.format == 'json' and given.type or nil,
    times = word_of(given, 'times'), binary = word_of(given, 'binary'),
    truncate = given.truncate or 'halt', flattened = given.flattened or 'unsaid',
    unavailable = given.unavailable and placeholder.forms(given.unavailable),
    outbox = use == 'raw' and outbox_of(given) or nil,
    is_debezium = use == 'debezium', is_raw_outbox = use == 'raw',
  }
end

-- Names of an entry, and what it says of them.
local function split(entry)
  local names, own = {}, {}
  for key, value in pairs(entry) do
    if type(key) == 'number' then names[key] = value else own[key] = value end
  end
  return names, own
end

-- What an entry says, and what it has from kafka { … }.
local function inherit(record, own)
  local given = {}
  for name in pairs(schema.topic) do
    given[name] = own[name]
    if given[name] == nil then given[name] = record.spec[name] end
  end
  -- How the connector of other topics writes rows says nothing of these.
  if not KEEPS_MODES[use_of(given)] and given.format ~= record.spec.format
    and has_rows(record.spec) then
    given.times, given.binary = own.times, own.binary
  end
  -- The type of the other topics is no word for this one's.
  local is_other = record.spec.format and given.format ~= record.spec.format
  if own.type == nil and (is_other or own.outbox) then given.type = nil end
  if own.outbox == nil and own.format and own.format ~= 'outbox' then
    given.outbox = nil
  end
  return given
end

-- The settings of one entry, its own first; false when they are wrong.
local function settings_of(checker, record, path, own)
  local before = #checker.messages
  if not check.fields(checker, record, path, own, schema.topic) then return false end
  local given = inherit(record, own)
  if not given.format then
    return record.given.format == nil and checker.fail(record, path, "'format' is "
      .. "missing: write format = 'outbox', 'debezium' or 'json'")
  end
  local use = use_of(given)
  for _, name in ipairs(SETTINGS) do
    if not USES[name][use] then
      given[name] = nil
      if own[name] ~= nil then
        checker.fail(record, below(path, name), NO_USE[name])
      end
    end
  end
  local function place(name)
    return own[name] ~= nil and below(path, name) or { name }
  end
  check_type(checker, record, place('type'), given)
  check_times(checker, record, place('times'), own, given, use)
  if given.unavailable and not placeholder.is_plain(given.unavailable) then
    checker.fail(record, place('unavailable'), ("unavailable = '%s' must be "
      .. 'letters, digits and signs, without quotes and backslashes, 1000 at most')
      :format(given.unavailable))
  end
  return #checker.messages == before and given
end

-- What kafka { … } says for all topics must mean something to one of them.
local function check_uses(checker, record, settings)
  for _, name in ipairs(SETTINGS) do
    local used = record.spec[name] == nil or #settings == 0
    for _, topic in ipairs(settings) do
      used = used or USES[name][topic.is_raw_outbox and 'raw' or topic.format]
    end
    if not used then checker.fail(record, { name }, NO_USE[name]) end
  end
end

local function add_topic(checker, record, path, out, name, given)
  if type(name) ~= 'string' or name == '' then
    return checker.fail(record, path, "'topics' must be a list of texts, or of "
      .. "tables of texts with settings of their own: { 'a', format = 'json' }")
  elseif not name:find('^[%w%._%-]+$') or #name > 249 then
    return checker.fail(record, path, ("'%s' cannot be the name of a topic: it may have "
      .. 'letters, digits, . _ and - only'):format(name))
  end
  if words.has(out.topics, name) then
    return checker.fail(record, path, ("'topics' names '%s' twice"):format(name))
  end
  out.topics[#out.topics + 1] = name
  out.settings[#out.settings + 1] = new_topic(name, given)
end

local function add_entry(checker, record, path, out, entry)
  local names, own = split(entry)
  if not check.texts(checker, record, path, names) then return end
  local given = settings_of(checker, record, path, own)
  for _, name in ipairs(given and names or {}) do
    add_topic(checker, record, path, out, name, given)
  end
end

-- Names alone have the same settings, which are looked at once.
local function add_all(checker, record, out)
  local given
  for i, entry in ipairs(record.spec.topics) do
    local path = { 'topics', i }
    if type(entry) == 'table' then
      add_entry(checker, record, path, out, entry)
    else
      if given == nil then given = settings_of(checker, record, path, {}) end
      if given then add_topic(checker, record, path, out, entry, given) end
    end
  end
end

local function topics(checker, record, out)
  local before, list = #checker.messages, record.spec.topics
  if #list == 0 then
    checker.fail(record, { 'topics' }, "'topics' is an empty list")
  end
  add_all(checker, record, out)
  for key in pairs(list) do
    if type(key) ~= 'number' or key < 1 or key > #list then
      checker.fail(record, { 'topics' }, "'topics' must be a list: topics = { 'a', 'b' }")
    end
  end
  if #checker.messages == before then check_uses(checker, record, out.settings) end
  return #checker.messages == before
end

---@return table source: topics are names, settings[i] is what is said of topic i;
---is_wrong: something is, and topics may be missing
function M.new(checker, record)
  local before = #checker.messages
  check.record(checker, record)
  local spec = record.spec
  local out = {
    brokers = spec.brokers, group = spec.group, topics = {}, settings = {},
    options = options(checker, record),
  }
  start(checker, record, out)
  if spec.topics then topics(checker, record, out) end
  out.is_wrong = #checker.messages > before
  return out
end

---The settings of those topics of the source that a projection reads.
---@param names string[]|nil nil: all of them
function M.read_by(source, names)
  local list = {}
  for i, topic in ipairs(source.settings) do
    if not names or words.has(names, topic.name) then
      list[#list + 1] = source.settings[i]
    end
  end
  return list
end

---The settings of one topic; a topic that nobody named is read as the first one.
function M.topic(source, name)
  for _, topic in ipairs(source.settings) do
    if topic.name == name then return topic end
  end
  return source.settings[1]
end

return M
