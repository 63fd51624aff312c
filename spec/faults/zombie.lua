-- A worker that stands still until its lanes are another's, and then wakes. The
-- victim is the one worker of a second supervisor of the mill: its sessions are
-- told by their name, and its lanes go to the first.
local pg = require 'pg'
local process = require 'process'
local server = require 'spec.faults.server'

local M = { INSTANCE = 'mill-two' }

-- The group waits 10 s for a member, and up to 3 s more for the others to join;
-- the supervisor kills a worker that stood still for 20 s.
local MOVE_SECONDS = 18

local function is_stopped(pid)
  local f = io.open(('/proc/%d/stat'):format(pid))
  if not f then return false end
  local state = (f:read('*a') or ''):match('^.*%) (%a)')
  f:close()
  return state == 'T'
end

--- SIGSTOP; true once the process stands still, false when it is gone.
function M.stop(world, pid)
  if not process.signal(pid, process.STOP) then return false end
  return world:wait_for('a process to stand still', 10, function()
    return is_stopped(pid) or not process.is_alive(pid)
  end) and is_stopped(pid)
end

-- An owner is called group-instance-worker.
local function lanes_of(world, instance)
  local lanes, owner = {}, ('%s-%s-0'):format(world.topics.mill, instance)
  for name, lane in pairs(world:lanes()) do
    if lane.owner == owner then lanes[name] = lane end
  end
  return lanes
end

--- The second supervisor of the mill, with lanes of its own.
function M.second(world)
  local run = world:run_named(M.INSTANCE) or
    world:start_run { instance = M.INSTANCE, workers = 1 }
  world:wait_for(function() return 'lanes of the second\n' .. run:text() end, 40,
    function() return next(lanes_of(world, M.INSTANCE)) and run:workers()[1] end)
  return run
end

local function sessions(world, where, what)
  return world:rows('SELECT ' .. (what or 'pid') .. " FROM pg_stat_activity WHERE " ..
    "application_name = 'tidemill-" .. M.INSTANCE .. "' AND " .. where)
end

-- Holds what [sql] locks until the victim waits for it, stops the victim there
-- and lets go. Its lanes by then; nil when it did not come to that.
local function stop_at(world, victim, sql, where)
  local locker = assert(pg.connect(world.direct_url))
  server.lock(locker, sql)
  local waits = pcall(world.wait_for, world, 'the victim to wait', 10, function()
    return sessions(world, "wait_event_type = 'Lock' AND " .. where)[1]
  end)
  local is_there = waits and M.stop(world, victim)
  locker:rows('ROLLBACK')
  locker:close()
  return is_there and lanes_of(world, M.INSTANCE) or nil
end

-- True once one of the lanes has been claimed by another.
local function wait_moved(world, lanes)
  return pcall(world.wait_for, world, 'lanes to move', MOVE_SECONDS, function()
    local now = world:lanes()
    for name, lane in pairs(lanes) do
      if now[name].epoch > lane.epoch then return true end
    end
  end)
end

local function wait_fenced(world, run, before)
  pcall(world.wait_for, world, 'the fence', 10, function()
    return (run:metric('fenced_total') or 0) > before
  end)
  return (run:metric('fenced_total') or before) - before
end

--- Stands still with its rows loaded and its transaction not begun. When it
--- wakes its compare-and-set is refused: how often.
function M.at_load(world)
  local run = M.second(world)
  local victim, before = run:workers()[1], run:metric('fenced_total') or 0
  local lanes = stop_at(world, victim, 'LOCK TABLE accounts IN ACCESS EXCLUSIVE MODE',
    "query LIKE 'SELECT%'")
  local has_moved = lanes and wait_moved(world, lanes)
  process.signal(victim, process.CONT)
  return has_moved and wait_fenced(world, run, before) or 0
end

local function stop_in_transaction(world, victim)
  local lanes = stop_at(world, victim, 'SELECT 1 FROM owners FOR UPDATE', 'true')
  local is_open = lanes and pcall(world.wait_for, world, 'its open transaction', 5,
    function() return sessions(world, "state = 'idle in transaction'")[1] end)
  return is_open and lanes or nil
end

-- The claim of the new owner waits behind the transaction that is open.
local function wait_claim(world)
  return pcall(world.wait_for, world, 'a claim that waits', MOVE_SECONDS, function()
    return world:rows("SELECT pid FROM pg_stat_activity WHERE wait_event_type = " ..
      "'Lock' AND query LIKE 'UPDATE tidemill.lane SET epoch%'")[1]
  end)
end

--- Stands still between BEGIN and COMMIT while its lanes are given to another,
--- whose claim waits; then it wakes, or dies.
function M.in_transaction(world, random)
  local run = M.second(world)
  local victim = run:workers()[1]
  local lanes = stop_in_transaction(world, victim)
  local has_waited = lanes and wait_claim(world)
  process.signal(victim, random(1, 3) == 1 and process.KILL or process.CONT)
  return has_waited and wait_moved(world, lanes) and 1 or 0
end

--- The same, but its session is ended, so that its lanes move on; it wakes
--- believing that it has them.
function M.robbed(world)
  local run = M.second(world)
  local victim = run:workers()[1]
  local lanes = stop_in_transaction(world, victim)
  local has_waited = lanes and wait_claim(world)
  if has_waited then sessions(world, 'true', 'pg_terminate_backend(pid)') end
  local has_moved = has_waited and wait_moved(world, lanes)
  process.signal(victim, process.CONT)
  return has_moved and 1 or 0
end

return M
