-- Several projections that write other columns of one table each. A row is there as soon
-- as one of them makes it; what a projection has of it is there once one of its own
-- columns has a value (runtime/flow/table/reader.c).
local words = require 'tidemill.core.words'

local M = {}

local function key_text(p)
  local list = {}
  for i = 1, p.n_key do
    list[i] = ("%s = '%s'"):format(p.columns[i].name, p.columns[i].type)
  end
  return table.concat(list, ', ')
end

local function common_column(p, other)
  local names = {}
  for i = other.n_key + 1, #other.columns do names[other.columns[i].name] = true end
  for i = p.n_key + 1, #p.columns do
    if names[p.columns[i].name] then return p.columns[i].name end
  end
end

-- Why the projection cannot write a part of a table; nil: it can.
local function why_alone(p)
  if p.in_set or p.kind == 'append' then
    return ': a table has one owner'
  elseif #p.columns == p.n_key then
    return ', and there is no column that it alone writes: name some'
  elseif p.kind == 'mirror' and not words.has(p.ignore, 'd') then
    return ", whose columns a delete of the source would take away: write ignore = "
      .. "{ 'd' }"
  elseif p.deletes then
    return ", whose columns a delete of the source would take away: write ignore = "
      .. "{ 'd' }, or map = true with a handler for d"
  elseif p.empties then
    return ", whose columns truncate = 'apply' would take away: write ignore = { 't' }"
  end
end

local function why_not(p, other)
  local column = common_column(p, other)
  if column then
    return (", which writes the column '%s', too: name columns of its own, or make one "
      .. 'projection with the handlers of both'):format(column)
  elseif key_text(p) ~= key_text(other) then
    return (', whose key is %s: projections of one table have the same key, in the same '
      .. 'order'):format(key_text(other))
  elseif p.unlogged ~= other.unlogged then
    return ': both have to say unlogged = true, or none'
  end
end

local function become(p, first)
  p.is_part = true
  if p ~= first then p.part_of = first.index end
  p.is_cached, p.cached_why = false, nil
  local same = 'another projection writes other columns of its rows'
  if p.kind == 'fold' then
    p.exact, p.why = 'shared', same .. ': rows are locked inside the transaction, and '
      .. 'one transaction at a time writes the table'
  elseif not p.has_said then
    p.why = p.why .. '; ' .. same .. ', so one transaction at a time writes the table'
    p.has_said = true
  end
end

---The last of them comes to those before.
---@param list table[] of { p, record, path }
function M.join(checker, list)
  local last = list[#list]
  for i = 1, #list - 1 do
    local p, other = last.p, list[i].p
    local why, at, against = why_alone(p), last, other
    if not why and why_alone(other) then
      why, at, against = why_alone(other), list[i], p
    end
    why = why or why_not(p, other)
    if why then
      return checker.fail(at.record, at.path, ("the table '%s' belongs to another "
        .. 'projection already (%s:%d)%s'):format(p.table, against.file, against.line,
        why))
    end
  end
  for _, entry in ipairs(list) do
    become(entry.p, list[1].p)
    if entry.record.spec.cache == true then
      checker.fail(entry.record, { 'cache' }, 'its rows cannot be cached: another '
        .. 'projection writes other columns of them')
    end
  end
end

return M
