-- Whether projections know the types of a topic's events.
local json = require 'tidemill.inspect.json'
local names = require 'tidemill.inspect.names'
local path_of = require 'tidemill.core.path'
local sample = require 'tidemill.inspect.sample'
local words = require 'tidemill.core.words'

local M = {}

local MOST = 60

-- The type of its event; nil: it has none, or is no event.
local function type_of(q, s)
  local topic = q.topic
  local found
  if topic.format == 'debezium' then
    return s.is_row and s.op or nil
  elseif topic.outbox then
    found = json.member(s.row, topic.outbox.type)
  elseif topic.format == 'outbox' then
    return sample.header(s.record, topic.type_header)
  elseif topic.type_path then
    found = s.value
    local steps = path_of.read(topic.type_path)
    for i = 2, #steps do found = json.member(found, steps[i]) end
  end
  return type(found) == 'string' and found or nil
end

---Notes the type of each sample.
---@return string[] the distinct types of events
function M.seen(q)
  local list = {}
  for _, s in ipairs(q.samples) do
    s.type = type_of(q, s)
    if s.type and #list < MOST then names.add(list, s.type) end
  end
  return list
end

local function last_with(q, type)
  for i = #q.samples, 1, -1 do
    if q.samples[i].type == type then return q.samples[i] end
  end
end

local function is_known(q, type)
  -- A truncate is no event that a handler must know.
  if q.topic.format == 'debezium' and type == 't' then return true end
  for _, p in ipairs(q.projections) do
    if not p.types or words.has(p.types, type) or words.has(p.ignore, type) then
      return true
    end
  end
  return #q.projections == 0
end

-- Every type that has a handler.
local function handled(q)
  local list = {}
  for _, p in ipairs(q.projections) do
    for _, name in ipairs(p.types or {}) do
      if #list < MOST then names.add(list, name) end
    end
  end
  return list
end

local function find_none_handled(q, seen, wanted)
  q:warning(nil, 'no projection has a handler for any type that was seen: '
    .. names.text(seen), q.topic.format == 'debezium' and 'handlers of change events are '
    .. 'named by the operation: c, u, d and r (a row of a snapshot); on = function(row, '
    .. 'event) takes all of them' or 'the handlers are for: ' .. names.text(wanted))
end

---@param seen string[] of M.seen()
function M.judge(q, seen)
  local wanted, unknown = handled(q), {}
  for _, type in ipairs(seen) do
    if not is_known(q, type) then unknown[#unknown + 1] = type end
  end
  if #seen > 0 and #unknown == #seen then find_none_handled(q, seen, wanted) end
  for _, type in ipairs(unknown) do
    if type:find('^".+"$') then -- JsonConverter writes headers as JSON
      q:warning(last_with(q, type), ('the type %s is in quotes, which are part of it: '
        .. 'the connector writes headers as JSON'):format(type), ('set '
        .. 'header.converter=org.apache.kafka.connect.storage.SimpleHeaderConverter at '
        .. "the connector; for records that are there already name handlers with "
        .. "quotes: on['%s']"):format(type))
    end
  end
  for _, type in ipairs(unknown) do
    local hint = names.hint(type, wanted)
    if hint ~= '' then
      q:warning(last_with(q, type), ("no projection has a handler for the type '%s'")
        :format(type), 'name it in `ignore` if it does not matter' .. hint)
    end
  end
end

return M
