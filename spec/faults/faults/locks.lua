-- Faults of those who write beside us: locks held, deadlocks, serialization
-- failures, and the server's limits on waiting.
local server = require 'spec.faults.server'

local LOCK = 'LOCK TABLE %s IN EXCLUSIVE MODE'

local function wait_for_lock(world, random)
  local sql = LOCK:format(server.table(world, 'ledger'))
  return server.holding(world, sql, function()
    local n = server.wait(world, 10, function()
      local blocked = server.n_blocked(world)
      return blocked > 0 and blocked
    end) or 0
    world:sleep(random(100, 3000) / 1000)
    return n
  end)
end

-- How often the runs have told that they wait for somebody else.
local function n_told(world)
  local n = 0
  for _, log in ipairs(world.logs) do
    for line in io.lines(log.path) do
      if line:find('waits for other transactions', 1, true)
          or line:find('waits for an answer of the database', 1, true) then n = n + 1 end
    end
  end
  return n
end

-- Somebody holds all rows of a table for seconds, until the run says so.
local function foreign(world)
  local before = n_told(world)
  local sql = ('SELECT 1 FROM %s FOR UPDATE'):format(server.table(world, 'accounts'))
  return server.holding(world, sql, function()
    return server.wait(world, 15, function()
      local n = n_told(world) - before
      return n > 0 and n
    end) or 0
  end)
end

-- Tidemill's own limits are longer than a spec may take, so each transaction is
-- given a shorter one by a trigger; what ends the statement is the server.
local function limited(setting, words)
  return function(world)
    local mark = server.mark(world)
    local statement = ("PERFORM set_config('%s', '200ms', true);"):format(setting)
    return server.with_trigger(world, statement, function()
      return server.holding(world, LOCK:format(server.table(world, 'totals')),
        function() return server.wait_logged(world, mark, words) end)
    end)
  end
end

-- Scripts run while the rows that they share are locked; the server gives them a
-- millisecond.
local function idle(world)
  local mark = server.mark(world)
  return server.with_trigger(world,
    "PERFORM set_config('idle_in_transaction_session_timeout', '1ms', true);",
    function() return server.wait_logged(world, mark, 'idle-in-transaction timeout') end)
end

local function n_deadlocks(session)
  return session:number [[SELECT deadlocks FROM pg_stat_database
    WHERE datname = current_database()]]
end

-- Updates nothing, but locks like a writer that does.
local function touch(world, table_name, where)
  local column = server.first_column(world, table_name)
  return ('UPDATE %s SET %s = %s %s'):format(table_name, column, column, where or '')
end

-- We hold rows that Tidemill wants last and then want the positions, which it
-- has moved first. It waits longer than we do, so that the server looks there
-- first and ends it, not us.
local function deadlock(world)
  local totals = touch(world, server.table(world, 'totals'))
  local conflicts = server.errors(world, 'conflict')
  return server.with_session(world, function(session)
    local before = n_deadlocks(session)
    session:rows("SET deadlock_timeout = '3s'")
    session:rows('BEGIN')
    session:rows(totals)
    local is_waiting = server.wait(world, 10, function()
      return server.n_blocked(world) > 0
    end)
    -- It may be our turn after all, behind a second transaction.
    if is_waiting then pcall(session.rows, session, touch(world, 'tidemill.lane')) end
    session:rows('ROLLBACK')
    local n = server.wait(world, 10, function()
      local n = n_deadlocks(session) - before
      return n > 0 and n
    end)
    return n and server.new_errors(world, 'conflict', conflicts) > 0 and n or 0
  end)
end

-- Sessions are read committed whatever a role or a database sets, so a trigger says
-- it, to some transactions or to all: before their rows are written, or at COMMIT.
local REFUSAL = [[
SET client_min_messages = warning;
CREATE OR REPLACE FUNCTION fault_serialize() RETURNS trigger LANGUAGE plpgsql AS $$
  BEGIN
    IF random() < %g THEN
      RAISE 'could not serialize access' USING ERRCODE = '40001';
    END IF;
    RETURN NEW;
  END $$;
CREATE %s ON tidemill.lane %s FOR EACH ROW EXECUTE FUNCTION fault_serialize()]]

local BEFORE = { 'TRIGGER fault_serialize BEFORE UPDATE OF next_offset', '' }
local AT_COMMIT = { 'CONSTRAINT TRIGGER fault_serialize AFTER UPDATE OF next_offset',
  'DEFERRABLE INITIALLY DEFERRED' }

local function serialize(world, random)
  local mark, conflicts = server.mark(world), server.errors(world, 'conflict')
  local moment = random(1, 2) == 1 and BEFORE or AT_COMMIT
  world:rows(REFUSAL:format(random(1, 4) / 4, moment[1], moment[2]))
  local n = server.wait_logged(world, mark, 'could not serialize access')
  world:sleep(random(0, 3000) / 1000)
  world:rows('DROP FUNCTION fault_serialize CASCADE')
  return server.new_errors(world, 'conflict', conflicts) > 0 and n or 0
end

-- Somebody holds one row for longer than Tidemill waits for a lock (20 s).
local function hold_row(world, random)
  local row = random(1, 2) == 1 and "owners WHERE owner = 'owner-1'"
    or 'accounts WHERE id = 7'
  local mark = server.mark(world)
  return server.holding(world, ('SELECT FROM %s FOR UPDATE'):format(row), function()
    local n = server.wait(world, 15, function() return server.n_blocked(world) > 0 end)
    world:sleep(24)
    return n and server.logged(world, mark, 'due to lock timeout') or 0
  end)
end

return {
  { name = 'locks.wait', weight = 2, fire = wait_for_lock },
  { name = 'locks.foreign', fire = foreign },
  {
    name = 'locks.lock_timeout',
    fire = limited('lock_timeout', 'canceling statement due to lock timeout'),
  },
  {
    name = 'locks.statement_timeout',
    fire = limited('statement_timeout', 'canceling statement due to statement timeout'),
  },
  { name = 'locks.idle_timeout', fire = idle },
  { name = 'locks.deadlock', weight = 2, fire = deadlock },
  { name = 'locks.serialization', fire = serialize },
  { name = 'locks.foreign_row', solo = true, fire = hold_row },
}
