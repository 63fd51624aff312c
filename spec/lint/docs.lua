-- The pages: parts of them that are made from tables of the code, links between them, the
-- length of the first one. `luajit docs.lua` finds what is wrong, `luajit docs.lua write`
-- (make docs) makes those parts anew. Such a part stands between `<!-- fields: word -->`
-- or `<!-- metrics -->` and `<!-- end -->`. What a field means is written in the page by
-- hand, in its row; its name, what it takes and its default come from plan/schema.lua.
package.path = 'scripts/?.lua;spec/support/?.lua;' .. package.path

local schema = require 'tidemill.plan.schema'

local MOST_LINES = 180
local must_write = arg[1] == 'write'
local n_problems = 0

local function problem(...)
  n_problems = n_problems + 1
  print(string.format(...))
end

local function read(path)
  local f = io.open(path)
  if not f then return nil end
  local text = f:read('*a')
  f:close()
  return text
end

local function pages()
  local list = {}
  local pipe = assert(io.popen("find . -name '*.md' ! -path './build*' ! -path './.*' "
    .. '| cut -c3- | sort'))
  for path in pipe:lines() do list[#list + 1] = path end
  pipe:close()
  return list
end

-- ---- fields ----

local function number(x)
  return x % 1 == 0 and ('%d'):format(x) or tostring(x)
end

-- Of a word of the constructors: kafka { … }; an entry of a list of words.
local CALLED = {
  string = 'text', boolean = '`true`, `false`', ['false'] = '`false`', table = 'table',
  ['function'] = 'function', number = 'number', kafka = '`kafka { … }`',
  postgres = '`postgres { … }`', rule = '`rule \'…\'`', failure = '`failure { … }`',
}

local function takes(field)
  if field.words then return "`'" .. table.concat(field.words, "'`, `'") .. "'`" end
  if field.max then return number(field.min) .. ' to ' .. number(field.max) end
  local parts = {}
  for i, word in ipairs(field.types) do parts[i] = assert(CALLED[word], word) end
  return table.concat(parts, ', ')
end

local function default(field)
  local x = field.default
  if x == nil then return '' end
  if type(x) == 'number' then return number(x) end
  return type(x) == 'string' and ("`'%s'`"):format(x) or ('`%s`'):format(tostring(x))
end

-- Fields of a table in a table have names with a dot.
local function flat(fields, before, out)
  for name, field in pairs(fields) do
    if not field.later then
      out[before .. name] = field
      if field.fields then flat(field.fields, before .. name .. '.', out) end
    end
  end
  return out
end

-- The rows that are there keep their order and their meanings.
local function field_rows(path, word, body)
  local fields, rows, seen = flat(assert(schema[word], word), '', {}), {}, {}
  local function add(name, meaning)
    seen[name] = true
    rows[#rows + 1] = ('| `%s` | %s | %s | %s |'):format(name, takes(fields[name]),
      default(fields[name]), meaning):gsub('  +', ' ')
  end
  for line in body:gmatch('[^\n]+') do
    local name, meaning = line:match('^| `([%w_.]+)` |.*| (.-) |$')
    if name and fields[name] then add(name, meaning) end
  end
  local missing = {}
  for name in pairs(fields) do missing[#missing + 1] = not seen[name] and name or nil end
  table.sort(missing)
  for _, name in ipairs(missing) do
    problem("%s: say what field '%s' of %s means", path, name, word)
    add(name, '?')
  end
  return '| field | takes | default | meaning |\n|---|---|---|---|\n'
    .. table.concat(rows, '\n') .. '\n'
end

-- ---- metrics ----

-- Asks the core, which a checkout that was never built does not have.
local function metric_rows()
  local is_built, metrics = pcall(require, 'spec.core.metric_table')
  if not is_built then return nil, metrics end
  return metrics.HEAD .. metrics.lines() .. '\n'
end

-- ---- a page ----

local function make(path, text)
  return (text:gsub('(<!%-%- (%w+):? ?(%w*) %-%->\n)(.-)(<!%-%- end %-%->)',
    function(head, what, word, body, tail)
      local made, why
      if what == 'fields' then
        made = field_rows(path, word, body)
      elseif what == 'metrics' then
        made, why = metric_rows()
      else
        problem("%s: nothing makes '%s'", path, what)
      end
      if why then print('lint: docs: metrics: skipped: ' .. why:match('[^\n]*')) end
      return head .. (made or body) .. tail
    end))
end

local function check_made(path, text)
  local made = make(path, text)
  if made == text then return end
  if must_write then
    local f = assert(io.open(path, 'w'))
    f:write(made)
    f:close()
  else
    problem('%s: a table is not what the code says: make docs', path)
  end
end

local function anchors(text)
  local set = {}
  for title in text:gsub('```.-```', ''):gmatch('\n#+ ([^\n]+)') do
    local name = title:lower():gsub('[^%w _%-]', ''):gsub(' ', '-')
    set[name] = true
  end
  return set
end

local function check_links(path, text)
  local folder = path:match('^(.*/)') or ''
  for target in text:gsub('```.-```', ''):gmatch('%]%(([^)]+)%)') do
    local file, anchor = target:match('^([^#]*)#?(.*)$')
    if not file:find('^%a+:') then
      local found = file == '' and text or read(folder .. file)
      if not found then
        problem("%s: there is no '%s'", path, target)
      elseif anchor ~= '' and not anchors('\n' .. found)[anchor] then
        problem("%s: '%s' has no such heading", path, target)
      end
    end
  end
end

local function check_first(text)
  local _, n_lines = text:gsub('\n', '')
  if n_lines > MOST_LINES then
    problem('README.md: %d lines, %d at most: move a part next to its subject', n_lines,
      MOST_LINES)
  end
  if not text:find(read('examples/first/projections/balances.lua'), 1, true) then
    problem('README.md: its projection is not what init writes (examples/first)')
  end
end

for _, path in ipairs(pages()) do
  local text = read(path)
  check_made(path, text)
  check_links(path, text)
end
check_first(read('README.md'))
os.exit(n_problems == 0 and 0 or 1)
