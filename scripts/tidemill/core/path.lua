-- Paths into an event, as pipelines write them: data.x, data['a.b'].c, data.items[1].
local core = require 'tidemill.core.api'
local ffi = require 'ffi'

local M = {}

local C = core.C

-- What gets a column (runtime/decode/json/path.h).
local MOST_STEPS, MOST_BYTES = 64, 65535

-- It has to outlive the reading, so it is no local of that.
local room, room_size

---@param text string
---@return (string|integer)[]|nil steps the root, then names of fields and numbers of
---items; nil: it is no path
---@return string? reason when there are words for it
function M.read(text)
  if not room or room_size < #text + 1 then
    room_size = 2 * #text + 256
    room = ffi.new('char[?]', room_size)
  end
  local p = ffi.new('struct tm_path', { text = text, len = #text, room = room })
  local steps, more = {}, C.tm_path_next(p)
  while more > 0 do
    steps[#steps + 1] = p.item > 0 and tonumber(p.item) or ffi.string(p.name, p.name_len)
    more = C.tm_path_next(p)
  end
  if more == 0 then return steps end
  return nil, p.fault ~= nil and ffi.string(p.fault) or nil
end

---The same of a path that gets a column: no longer than columns are.
function M.read_column(text)
  local steps, reason = M.read(text)
  if not steps then return nil, reason end
  if #steps > MOST_STEPS + 1 then
    return nil, ('a path has at most %d steps behind its first word, and this has %d')
      :format(MOST_STEPS, #steps - 1)
  end
  for _, step in ipairs(steps) do
    if type(step) == 'string' and #step > MOST_BYTES then
      return nil, ('a name in a path has at most %d bytes'):format(MOST_BYTES)
    end
  end
  return steps
end

return M
