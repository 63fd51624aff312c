-- A batch function: it has all tables at once. The key of accounts does not
-- say where it is `from`, so their rows are asked for by key.
return projection {
  tables = {
    accounts = {
      key = { id = 'text' },
      columns = { balance = 'numeric(18,2)', bookings = 'bigint' },
      initial = { balance = 0, bookings = 0 },
    },
    ledger = {
      append = true,
      columns = {
        transfer = 'text',
        account = 'text',
        amount = 'numeric(18,2)',
        balance = 'numeric(18,2)',
      },
    },
  },
  batch = function(batch, tables)
    local function book(event, id, amount)
      local row = tables.accounts:row(id)
      row.balance, row.bookings = row.balance + amount, row.bookings + 1
      tables.ledger:insert { transfer = event.id, account = id, amount = amount,
        balance = row.balance }
    end

    for event in batch:events() do
      local transfer = event.data
      if transfer.from then book(event, transfer.from, -transfer.amount) end
      book(event, transfer.to, transfer.amount)
    end
  end,
  examples = {
    {
      given = { accounts = { { id = 'ann', balance = 10 } } },
      events = { { data = { from = 'ann', to = 'bob', amount = 4 } } },
      rows = {
        accounts = { { id = 'ann', balance = '6.00' }, { id = 'bob', balance = '4.00' } },
        ledger = { { account = 'ann', amount = '-4.00' }, { account = 'bob' } },
      },
    },
  },
}
