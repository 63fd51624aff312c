-- What faults do to PostgreSQL and to Tidemill's sessions in it, and how they
-- prove it: by the server's own log and catalogs, and by Tidemill's counters.
local pg = require 'pg'
local process = require 'process'
local tidemill = require 'tidemill'

local M = {}

local OURS = "application_name LIKE 'tidemill%' AND datname = current_database()"

--- Waits under load; what the condition gave, or nil when it never came.
function M.wait(world, seconds, condition)
  local ok, value = pcall(world.wait_for, world, 'a fault', seconds, condition)
  return ok and value or nil
end

--- Another session, which goes around every proxy.
function M.session(world)
  return assert(pg.connect(world.direct_url))
end

--- Runs [fn] with a session of its own, which is closed whatever happens.
function M.with_session(world, fn)
  local session = M.session(world)
  local ok, result = pcall(fn, session)
  pcall(session.close, session)
  if not ok then error(result, 0) end
  return result
end

--- Begins a transaction that locks what [sql] says. Its rows come in the order in
--- which they lie, which need not be the run's, so the server may end it as a
--- deadlock: then it begins again.
function M.lock(session, sql)
  for _ = 1, 20 do
    session:rows('BEGIN')
    local ok, why = pcall(session.rows, session, sql)
    if ok then return end
    session:rows('ROLLBACK')
    if not tostring(why):find('deadlock', 1, true) then error(why, 0) end
  end
  error('a deadlock each time: ' .. sql, 0)
end

--- Runs [fn] while a transaction of another session holds what [sql] locks.
function M.holding(world, sql, fn)
  return M.with_session(world, function(session)
    M.lock(session, sql)
    local ok, result = pcall(fn, session)
    session:rows('ROLLBACK')
    if not ok then error(result, 0) end
    return result
  end)
end

--- Process ids of Tidemill's sessions that are as [where] says.
function M.backends(world, where)
  local pids = {}
  for _, r in ipairs(world:rows(('SELECT pid FROM pg_stat_activity WHERE %s AND %s')
    :format(OURS, where or 'true'))) do
    pids[#pids + 1] = tonumber(r.pid)
  end
  return pids
end

--- Does [verb] ('pg_terminate_backend', 'pg_cancel_backend') to Tidemill's
--- sessions that are as [where] says; to how many.
function M.signal(world, verb, where)
  local rows = world:rows(([[SELECT count(*) FILTER (WHERE %s(pid)) AS n
    FROM pg_stat_activity WHERE %s AND %s]]):format(verb, OURS, where or 'true'))
  return tonumber(rows[1].n)
end

--- The same, as soon as there is one, within [seconds]; 0: there was none.
function M.signal_when(world, verb, where, seconds)
  return M.wait(world, seconds or 10, function()
    local n = M.signal(world, verb, where)
    return n > 0 and n
  end) or 0
end

--- How many of Tidemill's sessions wait for a lock.
function M.n_blocked(world, where)
  return #M.backends(world, "wait_event_type = 'Lock' AND " .. (where or 'true'))
end

--- The first of these tables that there is.
function M.table(world, ...)
  for _, name in ipairs { ... } do
    if world:rows(("SELECT to_regclass('%s') AS name"):format(name))[1].name then
      return name
    end
  end
  error('none of these tables exists: ' .. table.concat({ ... }, ', '))
end

--- Whether a table has a row, and the name of its first column.
function M.first_column(world, table_name)
  return world:rows(([[SELECT attname FROM pg_attribute
    WHERE attrelid = '%s'::regclass AND attnum = 1]]):format(table_name))[1].attname
end

--- Tidemill's failures of a class so far, over all runs.
function M.errors(world, class)
  local sum = 0
  for _, run in ipairs(world.runs) do
    sum = sum + (run:metric('errors_total', ('class="%s"'):format(class)) or 0)
  end
  return sum
end

--- Waits until Tidemill has met a failure of a class since it had met
--- [before]; how many.
function M.new_errors(world, class, before, seconds)
  return M.wait(world, seconds or 15, function()
    local n = M.errors(world, class) - before
    return n > 0 and n
  end) or 0
end

-- The server's log ----------------------------------------------------------

local function log_path(world) return world.scratch .. '/postgres.log' end

--- Where the server's log ends now.
function M.mark(world)
  local f = assert(io.open(log_path(world), 'rb'))
  local at = f:seek('end')
  f:close()
  return at
end

--- How often [text] has been logged since the mark.
function M.logged(world, mark, text)
  local f = assert(io.open(log_path(world), 'rb'))
  f:seek('set', mark)
  local _, n = f:read('*a'):gsub(text:gsub('%p', '%%%0'), '')
  f:close()
  return n
end

--- Waits until it has been logged; how often.
function M.wait_logged(world, mark, text, seconds)
  return M.wait(world, seconds or 15, function()
    local n = M.logged(world, mark, text)
    return n > 0 and n
  end) or 0
end

-- The server's process ------------------------------------------------------

local function data(world) return world.scratch .. '/postgres/data' end

--- The postmaster's process id; nil while there is none.
function M.postmaster(world)
  return tonumber(tidemill.read(data(world) .. '/postmaster.pid'):match('^%d+'))
end

local function started_at(world)
  return world:rows('SELECT pg_postmaster_start_time() AS at')[1].at
end

--- Ends the server by a signal; it comes back by itself (postgres.sh) unless
--- [world.scratch]/postgres/hold is there. [meanwhile] runs when it has ended.
--- 1 once another postmaster answers.
function M.restart(world, signal, meanwhile)
  local before, pid = started_at(world), M.postmaster(world)
  process.signal(pid, signal)
  local is_over = M.wait(world, 30, function() return not process.is_alive(pid) end)
  if meanwhile then meanwhile() end
  world:reconnect()
  return is_over and started_at(world) ~= before and 1 or 0
end

--- A file of the data directory that the server may read and remove.
function M.touch(world, name)
  local path = data(world) .. '/' .. name
  tidemill.write(path, '')
  tidemill.shell('chmod 666 ' .. path)
end

--- Changes settings ("name = value"; nil value: as before) for the whole server
--- and tells every session.
function M.configure(world, name, value)
  world:rows(value and ('ALTER SYSTEM SET %s = %s'):format(name, value) or
    ('ALTER SYSTEM RESET %s'):format(name))
  world:rows('SELECT pg_reload_conf()')
end

--- Runs [fn] while each batch's transaction first does [statement] (PL/pgSQL),
--- before it moves its positions.
function M.with_trigger(world, statement, fn)
  world:rows(([[
    SET client_min_messages = warning;
    CREATE OR REPLACE FUNCTION fault() RETURNS trigger LANGUAGE plpgsql AS
      $$ BEGIN %s RETURN NEW; END $$;
    CREATE TRIGGER fault BEFORE UPDATE OF next_offset ON tidemill.lane
      FOR EACH ROW EXECUTE FUNCTION fault()]]):format(statement))
  local ok, result = pcall(fn)
  world:rows('DROP FUNCTION fault CASCADE')
  if not ok then error(result, 0) end
  return result
end

return M
