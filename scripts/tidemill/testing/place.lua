-- Errors of the kit name the line of the spec that called it.
local M = {}

local OURS = debug.getinfo(1, 'S').source:match('^(.*)testing/[^/]*$') or '@?'

---@return string|nil "file:line" of the spec that is running
function M.of_spec()
  for level = 2, 60 do
    local info = debug.getinfo(level, 'Sl')
    if not info then return nil end
    local is_file = info.source:sub(1, 1) == '@' and info.currentline > 0
    if is_file and info.source:sub(1, #OURS) ~= OURS then
      return info.short_src .. ':' .. info.currentline
    end
  end
end

-- What names a place already is of a handler, or of a pipeline file.
local function with_place(text, place)
  if not place then return text end
  if text:find('^[^\n]-%.lua:%d+: ') then
    return ('%s (called at %s)'):format(text, place)
  end
  return place .. ': ' .. text
end

local function pass(ok, ...)
  if ok then return ... end
  local text = (...)
  error(type(text) == 'string' and with_place(text, M.of_spec()) or text, 0)
end

---A function of the kit whose errors name the spec's line.
function M.at_spec(f)
  return function(...) return pass(pcall(f, ...)) end
end

return M
