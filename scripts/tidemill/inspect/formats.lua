-- Whether a topic holds what the pipeline says of it.
local debezium = require 'tidemill.plan.debezium'
local json = require 'tidemill.inspect.json'
local names = require 'tidemill.inspect.names'
local words = require 'tidemill.core.words'

local member = json.member
local M = {}

local STRING_CONVERTER = debezium.STRING_CONVERTER
local JSON_CONVERTER, PLACEMENT = debezium.JSON_CONVERTER, debezium.PLACEMENT
local ROUTER = 'set transforms=outbox and transforms.outbox.type='
  .. debezium.EVENT_ROUTER .. ' at the connector'
local AS_STRINGS = 'set value.converter=' .. STRING_CONVERTER .. ' at the connector'
local AS_JSON_VALUES = 'set value.converter=' .. JSON_CONVERTER .. ' at the connector'
local AS_JSON_BOTH = 'set key.converter and value.converter=' .. JSON_CONVERTER
  .. ' at the connector'
local AS_DEBEZIUM = "write format = 'debezium' in kafka{}"
local AS_OUTBOX = "write format = 'outbox' in kafka{}"
local AS_JSON = "write format = 'json' in kafka{}"
local RAW_WORDS = 'outbox = { table = { … } }'
local AS_RAW = "write format = 'outbox' and " .. RAW_WORDS .. ' in kafka{}'

local REGISTRY = 'the value is not JSON, but bytes of a schema registry (Avro, Protobuf '
  .. 'or JSON Schema)'
local PRINTED = 'the value is a row that was printed as text (Struct{…}), which '
  .. 'nothing can read'
local ROUTED = 'these are events that EventRouter made of an outbox, not change events '
  .. 'of a table'
local NO_ROW = 'the value is a text, so no change of a row'
local IF_PAYLOAD = "if it is EventRouter's payload, " .. AS_OUTBOX
local MONGODB = { 'document', 'problem',
  'these are change events of MongoDB, whose rows are texts that hold JSON',
  'set transforms.outbox.type=io.debezium.connector.mongodb.transforms.outbox.'
    .. 'MongoEventRouter at the connector' }
local OFF_THE_LIST = 'take the topic off the list in kafka{}: none of its records is '
  .. 'applied'
local TRANSACTION = { 'transaction', 'warning', "this is Debezium's transaction topic",
  OFF_THE_LIST }
local HEARTBEAT = { 'heartbeat', 'warning', "this is Debezium's heartbeat topic",
  OFF_THE_LIST }
local SCHEMA_CHANGE = { 'schema_change', 'warning', "this is Debezium's topic of changes "
  .. "of the schema, or a connector's own history of them", OFF_THE_LIST }

-- What a shape means where the pipeline says something else of its topic: the shape, how
-- much it matters, what it is, and what to do.
local RULES = {
  routed = {
    { 'binary', 'problem', REGISTRY, AS_STRINGS },
    { 'struct', 'problem', PRINTED, ROUTER .. ', and table.expand.json.payload=false: '
      .. "StringConverter wants the payload's own text" },
    { 'broken', 'problem', 'the value is not JSON', "the outbox's payload must be JSON, "
      .. 'written by value.converter=' .. STRING_CONVERTER },
    { 'outbox_envelope', 'problem', 'these are rows of an outbox table as Debezium '
      .. 'captured them, not the events that EventRouter makes of them',
      ROUTER .. ', or write ' .. RAW_WORDS .. ' in kafka{}' },
    { 'outbox_flattened', 'problem', 'these are rows of an outbox table, flattened, not '
      .. 'the events that EventRouter makes of them', ROUTER
      .. ' in place of ExtractNewRecordState, or write ' .. RAW_WORDS .. ' in kafka{}' },
    { 'envelope', 'problem',
      'these are change events of a table, not events of an outbox', AS_DEBEZIUM },
    MONGODB,
    { 'flattened', 'problem',
      'these are flattened rows of a table, not events of an outbox', AS_DEBEZIUM },
    TRANSACTION, HEARTBEAT, SCHEMA_CHANGE,
    { 'text', 'warning',
      'the payload is a JSON text in quotes, which costs a second reading', AS_STRINGS },
    { 'text_twice', 'warning',
      'the payload is quoted twice: event.data is a text, not an object', AS_STRINGS
      .. ', and let the application write JSON, not a text that holds JSON, into the '
      .. 'payload' },
    { 'placed', 'problem',
      'the type of the event is a field beside the payload, not a header',
      'write :header: for :envelope: in ' .. PLACEMENT .. ' of the connector' },
  },
  raw = {
    MONGODB,
    { 'binary', 'problem', REGISTRY, AS_JSON_BOTH },
    { 'struct', 'problem', PRINTED, AS_JSON_VALUES },
    { 'broken', 'problem', 'the value is not JSON', AS_JSON_VALUES },
    { 'routed', 'problem',
      'these are events that EventRouter made, not rows of the outbox table',
      'remove outbox = { … } from kafka{}' },
    TRANSACTION, HEARTBEAT, SCHEMA_CHANGE,
  },
  debezium = {
    { 'binary', 'problem', REGISTRY, AS_JSON_BOTH },
    { 'struct', 'problem', PRINTED, AS_JSON_BOTH
      .. ': StringConverter is for an outbox after EventRouter' },
    { 'broken', 'problem', 'the value is not JSON', AS_JSON_VALUES },
    { 'scalar', 'problem', 'the value is no object, so no change of a row', AS_JSON },
    { 'text', 'problem', NO_ROW, IF_PAYLOAD },
    { 'text_twice', 'problem', NO_ROW, IF_PAYLOAD },
    { 'routed', 'problem', ROUTED, AS_OUTBOX },
    { 'placed', 'problem', ROUTED, AS_OUTBOX .. ', and :header: for :envelope: in '
      .. PLACEMENT .. ' of the connector' },
    { 'outbox_envelope', 'warning', 'these are rows of an outbox table: a projection '
      .. 'sees each as an insert of a row, not as an event', 'to have its events '
      .. AS_RAW },
    TRANSACTION, HEARTBEAT, SCHEMA_CHANGE,
    { 'object', 'problem',
      'the value is not a Debezium envelope: it has no fields op and after', AS_JSON
      .. ", or, if it is a row after ExtractNewRecordState, flattened = 'rewrite' or "
      .. "'tombstone', as its delete.tombstone.handling.mode says" },
  },
  json = {
    { 'binary', 'problem', REGISTRY, 'let the producer write JSON' },
    { 'struct', 'problem', PRINTED, AS_JSON_VALUES },
    { 'broken', 'problem', 'the value is not JSON', 'let the producer write JSON' },
    { 'envelope', 'warning', 'these are change events of a table: event.data is the '
      .. 'envelope, not the row', AS_DEBEZIUM },
    { 'outbox_envelope', 'warning',
      'these are rows of an outbox table as Debezium captured them', AS_RAW },
    { 'flattened', 'warning', 'these are flattened rows of a table: deletes are not seen',
      AS_DEBEZIUM },
    { 'outbox_flattened', 'warning', 'these are rows of an outbox table, flattened',
      AS_RAW },
    TRANSACTION, HEARTBEAT, SCHEMA_CHANGE,
  },
}

-- One that is refused before all others.
local function first_of(q, shape)
  local first
  for _, s in ipairs(q.samples) do
    if s.shape == shape and not s.is_passed then
      if s.refused then return s end
      first = first or s
    end
  end
  return first
end

local function apply(q, rules)
  for _, rule in ipairs(rules) do
    local s = first_of(q, rule[1])
    if s then q[rule[2]](q, s, rule[3], rule[4]) end
  end
end

-- An outbox behind EventRouter.

-- A header of this record that may well be the type.
local function other_type(s)
  for _, h in ipairs(s.record.headers) do
    if h[2] and h[1]:lower():find('type$') then return h[1] end
  end
end

local function find_no_type(q, s)
  local name, other = q.topic.type_header, other_type(s)
  local is_there = false
  for _, h in ipairs(s.record.headers) do is_there = is_there or h[1] == name end
  q:problem(s, ("the record has %s '%s'%s, so the type of its event is not known%s")
    :format(is_there and 'the header' or 'no header', name,
      is_there and ', but its value is null' or '',
      other and (", but a header '%s'"):format(other) or ''),
    other and ("write type = '%s' in kafka{}"):format(other)
    or is_there and 'the type column of the outbox was NULL: let the service write one; '
      .. 'the record becomes a dead letter'
    or ('set %s=type:header:%s at the connector; records that are there already stay '
      .. "without it: a new pipeline leaves them out with start = 'latest' or a time")
      :format(PLACEMENT, name))
end

local EVENTS = { routed = true, object = true, text = true, text_twice = true }

local function judge_events(q)
  for _, s in ipairs(q.samples) do
    if EVENTS[s.shape] then
      if not s.has_type then find_no_type(q, s) end
      if s.is_expanded or s.has_schema and json.is_object(s.value) then
        q:warning(s, 'the payload was expanded, so its numbers went through doubles: '
          .. '5.10 became 5.1, and long ones lost digits', 'set '
          .. 'transforms.outbox.table.expand.json.payload=false and value.converter='
          .. STRING_CONVERTER .. ' at the connector')
      elseif s.is_wrapped and s.shape ~= 'text' then
        q:warning(s, 'the payload comes with a schema that says nothing of it',
          AS_STRINGS)
      end
    end
  end
end

-- Rows of an outbox table.

local function judge_outbox_columns(q, s)
  for _, word in ipairs { 'id', 'key', 'type', 'payload', 'time' } do
    local column = q.topic.outbox[word]
    if column and member(s.row, column) == nil then
      local seen = names.of { s.row }
      q:problem(s, ("the outbox row has no column '%s', but %s"):format(column,
        names.text(seen)),
        ("name the column: outbox = { table = { %s = '…' } } in kafka{}%s")
          :format(word, names.hint(column, seen)))
    end
  end
end

-- flattened = … promises rows, and whole envelopes come.
local function judge_envelope(q, shape)
  local s = first_of(q, shape)
  if s and q.topic.flattened ~= 'unsaid' then
    q:problem(s, 'flattened is said, but these are whole envelopes', 'remove flattened = '
      .. '… from kafka{}, or set transforms=unwrap and transforms.unwrap.type='
      .. debezium.UNWRAP .. ' at the connector')
  end
end

local function judge_raw_rows(q)
  judge_envelope(q, 'outbox_envelope')
  for _, s in ipairs(q.samples) do
    if s.is_row and s.row and s.op ~= 'd' then
      judge_outbox_columns(q, s)
      if q.n_partitions > 1 and member(s.key, q.topic.outbox.key) == nil then
        q:warning(s, 'the records are not keyed by the aggregate, so its events are '
          .. 'spread over the partitions and come in any order',
          ('set message.key.columns=SCHEMA.TABLE:%s at the connector')
            :format(q.topic.outbox.key))
      end
    end
  end
end

-- Rows of tables.

local TOMBSTONE_MODE = 'set transforms.unwrap.delete.tombstone.handling.mode=rewrite at '
  .. 'the connector'

local FLATTENED = {
  unsaid = function(q, s, has_deleted)
    if has_deleted then return end
    q:problem(s,
      'the rows are flattened and carry no __deleted, so deletes cannot be told',
      TOMBSTONE_MODE .. ", or, if deletes come as tombstones, write flattened = "
      .. "'tombstone' in kafka{}")
  end,
  rewrite = function(q, s, has_deleted)
    if has_deleted then return end
    q:warning(s, "flattened = 'rewrite', but the rows carry no __deleted, so deletes "
      .. 'cannot be told', "write flattened = 'tombstone' in kafka{}, or "
      .. TOMBSTONE_MODE)
  end,
  tombstone = function(q, s, has_deleted)
    if not has_deleted then return end
    q:warning(s, "flattened = 'tombstone', but the rows carry __deleted: a delete may "
      .. 'come twice', "write flattened = 'rewrite' in kafka{}")
  end,
}

-- A lane halts at it, unless no projection minds.
local function judge_truncate(q, s)
  local is_minded, empties = false, false
  for _, p in ipairs(q.projections) do
    local is_ignored = words.has(p.ignore, 't')
    is_minded = is_minded or not is_ignored
    empties = empties or not is_ignored and p.empties
  end
  if q.topic.truncate == 'halt' and is_minded then
    q:problem(s, 'the source table was truncated: a lane that reads this record halts',
      "write truncate = 'apply' in kafka{}; or, when the table was emptied by hand, pass "
      .. "it with 'tidemill lane skip'")
  elseif empties and q.n_partitions > 1 then
    q:halt(s, 'the source table was truncated, and nobody knows which records of the '
      .. 'other partitions came before: a lane that reads this record halts',
      'give a topic whose truncates are applied one partition')
  end
end

-- An envelope that is no change of a row: the run says what it lacks, and what to do.
local function judge_promise(q, s)
  local what, hint = (s.refused or ''):match(
    '^(the value is not a Debezium envelope of a row: .-, not an object): (.*)$')
  if what and (s.shape == 'envelope' or s.shape == 'document') then
    q:problem(s, what, hint)
  end
end

local function judge_rows(q)
  judge_envelope(q, 'envelope')
  for _, s in ipairs(q.samples) do
    judge_promise(q, s)
    if s.op == 't' then judge_truncate(q, s) end
    if s.shape == 'flattened' then
      FLATTENED[q.topic.flattened](q, s, member(s.row, '__deleted') ~= nil)
    end
  end
end

-- Any JSON.

local function judge_json(q)
  for _, s in ipairs(q.samples) do
    if s.is_wrapped and s.has_schema then
      q:warning(s, "the value is a schema and a payload: the event's fields are in "
        .. 'event.data.payload',
        'set value.converter.schemas.enable=false at the connector')
    end
    if s.shape == 'routed' and other_type(s) then
      q:warning(s, 'these look like events that EventRouter made: the type is in a '
        .. 'header, and event.type is not it', AS_OUTBOX)
    end
  end
end

local JUDGES = {
  raw = judge_raw_rows, routed = judge_events, debezium = judge_rows, json = judge_json,
}

function M.judge(q)
  local use = q.topic.format
  if use == 'outbox' then use = q.topic.outbox and 'raw' or 'routed' end
  apply(q, RULES[use])
  JUDGES[use](q)
end

return M
