-- Types of events in a spec that no projection knows: most are misspelt.
local projection = require 'tidemill.plan.projection'
local place = require 'tidemill.testing.place'
local source = require 'tidemill.plan.source'
local words = require 'tidemill.core.words'

local M = {}

-- The types that projections of the topic handle or ignore; nil: one takes them all.
local function known(plan, topic)
  local list = {}
  for _, p in ipairs(plan.projections) do
    if projection.reads(p, topic) then
      if not p.types then return nil end
      for _, name in ipairs(p.types) do list[#list + 1] = name end
      for _, name in ipairs(p.ignore or {}) do list[#list + 1] = name end
    end
  end
  return list
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
  io.stderr:write(('%s: %s\n'):format(place.of_spec() or 'a spec', what))
end

return M
