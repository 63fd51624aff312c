-- The columns of a projection: key columns first, each with its type, where
-- its value comes from, its merge word and its initial value.
local check = require 'tidemill.plan.check'
local core = require 'tidemill.core.api'
local decimal = require 'tidemill.core.decimal'
local dsl = require 'tidemill.load.dsl'
local ffi = require 'ffi'
local locate = require 'tidemill.load.locate'
local names = require 'tidemill.plan.names'
local path_of = require 'tidemill.core.path'
local schema = require 'tidemill.plan.schema'
local units = require 'tidemill.core.units'
local value = require 'tidemill.core.value'
local words = require 'tidemill.core.words'

local C = core.C
local M = {}

local ROOTS = { 'data', 'after', 'before', 'key', 'source' }
local MERGES = { 'sum', 'min', 'max' }
local COUNTS = {
  smallint = true, integer = true, bigint = true, numeric = true, real = true,
  double = true,
}
local ORDERED = {
  date = true, time = true, timestamp = true, timestamptz = true, text = true,
  varchar = true,
}
-- Those that a Lua number enters as it is.
local TAKES_DOUBLES = { real = true, double = true, json = true, jsonb = true }
-- What a key can be.
M.KEY_TYPES = 'smallint, integer, bigint, numeric, uuid, text, varchar, char, boolean, '
  .. 'date, timestamp, timestamptz or bytea'
local TIMES = { date = true, time = true, timestamp = true, timestamptz = true }
-- As PostgreSQL has them, of a table and of an index (runtime/model/columns.h).
local MAX_COLUMNS, MAX_KEY = 1600, 32

local function check_name(checker, record, path, name)
  if type(name) ~= 'string' then
    return checker.fail(record, path, ("'%s' has names of columns as keys: write %s = { "
      .. "id = 'bigint' }"):format(path[1], path[1]))
  end
  local reason = names.why_no_column(name)
  if reason then
    return checker.fail(record, path, ("'%s' cannot be the name of a column: %s")
      :format(name, reason))
  end
  return true
end

---@return boolean # is it a path into an event?
function M.is_path(text)
  local steps = path_of.read_column(text)
  return steps ~= nil and steps[2] ~= nil and words.has(ROOTS, steps[1])
end

---What a path that is none should have been.
---@param otherwise string|nil when that is not clear
function M.path_hint(from, otherwise)
  local steps, reason = path_of.read_column(from)
  if not steps and reason then return ': ' .. reason end
  local root = from:match('^[^.[]*')
  local meant = (words.nearest(root, ROOTS) or root) .. from:sub(#root + 1)
  if meant ~= from and M.is_path(meant) then
    return (": did you mean '%s'?"):format(meant)
  end
  return otherwise
end

local function check_path(checker, record, path, from)
  if M.is_path(from) then return true end
  local is_key = words.nearest(from:match('^[^.]*'), ROOTS) == 'key'
    and not from:find('%.[^.]')
  return checker.fail(record, path, ("from = '%s'%s"):format(from, is_key
    and ": did you mean 'key'?" or M.path_hint(from,
      (" must be 'key' or a path such as 'data.%s'"):format(path[2]))))
end

local function set_from(checker, record, name, column, from)
  local path = { 'key', name, 'from' }
  if from == nil then
    column.from = 'field'
  elseif from == 'key' then
    column.from = 'key'
  elseif type(from) == 'string' then
    column.from, column.paths = 'path', { from }
    check_path(checker, record, path, from)
  elseif type(from) == 'function' then
    column.from, column.key_function = 'function', from
  elseif dsl.is_record(from, 'grouping') then
    checker.fail(record, path, 'grouping is not available yet')
  elseif type(from) == 'table' and not dsl.is_record(from) then
    if check.texts(checker, record, path, from) then
      column.from, column.paths = 'list', from
      for i, one in ipairs(from) do
        check_path(checker, record, { 'key', name, 'from', i }, one)
      end
    end
  else
    checker.fail(record, path, ("from must be 'key', a path, a list of paths or a "
      .. "function, not %s")
      :format(check.name_type(from)))
  end
end

-- How record keys write a uuid: one way alone, since Kafka keeps the order of records by
-- the bytes of their keys.
local function set_letters(checker, record, column, letters)
  local path = { 'key', column.name, 'letters' }
  local function fail(what)
    checker.fail(record, path, ("key column '%s': %s"):format(column.name, what))
  end
  if letters ~= 'upper' and letters ~= 'lower' then
    fail(type(letters) == 'string'
      and ("letters = '%s'%s"):format(letters, words.hint(letters, { 'upper', 'lower' }))
      or ("letters must be 'upper' or 'lower', not %s"):format(check.name_type(letters)))
  elseif column.kind and column.kind ~= 'uuid' then
    fail('letters are of a uuid: a text is taken as it is written')
  elseif column.from ~= 'key' and column.from ~= 'field' then
    fail("letters say how record keys write the uuid, of which this key is not made")
  end
  column.in_capitals = letters == 'upper'
end

local function key_column(checker, record, name, spec)
  local path = { 'key', name, 1 }
  if type(spec) == 'table' and spec[1] == nil and schema.projection[name] then
    checker.fail(record, { 'key', name }, ("'%s' stands inside of key: it belongs beside "
      .. 'it'):format(name))
    return { name = name, is_key = true }
  end
  local text, from, letters = spec, nil, nil
  if type(spec) == 'table' and not dsl.is_record(spec) then
    text, from, letters = spec[1], spec.from, spec.letters
    for key in pairs(spec) do
      if key ~= 1 and key ~= 'from' and key ~= 'letters' then
        checker.fail(record, { 'key', name, key }, type(key) == 'number'
          and ("key column '%s': after the type stands from: write %s = { 'bigint', "
            .. "from = … }"):format(name, names.field(name))
          or ("key column '%s': unknown key '%s'%s"):format(name, tostring(key),
            words.hint(key, { 'from', 'letters' })))
      end
    end
  end
  local column = { name = name, is_key = true, is_identity = true, merge = 'none',
    line = (locate.position(record, { 'key', name })) }
  local t
  if text == nil then
    checker.fail(record, path, ("key column '%s': the type is missing: write %s = { "
      .. "'bigint', from = … }"):format(name, names.field(name)))
  else
    t = check.type(checker, record, path, text)
  end
  set_from(checker, record, name, column, from)
  if t and not t.is_key then
    checker.fail(record, path, ("key column '%s': %s cannot be a key: use %s")
      :format(name, text, M.KEY_TYPES))
  end
  if t then column.type, column.kind = t.text, t.kind end
  column.precision, column.scale = t and t.precision, t and t.scale
  if letters ~= nil then set_letters(checker, record, column, letters) end
  return column
end

local function merge_word(checker, record, name, t)
  local merge = record.spec.merge
  local word, path = merge[name], { 'merge', name }
  if word == nil then
    checker.fail(record, { 'columns', name }, ("the column '%s' is missing in merge: "
      .. "every column needs sum, min or max"):format(name))
  elseif word ~= 'sum' and word ~= 'min' and word ~= 'max' then
    checker.fail(record, path, type(word) == 'string' and ("merge.%s = '%s'%s")
      :format(name, word, words.hint(word, MERGES))
      or ("merge.%s must be 'sum', 'min' or 'max', not %s"):format(name,
      check.name_type(word)))
  elseif t and not COUNTS[t.kind] and (word == 'sum' or not ORDERED[t.kind]) then
    checker.fail(record, path, ("merge.%s = '%s': a %s has no %s")
      :format(name, word, t.text, word))
  end
  return word or 'none'
end

-- A value of `initial` as the core takes it; nil and a message.
local function tagged(v, kind)
  if type(v) == 'boolean' then return { tag = 'boolean', value = v } end
  if type(v) == 'string' then return { tag = 'text', value = v } end
  if type(v) == 'number' and (v ~= v or v == math.huge or v == -math.huge) then
    return nil, 'must be a finite number'
  end
  if type(v) == 'number' and TAKES_DOUBLES[kind] then
    return { tag = 'number', value = value.number_text(v) }
  end
  if units.is(v) then
    return { tag = 'moment', value = (tostring(units.usec(v)):gsub('LL$', '')) }
  end
  if decimal.is_numeric(v) then
    local ok, exact = pcall(decimal.from, v)
    if not ok then return nil, 'cannot be used: ' .. tostring(exact) end
    return { tag = 'number', value = decimal.format(exact) }
  end
  local is_json = kind == 'json' or kind == 'jsonb'
  if is_json and type(v) == 'table' and not dsl.is_record(v) then
    local ok, text = pcall(value.encode, v)
    if not ok then return nil, 'cannot be used: ' .. tostring(text) end
    return { tag = text:sub(1, 1) == '[' and 'array' or 'object', value = text }
  end
  return nil, 'must be a text, a number or a boolean, not ' .. check.name_type(v)
end

local function initial_of(checker, record, name, t)
  local v = (record.spec.initial or {})[name]
  if v == nil then return nil end
  local initial, reason = tagged(v, t and t.kind)
  if initial and t then
    local text = C.tm_refuse(t.text, initial.tag:byte(), tostring(initial.value),
      #tostring(initial.value))
    if text ~= nil then initial, reason = nil, 'cannot be used: ' .. ffi.string(text) end
  end
  if reason then
    checker.fail(record, { 'initial', name }, ('initial.%s %s'):format(name, reason))
  end
  return initial
end

-- A column of a mirror that is no field of the row: from = 'source.lsn'. Its type,
-- and the path.
local function split(checker, record, name, spec, kind)
  if type(spec) ~= 'table' or dsl.is_record(spec) then return spec end
  local before = #checker.messages
  for key in pairs(spec) do
    if key ~= 1 and key ~= 'from' then
      checker.fail(record, { 'columns', name, key }, ("column '%s': unknown key '%s'%s")
        :format(name, tostring(key), words.hint(key, { 'from' })))
    end
  end
  if #checker.messages > before then return spec[1] end
  local path = { 'columns', name, 'from' }
  if kind ~= 'mirror' and spec.from ~= nil then
    checker.fail(record, path, ("column '%s': 'from' is for key columns and for mirrors; "
      .. "here a handler assigns it: %s = %s"):format(name, names.of('row', name),
      names.of('event.data', name)))
  elseif type(spec.from) ~= 'string' then
    checker.fail(record, path, ("column '%s' is its type, or in a mirror { 'bigint', "
      .. "from = 'source.lsn' }"):format(name))
  elseif not M.is_path(spec.from) then
    checker.fail(record, path, ("column '%s': from = '%s'%s"):format(name, spec.from,
      M.path_hint(spec.from, " must be a path such as 'source.lsn'")))
  end
  return spec[1], spec.from
end

local function value_column(checker, record, name, spec, kind)
  local text, from = split(checker, record, name, spec, kind)
  local t = check.type(checker, record, { 'columns', name, 1 }, text)
  local column = { name = name, is_key = false, merge = 'none',
    line = (locate.position(record, { 'columns', name })),
    from = from and 'path' or 'field', paths = from and { from },
    may_be_key = t and t.is_key,
    is_identity = kind == 'append' and record.spec.once == name }
  if t then column.type, column.kind = t.text, t.kind end
  column.precision, column.scale = t and t.precision, t and t.scale
  if kind == 'merge' then column.merge = merge_word(checker, record, name, t) end
  column.initial = initial_of(checker, record, name, t)
  column.initial_value = (record.spec.initial or {})[name]
  -- Zero is the same time in every unit, and kafka{} says none of it.
  if TIMES[column.kind] and column.initial_value == 0 then
    column.initial_value = units.zero
  end
  return column
end

-- Names in `initial` and `merge` must be columns.
local function check_names(checker, record, word, known)
  local is_key = record.spec.key or {}
  for name in pairs(record.spec[word] or {}) do
    if not words.has(known, name) then
      checker.fail(record, { word, name }, is_key[name] ~= nil
        and ("%s.%s: '%s' is a key column, which has its value from the key")
          :format(word, name, name)
        or ("%s.%s is not one of the columns%s"):format(word, tostring(name),
          words.hint(name, known)))
    end
  end
end

---@return table[] columns, integer n_key
function M.new(checker, record, kind)
  local spec, list, known = record.spec, {}, {}
  local key = kind ~= 'append' and spec.key or {}
  for _, name in ipairs(locate.sorted(record, { 'key' }, key)) do
    if check_name(checker, record, { 'key', name }, name) then
      list[#list + 1] = key_column(checker, record, name, key[name])
    end
  end
  local n_key = #list
  if spec.key and next(spec.key) == nil and kind ~= 'append' then
    checker.fail(record, { 'key' }, "'key' is empty: write key = { id = 'bigint' }")
  end
  for _, name in ipairs(locate.sorted(record, { 'columns' }, spec.columns)) do
    if key[name] then
      checker.fail(record, { 'columns', name }, ("the column '%s' is a key column "
        .. "already: name it in one of key and columns"):format(name))
    elseif check_name(checker, record, { 'columns', name }, name) then
      list[#list + 1] = value_column(checker, record, name, spec.columns[name], kind)
      known[#known + 1] = name
    end
  end
  if #known > 0 then
    check_names(checker, record, 'initial', known)
    check_names(checker, record, 'merge', known)
  end
  if n_key > MAX_KEY then
    checker.fail(record, { 'key', list[MAX_KEY + 1].name }, ('the key has %d columns: '
      .. 'an index of PostgreSQL has %d at most; put what they say into fewer, such as a '
      .. 'text'):format(n_key, MAX_KEY))
  elseif #list > MAX_COLUMNS then
    checker.fail(record, { 'columns', list[MAX_COLUMNS + 1].name }, ("there are %d "
      .. 'columns: a table of PostgreSQL has %d at most, with its key; make two tables '
      .. 'of it, or put what is seldom asked for into one jsonb')
      :format(#list, MAX_COLUMNS))
  end
  return list, n_key
end

return M
