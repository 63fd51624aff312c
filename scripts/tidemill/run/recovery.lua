-- A run that goes on behind an event that fails. The event may have changed its
-- rows halfway, so they are made again from what was loaded, by the events
-- that entered them before; everything else stays. So a batch with some bad
-- records costs one run over its events, and not one a bad record.
local core = require 'tidemill.core.api'
local protected = require 'tidemill.core.protected'

local C = core.C
local M = {}

---Tells the core which event failed; true: enough failed, the run ends here.
---[again]: see tm_fail.
function M.tell(batch, reason, again)
  -- After this LuaJIT is not safe to use: the core starts a new VM.
  if protected.is_no_memory(reason) then protected.raise_no_memory() end
  if batch.current < 0 then error(reason, 0) end
  protected.forget()
  return C.tm_fail(batch, batch.current, reason, #reason, again) ~= 0
end

-- The pairs [first, behind) of an event.
local function pairs_of(rows, event)
  local low, high = 0, rows.n_pairs
  while low < high do
    local middle = math.floor((low + high) / 2)
    if rows.pair_event[middle] < event then low = middle + 1 else high = middle end
  end
  local first = low
  while low < rows.n_pairs and rows.pair_event[low] == event do low = low + 1 end
  return first, low
end

-- Rows are made by what entered them, in order.
local function remake(loop, batch, rows, first, behind)
  local is_mine = {}
  for pair = first, behind - 1 do
    is_mine[rows.pair_row[pair]] = true
    C.tm_row_restart(batch, rows, rows.pair_row[pair])
  end
  for pair = 0, first - 1 do
    if is_mine[rows.pair_row[pair]] then loop(batch, rows, pair, pair + 1) end
  end
end

local function take_back(kind, loop, batch, rows)
  local event = batch.current
  local first, behind = pairs_of(rows, event)
  if kind == 'append' then
    C.tm_row_undo(batch, rows, event)
  else
    remake(loop, batch, rows, first, behind)
  end
  return behind
end

local function run_events(kind, loop, trace, batch, rows)
  local from = 0
  while true do
    local ok, reason = xpcall(loop, trace, batch, rows, from, rows.n_pairs)
    if ok then return true end
    if M.tell(batch, reason, 0) then return false end
    from = take_back(kind, loop, batch, rows)
  end
end

local function run_finish(finish, last_events, at, trace, batch, rows)
  local from, last = 0, last_events(batch, rows)
  while true do
    local ok, reason = xpcall(finish, trace, batch, rows, from, last)
    if ok or M.tell(batch, reason, 1) then return end
    from = at() + 1
  end
end

---@param new_finish function|false of loops.lua, when there is a before_write
---@return function run(batch, rows)
function M.new(kind, loop, new_finish, x, trace)
  local finish, last_events, at
  if new_finish then finish, last_events, at = new_finish(x) end
  if not trace then
    return function(batch, rows)
      loop(batch, rows, 0, rows.n_pairs)
      if finish then finish(batch, rows, 0, last_events(batch, rows)) end
    end
  end
  return function(batch, rows)
    if run_events(kind, loop, trace, batch, rows) and finish then
      run_finish(finish, last_events, at, trace, batch, rows)
    end
  end
end

---Keys that are functions: what a failed event entered is passed over, since
---handlers see only events that did not fail.
---@return function run(batch, rows)
function M.keys(loop, at, trace)
  if not trace then
    return function(batch, rows) loop(batch, rows, 0, rows.n_pairs) end
  end
  return function(batch, rows)
    local from = 0
    while true do
      local ok, reason = xpcall(loop, trace, batch, rows, from, rows.n_pairs)
      if ok then return end
      M.tell(batch, reason, 0)
      -- Not once more: an event that is held keeps its state when it fails.
      from = at() + 1
    end
  end
end

return M
