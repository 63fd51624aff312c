-- What a batch function gets, `batch` and `tables`, and its calls. Views of
-- events and rows are good until it returns; see iterate.lua for its loops.
--
-- A row that is not loaded looks as if it did not exist and makes the run one
-- that only collects what the function asks for: nothing of it stays, an error
-- ends what it does for that event, and it goes on behind it.
local ffi = require 'ffi'
local core = require 'tidemill.core.api'
local iterate = require 'tidemill.run.iterate'
local protected = require 'tidemill.core.protected'
local recovery = require 'tidemill.run.recovery'
local value = require 'tidemill.core.value'
local words = require 'tidemill.core.words'

local C = core.C
local M = {}

local LATER = C.TM_ROW_LATER
-- Raised to end a run: all that was named is to be loaded first.
local STOP = {}
local stale = iterate.stale

local function check(now, result)
  if result < 0 then error(ffi.string(now.batch.error), 0) end
  return result
end

-- ---- rows by key ----------------------------------------------------------

local function new_keys(x, own, p, row_t)
  local now = x.now
  local n, cells = p.n_key, ffi.new('struct tm_cell[?]', p.n_key)

  local function ask(names)
    local row = C.tm_row_of(now.batch, own.rows, cells, names)
    if row == LATER then protected.raise_mark(STOP) end
    return (check(now, row))
  end

  local function refuse(given)
    error(("'%s' has a key of %d columns, not %d: give them in order"):format(p.name, n,
      given), 0)
  end

  local kept = x.kept -- what must not be collected before the core has read it
  local function row(_, ...)
    if own.serial ~= now.serial then stale() end
    if select('#', ...) ~= n then refuse(select('#', ...)) end
    for i = 1, n do kept[i] = value.set(cells[i - 1], (select(i, ...))) end
    return (row_t(ask(0), now.serial))
  end
  local function row_of_one(_, key, more)
    if own.serial ~= now.serial then stale() end
    if type(more) ~= 'nil' then refuse(2) end
    kept[1] = value.set(cells[0], key)
    return (row_t(ask(0), now.serial))
  end

  local function name(key)
    if n > 1 and (type(key) ~= 'table' or #key ~= n) then
      refuse(type(key) == 'table' and #key or 1)
    end
    for i = 1, n do kept[i] = value.set(cells[i - 1], n == 1 and key or key[i]) end
    ask(1)
  end
  local function load(_, list)
    if own.serial ~= now.serial then stale() end
    if type(list) ~= 'table' then
      error(("tables.%s:load takes a list of keys"):format(p.name), 0)
    end
    for _, key in ipairs(list) do name(key) end
  end

  return n == 1 and row_of_one or row, load
end

-- ---- rows that are added --------------------------------------------------

-- A script may catch the error of an insert, and must not be left with half of a row:
-- half.row is the one that is being filled in, or -1.
local function new_add(x, own, p, row)
  local now = x.now
  local writers, row_t = row.writers, row.row_t
  local half = { row = -1 }

  local function drop_half()
    if half.row >= 0 then check(now, C.tm_row_drop(now.batch, own.rows, half.row)) end
    half.row = -1
  end
  local function add()
    if own.serial ~= now.serial then stale() end
    if half.row >= 0 then drop_half() end
    return (check(now, C.tm_row_append(now.batch, own.rows, now.batch.current)))
  end
  local function insert(_, given)
    if type(given) ~= 'table' then
      error(("tables.%s:insert takes a table: { column = value }"):format(p.name), 0)
    end
    local index = add()
    half.row = index
    for name, v in pairs(given) do
      local write = writers[name]
      if not write then row.refuse(name) end
      write(index, v)
    end
    half.row = -1
  end
  return function() return row_t(add(), now.serial) end, insert, half, drop_half
end

-- ---- what the function sees -----------------------------------------------

local function closed(methods, title)
  local names = {}
  for name in pairs(methods) do names[#names + 1] = name end
  table.sort(names)
  setmetatable(methods, {
    __index = function(_, name)
      error(("%s has no '%s'%s"):format(title, tostring(name),
        words.hint(tostring(name), names)), 0)
    end,
  })
  return setmetatable({}, {
    __index = methods,
    __newindex = function(_, name)
      error(("%s.%s cannot be assigned"):format(title, tostring(name)), 0)
    end,
  })
end

-- [own]: what view.lua calls now, for the rows of this table.
local function new_table(x, p, fresh)
  local own = x.new_now()
  local row = fresh('tidemill.run.rows').new(own, p)
  local row_t, methods, half, drop_half = row.row_t, {}, {}, nil
  if p.kind == 'append' then
    methods.add, methods.insert, half, drop_half = new_add(x, own, p, row)
  else
    methods.row, methods.load = new_keys(x, own, p, row_t)
    if p.columns[1].from ~= 'asked' then
      local loops = fresh('tidemill.run.iterate')
      methods.events = loops.pairs(x, own, row_t)
      methods.groups = loops.groups(x, own, row_t)
    end
  end
  return { own = own, half = half, drop_half = drop_half,
    methods = closed(methods, 'tables.' .. p.name) }
end

---@param views table what view.new gives
---@param list table[] the projections of the set, the first of them with `batch`
---@param trace function of an error's text
---@param goes_on boolean events that fail are told to the core
---@return function run(batch, rows)
function M.new(views, list, fresh, trace, goes_on)
  local x = { now = views.now, new_now = views.new_now, event_t = views.event_t,
    skip = {}, kept = {}, set = { serial = 0 } }
  local all, tables = {}, {}
  for i, p in ipairs(list) do
    all[i] = new_table(x, p, fresh)
    tables[p.name] = all[i].methods
  end
  local batch_view = closed({ events = fresh('tidemill.run.iterate').events(x) }, 'batch')
  local fn, skip = list[1].batch, x.skip
  tables = closed(tables, 'tables')

  local function open(batch, rows)
    local now, set = x.now, C.tm_table_set_of(rows)
    now.serial = now.serial + 1
    x.set.now, x.set.serial = set, now.serial
    iterate.forget(skip)
    for i, t in ipairs(all) do
      t.own.batch, t.own.rows, t.own.serial = batch, set.tables[i - 1], now.serial
      t.half.row = -1
    end
    return set
  end

  -- From here on whatever the function kept is stale.
  local function close()
    x.set.serial = 0
    for _, t in ipairs(all) do
      if t.drop_half then t.drop_half() end
      t.own.serial, t.own.rows = 0, nil
    end
  end

  local function collects(set)
    return set.is_trial ~= 0 or set.n_unknown > 0
  end

  local function handler(reason)
    if rawequal(reason, STOP) or collects(x.set.now) then return reason end
    return (trace(reason))
  end

  local function tell(batch, reason)
    if not goes_on then error(reason, 0) end
    recovery.tell(batch, reason, 1)
  end

  return function(batch, rows)
    local set = open(batch, rows)
    local ok, reason
    repeat
      batch.current, skip.loop = -1, false
      protected.forget()
      ok, reason = xpcall(fn, handler, batch_view, tables)
      local is_end = rawequal(reason, STOP) or protected.is_no_memory(reason)
    until ok or is_end or not collects(set) or not iterate.skip(x)
    close()
    if not ok and (not collects(set) or protected.is_no_memory(reason)) then
      tell(batch, reason)
    end
  end
end

return M
