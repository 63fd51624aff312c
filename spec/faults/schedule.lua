-- Which fault comes next. The seed alone decides, never the clock: how many come
-- is up to the time there is, what the n-th is and the numbers it gets are not.
local new_random = require('bank').random

local M = {}
local Schedule = {}
Schedule.__index = Schedule

--- Each of [faults] comes once, in some order, before any comes again.
function M.new(seed, faults)
  local schedule = setmetatable({
    random = new_random(seed), faults = faults, first = {}, n = 0,
  }, Schedule)
  for _, fault in ipairs(faults) do
    table.insert(schedule.first, schedule.random(1, #schedule.first + 1), fault)
  end
  return schedule
end

local function weighted(schedule)
  local sum = 0
  for _, fault in ipairs(schedule.faults) do sum = sum + (fault.weight or 1) end
  local at = schedule.random(1, sum)
  for _, fault in ipairs(schedule.faults) do
    at = at - (fault.weight or 1)
    if at <= 0 then return fault end
  end
end

--- The next step: { n, fault, random, pause, is_open }. pause: seconds of load
--- before it; is_open: leave it open until the next has fired too.
function Schedule:next()
  self.n = self.n + 1
  local fault = self.first[self.n] or weighted(self)
  return {
    n = self.n, fault = fault, random = new_random(self.random(1, 2147483000)),
    pause = self.random(0, 1000) / 1000,
    is_open = self.random(1, 3) == 1,
  }
end

--- True once each fault has come up.
function Schedule:has_shown_all() return self.n >= #self.first end

return M
