-- Views of the rows of one projection: `row` in handlers. Loaded afresh for
-- every projection, so that each has functions, and with them traces, of its
-- own. Reading and assigning are one closure a column, picked by its type.
--
-- Assignment converts at once to the column's type, so that reading back
-- gives what PostgreSQL will store and every split into batches gives the
-- same rows. The common cases are done here; all else by tm_put.
local ffi = require 'ffi'
local bit = require 'bit'
local core = require 'tidemill.core.api'
local decimal = require 'tidemill.core.decimal'
local kinds = require 'tidemill.core.kinds'
local protected = require 'tidemill.core.protected'
local value = require 'tidemill.core.value'
local words = require 'tidemill.core.words'

local M = {}

local C = core.C
local band, bor, arshift = bit.band, bit.bor, bit.arshift
local cast, istype, typeof = ffi.cast, ffi.istype, ffi.typeof
local floor = math.floor
local int64 = typeof('int64_t')
local dec, POWER, LIMIT = decimal.type, decimal.POWER, decimal.LIMIT
local LO, HI, SCALE = decimal.LO, decimal.HI, decimal.SCALE
local INDEX, SERIAL = core.field 'index', core.field 'serial'
local EXISTS, TOUCHED = C.TM_ROW_EXISTS, C.TM_ROW_TOUCHED
local BOTH = EXISTS + TOUCHED
local CELL_BYTES = ffi.sizeof 'struct tm_cell'
local MISSING, NULL, BOOL, INT = C.TM_MISSING, C.TM_NULL, C.TM_BOOL, C.TM_INT
local DEC, BIGDEC, TEXT, DOUBLE = C.TM_DEC, C.TM_BIGDEC, C.TM_TEXT, C.TM_DOUBLE
local UNSAID = C.TM_UNSAID

-- What a row has besides columns, which come first: see kinds.lua.
M.WORDS = { exists = true, delete = true, reset = true }

-- What a Lua number may be in a column: [least, behind).
local RANGE = { smallint = { -2 ^ 15, 2 ^ 15 }, integer = { -2 ^ 31, 2 ^ 31 },
  bigint = { -2 ^ 53 + 1, 2 ^ 53 } }

local function stale()
  protected.raise('stale row: a row is only good during the call it was handed to')
end

local function check(now, result)
  if result == UNSAID then protected.raise(ffi.string(now.batch.error)) end
  if result < 0 then error(ffi.string(now.batch.error), 0) end
end

-- ---- cells to values -----------------------------------------------------

local function read_decimal(cell)
  local tag = cell.tag
  if tag == DEC or tag == INT then
    local i = cell.i
    return dec(i, arshift(i, 63), tag == DEC and cell.scale or 0)
  elseif tag == BIGDEC then
    return value.scalar(cell)
  end
  return nil
end

local text_p, text_len = ffi.new('const char *[1]'), ffi.new('size_t[1]')

local function text_reader(now, column)
  return function(cell)
    if cell.tag <= NULL then return nil end
    if cell.tag == TEXT then return ffi.string(cell.p, cell.len) end
    check(now, C.tm_text(now.batch, now.rows, column, cell, text_p, text_len))
    return ffi.string(text_p[0], text_len[0])
  end
end

local SCALARS = {
  smallint = true, integer = true, bigint = true, boolean = true, text = true,
  varchar = true, char = true, real = true, double = true,
}

local function cell_reader(now, column, kind)
  if kind == 'numeric' then return read_decimal end
  if SCALARS[kind] then return value.scalar end
  return text_reader(now, column)
end

-- ---- values to cells -----------------------------------------------------

local function new_put(now, column)
  local scratch = ffi.new('struct tm_cell')
  return function(row, v)
    local kept = value.set(scratch, v)
    local result = C.tm_put(now.batch, now.rows, column, row, scratch)
    check(now, result)
    return kept
  end
end

local function write_integer(now, column, kind, put)
  local least, behind = RANGE[kind][1], RANGE[kind][2]
  return function(row, v)
    if type(v) == 'number' and v == floor(v) and v >= least and v < behind then
      local cell = now.rows.cells[column][row]
      cell.tag, cell.i = INT, v
      return
    end
    put(row, v)
  end
end

local function write_decimal(now, column, spec, put)
  local scale, limited = spec.scale, spec.precision > 0
  local digits = limited and spec.precision or 18
  local limit = digits < 19 and POWER[digits] or 9223372036854775807LL

  return function(row, v)
    local d
    if istype(dec, v) then
      d = v
    elseif type(v) == 'number' and v == floor(v) and v < 2 ^ 53 and v > -2 ^ 53 then
      d = decimal.from(v)
    else
      return put(row, v)
    end
    local m, s = cast(int64, d[LO]), d[SCALE]
    if d[HI] ~= arshift(m, 63) then return put(row, v) end
    if limited and s ~= scale then
      local n = scale - s
      if n < 0 or n > 18 or m > LIMIT[n] or m < -LIMIT[n] then return put(row, v) end
      m, s = m * POWER[n], scale
    end
    if m >= limit or m <= -limit then return put(row, v) end
    local cell = now.rows.cells[column][row]
    cell.tag, cell.i, cell.scale = DEC, m, s
  end
end

local function write_boolean(now, column, put)
  return function(row, v)
    if type(v) ~= 'boolean' then return put(row, v) end
    local cell = now.rows.cells[column][row]
    cell.tag, cell.i = BOOL, v and 1 or 0
  end
end

local function write_double(now, column, kind, put)
  return function(row, v)
    if type(v) ~= 'number' then return put(row, v) end
    if kind == 'real' then
      local rounded = tonumber(cast('float', v))
      if (rounded == math.huge or rounded == -math.huge) and v ~= rounded then
        error(('the number %.17g is out of range for real'):format(v), 0)
      end
      v = rounded
    end
    local cell = now.rows.cells[column][row]
    cell.tag, cell.d = DOUBLE, v
  end
end

-- As JSON the items of a table could be any double.
local function write_integers(put)
  return function(row, v)
    for _, item in pairs(type(v) == 'table' and v or {}) do
      if type(item) == 'number' then decimal.from(item) end
    end
    put(row, v)
  end
end

local function cell_writer(now, column, spec)
  local kind, put = spec.kind, new_put(now, column)
  if RANGE[kind] then return write_integer(now, column, kind, put) end
  if kind == 'numeric' then return write_decimal(now, column, spec, put) end
  if kind == 'boolean' then return write_boolean(now, column, put) end
  if kind == 'real' or kind == 'double' then
    return write_double(now, column, kind, put)
  end
  if kind == 'bigint[]' then return write_integers(put) end
  return put
end

-- ---- the row -------------------------------------------------------------

-- Marks a row as assigned, behind the assignment, since what a script caught assigned
-- nothing; a row that does not exist begins with the initial values of its columns,
-- but for the one that was assigned.
local function new_touch(now, kind)
  if kind == 'map' then
    return function(row) now.rows.flags[row] = bor(now.rows.flags[row], BOTH) end
  elseif kind == 'merge' then
    return function() now.rows.flags[0] = bor(now.rows.flags[0], TOUCHED) end
  end
  local first = ffi.new('struct tm_cell')
  return function(row, column)
    local flags = now.rows.flags[row]
    if band(flags, BOTH) == BOTH then return end
    if band(flags, EXISTS) == 0 then
      ffi.copy(first, now.rows.cells[column] + row, CELL_BYTES)
      check(now, C.tm_row_create(now.batch, now.rows, row))
      now.rows.cells[column][row] = first
    else
      now.rows.flags[row] = bor(flags, TOUCHED)
    end
  end
end

-- A row that does not exist shows the initial values it would begin with. They
-- are read back once through the cell, so that they are of the column's type.
local function new_initial(now, number, column, read)
  local put, known, v = new_put(now, number), false, nil
  return function(row)
    if not known then
      put(row, column.initial_value)
      local cell = now.rows.cells[number][row]
      v, known = read(cell), true
      cell.tag = MISSING
    end
    return v
  end
end

-- Columns that may be of a type that Tidemill does not know: see tm_unread().
local TAKES_TEXT = { text = true, ['text[]'] = true, ['bigint[]'] = true }

local function guarded(now, number, read)
  return function(row)
    local unread = now.rows.unread
    if unread ~= nil and unread[number] ~= 0 then
      C.tm_unread(now.batch, now.rows, number)
      protected.raise(ffi.string(now.batch.error))
    end
    return (read(row))
  end
end

local function fold_reader(now, number, column, read)
  if column.initial == nil then
    return function(row) return (read(now.rows.cells[number][row])) end
  end
  local initial = new_initial(now, number, column, read)
  return function(row)
    local cell = now.rows.cells[number][row]
    if cell.tag == MISSING and band(now.rows.flags[row], EXISTS) == 0 then
      return (initial(row))
    end
    return (read(cell))
  end
end

-- A map does not read the table: a column shows what this event assigned to
-- it and else nil, whatever other events of the batch did.
local function new_readers(now, p, stamps)
  local readers = {}
  for i, column in ipairs(p.columns) do
    local number = i - 1
    local read = cell_reader(now, number, column.kind)
    if p.kind == 'fold' and not column.is_key then
      local reader = fold_reader(now, number, column, read)
      readers[column.name] = TAKES_TEXT[column.kind] and guarded(now, number, reader)
        or reader
    elseif column.is_key or p.kind == 'append' then
      readers[column.name] = function(row) return (read(now.rows.cells[number][row])) end
    elseif p.kind == 'map' then
      readers[column.name] = function(row)
        if stamps[number] ~= now.serial then return nil end
        return (read(now.rows.cells[number][row]))
      end
    else
      readers[column.name] = function() return nil end -- merge: contributions only
    end
  end
  return readers
end

local function null_writer(now, column)
  return function(row) now.rows.cells[column][row].tag = NULL end
end

local function new_refusal(name)
  return function()
    error(("'%s' is set by `once`, from the event: do not assign it"):format(name), 0)
  end
end

-- Writes go past the core: in a debug build it looks whether the cell is there.
local function checked(now, column, write)
  if not core.host.is_debug then return write end
  return function(row, v)
    C.tm_must_hold(now.rows, column, row)
    return write(row, v)
  end
end

local function new_writers(now, p, stamps)
  local touch = new_touch(now, p.kind)
  local writers = {}
  for i, column in ipairs(p.columns) do
    local number = i - 1
    local write, clear = cell_writer(now, number, column), null_writer(now, number)
    if not column.is_key then
      writers[column.name] = checked(now, number, function(row, v)
        if p.kind == 'merge' then row = 0 end
        if type(v) == 'nil' then clear(row) else write(row, v) end
        touch(row, number)
        if p.kind == 'map' then stamps[number] = now.serial end
      end)
    end
    if p.kind == 'fold' and number == p.once then
      writers[column.name] = new_refusal(column.name)
    end
  end
  return writers
end

---Why a row has no such column or word.
---@return string
function M.why_unknown(p, name)
  local names, known = {}, {}
  for i, column in ipairs(p.columns) do names[i], known[i] = column.name, column.name end
  for word in pairs(M.WORDS) do known[#known + 1] = word end
  return ("table '%s' has no column '%s' in this projection%s"):format(p.table,
    tostring(name), words.hint(name, words.nearest(tostring(name), known) and known
    or names))
end

local function new_refusals(p)
  local is_key = {}
  for _, column in ipairs(p.columns) do is_key[column.name] = column.is_key end
  local function unknown(name) error(M.why_unknown(p, name), 0) end
  local function assign(name)
    if is_key[name] then
      error("'" .. name .. "' is a key column of '" .. p.table
        .. "': it is what chose this row and cannot be assigned", 0)
    elseif M.WORDS[name] then
      error('row.' .. name .. ' cannot be assigned', 0)
    end
    unknown(name)
  end
  return unknown, assign
end

local function only_for(p, what)
  error('row' .. what .. " cannot be used here: '" .. p.table .. "' is "
    .. (p.kind == 'append' and 'an append' or 'a ' .. p.kind)
    .. ', which does not read the table', 0)
end

local function new_methods(now, p, stamps, row_t)
  local function live(row)
    if not istype(row_t, row) then
      error(("this is no row of '%s': write row:delete() and row:reset(), with a colon")
        :format(p.table), 0)
    end
    if row[SERIAL] ~= now.serial then stale() end
    return row[INDEX]
  end
  local function is_there(index)
    if p.kind ~= 'fold' then only_for(p, '.exists') end
    return band(now.rows.flags[index], EXISTS) ~= 0
  end
  return is_there, {
    exists = function(row) return is_there(live(row)) end,
    delete = function(row)
      if p.kind ~= 'fold' and p.kind ~= 'map' then only_for(p, ':delete()') end
      if p.once >= 0 then
        error('row:delete() cannot be used with `once`: an older event would bring the '
          .. 'row back; keep the row and mark it instead', 0)
      end
      if p.is_part then
        error(("row:delete() cannot be used here: another projection writes other "
          .. "columns of '%s', which would be gone; assign nil, or a mark")
          :format(p.table), 0)
      end
      check(now, C.tm_row_delete(now.batch, now.rows, live(row)))
      for i = 0, #p.columns - 1 do stamps[i] = 0 end
      stamps[#p.columns] = now.serial -- by this event; see loops.presence
    end,
    reset = function(row)
      if p.kind ~= 'fold' then only_for(p, ':reset()') end
      check(now, C.tm_row_reset(now.batch, now.rows, live(row)))
    end,
  }
end

---@param now table what view.lua calls now
---@param p table a projection of the plan
---@return table { row_t, read(column, cell), stamps }
function M.new(now, p)
  local row_t = core.new_type('uint32_t index; double serial;')
  local stamps = ffi.new('double[?]', #p.columns + 1)
  local readers, writers = new_readers(now, p, stamps), new_writers(now, p, stamps)
  local unknown, refuse_assign = new_refusals(p)
  local is_there, methods = new_methods(now, p, stamps, row_t)

  ffi.metatype(row_t, {
    __index = function(row, name)
      if row[SERIAL] ~= now.serial then stale() end
      local read = readers[name]
      if read then return (read(row[INDEX])) end
      if name == 'exists' then return (is_there(row[INDEX])) end
      return methods[name] or unknown(name)
    end,
    __newindex = function(row, name, v)
      if row[SERIAL] ~= now.serial then stale() end
      local write = writers[name]
      if not write then refuse_assign(name) end
      write(row[INDEX], v)
    end,
    __tostring = function() return "row of '" .. p.table .. "'" end,
    __eq = rawequal,
  })
  kinds.add(row_t, { name = 'a row', exists = methods.exists, delete = methods.delete,
    reset = methods.reset })
  return { row_t = row_t, stamps = stamps, writers = writers, refuse = refuse_assign }
end

M.cell_reader = cell_reader

return M
