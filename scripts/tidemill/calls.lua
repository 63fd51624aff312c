-- `x:table(…)` in the files of a bundle. A view has fields of the record by name,
-- also one called `table`; so that a record never decides what a call does, a call
-- does not ask the view for a field: it is compiled as f(x, …). Bytecode would not
-- do: a call and a field are read by the same instruction, and whether x is a view
-- is known when it runs.
local lexer = require 'tidemill.lexer'

local M = {}

local KEYWORDS = {}
for word in ('and break do else elseif end false for function if in local nil not or '
  .. 'repeat return then true until while'):gmatch('%a+') do
  KEYWORDS[word] = true
end
local OPENS = { [')'] = '(', [']'] = '[', ['}'] = '{' }

local function is_sign(t, i, sign)
  return t.kinds[i] == 'symbol' and t.values[i] == sign
end

-- The token that opens the bracket which closes at token i.
local function opening(t, i)
  local close, depth = t.values[i], 0
  repeat
    if is_sign(t, i, close) then depth = depth + 1 end
    if is_sign(t, i, OPENS[close]) then depth = depth - 1 end
    i = i - 1
  until depth == 0
  return i + 1
end

-- The first token of what a call at token i + 1 is made on: a name or something
-- in parentheses, with fields, indices and calls behind it. nil: token i ends
-- nothing of the kind.
local function first(t, i)
  if t.kinds[i] == 'name' then
    if KEYWORDS[t.values[i]] then return nil end
    if is_sign(t, i - 1, '.') or is_sign(t, i - 1, ':') then return first(t, i - 2) end
    return i
  elseif t.kinds[i] == 'string' then
    return first(t, i - 1) -- f 'text'
  elseif t.kinds[i] == 'symbol' and OPENS[t.values[i]] then
    local open = opening(t, i)
    return first(t, open - 1) or t.values[i] == ')' and open or nil
  end
end

local function is_name(t, i, name)
  return t.kinds[i] == 'name' and t.values[i] == name
end

local function is_call(t, i)
  return is_sign(t, i, ':') and is_name(t, i + 1, 'table') and is_sign(t, i + 2, '(')
end

local function edits_of(t, f)
  local edits = {}
  for i = 2, #t.kinds do
    local from = is_call(t, i) and first(t, i - 1)
    if from and not is_name(t, from - 1, 'function') then
      local at, stop = t.starts[i], t.starts[i + 2]
      local lines = t.text:sub(at, stop):gsub('[^\n]', '') -- which stay where they are
      local comma = is_sign(t, i + 3, ')') and '' or ','
      edits[#edits + 1] = { at = at, stop = stop, text = lines .. comma }
      edits[#edits + 1] = { at = t.starts[from], stop = t.starts[from] - 1,
        text = f .. '(' }
    end
  end
  return edits
end

---@param text string of a Lua file, which has been compiled before
---@param f string the name of the function that is called instead
---@return string|nil the text to compile; nil: it has no such call
function M.rewrite(text, f)
  local t = lexer.read(text)
  local edits = edits_of(t, f)
  if #edits == 0 then return nil end
  table.sort(edits, function(a, b) return a.at < b.at end)
  local parts, at = {}, 1
  for _, edit in ipairs(edits) do
    parts[#parts + 1] = t.text:sub(at, edit.at - 1)
    parts[#parts + 1] = edit.text
    at = edit.stop + 1
  end
  return table.concat(parts) .. t.text:sub(at)
end

return M
