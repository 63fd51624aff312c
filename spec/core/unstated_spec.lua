-- What kafka{} leaves unsaid halts the lane, whichever road a value takes to its
-- column; no record is blamed.
local batches = require 'spec.core.batches'
local bundles = require 'spec.unit.bundles'
local core = require 'spec.core.core'
local ffi = require 'ffi'
local C = core.lib

local FAILURE = ffi.new('struct err')

local RECORD = '{"id":"a","at":1700000000,"b":"deadbeef"}'
local AT = "key = { id = 'text' }, columns = { at = 'timestamptz' }, on = function(row, event) %s end"

local ROADS = {
  ['a handler of a fold'] = AT:format 'row.at = event.data.at',
  ['a handler of an append'] = "append = true, columns = { at = 'date' }, on = function(row, event) row.at = event.data.at end",
  ['a merge'] = "key = { id = 'text' }, merge = { at = 'max' }, columns = { at = 'timestamp' }, on = function(row, event) row.at = event.data.at end",
  ['a map'] = "map = function(row, event) row.at = event.data.at end, key = { id = 'text' }, columns = { at = 'time' }",
  ['a version'] = "once = { at = 'data.at' }, key = { id = 'text' }, columns = { at = 'timestamptz', n = 'bigint' }, "
    .. 'on = function(row) row.n = 1 end',
  ['a key'] = "key = { at = { 'timestamptz', from = 'data.at' } }, columns = { n = 'bigint' }, on = function(row) row.n = 1 end",
  ['one of several keys'] = "key = { at = { 'date', from = { 'data.none', 'data.at' } } }, columns = { n = 'bigint' }, "
    .. 'on = function(row) row.n = 1 end',
  ['a key that is a function'] = "key = { at = { 'date', from = function(event) return event.data.at end } }, columns = { n = 'bigint' }, "
    .. 'on = function(row) row.n = 1 end',
  ['bytes in a handler'] = "append = true, columns = { b = 'bytea' }, on = function(row, event) row.b = event.data.b end",
  ['bytes in a key'] = "key = { b = { 'bytea', from = 'data.b' } }, columns = { n = 'bigint' }, on = function(row) row.n = 1 end",
  ['a row of a batch function'] = "tables = { t = { key = { id = 'text' }, columns = { at = 'timestamptz' } } }, batch = function(batch, tables) "
    .. 'for event in batch:events() do tables.t:row(event.data.id).at = event.data.at end end',
  ['a key of a batch function'] = "tables = { t = { key = { at = 'date' }, columns = { n = 'bigint' } } }, batch = function(batch, tables) "
    .. 'for event in batch:events() do tables.t:row(event.data.at).n = 1 end end',
  ['a batch function outside of its loops'] = "tables = { t = { key = { id = 'text' }, columns = { at = 'timestamptz' } } }, "
    .. 'batch = function(batch, tables) local at for event in batch:events() do at = event.data.at end '
    .. "tables.t:row('x').at = at end",
}

local function batch_of(projection, words)
  return batches.open(bundles.pipeline('projection { ' .. (projection:find('^tables') and '' or "table = 't', ") .. projection .. ' }',
    "kafka { brokers = 'b', group = 'g', topics = { 't' }, format = 'json'" .. words .. ' }'))
end

-- Rows that a batch function asks for are not there: what it does counts in the
-- run that knows it.
local function run(batch)
  batch:begin({ { RECORD } }):decode()
  C.batch_keys(batch.c)
  C.batch_try(batch.c)
  local r = batch.c.rows[0]
  if r.table_set ~= nil then C.rows_unload(r) r.n_known = r.view.n_rows end
  assert(C.batch_fold(batch.c, FAILURE))
  C.batch_set_ends(batch.c)
end

describe('a value of which kafka{} does not say what it means', function()
  for road, projection in pairs(ROADS) do
    it('halts the lane by ' .. road, function()
      local batch = batch_of(projection, '')
      run(batch)
      assert.are.equal('-', batch:states())
      assert.are.equal(C.ERR_CONFIG, batch:class(0))
      assert.is_truthy(batch:reason(0):find(road:find('bytes') and "state binary = 'base64' or 'hex' in kafka{}"
        or "has no stated unit: write times = 'seconds', 'millis', 'micros' or 'nanos' in kafka{}", 1, true), batch:reason(0))
      batch:forget():close()
      -- A `time` holds no such number of seconds.
      batch = batch_of(projection, road == 'a map' and ", times = 'micros'" or ", times = 'seconds', binary = 'hex'")
      run(batch)
      assert.are.equal('.', batch:states())
      batch:forget():close()
    end)
  end
end)
