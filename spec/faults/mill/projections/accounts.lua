-- An aligned fold. The trail depends on the order of events and on each being
-- there once, so a row tells of any loss, repetition or exchange.
local function step(row, event)
  if event.data.poison then error('this record is poison') end
  local x = 0
  for i = 1, event.data.spin or 0 do x = (x * 31 + i) % 2147483647 end
  row.n = row.n + 1
  row.trail = (row.trail * 31 + event.data.seq) % 2147483647
end

return projection {
  table = 'accounts',
  key = { id = { 'bigint', from = 'key' } },
  columns = { n = 'bigint', balance = 'numeric(18,2)', trail = 'bigint' },
  initial = { n = 0, balance = 0, trail = 7 },
  on = {
    moved = function(row, event)
      step(row, event)
      row.balance = row.balance + event.data.amount
    end,
    noted = step,
  },
}
