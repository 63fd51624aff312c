-- One record of a topic, looked at for `check`: what it is by its shape, and what a run
-- makes of it. Decoder, keys and rows of mirrors are those of a run; handlers, and keys
-- that are functions, are not called.
local core = require 'tidemill.core.api'
local ffi = require 'ffi'
local json = require 'tidemill.inspect.json'

local C = core.C
local member, is_object = json.member, json.is_object
local M = {}

-- What records can be, and the words for it.
M.SHAPES = {
  { 'tombstone', 'tombstones' },
  { 'binary', 'bytes of a schema registry' }, -- begins with a zero byte
  { 'struct', 'rows printed as text' },       -- "Struct{...}": Java's text of a row
  { 'broken', 'no JSON' },
  { 'scalar', 'JSON that is no object' },
  { 'text', 'JSON in quotes' },
  { 'text_twice', 'JSON in quotes, twice' },
  { 'envelope', 'change events of a table' }, -- Debezium's before, after and op
  { 'outbox_envelope', 'change events of an outbox table' },
  { 'document', 'change events of MongoDB' }, -- envelopes whose rows are texts
  { 'flattened', 'flattened rows' },          -- behind ExtractNewRecordState
  { 'outbox_flattened', 'flattened rows of an outbox table' },
  { 'transaction', "Debezium's transactions" },
  { 'heartbeat', "Debezium's heartbeats" },
  { 'schema_change', "Debezium's changes of the schema" },
  { 'routed', "EventRouter's events" }, -- with an id or the type as a header
  { 'placed', "EventRouter's events, the type in the value" },
  { 'object', 'JSON' },
}

local ROWS = {
  envelope = true, outbox_envelope = true, flattened = true, outbox_flattened = true,
}
local APPLIED = { routed = true, object = true, text = true }

-- A number that Double.toString() printed: 1.2E19. PostgreSQL's own JSON never has a
-- capital E.
local function has_java_double(text)
  local at = 2
  while true do
    local quote = text:find('"', at, true)
    if text:sub(at - 1, (quote or #text) - 1):find('%dE') then return true end
    if not quote then return false end
    local stop
    at = quote + 1
    repeat
      stop = text:match('["\\]()', at)
      if not stop then return false end
      at = stop + (text:sub(stop - 1, stop - 1) == '\\' and 1 or 0)
    until text:sub(stop - 1, stop - 1) == '"'
  end
end

-- {"schema":...,"payload":...} and nothing else.
---@return any value, any schema
local function unwrap(v)
  local schema, payload = member(v, 'schema'), member(v, 'payload')
  if is_object(v) and v.n == 2 and payload ~= nil
    and (is_object(schema) or rawequal(schema, json.null)) then
    return payload, schema
  end
  return v
end

local function is_outbox_row(row)
  if member(row, 'payload') == nil then return false end
  for _, name in ipairs { 'aggregateid', 'aggregate_id', 'aggregatetype',
    'aggregate_type' } do
    if member(row, name) ~= nil then return true end
  end
  return false
end

-- Fields that stand beside the columns of a flattened row, and in no envelope.
local function is_marked(v)
  return member(v, '__deleted') ~= nil or member(v, '__op') ~= nil
end

local function is_envelope(v)
  return member(v, 'op') ~= nil and member(v, 'source') ~= nil and not is_marked(v)
    and (member(v, 'after') ~= nil or member(v, 'before') ~= nil)
end

local function letter(v)
  return type(v) == 'string' and #v == 1 and v or nil
end

local function is_document(v)
  return type(v) == 'string' and v:find('^[ \t\r\n]*{') ~= nil
end

local function look_at_envelope(s)
  local after, before = member(s.value, 'after'), member(s.value, 'before')
  s.op = letter(member(s.value, 'op'))
  s.row = is_object(after) and after or is_object(before) and before or nil
  s.shape = not s.row and (is_document(after) or is_document(before)
      or member(member(s.value, 'source'), 'connector') == 'mongodb') and 'document'
    or is_outbox_row(s.row) and 'outbox_envelope' or 'envelope'
end

local function look_at_flat(s)
  s.row, s.op = s.value, letter(member(s.value, '__op'))
  s.shape = is_outbox_row(s.row) and 'outbox_flattened' or 'flattened'
end

local function has_marks(v, schema)
  -- JsonConverter names the schema of a row PREFIX.SCHEMA.TABLE.Value.
  local name = member(schema, 'name')
  return is_marked(v) or member(v, '__lsn') ~= nil or member(v, '__table') ~= nil
    or member(v, '__source_ts_ms') ~= nil
    or type(name) == 'string' and name:find('.%.Value$') ~= nil
end

---@return string|nil value of the last header of that name
function M.header(r, name)
  for i = #r.headers, 1, -1 do
    if r.headers[i][1] == name then return r.headers[i][2] or nil end
  end
end

-- An object that is no envelope.
local function look_at_object(q, s, schema)
  local v, r = s.value, s.record
  local is_routed = s.has_type or M.header(r, 'id')
  local function has(name) return member(v, name) ~= nil end
  if has 'status' and has 'event_count' and has 'id' then
    s.shape = 'transaction'
  elseif v.n == 1 and has 'ts_ms' then
    s.shape = 'heartbeat'
  elseif has 'source' and has 'databaseName' and has 'ddl' then
    s.shape = 'schema_change'
  elseif is_routed and has 'payload'
    and (has(q.topic.type_header or 'type') or has 'type' or has 'eventType') then
    s.shape = 'placed'
  elseif has_marks(v, schema)
    or not is_routed and M.header(r, '__debezium.context.connectorName') then
    look_at_flat(s)
  else
    s.shape = is_routed and 'routed' or 'object'
  end
end

-- An event without a payload is told from a tombstone by its type.
local function shape_of_nothing(q, s)
  if q.topic.format ~= 'outbox' or q.topic.outbox then return 'tombstone' end
  return s.has_type and 'routed' or s.record.value and 'object' or 'tombstone'
end

local function look_at_json(q, s, whole)
  local v, schema = unwrap(whole)
  s.value, s.is_wrapped, s.has_schema = v, schema ~= nil, is_object(schema)
  s.is_expanded = has_java_double(s.record.value)
  if is_object(v) then
    if s.is_taken and (q.topic.format == 'debezium' or q.topic.outbox) then
      -- What a run takes for a row is one.
      (s.is_flat and look_at_flat or look_at_envelope)(s)
      s.op = s.taken_op or s.op
    elseif is_envelope(v) then
      look_at_envelope(s)
    else
      look_at_object(q, s, schema)
    end
  elseif type(v) == 'string' then
    s.shape = type(json.read(q.batch, v)) == 'string' and 'text_twice' or 'text'
  elseif json.is_array(v) then
    s.shape = s.has_type and 'routed' or 'object'
  elseif rawequal(v, json.null) and q.topic.format ~= 'json' then
    s.shape = shape_of_nothing(q, s) -- JsonConverter may write a tombstone out
  else
    s.shape = 'scalar'
  end
end

local function look_at_value(q, s)
  local text = s.record.value
  if not text then
    s.shape = shape_of_nothing(q, s)
  elseif text:byte() == 0 then
    s.shape = 'binary'
  elseif text:find('^Struct{') then
    s.shape = 'struct'
  else
    local whole = json.read(q.batch, text)
    if whole == nil then s.shape = 'broken' else look_at_json(q, s, whole) end
  end
end

-- Its keys, and the row of a mirror.
local function enters(q, p, i)
  local rows = C.tm_trial_rows(q.trial, i - 1)
  return rows ~= nil and (p.kind ~= 'mirror' or C.tm_trial_mirror(q.trial, rows) == 0)
end

-- What a run makes of it; [refused]: why it does not take it.
local function take(q, r, s)
  C.tm_trial_reset(q.trial)
  C.tm_trial_event(q.trial, r.topic, r.partition, r.offset, r.time_ms, r.key,
    r.key and #r.key or -1, r.value, r.value and #r.value or -1)
  for _, h in ipairs(r.headers) do
    C.tm_trial_header(q.trial, h[1], h[2] or nil, h[2] and #h[2] or -1)
  end
  q.batch = C.tm_trial_decode(q.trial)
  local state, op = q.batch.states[0], q.batch.ops[0]
  s.is_taken, s.taken_op = state == C.TM_EVENT_OK, op ~= 0 and string.char(op) or nil
  s.is_flat = C.tm_trial_is_flat(q.trial) ~= 0
  if state == C.TM_EVENT_FAILED then s.refused = ffi.string(q.batch.reasons[0]) end
  for _, p in ipairs(s.is_taken and q.projections or {}) do
    if not p.keys_in_lua and not enters(q, p, q.index[p]) then
      s.refused = ffi.string(q.batch.error)
      return
    end
  end
end

---@param q table see inspect.lua
function M.of(q, r)
  local s, type_header = { record = r, is_passed = r.is_passed }, q.topic.type_header
  take(q, r, s)
  s.key = r.key and json.read(q.batch, r.key)
  if s.key ~= nil then s.key = unwrap(s.key) end
  s.has_type = type_header ~= nil and M.header(r, type_header) ~= nil
  look_at_value(q, s)
  s.is_row = ROWS[s.shape] or false
  -- It becomes an event of rows.
  s.is_applied = s.op ~= 't' and (s.is_row or APPLIED[s.shape] or false)
  -- A row with its values: a deleted one has nothing, or zeros.
  local deleted = member(s.row, '__deleted')
  s.is_full = not s.is_passed and s.is_row and s.row ~= nil and s.op ~= 'd'
    and not rawequal(deleted, 'true') and not rawequal(deleted, true)
  return s
end

---@return any a field of such a row, when no schema says what it is
function M.unsaid(s, name)
  if s.is_full and not s.has_schema then return member(s.row, name) end
end

-- What event.data is; nil: not an object.
function M.data(s)
  local data
  if s.is_row then data = s.row else data = s.value end
  return is_object(data) and data or nil
end

return M
