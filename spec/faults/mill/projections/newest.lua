-- A map: the newest event of a key is its row.
return projection {
  table = 'newest',
  key = { id = { 'bigint', from = 'key' } },
  columns = { seq = 'bigint', note = 'text' },
  map = function(row, event)
    row.seq = event.data.seq
    row.note = event.data.note or event.type
  end,
}
