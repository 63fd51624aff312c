-- Is a loaded pipeline written as the contract says? Checks the records that
-- dsl.lua made against a schema and collects all messages, each one
-- "file:line: projection 'balances': what: what to do".
local core = require 'tidemill.core.api'
local dsl = require 'tidemill.load.dsl'
local INSTEAD = require 'tidemill.plan.instead'
local locate = require 'tidemill.load.locate'
local schema = require 'tidemill.plan.schema'
local words = require 'tidemill.core.words'

local M = {}

local TYPE_WORDS = {
  string = 'a text', number = 'a number', boolean = 'true or false', table = 'a table',
  ['function'] = 'a function', ['nil'] = 'nothing', cdata = 'a number',
  ['false'] = 'false',
}

local function name_type(x)
  if dsl.is_record(x) then return x.word .. ' { … }' end
  if type(x) == 'boolean' then return tostring(x) end
  return TYPE_WORDS[type(x)] or type(x)
end
M.name_type = name_type

local function title(record)
  local spec = record.given or record.spec
  local name = spec.name or spec.table
  if type(name) ~= 'string' then return record.word end
  return ("%s '%s'"):format(record.word, name)
end

-- What was given may be of any length; the beginning of a message tells where, and
-- the end what to do.
local function clip(text)
  if #text <= 2000 then return text end
  return text:sub(1, 1000) .. ' […] ' .. text:sub(-500)
end

---@return table checker with fail(record, path, text) and messages
function M.new()
  local checker = { messages = {}, places = {} }
  function checker.fail_at(record, line, column, text)
    local n = #checker.messages + 1
    checker.messages[n] = clip(('%s:%d: %s: %s'):format(record.file, line, title(record),
      text))
    checker.places[n] = { file = record.file, at = line * 10000 + column, n = n }
    return false
  end
  function checker.fail(record, path, text)
    local line, column = locate.position(record, path)
    return checker.fail_at(record, line, column, text)
  end
  ---A message that names its place itself: "file:line: what".
  function checker.add(text)
    local file, line = text:match('^(.-):(%d+): ')
    local n = #checker.messages + 1
    checker.messages[n] = clip(text)
    checker.places[n] = { file = file or '', at = (tonumber(line) or 0) * 10000, n = n }
    return false
  end
  return checker
end

---All messages: file by file, in the order of their lines, each once.
function M.text(checker)
  local files, n_files, list, said = {}, 0, {}, {}
  for n, place in ipairs(checker.places) do
    if not files[place.file] then
      n_files = n_files + 1
      files[place.file] = n_files
    end
    list[n] = place
  end
  table.sort(list, function(a, b)
    if a.file ~= b.file then return files[a.file] < files[b.file] end
    if a.at ~= b.at then return a.at < b.at end
    return a.n < b.n
  end)
  local lines = {}
  for _, place in ipairs(list) do
    local text = checker.messages[place.n]
    if not said[text] then lines[#lines + 1] = text end
    said[text] = true
  end
  return table.concat(lines, '\n')
end

-- The last name of a path, which may end with the number of a list's item.
local function name_of(path)
  for i = #path, 1, -1 do
    if type(path[i]) == 'string' then return path[i] end
  end
end

local function known_names(fields)
  local names = {}
  for name in next, fields do names[#names + 1] = name end
  table.sort(names, function(a, b)
    if type(a) ~= type(b) then return type(a) < type(b) end
    if type(a) == 'number' then return a < b end
    return tostring(a) < tostring(b)
  end)
  return names
end

-- Where such a key belongs: one deeper, in another constructor, or inside of one.
local function place_of(name, fields, here)
  for _, outer in ipairs(known_names(fields)) do
    local inner = fields[outer].fields
    if inner and inner[name] then return ('%s = { … }'):format(outer) end
  end
  for _, word in ipairs(dsl.WORDS) do
    local field = schema[word] and schema[word][name]
    if word ~= here and field and not field.later then
      return ('%s { … }'):format(word)
    end
  end
  for _, word in ipairs(dsl.WORDS) do
    for _, outer in ipairs(known_names(schema[word] or {})) do
      local inner = schema[word][outer].fields
      if inner and inner[name] and outer ~= here then
        return ('%s = { … } of %s'):format(outer, word)
      end
    end
  end
end

-- A key that another table has is in the wrong place, not misspelt.
---@return string message, string|nil meant the key that was meant
local function unknown_key(name, fields, word)
  if type(name) ~= 'string' then
    return ('%s has keys with names: write name = value, not a list'):format(word)
  end
  local known = known_names(fields)
  local nearest, distance = words.nearest(name, known)
  local place = (distance or 2) > 1 and place_of(name, fields, word)
  if place then return ("unknown key '%s': it belongs into %s"):format(name, place) end
  return ("unknown key '%s'%s"):format(name, words.hint(name, known)), nearest
end

local function list_types(types)
  local names = {}
  for i, t in ipairs(types) do names[i] = TYPE_WORDS[t] or t .. ' { … }' end
  return table.concat(names, ' or ')
end

local function has_type(value, types)
  for _, t in ipairs(types) do
    if type(value) == t and not dsl.is_record(value) then return true end
    if t == 'false' and value == false then return true end
    if dsl.is_record(value, t) then return true end
  end
  return false
end

local function check_number(checker, record, path, value, field)
  local name = path[#path]
  if field.is_fraction then
    if not (value >= field.min and value <= field.max) then
      checker.fail(record, path, ("'%s' must be a number from %g to %g, not %s")
        :format(name, field.min, field.max, tostring(value)))
    end
  elseif value ~= math.floor(value) or value < field.min or value > field.max then
    checker.fail(record, path, ("'%s' must be a whole number from %d to %d, not %s")
      :format(name, field.min, field.max, tostring(value)))
  end
end

-- What to write in place of a value of the wrong type.
local function how_to_write(name, field)
  local hint = field.hint or field.required
  if not hint and field.fields then
    hint = ('write %s = { %s = … }'):format(name, known_names(field.fields)[1])
  end
  return hint and ': ' .. hint or ''
end

local function check_value(checker, record, path, value, field)
  local name = path[#path]
  if not has_type(value, field.types) then
    return checker.fail(record, path, ("'%s' must be %s, not %s%s"):format(name,
      list_types(field.types), name_type(value), how_to_write(name, field)))
  end
  if value == '' and field.required and not field.may_be_empty then
    return checker.fail(record, path, ("'%s' is empty: %s"):format(name, field.required))
  end
  if field.words and type(value) == 'string' then
    if words.has(field.words, value) then return true end
    if field.later_words and field.later_words[value] then
      return checker.fail(record, path, ("%s = '%s' is not available yet")
        :format(name, value))
    end
    return checker.fail(record, path, ("%s = '%s'%s"):format(name, value,
      words.hint(value, field.words)))
  end
  if field.min and type(value) == 'number' then
    check_number(checker, record, path, value, field)
  end
  if field.fields and type(value) == 'table' then
    return M.fields(checker, record, path, value, field.fields)
  end
  return true
end

-- What was checked and no more: a metatable could give other values later.
local function plain(value, field)
  local is_plain = field and not field.fields or dsl.is_record(value)
  if type(value) ~= 'table' or is_plain then return value end
  local copy = {}
  for name, v in next, value do
    copy[name] = field and field.fields[name] and plain(v, field.fields[name]) or v
  end
  return copy
end

---Checks the keys of a table. [path] is where the table stands in its record.
function M.fields(checker, record, path, t, fields)
  local before, meant = #checker.messages, {}
  local word = name_of(path) or record.word
  for _, name in ipairs(known_names(t)) do
    local at = { unpack(path) }
    at[#at + 1] = name
    local field, n = fields[name], #checker.messages
    if not field then
      local text, nearest = unknown_key(name, fields, word)
      checker.fail(record, at, text)
      meant[nearest or name] = true
    elseif field.later and t[name] ~= field.allowed then
      checker.fail(record, at, (field.what or name) .. ' is not available yet')
    elseif not field.later then
      check_value(checker, record, at, t[name], field)
    end
    if #path == 0 and #checker.messages == n then
      record.spec[name] = plain(t[name], field)
    end
  end
  for _, name in ipairs(known_names(fields)) do
    if fields[name].required and rawget(t, name) == nil and not meant[name] then
      checker.fail(record, path, ("'%s' is missing: %s")
        :format(name, fields[name].required))
    end
  end
  if #path == 0 then record.meant = meant end
  return #checker.messages == before
end

---Was a key written, even if wrongly? Then there is a message about it already.
function M.has(record, name)
  return record.given[name] ~= nil or record.meant[name] or false
end

local function check_twice(checker, record)
  for _, twice in ipairs(locate.twice(record, record.written or record.given)) do
    checker.fail_at(record, twice.line, twice.column, ("'%s' is written twice, here and "
      .. 'in line %d: Lua would keep one of them silently'):format(tostring(twice.key),
      twice.first))
  end
end

---Checks a record. Afterwards its `spec` has what is right of it, so that the
---checks that follow find more; `given` is what was written.
---@return boolean
function M.record(checker, record)
  local before = #checker.messages
  record.given = record.given or plain(record.spec)
  record.spec = {}
  check_twice(checker, record)
  M.fields(checker, record, {}, record.given, schema[record.word])
  return #checker.messages == before
end

-- A list of different texts.
function M.texts(checker, record, path, list)
  local seen, name = {}, name_of(path)
  if next(list) == nil then
    return checker.fail(record, path, ("'%s' is an empty list"):format(name))
  end
  for _, key in ipairs(known_names(list)) do
    local item, at = list[key], { unpack(path) }
    at[#at + 1] = key
    local is_item = type(key) == 'number' and key >= 1 and key <= #list
    if not is_item or type(item) ~= 'string' or item == '' then
      return checker.fail(record, at, ("'%s' must be a list of texts, and has %s: write "
        .. "%s = { 'a', 'b' }"):format(name, item == '' and 'an empty one'
        or not is_item and ("the key '%s'"):format(tostring(key))
        or name_type(item), name))
    elseif seen[item] then
      return checker.fail(record, at, ("'%s' names '%s' twice"):format(name, item))
    end
    seen[item] = true
  end
  return true
end

local ARGUMENTS = {
  numeric = 'numeric(18,2): up to 1000 digits, up to 38 of them after the point',
  decimal = 'numeric(18,2): up to 1000 digits, up to 38 of them after the point',
  char = 'char(3): from 1 to 10485760 characters',
  varchar = 'varchar(40): from 1 to 10485760 characters',
  time = 'time(3): from 0 to 6 digits of a second',
  timestamp = 'timestamp(3): from 0 to 6 digits of a second',
  timestamptz = 'timestamptz(3): from 0 to 6 digits of a second',
}
-- What others call them.
local FOREIGN = {
  string = 'text', str = 'text', number = 'numeric',
  long = 'bigint', int64 = 'bigint', int32 = 'integer',
  serial = 'integer', bigserial = 'bigint', datetime = 'timestamptz',
  blob = 'bytea', binary = 'bytea', bytes = 'bytea', map = 'jsonb', object = 'jsonb',
}

local function unknown_type(text)
  local known, is_known = {}, false
  local word = text:lower():gsub('%s*%b()', ''):gsub('^%s+', '')
  for other in core.host.type_words():gmatch('[^,]+') do
    known[#known + 1] = other:match('^%s*(.-)%s*$')
    is_known = is_known or known[#known] == word
  end
  if is_known and text:find('[()]') then
    return ("unknown type '%s': %s"):format(text, ARGUMENTS[word] and 'write '
      .. ARGUMENTS[word] or word .. ' takes no numbers in parentheses')
  elseif word:find('%[%]$') then
    return ("unknown type '%s': of arrays there are text[] and bigint[], which are "
      .. "cast where the table's column is another array; jsonb takes any")
      :format(text)
  end
  if INSTEAD[word] then return ("unknown type '%s': %s"):format(text, INSTEAD[word]) end
  return ("unknown type '%s'%s"):format(text, FOREIGN[word]
    and (": did you mean '%s'?"):format(FOREIGN[word]) or words.hint(word, known))
end

---The parsed type of a column, or nil and a message.
---@param path any[] ends with the column, or with 1 below it
function M.type(checker, record, path, text)
  local t = type(text) == 'string' and core.host.type(text)
  if t then
    t.text = text
    return t
  end
  local name = path[#path] == 1 and path[#path - 1] or path[#path]
  checker.fail(record, path, ("column '%s': %s"):format(name, type(text) == 'string'
    and unknown_type(text) or "the type must be a text such as 'bigint', not "
    .. name_type(text)))
  return nil
end

return M
