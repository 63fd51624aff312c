-- What the records of a topic are and how the connector that wrote them was set up, held
-- against what the pipeline says of the topic, for `check`. What differs becomes a
-- finding, with the property of the connector to change or the word of kafka{} to write.
-- It reads a few records at leisure, for people; a run never comes here.
--
-- A problem is what would halt a lane or make records fail. A run alone says of which
-- records that is so (sample.lua lets it try each one), and here is looked for words that
-- explain what it refused. All else that somebody should know is a warning. What a number
-- or a text means is guessed here from the values, for advice alone: nothing is ever
-- decoded by a guess.
local columns = require 'tidemill.inspect.columns'
local core = require 'tidemill.core.api'
local ffi = require 'ffi'
local formats = require 'tidemill.inspect.formats'
local keys = require 'tidemill.inspect.keys'
local names = require 'tidemill.inspect.names'
local projection = require 'tidemill.plan.projection'
local sample = require 'tidemill.inspect.sample'
local types = require 'tidemill.inspect.types'

local C = core.C
local M = {}
local Query = {}
Query.__index = Query

local MOST = 24

-- Nothing is told of a record that is passed, and nothing twice.
local function add(q, is_warning, s, what, hint)
  if s and s.is_passed or q.told[what] or #q.findings == MOST then return end
  q.told[what] = true
  q.findings[#q.findings + 1] = { is_warning = is_warning, what = what, hint = hint,
    at = s and s.at }
  if s and not is_warning then s.is_explained = true end
end

-- It explains why a run refuses [s]; when it does not, there is nothing to explain.
function Query:problem(s, what, hint)
  if s.refused then add(self, false, s, what, hint) end
end

-- What no run of one record alone can show.
function Query:halt(s, what, hint) add(self, false, s, what, hint) end

function Query:warning(s, what, hint) add(self, true, s, what, hint) end

-- A problem of a mirror that refuses it; a handler may make something else of a field
-- than the column of its name.
function Query:in_column(p, s, what, hint)
  add(self, not (p.kind == 'mirror' and s.refused), s, what, hint)
end

local function summary(q, seen)
  local n, best, has_schema = {}, 1, {}
  if #q.samples == 0 then return '' end
  for _, s in ipairs(q.samples) do
    if not n[s.shape] then n[s.shape], has_schema[s.shape] = 0, s.has_schema end
    n[s.shape] = n[s.shape] + 1
  end
  for i = 2, #sample.SHAPES do
    local most = best == 1 and 0 or n[sample.SHAPES[best][1]]
    if (n[sample.SHAPES[i][1]] or 0) > most then best = i end
  end
  local shape = sample.SHAPES[best]
  return shape[2] .. (has_schema[shape[1]] and ', with schema' or '')
    .. (#seen > 0 and (' (%s)'):format(names.text(seen)) or '')
end

-- Deletes are tombstones only: how many rows there were nobody can see.
local function judge_tombstones(q)
  for _, s in ipairs(q.samples) do
    if s.shape ~= 'tombstone' then return end
  end
  if #q.samples > 0 then
    q:warning(q.samples[#q.samples], 'all records that were looked at are tombstones, '
      .. 'which tell of deletes alone', 'nothing, if the rows are all gone; else look at '
      .. 'what the connector captures (table.include.list)')
  end
end

-- Two reasons that differ in the values that they show are one.
local function outline(reason)
  return (reason:gsub("'[^']*'?", "'"):gsub('%d', ''))
end

-- Each kind of refusal for which there are no words, by its first record.
local function add_refused(q, list)
  local told = {}
  for _, is_explained in ipairs { true, false } do
    for _, s in ipairs(q.samples) do
      local kind = s.refused and not s.is_passed and outline(s.refused)
      if kind and (s.is_explained or false) == is_explained and not told[kind] then
        told[kind] = true
        if not is_explained then
          list[#list + 1] = { what = s.refused, hint = '', at = s.at,
            is_unexplained = true }
        end
      end
    end
  end
end

-- Problems are told first.
local function sorted(q)
  local list = {}
  for _, f in ipairs(q.findings) do
    if not f.is_warning then list[#list + 1] = f end
  end
  add_refused(q, list)
  for _, f in ipairs(q.findings) do
    if f.is_warning then list[#list + 1] = f end
  end
  return list
end

---@class tidemill.Inspected
---@field summary string "change events of a table (c, r)"
---@field keys string|nil what record keys are to the projections whose order stands on
--- them
---@field findings table[] { is_warning, what, hint, at = number of a record that shows
--- it, is_unexplained = it is what a run says of the record }
---@field samples table[] of the records: see sample.lua

---@param plan table the plan of the bundle
---@param pointer lightuserdata the same as struct plan, borrowed
---@param topic integer number of the topic
---@param n_partitions integer
---@param records table[] { topic, partition, offset, time_ms, key, value,
--- headers = { { name, value or false } }, is_passed }. What a run has behind it shows
--- what a topic holds, but is no finding any more
---@return tidemill.Inspected
function M.look(plan, pointer, topic, n_partitions, records)
  local q = setmetatable({
    topic = plan.source.settings[topic], projections = {}, index = {},
    n_partitions = n_partitions, samples = {}, findings = {}, told = {},
    trial = ffi.gc(C.tm_trial_new(pointer), C.tm_trial_free),
  }, Query)
  for i, p in ipairs(plan.projections) do
    q.index[p] = i
    if projection.reads(p, q.topic.name) then q.projections[#q.projections + 1] = p end
  end
  for i, r in ipairs(records) do
    q.samples[i] = sample.of(q, r)
    q.samples[i].at = i
  end
  C.tm_trial_free(ffi.gc(q.trial, nil)) -- as long as the plan is there
  local seen = types.seen(q)
  judge_tombstones(q)
  formats.judge(q)
  types.judge(q, seen)
  keys.judge(q)
  columns.judge(q)
  return { summary = summary(q, seen), keys = q.keys, findings = sorted(q),
    samples = q.samples }
end

return M
