-- A merge: PostgreSQL adds up.
return projection {
  table = 'totals',
  key = { bucket = { 'text', from = 'data.bucket' } },
  columns = { n = 'bigint', amount = 'numeric(18,2)', last = 'bigint' },
  merge = { n = 'sum', amount = 'sum', last = 'max' },
  on = {
    moved = function(row, event)
      row.n, row.amount, row.last = 1, event.data.amount, event.data.seq
    end,
    noted = function(row, event)
      row.n, row.last = 1, event.data.seq
    end,
  },
}
