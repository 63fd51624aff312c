-- The stubs are what editors know. Here they are read back and compared with
-- what the schema, the sandbox, the views and the spec kit really have, in both
-- directions: nothing is missing, nothing is there that does not exist.
local bundles = require 'spec.unit.bundles'
local decimal = require 'tidemill.core.decimal'
local encode = require 'tidemill.testing.encode'
local failure = require 'tidemill.plan.failure'
local rows = require 'tidemill.run.rows'
local sandbox = require 'tidemill.load.sandbox'
local schema = require 'tidemill.plan.schema'
local testing = require 'tidemill.testing'

local classes, aliases, functions = {}, {}, {}

-- ---- reading the stubs -----------------------------------------------------

local function read_line(line, at)
  local name, parent = line:match('^%-%-%-@class tidemill%.(%w+):? ?t?i?d?e?m?i?l?l?%.?(%w*)')
  if name then
    classes[name] = { fields = {}, methods = {}, operators = {}, parent = parent ~= '' and parent or nil }
    at.class, at.params = classes[name], {}
    return
  end
  local field, type_text = line:match('^%-%-%-@field (%S+) (.-)%s*$')
  if field then at.class.fields[field] = type_text:gsub('%s*#.*$', '') end
  local operator = line:match('^%-%-%-@operator (%w+)')
  if operator then at.class.operators[operator] = true end
  local alias, first = line:match('^%-%-%-@alias tidemill%.(%w+) ?(.*)$')
  if alias then at.alias, aliases[alias] = alias, first end
  local more = line:match('^%-%-%-| (.*)$')
  if more then aliases[at.alias] = aliases[at.alias] .. '|' .. more:gsub('%s*#.*$', '') end
  local param, param_type = line:match('^%-%-%-@param (%S+) (.-)%s*$')
  if param then at.params[param] = param_type:gsub('%s*#.*$', '') end
  local variable = line:match('^local (%w+) = {}') or line:match('^(%w+) = {}')
  if variable then at.variables[variable] = at.class.methods end
  local owner, method = line:match('^function (%w+)[:.](%w+)%(')
  if owner then at.variables[owner][method] = true end
  local global = line:match('^function (%w+)%(')
  if global then functions[global] = at.params end
  if line:find('^function') then at.params = {} end
end

do
  for _, half in ipairs { 'tidemill.meta', 'tidemill.meta_testing' } do
    local at = { params = {}, variables = {} }
    for line in io.lines(package.searchpath(half, package.path)) do read_line(line, at) end
  end
end

-- ---- types -----------------------------------------------------------------

-- The parts of a union: 'a'|b[]|{ x: c|d } has three.
local function parts(text)
  local list, depth, from = {}, 0, 1
  for i = 1, #text + 1 do
    local c = text:sub(i, i)
    if c:find('[%(%[{<]') then depth = depth + 1 elseif c:find('[%)%]}>]') then depth = depth - 1 end
    if i > #text or c == '|' and depth == 0 then
      local part = text:sub(from, i - 1):match('^%s*(.-)%s*$')
      if part ~= '' then list[#list + 1] = part end
      from = i + 1
    end
  end
  return list
end

-- Constructors by the class that they give.
local MADE = { Kafka = 'kafka', Postgres = 'postgres', Rule = 'rule', FailureRule = 'failure', Projection = 'projection' }

-- What Lua values a type of the stubs stands for: a set of words of schema.lua and
-- of 'literals', and the class that describes a table.
local function meaning(text, out)
  out = out or { words = {}, class = nil }
  for _, part in ipairs(parts(text)) do
    local name = part:match('^tidemill%.(%w+)$')
    if part:find("^'") then
      out.words[part] = true
    elseif name and aliases[name] then
      meaning(aliases[name], out)
    elseif name then
      assert.is_truthy(classes[name], 'there is no class ' .. part)
      if MADE[name] then out.words[MADE[name]] = true else out.words.table, out.class = true, classes[name] end
    elseif part:find('^fun%(') then
      out.words['function'] = true
    elseif part:find('%[%]$') or part:find('^table') or part:find('^{') then
      out.words.table = true
    else
      out.words[part] = true
    end
  end
  if out.words.string then
    for word in pairs(out.words) do
      if word:find("^'") then out.words[word] = nil end
    end
  end
  return out
end

local function expected(field)
  local words = {}
  for _, t in ipairs(field.types) do
    if t == 'string' and field.words then
      for _, word in ipairs(field.words) do words["'" .. word .. "'"] = true end
    elseif t == 'number' then
      words[field.is_fraction and 'number' or 'integer'] = true
    else
      words[t] = true
    end
  end
  if not field.required then words['nil'] = true end
  return words
end

local function sorted(set)
  local list = {}
  for name, v in pairs(set) do
    if v then list[#list + 1] = tostring(name) end
  end
  table.sort(list)
  return table.concat(list, ' ')
end

local function set_of(list)
  local set = {}
  for _, name in ipairs(list) do set[name] = true end
  return set
end

local function fields_of(class)
  local all = {}
  while class do
    for name, text in pairs(class.fields) do all[name] = all[name] or text end
    class = classes[class.parent]
  end
  return all
end

local function named_fields(class)
  local set = {}
  for name in pairs(fields_of(class)) do
    if not name:find('^%[') then set[name] = true end
  end
  return set
end

local function compare(where, class, fields)
  local real, stubs = {}, fields_of(class)
  for name, field in pairs(fields) do
    -- The one value that is there already may be told.
    real[name] = not field.later or field.allowed and stubs[name] and true or nil
  end
  assert.are.equal(sorted(real), sorted(named_fields(class)), where)
  for name in pairs(real) do
    local is = meaning(stubs[name])
    if not fields[name].later then
      assert.are.equal(sorted(expected(fields[name])), sorted(is.words), where .. '.' .. name)
    end
    if fields[name].fields then
      assert.is_truthy(is.class, where .. '.' .. name .. ' needs a class')
      compare(where .. '.' .. name, is.class, fields[name].fields)
    end
  end
end

-- ---- what is compared ------------------------------------------------------

describe('meta', function()
  for word, fields in pairs(schema) do
    it('has the keys of ' .. word .. ' and their types', function()
      local class = ({ topic = 'TopicSpec', table = 'TableSpec' })[word]
        or functions[word].spec:match('^tidemill%.(%w+)$')
      compare(word, classes[class], fields)
    end)
  end

  it('has the globals of a pipeline', function()
    local real = {}
    for name, v in pairs((sandbox.new { folder = '.', files = {} })) do
      local is_ours = name:find('[\128-\255]') -- no script can name it
      if type(v) == 'function' and _G[name] == nil and not is_ours then real[name] = true end
    end
    assert.are.equal(sorted(real), sorted(functions))
  end)

  it('has the fields of an event', function()
    local function reads(body)
      local bundle = bundles.load(bundles.pipeline("projection { table = 'a', append = true, columns = { n = 'text' },\non = function(row, event)\n"
        .. body .. '\nend }', "kafka { brokers = 'b', group = 'g', topics = { 't' }, format = 'debezium' }"))
      local ok, result = pcall(bundle.run, bundle, { events = { { key = { id = 1 }, after = { id = 1 } } } })
      return ok and result:rows('a')[1].n or result
    end
    local names = reads('row.n = event.nothing'):match('it has (.-);')
    assert.is_truthy(names)
    local real = {}
    for name in names:gmatch('%w+') do real[name] = true end
    local stubs = named_fields(classes.Event)
    for name in pairs(classes.Event.methods) do stubs[name] = true end
    assert.are.equal(sorted(real), sorted(stubs))
    for name in pairs(real) do
      assert.are.equal('true', reads(('row.n = tostring(pcall(function() return event.%s end))'):format(name)), name)
    end
  end)

  it('has what a row has besides columns', function()
    local stubs = named_fields(classes.Row)
    for name in pairs(classes.Row.methods) do stubs[name] = true end
    assert.are.equal(sorted(rows.WORDS), sorted(stubs))
  end)

  it('has the words as functions', function()
    local real = sandbox.new({ folder = '.', files = {} }).tidemill
    assert.are.equal(sorted(real), sorted(classes.Words.methods))
    local words = {}
    for _, class in ipairs { classes.Object.methods, classes.Event.methods, classes.Row.methods, rows.WORDS } do
      for word in pairs(class) do words[word] = true end
    end
    assert.are.equal(sorted(words), sorted(real))
  end)

  it('has the operators of a decimal', function()
    local real = {}
    local one = decimal.from(1)
    local try = {
      add = function() return one + 1 end, sub = function() return one - 1 end, mul = function() return one * 1 end,
      div = function() return one / 1 end, mod = function() return one % 1 end, pow = function() return one ^ 1 end,
      unm = function() return -one end, concat = function() return one .. '' end, len = function() return #one end,
    }
    for name, f in pairs(try) do real[name] = pcall(f) end
    assert.are.equal(sorted(real), sorted(classes.Decimal.operators))
  end)

  it('has the types of columns and of keys', function()
    local core = require 'tidemill.core.api'
    local types, keys = {}, {}
    for word in core.host.type_words():gmatch('[^,]+') do
      word = word:match('^%s*(.-)%s*$')
      types["'" .. word .. "'"] = true
      if core.host.type(word).is_key then keys["'" .. word .. "'"] = true end
    end
    types.string, keys.string = true, true
    assert.are.equal(sorted(types), sorted(set_of(parts(aliases.ColumnType))))
    assert.are.equal(sorted(keys), sorted(set_of(parts(aliases.KeyType))))
  end)

  it('has what a failure rule sees and answers', function()
    assert.are.equal(sorted(set_of(failure.FIELDS)), sorted(named_fields(classes.Failure)))
    local actions, kinds = {}, {}
    for _, action in ipairs(failure.ACTIONS) do actions["'" .. action .. "'"] = true end
    for _, class in ipairs(failure.classes()) do kinds["'" .. class .. "'"] = true end
    assert.are.equal(sorted(actions), sorted(set_of(parts(aliases.Action))))
    assert.are.equal(sorted(kinds), sorted(set_of(parts(aliases.FailureClass))))
  end)

  it('has the spec kit', function()
    local function methods(t)
      local set = {}
      for name, f in pairs(t) do set[name] = type(f) == 'function' and name:sub(1, 1) ~= '_' or nil end
      return set
    end
    local bundle = bundles.load(bundles.pipeline("projection { table = 'a', append = true, columns = {}, on = function() end }"))
    assert.are.equal(sorted(methods(getmetatable(bundle))), sorted(classes.TestBundle.methods))
    assert.are.equal(sorted(methods(getmetatable(bundle:run {}))), sorted(classes.TestResult.methods))
    assert.are.equal('load split', sorted(classes.testing.methods))
    assert.are.equal('days decimal load micros millis nanos seconds split', sorted(methods(testing)))
    assert.are.equal('days decimal micros millis nanos null seconds', sorted(named_fields(classes.testing)))
    assert.are.equal(sorted(testing.RUN), sorted(named_fields(classes.TestRun)))
    assert.are.equal(sorted(set_of(encode.FIELDS)), sorted(named_fields(classes.TestEvent)))
    assert.are.equal(sorted(set_of(failure.FIELDS)), sorted(named_fields(classes.TestFailure)))
  end)
end)
