-- The application at the head of the chain: a bank that writes its tables and,
-- in the same transaction, a row of its outbox. What it wrote is the model.
local random_of = require('bank').random
local money = require('bank').money
local uuid = require('bank').uuid

local M = {}
local Shop = {}
Shop.__index = Shop
Shop.LAST = 'the last'

-- note is kept out of line (TOAST) from 2 kB on, so that an update which leaves
-- it alone does not send it.
local schema = [[
CREATE TABLE accounts (
  id bigint PRIMARY KEY, owner text, balance numeric(18,2) NOT NULL,
  version bigint NOT NULL, is_active boolean, opened date, seen_at timestamptz,
  note text);
ALTER TABLE accounts ALTER note SET STORAGE EXTERNAL;
CREATE TABLE stock (
  warehouse integer, sku text, qty integer, price numeric(10,4),
  PRIMARY KEY (warehouse, sku));
CREATE TABLE visits (id bigint PRIMARY KEY, page text);
CREATE TABLE outbox (
  id uuid PRIMARY KEY, aggregatetype text NOT NULL, aggregateid text NOT NULL,
  type text NOT NULL, payload jsonb NOT NULL);
]]

--- [db]: a connection to a database of its own. [options]: seed, accounts.
function M.new(db, options)
  db:rows(schema)
  return setmetatable({
    db = db, random = random_of(options.seed), n_accounts = options.accounts or 120,
    n_events = 0, n_steps = 0, n_opened = 0, n_visits = 0, n_truncates = 0,
    places = {}, has_email = false,
  }, Shop)
end

-- What an outbox row tells: whose account it is, the account's version, and how
-- much was moved.
local function event(self, account, type, amount)
  self.n_events = self.n_events + 1
  return ([[INSERT INTO outbox
    SELECT '%s', 'wallet', id::text, '%s',
      jsonb_build_object('owner', owner, 'amount', %s::numeric, 'version', version)
    FROM accounts WHERE id = %d;]]):format(uuid(self.n_events), type, amount, account)
end

local changes = {}

function changes.open(self, id)
  local cents = self.random(0, 100000)
  return ([[INSERT INTO accounts
      (id, owner, balance, version, is_active, opened, seen_at, note)
    VALUES (%d, 'Zoë "%d"', %s, 1, true, '2024-02-29', '2026-01-02 03:04:05.%06d+00',
      repeat('%s', %d));]]):format(id, id % 7, money(cents),
    self.random(0, 999999), string.char(self.random(97, 122)), self.random(0, 4000))
    .. event(self, id, 'AccountOpened', money(cents))
end

function changes.move(self, id)
  local amount = money(self.random(-50000, 50000))
  local email = self.has_email and (", email = 'mail%d@example.org'"):format(id) or ''
  return ([[UPDATE accounts SET balance = balance + %s, version = version + 1%s
    WHERE id = %d;]]):format(amount, email, id) .. event(self, id, 'MoneyMoved', amount)
end

function changes.describe(self, id)
  return ([[UPDATE accounts SET note = %s, is_active = NOT is_active
    WHERE id = %d;]]):format(self.random(1, 4) == 1 and 'NULL' or
    ("repeat('%s', %d)"):format(string.char(self.random(97, 122)),
      self.random(0, 5000)), id)
end

function changes.close(self, id)
  return ('UPDATE accounts SET version = version + 1 WHERE id = %d;'):format(id)
    .. event(self, id, 'AccountClosed', '0')
    .. ('DELETE FROM accounts WHERE id = %d;'):format(id)
end

-- A key of two columns of which one changes: a delete and an insert to others.
function changes.stock(self)
  local warehouse, sku = self.random(1, 4), self.random(1, 40)
  local dice = self.random(1, 10)
  if dice == 1 then
    return ([[DELETE FROM stock WHERE (warehouse, sku) = (%d, 'sku-%d');]]):format(
      warehouse, sku)
  elseif dice <= 3 then
    return ([[UPDATE stock SET sku = 'sku-%d-moved-%d' WHERE (warehouse, sku) =
      (%d, 'sku-%d');]]):format(sku, self.n_steps, warehouse, sku)
  end
  return ([[INSERT INTO stock VALUES (%d, 'sku-%d', %d, %d / 10000.0)
    ON CONFLICT (warehouse, sku) DO UPDATE SET qty = EXCLUDED.qty,
    price = EXCLUDED.price;]]):format(warehouse, sku, self.random(-5, 1000),
    self.random(1, 99999999))
end

-- Visits are counted until somebody empties the table.
function changes.visit(self)
  if self.random(1, 40) == 1 then
    self.n_truncates = self.n_truncates + 1
    return 'TRUNCATE visits;'
  end
  self.n_visits = self.n_visits + 1
  return ("INSERT INTO visits VALUES (%d, 'page-%d');"):format(self.n_visits,
    self.random(1, 9))
end

-- How often each comes, of 100.
local mix = {
  { 50, 'move' }, { 65, 'describe' }, { 70, 'close' }, { 85, 'stock' }, { 100, 'visit' },
}

-- A closed account leaves its place to a new one.
local function change(self)
  local place, dice = self.random(1, self.n_accounts), self.random(1, 100)
  local id = self.places[place]
  if not id then
    self.n_opened = self.n_opened + 1
    self.places[place] = self.n_opened
    return changes.open(self, self.n_opened)
  end
  for _, entry in ipairs(mix) do
    if dice <= entry[1] then
      if entry[2] == 'close' then self.places[place] = nil end
      return changes[entry[2]](self, id)
    end
  end
end

--- One transaction of a few changes, and sometimes a message that is in no table.
function Shop:step()
  self.n_steps = self.n_steps + 1
  local sql = {}
  for i = 1, self.random(1, 4) do sql[i] = change(self) end
  if self.random(1, 20) == 1 then
    sql[#sql + 1] = "SELECT pg_logical_emit_message(true, 'shop', 'a message');"
  end
  self.db:rows('BEGIN;' .. table.concat(sql) .. 'COMMIT')
end

--- A column more, which from now on is written too.
function Shop:add_column()
  self.db:rows 'ALTER TABLE accounts ADD COLUMN email text'
  self.has_email = true
end

--- The last thing that is written, to every table: rows with the text LAST.
function Shop:finish()
  self.db:rows([[BEGIN;
    INSERT INTO accounts (id, owner, balance, version) VALUES (0, 'the last', 0, 1);
    INSERT INTO stock VALUES (0, 'the last', 0, 0);
    INSERT INTO visits VALUES (0, 'the last');]] ..
    event(self, 0, 'AccountOpened', '0') .. 'COMMIT')
end

return M
