-- A shared fold: every lane wants the same few rows.
return projection {
  table = 'owners',
  key = { owner = { 'text', from = 'data.owner' } },
  columns = { n = 'bigint', balance = 'numeric(18,2)', biggest = 'numeric(18,2)' },
  initial = { n = 0, balance = 0, biggest = 0 },
  on = {
    moved = function(row, event)
      local amount = event.data.amount
      row.n = row.n + 1
      row.balance = row.balance + amount
      if amount > row.biggest then row.biggest = amount end
    end,
  },
  ignore = { 'noted' },
}
