-- Types and topics of events in a spec that nothing knows: most are misspelt.
local projection = require 'tidemill.plan.projection'
local place = require 'tidemill.testing.place'
local source = require 'tidemill.plan.source'
local words = require 'tidemill.core.words'

local M = {}

-- The types that projections of the topic handle or ignore; nil: one takes them all, or
-- sets aside what it does not know.
local function known(plan, topic)
  local list = {}
  for _, p in ipairs(plan.projections) do
    if projection.reads(p, topic) then
      if not p.types or p.strict then return nil end
      for _, name in ipairs(p.types) do list[#list + 1] = name end
      for _, name in ipairs(p.ignore or {}) do list[#list + 1] = name end
    end
  end
  return list
end

local function say(what)
  io.stderr:write(('%s: %s\n'):format(place.of_spec() or 'a spec', what))
end

---An error where a word is near, else a line, once a type: a run ignores such events.
---@param told table<string, boolean> types that a line was said of
function M.check(plan, event, topic, told)
  local name = event.type
  local is_debezium = source.topic(plan.source, topic).is_debezium
  if type(name) ~= 'string' or is_debezium then return end
  local list = known(plan, topic)
  if not list or words.has(list, name) or told[name] then return end
  local nearest = words.nearest(name, list)
  local what = ("no projection handles or ignores the type '%s'"):format(name)
  if nearest then
    error(("%s: did you mean '%s'? If it is meant, name it in ignore"):format(what,
      nearest), 0)
  end
  told[name] = true
  say(what)
end

---A line, once a topic: a run would not read it.
function M.check_topic(plan, topic, told)
  local list, mark = plan.source.topics, '\0' .. topic
  if words.has(list, topic) or told[mark] then return end
  told[mark] = true
  say(("the source has no topic '%s' (%s), and a run reads none of its records")
    :format(topic, table.concat(list, ', ')))
end

return M
