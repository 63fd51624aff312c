-- What C calls, once a phase of a batch: keys that are functions, and the
-- handlers of one projection over its events, or a batch function.
local ffi = require 'ffi'
local core = require 'tidemill.core.api'
local protected = require 'tidemill.core.protected'
local recovery = require 'tidemill.run.recovery'
local value = require 'tidemill.core.value'
local view = require 'tidemill.run.view'
local written = require 'tidemill.run.written'

local M = {}

local C = core.C
local batch_t, rows_t = ffi.typeof('struct tm_batch *'), ffi.typeof('struct tm_rows *')

-- A module of its own for each caller: its functions are new prototypes, so
-- that the JIT compiles every projection by itself. In a run the only loader is
-- that of the bundle.
local function fresh(name)
  for _, find in ipairs(package.loaders) do
    local chunk = find(name)
    if type(chunk) == 'function' then return chunk(name) end
  end
end

-- Handlers by type name, or one function for all.
local function new_resolve(p, handlers)
  local on = p.on
  return function(batch, number)
    local handler = false
    if type(on) == 'function' then
      handler = on
    elseif number ~= 0 then
      local len = ffi.new('size_t[1]')
      local name = C.tm_type_name(batch, number, len)
      handler = name ~= nil and on[ffi.string(name, len[0])] or false
    end
    handlers[number] = handler
    return handler
  end
end

local function initial_writes(p, writers)
  local list = {}
  if p.kind == 'map' then
    for _, column in ipairs(p.columns) do
      if column.initial ~= nil then
        list[#list + 1] = { write = writers[column.name], value = column.initial_value }
      end
    end
  end
  return list
end

-- [trace]: makes the user's message of an error, when a run shall go on behind
-- events that fail; without it the first one ends the run.
local function new_fold(views, p, trace)
  local rows, loops = fresh('tidemill.run.rows'), fresh('tidemill.run.loops')
  local row = rows.new(views.now, p)
  local handlers = {}
  local x = {
    now = views.now, event_t = views.event_t, row_t = row.row_t, stamps = row.stamps,
    handlers = handlers,
    resolve = new_resolve(p, handlers), before_write = p.before_write,
    initial = initial_writes(p, row.writers), follows_deletes = p.follows_deletes,
    n_columns = #p.columns, n_key = p.n_key, newer = p.newer, once = p.once,
    is_part = p.is_part,
  }
  return recovery.new(p.kind, loops[p.kind](x),
    p.before_write and p.kind ~= 'append' and loops.finish, x, trace)
end

-- ---- keys that are functions ----------------------------------------------

-- The core has chosen the events (rows.pair_event) and takes the other key
-- columns from them; here are only the values that functions give: one value,
-- a list (one group each), or nil: the event is not for this table. Nor is it for a
-- row by what is null in a list, which does not end there.
local function length_of_list(v)
  local n = value.array_length(v) or #v
  if n == 0 and next(v) ~= nil then
    error('a key is one value, a list of values or nil, and not a table with names', 0)
  end
  return n
end

local function new_keys(views, p, trace)
  local now, event_t = views.now, views.event_t
  local cells, kept = ffi.new('struct tm_cell[?]', p.n_key), {}
  local functions = {}
  for i = 1, p.n_key do functions[i] = p.columns[i].key_function end

  local function enter(batch, rows, e)
    if C.tm_key(batch, rows, e, cells) < 0 then error(ffi.string(batch.error), 0) end
  end

  local function spread(batch, rows, e, i)
    while i <= p.n_key and not functions[i] do i = i + 1 end
    if i > p.n_key then return enter(batch, rows, e) end
    local v = functions[i](event_t(e, now.serial))
    if type(v) ~= 'table' then
      if v == nil then return end
      kept[i] = value.set(cells[i - 1], v)
      return spread(batch, rows, e, i + 1)
    end
    for k = 1, length_of_list(v) do
      if type(v[k]) ~= 'nil' then
        kept[i] = value.set(cells[i - 1], v[k])
        spread(batch, rows, e, i + 1)
      end
    end
  end

  local at = 0
  local function loop(batch, rows, from, to)
    for k = from, to - 1 do
      if batch.is_late ~= 0 then return end
      local e = rows.pair_event[k]
      at, batch.current = k, e
      now.serial = now.serial + 1
      if batch.states[e] ~= C.TM_EVENT_FAILED then spread(batch, rows, e, 1) end
    end
  end
  return recovery.keys(loop, function() return at end, trace), kept
end

---@param plan table as plan.lua made it
---@param trace? function of an error's text; with it a run goes on behind
---events that fail, which are told to the core
---@param name_line function the same, for who needs it in any case
---@return table { keys(batch, rows), fold(batch, rows) }
function M.new(plan, trace, name_line)
  local views = view.new(written.new(plan.files))
  local now = views.now
  local folds, keys = {}, {}
  for i, p in ipairs(plan.projections) do
    if p.batch then
      local list = { unpack(plan.projections, i, i + p.n_set - 1) }
      folds[i - 1] = fresh('tidemill.run.batch').new(views, list, fresh, name_line,
        trace ~= nil)
    elseif p.has_handler and not p.in_set then
      folds[i - 1] = new_fold(views, p, trace)
    end
    if p.keys_in_lua then keys[i - 1] = new_keys(views, p, trace) end
  end

  local function run(functions, batch, rows)
    batch, rows = ffi.cast(batch_t, batch), ffi.cast(rows_t, rows)
    now.batch, now.rows = batch, rows
    protected.begin(batch)
    functions[rows.projection](batch, rows)
    batch.current = -1
    now.serial = now.serial + 1 -- whatever a script kept is stale from here on
  end

  return {
    keys = function(batch, rows) run(keys, batch, rows) end,
    fold = function(batch, rows) run(folds, batch, rows) end,
  }
end

return M
