-- What the events of the outbox add up to, the same for both ways on which they
-- come. The connector repeats some of them, and each counts once.
local M = {}

function M.balances(name, topic)
  return projection {
    table = 'balances_' .. name,
    topics = { topic },
    key = { id = { 'bigint', from = 'key' } },
    columns = {
      owner = 'text',
      balance = 'numeric(18,2)',
      is_open = 'boolean',
      version = 'bigint',
    },
    initial = { balance = 0, is_open = true, version = 0 },
    once = { version = 'data.version' },
    on = function(row, event)
      row.owner = event.data.owner
      row.balance = row.balance + event.data.amount
      row.is_open = event.type ~= 'AccountClosed'
    end,
  }
end

function M.ledger(name, topic)
  return projection {
    table = 'ledger_' .. name,
    topics = { topic },
    append = true,
    once = 'event',
    columns = {
      event = 'uuid',
      account = 'bigint',
      kind = 'text',
      amount = 'numeric(18,2)',
    },
    on = function(row, event)
      row.event, row.account, row.kind = event.id, event.key, event.type
      row.amount = event.data.amount
    end,
  }
end

-- What all accounts of an owner moved. They are on several lanes, so no version
-- tells what was repeated, and the events that were counted are kept.
function M.totals(topic)
  return projection {
    topics = { topic },
    tables = {
      counted = { key = { event = 'uuid' }, columns = { account = 'bigint' } },
      totals = {
        key = { owner = 'text' },
        columns = { n = 'bigint', moved = 'numeric(18,2)' },
        initial = { n = 0, moved = 0 },
      },
    },
    batch = function(batch, tables)
      for event in batch:events() do
        local counted = tables.counted:row(event.id)
        if counted.account == nil then
          counted.account = event.key
          local total = tables.totals:row(event.data.owner)
          total.n, total.moved = total.n + 1, total.moved + event.data.amount
        end
      end
    end,
  }
end

return M
