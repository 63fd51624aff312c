-- From rows to statements: rows that are too large for one go in several of the
-- same kind, and each goes once.
local flow = require 'spec.core.flow'
local ffi = require 'ffi'
local core = require 'spec.core.core'
local C = core.lib

core.headers('flow/table/writer.h')

-- A connection that is gone counts what is queued, and sends nothing.
local function gone_connection()
  local loop = ffi.gc(C.loop_new(), C.loop_free)
  local target = ffi.new('struct pgtarget', { conninfo = 'no such thing', application_name = 'spec' })
  local on_state = ffi.cast('pgconn_state_fn', function() C.loop_stop(loop) end)
  local conn = C.pgconn_open(loop, target, on_state, nil)
  C.loop_run(loop)
  assert.are.equal(C.PGCONN_DEAD, C.pgconn_state(conn))
  return conn, function()
    C.pgconn_free(conn)
    on_state:free()
    assert(target)
  end
end

local TABLES = {
  append = "table = 'a', append = true, columns = { s = 'text' }, on = function(row, event) row.s = event.data.s end",
  map = "table = 'a', key = { id = 'text' }, columns = { s = 'text' }, map = function(row, event) row.s = event.data.s end",
}

-- Statements and rows of a batch of texts of these lengths; [most]: bytes of one
-- statement.
local function written(kind, lengths, most)
  local t, records = flow.trial(TABLES[kind]), {}
  for i, n in ipairs(lengths) do
    records[i] = { 'k' .. i, ('{"id":"k%d","s":"%s"}'):format(i, ('x'):rep(n)) }
  end
  assert(t:rows(records))
  t:fold()
  local conn, close = gone_connection()
  local w = ffi.new('struct writer')
  w.statement_bytes = most
  C.writer_begin(w)
  C.writer_write(w, t.c_rows, 1, conn)
  close()
  assert.are.equal(w.n_written, t.c_rows.n_written)
  return t.c_rows.n_answers, w.n_written
end

describe('a statement', function()
  it('has all rows of its kind while they fit', function()
    for kind in pairs(TABLES) do
      assert.are.same({ 1, 4 }, { written(kind, { 100, 100, 100, 100 }, 1000) }, kind)
      assert.are.same({ 1, 4 }, { written(kind, { 100, 100, 100, 100 }, 0) }, kind)
    end
  end)
  it('is several when they do not, and each row is in one of them', function()
    for kind in pairs(TABLES) do
      assert.are.same({ 2, 4 }, { written(kind, { 100, 100, 100, 100 }, 300) }, kind)
      assert.are.same({ 4, 4 }, { written(kind, { 100, 100, 100, 100 }, 150) }, kind)
      assert.are.same({ 3, 5 }, { written(kind, { 900, 1, 1, 1, 1 }, 300) }, kind)
    end
  end)
  it('has one row at least, however large it is', function()
    for kind in pairs(TABLES) do
      assert.are.same({ 1, 1 }, { written(kind, { 5000 }, 10) }, kind)
      assert.are.same({ 3, 3 }, { written(kind, { 5000, 5000, 5000 }, 10) }, kind)
    end
  end)
end)
