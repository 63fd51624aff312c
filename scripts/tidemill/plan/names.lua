-- Names of tables and columns, as PostgreSQL allows them. A name is taken as it is
-- written, capitals too. A point stands between schema and table; what has a point or
-- a quote itself is written in double quotes, as in SQL: '"my.schema"."my ""table"""'.
local core = require 'tidemill.core.api'

local M = {}

local MOST = 63
-- Of columns that every table has.
local SYSTEM = { tableoid = true, xmin = true, cmin = true, xmax = true, cmax = true,
  ctid = true }

-- Why PostgreSQL would not take the name, or another one for it; nil: it takes it.
local function refused(name)
  if name == '' then return 'it is empty' end
  if name:find('%z') then return 'it has a zero byte' end
  if not core.host.is_utf8(name) then return 'it is not UTF-8: save the file as UTF-8' end
  if #name > MOST then return 'PostgreSQL takes names of 63 bytes at most' end
  return nil
end

-- The part of a name at the beginning of [text], what stands behind it, and why it
-- is none.
local function part(text)
  if text:sub(1, 1) ~= '"' then
    local name, rest = text:match('^([^."]*)(.*)$')
    if rest:sub(1, 1) == '"' then
      return nil, nil, 'a double quote stands around a name: one that has a double '
        .. "quote itself is written '\"a\"\"b\"'"
    elseif name:find('^%s') or name:find('%s$') or name:find('%c') then
      return nil, nil, 'it has a blank at an end, or a line break: take it out, or '
        .. 'put the name in double quotes if that is meant'
    end
    return name, rest
  end
  local at = 2
  while true do
    local quote = text:find('"', at, true)
    if not quote then return nil, nil, 'a double quote does not end' end
    if text:sub(quote + 1, quote + 1) ~= '"' then
      return (text:sub(2, quote - 1):gsub('""', '"')), text:sub(quote + 1)
    end
    at = quote + 2
  end
end

-- The parts; nil and why not.
local function split(text)
  local parts, rest = {}, text
  repeat
    local name, left, reason = part(rest)
    if not name then return nil, reason end
    parts[#parts + 1], rest = name, left
    if rest ~= '' and rest:sub(1, 1) ~= '.' then
      return nil, 'after the double quote stands something: a point goes between '
        .. 'schema and table'
    end
    local is_last = rest == ''
    rest = rest:sub(2)
  until is_last
  return parts
end

---@return string|nil schema '' when not said
---@return string table, or why it is no name of one
function M.table(text)
  local parts, reason = split(text)
  if not parts then return nil, reason end
  for _, name in ipairs(parts) do
    reason = reason or refused(name)
  end
  if reason then
    return nil, reason
  elseif #parts > 2 then
    return nil, 'it has more than one point: write schema.table, with double quotes '
      .. 'around what has a point itself: \'"a.b".c\''
  end
  local schema = parts[2] and parts[1] or ''
  if schema == 'tidemill' then
    return nil, 'the schema tidemill holds positions and dead letters: use another one'
  elseif schema:find('^pg_') or schema == 'information_schema' then
    return nil, ("the schema %s is PostgreSQL's own: use another one"):format(schema)
  end
  return schema, parts[2] or parts[1]
end

-- Lua's own words need quotes, too; sql_put_field() (sql_schema.c) has the same.
local KEYWORDS = {}
for word in ('and break do else elseif end false for function goto if in local nil not '
  .. 'or repeat return then true until while'):gmatch('%a+') do
  KEYWORDS[word] = true
end

---A name as a key of a Lua table: x, or ['a name'].
function M.field(name)
  if name:find('^[%a_][%w_]*$') and not KEYWORDS[name] then return name end
  return "['" .. name:gsub("[\\']", '\\%0') .. "']"
end

---A field of [owner]: row.x, or row['a name'].
function M.of(owner, name)
  local field = M.field(name)
  return owner .. (field == name and '.' or '') .. field
end

---@return string|nil # why it is no name of a column
function M.why_no_column(name)
  if SYSTEM[name] then
    return 'PostgreSQL has a column of that name in each table'
  end
  return refused(name)
end

return M
