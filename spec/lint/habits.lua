-- Habits that a compiler does not check: luajit habits.lua. No two structs of one
-- name; a table of words has one for each value of its enum, unless it says how
-- large it is; a function of a header that fills a struct err must be looked at.
local n_problems = 0
local function problem(...)
  n_problems = n_problems + 1
  print(string.format(...))
end

local files = {}
for file in assert(io.popen('find runtime -name "*.[ch]" | sort')):lines() do
  local f = assert(io.open(file))
  files[#files + 1] = { name = file, text = f:read('*a') }
  f:close()
end

local function line_of(text, at)
  return select(2, text:sub(1, at):gsub('\n', '')) + 1
end

local function check_structs()
  local first = {}
  for _, f in ipairs(files) do
    for at, name in ('\n' .. f.text):gmatch('\n()struct ([%w_]+) {') do
      local place = ('%s:%d'):format(f.name, line_of(f.text, at - 1))
      if first[name] then
        problem('%s: struct %s is another one in %s', place, name, first[name])
      end
      first[name] = first[name] or place
    end
  end
end

-- Value -> all values of its enum, without a last one that counts them.
local function read_enums()
  local of = {}
  for _, f in ipairs(files) do
    for body in f.text:gsub('/%*.-%*/', ''):gmatch('enum [%w_]+ {(.-)}') do
      local values = {}
      for value in body:gmatch('([%w_]+)%s*[,=\n]') do
        if value:match('^%u') then values[#values + 1] = value end
      end
      local last = body:match('([%w_]+)%s*$')
      if last and values[#values] ~= last then values[#values + 1] = last end
      for _, value in ipairs(values) do of[value] = values end
    end
  end
  return of
end

local function counts(values, i)
  return i == #values and values[i]:match('S$') ~= nil
end

local function check_tables()
  local of = read_enums()
  for _, f in ipairs(files) do
    for at, name, body in
      f.text:gmatch('()const char %*const ([%w_]+)%[%] = {(.-)};') do
      local there, values = {}, nil
      for value in body:gmatch('%[([%w_]+)%] =') do
        there[value], values = true, values or of[value]
      end
      for i, value in ipairs(values or {}) do
        if not there[value] and not counts(values, i) then
          problem('%s:%d: %s[] has no word for %s', f.name, line_of(f.text, at), name,
            value)
        end
      end
    end
  end
end

-- Those always return false, for `return x(...)`, or answer a question.
local MAY_BE_IGNORED = {}
for name in ([[err_set err_wrap dial_late dial_error dial_lost dial_result refusal_set
  verify_missing compared_is_unkept conflict_is_none producer_failed]]):gmatch('%S+') do
  MAY_BE_IGNORED[name] = true
end

local function check_results()
  for _, f in ipairs(files) do
    if f.name:match('%.h$') then
      for at, result, name, args, tail in ('\n' .. f.text):gmatch(
        '\n()(%l[%w_ ]-[ %*\n]+)([%w_]+)%(([^;{}]-)%)([^;{}%)]*);') do
        local fills = (', ' .. args:gsub('%s+', ' ')):match(', struct err %*')
        if fills and not result:match('^void[ \n]+$') and not result:match('^typedef')
          and not MAY_BE_IGNORED[name] and not tail:match('MUSTCHECK') then
          problem('%s:%d: %s() fills a struct err and lacks MUSTCHECK', f.name,
            line_of(f.text, at - 1), name)
        end
      end
    end
  end
end

check_structs()
check_tables()
check_results()
os.exit(n_problems == 0 and 0 or 1)
