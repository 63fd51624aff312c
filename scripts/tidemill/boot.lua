-- What vm.c calls: load a bundle, compute keys, run handlers; and trace, which
-- finds the user's line for an error.
local check = require 'tidemill.plan.check'
local core = require 'tidemill.core.api'
local dsl = require 'tidemill.load.dsl'
local failure = require 'tidemill.plan.failure'
local kinds = require 'tidemill.core.kinds'
local locate = require 'tidemill.load.locate'
local plan = require 'tidemill.plan.plan'
local prelude = require 'tidemill.run.prelude'
local projection = require 'tidemill.plan.projection'
local protected = require 'tidemill.core.protected'
local pure = require 'tidemill.load.pure'
local sandbox = require 'tidemill.load.sandbox'
local trace = require 'tidemill.core.trace'

local M = {}

local sources = trace.sources
M.trace = trace.trace

local function run_entry(bundle)
  local env, require_module, loading = sandbox.new(bundle)
  local module = bundle.entry:gsub('%.lua$', ''):gsub('/', '.')
  for file in pairs(bundle.files) do
    sources['@' .. bundle.folder .. '/' .. file] = bundle.files[file]
  end
  local record = require_module(module, nil, bundle.entry)
  -- Modules of projections are loaded by the plan, still as part of loading.
  return record, require_module, loading, env
end

-- What a file returns that returns no pipeline, for the message.
local function no_pipeline(bundle, loading, record)
  local file = bundle.folder .. '/' .. bundle.entry
  local at, says = locate.returned(loading, file), 'returns ' .. check.name_type(record)
  if record == true then
    at, says = locate.called(loading, file, 'pipeline'), 'returns nothing: write `return '
      .. 'pipeline { … }`'
  elseif dsl.is_record(record) then
    says = says .. ': name the file of the pipeline, or its folder'
  end
  return ('%s:%d: the file must return pipeline { … }, and %s'):format(file, at.line,
    says)
end

local function check_purity(made)
  local impure = {}
  local function add(functions, says)
    for _, text in ipairs(pure.check(functions, sources, says)) do
      impure[#impure + 1] = text
    end
  end
  for _, p in ipairs(made.projections) do add(projection.functions(p), pure.HANDLER) end
  add({ made.failure.decide }, pure.RULE)
  if #impure > 0 then error(table.concat(impure, '\n'), 0) end
end

-- Does the role need DELETE? A projection that does not have the word `delete`, and does
-- not follow deletes of its source, has no way to delete a row. Tables of a batch
-- function come after the one that has the function.
local function find_deletes(made)
  local leader
  for _, p in ipairs(made.projections) do
    if p.batch then leader = p end
    p.deletes = p.deletes
      or pure.mentions(projection.functions(p.in_set and leader or p), sources, 'delete',
        kinds.library)
  end
end

-- What env() and file() gave, by name: part of what tells one load from another.
local function list_resolved(resolved)
  local list = {}
  for name, value in pairs(resolved) do
    list[#list + 1] = { name = name, value = value }
  end
  table.sort(list, function(a, b) return a.name < b.name end)
  return list
end

local function stock_rules(rules)
  return failure.stock_rules(rules, function(file) sources['@' .. file] = true end)
end

---Loads a bundle; raises "file:line: what" lines.
---@param bundle table { folder, files, entry, hash, rules } as read by the core
---@param goes_on? boolean runs go on behind events that fail
---@return table plan, table program { keys, fold }, table env of the bundle
function M.build(bundle, goes_on)
  local record, require_module, loading, env = run_entry(bundle)
  if not dsl.is_record(record, 'pipeline') then
    error(no_pipeline(bundle, loading, record), 0)
  end
  local made, messages = plan.new(record, bundle, require_module,
    stock_rules(bundle.rules))
  if not made then error(messages, 0) end
  made.resolved = list_resolved(loading.resolved)
  check_purity(made)
  find_deletes(made)
  return made, prelude.new(made, goes_on and M.trace or nil, M.trace), env
end

local function read(path)
  local bundle, reason = core.host.read(path)
  return bundle or error(reason, 0)
end

-- In specs the scripts are files, and the rules are beside their folder.
local rules

---Loads the bundle of a path, or one that was read already.
---@param path string|table
---@return table plan, table program
function M.open(path)
  if type(path) == 'table' then return M.build(path) end
  if not rules then
    local scripts = assert(package.searchpath('tidemill.boot', package.path))
    rules = read((scripts:gsub('tidemill/boot%.lua$', '')) .. '../rules/'
      .. failure.STOCK .. '.lua')
  end
  local bundle = read(path)
  bundle.rules = rules
  return M.build(bundle)
end

local loaded, program, rule, environment

-- The one bundle of this VM, in which texts have no more methods than the
-- sandbox gives. (Specs share their VM with busted, which keeps Lua's.)
function M.load(bundle)
  getmetatable('').__index = sandbox.text_methods()
  loaded, program, environment = M.build(bundle, true)
  rule = loaded.failure
  return loaded
end

-- What verbs of people ask of the loaded bundle.

function M.inspect(...)
  return require 'tidemill.inspect.inspect'.look(loaded, ...)
end

function M.plan()
  return { out = require 'tidemill.summary'.of(loaded) }
end

---Words of handlers that are not there, a line each.
function M.handlers()
  return { out = table.concat(
    require 'tidemill.inspect.handlers'.of(loaded, environment), '\n') }
end

function M.connector(said)
  return require 'tidemill.connector'.print(loaded, said)
end

---What to do about a failure; raises when the rule raises or gives an answer that is
---not allowed.
---@param by_stock boolean asks the stock rule instead of the pipeline's
---@return string action, number|nil delay_ms
function M.decide(by_stock, ...)
  local facts = {}
  for i, name in ipairs(failure.FIELDS) do facts[name] = (select(i, ...)) end
  protected.begin(nil)
  return failure.decide(by_stock and rule.stock or rule, facts)
end

function M.keys(batch, rows)
  program.keys(batch, rows)
end

function M.fold(batch, rows)
  program.fold(batch, rows)
end

return M
