-- What `tidemill dev` sends. The nth event depends on n and random alone, so
-- that every run is the same.
local ACCOUNTS = 1000

local function event(account, type, data)
  return {
    topic = 'outbox.event.account',
    key = ('%08x-0000-4000-8000-%012x'):format(account, account),
    headers = { eventType = type },
    value = data,
  }
end

return {
  topics = { ['outbox.event.account'] = { partitions = 4 } },
  rate = 2000, -- events a second; leave it out for as fast as possible
  next = function(n, random)
    if n <= ACCOUNTS then
      return event(n, 'AccountCreated', ('{"owner":"owner-%03d"}'):format(n % 100))
    end
    local type = random(1, 100) <= 60 and 'MoneyDeposited' or 'MoneyWithdrawn'
    local amount = ('{"amount":%d.%02d}'):format(random(0, 500), random(0, 99))
    return event(random(1, ACCOUNTS), type, amount)
  end,
}
