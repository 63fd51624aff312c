-- Columns are copied by name; a field that an event does not have, or that
-- Debezium left out because it did not change, stays as it is.
return projection {
  table = 'accounts_copy',
  mirror = true,
  key = { id = 'bigint' },
  columns = {
    owner = 'text',
    balance = 'numeric(18,2)',
    is_active = 'boolean',
    note = 'text',
    updated_at = 'timestamptz',
  },
}
