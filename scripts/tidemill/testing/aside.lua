-- Records of a spec that cannot be applied: they are set aside, and later ones of their
-- key wait behind them, as in production (runtime/flow/batch/failures.h).
local projection = require 'tidemill.plan.projection'

local M = {}

-- What is raised where a record fails: { reason, at (its place in the batch; nil: any of
-- them may be the one), halts (not the record is wrong, a run would halt) }.
local Failure = {}

function M.raise(reason, at, halts)
  error(setmetatable({ reason = reason, at = at, halts = halts }, Failure), 0)
end

---@return boolean # was it raised by M.raise?
function M.is_failure(x) return getmetatable(x) == Failure end

local Aside = {}
Aside.__index = Aside

---@param plan table
function M.new(plan)
  return setmetatable({ plan = plan, held = {}, found = {} }, Aside)
end

function Aside:copy()
  local copy = M.new(self.plan)
  for key in pairs(self.held) do copy.held[key] = true end
  return copy
end

-- Where only append and merge read a topic, its records need no order.
local function has_order(plan, topic)
  for _, p in ipairs(plan.projections) do
    if p.kind ~= 'append' and p.kind ~= 'merge' and projection.reads(p, topic) then
      return true
    end
  end
  return false
end

local HELD = 'held: an earlier record of its key is set aside'

-- What later records are held by; nil: they are not.
local function key_of(plan, record)
  if not record.key or not plan.dead_letters.holds or not has_order(plan, record.topic)
  then
    return nil
  end
  return table.concat({ record.topic, record.partition, record.key }, '\0')
end

-- The reason and the record, for a message.
local function text_of(sent, reason)
  if reason:find('^cannot be read: ') then
    return ('event %d %s'):format(sent.number, reason)
  end
  return ('%s (event %d, %s)'):format(reason, sent.number,
    sent.event.type or sent.event.op or 'no type')
end
M.text = text_of

local function letter_of(found)
  local event, record = found.sent.event, found.sent.record
  return { event = found.sent.number, type = event.type, key = event.key,
    topic = record.topic, partition = record.partition, offset = record.offset,
    reason = found.reason, held = found.reason == HELD,
    text = text_of(found.sent, found.reason) }
end

function Aside:add(sent, reason)
  local key = key_of(self.plan, sent.record)
  -- It was found before an earlier record of its key was.
  for _, other in ipairs(self.found) do
    if key and other.key == key and other.sent.number > sent.number then
      other.reason = HELD
    end
  end
  self.found[#self.found + 1] = { sent = sent, key = key, reason = reason }
  if key then self.held[key] = sent.number end
end

---Those of the records that are applied, or tried; the others wait behind one of theirs.
function Aside:left_of(list)
  local left = {}
  for _, sent in ipairs(list) do
    local key = key_of(self.plan, sent.record)
    local behind = key and self.held[key]
    if behind == true or behind and sent.number > behind then
      self.found[#self.found + 1] = { sent = sent, key = key, reason = HELD }
    else
      left[#left + 1] = sent
    end
  end
  return left
end

---Ends a run: what was set aside, in order. What is held stays so.
---@return table[]
function Aside:take()
  local letters = {}
  for i, found in ipairs(self.found) do letters[i] = letter_of(found) end
  self.found = {}
  for key in pairs(self.held) do self.held[key] = true end
  table.sort(letters, function(a, b) return a.event < b.event end)
  return letters
end

return M
