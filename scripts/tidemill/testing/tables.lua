-- The tables of a spec: what PostgreSQL would hold after each batch.
local core = require 'tidemill.core.api'
local decimal = require 'tidemill.core.decimal'
local ffi = require 'ffi'
local rows_of = require 'tidemill.run.rows'
local value = require 'tidemill.core.value'
local words = require 'tidemill.core.words'

local M = {}
local Table = {}
Table.__index = Table

local C = core.C
local bit = require 'bit'
local EXISTS, TOUCHED = C.TM_ROW_EXISTS, C.TM_ROW_TOUCHED
local CLEARED, MISSING = C.TM_ROW_CLEARED, C.TM_MISSING
local IS_JSON = { json = true, jsonb = true }
local INTEGERS = { smallint = true, integer = true, bigint = true }

-- What one projection sees of a table.
local function new_part(home, p)
  local self = setmetatable({ p = p, home = home, now = {}, readers = {} }, Table)
  for i, column in ipairs(p.columns) do
    self.readers[i] = rows_of.cell_reader(self.now, i - 1, column.kind)
  end
  return self
end

-- [self]: nil, or the table that [p] writes other columns of.
function M.new(p, self)
  self = self or { rows = {}, parts = {}, p = p }
  self.parts[#self.parts + 1] = new_part(self, p)
  self.parts[p] = self.parts[#self.parts]
  return setmetatable(self, Table)
end

-- Rows are replaced and never changed, so a copy can share them.
function Table:copy()
  local copy
  for _, part in ipairs(self.parts) do copy = M.new(part.p, copy) end
  for k, row in pairs(self.rows) do copy.rows[k] = row end
  return copy
end

function Table:of(p) return self.parts[p] end

-- Has the row a value in a column that the projection writes?
local function is_there(p, row)
  for i = p.n_key + 1, #p.columns do
    if row[p.columns[i].name] ~= nil then return true end
  end
  return false
end

-- A row of which the projection writes a part, with what others wrote.
local function completed(p, old, row)
  if not (p.is_part and old) then return row end
  local whole = {}
  for name, v in pairs(old) do whole[name] = v end
  for _, column in ipairs(p.columns) do whole[column.name] = row[column.name] end
  return whole
end

-- A given value as it would be read back.
local function normal(column, v)
  if v ~= nil and column.kind == 'numeric' then
    local d = decimal.from(v)
    return column.precision > 0 and decimal.globals.round(d, column.scale) or d
  elseif column.kind == 'char' and type(v) == 'string' then
    return (v:gsub(' +$', ''))
  elseif INTEGERS[column.kind] and decimal.is_numeric(v) then
    return decimal.whole(v)
  end
  return v
end

local out, n_out = ffi.new('const struct tm_cell *[1]'), ffi.new('uint32_t[1]')

-- The text that a json column would hold.
local function document(batch, column, v)
  if type(v) == 'string' and C.tm_json(batch, v, #v, out, n_out) < 0 then
    error(("given: column '%s' is %s, and '%s' is no JSON: write a table, or the JSON of "
      .. "a text: '%s'"):format(column.name, column.kind, v, value.encode(v)), 0)
  end
  return type(v) == 'string' and v or value.encode(v)
end

-- [begins]: the projection has its columns of the row.
local function given_value(batch, column, v, begins)
  if v == nil then
    if begins then v = column.initial_value end
    return v ~= nil and IS_JSON[column.kind] and value.encode(v) or normal(column, v)
  end
  return IS_JSON[column.kind] and document(batch, column, v) or normal(column, v)
end

local function key_text(p, row)
  local parts = {}
  for i = 1, p.n_key do
    local column = p.columns[i]
    local text = tostring(normal(column, row[column.name]))
    if column.kind == 'numeric' and text:find('%.') then
      text = text:gsub('0+$', ''):gsub('%.$', '') -- 1.50 and 1.5 are one key
    end
    parts[i] = text
  end
  return table.concat(parts, '\0')
end

---@param batch ffi.cdata* any one of the trial
function Table:give(list, batch)
  local names = {}
  for _, part in ipairs(self.parts) do
    for _, column in ipairs(part.p.columns) do names[#names + 1] = column.name end
  end
  for _, given in ipairs(list) do
    local row = {}
    for name in pairs(given) do
      local nearest = words.nearest(tostring(name), names)
      if nearest ~= name then
        error(("given: table '%s' has no column '%s'%s"):format(self.p.table,
          tostring(name), words.hint(tostring(name), names)), 0)
      end
    end
    for i = 1, self.p.n_key do
      local name = self.p.columns[i].name
      if given[name] == nil then
        error(("given: a row of table '%s' has no value for its key '%s'"):format(
          self.p.table, name), 0)
      end
    end
    for _, part in ipairs(self.parts) do
      local begins = not part.p.is_part or is_there(part.p, given)
      for _, column in ipairs(part.p.columns) do
        row[column.name] = given_value(batch, column, given[column.name], begins)
      end
    end
    if self.p.n_key == 0 then
      self.rows[#self.rows + 1] = row
    else
      self.rows[key_text(self.p, row)] = row
    end
  end
end

local function find(self, trial, batch, rows, row)
  local p = self.p
  local key, kept = ffi.new('struct tm_cell[?]', p.n_key), {}
  for i = 1, p.n_key do kept[i] = value.set(key[i - 1], row[p.columns[i].name]) end
  local index = C.tm_trial_find(trial, rows, key)
  if index == C.TM_NO_KEY then error(ffi.string(batch.error), 0) end
  return index, kept
end

-- A text of a json column is the document itself.
local function set_stored(cell, column, v)
  local kept = value.set(cell, v)
  if v ~= nil and IS_JSON[column.kind] then cell.tag = C.TM_OBJECT end
  return kept
end

-- Hands the rows that the batch touches to the core, as if just loaded.
function Table:load(trial, batch, rows)
  local p = self.p
  if p.kind ~= 'fold' then return end
  local cell = ffi.new('struct tm_cell')
  for _, row in pairs(self.home.rows) do
    local index = find(self, trial, batch, rows, row)
    if index >= 0 and (not p.is_part or is_there(p, row)) then
      for i = p.n_key + 1, #p.columns do
        local kept = set_stored(cell, p.columns[i], row[p.columns[i].name])
        if C.tm_trial_given(trial, rows, i - 1, index, cell) < 0 then
          error(ffi.string(batch.error), 0)
        end
        self.kept = kept
      end
    end
  end
end

-- The key columns of a row, then what was assigned over what was there.
---@param cell function of a column's index from 0
local function written(self, cell, old)
  local p, row = self.p, {}
  for i, column in ipairs(p.columns) do
    local value_cell = cell(i - 1)
    if value_cell.tag ~= MISSING then
      row[column.name] = self.readers[i](value_cell)
    elseif old then
      row[column.name] = old[column.name]
    end
  end
  return row
end

local function cells_of(rows, index)
  return function(i) return rows.cells[i][index] end
end

local COMBINE = {
  sum = function(a, b, column)
    if not INTEGERS[column.kind] then return a + b end
    local sum = decimal.from(a) + b
    local text = tostring(sum)
    local wrong = C.tm_refuse(column.type, ('n'):byte(), text, #text)
    if wrong ~= nil then
      error(('merge.%s: the sum: %s'):format(column.name, ffi.string(wrong)), 0)
    end
    return decimal.whole(sum)
  end,
  min = function(a, b) return b < a and b or a end,
  max = function(a, b) return b > a and b or a end,
}

local function merged(p, old, row)
  for i = p.n_key + 1, #p.columns do
    local column = p.columns[i]
    local a, b = old[column.name], row[column.name]
    if a ~= nil and b ~= nil then
      row[column.name] = COMBINE[column.merge](a, b, column)
    end
    if b == nil then row[column.name] = a end
  end
  return row
end

local function upsert(self, key, cell)
  local p, fresh = self.p, written(self, cell)
  local old, kept = self.home.rows[key], nil
  local newer = p.newer >= 0 and p.columns[p.newer + 1].name
  if p.kind == 'merge' then
    kept = old and merged(p, old, fresh) or fresh
  elseif not (old and newer and old[newer] ~= nil)
    or fresh[newer] ~= nil and fresh[newer] > old[newer] then
    kept = written(self, cell, old)
  end
  if kept and p.is_part and p.kind == 'fold' and not is_there(p, kept) then
    error(('%s: the row has no value in any column of this projection, so that it could '
      .. 'not be told from one that another projection made: assign one of them')
      :format(p.table), 0)
  end
  if kept then self.home.rows[key] = completed(p, old, kept) end
end

-- A delete that has a version takes only older rows away.
local function delete(self, key, cell)
  local p, old = self.p, self.home.rows[key]
  local newer = p.newer >= 0 and p.columns[p.newer + 1].name
  if old and cell ~= nil and old[newer] ~= nil
    and self.readers[p.newer + 1](cell) <= old[newer] then
    return
  end
  self.home.rows[key] = nil
end

-- What `newer` keeps of each row below it: { [row] = { cells, … } }.
local function layers_of(self, trial, rows)
  local list, number, row = {}, 0, ffi.new('int32_t[1]')
  while self.p.newer >= 0 do
    local cells = C.tm_trial_layer(trial, rows, number, row)
    if row[0] < 0 then break end
    local below = list[row[0]] or {}
    list[row[0]] = below
    if cells ~= nil then below[#below + 1] = cells end
    number = number + 1
  end
  return list
end

-- In the order of the statements: deletes, what lies below the row, the row.
local function store_row(self, trial, rows, index, layers)
  local flags = rows.flags[index]
  if bit.band(flags, TOUCHED) == 0 then return end
  local key = key_text(self.p, written(self, cells_of(rows, index)))
  if bit.band(flags, CLEARED) ~= 0 then
    delete(self, key, C.tm_trial_deleted(trial, rows, index))
  end
  for _, cells in ipairs(layers or {}) do
    upsert(self, key, function(i) return cells[i] end)
  end
  if bit.band(flags, EXISTS) ~= 0 then upsert(self, key, cells_of(rows, index)) end
end

-- `once`: what has the value already stays; without it nobody could tell.
local function append(self, row)
  local p = self.p
  local name = p.once >= 0 and p.columns[p.once + 1].name
  if name and row[name] == nil then
    error(("%s.%s: the row has no value for it, by which a repeated event is known "
      .. '(once): assign it'):format(p.table, name), 0)
  end
  local stored = self.home.rows
  for _, other in ipairs(name and stored or {}) do
    if other[name] == row[name] then return end
  end
  stored[#stored + 1] = row
end

function Table:empty()
  self.home.rows = {}
end

-- Takes over what the handlers left, as the writer would.
function Table:store(trial, batch, rows)
  local p = self.p
  self.now.batch, self.now.rows = batch, rows
  local first = p.kind == 'merge' and 1 or 0
  local layers = layers_of(self, trial, rows)
  for index = first, rows.n_rows - 1 do
    if p.kind == 'append' then
      append(self, written(self, cells_of(rows, index)))
    else
      store_row(self, trial, rows, index, layers[index])
    end
  end
end

local function before(a, b)
  if decimal.is_numeric(a) and decimal.is_numeric(b) then return a < b end
  if type(a) == 'string' and type(b) == 'string' then return a < b end
  return tostring(a) < tostring(b)
end

local function plain_copy(row)
  local copy = {}
  for name, v in pairs(row) do copy[name] = v end
  return copy
end

function Table:list()
  local p, list = self.p, {}
  if p.n_key == 0 then
    for i, row in ipairs(self.rows) do list[i] = plain_copy(row) end
    return list
  end
  for _, row in pairs(self.rows) do list[#list + 1] = plain_copy(row) end
  table.sort(list, function(a, b)
    for i = 1, p.n_key do
      local name = p.columns[i].name
      if a[name] ~= b[name] then return before(a[name], b[name]) end
    end
    return false
  end)
  return list
end

function Table:get(key)
  local p, row = self.p, {}
  if p.n_key == 0 then
    error(("table '%s' is an append and has no key: use rows"):format(p.table), 0)
  end
  for i = 1, p.n_key do
    local name = p.columns[i].name
    if type(key) == 'table' then
      row[name] = key[name] == nil and key[i] or key[name]
    else
      row[name] = key
    end
  end
  local found = self.rows[key_text(p, row)]
  return found and plain_copy(found)
end

return M
