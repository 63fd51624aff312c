-- Lists of words: whether one is in it, and the nearest right one for a wrong one.
local core = require 'tidemill.core.api'

local M = {}

---@param list any[]|nil nil: nothing is in it
---@return boolean
function M.has(list, word)
  for _, one in ipairs(list or {}) do
    if one == word then return true end
  end
  return false
end

---@param word string
---@param words string[]
---@return string|nil nearest nil when none is near
---@return number|nil distance in letters
function M.nearest(word, words)
  local at, distance = core.host.nearest(word, words)
  return words[at], distance
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
