-- Faults that come with the records, or meet single rows: what the database keeps
-- back without an error or refuses one row of, texts that grow, handlers that take
-- long, many sets of columns and many names of fields.
local process = require 'process'
local server = require 'spec.faults.server'

local LETTERS = [[SELECT partition || '/' || "offset" AS place
  FROM tidemill.dead_letter WHERE pipeline = 'mill']]

-- Waits until the failed record of this account, and each that is held behind it, is
-- in the dead letters, so that none of them is judged once the fault is over.
local function wait_set_aside(world, account)
  local chain, want = world.load.mill.chains[account], {}
  for _, letter in ipairs(chain) do want[letter.place] = true end
  local done = server.wait(world, 90, function()
    local n = 0
    for _, row in ipairs(world:rows(LETTERS)) do
      if want[row.place] then n = n + 1 end
    end
    return n == #chain
  end)
  assert(done, ('the records of account %d were not set aside'):format(account))
end

-- The fourth event of the account changes its row and the trigger throws the change
-- away: no error, no race. The sequence counts what was thrown away, also when the
-- transaction is taken back.
local TRIGGER = [[
SET client_min_messages = warning;
CREATE SEQUENCE IF NOT EXISTS fault_swallowed;
CREATE OR REPLACE FUNCTION fault_swallow() RETURNS trigger LANGUAGE plpgsql
  SECURITY DEFINER AS $$ BEGIN
    IF NEW.id >= 2000000 AND NEW.n >= 4 THEN
      PERFORM nextval('fault_swallowed');
      RETURN NULL;
    END IF;
    RETURN NEW;
  END $$;
CREATE TRIGGER fault_swallow BEFORE INSERT OR UPDATE ON accounts
  FOR EACH ROW EXECUTE FUNCTION fault_swallow()]]

local function n_swallowed(world)
  return tonumber(world:rows('SELECT last_value - (NOT is_called)::int AS n ' ..
    'FROM fault_swallowed')[1].n)
end

local function heal_swallow(world)
  world:rows [[
    SET client_min_messages = warning;
    DROP FUNCTION IF EXISTS fault_swallow() CASCADE]]
end

local function swallow(world)
  world:rows(TRIGGER)
  local before = n_swallowed(world)
  wait_set_aside(world, world.load:send_kept_back('swallowed', {}))
  return n_swallowed(world) - before
end

local function heal_hide(world)
  world:rows [[
    SET client_min_messages = warning;
    DROP POLICY IF EXISTS fault_reads ON ledger;
    DROP POLICY IF EXISTS fault_writes ON ledger;
    ALTER TABLE ledger DISABLE ROW LEVEL SECURITY]]
end

-- 555.00 may not be written by a policy, and no other amount of the load is that.
local function hide(world)
  world:rows [[
    ALTER TABLE ledger ENABLE ROW LEVEL SECURITY;
    CREATE POLICY fault_reads ON ledger FOR SELECT USING (true);
    CREATE POLICY fault_writes ON ledger FOR INSERT
      WITH CHECK (amount IS DISTINCT FROM 555)]]
  local mark = server.mark(world)
  wait_set_aside(world, world.load:send_kept_back('hidden', { cents = 55500 }))
  return server.logged(world, mark, 'new row violates row-level security policy')
end

-- Of the ordinary accounts, in one lane.
local function accounts_of_lane(world, random)
  local lane, list = random(0, world.n_partitions - 1), {}
  for i = 1, 10 do list[i] = i * world.n_partitions + lane end
  return list, lane
end

-- Waits until the lane is past what was sent to it.
local function wait_past(world, lane, seconds)
  local last = world.load.mill.n_sent[lane]
  local name = ('%s/%d'):format(world.topics.mill, lane)
  world:wait_for('the records of the fault', seconds, function()
    local at = world:lanes()[name]
    return at and at.position >= last
  end)
end

-- One row's text grows to 15 MB by records of 100 KB; a run of the handler makes
-- every length in between.
local GROWN = { n = 150, bytes = 100 * 1024 }

local function grow(world, random)
  local accounts, lane = accounts_of_lane(world, random)
  local account, filling = accounts[random(1, #accounts)], ('x'):rep(GROWN.bytes)
  for _ = 1, GROWN.n do world.load:send_one(account, { more = ';' .. filling }) end
  wait_past(world, lane, 120)
  local bytes = tonumber(world:rows('SELECT length(log) AS n FROM logs WHERE id = ' ..
    account)[1].n)
  world.load:send_one(account, { clears = true })
  return bytes >= GROWN.n * GROWN.bytes and 1 or 0
end

-- Turns of the handler's loop in a second, on this machine as it is just now.
local function turns_a_second()
  local x, n, from = 0, 2e7, process.now()
  for i = 1, n do x = (x * 31 + i) % 2147483647 end
  assert(x >= 0)
  return n / (process.now() - from)
end

-- [n] records whose handler takes [seconds] each; a batch has 40 records. It has
-- happened when they took the half of that to be applied.
local function slow(n, seconds)
  return function(world, random)
    local accounts, lane = accounts_of_lane(world, random)
    local spin, from = math.floor(turns_a_second() * seconds), process.now()
    for i = 1, n do world.load:send_one(accounts[i % #accounts + 1], { spin = spin }) end
    wait_past(world, lane, 30 + 6 * n * seconds)
    return process.now() - from >= n * seconds / 2 and n or 0
  end
end

-- Each record assigns another set of columns.
local function mask(world, random)
  local accounts, lane = accounts_of_lane(world, random)
  local seen, n = {}, 0
  while n < 400 do
    local bits = random(1, 2 ^ 16 - 1)
    if not seen[bits] then
      seen[bits], n = true, n + 1
      world.load:send_one(accounts[random(1, #accounts)], { mask = bits })
    end
  end
  wait_past(world, lane, 60)
  return n
end

-- Each record says the name of another field.
local function name(world, random)
  local accounts, lane = accounts_of_lane(world, random)
  local n = 700
  for _ = 1, n do
    world.n_names = (world.n_names or 0) + 1
    world.load:send_one(accounts[random(1, #accounts)], { name = 'f' .. world.n_names })
  end
  wait_past(world, lane, 120)
  return n
end

-- Each waits for its records, so nothing else may be in their way (solo).
local function alone(as, fire, heal)
  return { name = as, solo = true, fire = fire, heal = heal }
end

return {
  alone('data.swallowed', swallow, heal_swallow),
  alone('data.hidden', hide, heal_hide),
  alone('data.growing', grow),
  alone('data.slow', slow(60, 0.06)),
  -- A batch takes longer than the supervisor waits for a worker.
  alone('data.slower', slow(40, 0.7)),
  alone('data.columns', mask),
  alone('data.names', name),
}
