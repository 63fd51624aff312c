-- A bank for specs: seeded events of accounts as the outbox tells them, and a
-- model that folds the same events without any of Tidemill's code. Money is
-- counted in whole cents.
local M = {}
local Bank = {}
Bank.__index = Bank

--- A generator of its own, so that a seed gives the same events everywhere.
function M.random(seed)
  local state = seed % 2147483647
  if state == 0 then state = 1 end
  return function(low, high)
    state = state * 48271 % 2147483647
    return low + state % (high - low + 1)
  end
end

function M.uuid(n)
  return ('%08x-0000-4000-8000-%012x'):format(n, n)
end

function M.money(cents)
  local sign = cents < 0 and '-' or ''
  cents = math.abs(cents)
  return ('%s%d.%02d'):format(sign, math.floor(cents / 100), cents % 100)
end

--- [options]: seed, accounts, owners, topic, partitions.
function M.new(options)
  return setmetatable({
    random = M.random(options.seed or 1),
    n_accounts = options.accounts or 100,
    n_owners = options.owners or 7,
    topic = options.topic,
    n_partitions = options.partitions,
    n_events = 0,
    accounts = {}, -- id -> { owner, cents, is_active, version }
    ledger = {},   -- event id -> { account, kind, cents }
    totals = {},   -- owner -> { accounts, deposits, deposited, biggest }
    all_accounts = {},
  }, Bank)
end

local apply = {}

function apply.AccountCreated(account, totals, cents, owner)
  account.owner, account.cents = owner, cents
  totals.accounts = totals.accounts + 1
end

function apply.MoneyDeposited(account, totals, cents)
  account.cents = account.cents + cents
  totals.deposits = totals.deposits + 1
  totals.deposited = totals.deposited + cents
  totals.biggest = math.max(totals.biggest, cents)
end

function apply.MoneyWithdrawn(account, _, cents)
  account.cents = account.cents - cents
end

function apply.AccountClosed(account)
  account.is_active = false
end

function Bank:apply(type, id, account_id, owner, cents)
  local account = self.accounts[account_id]
  if not account then
    account = { cents = 0, is_active = true, version = 0 }
    self.accounts[account_id] = account
  end
  local totals = self.totals[owner]
  if not totals then
    totals = { accounts = 0, deposits = 0, deposited = 0, biggest = 0 }
    self.totals[owner] = totals
  end
  apply[type](account, totals, cents, owner)
  account.version = account.version + 1
  local kind = ({ MoneyDeposited = 'deposit', MoneyWithdrawn = 'withdrawal' })[type]
  if kind then
    self.ledger[id] = {
      account = account_id, kind = kind, cents = kind == 'deposit' and cents or -cents,
    }
  end
end

--- The next record, ready to send; the model has applied it.
function Bank:event()
  self.n_events = self.n_events + 1
  local n, random = self.n_events, self.random
  local number = n <= self.n_accounts and n or random(1, self.n_accounts)
  local id, account = M.uuid(1000000 + n), M.uuid(number)
  local owner, cents = 'owner-' .. number % self.n_owners, random(1, 100000)
  local dice, type = random(1, 100), 'MoneyWithdrawn'
  if n <= self.n_accounts then
    type = 'AccountCreated'
  elseif dice == 1 then
    type = 'AccountClosed'
  elseif dice <= 60 then
    type = 'MoneyDeposited'
  end
  self:apply(type, id, account, owner, cents)
  local amount = type == 'AccountCreated' and 'initial_balance' or 'amount'
  return {
    topic = self.topic,
    partition = self.n_partitions and number % self.n_partitions,
    key = account,
    headers = { id = id, eventType = type },
    value = ('{"owner":"%s","%s":%s}'):format(owner, amount, M.money(cents)),
  }
end

--- Sends [n] events and waits until they are in Kafka.
function Bank:send(producer, n)
  for _ = 1, n do producer:send(self:event()) end
  producer:flush()
end

-- Both lists in one comparison: what is missing, what is too much and what
-- differs comes out as text, cut to the first few.
local function differences(want, got)
  local list = {}
  for key, line in pairs(want) do
    if got[key] ~= line then
      list[#list + 1] = ('%s: want %s, got %s'):format(key, line, tostring(got[key]))
    end
  end
  for key, line in pairs(got) do
    if not want[key] then
      list[#list + 1] = ('%s: got %s, want none'):format(key, line)
    end
  end
  table.sort(list)
  local n = #list
  while #list > 10 do list[#list] = nil end
  return n, table.concat(list, '\n')
end
M.differences = differences

local function check(what, want, got)
  local n, text = differences(want, got)
  if n > 0 then error(('%s: %d rows differ:\n%s'):format(what, n, text), 3) end
end

--- Row by row: raises unless the table is what the model says.
function Bank:check_balances(db, table_name)
  local want, got = {}, {}
  for id, a in pairs(self.accounts) do
    want[id] = ('%s %s %s %d'):format(a.owner or 'null', M.money(a.cents),
      a.is_active and 't' or 'f', a.version)
  end
  for _, r in ipairs(db:rows('SELECT * FROM ' .. (table_name or 'balances'))) do
    got[r.id] = ('%s %s %s %s'):format(r.owner or 'null', r.balance, r.is_active,
      r.version)
  end
  check('balances', want, got)
end

function Bank:check_ledger(db)
  local want, got = {}, {}
  for id, entry in pairs(self.ledger) do
    want[id] = ('%s %s %s'):format(entry.account, entry.kind, M.money(entry.cents))
  end
  local rows = db:rows('SELECT * FROM ledger')
  for _, r in ipairs(rows) do
    local line = ('%s %s %s'):format(r.account, r.kind, r.amount)
    got[r.event] = got[r.event] and 'twice' or line
  end
  check('ledger', want, got)
end

function Bank:check_totals(db)
  local want, got = {}, {}
  for owner, t in pairs(self.totals) do
    want[owner] = ('%d %d %s %s'):format(t.accounts, t.deposits, M.money(t.deposited),
      M.money(t.biggest))
  end
  for _, r in ipairs(db:rows('SELECT * FROM totals')) do
    got[r.owner] = ('%s %s %s %s'):format(r.accounts or 0, r.deposits or 0,
      r.deposited or '0.00', r.biggest or '0.00')
  end
  check('totals', want, got)
end

function Bank:check_all(db)
  self:check_balances(db)
  self:check_ledger(db)
  self:check_totals(db)
end

return M
