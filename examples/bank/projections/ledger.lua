-- An append: one row for each event that moves money.
return projection {
  table = 'ledger',
  append = true,
  columns = {
    event = 'text',
    account = 'uuid',
    kind = 'text',
    amount = 'numeric(18,2)',
    at = 'timestamptz',
  },
  on = {
    MoneyDeposited = function(row, event)
      row.event, row.account, row.at = event.id, event.key, event.time
      row.kind, row.amount = 'deposit', event.data.amount
    end,
    MoneyWithdrawn = function(row, event)
      row.event, row.account, row.at = event.id, event.key, event.time
      row.kind, row.amount = 'withdrawal', -event.data.amount
    end,
  },
  ignore = { 'AccountCreated', 'AccountClosed' },
}
