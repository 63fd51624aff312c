-- The types of views that scripts hold (an event, an object of it, its headers, a
-- row), and the words of each as functions. The sandbox has all of these as
-- `tidemill`: when a record's field or a column has the name of a word, reading that
-- name gives the field or column.
local ffi = require 'ffi'

local M = {}

local typeof = ffi.typeof
local kinds = {} -- by number of the type

-- What the functions of `tidemill` take.
local TAKES = { has = 'an event', table = 'an object of an event', exists = 'a row',
  delete = 'a row', reset = 'a row' }

---@param ctype ffi.ctype*
---@param kind table { name, and its words }
function M.add(ctype, kind)
  kinds[tonumber(ctype)] = kind
end

---@return table|nil
function M.of(x)
  return type(x) == 'cdata' and kinds[tonumber(typeof(x))] or nil
end
local of = M.of

---What a value is, in words of a pipeline: LuaJIT's names of its types mean nothing
---to a user.
---@return string
local function name_of(x)
  local kind = of(x)
  if kind then return kind.name end
  return rawequal(x, nil) and 'nil (missing or null)'
    or type(x) == 'string' and 'a text' or type(x) == 'cdata' and 'a number'
    or 'a ' .. type(x)
end
M.name_of = name_of

---The same of LuaJIT's name of a type: 'struct 452', 'string', 'int64_t'.
---@return string
function M.name_of_type(name)
  local kind = kinds[tonumber(name:match('^struct (%d+)$'))]
  if kind then return kind.name end
  if name:find('^struct ') or name:find('int%d*_t$') then return 'a number' end
  return name == 'string' and 'a text' or name == 'nil' and 'nil (missing or null)'
    or 'a ' .. name
end

-- What the sandbox calls `tidemill`.
M.library = {}
for word, takes in pairs(TAKES) do
  M.library[word] = function(x, ...)
    local kind = of(x)
    local f = kind and kind[word]
    if not f then
      error(('tidemill.%s takes %s, not %s'):format(word, takes, name_of(x)), 0)
    end
    return f(x, ...)
  end
end

-- What `x:table(…)` of a bundle is compiled as, see calls.lua.
function M.call_table(x, ...)
  local kind = of(x)
  if kind and kind.table then return kind.table(x) end
  if x == nil then error("':table()' of nil: the field is missing or null", 0) end
  return x:table(...)
end

return M
