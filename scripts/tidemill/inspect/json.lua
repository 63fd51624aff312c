-- JSON of records as far as `check` looks at it: objects keep their members in order.
-- Texts, booleans and numbers are Lua's, whole ones int64_t.
local core = require 'tidemill.core.api'
local decimal = require 'tidemill.core.decimal'
local ffi = require 'ffi'
local value = require 'tidemill.core.value'

local C = core.C
local OBJECT, ARRAY, NULL, INT = C.TM_OBJECT, C.TM_ARRAY, C.TM_NULL, C.TM_INT
local int64 = ffi.typeof('int64_t')
local M = { null = {} }
local Object, Array = {}, {}

local tree

local function array(cells, at, n)
  local items = setmetatable({}, Array)
  for i = 1, n do items[i], at = tree(cells, at) end
  return items, at
end

function tree(cells, at)
  local tag, n = cells[at].tag, cells[at].len
  if tag == ARRAY then return array(cells, at + 1, n) end
  if tag == NULL then return M.null, at + 1 end
  if tag == INT then return cells[at].i, at + 1 end
  if tag ~= OBJECT then return value.scalar(cells[at]), at + 1 end
  local object = setmetatable({ n = n, names = {}, fields = {} }, Object)
  at = at + 1
  for i = 1, n do
    local name = value.scalar(cells[at])
    object.names[i] = name
    object.fields[name], at = tree(cells, at + 1)
  end
  return object, at
end

local out, n_out = ffi.new('const struct tm_cell *[1]'), ffi.new('uint32_t[1]')

---@return any value nil: it is no JSON
function M.read(batch, text)
  if C.tm_json(batch, text, #text, out, n_out) < 0 then return nil end
  return (tree(out[0], 0))
end

function M.is_object(v) return type(v) == 'table' and getmetatable(v) == Object end

function M.is_array(v) return type(v) == 'table' and getmetatable(v) == Array end

---@param name string|integer a step of a path
---@return any the last member of that name, or that item; nil: there is none
function M.member(v, name)
  if M.is_object(v) then return v.fields[name] end
  if M.is_array(v) then return v[name] end
end

function M.is_whole(v) return ffi.istype(int64, v) end

-- Whole numbers may be beyond 64 bits too.
function M.has_fraction(v)
  return type(v) == 'cdata' and not M.is_whole(v)
    and not (decimal.is(v) and decimal.globals.round(v, 0) == v)
end

return M
