-- Which block of a file misses its `end`. Lua tells where it noticed, mostly at the end
-- of the file; indentation tells where the block began.
local lexer = require 'tidemill.load.lexer'

local M = {}

local OPENS = { ['function'] = true, ['if'] = true, ['do'] = true, ['repeat'] = true,
  ['{'] = true, ['('] = true, ['['] = true }
local CLOSES = { ['end'] = true, ['until'] = true, ['}'] = true, [')'] = true,
  [']'] = true }
-- `for … do` and `while … do` have one end, that of their do.
local HEADS = { ['for'] = true, ['while'] = true }

-- The column of the first token of each line, and that token.
local function line_starts(t)
  local columns, first = {}, {}
  for i, line in ipairs(t.lines) do
    if not columns[line] then columns[line], first[line] = t.columns[i], i end
  end
  return columns, first
end

-- Is an end that begins its line further left than the line of the block on top? Then
-- it is that of an outer one.
local function is_outer(t, i, open, columns, first)
  local line = t.lines[i]
  return first[line] == i and columns[line] < columns[t.lines[open.at]]
end

-- The line of the word that opens what misses its end; nil: indentation does not tell.
local function find(t)
  local columns, first = line_starts(t)
  local stack, head = {}, nil
  for i, kind in ipairs(t.kinds) do
    local code = (kind == 'name' or kind == 'symbol') and t.values[i]
    local is_field = i > 1 and t.kinds[i - 1] == 'symbol'
      and (t.values[i - 1] == '.' or t.values[i - 1] == ':')
    if code and not is_field then
      if HEADS[code] then head = { at = i, word = code } end
      if OPENS[code] then
        local is_head = code == 'do' and head
        stack[#stack + 1] = is_head and head or { at = i, word = code }
        if is_head then head = nil end
      elseif CLOSES[code] then
        local open = stack[#stack]
        if not open then return nil end
        local ends = open.word:find('^%a') ~= nil
        if ends and (not code:find('^%a') or is_outer(t, i, open, columns, first)) then
          return t.lines[open.at], open.word
        end
        if ends ~= (code:find('^%a') ~= nil) then return nil end
        stack[#stack] = nil
      end
    end
  end
  for at = #stack, 1, -1 do
    if stack[at].word:find('^%a') then return t.lines[stack[at].at], stack[at].word end
  end
end

---@param text string of a file that does not compile for want of an `end`
---@return integer|nil line, string|nil word that opens the block
function M.find(text)
  local ok, line, word = pcall(function() return find(lexer.read(text)) end)
  if ok then return line, word end
end

return M
