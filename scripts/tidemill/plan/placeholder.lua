-- The forms of the connector's unavailable.value.placeholder: what it writes for a
-- large value that an UPDATE left alone, by the type of the value.
local M = {}

local DIGITS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'

local function base64(text)
  local out = {}
  for i = 1, #text, 3 do
    local a, b, c = text:byte(i, i + 2)
    local bits = a * 65536 + (b or 0) * 256 + (c or 0)
    for k = 0, 3 do
      local digit = math.floor(bits / 64 ^ (3 - k)) % 64 + 1
      out[#out + 1] = i + k - 1 > #text and '=' or DIGITS:sub(digit, digit)
    end
  end
  return table.concat(out)
end

-- Characters that look the same in all forms, so that none has to be escaped.
function M.is_plain(text)
  return #text <= 1000 and text:find('^[%w%p ]+$') ~= nil and not text:find('["\\]')
end

---@return table forms, named as in struct plan_placeholder
function M.forms(text)
  local bytes = table.concat({ text:byte(1, -1) }, ',')
  return {
    text = text, base64 = base64(text), pair = ('{"%s":"%s"}'):format(text, text),
    json_texts = ('["%s"]'):format(text), json_numbers = ('[%s]'):format(bytes),
    texts = ('{"%s"}'):format(text), numbers = ('{%s}'):format(bytes),
  }
end

return M
