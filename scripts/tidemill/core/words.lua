-- The nearest right word for a wrong one.
local M = {}

-- Levenshtein's distance, with the swap of two neighbours as one step.
local function distance(a, b)
  local before, row = {}, {}
  for j = 0, #b do row[j] = j end
  for i = 1, #a do
    local last = before
    before, row = row, { [0] = i }
    for j = 1, #b do
      local same = a:byte(i) == b:byte(j)
      local changed = before[j - 1] + (same and 0 or 1)
      local best = math.min(before[j] + 1, row[j - 1] + 1, changed)
      local is_swap = i > 1 and j > 1 and a:byte(i) == b:byte(j - 1)
        and a:byte(i - 1) == b:byte(j)
      if is_swap then
        best = math.min(best, last[j - 2] + 1)
      end
      row[j] = best
    end
  end
  return row[#b]
end

local LONGEST = 100

-- Is one of them the beginning of the other, as in millis and milliseconds?
local function is_beginning(a, b)
  local n = math.min(#a, #b)
  return n >= 4 and a:sub(1, n) == b:sub(1, n)
end

---@param word string
---@param words string[]
---@return string|nil nearest nil when none is near
---@return number|nil distance in letters
function M.nearest(word, words)
  if #word > LONGEST then return nil end -- no word is, and it would take long
  -- Some of its letters must be right: any two are near any two.
  local most = math.min(math.max(2, math.floor(#word / 3)), math.max(1, #word - 2))
  local best, best_distance = nil, most + 1
  for _, candidate in ipairs(words) do
    local d = distance(word:lower(), candidate:lower())
    if is_beginning(word:lower(), candidate:lower()) then
      -- The longest of several.
      d = math.min(d, 1.5 - #candidate / 1000)
    end
    if d < best_distance and d < math.max(#word, #candidate) then
      best, best_distance = candidate, d
    end
  end
  return best, best and best_distance
end

---@return string ": did you mean 'x'?", or what the words are
function M.hint(word, words)
  local nearest = M.nearest(tostring(word), words)
  if nearest then return ": did you mean '" .. nearest .. "'?" end
  local sorted = { unpack(words) }
  table.sort(sorted)
  return ': it can be ' .. table.concat(sorted, ', ')
end

return M
