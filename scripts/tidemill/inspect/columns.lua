-- Columns of change events: names, and what decimals and times without a schema seem to
-- be. Nothing is read by these guesses: they tell a person which word to write.
local core = require 'tidemill.core.api'
local debezium = require 'tidemill.plan.debezium'
local ffi = require 'ffi'
local json = require 'tidemill.inspect.json'
local names = require 'tidemill.inspect.names'
local sample = require 'tidemill.inspect.sample'
local field_of = require('tidemill.plan.names').of

local C = core.C
local member = json.member
local M = {}

local SHOWN = 40

local function judge_name(q, p, c)
  local rows, shown = {}, nil
  for _, s in ipairs(q.samples) do
    if s.is_full then
      if member(s.row, c.name) ~= nil then return end
      rows[#rows + 1], shown = s.row, s
    end
  end
  if not shown then return end
  local seen = names.of(rows)
  q:warning(shown, ("%s.%s: the source's row has no such column, but %s"):format(p.table,
    c.name, names.text(seen)), 'name the column as the source does, or see '
    .. 'column.exclude.list of the connector' .. names.hint(c.name, seen))
end

-- Decimals.

local function is_base64(text)
  return #text > 0 and #text % 4 == 0 and #text <= SHOWN
    and text:find('^[%w+/_-]+=?=?$') ~= nil
end

local decimal = ffi.new('struct tm_dec')

-- What a value of a numeric column shows: a JSON number that is not whole ('fraction'),
-- the text of a decimal, base64 of an unscaled integer, or 'either': "1234" is both.
local function form_of(v)
  if type(v) == 'string' then
    local is_number = C.tm_dec_parse(v, #v, decimal) == 0
    local is_encoded = is_base64(v)
    return is_number and is_encoded and 'either' or is_number and 'decimal'
      or is_encoded and 'base64' or nil
  end
  return json.has_fraction(v) and 'fraction' or member(v, 'scale') ~= nil and 'base64'
    or nil
end

local function value_text(s, c)
  local v = member(s.row, c.name)
  return type(v) == 'string' and ("'%s'"):format(v:sub(1, SHOWN))
    or json.is_object(v) and 'an object with scale and value' or 'a number'
end

local function find_unsaid_decimals(q, p, c, seen)
  local s = seen.base64 or seen.decimal or seen.either
  if not s then return end
  q:in_column(p, s, ('%s.%s comes as %s without a schema, and kafka{} does not say how '
    .. 'decimals are written'):format(p.table, c.name, value_text(s, c)),
    seen.base64 and "write decimals = 'precise' in kafka{}, since it looks like base64 "
      .. 'of decimal.handling.mode=precise; or set decimal.handling.mode=string at the '
      .. 'connector'
    or seen.decimal and "write decimals = 'string' in kafka{}"
    or "write decimals = 'string' or 'precise' in kafka{}, as the connector's "
      .. 'decimal.handling.mode says')
end

-- By what the pipeline says: forms that contradict it, and the word for each.
local CONTRADICTS = {
  string = { { 'base64', 'precise' } }, precise = { { 'decimal', 'string' } },
  double = { { 'base64', 'precise' }, { 'decimal', 'string' } },
}

local function find_other_decimals(q, p, c, seen)
  local said = q.topic.decimals
  for _, other in ipairs(CONTRADICTS[said]) do
    local s, is = seen[other[1]], other[2]
    if s then
      return q:in_column(p, s, ("decimals = '%s', but %s.%s comes as %s"):format(said,
        p.table, c.name, value_text(s, c)), ("write decimals = '%s' in kafka{}, or set "
        .. 'decimal.handling.mode=%s at the connector'):format(is, said))
    end
  end
end

local function judge_decimals(q, p, c)
  local seen = {}
  for _, s in ipairs(q.samples) do
    local form = form_of(sample.unsaid(s, c.name))
    if form then seen[form] = seen[form] or s end
  end
  if q.topic.decimals == 'unsaid' then
    find_unsaid_decimals(q, p, c, seen)
  else
    find_other_decimals(q, p, c, seen)
  end
  if seen.fraction and q.topic.decimals ~= 'double' then
    q:warning(seen.fraction, ("%s.%s comes as a number with a fraction: if the source's "
      .. 'column is numeric, it went through a double and may have lost digits')
      :format(p.table, c.name), 'set decimal.handling.mode=string at the connector and '
      .. "write decimals = 'string' in kafka{}")
  end
end

-- The unit of times that come as numbers, from their size.

local PER_SECOND = {
  seconds = 1LL, millis = 1000LL, micros = 1000000LL, nanos = 1000000000LL,
}
local IS_ADAPTIVE = { adaptive = true, adaptive_time_microseconds = true }

-- The unit of a timestamp's numbers, when the pipeline says [said]; nil: none.
local function unit_of(said, c)
  if IS_ADAPTIVE[said] then return c.precision <= 3 and 'millis' or 'micros' end
  return PER_SECOND[said] and said
end

-- Most times of most tables lie in these years.
local function is_plausible(n, unit)
  local second = n / PER_SECOND[unit]
  return second >= 631152000 and second < 4102444800 -- 1990 to 2100
end

local date = ffi.new('char[64]')
local LAST_DAY, FIRST_DAY = 106751981, -719162 -- as in decode/value/time.h

local function date_of(n, unit)
  local days = n / PER_SECOND[unit] / 86400
  if days > LAST_DAY or days < FIRST_DAY then return 'no date at all' end
  return (ffi.string(date, C.tm_time_format(days * 86400000000LL, date)):gsub('T.*', ''))
end

local function digits(n) return (tostring(n):gsub('LL$', '')) end

-- The first number of a column, its record, and the one unit that all of them may be in.
local function look_at_times(q, c)
  local t, may_be = nil, { millis = true, micros = true, nanos = true }
  for _, s in ipairs(q.samples) do
    local n = sample.unsaid(s, c.name)
    if json.is_whole(n) and n ~= 0 then
      t = t or { column = c, sample = s, n = n }
      for unit in pairs(may_be) do may_be[unit] = is_plausible(n, unit) or nil end
    end
  end
  local only = next(may_be)
  if t and only and not next(may_be, only) then t.only = only end
  return t
end

local CLOCKS = { time = true, timestamp = true, timestamptz = true }

-- What was seen of the times of one projection: the [first] column that holds numbers,
-- the first whose unit shows ([stamp]), one whose unit is not the said one ([wrong]), and
-- one that 'adaptive' would not fit ([odd]).
local function see_times(q, p)
  local seen = {}
  for _, c in ipairs(p.columns) do
    local t = CLOCKS[c.kind] and look_at_times(q, c)
    if t then
      seen.first = seen.first or t
      if c.kind ~= 'time' and t.only then
        seen.stamp = seen.stamp or t
        seen.is_mixed = seen.is_mixed or t.only ~= seen.stamp.only
        if t.only ~= unit_of('adaptive', c) then seen.odd = seen.odd or t end
        if t.only ~= unit_of(q.topic.times, c) then seen.wrong = seen.wrong or t end
      end
    end
  end
  return seen
end

-- The word of kafka{} that fits what was seen.
local function times_hint(seen)
  local t = seen.stamp
  if not t then
    return "write times = 'adaptive', or what else the connector's time.precision.mode "
      .. 'says, in kafka{}'
  elseif seen.odd and seen.is_mixed then
    return ("columns are in different units, so write times = 'adaptive' in kafka{} and "
      .. 'declare %s with the digits of the source, as in timestamp(3)')
      :format(seen.odd.column.name)
  end
  return ("write times = '%s' in kafka{}%s: read so, %s is %s"):format(
    seen.odd and t.only or 'adaptive',
    seen.odd and '' or ', as the connector does by default', t.column.name,
    date_of(t.n, t.only))
end

local function find_other_times(q, p, seen)
  local said, t = q.topic.times, seen.wrong
  local c, unit = t.column, unit_of(said, t.column)
  q:in_column(p, t.sample, ("times = '%s', but %s.%s comes as %s%s"):format(said, p.table,
    c.name, digits(t.n), unit and ', which is ' .. date_of(t.n, unit) .. ' in that unit'
      or ', a number'), IS_ADAPTIVE[said]
    and ('declare %s with the digits of the source (timestamp has 6, timestamp(3) has '
      .. "3), or write times = '%s' in kafka{}"):format(c.name, t.only)
    or ('%s; or set time.precision.mode=%s at the connector'):format(times_hint(seen),
      debezium.time_mode(said)))
end

local function judge_times(q, p)
  local seen = see_times(q, p)
  local t = seen.stamp or seen.first
  if t and q.topic.times == 'unsaid' then
    q:in_column(p, t.sample, ('%s.%s comes as %s without a schema, and kafka{} does not '
      .. 'say the unit of times'):format(p.table, t.column.name, digits(t.n)),
      times_hint(seen))
  elseif seen.wrong then
    find_other_times(q, p, seen)
  end
end

-- Versions.

-- The path that `once` or `newer` has its value from.
local function version_path(p)
  local c = p.newer >= 0 and p.columns[p.newer + 1]
  return p.once_path or c and c.paths and c.paths[1]
end

-- `source` has other fields at each connector.
local function judge_version(q, p)
  local path = version_path(p)
  local name = path and path:match('^source%.([%w_]+)$')
  for _, s in ipairs(name and q.samples or {}) do
    local source = member(s.value, 'source')
    if json.is_object(source) and member(source, 'connector') ~= nil then
      local word = p.once_path and 'once' or 'newer'
      local fault = member(source, name) == nil
        and 'is in no record of this connector, but ' .. names.text(names.of { source })
        or name == 'pos' and member(source, 'file') ~= nil
        and 'begins again with each file of the binlog (source.file), so that later '
          .. 'events would be left out'
      if fault then
        q:warning(s, ('%s.%s: source.%s %s'):format(p.table, word, name, fault),
          "take a version that the table itself counts: 'data.version'")
      end
      return
    end
  end
end

local function judge_change_events(q, p)
  judge_version(q, p)
  for i, c in ipairs(p.columns) do
    if p.kind == 'mirror' and i > p.n_key then judge_name(q, p, c) end
    if c.kind == 'numeric' then judge_decimals(q, p, c) end
  end
  judge_times(q, p)
end

-- Of events that no connector wrote: fields that a handler may pass on.

local UNITS = { 'nanos', 'micros', 'millis', 'seconds' }

local function find_unsaid_unit(q, p, c, s, n)
  local unit
  for _, one in ipairs(UNITS) do unit = unit or is_plausible(n, one) and one or nil end
  q:warning(s, ('%s.%s: the field %s comes as %s, and kafka{} does not say its unit: a '
    .. 'handler that assigns it as it is halts the lane'):format(p.table, c.name, c.name,
    digits(n)), unit and ("write times = '%s' in kafka{}: read so, %s is %s; or let the "
    .. 'handler write %s(%s)'):format(unit, c.name, date_of(n, unit), unit,
      field_of('event.data', c.name))
    or "write times = 'seconds', 'millis', 'micros' or 'nanos' in kafka{}, or let the "
      .. 'handler write seconds(x) and the like')
end

local TIMES = { date = true, time = true, timestamp = true, timestamptz = true }

local function judge_handled(q, p)
  for i = p.n_key + 1, q.topic.times == 'unsaid' and #p.columns or 0 do
    local c = p.columns[i]
    for _, s in ipairs(TIMES[c.kind] and q.samples or {}) do
      local n = not s.refused and not s.is_passed and member(s.value, c.name)
      if json.is_whole(n) and n ~= 0 then
        find_unsaid_unit(q, p, c, s, n)
        break
      end
    end
  end
end

function M.judge(q)
  for _, p in ipairs(q.projections) do
    (q.topic.format == 'debezium' and judge_change_events or judge_handled)(q, p)
  end
end

return M
