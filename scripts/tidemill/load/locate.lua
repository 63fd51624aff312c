-- Where in the files of a bundle a record and its keys are written, for
-- messages, and for the order of columns, which a Lua table forgets.
--
-- What it finds is a guess; no pipeline depends on it: see `safe`.
local outline = require 'tidemill.load.outline'

local M = {}

-- A second's work or two. A longer file holds data.
local MOST_BYTES = 4 * 1024 * 1024

local function outline_of(loading, file)
  local text, outlines = loading.texts[file], loading.outlines
  if not text then return nil end
  if not outlines then
    outlines = { bytes = 0 }
    loading.outlines = outlines
  end
  if outlines[file] == nil then
    outlines.bytes = outlines.bytes + #text
    outlines[file] = outlines.bytes <= MOST_BYTES and outline.read(text)
  end
  return outlines[file] or nil
end

-- The last table that was given to a variable above a place, and ends above it: so
-- that who follows variables comes to an end.
local function of_variable(from, name, at)
  local found
  for _, node in ipairs(from.variables[name] or {}) do
    if node.stop < at then found = node end
  end
  return found
end

-- How well a written table fits the one that it became.
local function fit(node, spec)
  local n = 0
  for key, field in pairs(node.fields) do
    n = n + (spec[key] == nil and -1 or field.text == spec[key] and 2 or 1)
  end
  for key in pairs(spec) do
    if not node.fields[key] then n = n - 1 end
  end
  return n
end

-- The table of `word(variable)`: what the variable was given, or else the argument
-- of whatever function hands it on.
local function literal(from, node, spec)
  if not node.variable then return node end
  local found = of_variable(from, node.variable, node.at)
  if found then return found end
  local most = 0
  for _, calls in pairs(from.calls) do
    for _, other in ipairs(calls) do
      local n = not other.variable and fit(other, spec) or 0
      if n > most then most, found = n, other end
    end
  end
  return found or node
end

---@param is_wanted fun(node: table): boolean
local function best(loading, files, word, spec, is_wanted)
  local found = {}
  for _, file in ipairs(files) do
    local text = loading.texts[file]
    -- A file of data has no such word, and would take most of the time and memory.
    local from = text and text:find(word, 1, true) and outline_of(loading, file)
    for _, node in ipairs(from and from.calls[word] or {}) do
      local written = is_wanted(node) and literal(from, node, spec)
      local n = written and fit(written, spec)
      if n and (not found.n or n > found.n) then
        found = { n = n, file = file, line = node.call_line, node = written,
          outline = from }
      end
    end
  end
  return found.node and found
end

local function other_files(loading)
  local files = {}
  for file in pairs(loading.texts) do
    if file ~= loading.file then files[#files + 1] = file end
  end
  table.sort(files)
  return files
end

---The constructor of a record. `return projection {` is a tail call, which
---leaves no frame that could tell; then it is the one that fits the record best.
---@param loading table { texts, file } as it is now
---@param at table|nil file and line of the caller's frame
---@return table { file, line, node, outline }
function M.constructor(loading, word, spec, at)
  local found = at and best(loading, { at.file }, word, spec, function(node)
    return node.call_line == at.line
  end)
  local function is_returned(node) return node.is_returned end
  found = found or best(loading, { loading.file }, word, spec, is_returned)
    or best(loading, other_files(loading), word, spec, is_returned)
  return found or at or M.returned(loading, loading.file, word)
end

---The first `return word` of a file; without a word, what the file returns.
---@return table { file, line }
function M.returned(loading, file, word)
  local from = outline_of(loading, file)
  local line = from and (word and from.returned[word] or not word and from.return_line)
  return { file = file, line = line or 1 }
end

---Where a file calls a word with a table, or else its first line.
---@return table { file, line }
function M.called(loading, file, word)
  local from = outline_of(loading, file)
  local call = from and from.calls[word] and from.calls[word][1]
  return { file = file, line = call and call.call_line or 1 }
end

-- The item of a list that is this text, or a table that begins with it.
local function with_text(node, text)
  for _, field in ipairs(node.list) do
    local first = field.node and field.node.fields[1]
    if field.text == text or first and first.text == text then return field end
  end
end

local function table_of(record, field)
  if field.variable then return of_variable(record.outline, field.variable, field.at) end
  return field.node
end

---@param path any[] keys, one inside the other; the last may be an item's text
---@return integer line, integer column of the last one that is written there
function M.position(record, path)
  local node = record.node
  if not node then return record.line, 1 end
  local line, column = record.line, node.column
  local field
  for _, name in ipairs(path) do
    local last = field
    field = node and (node.fields[name] or with_text(node, name))
    if not field and last and last.text == name then
      return last.value_line, last.value_column
    end
    if not field then break end
    line, column, node = field.line, field.column, table_of(record, field)
  end
  return line, column
end

---The table that is written at the end of a path of keys, and its line.
---@return table|nil node, integer line
function M.below(record, path)
  local node, line = record.node, record.line
  for _, name in ipairs(path) do
    local field = node and node.fields[name]
    if not field then return nil, line end
    node, line = table_of(record, field), field.line
  end
  return node, line
end

---Names of a table in the order in which the file has them.
---@return any[]
function M.sorted(record, path, t)
  local place, names = {}, {}
  for name in pairs(t) do
    local at = { unpack(path) }
    at[#at + 1] = name
    local line, column = M.position(record, at)
    names[#names + 1], place[name] = name, line * 10000 + column
  end
  table.sort(names, function(a, b)
    if place[a] ~= place[b] then return place[a] < place[b] end
    return tostring(a) < tostring(b)
  end)
  return names
end

-- The field that Lua keeps, of those with the same key.
local function kept(node, key)
  local last = node.fields[key]
  for _, field in ipairs(node.twice) do
    if field.key == key then last = field end
  end
  return last
end

-- Is it this table that became the value? A variable may be another of that name.
local function became(node, t)
  for key in next, t do
    if not node.fields[key] and not node.is_open then return false end
  end
  for key in pairs(node.fields) do
    local field, v = kept(node, key), rawget(t, key)
    if field.text and field.is_plain and not field.text:find('\\', 1, true)
      and v ~= field.text or field.is_table and type(v) ~= 'table' then
      return false
    end
  end
  return true
end

local function add_twice(record, node, t, list, seen)
  if seen[node] or not became(node, t) then return end
  seen[node] = true
  for _, field in ipairs(node.twice) do
    list[#list + 1] = { key = field.key, line = field.line, column = field.column,
      first = node.fields[field.key].line }
  end
  for _, field in ipairs(node.list) do
    local below, v = table_of(record, field), rawget(t, field.key)
    -- A table inside a call is a record of its own, or the function's matter.
    if below and not below.call_line and type(v) == 'table' then
      add_twice(record, below, v, list, seen)
    end
  end
end

---Keys that are written twice in one table: Lua keeps one of them silently.
---@param t table what the record was given
---@return table[] { key, line, column, first = line of the first one }
function M.twice(record, t)
  local list = {}
  if record.node and not record.node.variable then
    add_twice(record, record.node, t, list, {})
  end
  return list
end

-- Without an answer a message has no line, and nothing else happens: no valid Lua is
-- refused for it. The core notices by itself when time or memory ran out.
local function safe(name, otherwise)
  local find = M[name]
  M[name] = function(...)
    local ok, first, second = pcall(find, ...)
    if ok then return first, second end
    return otherwise(...)
  end
end

local function first_line(_, file) return { file = file, line = 1 } end

safe('constructor', function(loading, _, _, at)
  return at or first_line(loading, loading.file)
end)
safe('returned', first_line)
safe('called', first_line)
safe('position', function(record) return record.line, 1 end)
safe('below', function(record) return nil, record.line end)
safe('twice', function() return {} end)
safe('sorted', function(_, _, t)
  local names = {}
  for name in next, t do names[#names + 1] = name end
  table.sort(names, function(a, b) return tostring(a) < tostring(b) end)
  return names
end)

return M
