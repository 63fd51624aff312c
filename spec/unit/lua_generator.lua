-- Random pipelines in random but valid Lua: what people and their tools write around
-- and instead of a plain table. Each comes with what it says: the columns.
local M = {}

local random = math.random
-- Names of variables and columns alike, and of what the words of a pipeline are.
local NAMES = {
  'key', 'columns', 'from', 'on', 'initial', 'id', 'day', 'name', 'type', 'data', 'event', 'row', 'source', 'topics', 'x', 'y',
  'projections', 'batch', 'projection', 'pipeline', 'kafka', 'tables', 'merge', '_', 'äöü', 'goto_', 'return_', 'end1',
}
local TYPES = { 'bigint', 'text', 'numeric(18,2)', 'boolean', 'uuid', 'date' }
local KEY_TYPES = { 'bigint', 'text', 'uuid', 'date' }
-- What looks like something else inside of texts and comments.
local TRAPS = {
  'return projection {', 'key = { day = day }', '}', '{', '--', ']', '[[', 'end', 'function(', "'", '"', ')', '::', 'a = a', '\\', '--[[ ',
}

local function pick(list) return list[random(#list)] end

local function level_for(text)
  local level = ''
  while text:find(']' .. level .. ']', 1, true) or text:find('[' .. level .. '[', 1, true) do level = level .. '=' end
  return level .. ('='):rep(random(0, 2))
end

local function long_text(text)
  local level = level_for(text .. ']')
  return '[' .. level .. '[' .. text .. ']' .. level .. ']'
end

local function traps()
  local parts = {}
  for i = 1, random(0, 4) do parts[i] = pick(TRAPS) end
  return table.concat(parts, pick { ' ', '', '\n' })
end

local function any_text()
  local text = traps()
  if random(3) == 1 then return long_text(text) end
  return (('%q'):format(text):gsub('\r', '\\r'))
end

-- A text, in one of the ways to write it.
local function text_of(s)
  local n = random(8)
  if n == 1 then return '"' .. s .. '"' end
  if n == 2 then return long_text(s) end
  if n == 3 then return "('" .. s .. "')" end
  if n == 4 and #s > 1 then return "'" .. s:sub(1, 1) .. "' .. '" .. s:sub(2) .. "'" end
  if n == 5 then return "('" .. s .. "'):lower()" end
  return "'" .. s .. "'"
end

local function comment()
  local text = traps()
  return random(2) == 1 and '--' .. long_text(text) or '-- ' .. text:gsub('\n', ' '):gsub('^%[', ' [') .. '\n'
end

local function space()
  local n = random(12)
  return n == 1 and comment() .. ' ' or n <= 4 and '\n' or ' '
end

-- ---- what has nothing to do with the pipeline ------------------------------

local noise

local function expression(depth)
  local n = depth <= 0 and random(5) or random(14)
  if n == 1 then return pick { '1', '0x1F', '1e3', '.5', '3.', 'nil', 'true', 'false' } end
  if n <= 3 then return any_text() end
  if n == 4 then return "select('#', " .. pick { '1', 'nil', "''" } .. ')' end
  if n == 5 then return '#' .. any_text() end
  if n <= 8 then
    local fields = {}
    for i = 1, random(0, 4) do
      local value = expression(depth - 1)
      fields[i] = pick { pick(NAMES) .. ' = ', "['" .. pick(NAMES) .. "'] = ", '[' .. random(3) .. '] = ', '[ ' .. any_text() .. '] = ', '' } .. value
    end
    return '{' .. space() .. table.concat(fields, pick { ',', ';' } .. space()) .. (#fields > 0 and pick { '', ',', ';' } or '') .. '}'
  end
  if n == 9 then
    local deep = random(60)
    return ('{'):rep(deep) .. ('}'):rep(deep)
  end
  if n == 10 then return '(' .. expression(depth - 1) .. ')' end
  if n == 11 then
    return '(function(...) local ' .. pick(NAMES) .. ' = ... ' .. noise(depth - 1) .. ' return ... end)(' .. expression(depth - 1) .. ')'
  end
  if n == 12 then return 'function(' .. pick { '', '...', pick(NAMES), 'key, day', 'projection, ...' } .. ') ' .. noise(depth - 1) .. ' end' end
  if n == 13 then return expression(depth - 1) .. ' == ' .. expression(depth - 1) end
  return '(' .. expression(depth - 1) .. pick { ' and ', ' or ' } .. expression(depth - 1) .. ')'
end

local n_labels = 0

local STATEMENTS = {
  function(depth) return 'local ' .. pick(NAMES) .. ' = ' .. expression(depth) end,
  function(depth) return 'local ' .. pick(NAMES) .. ', ' .. pick(NAMES) .. ' = ' .. expression(depth) .. ', ' .. expression(depth) end,
  function(depth) return 'local function ' .. pick(NAMES) .. '(' .. pick { '', 'key', 'day, ...', '...' } .. ') ' .. noise(depth - 1) .. ' end' end,
  function(depth) return 'do ' .. noise(depth - 1) .. ' end' end,
  function(depth) return 'for ' .. pick(NAMES) .. ' = 1, 2 do ' .. noise(depth - 1) .. ' end' end,
  function(depth) return 'for ' .. pick(NAMES) .. ', v in pairs({ 1 }) do ' .. noise(depth - 1) .. ' end' end,
  function(depth) return 'while false do ' .. noise(depth - 1) .. ' end' end,
  function(depth) return 'repeat ' .. noise(depth - 1) .. ' until true' end,
  function(depth) return 'if ' .. expression(depth - 1) .. ' then ' .. noise(depth - 1) .. ' elseif nil then else ' .. noise(depth - 1) .. ' end' end,
  function()
    n_labels = n_labels + 1
    return ('do goto l%d ::l%d:: end'):format(n_labels, n_labels)
  end,
  function() return 'do local t = { a = { b = {} } } t.a.b.c = function(self, ...) return { t = t, ... } end t.t = t '
    .. 'function t.a.b:day(key) return { self = self, key = key, day = { day = self.day } } end t.a.b:day(t) end' end,
  function() return 'do local function f(n) return n == 0 and {} or { f = f(n - 1), n = { n } } end f(3) end' end,
  function() return 'do local a, b = {}, {} a.x, b.y = { a = b }, { b = a } end' end,
  function()
    local name = pick(NAMES)
    return ('do local %s = 1 local %s = { %s } local function set(...) %s = { %s, ... } end set() end'):format(name, name, name, name, name)
  end,
  function() return 'do ' .. comment() .. ' end' end,
}

function noise(depth)
  if depth <= 0 then return '' end
  local parts = {}
  for i = 1, random(0, 2) do parts[i] = pick(STATEMENTS)(depth) .. pick { ' ', ';', '\n' } end
  return table.concat(parts, space())
end

-- In a block of its own, so that no word of a pipeline is hidden from what follows.
local function aside() return 'do ' .. noise(3) .. '\nend' .. pick { '\n', ' ', ';' } end

-- ---- the pipeline ----------------------------------------------------------

-- Fields as a table: name and value's text each. [is_literal]: with names to be seen.
local function fields_of(list, is_literal)
  local parts = {}
  for i, field in ipairs(list) do
    local name, value = field[1], field[2]
    local is_name = not name:find('[^%w_]')
    local way = is_literal and random(2) or random(3)
    local key = way == 1 and is_name and name .. ' =' or way < 3 and "['" .. name .. "'] =" or '[ ' .. text_of(name) .. '] ='
    parts[i] = key .. space() .. value
  end
  return '{' .. space() .. table.concat(parts, pick { ',', ';' } .. space()) .. pick { '', ',', ';' } .. space() .. '}'
end

-- What stands above, and the expression that is the table.
local function as_expression(list, is_literal)
  local text, way = fields_of(list, is_literal), is_literal and 1 or random(6)
  if way == 2 then
    local name = pick(NAMES)
    return ('local v_%s = %s '):format(name, text), 'v_' .. name
  elseif way == 3 then
    return '', '(function(...) local ' .. pick(NAMES) .. ' = {} return ... end)(' .. text .. ')'
  elseif way == 4 then
    local name = list[1][1] == 'table' and 't1_' or 't2_' -- one may hold the other
    local lines = { 'local ' .. name .. ' = {}' }
    for _, field in ipairs(list) do lines[#lines + 1] = ("%s['%s'] = %s"):format(name, field[1], field[2]) end
    return table.concat(lines, ' ') .. ' ', name
  elseif way == 5 then
    return '', '(' .. text .. ')'
  end
  return '', text
end

local function column_names(n, taken)
  local names = {}
  while #names < n do
    local name = pick(NAMES)
    if not taken[name] then
      names[#names + 1], taken[name] = name, true
    end
  end
  return names
end

local FROMS = { "'key'", "'data.x'", "{ 'data.a', 'data.b' }", 'function(event) return event.key end', 'NAME', 'helper.from' }

-- A projection: what stands above it, its expression, and its columns in order.
local function projection(number)
  local taken, key, columns, expected = {}, {}, {}, {}
  local above = {}
  local name_of = column_names(1, taken)[1]
  local from = pick(FROMS)
  if from == 'NAME' then
    -- The most natural name there is: that of the column.
    above[#above + 1] = ('local function %s(event) return event.key end '):format(name_of)
    from = name_of
  elseif from == 'helper.from' then
    above[#above + 1] = 'local helper = {} function helper.from(event) return event.key end '
  end
  local is_word = ({ projection = true, pipeline = true, kafka = true })[name_of] and from == name_of
  if is_word then from = "'key'" above = {} end
  local type_of = pick(KEY_TYPES)
  local spec = fields_of({ { 'from', from } }, true):gsub('^{', function() return "{ '" .. type_of .. "'," end)
  key[1] = { name_of, spec }
  expected[1] = name_of .. ' ' .. type_of
  for _, name in ipairs(column_names(random(1, 5), taken)) do
    local t = pick(TYPES)
    columns[#columns + 1] = { name, text_of(t) }
    expected[#expected + 1] = name .. ' ' .. t
  end
  local is_literal = random(2) == 1
  local above_columns, columns_text = as_expression(columns, is_literal)
  above[#above + 1] = above_columns
  local fields = {
    { 'table', text_of('t' .. number) }, { 'key', fields_of(key, true) }, { 'columns', columns_text },
    { 'on', 'function(row, event) ' .. noise(2) .. ' end' },
  }
  for i = #fields, 3, -1 do -- the table stays first
    local k = random(2, i)
    fields[i], fields[k] = fields[k], fields[i]
  end
  local above_all, whole = as_expression(fields, is_literal)
  above[#above + 1] = above_all
  local call = whole:sub(1, 1) == '{' and random(2) == 1 and 'projection ' .. whole or 'projection(' .. whole .. ')'
  return table.concat(above), call, { is_literal = is_literal, table = 't' .. number, columns = expected }
end

local HEADS = { '', '', '', '\239\187\191', '#!/usr/bin/env tidemill\n', '\239\187\191#!x { \n' }
local NEWLINES = { '\n', '\n', '\r\n', '\r' }

local function as_file(text)
  local newline = pick(NEWLINES)
  -- A shebang ends at a newline that is one everywhere.
  return pick(HEADS) .. (newline == '\n' and text or text:gsub('\n', newline))
end

---@return table files name -> text, table[] projections { table, columns, is_literal }
function M.bundle()
  n_labels = 0
  local files, expected, names, above = {}, {}, {}, {}
  for i = 1, random(1, 3) do
    local before, call, says = projection(i)
    expected[i] = says
    if random(2) == 1 then
      names[i] = text_of('p.m' .. i)
      files[('p/m%d.lua'):format(i)] = as_file(aside() .. before .. pick {
        'return ' .. call, 'local it = ' .. call .. ' return it',
        'local function make(...) ' .. noise(2) .. ' return ... end return make(' .. call .. ')',
      } .. pick { '', '\n', ' ' .. comment() })
    else
      above[#above + 1] = 'local p' .. i .. ' do ' .. before .. ' p' .. i .. ' = ' .. call .. ' end\n'
      names[i] = 'p' .. i
    end
    above[#above + 1] = aside()
  end
  local fields = {
    { 'name', text_of('x') }, { 'source', "kafka { brokers = 'b', group = 'g', topics = { 't' }, format = 'outbox' }" },
    { 'database', "postgres { write = 'postgresql://localhost/x' }" }, { 'projections', '{' .. table.concat(names, ', ') .. '}' },
  }
  local before, whole = as_expression(fields)
  files['pipeline.lua'] = as_file(table.concat(above) .. before .. 'return pipeline(' .. whole .. ')' .. pick { '', '\n', ';', ' ' .. comment() })
  return files, expected
end

return M
