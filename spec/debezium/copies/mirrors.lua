-- Mirrors of the shop's tables, the same for every connector that tells them.
local M = {}

function M.accounts(connector)
  return projection {
    table = 'accounts_' .. connector,
    topics = { connector .. '.public.accounts' },
    mirror = true,
    key = { id = 'bigint' },
    columns = {
      owner = 'text',
      balance = 'numeric(18,2)',
      version = 'bigint',
      is_active = 'boolean',
      opened = 'date',
      seen_at = 'timestamptz',
      note = 'text',
      email = 'text',
    },
  }
end

function M.stock(connector)
  return projection {
    table = 'stock_' .. connector,
    topics = { connector .. '.public.stock' },
    mirror = true,
    key = { warehouse = 'integer', sku = 'text' },
    columns = { qty = 'integer', price = 'numeric(10,4)' },
  }
end

-- A table that is emptied now and then.
function M.visits(connector)
  return projection {
    table = 'visits_' .. connector,
    topics = { connector .. '.public.visits' },
    mirror = true,
    key = { id = 'bigint' },
    columns = { page = 'text' },
  }
end

return M
