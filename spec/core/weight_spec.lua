-- How much a batch sends at once. Sizes are said, and not there: only lengths count.
local flow = require 'spec.core.flow'
local ffi = require 'ffi'
local core = require 'spec.core.core'
local C = core.lib

core.headers('flow/letters/letters.h', 'flow/run/kind.h', 'flow/run/weight.h')

local MB = 1000 * 1000

local MAP = "table = 'a', key = { id = 'text' }, columns = { s = 'text', n = 'bigint' }, map = function(row, event) row.s = 'x' end"
local APPEND = "table = 'a', append = true, columns = { s = 'text' }, on = function(row, event) row.s = 'x' end"
local MERGE = "table = 'a', key = { id = { 'text', from = 'data.id' } }, "
  .. "merge = { n = 'sum' }, columns = { n = 'bigint' }, on = function(row, event) row.n = 1 end"

local FOLD = "table = 'a', key = { id = 'text' }, columns = { n = 'bigint' }, initial = { n = 0 }, on = function(row) row.n = 1 end"

-- Of a batch whose texts in [column] have these sizes: true, or why not.
local function fits(projection, column, sizes, options)
  options = options or {}
  local t, records = flow.trial(projection), {}
  for i = 1, #sizes do records[i] = { 'k' .. i, ('{"id":"k%d"}'):format(i) } end
  assert(t:rows(records))
  t:fold()
  for i, size in ipairs(sizes) do t.view.cells[column][t.c_rows.first_row + i - 1].len = size end
  if options.spoil then options.spoil(t) end
  local plan, generation = ffi.new('struct plan'), ffi.new('struct generation')
  plan.limits.bytes = options.bytes or 8 * 1024 * 1024
  generation.plan = plan
  local batch, e = ffi.new('struct batch'), ffi.new('struct err')
  batch.generation, batch.input.stays = generation, true
  batch.input.events.n = options.records or #sizes
  batch.rows, batch.n_rows, batch.kind = t.c_rows, 1, C.batch_of_letters
  if options.keys then
    if C.weight_keys_fit(batch, e) then return true end
  elseif C.weight_fits(batch, C.letters_make(batch, batch.kind.header_at), e) then
    return true
  end
  assert.are.equal(tonumber(C.ERR_DATA), tonumber(e.class))
  return ffi.string(e.text)
end

describe('a batch', function()
  it('takes 128 MB of rows, and says what is heavy beyond', function()
    assert.is_true(fits(MAP, 1, { 60 * MB, 60 * MB }))
    assert.are.equal('the rows have 140000048 bytes to be sent, 140000010 of them in a.s; a transaction takes 134217728 at most',
      fits(MAP, 1, { 70 * MB, 70 * MB }))
    assert.is_true(fits(APPEND, 0, { 60 * MB, 60 * MB }))
    assert.matches('in a.s;', fits(APPEND, 0, { 70 * MB, 70 * MB }))
  end)
  it('takes twice its records, but no more than 512 MB', function()
    assert.is_true(fits(MAP, 1, { 150 * MB, 150 * MB }, { bytes = 160 * MB }))
    assert.matches('takes 536870912 at most', fits(MAP, 1, { 300 * MB, 300 * MB }, { bytes = 1000 * MB }))
  end)
  it('of one record takes what PostgreSQL does', function()
    assert.is_true(fits(MAP, 1, { 999 * MB }))
    assert.matches('takes 1000000000 at most', fits(MAP, 1, { 1001 * MB }))
    assert.matches('takes 1000000000 at most', fits(MAP, 1, { 600 * MB, 600 * MB }, { records = 1 }))
  end)
  it('asks for rows by as many bytes of keys', function()
    assert.is_true(fits(FOLD, 0, { 60 * MB, 60 * MB }, { keys = true }))
    assert.matches('in a.id;', fits(FOLD, 0, { 70 * MB, 70 * MB }, { keys = true }))
    assert.is_true(fits(FOLD, 0, { 999 * MB }, { keys = true }))
    assert.is_true(fits(MAP, 0, { 70 * MB, 70 * MB }, { keys = true })) -- loads nothing
  end)
  it('counts no cells of rows that no handler touched, nor those of the row that merges begin with', function()
    local function spoil(column)
      return function(t)
        local cell = t.view.cells[column][0]
        cell.tag, cell.len = C.TM_TEXT, 4000 * MB
      end
    end
    assert.is_true(fits(MERGE, 0, { 5, 5 }, { spoil = spoil(0) }))
    assert.is_true(fits(MAP, 1, { 5, 5 }, { spoil = function(t)
      spoil(1)(t)
      t.view.flags[0] = 0
    end }))
  end)
end)
