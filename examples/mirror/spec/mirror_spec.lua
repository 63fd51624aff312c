-- tidemill test examples/mirror
local t = require 'tidemill.testing'

local folder = debug.getinfo(1, 'S').source:match('^@(.*)/spec/') or '.'

describe('the mirror', function()
  local mirror

  before_each(function() mirror = t.load(folder) end)

  local function change(op, after)
    return { key = { id = 7 }, op = op, after = after }
  end

  local inserted = change('c', {
    id = 7, owner = 'ann', balance = '12.34', is_active = true, note = 'long',
    updated_at = '2026-01-02T03:04:05.000006Z',
  })

  it('copies columns by name', function()
    local row = mirror:run { events = { inserted } }:row('accounts_copy', 7)
    assert.equal('ann', row.owner)
    assert.equal('12.34', tostring(row.balance))
    assert.is_true(row.is_active)
    assert.equal('2026-01-02T03:04:05.000006Z', row.updated_at)
  end)

  it('leaves alone what Debezium left out because it did not change', function()
    local row = mirror:run {
      events = {
        inserted,
        change('u', {
          id = 7, owner = 'ann', balance = '1.00', note = '__debezium_unavailable_value',
        }),
      },
    }:row('accounts_copy', 7)
    assert.equal('1.00', tostring(row.balance))
    assert.equal('long', row.note)
  end)

  it('deletes a row, and ignores the tombstone after it', function()
    local result = mirror:run {
      events = {
        inserted,
        { key = { id = 7 }, op = 'd', before = { id = 7 } },
        { key = { id = 7 }, tombstone = true },
      },
    }
    assert.is_nil(result:row('accounts_copy', 7))
  end)

  it('brings back a row that is inserted again', function()
    local result = mirror:run {
      events = {
        inserted,
        { key = { id = 7 }, op = 'd', before = { id = 7 } },
        change('c', { id = 7, owner = 'bob' }),
      },
    }
    local row = result:row('accounts_copy', 7)
    assert.equal('bob', row.owner)
    assert.is_nil(row.note)
  end)
end)
