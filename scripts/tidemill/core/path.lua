-- Paths into an event, as pipelines write them: data.x, data['a.b'].c, data.items[1].
local core = require 'tidemill.core.api'
local ffi = require 'ffi'

local M = {}

local C = core.C

---@param text string
---@return (string|integer)[]|nil steps the root, then names of fields and numbers of
---items; nil: it is no path
---@return string? reason when there are words for it
function M.read(text)
  local room = ffi.new('char[?]', #text + 1)
  local p = ffi.new('struct tm_path', { text = text, len = #text, room = room })
  local steps, more = {}, C.tm_path_next(p)
  while more > 0 do
    steps[#steps + 1] = p.item > 0 and tonumber(p.item) or ffi.string(p.name, p.name_len)
    more = C.tm_path_next(p)
  end
  if more == 0 then return steps end
  return nil, p.fault ~= nil and ffi.string(p.fault) or nil
end

return M
