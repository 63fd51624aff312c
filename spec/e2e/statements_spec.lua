-- The statements that a session of ours keeps prepared, as PostgreSQL shows them.
local ffi = require 'ffi'
local core = require 'spec.core.core'
local C = core.lib

core.headers('base/err.h', 'base/loop.h', 'model/type.h', 'model/plan.h',
  'postgres/wire/conn.h')
jit.off() -- what calls back

local loop, target = C.loop_new(), ffi.new('struct pgtarget')
local url = core.bytes(os.getenv 'TIDEMILL_PG' .. '/postgres\0')
target.conninfo, target.application_name = url, 'spec'
target.timeouts.connect_ms, target.timeouts.statement_ms = 5000, 5000

local last
local stop = ffi.cast('pgconn_state_fn', function() C.loop_stop(loop) end)
local done = ffi.cast('pgconn_fn', function(_, reply)
  local r = reply.results[reply.n_results - 1]
  last = reply.ok and ffi.string(C.pg_str(r, 0, 0)) or ffi.string(reply.error.text)
  C.loop_stop(loop)
end)

local NAMES = "SELECT coalesce(string_agg(statement, '; ' ORDER BY statement), '') "
  .. 'FROM pg_prepared_statements'

-- Runs { text, series or nil } each; the texts that are prepared afterwards.
local function prepared(conn, ...)
  for _, one in ipairs { ... } do
    local sql = type(one) == 'table' and one[1] or one
    C.pgconn_add_series(conn, sql, type(one) == 'table' and one[2] or 0, nil)
  end
  C.pgconn_add_sql(conn, NAMES)
  C.pgconn_flush(conn, 5000000, done, nil)
  C.loop_run(loop)
  return last
end

local function connected()
  local conn = C.pgconn_open(loop, target, stop, nil)
  C.loop_run(loop)
  assert.are.equal(C.PGCONN_IDLE, C.pgconn_state(conn),
    ffi.string(C.pgconn_error(conn).text))
  finally(function() C.pgconn_free(conn) end)
  return conn
end

describe('a session', function()
  it('prepares each text once, whoever says it, and of a series the last one', function()
    local conn = connected()
    assert.are.equal('SELECT 1; SELECT 2',
      prepared(conn, 'SELECT 1', 'SELECT 2', 'SELECT 1'))
    assert.are.equal('SELECT 1; SELECT 2', prepared(conn, 'SELECT 2'))
    assert.are.equal('SELECT 1; SELECT 2; SELECT 3', prepared(conn, { 'SELECT 3', 1 }))
    assert.are.equal('SELECT 1; SELECT 2; SELECT 4', prepared(conn, { 'SELECT 4', 1 }))
    assert.are.equal('SELECT 1; SELECT 2; SELECT 4; SELECT 5',
      prepared(conn, { 'SELECT 5', 2 }))
  end)

  it('forgets what nobody used between two sweeps, though one of them fails', function()
    local conn = connected()
    prepared(conn, 'SELECT 1', 'SELECT 2', 'SELECT 3')
    target.n_sweeps = target.n_sweeps + 1
    assert.are.equal('SELECT 1; SELECT 2; SELECT 3', prepared(conn, 'SELECT 1'))
    target.n_sweeps = target.n_sweeps + 1
    assert.is_truthy(prepared(conn, 'SELECT 1/0'):find 'division by zero')
    assert.are.equal('SELECT 1; SELECT 1/0', prepared(conn, 'SELECT 1'))
    assert.are.equal('SELECT 1; SELECT 1/0; SELECT 2', prepared(conn, 'SELECT 2'))
  end)
end)
