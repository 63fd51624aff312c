-- A full disk: the table that grows is moved to a small file system of its own,
-- which is then filled to the brim. Mounting takes root; without it a trigger
-- raises the same SQLSTATE, which is less, and is said.
local server = require 'spec.faults.server'
local tidemill = require 'tidemill'

local ROOM_BYTES = 4 * 1024 * 1024

local function folder(world) return world.scratch .. '/full' end

local function mount(world, bytes)
  local text, status = tidemill.shell(([[
    mkdir -p %s && mount -t tmpfs -o size=%d tidemill %s && chown postgres %s]]):format(
    folder(world), bytes, folder(world), folder(world)))
  if status ~= 0 then
    world:log('no small disk, a trigger instead: ' .. text:gsub('%s+', ' '))
  end
  return status == 0
end

local function grown_table(world) return server.table(world, 'ledger') end

local function move(world, tablespace)
  world:rows(('ALTER TABLE %s SET TABLESPACE %s'):format(grown_table(world), tablespace))
end

-- A statement that fails gives its rows back, but not the file's pages.
local function fill(world)
  world:rows 'CREATE TABLE fault_filler (x text) TABLESPACE fault_full'
  return server.with_session(world, function(session)
    for _ = 1, 50 do
      local ok = pcall(session.rows, session, [[INSERT INTO fault_filler
        SELECT repeat('x', 1000) FROM generate_series(1, 1000)]])
      if not ok then return true end
    end
    return false
  end)
end

local function fill_disk(world)
  world:rows(("CREATE TABLESPACE fault_full LOCATION '%s'"):format(folder(world)))
  move(world, 'fault_full')
  if not fill(world) then return 0 end
  local mark, before = server.mark(world), server.errors(world, 'resource')
  local n = server.new_errors(world, 'resource', before)
  return server.logged(world, mark, 'No space left on device') > 0 and n or 0
end

local function pretend(world)
  local before = server.errors(world, 'resource')
  return server.with_trigger(world,
    "RAISE EXCEPTION 'could not extend a file' USING ERRCODE = '53100';",
    function() return server.new_errors(world, 'resource', before) end)
end

local function full(world)
  local size = world:rows(('SELECT pg_table_size(%s) AS n'):format(
    "'" .. grown_table(world) .. "'"))[1].n
  if mount(world, tonumber(size) + ROOM_BYTES) then return fill_disk(world) end
  return pretend(world)
end

-- Sessions may still hold files open there, so the file system goes when they
-- let go.
local function heal(world)
  world:rows 'DROP TABLE IF EXISTS fault_filler'
  if world:rows("SELECT 1 FROM pg_tablespace WHERE spcname = 'fault_full'")[1] then
    move(world, 'pg_default')
    world:rows 'DROP TABLESPACE fault_full'
  end
  tidemill.shell('umount -l ' .. folder(world))
end

return { { name = 'disk.full', solo = true, fire = full, heal = heal } }
