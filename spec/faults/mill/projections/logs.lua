-- A fold whose text grows by what a record says, until one clears it. Most records
-- say nothing, and make no row.
return projection {
  table = 'logs',
  key = { id = { 'bigint', from = 'key' } },
  columns = { log = 'text' },
  initial = { log = '' },
  on = {
    noted = function(row, event)
      if event.data.clears then
        row.log = ''
      elseif event.data.more then
        row.log = row.log .. event.data.more
      end
    end,
  },
  ignore = { 'moved' },
}
