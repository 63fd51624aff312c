-- From the events of a spec to Kafka records in the format of the source.
local source = require 'tidemill.source'
local value = require 'tidemill.value'
local words = require 'tidemill.words'

local M = {}

-- Stands for JSON's null in the data of a spec, where nil means missing.
M.null = setmetatable({}, { __tostring = function() return 'null' end })

local FIELDS = {
  'topic', 'key', 'type', 'data', 'headers', 'op', 'before', 'after', 'time',
  'partition', 'offset', 'value', 'id', 'tombstone',
}
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

local function debezium(_, event)
  local after = event.after
  if after == nil and event.op ~= 'd' then after = event.data end
  local before = event.before
  if before == nil and event.op == 'd' then before = event.data end
  if before == nil and after == nil and not event.op then
    error("a Debezium event has op and after, or op = 'd' and before", 0)
  end
  return ('{"before":%s,"after":%s,"op":"%s","ts_ms":%d,"source":{"ts_ms":%d}}'):format(
    json(before), json(after), event.op or 'c', event.time, event.time)
end

local function outbox(topic, event)
  if event.type then event.headers[topic.type_header] = event.type end
  return json(event.data == nil and {} or event.data)
end

-- The type goes to where the pipeline says that it is.
local function plain(topic, event)
  local data = event.data
  if not (event.type and topic.type_path) then return json(data) end
  local copy = {}
  for name, v in pairs(data or {}) do copy[name] = v end
  local names, at = {}, copy
  for name in topic.type_path:gsub('^data%.', ''):gmatch('[^.]+') do
    names[#names + 1] = name
  end
  for i = 1, #names - 1 do
    at[names[i]] = at[names[i]] or {}
    at = at[names[i]]
  end
  at[names[#names]] = event.type
  return json(copy)
end

local FORMATS = { debezium = debezium, outbox = outbox, json = plain }

local function check(event)
  if type(event) ~= 'table' then error('an event is a table', 0) end
  for name in pairs(event) do
    if not is_field[name] then
      error(("an event of a spec has no field '%s'%s"):format(tostring(name),
        words.hint(tostring(name), FIELDS)), 0)
    end
  end
end

---@param from table the plan's source
---@param offsets table next offset by topic/partition; advanced
---@return table { topic, partition, offset, time, key, value, headers }
function M.record(from, event, offsets)
  check(event)
  local full = {}
  for name, v in pairs(event) do full[name] = v end
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
