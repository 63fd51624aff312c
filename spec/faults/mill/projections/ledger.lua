-- An append: one row for each record that was applied.
return projection {
  table = 'ledger',
  append = true,
  columns = {
    partition = 'integer', record = 'bigint', seq = 'bigint', account = 'bigint',
    amount = 'numeric(18,2)', code = 'text',
  },
  on = function(row, event)
    row.partition, row.record, row.seq = event.partition, event.offset, event.data.seq
    row.account, row.amount, row.code = event.key, event.data.amount, event.data.code
  end,
}
