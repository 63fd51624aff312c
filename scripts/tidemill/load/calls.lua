-- Rewrites `x:table(…)` in the files of a bundle. A view has the record's fields by name,
-- also one called `table`. A record must never decide what a call does, so a call does
-- not ask the view for a field: it is compiled as f(x, …). The bytecode could not be
-- changed instead: the same instruction reads a call and a field, and whether x is a
-- view is known only when it runs.
local lexer = require 'tidemill.load.lexer'

local M = {}

local KEYWORDS = {}
for word in ('and break do else elseif end false for function if in local nil not or '
  .. 'repeat return then true until while'):gmatch('%a+') do
  KEYWORDS[word] = true
end
local OPENS = { ['('] = true, ['['] = true, ['{'] = true }
local CLOSES = { [')'] = true, [']'] = true, ['}'] = true }

local function is_sign(t, i, sign)
  return t.kinds[i] == 'symbol' and t.values[i] == sign
end

local function is_name(t, i, name)
  return t.kinds[i] == 'name' and t.values[i] == name
end

local function is_field(t, i)
  return is_sign(t, i - 1, '.') or is_sign(t, i - 1, ':')
end

-- Names that are no part of an expression: those of `local a, b` and `goto a`.
-- What is in parentheses behind them begins a statement. A field may be called goto.
local function declared_in(t)
  local declared = {}
  for i = 2, #t.kinds do
    declared[i] = t.kinds[i] == 'name' and (is_name(t, i - 1, 'local')
      or is_name(t, i - 1, 'goto') and not is_field(t, i - 1)
      or is_sign(t, i - 1, ',') and declared[i - 2])
  end
  return declared
end

-- By the token at which it ends, the first token of whatever can be called: a name
-- or something in parentheses, with fields, indices and calls behind it.
local function starts_of(t)
  local first, open, declared = {}, {}, declared_in(t)
  for i, kind in ipairs(t.kinds) do
    local value = t.values[i]
    if kind == 'name' and not KEYWORDS[value] and not declared[i] then
      first[i] = not is_field(t, i) and i or first[i - 2]
    elseif kind == 'string' then
      first[i] = first[i - 1] -- f 'text'
    elseif kind == 'symbol' and OPENS[value] then
      open[#open + 1] = i
    elseif kind == 'symbol' and CLOSES[value] then
      local at = table.remove(open)
      local from = first[at - 1] or value == ')' and at
      -- Behind `function f` are its parameters.
      first[i] = from and not is_name(t, from - 1, 'function') and from or nil
    end
  end
  return first
end

local function is_call(t, i)
  return is_sign(t, i, ':') and is_name(t, i + 1, 'table') and is_sign(t, i + 2, '(')
end

local function edits_of(t, f)
  local edits, first = {}, starts_of(t)
  for i = 2, #t.kinds do
    local from = is_call(t, i) and first[i - 1]
    if from and not is_name(t, from - 1, 'function') then
      local at, stop = t.starts[i], t.starts[i + 2]
      local lines = t.text:sub(at, stop):gsub('[^\n]', '') -- which stay where they are
      local open, close = '(', ','
      if is_sign(t, i + 3, ')') then
        -- Of a call the first value alone, as in front of a comma.
        local is_one = t.kinds[i - 1] == 'name' or is_sign(t, i - 1, ']')
        open, close = is_one and '(' or '((', is_one and '' or ')'
      end
      edits[#edits + 1] = { at = at, stop = stop, text = lines .. close, number = i }
      edits[#edits + 1] = { at = t.starts[from], stop = t.starts[from] - 1,
        text = f .. open, number = i }
    end
  end
  return edits
end

-- What stands in front of the word in a call: the colon, or a comment. Most files,
-- those of data too, have none, and need not be read.
local IN_A_CALL = '[:%]\r\n]%s*table'

---@param text string of a Lua file, which has been compiled before
---@param f string the name of the function that is called instead
---@return string|nil the text to compile; nil: it has no such call
function M.rewrite(text, f)
  if not text:find(IN_A_CALL) then return nil end
  local t = lexer.read(text)
  local edits = edits_of(t, f)
  if #edits == 0 then return nil end
  table.sort(edits, function(a, b)
    -- The last call of those that begin at one place has the others in it.
    return a.at < b.at or a.at == b.at and a.number > b.number
  end)
  local parts, at = {}, 1
  for _, edit in ipairs(edits) do
    parts[#parts + 1] = t.text:sub(at, edit.at - 1)
    parts[#parts + 1] = edit.text
    at = edit.stop + 1
  end
  return table.concat(parts) .. t.text:sub(at)
end

return M
