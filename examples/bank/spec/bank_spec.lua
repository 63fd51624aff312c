-- tidemill test examples/bank
local t = require 'tidemill.testing'

local folder = debug.getinfo(1, 'S').source:match('^@(.*)/spec/') or '.'
local ANN = '11111111-1111-4111-8111-111111111111'
local BOB = '22222222-2222-4222-8222-222222222222'

local function event(key, type, data)
  return { key = key, type = type, id = type .. ' of ' .. key, data = data }
end

local function created(key, owner, balance)
  return event(key, 'AccountCreated', { owner = owner, initial_balance = balance })
end

local function deposited(key, owner, amount)
  return event(key, 'MoneyDeposited', { owner = owner, amount = amount })
end

local function withdrawn(key, owner, amount)
  return event(key, 'MoneyWithdrawn', { owner = owner, amount = amount })
end

describe('the bank', function()
  local bank

  before_each(function() bank = t.load(folder) end)

  it('carries a balance through the life of an account', function()
    local result = bank:run {
      events = {
        created(ANN, 'ann', t.decimal '10.00'),
        deposited(ANN, 'ann', t.decimal '5.10'),
        withdrawn(ANN, 'ann', 3),
        event(ANN, 'AccountClosed', { owner = 'ann' }),
      },
    }
    local row = result:row('balances', ANN)
    assert.equal('ann', row.owner)
    assert.equal('12.10', tostring(row.balance))
    assert.is_false(row.is_active)
    assert.equal(4, row.version)
  end)

  it('goes on from the row that the table holds', function()
    local result = bank:run {
      given = { balances = { { id = ANN, owner = 'ann', balance = 7, version = 3 } } },
      events = { deposited(ANN, 'ann', t.decimal '0.50') },
    }
    local row = result:row('balances', ANN)
    assert.equal('7.50', tostring(row.balance))
    assert.equal(4, row.version)
  end)

  it('takes a deposit into an account that it has not seen yet', function()
    local row = bank:run { events = { deposited(ANN, 'ann', 1) } }:row('balances', ANN)
    assert.equal('1.00', tostring(row.balance))
    assert.is_true(row.is_active)
    assert.equal(1, row.version)
  end)

  it('keeps a ledger line for each event that moves money', function()
    local lines = bank:run {
      events = {
        created(ANN, 'ann', 10), deposited(ANN, 'ann', 5), withdrawn(ANN, 'ann', 2),
      },
    }:rows('ledger')
    assert.equal(2, #lines)
    assert.equal('deposit', lines[1].kind)
    assert.equal('5.00', tostring(lines[1].amount))
    assert.equal('MoneyDeposited of ' .. ANN, lines[1].event)
    assert.equal('withdrawal', lines[2].kind)
    assert.equal('-2.00', tostring(lines[2].amount))
  end)

  it('adds up what an owner put into all accounts', function()
    local row = bank:run {
      events = {
        created(ANN, 'ann', 0), created(BOB, 'ann', 0),
        deposited(ANN, 'ann', 5), deposited(BOB, 'ann', 7), withdrawn(ANN, 'ann', 1),
      },
    }:row('totals', 'ann')
    assert.equal(2, row.accounts)
    assert.equal(2, row.deposits)
    assert.equal('12.00', tostring(row.deposited))
    assert.equal('7.00', tostring(row.biggest))
  end)

  -- Batches are cut anywhere: every split has to give the same rows.
  it('does not depend on how events are split into batches', function()
    bank:split {
      events = {
        created(ANN, 'ann', 10), deposited(ANN, 'ann', 1), created(BOB, 'bob', 0),
        deposited(BOB, 'bob', 2), withdrawn(ANN, 'ann', 3), deposited(BOB, 'bob', 4),
        event(ANN, 'AccountClosed', { owner = 'ann' }),
      },
    }
  end)
end)
