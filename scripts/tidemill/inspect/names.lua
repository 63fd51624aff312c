-- Names of fields in messages.
local json = require 'tidemill.inspect.json'
local words = require 'tidemill.core.words'

local M = {}

local SHOWN, MOST = 8, 200

-- Texts that differ, in the order in which they came.
function M.add(list, text)
  if list[text] or #list >= MOST then return end
  list[#list + 1], list[text] = text, true
end

---@param objects any[] what is none has no names
function M.of(objects)
  local list = {}
  for _, object in ipairs(objects) do
    for _, name in ipairs(json.is_object(object) and object.names or {}) do
      M.add(list, name)
    end
  end
  return list
end

function M.text(list)
  if #list == 0 then return 'none' end
  return table.concat(list, ', ', 1, math.min(#list, SHOWN)) .. (#list > SHOWN and ', …'
    or '')
end

---@return string "; did you mean 'x'?", to stand behind what to do; or ""
function M.hint(word, list)
  local near = words.nearest(word, list)
  return near and ("; did you mean '%s'?"):format(near) or ''
end

return M
