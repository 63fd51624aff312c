-- Tables of key columns alone: that there is a row is all that it says.
local batches = require 'spec.core.batches'
local bundles = require 'spec.unit.bundles'
local flow = require 'spec.core.flow'
local core = require 'spec.core.core'
local C = core.lib

local SOURCE = "kafka { brokers = 'b', group = 'g', topics = { 't' }, format = 'json', "
  .. "type = 'data.kind' }"

local function open(projection)
  return batches.open(bundles.pipeline('projection { ' .. projection .. ' }', SOURCE))
end

local function record(id, kind) return ('{"id":"%s","kind":"%s"}'):format(id, kind) end

-- The keys of rows that are there, and of those that are gone.
local function rows(batch)
  local view, out = batch.c.rows[0].view, {}
  for row = 0, view.n_rows - 1 do
    local flags = view.flags[row]
    local key = flow.value(view.cells[0][row])
    if bit.band(flags, C.TM_ROW_EXISTS) ~= 0 then
      out[#out + 1] = key
    elseif bit.band(flags, C.TM_ROW_CLEARED) ~= 0 then
      out[#out + 1] = '-' .. key
    end
  end
  table.sort(out)
  return table.concat(out, ' ')
end

local FOLD = "table = 't', key = { id = { 'text', from = 'data.id' } }, columns = {}, "
local COPY = "table = 't', key = { id = 'text' }, columns = {}, "

describe('a table without columns', function()
  local function each(projection, cases)
    local batch = open(projection)
    for _, case in ipairs(cases) do
      local list = {}
      for id, kind in case[1]:gmatch('(%w+) (%w+)') do list[#list + 1] = record(id, kind) end
      batch:forget():run({ list })
      assert.equal(case[2], rows(batch), case[1])
    end
    batch:forget():close()
  end

  it('has a row in a fold for each event that is handled and does not delete it', function()
    each(FOLD .. [[on = {
        see = function() end,
        ask = function(row) if row.exists then error('it is there') end end,
        gone = function(row) row:delete() end,
        anew = function(row) row:delete() row:reset() end,
        bad = function() error('no') end,
      }]], {
      { 'a see, b see, a see', 'a b' }, { 'a see, a gone', '-a' },
      { 'a gone, a see', 'a' }, { 'a see, a gone, b see, a see', 'a b' },
      { 'a anew', 'a' }, { 'a bad, b see', 'b' }, { 'a other', '' },
      { 'a ask, b ask, b ask', 'a b' },
    })
  end)

  it('has one in a map as well, whose delete is its own', function()
    each(COPY .. [[map = true, on = {
        see = function() end, gone = function(row) row:delete() end }]], {
      { 'a see, b see', 'a b' }, { 'a see, a gone', '-a' }, { 'a gone, a see', 'a' },
    })
  end)

  it('has one in a mirror', function()
    each(COPY .. 'mirror = true', { { 'a see, b see', 'a b' } })
  end)

  it('has one in a batch function that says so', function()
    each([[tables = { t = { key = { id = { 'text', from = 'data.id' } }, columns = {} } },
      batch = function(_, tables)
        for event, row in tables.t:events() do
          if event.type == 'see' then row:reset() else row:delete() end
        end
      end]], { { 'a see, b see', 'a b' }, { 'a see, a gone', '-a' } })
  end)
end)
