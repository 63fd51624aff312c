-- Runs the projections on the decoder and the rows of production, without
-- Kafka and PostgreSQL: tidemill test .
local t = require 'tidemill.testing'

local folder = debug.getinfo(1, 'S').source:match('^@(.*)/spec/') or '.'
local ANN = '11111111-1111-4111-8111-111111111111'

local function event(type, data)
  return { type = type, key = ANN, data = data or {} }
end

describe('balances', function()
  local bundle ---@type tidemill.TestBundle

  before_each(function() bundle = t.load(folder) end)

  it('carries an account from its creation on', function()
    local result = bundle:run {
      events = {
        event('AccountCreated', { owner = 'Ann' }),
        event('MoneyDeposited', { amount = t.decimal('10.50') }),
        event('MoneyWithdrawn', { amount = t.decimal('0.25') }),
      },
    }
    local row = result:row('balances', ANN)
    assert.equal('Ann', row.owner)
    assert.equal('10.25', tostring(row.balance))
    assert.is_true(row.is_open)
  end)

  it('goes on from the row that the table holds', function()
    local result = bundle:run {
      given = { balances = { { id = ANN, owner = 'Ann', balance = 5, is_open = true } } },
      events = { event('AccountClosed') },
    }
    local row = result:row('balances', ANN)
    assert.equal('5.00', tostring(row.balance))
    assert.is_false(row.is_open)
  end)

  -- Batches are cut anywhere: every split has to give the same rows.
  it('does not depend on how events are split into batches', function()
    bundle:split {
      events = {
        event('AccountCreated', { owner = 'Ann' }),
        event('MoneyDeposited', { amount = 1 }),
        event('MoneyDeposited', { amount = 2 }),
      },
    }
  end)
end)
