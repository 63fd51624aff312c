-- Faults of the machine below us: calls that fail, no memory, a clock that
-- jumps, no processor. Calls fail in a supervisor of its own (preload.c), whose
-- workers may abort when they get no memory, and for nothing else.
local preload = require 'spec.faults.preload'
local process = require 'process'
local server = require 'spec.faults.server'

local INSTANCE = 'mill-faulty'

local function has_lanes(world)
  for _, lane in pairs(world:lanes()) do
    if (lane.owner or ''):find(INSTANCE, 1, true) then return true end
  end
end

-- The supervisor whose calls can be made to fail, with lanes of its own.
local function faulty(world)
  world.preload = world.preload or preload.start()
  local run = world:run_named(INSTANCE) or world:start_run {
    instance = INSTANCE, workers = 1, env = world.preload.env, may_abort = true,
  }
  server.wait(world, 40, function() return run:workers()[1] and has_lanes(world) end)
  return run
end

local function n_found(text, word)
  return select(2, text:gsub(word, ''))
end

-- A worker may abort because it got no memory; any other abort is a bug.
local function check_aborts(run)
  local text = run:text()
  local aborts = n_found(text, 'worker ended; [^\n]*"signal 6 ')
  local reasons = n_found(text, 'out of memory')
  if aborts > reasons then
    error(('%s: %d aborts, but memory failed %d times\n%s'):format(run.instance, aborts,
      reasons, text:sub(-3000)), 0)
  end
end

-- What makes a call happen that a worker at work does not need.
local provoke = {
  connect = function(world, run)
    server.signal(world, 'pg_terminate_backend',
      ("application_name = 'tidemill-%s'"):format(run.instance))
  end,
  start = function(_, run)
    local worker = run:workers()[1]
    if worker then process.signal(worker, process.KILL) end
  end,
}

-- One of [choices] ({ site, error, caller, provoke, most }) fails at a random
-- call.
local function failing(choices)
  return function(world, random)
    local run = faulty(world)
    local c = choices[random(1, #choices)]
    local before, asked = world.preload:fired(c.site), 0
    world.preload:arm(c.site, {
      nth = random(1, c.most or 5), error = c.error, caller = c.caller,
    })
    local n = server.wait(world, 20, function()
      if provoke[c.provoke] and process.now() > asked + 1.5 then
        provoke[c.provoke](world, run)
        asked = process.now()
      end
      local n = world.preload:fired(c.site) - before
      return n > 0 and n
    end) or 0
    world.preload:disarm()
    server.wait(world, 30, function() return run:workers()[1] end)
    check_aborts(run)
    return n
  end
end

local memory = failing {
  { site = 'calloc', provoke = 'connect', most = 6 },
  { site = 'malloc', provoke = 'start', most = 200 },
  { site = 'calloc', provoke = 'start', most = 30 },
}
-- Nearly every realloc is by the Lua VM.
local vm_memory = failing {
  { site = 'realloc', most = 20 },
  { site = 'realloc', provoke = 'start', most = 5000 },
}
local libpq_memory = failing {
  { site = 'malloc', caller = 'libpq', provoke = 'connect', most = 300 },
  { site = 'malloc', caller = 'libpq', most = 60 },
}
local read = failing {
  { site = 'read', error = preload.EIO },
  { site = 'read', error = preload.EINTR },
  { site = 'read', error = preload.EIO, provoke = 'start' },
}
-- A worker at work writes nothing but its log.
local write = failing {
  { site = 'write', error = preload.EIO, provoke = 'connect', most = 2 },
  { site = 'write', error = preload.EINTR, provoke = 'connect', most = 2 },
  { site = 'write', error = preload.EAGAIN, provoke = 'connect', most = 2 },
}
local open = failing {
  { site = 'open', error = preload.EMFILE, provoke = 'start' },
}
local send = failing {
  { site = 'send', error = preload.EPIPE, caller = 'libpq', most = 30 },
  { site = 'send', error = preload.ECONNRESET, caller = 'libpq', most = 30 },
}
local recv = failing {
  { site = 'recv', error = preload.ECONNRESET, caller = 'libpq', most = 30 },
  { site = 'recv', error = preload.EINTR, caller = 'libpq', most = 30 },
}
local connect = failing {
  { site = 'connect', error = preload.ECONNREFUSED, caller = 'libpq',
    provoke = 'connect' },
  { site = 'connect', error = preload.EMFILE, caller = 'libpq', provoke = 'connect' },
}
local kafka = failing {
  { site = 'send', error = preload.EPIPE, caller = 'kafka' },
  { site = 'recv', error = preload.ECONNRESET, caller = 'kafka' },
}

-- There and back: an hour ahead or behind, each jump seen by the run.
local function jump(world, random)
  faulty(world)
  local before = world.preload:clock_readings()
  world.preload:set_clock(random(1, 2) == 1 and 3600 or -3600)
  local has_read = server.wait(world, 20, function()
    return world.preload:clock_readings() > before
  end)
  world:sleep(random(500, 2500) / 1000)
  world.preload:set_clock(0)
  return has_read and 2 or 0
end

-- Every worker gets the processor for a fraction of the time.
local function starve(world, random)
  local n, deadline = 0, process.now() + random(2000, 4000) / 1000
  while process.now() < deadline do
    local pids = {}
    for _, run in ipairs(world.runs) do
      for _, pid in ipairs(run:workers()) do pids[#pids + 1] = pid end
    end
    for _, pid in ipairs(pids) do
      if process.signal(pid, process.STOP) then n = n + 1 end
    end
    process.sleep(random(50, 150) / 1000)
    for _, pid in ipairs(pids) do process.signal(pid, process.CONT) end
    world:sleep(random(5, 30) / 1000)
  end
  return n
end

local list = { { name = 'system.starve', fire = starve } }
for _, fault in ipairs {
  { name = 'system.no_memory', weight = 2, fire = memory },
  { name = 'system.no_memory_in_libpq', fire = libpq_memory },
  { name = 'system.no_memory_in_scripts', weight = 2, fire = vm_memory },
  { name = 'system.read', fire = read },
  { name = 'system.write', fire = write },
  { name = 'system.open', fire = open },
  { name = 'system.send', fire = send },
  { name = 'system.recv', fire = recv },
  { name = 'system.connect', fire = connect },
  { name = 'system.kafka_socket', fire = kafka },
  { name = 'system.clock', weight = 2, fire = jump },
} do
  if preload.is_usable() then list[#list + 1] = fault end
end
return list
