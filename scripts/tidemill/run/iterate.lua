-- The loops of a batch function: over all events, over events with their rows,
-- over rows with their events. Loaded afresh for each table, so that a loop
-- compiles for it alone.
--
-- A loop keeps its place in a struct of its own: a closure would be another
-- function each time, and the compiled loop another loop. batch.current names
-- the event at which the innermost loop stands; an error then is that event's.
-- Of a run that is late nothing will be used: its loops end early.
--
-- [x]: now and event_t of view.lua, set { now = struct tm_table_set, serial } and
-- skip, which says where loops begin (M.skip). [own]: now for a table's rows.
local ffi = require 'ffi'
local core = require 'tidemill.core.api'
local protected = require 'tidemill.core.protected'

local C = core.C
local POS, TO, SERIAL = core.field 'pos', core.field 'to', core.field 'serial'
local BEFORE, NUMBER = core.field 'before', core.field 'number'
local M = {}

local istype = ffi.istype

-- [pos, to): what is left; before: the event at which the loop began. Each kind of
-- loop has a type of its own: what stands for one is no place in another.
local function new_loop()
  return core.new_type('uint32_t pos, to; double serial; int32_t before;')
end

local function stale()
  protected.raise('stale loop: batch and tables are only good during the call they were '
    .. 'handed to')
end
M.stale = stale

local function no_loop()
  error('this is no loop of that table: write `for … in tables.x:events() do`', 0)
end

local function leave(now, loop)
  now.batch.current = loop[BEFORE]
  return nil
end

-- The first of n events in order that is at or behind [event].
local function place(events, n, event)
  local low, high = 0, n
  while low < high do
    local middle = math.floor((low + high) / 2)
    if events[middle] < event then low = middle + 1 else high = middle end
  end
  return low
end

local function begin(x, loop_t, to, pos, held)
  local loop = loop_t(pos, to, x.now.serial, x.now.batch.current)
  x.skip.loop, x.skip.held = loop, held
  return loop
end

-- All events: batch:events().
function M.events(x)
  local now, event_t, set = x.now, x.event_t, x.set
  local loop_t = new_loop()
  local function step(loop)
    if not istype(loop_t, loop) then no_loop() end
    local at = loop[POS]
    if loop[SERIAL] ~= now.serial then stale() end
    if at >= loop[TO] or now.batch.is_late ~= 0 then return leave(now, loop) end
    loop[POS] = at + 1
    local e = set.now.events[at]
    now.batch.current = e
    return event_t(e, now.serial)
  end
  return function()
    local n = now.serial == set.serial and set.now.n_events or stale()
    return step, begin(x, loop_t, n, place(set.now.events, n, x.skip.event), false)
  end
end

-- Each event with its row, or each of its rows.
function M.pairs(x, own, row_t)
  local now, event_t = x.now, x.event_t
  local loop_t = new_loop()
  local function step(loop)
    if not istype(loop_t, loop) then no_loop() end
    local at = loop[POS]
    if loop[SERIAL] ~= now.serial then stale() end
    if at >= loop[TO] or now.batch.is_late ~= 0 then return leave(now, loop) end
    loop[POS] = at + 1
    local rows, serial = own.rows, now.serial
    local e = rows.pair_event[at]
    now.batch.current = e
    return event_t(e, serial), row_t(rows.pair_row[at], serial)
  end
  return function()
    if own.serial ~= now.serial then stale() end
    local rows = own.rows
    return step, begin(x, loop_t, rows.n_pairs,
      place(rows.pair_event, rows.n_pairs, x.skip.event), false)
  end
end

-- Each row with its events. Between two of its events, and behind the last
-- one, an error is the event's at which the inner loop stands; before the
-- first one it is the last event's.
function M.groups(x, own, row_t)
  local now, event_t = x.now, x.event_t
  local loop_t = new_loop()
  local held = ffi.new('struct { const struct tm_groups *groups; }')
  local group_t = core.new_type('uint32_t number, pos; double serial;')

  ffi.metatype(group_t, {
    __call = function(group, _, last)
      if group[SERIAL] ~= now.serial then stale() end
      local groups = held.groups
      local at = group[POS]
      if type(last) == 'nil' then
        at = groups.first[group[NUMBER]]
        if group[NUMBER] == x.skip.group then at = math.max(at, x.skip.at) end
      end
      local is_last = at >= groups.first[group[NUMBER] + 1]
      if is_last or now.batch.is_late ~= 0 then return nil end
      group[POS] = at + 1
      local e = groups.events[at]
      now.batch.current = e
      return event_t(e, now.serial)
    end,
    __tostring = function() return 'events of a row' end,
  })

  local function step(loop)
    if not istype(loop_t, loop) then no_loop() end
    local at = loop[POS]
    if loop[SERIAL] ~= now.serial then stale() end
    if at >= loop[TO] or now.batch.is_late ~= 0 then return leave(now, loop) end
    loop[POS] = at + 1
    local groups, serial = held.groups, now.serial
    now.batch.current = groups.events[groups.first[at + 1] - 1]
    return row_t(groups.rows[at], serial), group_t(at, 0, serial)
  end
  return function()
    if own.serial ~= now.serial then stale() end
    held.groups = C.tm_groups(own.rows)
    return step, begin(x, loop_t, held.groups.n, x.skip.group, held)
  end
end

-- Behind an error in a run that only collects: past the event at which its
-- innermost loop stands. False: there is nothing behind it.
function M.skip(x)
  local skip, e = x.skip, x.now.batch.current
  if e < 0 or not skip.loop or skip.loop[POS] == 0 then return false end
  if not skip.held then
    if e < skip.event then return false end
    skip.event = e + 1
    return true
  end
  local groups, number = skip.held.groups, skip.loop[POS] - 1
  local first = groups.first[number]
  local at = first + 1
    + place(groups.events + first, groups.first[number + 1] - first, e)
  if number < skip.group or number == skip.group and at <= skip.at then return false end
  skip.group, skip.at = number, at
  return true
end

function M.forget(skip)
  skip.loop, skip.held, skip.event, skip.group, skip.at = false, false, 0, 0, 0
end

return M
