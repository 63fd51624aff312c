-- The wrong pipelines of spec/fixtures/wrong/*.diff. Each is a bundle of
-- spec/fixtures/right, what is changed in it, and the messages that it must get:
--
--   type_typo in modules:             its name and the bundle; without `in`, none
--   @ projections/balances.lua        the file, pipeline.lua at first; a new one has
--                                     lines with + only
--       table = 'balances',           as in a diff: a line that stays,
--   -   key = { id = 'uuid' },        that goes,
--   +   key = { id = 'uid' },         that comes
--   ...                               and a further change of the same file
--   > projections/balances.lua:4: …   a line of what is said
--
-- The lines that stay and go stand in the file exactly once, together. <0xFF> is
-- that byte. Cases are divided by an empty line; # begins a comment.
local M = {}

local RIGHT, WRONG = 'spec/fixtures/right', 'spec/fixtures/wrong'

local function read(path)
  local file = assert(io.open(path, 'rb'))
  local text = file:read('*a')
  file:close()
  return text
end

local function files_below(folder)
  local list = {}
  local pipe = io.popen(('find %s -type f | sort'):format(folder))
  for path in pipe:lines() do list[#list + 1] = path end
  pipe:close()
  return list
end

--- The right bundles: name -> file -> text.
function M.right()
  local bundles = {}
  for _, path in ipairs(files_below(RIGHT)) do
    local name, file = path:sub(#RIGHT + 2):match('^([^/]+)/(.+)$')
    bundles[name] = bundles[name] or {}
    bundles[name][file] = read(path)
  end
  return bundles
end

local function refuse(at, what, ...)
  error(at .. ': ' .. what:format(...), 0)
end

local function lines_of(list)
  return #list == 0 and '' or table.concat(list, '\n') .. '\n'
end

-- What one change makes of a text; whole lines are looked for.
local function changed(text, change, file)
  local at, old, new = change.at, lines_of(change.old), lines_of(change.new)
  if not text then
    if old ~= '' then refuse(at, 'there is no %s to change', file) end
    return new
  end
  if old == '' then refuse(at, 'where in %s? Name the line before or behind', file) end
  local whole = '\n' .. text
  local from, to = whole:find('\n' .. old, 1, true)
  if not from then refuse(at, 'the lines that stay and go are not in %s', file) end
  if whole:find('\n' .. old, from + 1, true) then
    refuse(at, 'the lines that stay and go are in %s more than once', file)
  end
  return whole:sub(2, from) .. new .. whole:sub(to + 1)
end

local function end_change(case)
  local change = case.change
  if not change then return end
  local text = changed(case.files[case.file], change, case.file)
  if text == case.files[case.file] then refuse(change.at, 'nothing is changed') end
  case.files[case.file], case.change, case.is_changed = text, nil, true
end

local function add(case, at, old, new)
  local change = case.change or { at = at, old = {}, new = {} }
  case.change = change
  change.old[#change.old + 1], change.new[#change.new + 1] = old, new
end

-- What the first character of a line says of the rest.
local MARKS = {
  [' '] = function(case, at, rest) add(case, at, rest, rest) end,
  ['-'] = function(case, at, rest) add(case, at, rest, nil) end,
  ['+'] = function(case, at, rest) add(case, at, nil, rest) end,
  ['>'] = function(case, _, rest) table.insert(case.says, rest) end,
  ['.'] = end_change,
  ['@'] = function(case, _, rest)
    end_change(case)
    case.file = rest
  end,
}

local function end_case(state)
  local case = state.case
  state.case = nil
  if not case then return end
  end_change(case)
  if #case.says == 0 then refuse(case.at, '%s gets no message', case.name) end
  if case.right and not case.is_changed then refuse(case.at, 'nothing is changed') end
  case.files['pipeline.lua'] = case.files['pipeline.lua'] or ''
  table.insert(state.cases, { name = case.name, files = case.files,
    says = table.concat(case.says, '\n') })
end

local function begin_case(state, at, line)
  local name, right = line:match('^([%w_]+) in ([%w_]+):$')
  name = name or line:match('^([%w_]+):$')
  if not name then refuse(at, 'this is no case: write "name in bundle:"') end
  if state.names[name] then refuse(at, '%s is there twice', name) end
  if right and not state.right[right] then
    refuse(at, 'there is no %s/%s', RIGHT, right)
  end
  local files = {}
  for file, text in pairs(state.right[right] or {}) do files[file] = text end
  state.names[name] = true
  state.case = { at = at, name = name, right = right, file = 'pipeline.lua',
    files = files, says = {} }
end

local function bytes(text)
  return (text:gsub('<0x(%x%x)>', function(hex)
    return string.char(tonumber(hex, 16))
  end))
end

-- Adds the cases of one text to state.cases.
local function parse(state, text, path)
  local n = 0
  for line in (text .. '\n'):gmatch('(.-)\n') do
    n = n + 1
    local at, mark = path .. ':' .. n, MARKS[line:sub(1, 1)]
    if line == '' then
      end_case(state)
    elseif state.case and mark then
      mark(state.case, at, bytes(line:sub(3)))
    elseif line:sub(1, 1) ~= '#' then
      end_case(state)
      begin_case(state, at, line)
    end
  end
  end_case(state)
end

local function new_state() return { cases = {}, names = {}, right = M.right() } end

--- The cases of a text, in its order: { name, files: file -> text, says }.
function M.parse(text, path)
  local state = new_state()
  parse(state, text, path)
  return state.cases
end

--- Those of all files.
function M.cases()
  local state = new_state()
  for _, path in ipairs(files_below(WRONG)) do parse(state, read(path), path) end
  return state.cases
end

return M
