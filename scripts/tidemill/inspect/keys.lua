-- Whether the keys of records fit the keys of rows, and are written in one way. What a
-- run makes of them is in flow/rows/keys.c and flow/rows/record_key.c.
local json = require 'tidemill.inspect.json'
local names = require 'tidemill.inspect.names'
local path_of = require 'tidemill.core.path'
local sample = require 'tidemill.inspect.sample'
local field = require('tidemill.plan.names').field

local M = {}

local function has(v, name) return json.member(v, name) ~= nil end
local data_of = sample.data

-- What the core asks with plan_is_keyed_by_record().
local function is_keyed_by_record(p)
  if p.kind == 'append' or p.kind == 'merge' or p.exact == 'shared'
    or p.newer >= 0 and (not p.follows_deletes or p.newer_deletes) then
    return false
  end
  for i = 1, p.n_key do
    local from = p.columns[i].from
    if from ~= 'field' and from ~= 'key' then return false end
  end
  return true
end

-- Keys that are functions are not tried: what is wrong beside them is seen here alone.
local function find(q, p, s, what, hint)
  q[p.keys_in_lua and 'halt' or 'problem'](q, s, what, hint)
end

-- Records without a key.

local function null_hint(q, c)
  if q.topic.format == 'outbox' then
    return 'set transforms.outbox.table.field.event.key at the connector to the column '
      .. 'that names the aggregate (aggregateid)'
  end
  return (q.topic.format == 'debezium' and 'give the source table a primary key, or set '
    .. 'message.key.columns=SCHEMA.TABLE:%s at the connector'
    or "let the producer write keys, or say from = 'data.%s'"):format(c.name)
end

local function judge_null(q, p, s)
  for i = 1, p.n_key do
    local c = p.columns[i]
    if is_keyed_by_record(p) or c.from == 'key'
      or c.from == 'field' and not has(data_of(s), c.name) then
      return find(q, p, s, ('the record has no key, and the key of projection %s (%s) is '
        .. 'made of it'):format(p.table, c.name), null_hint(q, c))
    end
  end
end

-- Keys with fields.

-- Has the key a field for the column? Where lanes own their rows the data's will not do;
-- one field alone may have any name with from = 'key'.
local function has_field(p, c, s)
  local is_single = s.key.n == 1 and p.n_key == 1
  if has(s.key, c.name) then return true end
  if c.from == 'key' then return is_single end
  return not is_keyed_by_record(p) and has(data_of(s), c.name)
    or is_single and has(s.key, 'id') and c.name == '_id' -- of MongoDB's connector
end

-- What there is to do when records are keyed by another column of the row.
local function other_column_hint(q, p, name)
  local is_debezium = q.topic.format == 'debezium'
  local by_key = (is_debezium
    and 'set message.key.columns=SCHEMA.TABLE:%s at the connector'
    or 'let the producer write records keyed by %s'):format(name)
  if p.kind == 'mirror' then
    return by_key .. "; or let the newest version win: newer = '" .. (is_debezium
      and "lsn', lsn = { 'bigint', from = 'source.lsn' }" or "version'")
  end
  return ("%s; or give the key with from = 'data.%s'%s"):format(by_key, name,
    p.kind == 'map' and ' and name the later row with newer'
    or ', whose rows are locked then')
end

local function judge_field(q, p, c, s)
  if has_field(p, c, s) then return end
  local data = c.from ~= 'key' and data_of(s) or nil
  local fields = names.text(names.of { s.key })
  if has(data, c.name) then
    q:problem(s, ("the record key has the fields %s, but the key of projection %s is "
      .. "made of '%s', another field of the row: a lane that reads this record halts, "
      .. 'since records of one row may be in two partitions'):format(fields, p.table,
      c.name), other_column_hint(q, p, c.name))
    return
  end
  find(q, p, s, ("the record key has the fields %s, but the key of projection %s is made "
    .. "of '%s'"):format(fields, p.table, c.name), ('name the column as the source does, '
    .. "or say where it comes from: key = { %s = { …, from = 'key' } }%s")
    :format(field(c.name), names.hint(c.name, names.of { s.key, data })))
end

local function judge_object(q, p, s)
  for i = 1, p.n_key do
    local c = p.columns[i]
    if c.from == 'field' or c.from == 'key' then judge_field(q, p, c, s) end
  end
  if is_keyed_by_record(p) and s.key.n ~= p.n_key then
    find(q, p, s, ('the record key has the fields %s, but the key of projection %s names '
      .. '%d of them: lanes would share rows'):format(names.text(names.of { s.key }),
      p.table, p.n_key), 'name every field of the record key in `key`, or give the key '
      .. "with from = 'data.…'")
  end
end

local function judge_key(q, p, s)
  if not s.record.key then
    judge_null(q, p, s)
  elseif json.is_object(s.key) then
    judge_object(q, p, s)
  elseif is_keyed_by_record(p) and p.n_key > 1 then
    q:problem(s, ('the record key is one value, but the key of projection %s has %d '
      .. 'columns'):format(p.table, p.n_key), 'name one column in `key`, or say where '
      .. "each comes from: from = 'data.…'")
  end
end

-- Keys from a path.

local function root_of(s, root)
  if root == 'key' then return s.key end
  return (root == 'data' or root == 'after') and data_of(s) or nil
end

-- The first field of a path is in no record.
local function judge_path(q, p, path)
  local steps = path_of.read(path)
  local roots, shown, name = {}, nil, steps[2]
  for _, s in ipairs(q.samples) do
    local object = s.is_applied and root_of(s, steps[1])
    if json.is_object(object) then
      if has(object, name) then return end
      roots[#roots + 1], shown = object, s
    end
  end
  if not shown then return end
  local seen = names.of(roots)
  find(q, p, shown, ('the key of projection %s comes from %s, which no record has, but '
    .. '%s'):format(p.table, path, names.text(seen)),
    'correct the path' .. names.hint(name, seen))
end

-- The keys that were seen.

-- Is the record key the key of its row, as far as names tell?
local function is_row_key(p, s)
  if not s.record.key or not json.is_object(s.key) then
    return s.record.key ~= nil and p.n_key == 1
  end
  for i = 1, p.n_key do
    if not has_field(p, p.columns[i], s) then return false end
  end
  return s.key.n == p.n_key
end

-- The names of the fields, "one value", or nil.
local function seen_keys(q)
  local objects, is_bare = {}, false
  for _, s in ipairs(q.samples) do
    if s.is_applied and s.record.key then
      if json.is_object(s.key) then objects[#objects + 1] = s.key else is_bare = true end
    end
  end
  local seen = names.of(objects)
  if #seen == 0 then return (is_bare or #objects > 0) and 'one value' or nil end
  return (is_bare and 'one value or the fields ' or #seen > 1 and 'the fields '
    or 'the field ') .. names.text(seen)
end

-- nil: no projection needs record keys to be row keys.
local function line(q)
  local seen, right, wrong = seen_keys(q), {}, {}
  for _, p in ipairs(q.projections) do
    if is_keyed_by_record(p) then
      local list = right
      for _, s in ipairs(q.samples) do
        if s.is_applied and not is_row_key(p, s) then list = wrong end
      end
      list[#list + 1] = p.table
    end
  end
  right, wrong = table.concat(right, ', '), table.concat(wrong, ', ')
  if right == '' and wrong == '' then return nil end
  if not seen and wrong == '' then
    return ('record keys: none seen, so whether they are the row keys of %s is not '
      .. 'known; a run asks each'):format(right)
  end
  return ('record keys: %s%s%s'):format(seen or 'none',
    right ~= '' and '; the row keys of ' .. right or '',
    wrong ~= '' and '; not the row keys of ' .. wrong or '')
end

-- In how many ways keys are written. Kafka knows a key by its bytes: {"id":1} and
-- {"id": 1}, the fields in another order, or the same behind a schema may be in two
-- partitions. Each way alone is right, so no record shows it, and a run cannot.

-- The bytes of a key without its values: {"id": 1}.
local function form_of(s)
  local text = s.record.key
  if s.key == nil or not text:find('^[ \t\n\r]*{') and not text:find('^"') then
    return 'text'
  end
  local out, at = {}, 1
  while at <= #text do
    local part = text:match('^[ \t\n\r{}%[%]:,]+', at)
    if not part then
      part = text:match('^"', at) or text:match('^[^ \t\n\r,}%]]+', at)
      local stop = at + #part
      if part == '"' then
        repeat
          local c, behind = text:match('(["\\])()', stop)
          stop = behind and behind + (c == '\\' and 1 or 0) or #text + 1
        until c ~= '\\'
        part = text:sub(at, stop - 1)
        out[#out + 1] = text:find('^[ \t\n\r]*:', stop) and part or '"…"'
      else
        out[#out + 1] = part:find('^[tfn]') and 'null' or '1'
      end
    else
      out[#out + 1] = part
    end
    at = at + #part
  end
  return table.concat(out)
end

local function judge_forms(q)
  local first
  for _, s in ipairs(q.samples) do
    if s.is_applied and s.record.key and not s.is_passed then
      local form = form_of(s)
      if first and form ~= first then
        return q:warning(s, ('record keys are written in several ways, such as %s and '
          .. '%s: Kafka may put records of one row into two partitions, where their '
          .. 'order is lost'):format(first:sub(1, 100), form:sub(1, 100)),
          'let everybody write keys in one way, and change it only with a new topic')
      end
      first = form
    end
  end
end

function M.judge(q)
  if q.topic.outbox then return end -- its key is a column, see formats.lua
  q.keys = line(q)
  if q.keys then judge_forms(q) end
  for _, p in ipairs(q.projections) do
    if p.kind ~= 'append' then
      for _, s in ipairs(q.samples) do
        if s.is_applied then judge_key(q, p, s) end
      end
      for i = 1, p.n_key do
        for _, path in ipairs(p.columns[i].paths or {}) do judge_path(q, p, path) end
      end
    end
  end
end

return M
