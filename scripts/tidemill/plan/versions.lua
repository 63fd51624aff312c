-- What tells a later event from a late or repeated one: `newer` of mirrors and
-- maps, `once` of folds and appends.
local check = require 'tidemill.plan.check'
local columns = require 'tidemill.plan.columns'
local names = require 'tidemill.plan.names'
local path_of = require 'tidemill.core.path'
local words = require 'tidemill.core.words'

local M = {}

-- What has no order that tells versions apart.
local UNORDERED = {
  boolean = true, char = true, uuid = true, json = true, jsonb = true, ['text[]'] = true,
  ['bigint[]'] = true,
}
-- Types that grow with each event of a row.
local VERSIONS = {
  smallint = true, integer = true, bigint = true, numeric = true, timestamp = true,
  timestamptz = true,
}

-- The column [name] behind the key, and its index from 0; nil, and the names.
local function find(list, n_key, name)
  local others = {}
  for i = n_key + 1, #list do
    others[#others + 1] = list[i].name
    if list[i].name == name then return list[i], i - 1 end
  end
  return nil, others
end

-- The nearest of the names, or what to write.
local function correction(name, others, text)
  return words.nearest(name, others) and words.hint(name, others)
    or ': write ' .. text
end

---@return integer index of the column from 0, or -1
function M.newer(checker, record, kind, list, n_key)
  local name = record.spec.newer
  if not name then return -1 end
  if kind ~= 'mirror' and kind ~= 'map' then
    checker.fail(record, { 'newer' }, ("'newer' is for mirror and map; a %s sees every "
      .. "event once and in order"):format(kind))
    return -1
  end
  local column, index = find(list, n_key, name)
  if not column then
    checker.fail(record, { 'newer' }, ("newer = '%s' is not one of the columns%s")
      :format(name, words.hint(name, index)))
    return -1
  elseif UNORDERED[column.kind] then
    checker.fail(record, { 'newer' }, ("newer = '%s': a %s does not tell which row "
      .. 'is the later one: use a number, a time or a text')
      :format(name, column.kind))
  end
  return index
end

---Do deletes say the version too? In `before` it is a default, if anything.
---@param column table|nil the one that `newer` names
---@return boolean
function M.of_deletes(kind, column)
  if kind ~= 'mirror' or not column or not column.paths then return false end
  local steps = path_of.read(column.paths[1])
  return steps[1] == 'source'
    or steps[1] == 'data' and tostring(steps[2]):find('^__') ~= nil
end

local function fold(checker, record, list, n_key)
  local once = record.spec.once
  local name, path = nil, nil
  if type(once) == 'table' then name, path = next(once) end
  if type(name) ~= 'string' or next(once, name) ~= nil then
    checker.fail(record, { 'once' }, "'once' of a fold is one column and the path that "
      .. "its value comes from: once = { version = 'data.version' }")
    return -1
  end
  local column, index = find(list, n_key, name)
  if not column then
    local text = ("columns = { %s = 'bigint' }"):format(names.field(name))
    checker.fail(record, { 'once', name }, ('once.%s is not one of the columns%s')
      :format(name, correction(name, index, text)))
    return -1
  elseif column.kind and not VERSIONS[column.kind] then
    checker.fail(record, { 'once', name }, ("once.%s: a %s does not tell a repeated "
      .. 'event from the next one: use smallint, integer, bigint, numeric, timestamp or '
      .. 'timestamptz'):format(name, column.type))
  elseif type(path) ~= 'string' or not columns.is_path(path) then
    local hint = type(path) == 'string' and columns.path_hint(path)
    checker.fail(record, { 'once', name }, hint
      and ("once.%s = '%s'%s"):format(name, path, hint)
      or ("once.%s must be a path such as 'data.%s', not %s"):format(name, name,
        type(path) == 'string' and "'" .. path .. "'" or check.name_type(path)))
  end
  return index, path
end

local function append(checker, record, list)
  local name = record.spec.once
  if type(name) ~= 'string' then
    checker.fail(record, { 'once' }, "'once' of an append is the column that is the same "
      .. "for a repeated event: once = 'event_id'")
    return -1
  end
  local column, index = find(list, 0, name)
  if not column then
    checker.fail(record, { 'once' }, ("once = '%s' is not one of the columns%s")
      :format(name, correction(name, index, ("columns = { %s = 'text' } and assign it in "
      .. 'each handler: %s = event.id'):format(names.field(name),
        names.of('row', name)))))
    return -1
  elseif column.kind and not column.may_be_key then
    -- Repeats inside a batch are found as the unique index finds them: by equal bytes.
    checker.fail(record, { 'once' }, ("once = '%s': a %s cannot tell events apart: "
      .. 'use %s'):format(name, column.type, columns.KEY_TYPES))
  end
  return index
end

local OTHERS = {
  merge = "'once' cannot be kept by a merge, which reads no row and so knows no version: "
    .. "use a fold with once = { version = 'data.version' }, or an append with "
    .. "once = 'event_id'",
  map = "'once' is for folds and appends: a map gives whole rows, so write "
    .. "newer = 'version'",
  mirror = "'once' is for folds and appends: a mirror copies whole rows, so write "
    .. "newer = 'version'",
}

---@return integer index of the column from 0, or -1; string? path of a fold
function M.once(checker, record, kind, list, n_key)
  if not record.spec.once then return -1 end
  if kind == 'fold' then return fold(checker, record, list, n_key) end
  if kind == 'append' then return append(checker, record, list) end
  checker.fail(record, { 'once' }, OTHERS[kind]
    or ("'once' is for folds and appends, not for a %s"):format(kind))
  return -1
end

return M
