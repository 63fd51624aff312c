-- A merge: PostgreSQL adds up what each event contributes, so accounts of one
-- owner may be on different lanes without waiting for each other.
return projection {
  table = 'totals',
  key = { owner = { 'text', from = 'data.owner' } },
  columns = {
    accounts = 'bigint',
    deposits = 'bigint',
    deposited = 'numeric(18,2)',
    biggest = 'numeric(18,2)',
  },
  merge = { accounts = 'sum', deposits = 'sum', deposited = 'sum', biggest = 'max' },
  on = {
    AccountCreated = function(row)
      row.accounts = 1
    end,
    MoneyDeposited = function(row, event)
      row.deposits = 1
      row.deposited = event.data.amount
      row.biggest = event.data.amount
    end,
  },
  ignore = { 'MoneyWithdrawn', 'AccountClosed' },
}
