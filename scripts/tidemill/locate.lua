-- In which line of a file a key of a record stands. A Lua table remembers no
-- lines, so the text is searched for the names of the path, one behind the
-- other, from the line of the constructor on.
local M = {}

local function code_of(line)
  return (line:gsub('%-%-.*$', ''))
end

local function escape(name)
  return (name:gsub('%W', '%%%0'))
end

-- Where [name] is a key ("name =", "['name'] =") or a quoted text: its first and
-- last column.
local function find_name(code, name, from)
  local word = escape(name)
  for _, pattern in ipairs {
    '%f[%w_]' .. word .. '%f[^%w_]%s*=%f[^=]',
    '%[%s*[\'"]' .. word .. '[\'"]%s*%]%s*=',
    '[\'"]' .. word .. '[\'"]',
  } do
    local start, stop = code:find(pattern, from)
    if start then return start, stop end
  end
end

local function lines_of(text)
  local lines = {}
  for line in (text .. '\n'):gmatch('(.-)\n') do lines[#lines + 1] = code_of(line) end
  return lines
end

---@return integer line, integer column of the last name that was found
function M.position(record, path)
  local lines = lines_of(record.text)
  local line, column = record.line, 1
  for _, name in ipairs(path) do
    if type(name) ~= 'string' then break end
    for i = line, #lines do
      local start, stop = find_name(lines[i], name, i == line and column or 1)
      if start then
        line, column = i, stop + 1
        break
      end
    end
  end
  return line, column
end

function M.line(record, path)
  return (M.position(record, path))
end

-- Names of a table in the order in which the file has them.
function M.sorted(record, path, t)
  local place, names = {}, {}
  for name in pairs(t) do
    local at = { unpack(path) }
    at[#at + 1] = name
    local line, column = M.position(record, at)
    names[#names + 1], place[name] = name, line * 10000 + column
  end
  table.sort(names, function(a, b)
    if place[a] ~= place[b] then return place[a] < place[b] end
    return tostring(a) < tostring(b)
  end)
  return names
end

return M
