-- From the events of a spec to Kafka records in the format of the source.
local kinds = require 'tidemill.core.kinds'
local path_of = require 'tidemill.core.path'
local source = require 'tidemill.plan.source'
local value = require 'tidemill.core.value'
local words = require 'tidemill.core.words'

local M = {}

-- Stands for JSON's null in the data of a spec, where nil means missing.
M.null = setmetatable({}, { __tostring = function() return 'null' end })

local FIELDS = {
  'topic', 'key', 'type', 'data', 'headers', 'op', 'before', 'after', 'time',
  'partition', 'offset', 'value', 'id', 'tombstone', 'source',
}
M.FIELDS = FIELDS
local is_field = {}
for _, name in ipairs(FIELDS) do is_field[name] = true end

local function json(x)
  if x == nil or x == M.null then return 'null' end
  if type(x) ~= 'table' then return value.encode(x) end
  if #x > 0 or next(x) == nil and getmetatable(x) then
    local items = {}
    for i, item in ipairs(x) do items[i] = json(item) end
    return '[' .. table.concat(items, ',') .. ']'
  end
  local names, parts = {}, {}
  for name in pairs(x) do names[#names + 1] = tostring(name) end
  table.sort(names)
  for i, name in ipairs(names) do
    parts[i] = value.encode(name) .. ':' .. json(x[name])
  end
  return '{' .. table.concat(parts, ',') .. '}'
end
M.json = json

local function key_text(key)
  if key == nil or type(key) == 'string' then return key end
  return json(key)
end

local function envelope(event, before, after, op)
  local words_on_it = { ts_ms = event.time }
  for name, v in pairs(event.source or {}) do words_on_it[name] = v end
  return ('{"before":%s,"after":%s,"op":"%s","ts_ms":%d,"source":%s}'):format(
    json(before), json(after), op, event.time, json(words_on_it))
end

local function copy_of(t)
  local copy = {}
  for name, v in pairs(t or {}) do copy[name] = v end
  return copy
end

-- A row behind ExtractNewRecordState; fields of the spec's own come last.
local function flattened(event, row)
  local out = { __op = event.op or 'c', __deleted = tostring(event.op == 'd'),
    __source_ts_ms = event.time }
  for name, v in pairs(row or {}) do out[name] = v end
  return json(out)
end

local function debezium(topic, event)
  local after = event.after
  if after == nil and event.op ~= 'd' then after = event.data end
  local before = event.before
  if before == nil and event.op == 'd' then before = event.data end
  if before == nil and after == nil and not event.op then
    error("a Debezium event has op and after, or op = 'd' and before", 0)
  end
  if topic.flattened == 'unsaid' then
    return envelope(event, before, after, event.op or 'c')
  elseif topic.flattened == 'tombstone' and event.op == 'd' then
    return nil
  end
  return flattened(event, event.op == 'd' and before or after)
end

-- The row of the outbox table that an event would have been.
local function outbox_row(topic, event)
  local names, row = topic.outbox, {}
  row[names.id] = event.id or event.topic .. '/' .. event.offset
  row[names.key] = event.key == nil and M.null or event.key
  row[names.type] = event.type == nil and M.null or event.type
  row[names.payload] = event.data == nil and M.null or json(event.data)
  if names.time then row[names.time] = M.null end -- then the time is source.ts_ms
  event.key = json { [names.id] = row[names.id] }
  return envelope(event, nil, row, event.op or 'c')
end

local function outbox(topic, event)
  if topic.outbox then return outbox_row(topic, event) end
  if event.type and type(event.type) ~= 'string' then
    error(("'type' of an event in a spec is %s, not a text"):format(
      kinds.name_of(event.type)), 0)
  end
  if event.type then event.headers[topic.type_header] = event.type end
  return json(event.data == nil and {} or event.data)
end

local MOST_ITEMS = 1000

-- Items of an array in front of the one that the type goes to; else it were an object.
local function fill(t, step)
  if type(step) ~= 'number' then return end
  for i = #t + 1, math.min(step, MOST_ITEMS) - 1 do t[i] = M.null end
end

local function no_place(path, what)
  error(("'type' goes to '%s', but %s: write the whole record into 'value'"):format(path,
    what), 0)
end

local function is_container(x) return type(x) == 'table' and x ~= M.null end

-- The type goes to where the pipeline says that it is.
local function plain(topic, event)
  local data, path = event.data, topic.type_path
  if not (event.type and path) then return json(data) end
  if type(data or {}) ~= 'table' then no_place(path, 'data is no table') end
  local copy, steps = copy_of(data), path_of.read(path)
  local at = copy
  for i = 2, #steps do -- behind `data`
    local step = steps[i]
    fill(at, step)
    if i == #steps then
      at[step] = event.type
    elseif at[step] == nil or is_container(at[step]) then
      at[step] = copy_of(at[step])
      at = at[step]
    else
      no_place(path, ("'%s' in data is no object or array"):format(tostring(step)))
    end
  end
  return json(copy)
end

local FORMATS = { debezium = debezium, outbox = outbox, json = plain }

-- What a field must be where nothing else makes a record.
local IS = {
  topic = 'string', value = 'string', headers = 'table', source = 'table',
  time = 'number', partition = 'number', offset = 'number',
}
local CALLED = { string = 'a text', table = 'a table', number = 'a number' }

local function check_field(name, x)
  local want, is = IS[name], type(x)
  if not want or is == want or want == 'number' and is == 'cdata' then return end
  error(("'%s' of an event in a spec is %s, not %s%s"):format(name, CALLED[want],
    CALLED[is] or tostring(x), name == 'value'
    and ": it is the record's value as Kafka has it; fields go into 'data'" or ''), 0)
end

local function check(event)
  if type(event) ~= 'table' then error('an event is a table', 0) end
  for name, x in pairs(event) do
    if not is_field[name] then
      error(("an event of a spec has no field '%s'%s"):format(tostring(name),
        words.hint(tostring(name), FIELDS)), 0)
    end
    check_field(name, x)
  end
end

---@param from table the plan's source
---@param offsets table next offset by topic/partition; advanced
---@return table { topic, partition, offset, time, key, value, headers }
function M.record(from, event, offsets)
  check(event)
  local full = copy_of(event)
  full.topic, full.partition = event.topic or from.topics[1], event.partition or 0
  local lane = full.topic .. '/' .. full.partition
  full.offset = event.offset or offsets[lane] or 0
  offsets[lane] = full.offset + 1
  full.time = event.time or 1700000000000 + full.offset
  full.headers = {}
  for name, v in pairs(event.headers or {}) do full.headers[name] = tostring(v) end
  if event.id then full.headers.id = tostring(event.id) end
  full.key = key_text(event.key)
  if event.tombstone then
    full.value = nil
  elseif event.value == nil then
    local topic = source.topic(from, full.topic)
    full.value = FORMATS[topic.format](topic, full)
  end
  return full
end

return M
