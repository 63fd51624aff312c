return projection {
  table = 'copies',
  mirror = true,
  key = { id = 'bigint' },
  columns = {
    owner = 'text', balance = 'numeric(18,2)', note = 'text', seen_at = 'timestamptz',
  },
}
