-- The spec kit: runs the projections of a bundle on the real decoder and the
-- real rows, without Kafka and PostgreSQL. Between two runs it keeps what each table
-- holds, as PostgreSQL would.
--
--   local t = require 'tidemill.testing'
--   local bank = t.load('examples/bank')
--   local result = bank:run { given = { … }, events = { … } }
--   result:row('balances', id), result:rows('balances')
local boot = require 'tidemill.boot'
local core = require 'tidemill.core.api'
local decimal = require 'tidemill.core.decimal'
local encode = require 'tidemill.testing.encode'
local failure = require 'tidemill.plan.failure'
local ffi = require 'ffi'
local integers = require 'tidemill.core.integers'
local protected = require 'tidemill.core.protected'
local tables = require 'tidemill.testing.tables'
local units = require 'tidemill.core.units'
local value = require 'tidemill.core.value'
local words = require 'tidemill.core.words'

local C = core.C
---@class tidemill.testing
local M = { decimal = decimal.from, null = encode.null }
for name, f in pairs(units.globals) do M[name] = f end

-- `text:format()` is the library's here, since busted keeps it; in a run it is the
-- sandbox's.
string.format = integers.format -- luacheck: ignore 122

-- Of a batch function: rows asked for by what was read in rows asked for before.
local MOST_RUNS = 17

---@class tidemill.TestBundle
local Bundle = {}
Bundle.__index = Bundle

local function fail(text)
  error(text, 0)
end

local function batch_error(batch, events)
  local e = batch.current
  local where = e >= 0 and events[e + 1] and ' (event ' .. e + 1 .. ')' or ''
  fail(ffi.string(batch.error) .. where)
end

local function add_event(self, event)
  local record = encode.record(self.plan.source, event, self.offsets)
  self.kept = { record.key or '', record.value or '' }
  C.tm_trial_event(self.trial, record.topic, record.partition, record.offset, record.time,
    record.key, record.key and #record.key or -1, record.value,
    record.value and #record.value or -1)
  for name, text in pairs(record.headers) do
    C.tm_trial_header(self.trial, name, text, #text)
  end
end

-- Records that cannot be read are marked, also where a script caught the error.
local function check_read(batch)
  for i = 0, batch.n_events - 1 do
    if batch.states[i] == C.TM_EVENT_FAILED then
      fail(('event %d cannot be read: %s'):format(i + 1, batch.reasons[i] ~= nil
        and ffi.string(batch.reasons[i]) or '?'))
    end
  end
end

local function decode(self, events)
  C.tm_trial_reset(self.trial)
  for _, event in ipairs(events) do add_event(self, event) end
  local batch = C.tm_trial_decode(self.trial)
  check_read(batch)
  return batch
end

-- Runs a phase as the worker would; an error names the user's line and the event.
local function phase(run, batch, rows, events)
  local ok, reason = xpcall(function() run(batch, rows) end, boot.trace)
  check_read(batch)
  if ok then return end
  local event = batch.current >= 0 and events[batch.current + 1]
  fail(('%s%s'):format(tostring(reason), event
    and (' (event %d, %s)'):format(batch.current + 1, event.type or event.op or 'no type')
    or ''))
end

local function rows_of(self, i, batch, events)
  local rows = C.tm_trial_rows(self.trial, i - 1)
  if rows == nil then batch_error(batch, events) end
  if self.plan.projections[i].keys_in_lua then
    phase(self.program.keys, batch, rows, events)
    C.tm_trial_ready(self.trial, rows)
  end
  return rows
end

local function run_projection(self, i, batch, events)
  local p = self.plan.projections[i]
  local rows = rows_of(self, i, batch, events)
  local stored = self.tables[p.table]
  stored:load(self.trial, batch, rows)
  if C.tm_trial_emptied(self.trial, rows) ~= 0 then stored:empty() end
  if p.has_handler then
    phase(self.program.fold, batch, rows, events)
  elseif C.tm_trial_mirror(self.trial, rows) < 0 then
    batch_error(batch, events)
  end
  stored:store(self.trial, batch, rows)
end

-- Runs the function until it has all rows that it asks for; only what the last run made
-- is used.
local function run_function(self, i, batch, events)
  local leader, all = self.plan.projections[i], {}
  for k = 1, leader.n_set do all[k] = rows_of(self, i + k - 1, batch, events) end
  for _ = 1, MOST_RUNS do
    for k, rows in ipairs(all) do
      self.tables[self.plan.projections[i + k - 1].table]:load(self.trial, batch, rows)
    end
    local set = C.tm_trial_table_set(self.trial, all[1])
    if set.n_events > 0 then phase(self.program.fold, batch, all[1], events) end
    if set.n_unknown == 0 then
      for k, rows in ipairs(all) do
        self.tables[self.plan.projections[i + k - 1].table]:store(self.trial, batch, rows)
      end
      return
    end
  end
  fail('the batch function asks for more rows each time, by what it reads in those that '
    .. 'it asked for before')
end

local function run_batch(self, events)
  local batch = decode(self, events)
  for i, p in ipairs(self.plan.projections) do
    if p.batch then
      run_function(self, i, batch, events)
    elseif not p.in_set then
      run_projection(self, i, batch, events)
    end
  end
end

-- A truncate is alone in its batch.
local function run_batches(self, events)
  local part = {}
  local function flush()
    if #part > 0 then run_batch(self, part) end
    part = {}
  end
  for _, event in ipairs(events) do
    if event.op == 't' then flush() end
    part[#part + 1] = event
    if event.op == 't' then flush() end
  end
  flush()
end

local function table_of(self, name)
  local stored = self.tables[name]
  if not stored then
    local names = {}
    for other in pairs(self.tables) do names[#names + 1] = other end
    fail(("no projection has the table '%s'%s"):format(tostring(name),
      words.hint(tostring(name), names)))
  end
  return stored
end

---@class tidemill.TestResult
local Result = {}
Result.__index = Result

---@return table[] rows of a table, sorted by key; an append: in order of events
function Result:rows(name)
  return table_of(self.bundle, name):list()
end

---@return table|nil row
function Result:row(name, key)
  return table_of(self.bundle, name):get(key)
end

-- What a case may have.
M.RUN = { given = true, events = true, split = true }

local function check_case(case)
  if type(case) ~= 'table' or type(case.events or {}) ~= 'table' then
    error('run takes { given = { table = { rows } }, events = { … } }', 3)
  end
  for name in pairs(case) do
    if not M.RUN[name] then
      error(("unknown key '%s'%s"):format(tostring(name), words.hint(name,
        { 'given', 'events', 'split' })), 3)
    end
  end
end

---Applies [case].given and then [case].events, in one batch, or with split =
---true each event in a batch of its own. Tables keep their rows between runs.
---@param case tidemill.TestRun
---@return tidemill.TestResult
function Bundle:run(case)
  check_case(case)
  for name, list in pairs(case.given or {}) do table_of(self, name):give(list) end
  local events = case.events or {}
  if case.split then
    for _, event in ipairs(events) do run_batch(self, { event }) end
  else
    run_batches(self, events)
  end
  return setmetatable({ bundle = self }, Result)
end

local function failure_error(text)
  error(text, 3)
end

local function check_failure(case)
  if type(case) ~= 'table' then failure_error("decide takes { class = 'data', … }") end
  for name in pairs(case) do
    if not words.has(failure.FIELDS, name) then
      failure_error(("unknown key '%s'%s"):format(tostring(name),
        words.hint(name, failure.FIELDS)))
    end
  end
  local classes = failure.classes()
  if not words.has(classes, case.class) then
    failure_error(("class = '%s'%s"):format(tostring(case.class),
      words.hint(case.class, classes)))
  end
end

---What the failure rule of the pipeline answers; raises where a run would fall
---back to the stock rule.
---@param case tidemill.TestFailure
---@return tidemill.Action action
---@return integer|nil delay_ms
function Bundle:decide(case)
  check_failure(case)
  local facts = { sqlstate = '', message = '', attempts = 0, records = 1,
    has_others = false }
  for name, v in pairs(case) do facts[name] = v end
  local action, delay
  protected.begin(nil)
  local ok, reason = xpcall(function()
    action, delay = failure.decide(self.plan.failure, facts)
  end, boot.trace)
  if not ok then error(reason, 2) end
  return action, delay
end

---Forgets all rows and offsets.
function Bundle:reset()
  self.tables, self.offsets = {}, {}
  for _, p in ipairs(self.plan.projections) do self.tables[p.table] = tables.new(p) end
end

local function rows_text(bundle)
  local names, parts = {}, {}
  for name in pairs(bundle.tables) do names[#names + 1] = name end
  table.sort(names)
  for _, name in ipairs(names) do
    for _, row in ipairs(bundle.tables[name]:list()) do
      parts[#parts + 1] = name .. ' ' .. value.encode(row)
    end
  end
  return table.concat(parts, '\n')
end

local function copy_tables(self)
  local copy = {}
  for name, stored in pairs(self.tables) do copy[name] = stored:copy() end
  return copy
end

---Runs a case twice from the same rows, all events in one batch and each in a
---batch of its own, and demands equal rows.
---@param case tidemill.TestRun
---@return tidemill.TestResult
function Bundle:split(case)
  check_case(case)
  local before, offsets = copy_tables(self), {}
  for lane, offset in pairs(self.offsets) do offsets[lane] = offset end
  self:run { given = case.given, events = case.events }
  local whole = rows_text(self)
  self.tables, self.offsets = before, offsets
  local result = self:run { given = case.given, events = case.events, split = true }
  local single = rows_text(self)
  if whole ~= single then
    error(('the rows depend on how events are split into batches:\nall at once:\n%s\n'
      .. 'one at a time:\n%s'):format(whole, single), 2)
  end
  return result
end

---The same as a function: t.split(bundle, case).
---@param bundle tidemill.TestBundle
---@param case tidemill.TestRun
---@return tidemill.TestResult
function M.split(bundle, case)
  return bundle:split(case)
end

---Loads the bundle of a pipeline file or folder, as the worker would.
---@param path string
---@return tidemill.TestBundle
function M.load(path)
  local plan, program = boot.open(path)
  local pointer, owner = core.host.plan(plan)
  -- The finalizer holds the plan: the trial must be freed before it.
  local trial = ffi.gc(C.tm_trial_new(pointer), function(t)
    C.tm_trial_free(t)
    assert(owner)
  end)
  local self = setmetatable({ plan = plan, program = program, trial = trial }, Bundle)
  self:reset()
  return self
end

return M
