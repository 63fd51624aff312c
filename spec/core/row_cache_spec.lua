-- From the rows of a batch into the row cache, and from there into the next.
local ffi = require 'ffi'
local flow = require 'spec.core.flow'
local core = require 'spec.core.core'
local C = core.lib

core.headers('postgres/wire/encode.h')

local TTL = 600000000

local function open()
  local c = ffi.gc(ffi.new('struct cache_ring'), C.cache_ring_close)
  C.cache_ring_open(c, 1048576, TTL)
  return c
end

-- One for each lease of the batch.
local function claims(...)
  return ffi.new('uint32_t[8]', { ... })
end

local FOLD = "table = 'a', key = { id = { 'bigint', from = 'key' } }, "
  .. "columns = { n = 'bigint', s = 'text' }, initial = { n = 0 }, "
  .. 'on = function(row, event) %s end'
local ADD = 'row.n = row.n + 1 row.s = event.data.s'

local function fold(body) return flow.trial(FOLD:format(body)) end

-- Records by their keys; the lease of each, if they are not all of the first.
local function rows(t, keys, leases)
  local records = {}
  for i, k in ipairs(keys) do records[i] = { tostring(k), ('{"s":"s%s"}'):format(k) } end
  assert(t:rows(records))
  for i, lease in ipairs(leases or {}) do
    ffi.cast('struct record *', t.c_rows.events.records)[i - 1].lane = lease
  end
  return t
end

local function find(t, c, by, now)
  C.row_cache_find(c, t.c_rows, by or claims(1), now or 0)
  C.rows_restart(t.c_rows)
end

-- What the writer says of rows that it writes.
local function written(t, ...)
  for _, row in ipairs { ... } do
    t.c_rows.marks[row] = bit.bor(t.c_rows.marks[row], C.ROWS_WRITTEN)
  end
end

-- A batch of rows that are all new, all written, all kept.
local function fill(t, c, keys, by, xid)
  rows(t, keys)
  find(t, c, by)
  t:fold()
  for row = 0, t.view.n_rows - 1 do written(t, row) end
  C.row_cache_keep(c, t.c_rows, by or claims(1), xid or 77, 0)
end

-- The keys of rows that came from the cache.
local function found(t)
  local out = {}
  for row = 0, t.view.n_rows - 1 do
    if t.c_rows.marks[row] == C.ROWS_FROM_CACHE then out[#out + 1] = t:cell(0, row) end
  end
  assert.are.equal(#out, t.c_rows.n_from_cache)
  return out
end

describe('rows of a committed batch', function()
  it('are the loaded state of the next one, with the xid as their xmin', function()
    local t, c = fold(ADD), open()
    fill(t, c, { 1, 2, 1 })
    rows(t, { 2, 3, 1 })
    find(t, c)
    assert.are.same({ 2, 1 }, found(t))
    assert.are.same({ 77, 77 }, { t.c_rows.xmins[0], t.c_rows.xmins[2] })
    assert.are.same({ 1, 's2' }, { t:cell(1, 0), t:cell(2, 0) })
    assert.are.same({ 2, 's1' }, { t:cell(1, 2), t:cell(2, 2) })
    assert.are.equal(C.TM_ROW_LOADED + C.TM_ROW_EXISTS, t.view.flags[0])
    assert.are.equal(0, t.view.flags[1])
    t:fold()
    assert.are.same({ 2, 1, 3 }, { t:cell(1, 0), t:cell(1, 1), t:cell(1, 2) })
  end)

  it('are as they were however often they are run again', function()
    local t, c = fold(ADD), open()
    fill(t, c, { 1 })
    rows(t, { 1 })
    find(t, c)
    for _ = 1, 3 do
      C.rows_restart(t.c_rows)
      t:fold()
      assert.are.equal(2, t:cell(1, 0))
    end
  end)

  it('that were only looked at keep the xmin that they came with', function()
    local t, c = fold(ADD), open()
    fill(t, c, { 1 })
    rows(t, { 1 })
    find(t, c)
    C.row_cache_keep(c, t.c_rows, claims(1), 99, 0)
    rows(t, { 1 })
    find(t, c)
    assert.are.same({ 1 }, found(t))
    assert.are.equal(77, t.c_rows.xmins[0])
  end)

  it('that were loaded and not written are kept as loaded', function()
    local t, c = fold('local _ = row.n'), open()
    rows(t, { 1, 2 })
    find(t, c)
    t:given(0, core.int(40), core.text('x'))
    t.c_rows.xmins[0] = 55
    t:fold()
    C.row_cache_keep(c, t.c_rows, claims(1), 99, 0)
    rows(t, { 2, 1 })
    find(t, c)
    assert.are.same({ 1 }, found(t)) -- there is no 2
    assert.are.same({ 40, 'x' }, { t:cell(1, 1), t:cell(2, 1) })
    assert.are.equal(55, t.c_rows.xmins[1])
  end)

  it('are forgotten when they are deleted', function()
    local t, c = fold("if event.data.s == 's1' then row:delete() else " .. ADD .. ' end'), open()
    fill(t, c, { 2, 3 })
    fill(t, c, { 1, 2 }, nil, 78)
    rows(t, { 1, 2, 3 })
    find(t, c)
    assert.are.same({ 2, 3 }, found(t))
  end)

  it('are not kept when a column was left to the table, whose default is not known', function()
    local t, c = fold 'row.n = row.n + 1', open()
    fill(t, c, { 1 })
    rows(t, { 1 })
    find(t, c)
    assert.are.same({}, found(t))
  end)

  it('are forgotten when the batch is to be done again', function()
    local t, c = fold(ADD), open()
    fill(t, c, { 1, 2, 3 })
    rows(t, { 1, 3 })
    find(t, c)
    assert.are.same({ 1, 3 }, found(t))
    C.row_cache_drop(c, t.c_rows)
    C.rows_unload(t.c_rows)
    C.rows_restart(t.c_rows)
    assert.are.same({}, found(t))
    assert.are.equal(0, t.view.flags[0])
    rows(t, { 1, 2, 3 })
    find(t, c)
    assert.are.same({ 2 }, found(t))
  end)

  it('are gone with their time', function()
    local t, c = fold(ADD), open()
    fill(t, c, { 1 })
    rows(t, { 1 })
    find(t, c, nil, TTL)
    assert.are.same({}, found(t))
  end)
end)

describe('the lane of a row', function()
  it('must be claimed as it was when the row was kept', function()
    local t, c = fold(ADD), open()
    fill(t, c, { 1, 2 }, claims(5))
    rows(t, { 1 })
    find(t, c, claims(6))
    assert.are.same({}, found(t))
    rows(t, { 2 })
    find(t, c, claims(5))
    assert.are.same({ 2 }, found(t))
  end)

  it('is that of all its events, or it is not cached', function()
    local t, c = fold(ADD), open()
    fill(t, c, { 1, 2, 3 }, claims(5))
    rows(t, { 1, 2, 3, 2, 1 }, { 0, 0, 1, 1, 0 })
    find(t, c, claims(5, 5))
    assert.are.same({ 1, 3 }, found(t))
    -- Nor is it kept.
    t:fold()
    written(t, 0, 1, 2)
    C.row_cache_keep(c, t.c_rows, claims(5, 5), 78, 0)
    rows(t, { 1, 2, 3 })
    find(t, c, claims(5))
    assert.are.same({ 1, 3 }, found(t))
  end)

  it('that is not ours any more keeps nothing', function()
    local t, c = fold(ADD), open()
    fill(t, c, { 1, 2 }, claims(5))
    rows(t, { 1, 2 }, { 0, 1 })
    find(t, c, claims(5, 5))
    t:fold()
    written(t, 0, 1)
    C.row_cache_keep(c, t.c_rows, claims(0, 5), 78, 0)
    rows(t, { 1, 2 })
    find(t, c, claims(5))
    assert.are.same({ 2 }, found(t))
  end)
end)

describe('a cached value', function()
  local TYPES = {
    { 'smallint', -32768, 32767, 0 }, { 'integer', -2147483648 }, { 'bigint', 9007199254740991 },
    { 'numeric', 0, 5, '12.340', '-0.001', '99999999999999999999999999999999999999' },
    { 'numeric(18,2)', 0, 5, -7, '12.3', '12.345', '9999999999999999.99' },
    { 'numeric(38,4)', 0, '1234567890123456789012345678901234.5', '-0.00005' },
    { 'real', 1.5, 0.1, -0.0, 'NaN' }, { 'double precision', 0.1, -1e300, 'Infinity' },
    { 'boolean', true, false }, { 'text', '', 'Zoë', ('long '):rep(1000) },
    { 'varchar(5)', 'five5', '' }, { 'uuid', '00112233-4455-6677-8899-aabbccddeeff' },
    { 'bytea', 'AAECAw==', '' }, { 'date', '2026-11-24', '0001-01-01' },
    { 'time', '23:59:59.999999' }, { 'timestamp', '2026-11-24T10:00:00.123456' },
    { 'timestamptz', '1969-12-31T23:59:59Z' }, { 'timestamptz(3)', '2026-11-24T10:00:00.1239Z' },
    { 'json', '{"a": [1,  2]}', '[]' },
  }

  local function json(v)
    if type(v) == 'string' then return '"' .. v .. '"' end
    return type(v) == 'number' and ('%.17g'):format(v) or tostring(v)
  end

  -- The cell that a load of this one gives: through the server's format.
  local function loaded(column, cell, arena)
    local out, e = ffi.new('struct tm_cell'), ffi.new('struct err')
    local b = ffi.new('struct buf')
    C.encode_array(b, column.type, cell, nil, 1)
    local wire = ffi.cast('const uint8_t *', b.data)
    local n = ((wire[20] * 256 + wire[21]) * 256 + wire[22]) * 256 + wire[23]
    local value = b.data + 24
    if n == 0xffffffff then value = nil end
    assert(C.encode_read(column.type, value, n, arena, out, e), ffi.string(e.text))
    C.buf_close(b)
    return out
  end

  local function bytes_of(cell)
    local tag = core.tag(cell)
    if tag == 'uuid' then return ffi.string(cell.p, 16) end
    if tag == 'bigdec' then return ffi.string(cell.p, 20) end
    if tag == 'text' or tag == 'bytes' or tag == 'json' then return ffi.string(cell.p, cell.len) end
    return tag == 'null' and '' or ffi.string(cell, 8)
  end

  local function is_same(want, got, what)
    assert.are.equal(core.tag(want), core.tag(got), what)
    assert.are.equal(bytes_of(want), bytes_of(got), what)
    if core.tag(want) == 'dec' then assert.are.equal(want.scale, got.scale, what) end
  end

  for _, case in ipairs(TYPES) do
    it('of ' .. case[1] .. ' is to the bit what a load gives', function()
      local t = flow.trial("table = 'a', key = { id = { 'bigint', from = 'key' } }, columns = { v = '"
        .. case[1] .. "' }, on = function(row, event) row.v = event.data.v end")
      local c, arena, records = open(), core.arena(), { { '0', '{"v":null}' } }
      for i = 2, #case do
        local v = case[1] == 'json' and case[i] or json(case[i])
        records[i] = { tostring(i - 1), '{"v":' .. v .. '}' }
      end
      assert(t:rows(records))
      find(t, c)
      t:fold()
      local column = t.c_rows.program.plan.columns[1]
      local want = {}
      for row = 0, #records - 1 do
        written(t, row)
        want[row] = loaded(column, t.view.cells[1] + row, arena)
      end
      C.row_cache_keep(c, t.c_rows, claims(1), 77, 0)
      assert(t:rows(records))
      find(t, c)
      assert.are.equal(#records, t.c_rows.n_from_cache)
      for row = 0, #records - 1 do
        is_same(want[row], t.view.cells[1][row], ('%s %s'):format(case[1], records[row + 1][2]))
      end
    end)
  end

  it('of a type that the server writes in its own way is never kept', function()
    for _, kind in ipairs { 'jsonb', 'text[]', 'bigint[]' } do
      local t = flow.trial("table = 'a', key = { id = { 'bigint', from = 'key' } }, columns = { v = '"
        .. kind .. "' }, on = function(row, event) row.v = event.data.v end")
      assert(t:rows { { '1', '{"v":null}' } })
      assert.is_true(t.c_rows.marks == nil, kind)
    end
  end)
end)
