-- The rows of a batch: one a key, from a loaded state that a run cannot change.
local flow = require 'spec.core.flow'
local core = require 'spec.core.core'
local bit = require 'bit'
local C = core.lib

local FOLD = "table = 'a', key = { id = { 'bigint', from = 'data.id' } }, "
  .. "columns = { n = 'bigint', s = 'text', d = 'numeric(10,2)' }, "
  .. "initial = { n = 0 }, on = function(row, event) "

local function fold(body) return flow.trial(FOLD .. body .. ' end') end

local function event(id, rest)
  return { 'k', ('{"id":%d%s}'):format(id, rest and ',' .. rest or '') }
end

local function has(flags, flag) return bit.band(flags, flag) ~= 0 end

-- The columns behind the key of a row, and its flags as letters.
local function row(t, at)
  local flags = t.view.flags[at]
  local letters = (has(flags, C.TM_ROW_LOADED) and 'L' or '')
    .. (has(flags, C.TM_ROW_EXISTS) and 'E' or '')
    .. (has(flags, C.TM_ROW_TOUCHED) and 'T' or '')
    .. (has(flags, C.TM_ROW_CLEARED) and 'C' or '')
  return { t:cell(1, at), t:cell(2, at), t:cell(3, at), letters }
end

local function run(t, records)
  assert(t:rows(records))
  t:fold()
  return t
end

describe('rows of a fold', function()
  it('are one a key, and see the events of their key in order', function()
    local t = fold("row.n = row.n * 10 + event.data.x")
    run(t, { event(1, '"x":1'), event(2, '"x":2'), event(1, '"x":3'), event(2, '"x":4'),
             event(1, '"x":5') })
    assert.are.same({ 1, 2 }, t:keys())
    assert.are.equal('0>0 1>1 2>0 3>1 4>0', t:pairs())
    assert.are.same({ 135, 'missing', 'missing', 'ET' }, row(t, 0))
    assert.are.same({ 24, 'missing', 'missing', 'ET' }, row(t, 1))
  end)

  it('begin with what was loaded', function()
    local t = fold('row.n = row.n + 1')
    t:rows { event(1), event(2), event(2) }
    t:given(1, core.int(40), core.text('x'), core.null())
    t:fold()
    assert.are.same({ 1, 'missing', 'missing', 'ET' }, row(t, 0))
    assert.are.same({ 42, 'x', 'null', 'LET' }, row(t, 1))
  end)

  it('take no text that is not UTF-8, which a script makes by cutting a character', function()
    local t = fold("row.s = event.data.s:sub(1, event.data.n)")
    run(t, { event(1, '"s":"Zoë","n":4') })
    assert.are.equal('Zoë', row(t, 0)[2])
    t:rows { event(1, '"s":"Zoë","n":3') }
    assert.has_error(function() t:fold() end)
    local _, why = pcall(t.fold, t)
    assert.is_truthy(tostring(why):find('a.s: the text is not UTF-8', 1, true))
  end)

  it('are run again from the loaded state, however far a run came', function()
    local t = fold("row.n = row.n + 1 row.s = 'touched' if event.data.x then row:delete() end")
    t:rows { event(1), event(2), event(2), event(3, '"x":1') }
    t:given(1, core.int(40), core.text('x'), core.null())
    t:given(2, core.int(9), core.text('y'), core.null())
    for _ = 1, 3 do
      C.rows_restart(t.c_rows)
      assert.are.same({ 'missing', 'missing', 'missing', '' }, row(t, 0))
      assert.are.same({ 40, 'x', 'null', 'LE' }, row(t, 1))
      assert.are.same({ 9, 'y', 'null', 'LE' }, row(t, 2))
      t:fold()
      assert.are.same({ 42, 'touched', 'null', 'LET' }, row(t, 1))
      assert.are.same({ 'missing', 'missing', 'missing', 'LTC' }, row(t, 2))
    end
  end)

  it('forget what was loaded before they are loaded again', function()
    local t = fold('row.n = row.n + 1')
    t:rows { event(1) }
    t:given(0, core.int(40), core.text('x'), core.null())
    C.rows_unload(t.c_rows)
    C.rows_restart(t.c_rows)
    assert.are.same({ 'missing', 'missing', 'missing', '' }, row(t, 0))
    t:fold()
    assert.are.same({ 1, 'missing', 'missing', 'ET' }, row(t, 0))
  end)

  it('keep nothing of the batch before', function()
    local t = fold("row.n = row.n + 1 row.s = 'x'")
    for round = 1, 5 do
      local records = {}
      for i = 1, round % 2 == 1 and 600 or 2 do records[i] = event(i % 300 + round) end
      run(t, records)
      assert.are.equal(round % 2 == 1 and 300 or 2, t.view.n_rows)
      assert.are.same({ round % 2 == 1 and 2 or 1, 'x', 'missing', 'ET' }, row(t, 1))
    end
  end)

  it('are not made by an event that only reads', function()
    local t = run(fold('local _ = row.n'), { event(1) })
    assert.are.same({ 'missing', 'missing', 'missing', '' }, row(t, 0))
  end)
end)

describe('rows that are deleted and made anew', function()
  local BODY = [[
    local x = event.data.x
    if x == 'delete' then row:delete() elseif x == 'reset' then row:reset()
    else row.n = row.n + 1 row.d = x end]]

  local function after(...)
    local t, records = fold(BODY), {}
    for i, x in ipairs { ... } do
      records[i] = event(1, type(x) == 'number' and '"x":' .. x or '"x":"' .. x .. '"')
    end
    t:rows(records)
    t:given(0, core.int(7), core.text('old'), core.int(5))
    t:fold()
    return row(t, 0)
  end

  it('hold initial values and what was assigned since, and nothing older', function()
    assert.are.same({ 8, 'old', 2.5, 'LET' }, after(2.5))
    assert.are.same({ 'missing', 'missing', 'missing', 'LTC' }, after('delete'))
    assert.are.same({ 1, 'missing', 2.5, 'LETC' }, after('delete', 2.5))
    assert.are.same({ 2, 'missing', 3.5, 'LETC' }, after(1.5, 'delete', 2.5, 3.5))
    assert.are.same({ 'missing', 'missing', 'missing', 'LTC' }, after('delete', 1.5, 'delete'))
  end)

  it('a reset sets every column, to NULL where nothing is declared', function()
    assert.are.same({ 0, 'null', 'null', 'LET' }, after(1.5, 'reset'))
    assert.are.same({ 1, 'null', 2.5, 'LET' }, after('reset', 2.5))
  end)
end)

describe('rows_changed', function()
  local BODY = 'row.n, row.s, row.d = event.data.n, event.data.s, event.data.d'

  local function changed(rest)
    local t = fold(BODY)
    t:rows { event(1, rest) }
    t:given(0, core.int(7), core.text('x'), core.number('5.10'))
    t:fold()
    return C.rows_changed(t.c_rows, 0)
  end

  it('is false when every column holds what it held', function()
    assert.is_false(changed '"n":7,"s":"x","d":5.1')
    assert.is_false(changed '"n":7,"s":"x","d":"5.1000"')
  end)
  it('is true for another value, for NULL, and for a text that goes on', function()
    for _, rest in ipairs { '"n":8,"s":"x","d":5.1', '"n":7,"s":"y","d":5.1',
                            '"n":7,"s":"x","d":5.11', '"n":7,"s":"x"', '"n":7,"s":"xy","d":5.1',
                            '"n":7,"s":"","d":5.1' } do
      assert.is_true(changed(rest), rest)
    end
  end)
  it('sees a change there and back as none', function()
    local t = fold 'row.n = row.n + event.data.n'
    t:rows { event(1, '"n":5'), event(1, '"n":-5') }
    t:given(0, core.int(7), core.text('x'), core.null())
    t:fold()
    assert.is_false(C.rows_changed(t.c_rows, 0))
    assert.are.equal('LET', row(t, 0)[4])
  end)
end)

describe('rows_last_event', function()
  it('is the last good event that entered the row', function()
    local t = run(fold 'row.n = 1', { event(1), event(2), event(1), event(1) })
    assert.are.equal(3, C.rows_last_event(t.c_rows, 0))
    assert.are.equal(1, C.rows_last_event(t.c_rows, 1))
    t.c_rows.events.states[3] = C.TM_EVENT_FAILED
    assert.are.equal(2, C.rows_last_event(t.c_rows, 0))
    t.c_rows.events.states[1] = C.TM_EVENT_CUT
    assert.are.equal(-1, C.rows_last_event(t.c_rows, 1))
  end)
  it('is the event of an appended row', function()
    local t = run(flow.trial("table = 'a', append = true, columns = { n = 'bigint' }, "
      .. 'on = function(row, event) if event.data.id == 2 then return false end row.n = 1 end'),
      { event(1), event(2), event(3), event(4) })
    assert.are.equal(3, t.view.n_rows)
    assert.are.same({ 0, 2, 3 }, { C.rows_last_event(t.c_rows, 0),
      C.rows_last_event(t.c_rows, 1), C.rows_last_event(t.c_rows, 2) })
  end)
end)

describe('rows of a merge', function()
  local function merge(records)
    return run(flow.trial("table = 'a', key = { id = { 'bigint', from = 'data.id' } }, "
      .. "columns = { n = 'bigint', s = 'text', d = 'numeric(10,2)' }, "
      .. "merge = { n = 'sum', s = 'min', d = 'max' }, on = function(row, event) "
      .. 'row.n, row.s, row.d = event.data.n, event.data.s, event.data.d end'), records)
  end

  it('add up what each event gives, behind a scratch row', function()
    local t = merge { event(1, '"n":5,"s":"b","d":1.5'), event(2, '"n":1,"s":"z","d":9'),
                      event(1, '"n":-7,"s":"a","d":12.25'), event(1, '"n":4,"s":"ab","d":-3') }
    assert.are.equal('0>1 1>2 2>1 3>1', t:pairs())
    assert.are.same({ 2, 'a', 12.25, 'ET' }, row(t, 1))
    assert.are.same({ 1, 'z', 9, 'ET' }, row(t, 2))
    assert.are.same({ 'missing', 'missing', 'missing', '' }, row(t, 0))
  end)
  it('add up doubles', function()
    local t = run(flow.trial("table = 'a', key = { id = { 'bigint', from = 'data.id' } }, "
      .. "columns = { n = 'double precision', s = 'real' }, merge = { n = 'sum', s = 'sum' }, "
      .. 'on = function(row, event) row.n, row.s = event.data.n, event.data.n end'),
      { event(1, '"n":0.5'), event(1, '"n":2.25'), event(1, '"n":-8') })
    assert.are.same({ -5.25, -5.25 }, { t.view.cells[1][1].d, t.view.cells[2][1].d })
  end)
  it('leave out NULL and what no event gave', function()
    local t = merge { event(1, '"n":null,"s":"b"'), event(1, '"n":3') }
    local got = row(t, 1)
    assert.are.same({ 3, 'b' }, { got[1], got[2] })
    assert.is_true(got[3] == 'null' or got[3] == 'missing')
  end)
end)

describe('tm_cell_compare', function()
  it('orders numbers, texts and doubles by value', function()
    local cases = {
      { core.int(-5), core.int(3) }, { core.int(2), core.number('2.5') },
      { core.number('-0.01'), core.int(0) }, { core.text('a'), core.text('aa') },
      { core.text('B'), core.text('a') }, { core.text('z'), core.text('é') },
      { core.double(-1e300), core.double(1e-300) },
      { core.double(1 / 0), core.double(0 / 0) },
      { core.int(5), core.number('12345678901234567890.5') },
    }
    for i, case in ipairs(cases) do
      assert.is_true(C.tm_cell_compare(case[1], case[2]) < 0, 'case ' .. i)
      assert.is_true(C.tm_cell_compare(case[2], case[1]) > 0, 'case ' .. i)
      assert.are.equal(0, C.tm_cell_compare(case[1], case[1]))
    end
    assert.are.equal(0, C.tm_cell_compare(core.number('1.50'), core.number('1.5')))
  end)
end)
