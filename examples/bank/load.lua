-- What `tidemill dev` feeds this pipeline with: accounts are opened, used and
-- now and then closed. The nth event depends on n and random alone.
local ACCOUNTS, OWNERS = 20000, 500

local function uuid(account)
  return ('%08x-0000-4000-8000-%012x'):format(account, account)
end

local function owner(account)
  return ('owner-%03d'):format(account % OWNERS)
end

local function event(n, account, type, data)
  return {
    topic = 'outbox.event.account',
    key = uuid(account),
    headers = { id = ('%08x-0000-4000-9000-%012x'):format(n, n), eventType = type },
    value = data,
  }
end

local function money(cents)
  return ('%d.%02d'):format(math.floor(cents / 100), cents % 100)
end

return {
  topics = { ['outbox.event.account'] = { partitions = 4 } },
  next = function(n, random)
    if n <= ACCOUNTS then
      return event(n, n, 'AccountCreated',
        ('{"owner":"%s","initial_balance":%s}'):format(owner(n),
          money(random(0, 100000))))
    end
    local account, dice = random(1, ACCOUNTS), random(1, 1000)
    if dice == 1 then
      return event(n, account, 'AccountClosed', ('{"owner":"%s"}'):format(owner(account)))
    end
    return event(n, account, dice <= 600 and 'MoneyDeposited' or 'MoneyWithdrawn',
      ('{"owner":"%s","amount":%s}'):format(owner(account), money(random(1, 50000))))
  end,
}
