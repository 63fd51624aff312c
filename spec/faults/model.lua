-- What the tables of the pipeline "mill" must hold, kept by applying each record
-- as it is produced. It shares no code with Tidemill. Money is whole cents.
--
-- A record that cannot be applied becomes a dead letter, once; what follows it
-- with the same key is set aside behind it; everything else is applied, once,
-- in the order of its key.
local money = require('bank').money

local M = { WIDTH = 16 }
local Model = {}
Model.__index = Model

function M.new(topic, n_partitions)
  local model = setmetatable({
    topic = topic,
    n_sent = {},    -- partition -> records produced: the offset of the next
    accounts = {},  -- id -> { n, cents, trail }
    owners = {},    -- owner -> { n, cents, biggest }
    totals = {},    -- bucket -> { n, cents, last }
    newest = {},    -- id -> { seq, note }
    ledger = {},    -- 'partition/offset' -> what the row says
    logs = {},      -- id -> { log } of a fault's texts
    wide = {},      -- id -> the columns c1 to c16 of a fault's masks, and price
    letters = {},   -- 'partition/offset' -> 'failed' | 'held'
    chains = {},    -- key -> the records set aside: list of { event, place }
    codes = {},     -- code -> true, of applied records
    n_applied = 0, n_failed = 0, n_held = 0,
  }, Model)
  for p = 0, n_partitions - 1 do model.n_sent[p] = 0 end
  return model
end

local function row_of(rows, key, new)
  local row = rows[key]
  if not row then
    row = new
    rows[key] = row
  end
  return row
end

local function apply_moved(model, event)
  local owner = row_of(model.owners, event.owner, { n = 0, cents = 0, biggest = 0 })
  owner.n, owner.cents = owner.n + 1, owner.cents + event.cents
  owner.biggest = math.max(owner.biggest, event.cents)
end

-- What the records of faults say, and nothing to the others.
local function apply_made(model, event)
  local wide = row_of(model.wide, event.account, {})
  local mask = event.mask or 0
  for i = 1, M.WIDTH do
    if mask % 2 == 1 then wide[i] = event.seq end
    mask = math.floor(mask / 2)
  end
  if event.name then wide.price = event.seq end
  if event.more or event.clears then
    local row = row_of(model.logs, event.account, { log = '' })
    row.log = event.clears and '' or row.log .. (event.more or '')
  end
end

local function apply(model, event, place)
  local account = row_of(model.accounts, event.account, { n = 0, cents = 0, trail = 7 })
  account.n = account.n + 1
  account.trail = (account.trail * 31 + event.seq) % 2147483647
  local total = row_of(model.totals, event.bucket, { n = 0, last = 0 })
  total.n, total.last = total.n + 1, math.max(total.last, event.seq)
  if event.kind == 'moved' then
    account.cents = account.cents + event.cents
    total.cents = (total.cents or 0) + event.cents
    apply_moved(model, event)
  end
  apply_made(model, event)
  model.newest[event.account] = { seq = event.seq, note = event.note or event.kind }
  model.ledger[place] = ('%d %d %s %s'):format(event.seq, event.account,
    event.kind == 'moved' and money(event.cents) or 'null', event.code or 'null')
  if event.code then model.codes[event.code] = true end
  model.n_applied = model.n_applied + 1
end

-- Only the database refuses these: by a constraint, and those of faults by a
-- trigger or a policy that is there as long as the fault.
local refused = { refused = true, repeated = true, swallowed = true, hidden = true }

local function fails(model, event)
  if not event.poison or model.is_lenient and refused[event.poison] then return false end
  return event.poison ~= 'repeated' or model.codes[event.code] ~= nil
end

--- Takes a record as produced; [event]: partition, account, seq, kind, cents,
--- owner, bucket, note, code, and poison: 'raises', 'refused', 'repeated',
--- 'garbled', 'swallowed' or 'hidden'. Of faults: more (a text that the row's log
--- grows by), clears (the log), mask (which columns are assigned), name (of the
--- field that the price is read from); spin (how long the handler takes) says
--- nothing to the tables.
function Model:produce(event)
  local offset = self.n_sent[event.partition]
  self.n_sent[event.partition] = offset + 1
  local place = event.partition .. '/' .. offset
  local chain = self.chains[event.account]
  if chain then
    self.letters[place] = 'held'
    self.n_held = self.n_held + 1
    chain[#chain + 1] = { event = event, place = place }
  elseif fails(self, event) then
    self.letters[place] = 'failed'
    self.n_failed = self.n_failed + 1
    self.chains[event.account] = { { event = event, place = place } }
  else
    apply(self, event, place)
  end
end

--- The database refuses nothing any more and every dead letter is tried again:
--- what only it had refused is applied, with all that waited behind it.
function Model:retry()
  self.is_lenient = true
  for account, chain in pairs(self.chains) do
    if refused[chain[1].event.poison] then
      for _, letter in ipairs(chain) do
        self.letters[letter.place] = nil
        apply(self, letter.event, letter.place)
      end
      self.chains[account] = nil
    end
  end
end

function Model:n_produced()
  local n = 0
  for _, sent in pairs(self.n_sent) do n = n + sent end
  return n
end

local function lines(rows, text)
  local list = {}
  for key, row in pairs(rows) do list[tostring(key)] = text(row) end
  return list
end

-- What each table must hold: key -> text; and the query that says the same.
local tables = {
  accounts = {
    query = "SELECT id AS key, concat_ws(' ', n, balance, trail) AS line FROM accounts",
    line = function(a) return ('%d %s %d'):format(a.n, money(a.cents), a.trail) end,
  },
  owners = {
    query = "SELECT owner AS key, concat_ws(' ', n, balance, biggest) AS line " ..
      'FROM owners',
    line = function(o)
      return ('%d %s %s'):format(o.n, money(o.cents), money(o.biggest))
    end,
  },
  totals = {
    query = "SELECT bucket AS key, concat_ws(' ', n, coalesce(amount::text, 'null'), " ..
      'last) AS line FROM totals',
    line = function(t)
      return ('%d %s %d'):format(t.n, t.cents and money(t.cents) or 'null', t.last)
    end,
  },
  newest = {
    query = "SELECT id AS key, concat_ws(' ', seq, note) AS line FROM newest",
    line = function(e) return ('%d %s'):format(e.seq, e.note) end,
  },
  ledger = {
    query = "SELECT partition || '/' || record AS key, concat_ws(' ', seq, account, " ..
      "coalesce(amount::text, 'null'), coalesce(code, 'null')) AS line FROM ledger",
    line = function(text) return text end,
  },
}
-- Texts are compared without what fills them up.
tables.logs = {
  query = "SELECT id AS key, concat_ws(' ', length(log), " ..
    "regexp_replace(log, 'x+', '', 'g')) AS line FROM logs",
  line = function(l) return ('%d %s'):format(#l.log, (l.log:gsub('x+', ''))) end,
}
local columns, wide = {}, {}
for i = 1, M.WIDTH do columns[i] = ("coalesce(c%d, 0)"):format(i) end
tables.wide = {
  query = ("SELECT id AS key, concat_ws(' ', %s, coalesce(price, 0)) AS line FROM wide")
    :format(table.concat(columns, ', ')),
  line = function(w)
    for i = 1, M.WIDTH do wide[i] = w[i] or 0 end
    return table.concat(wide, ' ') .. ' ' .. (w.price or 0)
  end,
}
M.table_names = { 'accounts', 'owners', 'totals', 'newest', 'ledger', 'logs', 'wide' }

--- Every key with its line as it must be, and the query for those that are.
function Model:expect(name)
  return lines(self[name], tables[name].line), tables[name].query
end

return M
