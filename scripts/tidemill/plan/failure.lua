-- Failure rules: which one is in force, what it sees, what it may answer. The
-- stock rule (rules/sqlstate.lua) answers where the pipeline's own gives nil,
-- raises or says what it may not. No answer can lose or repeat a record: there
-- is no word for going on without it that does not set it aside.
local check = require 'tidemill.plan.check'
local dsl = require 'tidemill.load.dsl'
local sandbox = require 'tidemill.load.sandbox'
local words = require 'tidemill.core.words'

local M = {}

M.STOCK = 'sqlstate'
M.ACTIONS = { 'retry', 'bisect', 'dead_letter', 'hold', 'halt' }
M.FIELDS = { 'class', 'sqlstate', 'message', 'attempts', 'records', 'has_others',
  'topic', 'partition', 'offset' }

local MAX_DELAY_MS = 3600000
local QUERY_CANCELED = '57014'

-- By class. A record is set aside only where one can be to blame: an outage or
-- a missing column must never drain a topic into the dead letters.
local WAIT = { retry = true, halt = true }
local ISOLATE = { retry = true, halt = true, bisect = true, dead_letter = true,
  hold = true }
local ALLOWED = {
  conflict = WAIT, connection = WAIT, server = WAIT, resource = WAIT, schema = WAIT,
  config = WAIT, fatal = WAIT, data = ISOLATE, script = ISOLATE,
}
-- The same work fails again at once: a retry must say how long to wait.
local NEEDS_DELAY = { schema = true, config = true, fatal = true }

---@return string[] names of the classes that a rule is asked about
function M.classes()
  local names = {}
  for name in pairs(ALLOWED) do names[#names + 1] = name end
  table.sort(names)
  return names
end

---@return table set of the actions that are allowed
local function allowed(facts)
  local by_class = ALLOWED[facts.class] or WAIT
  if facts.sqlstate == QUERY_CANCELED then by_class = ISOLATE end
  local set = {}
  for action in pairs(by_class) do
    if action == 'bisect' then
      set[action] = facts.records > 1 or nil
    elseif action == 'dead_letter' or action == 'hold' then
      set[action] = facts.records <= 1 or nil
    else
      set[action] = true
    end
  end
  return set
end

local function list(set)
  local names = {}
  for _, action in ipairs(M.ACTIONS) do
    if set[action] then names[#names + 1] = "'" .. action .. "'" end
  end
  return table.concat(names, ', ')
end

local function quote(x)
  return type(x) == 'string' and "'" .. x .. "'" or check.name_type(x)
end

local function refuse_action(facts, action)
  if type(action) == 'string' and not words.has(M.ACTIONS, action) then
    return ('%s is no answer%s'):format(quote(action), words.hint(action, M.ACTIONS))
  end
  return ('%s is no answer to a failure of class %s with %s: it can be %s'):format(
    quote(action), facts.class, facts.records > 1 and facts.records .. ' records'
    or 'one record', list(allowed(facts)))
end

-- Why the answer is not taken; nil: it is.
local function refuse(facts, action, delay)
  if type(action) ~= 'string' or not allowed(facts)[action] then
    return refuse_action(facts, action)
  end
  if delay == nil then
    return NEEDS_DELAY[facts.class] and action == 'retry' and ("'retry' of a failure of "
      .. "class %s needs a delay: return 'retry', 60000"):format(facts.class) or nil
  end
  if action ~= 'retry' then
    return ("a delay goes with 'retry', not with '%s'"):format(action)
  end
  -- Written so that NaN is refused too.
  if type(delay) ~= 'number' or not (delay >= 0 and delay <= MAX_DELAY_MS) then
    return ('the delay must be milliseconds from 0 to %d, not %s'):format(MAX_DELAY_MS,
      type(delay) == 'number' and tostring(delay) or check.name_type(delay))
  end
end

local known = {}
for _, name in ipairs(M.FIELDS) do known[name] = true end

-- What decide gets: it can be read, and nothing else.
local function view(facts)
  return setmetatable({}, {
    __index = function(_, name)
      if known[name] then return facts[name] end
      error(("a failure has no field '%s'%s"):format(tostring(name),
        words.hint(name, M.FIELDS)), 0)
    end,
    __newindex = function() error('a failure can only be read', 0) end,
    __metatable = false,
  })
end

---Asks one rule; raises when it raises or its answer is not taken.
---@param rule table { decide, file, line }
---@param facts table by M.FIELDS
---@return string|nil action nil: as the stock rule
---@return number|nil delay milliseconds
function M.ask(rule, facts)
  local action, delay = rule.decide(view(facts))
  if action == nil then return nil end
  local reason = refuse(facts, action, delay)
  if reason then
    error(('%s:%d: the failure rule: %s'):format(rule.file, rule.line, reason), 0)
  end
  return action, delay and math.floor(delay)
end

---What a rule decides, with the stock rule for what it leaves open.
function M.decide(rule, facts)
  local action, delay = M.ask(rule, facts)
  if action == nil and rule.stock then return M.ask(rule.stock, facts) end
  return action, delay
end

-- ---- which rule ------------------------------------------------------------

local function module_names(bundle)
  local names = {}
  for file in pairs(bundle.files) do
    names[#names + 1] = file:gsub('%.lua$', ''):gsub('/init$', ''):gsub('/', '.')
  end
  table.sort(names)
  return names
end

---The rules that come with Tidemill.
---@param rules table { folder, files }
---@param on_file fun(path: string) called with the path of each file
---@return table { names, require, title }
function M.stock_rules(rules, on_file)
  for file in pairs(rules.files) do on_file(rules.folder .. '/' .. file) end
  local _, require_module = sandbox.new(rules)
  return { names = module_names(rules), require = require_module, title = "rule '%s'" }
end

local function as_rule(record, title)
  return { decide = record.spec.decide, file = record.file, line = record.line,
    title = title }
end

local function from_record(checker, record, title)
  if check.record(checker, record) then return as_rule(record, title) end
end

local function from_module(checker, record, name, origin)
  local found = origin.require(name)
  if not dsl.is_record(found, 'failure') then
    return checker.fail(record, { 'failure', name }, ("the module '%s' must return "
      .. 'failure { … }, and gives %s'):format(name, check.name_type(found)))
  end
  return from_record(checker, found, origin.title:format(name, found.file, found.line))
end

-- A name is that of a rule of Tidemill (only with the word rule), or of a
-- module of the bundle.
local function by_name(checker, record, value, stock, own)
  local is_rule = dsl.is_record(value, 'rule')
  local name = is_rule and value.name or value
  if is_rule and (type(value.spec) ~= 'table' or next(value.spec) ~= nil) then
    return checker.fail(record, { 'failure', name }, ("the rule '%s' takes no options: "
      .. "write rule '%s'"):format(name, name))
  end
  if is_rule and words.has(stock.names, name) then
    return from_module(checker, record, name, stock)
  end
  if words.has(own.names, name) then return from_module(checker, record, name, own) end
  local names = { unpack(own.names) }
  if is_rule then
    for _, other in ipairs(stock.names) do names[#names + 1] = other end
  elseif words.has(stock.names, name) then
    return checker.fail(record, { 'failure', name }, ("the bundle has no module '%s': "
      .. "the rule of Tidemill is written rule '%s'"):format(name, name))
  end
  return checker.fail(record, { 'failure', name }, ("there is no failure rule '%s'%s")
    :format(name, words.hint(name, names)))
end

local function chosen(checker, record, value, stock, own)
  if dsl.is_record(value, 'failure') then
    return from_record(checker, value,
      ('written in %s:%d'):format(value.file, value.line))
  end
  return by_name(checker, record, value, stock, own)
end

---The rule of a pipeline; nil: a message says why not.
---@param record table the pipeline
---@param bundle table as read by the core
---@param require function of the bundle
---@param stock table as given by stock_rules
---@return table|nil rule { decide, file, line, title, stock }
function M.resolve(checker, record, bundle, require, stock)
  local default = as_rule(stock.require(M.STOCK), ("rule '%s'"):format(M.STOCK))
  local value = record.spec.failure
  if value == nil then return default end
  local rule = chosen(checker, record, value, stock,
    { names = module_names(bundle), require = require, title = "rule '%s' (%s:%d)" })
  if rule and rule.decide ~= default.decide then rule.stock = default end
  return rule or nil
end

return M
