-- The loops over the events of a batch, one function a kind of projection:
-- over the pairs [from, to), so that a run can go on behind a failed event.
-- Loaded afresh for every projection: a loop compiles for its handlers alone.
-- batch.current names the event whose handler runs, and stays when it raises;
-- batch.is_late ends them before the next one.
local bit = require 'bit'
local ffi = require 'ffi'
local core = require 'tidemill.core.api'

local C = core.C
local M = {}

local band, bor = bit.band, bit.bor
local OK, TOUCHED, EXISTS = C.TM_EVENT_OK, C.TM_ROW_TOUCHED, C.TM_ROW_EXISTS
local MISSING, NULL = C.TM_MISSING, C.TM_NULL
local DELETE = ('d'):byte()

local function check(batch, result)
  if result < 0 then error(ffi.string(batch.error), 0) end
  return result
end

-- [x]: now, row_t, event_t, handlers (by type number; nil: not asked yet,
-- false: none) and resolve(batch, type).
function M.fold(x)
  if x.once >= 0 then return M.once(x) end
  if x.n_columns == x.n_key then return M.presence(x) end
  if x.is_part then return M.part(x) end
  local now, row_t, event_t = x.now, x.row_t, x.event_t
  local handlers, resolve = x.handlers, x.resolve
  return function(batch, rows, from, to)
    for pair = from, to - 1 do
      local e = rows.pair_event[pair]
      if batch.is_late ~= 0 then return end
      if batch.states[e] == OK then
        local handler = handlers[batch.types[e]]
        if handler == nil then handler = resolve(batch, batch.types[e]) end
        if handler then
          local serial = now.serial + 1
          now.serial = serial
          batch.current = e
          handler(row_t(rows.pair_row[pair], serial), event_t(e, serial))
        end
      end
    end
  end
end

-- A fold that writes a part of a table: an event that leaves it no value in the row
-- fails, also where a later one of the batch would bring a value back, since the next
-- batch would take the row for one that is not there.
function M.part(x)
  local now, row_t, event_t = x.now, x.row_t, x.event_t
  local handlers, resolve = x.handlers, x.resolve
  return function(batch, rows, from, to)
    for pair = from, to - 1 do
      local e = rows.pair_event[pair]
      if batch.is_late ~= 0 then return end
      local handler = batch.states[e] == OK and handlers[batch.types[e]]
      if handler == nil then handler = resolve(batch, batch.types[e]) end
      if handler then
        local serial, row = now.serial + 1, rows.pair_row[pair]
        now.serial = serial
        batch.current = e
        handler(row_t(row, serial), event_t(e, serial))
        check(batch, C.tm_row_told(batch, rows, row))
      end
    end
  end
end

-- A fold of key columns alone: there is nothing to assign, so each event that is
-- handled makes the row, unless its handler deletes it.
function M.presence(x)
  local now, row_t, event_t = x.now, x.row_t, x.event_t
  local handlers, resolve, stamps, deleted = x.handlers, x.resolve, x.stamps, x.n_columns
  return function(batch, rows, from, to)
    for pair = from, to - 1 do
      local e = rows.pair_event[pair]
      if batch.is_late ~= 0 then return end
      local handler = batch.states[e] == OK and handlers[batch.types[e]]
      if handler == nil then handler = resolve(batch, batch.types[e]) end
      if handler then
        local serial, row = now.serial + 1, rows.pair_row[pair]
        now.serial = serial
        batch.current = e
        handler(row_t(row, serial), event_t(e, serial))
        if band(rows.flags[row], EXISTS) == 0 and stamps[deleted] ~= serial then
          check(batch, C.tm_row_create(batch, rows, row))
        end
      end
    end
  end
end

-- A fold with `once`: an event is handled only if its version is above the one
-- that the row holds, which becomes the event's.
function M.once(x)
  local now, row_t, event_t = x.now, x.row_t, x.event_t
  local handlers, resolve, once = x.handlers, x.resolve, x.once
  local version = ffi.new('struct tm_cell')
  return function(batch, rows, from, to)
    for pair = from, to - 1 do
      local e = rows.pair_event[pair]
      if batch.is_late ~= 0 then return end
      local handler = batch.states[e] == OK and handlers[batch.types[e]]
      if handler == nil then handler = resolve(batch, batch.types[e]) end
      if handler then
        local serial, row = now.serial + 1, rows.pair_row[pair]
        now.serial = serial
        batch.current = e
        if check(batch, C.tm_once(batch, rows, pair, version)) ~= 0 then
          handler(row_t(row, serial), event_t(e, serial))
          -- A row that the handler did not make holds no version.
          if band(rows.flags[row], EXISTS) ~= 0 then
            rows.flags[row] = bor(rows.flags[row], TOUCHED)
            rows.cells[once][row] = version
          end
        end
      end
    end
  end
end

-- `newer`: keeps what the row had before the handler, and puts it back unless
-- the handler assigned a greater value. What a later event leaves alone stays
-- below it as a layer, since the server may have a value that is newer.
local function new_guard(x)
  local saved = ffi.new('struct tm_cell[?]', x.n_columns)
  local newer, had = x.newer, false
  local function is_given(cell) return cell.tag ~= MISSING and cell.tag ~= NULL end
  local function refuse_delete()
    error('row:delete() cannot be used with `newer`: an older event would bring the row '
      .. 'back; keep the row and mark it instead', 0)
  end
  local guard = {}
  function guard.save(rows, row)
    had = band(rows.flags[row], EXISTS) ~= 0
    for i = x.n_key, x.n_columns - 1 do saved[i] = rows.cells[i][row] end
  end
  function guard.keep_newer(batch, rows, row)
    local cell = rows.cells[newer][row]
    if band(rows.flags[row], EXISTS) == 0 then refuse_delete() end
    if x.stamps[newer] ~= x.now.serial or not is_given(cell) then
      error("the column that `newer` names was not assigned: without it nobody can tell "
        .. "which version of the row is the later one", 0)
    end
    if not had then return end
    if is_given(saved[newer]) and C.tm_cell_compare(cell, saved[newer]) <= 0 then
      for i = x.n_key, x.n_columns - 1 do rows.cells[i][row] = saved[i] end
      return
    end
    for i = x.n_key, x.n_columns - 1 do
      if x.stamps[i] ~= x.now.serial then rows.cells[i][row].tag = MISSING end
    end
    check(batch, C.tm_row_layer(batch, rows, row, saved))
  end
  return guard
end

-- Each event begins with nothing but `initial`, and gives the whole row.
function M.map(x)
  local now, row_t, event_t = x.now, x.row_t, x.event_t
  local handlers, resolve = x.handlers, x.resolve
  local start, n_start = x.initial, #x.initial
  local guard = x.newer >= 0 and new_guard(x)
  return function(batch, rows, from, to)
    for pair = from, to - 1 do
      local e = rows.pair_event[pair]
      if batch.is_late ~= 0 then return end
      local handler = batch.states[e] == OK and handlers[batch.types[e]]
      if handler == nil then handler = resolve(batch, batch.types[e]) end
      if handler then
        local serial, row = now.serial + 1, rows.pair_row[pair]
        now.serial = serial
        batch.current = e
        if x.follows_deletes and batch.ops[e] == DELETE then
          check(batch, C.tm_row_delete(batch, rows, row))
        else
          if guard then guard.save(rows, row) end
          rows.flags[row] = bor(rows.flags[row], EXISTS, TOUCHED)
          for i = 1, n_start do start[i].write(row, start[i].value) end
          handler(row_t(row, serial), event_t(e, serial))
          if guard then guard.keep_newer(batch, rows, row) end
        end
      end
    end
  end
end

function M.append(x)
  local now, row_t, event_t = x.now, x.row_t, x.event_t
  local handlers, resolve, before_write = x.handlers, x.resolve, x.before_write
  return function(batch, rows, from, to)
    for pair = from, to - 1 do
      local e = rows.pair_event[pair]
      if batch.is_late ~= 0 then return end
      local handler = batch.states[e] == OK and handlers[batch.types[e]]
      if handler == nil then handler = resolve(batch, batch.types[e]) end
      if handler then
        local serial = now.serial + 1
        now.serial = serial
        batch.current = e
        local row = check(batch, C.tm_row_append(batch, rows, e))
        if handler(row_t(row, serial), event_t(e, serial)) == false then
          check(batch, C.tm_row_drop(batch, rows, row))
        elseif before_write then
          before_write(row_t(row, serial))
        end
      end
    end
  end
end

-- Row 0 is scratch: what one event contributes.
function M.merge(x)
  local now, row_t, event_t = x.now, x.row_t, x.event_t
  local handlers, resolve, n_columns = x.handlers, x.resolve, x.n_columns
  return function(batch, rows, from, to)
    for pair = from, to - 1 do
      local e = rows.pair_event[pair]
      if batch.is_late ~= 0 then return end
      local handler = batch.states[e] == OK and handlers[batch.types[e]]
      if handler == nil then handler = resolve(batch, batch.types[e]) end
      if handler then
        local serial = now.serial + 1
        now.serial = serial
        batch.current = e
        for i = x.n_key, n_columns - 1 do rows.cells[i][0].tag = 0 end
        rows.flags[0] = 0
        handler(row_t(rows.pair_row[pair], serial), event_t(e, serial))
        check(batch, C.tm_row_merge(batch, rows, rows.pair_row[pair]))
      end
    end
  end
end

-- before_write, once a changed row from row [from] on; blamed on the last event
-- of the row. The row at which it is, for a run that goes on behind it.
function M.finish(x)
  local now, row_t, before_write = x.now, x.row_t, x.before_write
  local CHANGED = EXISTS + TOUCHED
  local at = 0

  local function last_events(batch, rows)
    local last = {}
    for pair = 0, rows.n_pairs - 1 do
      if batch.states[rows.pair_event[pair]] == OK then
        last[rows.pair_row[pair]] = rows.pair_event[pair]
      end
    end
    return last
  end

  local function run(batch, rows, from, last)
    for row = from, rows.n_rows - 1 do
      if batch.is_late ~= 0 then return end
      if band(rows.flags[row], CHANGED) == CHANGED then
        now.serial = now.serial + 1
        at, batch.current = row, last[row] or -1
        before_write(row_t(row, now.serial))
      end
    end
  end

  return run, last_events, function() return at end
end

return M
