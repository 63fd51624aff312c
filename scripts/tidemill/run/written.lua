-- Which names stand in the text of a bundle: those of fields that a script reads are
-- as many as its text has, whatever the data brings.
local M = {}

local function add(words, text)
  for word in text:gmatch('[%a_\128-\255][%w_\128-\255]*') do words[word] = true end
  -- Names that are no words stand in quotes. Where a quote is none, in a comment, this
  -- misses some, which only makes their fields slower to read.
  for quoted in text:gmatch('"([^"\n]*)"') do words[quoted] = true end
  for quoted in text:gmatch("'([^'\n]*)'") do words[quoted] = true end
end

---@param files table<string, string> text by file name
---@return fun(name: string): boolean
function M.new(files)
  local words
  return function(name)
    if not words then -- few pipelines ever ask
      words = {}
      for _, text in pairs(files) do add(words, text) end
    end
    return words[name] ~= nil
  end
end

return M
