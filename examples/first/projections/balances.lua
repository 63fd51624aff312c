-- A fold: one row an account, carried from event to event. Handlers are pure:
-- no clock, no random numbers, no globals; `event.time` is the time.
return projection {
  table = 'balances',

  -- The row that an event enters: here the record's own key.
  key = { id = { 'uuid', from = 'key' } },
  columns = { owner = 'text', balance = 'numeric(18,2)', is_open = 'boolean' },
  initial = { balance = 0, is_open = true },

  on = {
    AccountCreated = function(row, event)
      row.owner = event.data.owner
    end,
    -- Amounts are exact decimals, never floating point.
    MoneyDeposited = function(row, event)
      row.balance = row.balance + event.data.amount
    end,
    MoneyWithdrawn = function(row, event)
      row.balance = row.balance - event.data.amount
    end,
    AccountClosed = function(row)
      row.is_open = false
    end,
  },

  -- Types that are known not to matter here; others are logged once.
  ignore = { 'AccountRenamed' },
}
