local flow = require 'spec.core.flow'
local core = require 'spec.core.core'
local C = core.lib

core.headers('flow/rows/order.h')

-- The values of one key column in the order in which rows are written.
local function ordered(trial, column)
  local arena, out = core.arena(), {}
  local rows = C.order_rows(trial.c_rows, arena)
  for i = 0, trial.view.n_rows - trial.c_rows.first_row - 1 do
    out[i + 1] = trial:cell(column or 0, rows[i])
  end
  return out
end

local function fold(keys)
  return flow.trial("table = 'a', key = { " .. keys .. " }, columns = { n = 'bigint' }, "
    .. 'on = function(row) row.n = 1 end', 'json', ", times = 'millis'")
end

local function quoted(v)
  return type(v) == 'number' and ('%d'):format(v) or '"' .. v .. '"'
end

-- Enters the values, each a key of its own, in this order.
local function enter(trial, values)
  local records = {}
  for i, v in ipairs(values) do records[i] = { 'k', '{"a":' .. quoted(v) .. '}' } end
  assert(trial:rows(records))
  return trial
end

local function unique(n, make)
  local seen, list = {}, {}
  while #list < n do
    local v = make()
    if not seen[v] then
      seen[v] = true
      list[#list + 1] = v
    end
  end
  return list
end

local function sorted(list, less)
  local copy = { unpack(list) }
  table.sort(copy, less)
  return copy
end

-- memcmp, then the shorter one: what `<` of LuaJIT is.
local function check(type_name, make, shown)
  local trial = fold("a = { '" .. type_name .. "', from = 'data.a' }")
  for _, n in ipairs { 1, 2, 3, 17, 256, 700 } do
    local values = unique(n, make)
    local expected = sorted(values)
    if shown then for i, v in ipairs(expected) do expected[i] = shown(v) end end
    assert.are.same(expected, ordered(enter(trial, values)))
  end
end

describe('order_rows', function()
  before_each(function() math.randomseed(17) end)

  it('sorts integers as numbers, negative ones first', function()
    local list = { 0, -1, 1, 255, 256, -256, -255, 2 ^ 31, -2 ^ 31, 2 ^ 53, -2 ^ 53 }
    local trial = fold("a = { 'bigint', from = 'data.a' }")
    assert.are.same(sorted(list), ordered(enter(trial, list)))
    check('bigint', function() return math.random(-2 ^ 30, 2 ^ 30) * 2 ^ 20 end)
    check('integer', function() return math.random(-1000, 1000) end)
    check('smallint', function() return math.random(-32768, 32767) end)
  end)

  it('sorts dates and times on both sides of 1970', function()
    check('date', function()
      return ('%04d-%02d-%02d'):format(math.random(1900, 2100), math.random(12), math.random(28))
    end, function(text)
      local y, m, d = text:match('(%d+)-(%d+)-(%d+)')
      return math.floor(os.time { year = y, month = m, day = d, hour = 12 } / 86400)
    end)
    check('timestamptz', function() return math.random(-2 ^ 30, 2 ^ 30) * 1000 end,
      function(ms) return ms * 1000 end)
  end)

  it('sorts uuids by their bytes', function()
    check('uuid', function()
      return (('xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx'):gsub('x', function()
        return ('%x'):format(math.random(0, 15))
      end))
    end, function(text) return (text:gsub('-', '')) end)
  end)

  it('sorts texts by their bytes, whatever they have in common', function()
    local function letters(alphabet, most)
      return function()
        local out = {}
        for i = 1, math.random(0, most) do
          local at = math.random(#alphabet)
          out[i] = alphabet[at]
        end
        return table.concat(out)
      end
    end
    check('text', letters({ 'a', 'b' }, 24))
    check('text', letters({ 'a', 'Z', 'é', '~', ' ', '日', '1' }, 12))
    local tail = letters({ '0', '1', '2' }, 10)
    check('text', function() return 'account-' .. tail() end)
    check('text', function() return 'a-long-common-prefix-' .. tail() .. '-' end)
  end)

  it('puts a text in front of one that goes on, also behind eight bytes', function()
    local list = { '', 'a', 'aa', 'aaaaaaaa', 'aaaaaaaaa', 'aaaaaaaab', 'aaaaaaab', 'b' }
    local trial = fold("a = { 'text', from = 'data.a' }")
    local mixed = { list[6], list[1], list[8], list[4], list[3], list[7], list[5], list[2] }
    assert.are.same(list, ordered(enter(trial, mixed)))
  end)

  it('sorts bytea by its bytes', function()
    check('bytea', function()
      local out = {}
      for i = 1, math.random(1, 12) do out[i] = ('%02x'):format(math.random(0, 3) * 85) end
      return '\\\\x' .. table.concat(out)
    end, function(text)
      return (text:sub(4):gsub('..', function(h) return string.char(tonumber(h, 16)) end))
    end)
  end)

  it('sorts several columns one after the other; of texts the shorter one first', function()
    local trial = fold("a = { 'bigint', from = 'data.a' }, b = { 'text', from = 'data.b' }")
    local rows = unique(600, function()
      return math.random(-3, 3) .. '/' .. ('xy'):rep(math.random(0, 5)) .. math.random(0, 20)
    end)
    local records, expected = {}, {}
    for i, row in ipairs(rows) do
      local a, b = row:match('(.-)/(.*)')
      records[i] = { 'k', ('{"a":%d,"b":"%s"}'):format(a, b) }
      expected[i] = { tonumber(a), b }
    end
    table.sort(expected, function(x, y)
      if x[1] ~= y[1] then return x[1] < y[1] end
      if #x[2] ~= #y[2] then return #x[2] < #y[2] end
      return x[2] < y[2]
    end)
    assert(trial:rows(records))
    local a, b = ordered(trial, 0), ordered(trial, 1)
    for i, pair in ipairs(expected) do assert.are.same(pair, { a[i], b[i] }) end
  end)

  it('leaves out the scratch row of a merge', function()
    local trial = flow.trial("table = 'a', key = { a = { 'bigint', from = 'data.a' } }, "
      .. "columns = { n = 'bigint' }, merge = { n = 'sum' }, on = function(row) row.n = 1 end")
    assert.are.same({ -5, 2, 9 }, ordered(enter(trial, { 9, -5, 2 })))
  end)

  it('has nothing to sort without rows', function()
    assert.are.same({}, ordered(enter(fold("a = { 'bigint', from = 'data.a' }"), {})))
  end)
end)
