-- What the real connector and the real EventRouter wrote, record by record: what
-- each becomes, and what rows of the table that it was captured from it gives. The
-- rows are written here from the statements that made them.
local conversion = require 'spec.core.conversion'
local core = require 'spec.core.core'
local decoding = require 'decoding'
local ffi = require 'ffi'
local C = core.lib

local TYPES = {
  id = 'uuid', owner = 'text', balance = 'numeric(18,2)', opened = 'date', at = 'timestamptz', ts = 'timestamp', big = 'text',
  tags = 'text[]', meta = 'jsonb', b = 'bytea', d = 'double precision',
}
local UNCHANGED = {}

local function change(row, by)
  local out = {}
  for name, v in pairs(row) do out[name] = v end
  for name, v in pairs(by) do out[name] = v end
  return out
end

local SNAPSHOT = {
  id = '22222222-2222-4222-8222-222222222222', owner = 'snapshot', balance = '1.00', opened = '2026-11-23',
  at = '2026-11-23T14:21:03.548854Z', ts = '2026-11-23T14:21:03.548854', big = 'yyy', tags = '{"a"}', meta = '{}', b = '\\x00', d = '0.5',
}
local ZOE = {
  id = '11111111-1111-4111-8111-111111111111', owner = 'Zoë', balance = '12.34', opened = '2026-11-23',
  at = '2026-11-23T08:00:00.123456Z', ts = '2026-11-23T10:00:00.123456', big = 'xxx', tags = '{"a","b"}', meta = '{"k": 1}',
  b = '\\xdeadbeef', d = '0.1',
}
local FIRST = change(ZOE, { at = '2026-11-23T14:20:12.904964Z', ts = '2026-11-23T14:20:12.904964' })
local GONE = { id = ZOE.id }
local AFTER = { balance = '99.99', big = UNCHANGED }
local function millis(row) return change(row, { ts = row.ts:sub(1, 23) }) end

-- Of each line: op, time, lsn and the row; 'skipped' moves the position only.
local BARE = {
  { 'c', 1795443663550, 2997877512, SNAPSHOT },
  { 'c', 1795443612905, 2997863192, FIRST }, { 'u', 1795443612906, 2997863664, change(FIRST, AFTER) },
  { 'd', 1795443612906, 2997863928, GONE }, 'skipped',
  { 'c', 1795443666694, 2997894616, ZOE }, { 'u', 1795443666694, 2997894944, change(ZOE, AFTER) },
  { 'd', 1795443666695, 2997895232, GONE }, 'skipped',
}
local CONNECT = {
  { 'r', 1795443663956, 2997881256, millis(SNAPSHOT) },
  { 'c', 1795443666694, 2997894616, millis(ZOE) }, { 'u', 1795443666694, 2997894944, change(millis(ZOE), AFTER) },
  { 'd', 1795443666695, 2997895232, GONE }, 'skipped', { 't', 1795443666702, 2997898528, {} },
  'skipped', 'skipped', 'skipped', 'skipped', 'skipped', 'skipped', -- its transaction topic
}
local SCHEMA = {
  { 'r', 1795443663840, 2997879600, SNAPSHOT }, { 't', 1795443666702, 2997898528, {} },
  { 'c', 1795443666694, 2997894616, ZOE }, { 'u', 1795443666694, 2997894944, change(ZOE, AFTER) },
  { 'd', 1795443666695, 2997895232, GONE }, 'skipped',
}
local FLAT = {
  { 'r', 1795443664106, 2997882912, SNAPSHOT },
  { 'c', 1795443666694, 2997894616, ZOE }, { 'u', 1795443666694, 2997894944, change(ZOE, AFTER) },
  { 'd', 1795443666695, 2997895232, GONE }, 'skipped',
}

-- What a column of the row would hold, as text; UNCHANGED: it is left alone.
local function column(d, event, name, rules)
  local out, e = ffi.new('struct tm_cell'), ffi.new('struct err')
  local t = ffi.new('struct coltype')
  assert(C.type_parse(TYPES[name], t))
  local cell = d.events.columns[d.nodes['data.' .. name]][event - 1]
  assert(C.convert_cell(t, cell, rules, d.arena, out, e), name .. ': ' .. ffi.string(e.text))
  local tag = core.tag(out)
  if tag == 'missing' then return UNCHANGED end
  if tag == 'null' then return nil end
  return select(2, assert(conversion.convert(TYPES[name], out)))
end

local function open(file, options, lsn)
  local d = decoding.new(options)
  for name in pairs(TYPES) do d:want('data.' .. name) end
  return d:want('key.id', lsn):run(decoding.fixture(file))
end

local function check_event(d, event, expected, lsn)
  local op, time, number, row = unpack(expected)
  assert.are.same({ 'ok', op, op, time, 'int:' .. number },
    { d:state(event), d:op(event), d:type(event), d:time(event), d:value(event, lsn) })
  assert.are.equal(row.id or 'missing', d:value(event, 'key.id'))
  local rules = C.convert_rules_of(d.source.settings[0])
  rules.has_schema = d:has_schema(event)
  for name in pairs(row) do
    assert.are.equal(row[name], column(d, event, name, rules), name)
  end
end

describe('real records of Debezium', function()
  local files = {
    { 'debezium-bare-decimal-precise', BARE, { decimals = 'precise', times = 'adaptive' } },
    { 'debezium-bare-decimal-string-connect-times-transaction', CONNECT, { decimals = 'string', times = 'millis' } },
    { 'debezium-with-schema', SCHEMA, {} },
    { 'debezium-flattened-decimal-double', FLAT, { decimals = 'double', times = 'micros' } },
    { 'debezium-flattened-decimal-double', FLAT, { decimals = 'double', times = 'adaptive', flattened = 'rewrite' } },
  }
  for i, file in ipairs(files) do
    local name, lines, options = unpack(file)
    local lsn = lines == FLAT and 'data.__lsn' or 'source.lsn'
    options.format = 'debezium'
    local d
    setup(function() d = open(name, options, lsn) end)
    it(('%d: %s has the lines that are listed here'):format(i, name), function()
      assert.are.equal(#lines, tonumber(d.events.n))
    end)
    for line, expected in ipairs(lines) do
      it(('%d: %s line %d'):format(i, name, line), function()
        if expected == 'skipped' then
          assert.are.equal('skipped', d:state(line))
        else
          check_event(d, line, expected, lsn)
        end
      end)
    end
  end
  it('cannot be read as rows of another form', function()
    local d = open('debezium-bare-decimal-precise', { format = 'debezium', flattened = 'rewrite' }, 'source.lsn')
    assert.is_true(d:is_misfit(1))
    d = open('debezium-flattened-decimal-double', { format = 'debezium', flattened = 'tombstone' }, 'data.__lsn')
    assert.are.equal('d', d:op(5))
  end)
end)

describe('real records of EventRouter', function()
  local first = { 'a9a2a2f4-f22c-4c5e-9fff-dd7f66dc0830', 'AccountCreated' }
  local files = {
    ['outbox-router-string'] = {
      { ['data.owner'] = 'Zoë', ['data.initial_balance'] = '12.34', ['data.n'] = 'dec:12345678901234567890.5' },
      { ['data.amount'] = 'dec:5.10' }, { ['data.amount'] = 'dec:7.10', ['data.n'] = 'dec:12345678901234567890.5' },
    },
    -- These numbers went through a double before they came here.
    ['outbox-router-expanded'] = {
      { ['data.owner'] = 'Zoë', ['data.initial_balance'] = '12.34', ['data.n'] = 'dec:12345678901234567000' },
      { ['data.amount'] = 'dec:5.1' }, { ['data.amount'] = 'dec:7.1', ['data.n'] = 'dec:12345678901234567000' },
    },
  }
  for name, lines in pairs(files) do
    it(name, function()
      local d = decoding.new { format = 'outbox' }
      d:want('key', 'data.owner', 'data.initial_balance', 'data.amount', 'data.n'):run(decoding.fixture(name))
      assert.are.equal(#lines, tonumber(d.events.n))
      for i, expected in ipairs(lines) do
        assert.are.same({ 'ok', i == 1 and first[2] or 'MoneyDeposited' }, { d:state(i), d:type(i) })
        assert.is_nil(d:op(i))
        assert.are.equal(ZOE.id, d:value(i, 'key'))
        for path, value in pairs(expected) do
          assert.are.equal(value, d:value(i, path), path)
        end
      end
    end)
  end
end)
