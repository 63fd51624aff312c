-- Is a loaded pipeline written as the contract says? Checks the records that
-- dsl.lua made against a schema and collects all messages, each one
-- "file:line: projection 'balances': what: what to do".
local core = require 'tidemill.core'
local dsl = require 'tidemill.dsl'
local locate = require 'tidemill.locate'
local schema = require 'tidemill.schema'
local words = require 'tidemill.words'

local M = {}

local TYPE_WORDS = {
  string = 'a text', number = 'a number', boolean = 'true or false', table = 'a table',
  ['function'] = 'a function', ['nil'] = 'nothing', cdata = 'a number',
}

local function name_type(x)
  if dsl.is_record(x) then return x.word .. ' { … }' end
  return TYPE_WORDS[type(x)] or type(x)
end
M.name_type = name_type

local function title(record)
  local spec = record.spec
  local name = spec.name or spec.table
  if type(name) ~= 'string' then return record.word end
  return ("%s '%s'"):format(record.word, name)
end

---@return table checker with fail(record, path, text) and messages
function M.new()
  local checker = { messages = {} }
  function checker.fail(record, path, text)
    local line = locate.line(record, path)
    checker.messages[#checker.messages + 1] =
      ('%s:%d: %s: %s'):format(record.file, line, title(record), text)
    return false
  end
  return checker
end

local function known_names(fields)
  local names = {}
  for name in pairs(fields) do names[#names + 1] = name end
  table.sort(names)
  return names
end

-- A key that another constructor has is in the wrong place, not misspelt.
local function unknown_key(name, fields, word)
  if type(name) ~= 'string' then
    return ('%s has keys with names: write name = value, not a list'):format(word)
  end
  if fields.tables_of_names then return nil end
  local nearest = words.nearest(name, known_names(fields))
  if not nearest or nearest ~= name then
    for _, other in ipairs(dsl.WORDS) do
      local place = schema[other]
      if other ~= word and place and place[name] and not place[name].later then
        return ("unknown key '%s': it belongs into %s { … }"):format(name, other)
      end
    end
  end
  return ("unknown key '%s'%s"):format(name, words.hint(name, known_names(fields)))
end

local function list_types(types)
  local names = {}
  for i, t in ipairs(types) do names[i] = TYPE_WORDS[t] or t .. ' { … }' end
  return table.concat(names, ' or ')
end

local function has_type(value, types)
  for _, t in ipairs(types) do
    if type(value) == t and not dsl.is_record(value) then return true end
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

local function check_value(checker, record, path, value, field)
  local name = path[#path]
  if not has_type(value, field.types) then
    return checker.fail(record, path, ("'%s' must be %s, not %s%s"):format(name,
      list_types(field.types), name_type(value), field.hint and ': ' .. field.hint or ''))
  end
  if field.words and type(value) == 'string' then
    for _, word in ipairs(field.words) do
      if word == value then return true end
    end
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

---Checks the keys of a table. [path] is where the table stands in its record.
function M.fields(checker, record, path, t, fields)
  local before = #checker.messages
  local word = #path > 0 and path[#path] or record.word
  for _, name in ipairs(known_names(t)) do
    local at = { unpack(path) }
    at[#at + 1] = name
    local field = fields[name]
    if not field then
      checker.fail(record, at, unknown_key(name, fields, word))
    elseif field.later and t[name] ~= field.allowed then
      checker.fail(record, at, (field.what or name) .. ' is not available yet')
    elseif not field.later then
      check_value(checker, record, at, t[name], field)
    end
  end
  for _, name in ipairs(known_names(fields)) do
    if fields[name].required and t[name] == nil then
      checker.fail(record, path, ("'%s' is missing: %s")
        :format(name, fields[name].required))
    end
  end
  return #checker.messages == before
end

function M.record(checker, record)
  return M.fields(checker, record, {}, record.spec, schema[record.word])
end

-- A list of different texts.
function M.texts(checker, record, path, list)
  local seen, name = {}, path[#path]
  if #list == 0 or known_names(list)[1] == nil then
    return checker.fail(record, path, ("'%s' is an empty list"):format(name))
  end
  for key, item in pairs(list) do
    if type(key) ~= 'number' or type(item) ~= 'string' or item == '' then
      return checker.fail(record, path, ("'%s' must be a list of texts: "
        .. "%s = { 'a', 'b' }")
        :format(name, name))
    elseif seen[item] then
      return checker.fail(record, path, ("'%s' names '%s' twice"):format(name, item))
    end
    seen[item] = true
  end
  return true
end

-- The parsed type of a column, or nil and a message.
function M.type(checker, record, path, text)
  local t = type(text) == 'string' and core.host.type(text)
  if t then
    t.text = text
    return t
  end
  if type(text) ~= 'string' then
    checker.fail(record, path, ("column '%s': the type must be a text such as 'bigint', "
      .. "not %s")
      :format(path[#path], name_type(text)))
    return nil
  end
  local known = {}
  for word in core.host.type_words():gmatch('[^,]+') do
    known[#known + 1] = word:match('^%s*(.-)%s*$')
  end
  checker.fail(record, path, ("column '%s': unknown type '%s'%s")
    :format(path[#path], text, words.hint(text, known)))
  return nil
end

return M
