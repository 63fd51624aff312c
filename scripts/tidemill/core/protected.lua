-- pcall and xpcall as scripts have them. Some errors a script may not catch, since
-- whatever it does afterwards would be wrong: no memory, after which LuaJIT is not safe
-- to use; a record that cannot be read; a view that a script kept. These are raised
-- again, through every pcall up to our own.
--
-- The core does not rely on this, since it knows of memory and of records
-- by itself (lua/budget.h, has_unread of flow/batch/batch.h): here the run ends sooner.
local ffi = require 'ffi'
local core = require 'tidemill.core.api'
local trace = require 'tidemill.core.trace'

local C = core.C
local M = {}

-- LuaJIT's own words. A reason may be anything, also an integer of 64 bits, of which
-- LuaJIT raises when it is compared with a text.
local NO_MEMORY = 'not enough memory'
local state = { reason = nil, batch = nil }

---Raises what no script may catch; the message names the script's line.
---@param text string
function M.raise(text)
  state.reason = trace.trace(text)
  error(state.reason, 0)
end

---For a field of an event of the batch in hand, which cannot be read.
---@param cell ffi.cdata*
function M.raise_unreadable(cell)
  C.tm_unreadable(state.batch, cell)
  M.raise(ffi.string(state.batch.error))
end

---For a reason that is no text of a person's.
function M.raise_mark(mark)
  state.reason = mark
  error(mark, 0)
end

---Has the script's call ended for want of memory?
---@param reason any what our own pcall gave
function M.is_no_memory(reason)
  return rawequal(reason, NO_MEMORY) or state.reason == NO_MEMORY
end

---Ends the run: the core looks after the memory.
function M.raise_no_memory()
  error(NO_MEMORY, 0)
end

---Before scripts run.
---@param batch ffi.cdata*|nil the batch whose handlers run from here on
function M.begin(batch)
  state.reason, state.batch = nil, batch
end

---Once it is told which event failed: scripts go on.
function M.forget()
  state.reason = nil
end

-- A loop that was left by an error stood at another event than the script does now.
local function caught(current, ok, ...)
  if not ok and rawequal((...), NO_MEMORY) then state.reason = NO_MEMORY end
  if state.reason then error(state.reason, 0) end
  if not ok and current then state.batch.current = current end
  return ok, ...
end

local function current_event()
  return state.batch and state.batch.current
end

function M.pcall(...)
  return caught(current_event(), pcall(...))
end

function M.xpcall(...)
  return caught(current_event(), xpcall(...))
end

return M
