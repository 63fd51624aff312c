-- Finds where the tables of a Lua file are written, and where each of their keys is: a
-- Lua table does not know its lines. Tables that functions or loops make are not found,
-- nor are keys that are computed.
local lexer = require 'tidemill.load.lexer'

local M = {}

local OPEN = {
  ['('] = true, ['['] = true, ['function'] = true, ['do'] = true, ['if'] = true,
  ['repeat'] = true,
}
local CLOSE = { [')'] = true, [']'] = true, ['end'] = true, ['until'] = true }

local Reader = {}
Reader.__index = Reader

-- The word or sign of a token; nil for texts and numbers.
function Reader:code(i)
  local kind = self.kinds[i]
  return (kind == 'name' or kind == 'symbol') and self.values[i] or nil
end

function Reader:is_end_of_field(i)
  local code = self:code(i)
  return self.kinds[i] == nil or code == ',' or code == ';' or code == '}'
end

-- Goes on to the end of a value, or of the file; tables on the way are read.
function Reader:skip(i, in_field)
  local depth = 0
  while self.kinds[i] do
    local code = self:code(i)
    if in_field and depth == 0 and self:is_end_of_field(i) then return i end
    if code == '{' then
      i = self:table(i)
    else
      if OPEN[code] then depth = depth + 1 elseif CLOSE[code] then depth = depth - 1 end
      if code == 'return' then self:returned(i, depth == 0 and not in_field) end
      self:call(i)
      i = i + 1
    end
  end
  return i
end

function Reader:returned(i, is_of_file)
  local outline, word = self.outline, self.values[i + 1]
  if is_of_file then outline.return_line = self.lines[i] end
  if word then outline.returned[word] = outline.returned[word] or self.lines[i] end
end

-- `word(name)`: the table is written elsewhere.
function Reader:call(i)
  if self.kinds[i] == 'name' and self:code(i + 1) == '(' and self.kinds[i + 2] == 'name'
    and self:code(i + 3) == ')' then
    self:add_call(i, { line = self.lines[i], column = self.columns[i], fields = {},
      list = {}, variable = self.values[i + 2], at = i }, self.lines[i + 1])
  end
end

function Reader:add_call(i, node, line)
  node.call_line, node.is_returned = line, self:code(i - 1) == 'return'
  local calls = self.outline.calls
  calls[self.values[i]] = calls[self.values[i]] or {}
  table.insert(calls[self.values[i]], node)
end

-- What a table is written for: the argument of a call, or a variable's value.
function Reader:use(i, node)
  local before = i - 1
  if self:code(before) == '(' or self.kinds[before] == 'string' then
    before = before - 1
  end
  if self.kinds[before] == 'name' then
    self:add_call(before, node, self.lines[before + 1])
  elseif i ~= self.field and self:code(i - 1) == '=' and self.kinds[i - 2] == 'name' then
    local variables = self.outline.variables
    local name = self.values[i - 2]
    variables[name] = variables[name] or {}
    table.insert(variables[name], node)
  end
end

-- The key of a field in brackets: nil when the text does not say it.
function Reader:key_in_brackets(i)
  if self:code(i + 2) ~= ']' or self:code(i + 3) ~= '=' then return nil end
  local kind, key = self.kinds[i + 1], self.values[i + 1]
  if kind == 'number' then return tonumber(key) end
  return kind == 'string' and not key:find('\\', 1, true) and key or nil
end

-- The key at token i, the token where its value begins, and the key's own; of a key
-- that is computed no key, and of an item of a list no value either.
function Reader:key(i)
  if self.kinds[i] == 'name' and self:code(i + 1) == '=' then
    return self.values[i], i + 2, i
  elseif self:code(i) ~= '[' then
    return nil, nil, i
  end
  local key = self:key_in_brackets(i)
  if key ~= nil then return key, i + 4, i + 1 end
  return nil, self:behind_brackets(i), i
end

-- Behind `[…] =`.
function Reader:behind_brackets(i)
  local depth = 0
  repeat
    local code = self:code(i)
    if code == '[' then depth = depth + 1 elseif code == ']' then depth = depth - 1 end
    i = i + 1
  until depth == 0 or not self.kinds[i]
  return i + 1
end

-- The table that a value is, also as the argument of a call; a variable's name.
function Reader:value(field, first)
  local at = first
  field.is_plain = self:is_end_of_field(at + 1) and self:code(at) ~= '...'
  if self.kinds[at] == 'string' then field.text = self.values[at] end
  if self.kinds[at] == 'name' then
    if self:is_end_of_field(at + 1) then field.variable = self.values[at] end
    at = at + 1
    if self:code(at) == '(' then
      at = at + 1
    elseif self.kinds[at] == 'string' then
      field.text, at = self.values[at], at + 1
    end
  end
  field.node = self.nodes[at]
end

local function add_field(node, field)
  local key = field.key
  if key == nil then
    node.is_open = true
  elseif node.fields[key] then
    table.insert(node.twice, field)
  else
    node.fields[key] = field
  end
  table.insert(node.list, field)
end

-- The last item of a list may give no value, or several: a call, or `...`.
local function open_end(node)
  local last = node.list[#node.list]
  if last and last.is_item and not last.is_plain and not last.is_table then
    node.is_open = true
    if node.twice[#node.twice] == last then table.remove(node.twice) end
  end
end

---@return integer the token behind the table that opens at token i
function Reader:table(i)
  local node = { line = self.lines[i], column = self.columns[i], fields = {}, list = {},
    twice = {}, at = i }
  self.nodes[i] = node
  self:use(i, node)
  local n = 0
  i = i + 1
  while self.kinds[i] and self:code(i) ~= '}' do
    local key, first, at = self:key(i)
    if not first then
      n = n + 1
      key, first = n, i
    end
    local field = { key = key, line = self.lines[at], column = self.columns[at],
      at = first, value_line = self.lines[first], value_column = self.columns[first],
      is_item = first == i }
    self.field = first
    i = self:skip(first, true)
    field.is_table = self.nodes[first] ~= nil and self.nodes[first].stop == i - 1
    self:value(field, first)
    add_field(node, field)
    if self:code(i) ~= '}' then i = i + 1 end
  end
  open_end(node)
  node.stop = i
  return i + 1
end

---@class tidemill.Outline
---@field calls table<string, table[]> tables by the function that gets them
---@field variables table<string, table[]> tables by the variable they are given to
---@field returned table<string, integer> first line of `return word`, by word
---@field return_line integer|nil of what the file returns

---A table: line, column, at and stop (its tokens), list and fields (by key) of { key,
---line, column, text, variable, node, is_plain (one token), is_table }, twice (fields
---whose key is there already), is_open (it may have keys that the text does not say);
---of a call also call_line and is_returned.
---@param text string
---@return tidemill.Outline
function M.read(text)
  local reader = setmetatable(lexer.read(text), Reader)
  reader.outline, reader.nodes = { calls = {}, variables = {}, returned = {} }, {}
  reader:skip(1, false)
  return reader.outline
end

return M
