-- A fold: one row an account, carried from event to event.
return projection {
  table = 'balances',
  key = { id = { 'uuid', from = 'key' } },
  columns = {
    owner = 'text',
    balance = 'numeric(18,2)',
    is_active = 'boolean',
    version = 'bigint',
  },
  initial = { balance = 0, is_active = true, version = 0 },
  on = {
    AccountCreated = function(row, event)
      row.owner = event.data.owner
      row.balance = event.data.initial_balance
      row.version = row.version + 1
    end,
    MoneyDeposited = function(row, event)
      row.balance = row.balance + event.data.amount
      row.version = row.version + 1
    end,
    MoneyWithdrawn = function(row, event)
      row.balance = row.balance - event.data.amount
      row.version = row.version + 1
    end,
    AccountClosed = function(row)
      row.is_active = false
      row.version = row.version + 1
    end,
  },
}
