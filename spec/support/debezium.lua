-- Change events of a table "accounts" as Debezium 3.3 writes them, in three
-- forms, and the table they come from as the model.
--   bare        JSON without schema, decimals as text
--   schema      schemas.enable for key and value: decimals as base64
--   flattened   ExtractNewRecordState with __op and __deleted
local new_random = require('bank').random
local money = require('bank').money
local differences = require('bank').differences

local M = {}
local Table = {}
Table.__index = Table

local UNCHANGED = '__debezium_unavailable_value'

local digits = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'

local function base64(bytes)
  local out = {}
  for i = 1, #bytes, 3 do
    local a, b, c = bytes:byte(i, i + 2)
    local n = a * 65536 + (b or 0) * 256 + (c or 0)
    local text = ''
    for shift = 3, 0, -1 do
      local digit = math.floor(n / 64 ^ shift) % 64
      text = text .. digits:sub(digit + 1, digit + 1)
    end
    local n_bytes = math.min(3, #bytes - i + 1)
    out[#out + 1] = text:sub(1, n_bytes + 1) .. ('='):rep(3 - n_bytes)
  end
  return table.concat(out)
end

-- Connect's Decimal: the unscaled value, big-endian, two's complement.
local function unscaled(cents)
  local n = 1
  while cents < -2 ^ (8 * n - 1) or cents >= 2 ^ (8 * n - 1) do n = n + 1 end
  local value, bytes = cents % 2 ^ (8 * n), ''
  for _ = 1, n do
    bytes = string.char(value % 256) .. bytes
    value = math.floor(value / 256)
  end
  return base64(bytes)
end
M.unscaled = unscaled

local function text(value)
  return value and ('"%s"'):format(value) or 'null'
end

local row_schema = [[{"type":"struct","fields":[
{"type":"int64","optional":false,"field":"id"},
{"type":"string","optional":true,"field":"owner"},
{"type":"bytes","optional":true,"name":"org.apache.kafka.connect.data.Decimal",
"version":1,"parameters":{"scale":"2","connect.decimal.precision":"18"},
"field":"balance"},
{"type":"string","optional":true,"field":"note"},
{"type":"int64","optional":true,"name":"io.debezium.time.MicroTimestamp","version":1,
"field":"seen_at"}],"optional":true,"name":"shop.public.accounts.Value","field":"%s"}]]
local value_schema = ([[{"type":"struct","fields":[%s,%s,
{"type":"string","optional":false,"field":"op"},
{"type":"int64","optional":true,"field":"ts_ms"}],
"optional":false,"name":"shop.public.accounts.Envelope"}]]):format(
  row_schema:format('before'), row_schema:format('after')):gsub('\n', '')
local key_schema = '{"type":"struct","fields":[{"type":"int64","optional":false,' ..
  '"field":"id"}],"optional":false,"name":"shop.public.accounts.Key"}'

-- The members of a row's image. seen_at is microseconds in every envelope.
local function members(row, with_schema)
  return ('"id":%d,"owner":%s,"balance":%s,"note":%s,"seen_at":%s'):format(row.id,
    text(row.owner), row.cents and
      text(with_schema and unscaled(row.cents) or money(row.cents)) or 'null',
    text(row.note), row.seen_at and ('%d'):format(row.seen_at) or 'null')
end

local source = '"source":{"version":"3.3.1.Final","connector":"postgresql",' ..
  '"name":"shop","ts_ms":1795443612905,"snapshot":"false","db":"shop",' ..
  '"schema":"public","table":"accounts","txId":7,"lsn":2997863192}'

local envelopes = {}

function envelopes.bare(op, id, image)
  local after = image and '{' .. members(image) .. '}' or 'null'
  local before = op == 'd' and '{' .. members { id = id } .. '}' or 'null'
  return ('{"id":%d}'):format(id), ('{"before":%s,"after":%s,%s,"transaction":null,' ..
    '"op":"%s","ts_ms":1795443613042}'):format(before, after, source, op)
end

function envelopes.schema(op, id, image)
  local after = image and '{' .. members(image, true) .. '}' or 'null'
  local before = op == 'd' and '{' .. members({ id = id }, true) .. '}' or 'null'
  return ('{"schema":%s,"payload":{"id":%d}}'):format(key_schema, id),
    ('{"schema":%s,"payload":{"before":%s,"after":%s,%s,"op":"%s","ts_ms":1}}'):format(
      value_schema, before, after, source, op)
end

function envelopes.flattened(op, id, image)
  return ('{"id":%d}'):format(id), ('{%s,"__deleted":"%s","__op":"%s",' ..
    '"__table":"accounts","__lsn":7,"__source_ts_ms":1795443612905}'):format(
    members(image or { id = id }), tostring(op == 'd'), op)
end

--- [options]: envelope, seed, ids, topic, partitions.
function M.new(options)
  return setmetatable({
    envelope = envelopes[options.envelope],
    random = new_random(options.seed or 5),
    n_ids = options.ids or 50,
    topic = options.topic,
    n_partitions = options.partitions,
    rows = {},
  }, Table)
end

function Table:record(op, id, image)
  local key, value = self.envelope(op, id, image)
  return {
    topic = self.topic, partition = id % self.n_partitions, key = key, value = value,
  }
end

local function new_row(self, id)
  local random = self.random
  return {
    id = id,
    owner = random(1, 10) > 1 and ('Zoë \\"%d\\"'):format(random(1, 1000)) or nil,
    cents = random(1, 10) > 1 and random(-100000, 10000000) or nil,
    note = ('n'):rep(random(0, 30)),
    seen_at = 1795443612000000 + random(0, 999999),
  }
end

--- Changes one row and gives the records that tell of it: one, or a delete
--- and its tombstone.
function Table:change()
  local id = self.random(1, self.n_ids)
  local old = self.rows[id]
  if old and self.random(1, 5) == 1 then
    self.rows[id] = nil
    local delete = self:record('d', id)
    local tombstone = {
      topic = self.topic, partition = delete.partition, key = delete.key,
    }
    return { delete, tombstone }
  end
  local image = new_row(self, id)
  self.rows[id] = image
  if not old then
    return { self:record(self.random(1, 4) == 1 and 'r' or 'c', id, image) }
  end
  -- A large column that an update left alone comes as a marker.
  local sent = image
  if self.random(1, 3) == 1 then
    sent = setmetatable({ note = UNCHANGED }, { __index = image })
    image.note = old.note
  end
  return { self:record('u', id, sent) }
end

function Table:send(producer, n)
  for _ = 1, n do
    for _, record in ipairs(self:change()) do producer:send(record) end
  end
  producer:flush()
end

local function line(...)
  local parts = { ... }
  for i = 1, select('#', ...) do
    parts[i] = parts[i] == nil and 'null' or tostring(parts[i])
  end
  return table.concat(parts, ' | ')
end

--- Row by row: raises unless the table is what the model says.
function Table:check(db, name)
  local want, got = {}, {}
  for id, r in pairs(self.rows) do
    want[tostring(id)] = line(r.owner and r.owner:gsub('\\"', '"') or nil,
      r.cents and money(r.cents), r.note, r.seen_at and ('%d'):format(r.seen_at))
  end
  for _, r in ipairs(db:rows('SELECT id, owner, balance, note, ' ..
    '(extract(epoch FROM seen_at) * 1000000)::bigint AS seen_at FROM ' .. name)) do
    got[r.id] = line(r.owner, r.balance, r.note, r.seen_at)
  end
  local n, report = differences(want, got)
  if n > 0 then error(('%s: %d rows differ:\n%s'):format(name, n, report), 2) end
end

return M
