-- A map of many columns, of which each record assigns those that its mask says; and
-- one that is read from a field whose name the record says.
local WIDTH = 16
local columns = { price = 'bigint' }
for i = 1, WIDTH do columns['c' .. i] = 'bigint' end

return projection {
  table = 'wide',
  key = { id = { 'bigint', from = 'key' } },
  columns = columns,
  map = function(row, event)
    local data, mask = event.data, event.data.mask or 0
    for i = 1, WIDTH do
      if mask % 2 == 1 then row['c' .. i] = data.seq end
      mask = math.floor(mask / 2)
    end
    if data.name then row.price = data.prices[data.name] end
  end,
}
