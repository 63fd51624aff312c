-- Every warning and error that a running worker or supervisor can log stands in
-- runtime/cli/README.md, in the words that people will look for: luajit messages.lua.
local function read(path)
  local f = assert(io.open(path))
  local text = f:read('*a')
  f:close()
  return text
end

-- In one line, since the page breaks its lines elsewhere.
local README = 'runtime/cli/README.md'
local readme = read(README):gsub('%s+', ' ')
local n_problems = 0

-- The literals of one argument, joined; several when it is a choice (a ? b : c).
local function messages(argument)
  local list = {}
  for choice in (argument .. ' : '):gmatch('(.-) : ') do
    local parts = {}
    for literal in choice:gmatch('"([^"]*)"') do parts[#parts + 1] = literal end
    if #parts > 0 then list[#list + 1] = table.concat(parts) end
  end
  return list
end

local function check(file, argument)
  for _, text in ipairs(messages(argument)) do
    -- What stands before a colon or semicolon is what one searches for.
    local words = text:match('^[^:;]+')
    if #words > 6 and not readme:find(words, 1, true) then
      n_problems = n_problems + 1
      print(('%s: "%s" is not in %s'):format(file, words, README))
    end
  end
end

local pipe = assert(io.popen("find runtime/flow runtime/supervise -name '*.c' | sort"))
for file in pipe:lines() do
  local text = read(file):gsub('%s+', ' ')
  for _, call in ipairs { 'log_line%( ?LOG_%u+, ?', 'say%(s, LOG_%u+, ?' } do
    for level, rest in text:gmatch('(' .. call .. ')(.-%);)') do
      -- Up to the comma behind the last literal of the message.
      local argument = rest:match('^(.-"),') or rest:match('^(.-")%)')
      if argument and not level:find('INFO') and not level:find('DEBUG') then
        check(file, argument .. ' ')
      end
    end
  end
end
pipe:close()
os.exit(n_problems == 0 and 0 or 1)
