-- Faults of the server and of sessions in it.
local pg = require 'pg'
local process = require 'process'
local server = require 'spec.faults.server'
local tidemill = require 'tidemill'

local QUIT = 3

local function restart_fast(world)
  return server.restart(world, process.INT)
end

local function restart_immediate(world)
  return server.restart(world, QUIT)
end

-- Nobody is told goodbye, and there is no server for a while.
local function away(world, random)
  local hold = world.scratch .. '/postgres/hold'
  tidemill.write(hold, '')
  return server.restart(world, QUIT, function()
    pcall(world.sleep, world, random(500, 4000) / 1000)
    os.remove(hold)
  end)
end

-- The server drops every session and recovers when a backend dies like this.
local function crash(world, random)
  local mark = server.mark(world)
  local pids = server.wait(world, 10, function()
    local list = server.backends(world)
    return #list > 0 and list
  end)
  if not pids then return 0 end
  process.signal(pids[random(1, #pids)], process.KILL)
  local n = server.wait_logged(world, mark, 'terminated by signal 9')
  server.wait_logged(world, mark, 'database system is ready')
  world:reconnect()
  return n
end

-- Sessions that answer nothing and do not end either; they may hold locks.
local function hang(world, random)
  local pids, n = server.backends(world), 0
  for _, pid in ipairs(pids) do
    if process.signal(pid, process.STOP) then n = n + 1 end
  end
  world:sleep(random(200, 5000) / 1000)
  for _, pid in ipairs(pids) do process.signal(pid, process.CONT) end
  return n
end

-- Sessions ended in each phase ------------------------------------------------

local function end_idle(world)
  return server.signal_when(world, 'pg_terminate_backend', "state = 'idle'")
end

local function end_in_load(world)
  local sql = ('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE'):format(
    server.table(world, 'accounts', 'balances'))
  return server.holding(world, sql, function()
    return server.signal_when(world, 'pg_terminate_backend',
      "wait_event_type = 'Lock' AND query LIKE 'SELECT u.o%'")
  end)
end

-- The positions have been moved; the table is among the last.
local function end_in_transaction(world)
  local sql = ('LOCK TABLE %s IN EXCLUSIVE MODE'):format(server.table(world, 'totals'))
  return server.holding(world, sql, function()
    return server.signal_when(world, 'pg_terminate_backend',
      "wait_event_type = 'Lock' AND xact_start IS NOT NULL")
  end)
end

-- A deferred trigger makes COMMIT take long enough to be hit before it happens.
local function end_in_commit(world)
  world:rows [[
    SET client_min_messages = warning;
    CREATE OR REPLACE FUNCTION fault_slow() RETURNS trigger LANGUAGE plpgsql AS
      $$ BEGIN PERFORM pg_sleep(0.1); RETURN NULL; END $$;
    CREATE CONSTRAINT TRIGGER fault_slow AFTER UPDATE OF next_offset ON tidemill.lane
      DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION fault_slow()]]
  local n = server.signal_when(world, 'pg_terminate_backend',
    "query ILIKE 'commit%' AND state = 'active'")
  world:rows('DROP FUNCTION fault_slow CASCADE')
  return n
end

-- A COMMIT that waits for a standby is durable already; a session that ends
-- there leaves it committed, and its answer unsent.
local function end_after_commit(world)
  world:rows('SET synchronous_commit = local')
  server.configure(world, 'synchronous_standby_names', "'nobody'")
  local n = server.signal_when(world, 'pg_terminate_backend', "wait_event = 'SyncRep'")
  server.configure(world, 'synchronous_standby_names', nil)
  world:rows('RESET synchronous_commit')
  return n
end

local function cancel(world)
  local before = server.errors(world, 'resource')
  local sql = ('LOCK TABLE %s IN EXCLUSIVE MODE'):format(server.table(world, 'totals'))
  return server.holding(world, sql, function()
    server.signal_when(world, 'pg_cancel_backend', "wait_event_type = 'Lock'")
    return server.new_errors(world, 'resource', before)
  end)
end

-- A server that cannot write -------------------------------------------------

local function read_only(world)
  local mark, before = server.mark(world), server.errors(world, 'server')
  server.configure(world, 'default_transaction_read_only', 'on')
  server.wait_logged(world, mark, 'in a read-only transaction')
  return server.new_errors(world, 'server', before)
end

local function heal_read_only(world)
  server.configure(world, 'default_transaction_read_only', nil)
end

-- The primary comes back as a standby, which lets everybody in to read, and is
-- then promoted.
local function standby(world)
  local before = server.errors(world, 'server')
  server.touch(world, 'standby.signal')
  server.restart(world, process.INT)
  local is_standby = world:rows('SELECT pg_is_in_recovery() AS is')[1].is == 't'
  return is_standby and server.new_errors(world, 'server', before, 30) or 0
end

local function promote(world)
  if world:rows('SELECT pg_is_in_recovery() AS is')[1].is == 't' then
    world:rows('SELECT pg_promote(true, 30)')
  end
end

-- Takes every session that the server has to give, and those of Tidemill that
-- are then ended, so that it asks for new ones.
local function fill(sessions, url)
  local session, why
  repeat
    session, why = pg.connect(url)
    sessions[#sessions + 1] = session
  until not session
  return why
end

local function too_many(world)
  local mark, sessions, before = server.mark(world), {}, server.errors(world, 'resource')
  local n = server.wait(world, 15, function()
    fill(sessions, world.direct_url)
    server.signal(world, 'pg_terminate_backend')
    fill(sessions, world.direct_url)
    local n = server.errors(world, 'resource') - before
    return n > 0 and n
  end) or 0
  for _, session in ipairs(sessions) do session:close() end
  return server.logged(world, mark, 'too many clients already') > 0 and n or 0
end

return {
  { name = 'postgres.restart_fast', solo = true, fire = restart_fast },
  { name = 'postgres.restart_immediate', solo = true, fire = restart_immediate },
  { name = 'postgres.away', solo = true, fire = away },
  { name = 'postgres.crash', solo = true, fire = crash },
  { name = 'postgres.hang', solo = true, fire = hang },
  { name = 'postgres.end_idle', weight = 2, fire = end_idle },
  { name = 'postgres.end_in_load', weight = 2, fire = end_in_load },
  { name = 'postgres.end_in_transaction', weight = 2, fire = end_in_transaction },
  { name = 'postgres.end_in_commit', weight = 2, fire = end_in_commit },
  { name = 'postgres.end_after_commit', weight = 2, fire = end_after_commit },
  { name = 'postgres.cancel', fire = cancel },
  { name = 'postgres.read_only', solo = true, fire = read_only, heal = heal_read_only },
  { name = 'postgres.standby', solo = true, fire = standby, heal = promote },
  { name = 'postgres.too_many_sessions', solo = true, fire = too_many },
}
