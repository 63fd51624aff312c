-- The spec kit: runs the projections of a bundle on the real decoder and the
-- real rows, without Kafka and PostgreSQL. Between two runs it keeps what each table
-- holds, as PostgreSQL would.
--
--   local t = require 'tidemill.testing'
--   local bank = t.load('examples/bank')
--   local result = bank:run { given = { … }, events = { … } }
--   result:row('balances', id), result:rows('balances')
local aside = require 'tidemill.testing.aside'
local boot = require 'tidemill.boot'
local core = require 'tidemill.core.api'
local decimal = require 'tidemill.core.decimal'
local encode = require 'tidemill.testing.encode'
local failure = require 'tidemill.plan.failure'
local ffi = require 'ffi'
local integers = require 'tidemill.core.integers'
local place = require 'tidemill.testing.place'
local protected = require 'tidemill.core.protected'
local tables = require 'tidemill.testing.tables'
local types = require 'tidemill.testing.types'
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

local function fail_at(self, reason, sent)
  aside.raise(reason, sent and sent.at, C.tm_trial_halts(self.trial, reason) ~= 0)
end

local function batch_error(self, batch, list)
  fail_at(self, ffi.string(batch.error), list[batch.current + 1])
end

local function add_record(self, record)
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
      aside.raise('cannot be read: ' .. (batch.reasons[i] ~= nil
        and ffi.string(batch.reasons[i]) or '?'), i + 1)
    end
  end
end

local function decode(self, list)
  C.tm_trial_reset(self.trial)
  for _, sent in ipairs(list) do add_record(self, sent.record) end
  local batch = C.tm_trial_decode(self.trial)
  check_read(batch)
  return batch
end

-- Runs a phase as the worker would; an error names the user's line and the event.
local function phase(self, run, batch, rows, list)
  local ok, reason = xpcall(function() run(batch, rows) end, boot.trace)
  check_read(batch)
  if not ok then fail_at(self, tostring(reason), list[batch.current + 1]) end
end

-- The database may refuse a row too.
local function store(self, stored, batch, rows)
  local ok, reason = pcall(stored.store, stored, self.trial, batch, rows)
  if not ok then aside.raise(tostring(reason)) end
end

local function rows_of(self, i, batch, list)
  local rows = C.tm_trial_rows(self.trial, i - 1)
  if rows == nil then batch_error(self, batch, list) end
  if self.plan.projections[i].keys_in_lua then
    phase(self, self.program.keys, batch, rows, list)
    C.tm_trial_ready(self.trial, rows)
  end
  return rows
end

-- Those that write one table may have written its name in two ways.
local function name_of(plan, p)
  local first = p.part_of >= 0 and plan.projections[p.part_of + 1] or p
  return first.table
end

local function stored_of(self, i)
  local p = self.plan.projections[i]
  return self.tables[name_of(self.plan, p)]:of(p)
end

local function run_projection(self, i, batch, list)
  local p = self.plan.projections[i]
  local rows = rows_of(self, i, batch, list)
  local stored = stored_of(self, i)
  stored:load(self.trial, batch, rows)
  if C.tm_trial_emptied(self.trial, rows) ~= 0 then stored:empty() end
  if p.has_handler then
    phase(self, self.program.fold, batch, rows, list)
  elseif C.tm_trial_mirror(self.trial, rows) < 0 then
    batch_error(self, batch, list)
  end
  store(self, stored, batch, rows)
end

-- Runs the function until it has all rows that it asks for; only what the last run made
-- is used.
local function run_function(self, i, batch, list)
  local leader, all = self.plan.projections[i], {}
  for k = 1, leader.n_set do all[k] = rows_of(self, i + k - 1, batch, list) end
  for _ = 1, MOST_RUNS do
    for k, rows in ipairs(all) do
      stored_of(self, i + k - 1):load(self.trial, batch, rows)
    end
    local set = C.tm_trial_table_set(self.trial, all[1])
    if set.n_events > 0 then phase(self, self.program.fold, batch, all[1], list) end
    if set.n_unknown == 0 then
      for k, rows in ipairs(all) do
        store(self, stored_of(self, i + k - 1), batch, rows)
      end
      return
    end
  end
  aside.raise('the batch function asks for more rows each time, by what it reads in '
    .. 'those that it asked for before')
end

local function apply(self, list)
  local batch = decode(self, list)
  for i, p in ipairs(self.plan.projections) do
    if p.batch then
      run_function(self, i, batch, list)
    elseif not p.in_set then
      run_projection(self, i, batch, list)
    end
  end
end

local function copy_tables(self)
  local copy = {}
  for name, stored in pairs(self.tables) do copy[name] = stored:copy() end
  return copy
end

-- Applies what can be applied, as a run does: as if the records that fail had not come.
local function run_batch(self, list)
  local left = self.aside:left_of(list)
  while #left > 0 do
    local before = copy_tables(self)
    for i, sent in ipairs(left) do sent.at = i end
    local ok, why = pcall(apply, self, left)
    if ok then return end
    self.tables = before
    if not aside.is_failure(why) then error(why, 0) end
    if not why.at and #left > 1 then
      for _, sent in ipairs(left) do run_batch(self, { sent }) end
      return
    end
    local sent = table.remove(left, why.at or 1)
    if why.halts then fail(aside.text(sent, why.reason)) end
    self.aside:add(sent, why.reason)
    left = self.aside:left_of(left)
  end
end

-- A truncate is alone in its batch.
local function run_batches(self, list)
  local part = {}
  local function flush()
    if #part > 0 then run_batch(self, part) end
    part = {}
  end
  for _, sent in ipairs(list) do
    if sent.event.op == 't' then flush() end
    part[#part + 1] = sent
    if sent.event.op == 't' then flush() end
  end
  flush()
end

-- The records of a run's events.
local function sent_of(self, events)
  local list = {}
  for i, event in ipairs(events) do
    local ok, record = pcall(encode.record, self.plan.source, event, self.offsets)
    if not ok then fail(('%s (event %d)'):format(record, i)) end
    types.check_topic(self.plan, record.topic, self.told)
    types.check(self.plan, event, record.topic, self.told)
    list[i] = { number = i, event = event, record = record }
  end
  return list
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
M.RUN = { given = true, events = true, split = true, dead_letters = true }

-- Lua passes over what is behind a nil, and over what has a name.
local function check_list(list, what)
  if type(list) ~= 'table' then fail(what .. ' is a list: { { … }, { … } }') end
  local n = 0
  for _ in ipairs(list) do n = n + 1 end
  for k in pairs(list) do
    if type(k) ~= 'number' or k > n then
      fail(type(k) == 'number' and ('%s has nothing at %d, and items behind that')
        :format(what, n + 1) or ("%s is a list: write { { %s = … } }"):format(what,
        tostring(k)))
    end
  end
end

local function check_case(case)
  if type(case) ~= 'table' or type(case.events or {}) ~= 'table' then
    fail('run takes { given = { table = { rows } }, events = { … } }')
  end
  for name in pairs(case) do
    if not M.RUN[name] then
      fail(("unknown key '%s'%s"):format(tostring(name), words.hint(name,
        { 'given', 'events', 'split', 'dead_letters' })))
    end
  end
  check_list(case.events or {}, 'events')
  for name, list in pairs(case.given or {}) do
    check_list(list, 'given.' .. tostring(name))
  end
  local n = case.dead_letters
  if n ~= nil and (type(n) ~= 'number' or n < 0 or n ~= math.floor(n)) then
    fail('dead_letters says how many events are set aside, those that are held too: '
      .. 'dead_letters = 1')
  end
end

local function reasons(letters)
  local list = {}
  for i, letter in ipairs(letters) do
    list[i] = letter.text
  end
  return table.concat(list, '\n')
end

-- What is set aside never passes unnoticed: the case says how many there are.
local function check_letters(letters, expected)
  if #letters == (expected or 0) then return end
  if expected then
    fail(('%d event%s set aside, not %d%s%s'):format(#letters,
      #letters == 1 and ' is' or 's are', expected, #letters > 0 and ':\n' or '',
      reasons(letters)))
  end
  local more = #letters > 1 and ('; with it %d are set aside'):format(#letters) or ''
  fail(('%s%s: where that is meant, write dead_letters = %d beside events')
    :format(letters[1].text, more, #letters))
end

-- What is set aside by it.
local function apply_case(self, case)
  local list = sent_of(self, case.events or {})
  if case.split then
    for _, sent in ipairs(list) do run_batch(self, { sent }) end
  else
    run_batches(self, list)
  end
  local letters = self.aside:take()
  check_letters(letters, case.dead_letters)
  return letters
end

local function run(self, case)
  check_case(case)
  C.tm_trial_reset(self.trial)
  local empty = C.tm_trial_decode(self.trial)
  for name, list in pairs(case.given or {}) do table_of(self, name):give(list, empty) end
  local aside_before, tables_before = self.aside:copy(), copy_tables(self)
  local ok, letters = pcall(apply_case, self, case)
  if not ok then -- nothing is left of it but `given`
    self.aside, self.tables = aside_before, tables_before
    error(letters, 0)
  end
  return setmetatable({ bundle = self, dead_letters = letters }, Result)
end

---Applies [case].given and then [case].events, in one batch, or with split =
---true each event in a batch of its own. Tables keep their rows between runs.
---@param case tidemill.TestRun
---@return tidemill.TestResult
function Bundle:run(case)
  return run(self, case)
end

local failure_error = fail

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
  if not ok then fail(reason) end
  return action, delay
end

---Forgets all rows, offsets and records that were set aside.
function Bundle:reset()
  self.tables, self.offsets, self.aside = {}, {}, aside.new(self.plan)
  for _, p in ipairs(self.plan.projections) do
    local name = name_of(self.plan, p)
    self.tables[name] = tables.new(p, self.tables[name])
  end
end

local function rows_text(bundle, result)
  local names, parts = {}, { reasons(result.dead_letters) }
  for name in pairs(bundle.tables) do names[#names + 1] = name end
  table.sort(names)
  for _, name in ipairs(names) do
    for _, row in ipairs(bundle.tables[name]:list()) do
      parts[#parts + 1] = name .. ' ' .. value.encode(row)
    end
  end
  return table.concat(parts, '\n')
end

---Runs a case twice from the same rows, all events in one batch and each in a
---batch of its own, and demands equal rows.
---@param case tidemill.TestRun
---@return tidemill.TestResult
function Bundle:split(case)
  check_case(case)
  local before, held, offsets = copy_tables(self), self.aside:copy(), {}
  for lane, offset in pairs(self.offsets) do offsets[lane] = offset end
  local now = { given = case.given, events = case.events,
    dead_letters = case.dead_letters }
  local whole = rows_text(self, run(self, now))
  self.tables, self.aside, self.offsets = before, held, offsets
  now.split = true
  local result = run(self, now)
  local single = rows_text(self, result)
  if whole ~= single then
    fail(('the rows depend on how events are split into batches:\nall at once:\n%s\n'
      .. 'one at a time:\n%s'):format(whole, single))
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
  local self = setmetatable({ plan = plan, program = program, trial = trial, told = {} },
    Bundle)
  self:reset()
  return self
end

for _, class in ipairs { Bundle, Result } do
  for name, method in pairs(class) do
    if type(method) == 'function' then class[name] = place.at_spec(method) end
  end
end
M.load, M.split = place.at_spec(M.load), place.at_spec(M.split)

return M
