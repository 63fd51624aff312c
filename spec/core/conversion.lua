-- What the specs of conversion share: a column's type, a cell in, and what the
-- column would hold.
local ffi = require 'ffi'
local core = require 'spec.core.core'
local C = core.lib

core.headers('base/buf.h', 'model/type.h', 'base/err.h', 'model/plan.h', 'decode/value/convert.h')

local M = {}

local arena = core.arena()

M.json = { format = C.FORMAT_JSON }
M.outbox = { format = C.FORMAT_OUTBOX }
M.debezium = { format = C.FORMAT_DEBEZIUM }
M.schema = { format = C.FORMAT_DEBEZIUM, has_schema = true }

--- The rules of a Debezium source without schema that states these.
function M.stated(decimals, times, binary)
  return {
    format = C.FORMAT_DEBEZIUM,
    decimals = decimals and C['DECIMALS_' .. decimals] or 0,
    times = times and C['TIMES_' .. times] or 0,
    binary = binary and C['BINARY_' .. binary] or 0,
  }
end

--- The rules of a source of JSON that states these.
function M.said(times, binary)
  local rules = M.stated(nil, times, binary)
  rules.format = C.FORMAT_JSON
  return rules
end

--- A number of which a schema tells that it is a time in this unit.
function M.known(unit, digits)
  local cell = core.number(digits)
  cell.hint = C['TM_HINT_' .. unit]
  return cell
end

local function coltype(word)
  local t = ffi.new('struct coltype')
  assert(C.type_parse(word, t), word)
  return t
end

local function show(t, cell)
  local out = ffi.new('struct buf')
  C.convert_text(t, cell, out)
  local s = ffi.string(out.data, out.len)
  C.buf_close(out)
  return s
end

--- The cell that the column would hold and its text, or nil and why not.
function M.convert(word, cell, rules)
  local out, e = ffi.new('struct tm_cell'), ffi.new('struct err')
  local t = coltype(word)
  rules = ffi.new('struct convert_rules', rules or M.json)
  if not C.convert_cell(t, cell, rules, arena, out, e) then
    -- ERR_CONFIG: kafka{} does not say what the value means.
    assert(e.class == C.ERR_DATA or e.class == C.ERR_CONFIG)
    return nil, ffi.string(e.text)
  end
  return out, show(t, out)
end

local has_bytes = { number = true, text = true, object = true, array = true }

local function name_of(word, cell)
  local tag = core.tag(cell)
  local value = has_bytes[tag] and ffi.string(cell.p, math.min(cell.len, 50))
    or show(coltype(word), cell)
  return (('%s <- %s %s'):format(word, tag, value):gsub('[%z\1-\31]', '?'))
end

--- Runs cases: column, value in, what the column then reads back as (its tag
--- and text) or 'error: ' and a part of the message, rules.
function M.run(it, cases)
  for _, case in ipairs(cases) do
    local word, cell, expected, rules = unpack(case, 1, 4)
    it(name_of(word, cell), function()
      local out, got = M.convert(word, cell, rules)
      local part = expected:match('^error: (.*)')
      if part then
        assert(not out, got)
        assert(got:find(part, 1, true), got)
      else
        got = out and (core.tag(out) .. ' ' .. got):gsub(' $', '') or got
        assert(got == expected, ('expected %s, got %s'):format(expected, got))
      end
    end)
  end
end

return M
