-- tidemill test examples/transfers
local t = require 'tidemill.testing'

local folder = debug.getinfo(1, 'S').source:match('^@(.*)/spec/') or '.'

local function transfer(from, to, amount)
  return { data = { from = from, to = to, amount = amount } }
end

describe('transfers', function()
  local bundle

  before_each(function() bundle = t.load(folder) end)

  it('move money between accounts, and are in the ledger of both', function()
    local result = bundle:split {
      events = {
        transfer(nil, 'ann', 10), transfer('ann', 'bob', 6), transfer('bob', 'cid', 5),
        transfer('ann', 'cid', 4),
      },
    }
    assert.equal('0.00', tostring(result:row('accounts', 'ann').balance))
    assert.equal('1.00', tostring(result:row('accounts', 'bob').balance))
    assert.equal(2, result:row('accounts', 'cid').bookings)
    assert.equal(7, #result:rows('ledger'))
  end)
end)
