-- Faults of the connection between Tidemill and PostgreSQL, made by the proxy.
local server = require 'spec.faults.server'

-- What is worth a cut; a subject is what the message is about (proxy_frame.h).
local messages = {
  up = {
    'Startup', 'Parse', 'Bind', 'Execute', 'Sync', 'Parse~BEGIN', 'Execute~SELECT',
    'Execute~WITH', 'Execute~COMMIT', 'Sync~COMMIT',
  },
  down = {
    'Authentication', 'ParseComplete', 'BindComplete', 'DataRow', 'CommandComplete',
    'CommandComplete~BEGIN', 'CommandComplete~COMMIT', 'ReadyForQuery',
    'ReadyForQuery~COMMIT',
  },
}
local EFFECTS = { 'close', 'reset', 'half' }
-- These pass only when a connection is made.
local at_start = { Startup = true, Authentication = true }

local function cut_one(world, direction, place, message, random)
  local rule = world.proxy:cut('%s %s %s %s %d', direction, place, message,
    EFFECTS[random(1, #EFFECTS)], random(1, 3))
  local has_fired = server.wait(world, 10, function()
    if at_start[message] then world.proxy:command('kill close') end
    return world.proxy:fired(rule)
  end)
  world.proxy:heal()
  return has_fired and 1 or 0
end

-- Each message of a direction once, at one place.
local function cut(direction, place)
  return function(world, random)
    local n, missed = 0, {}
    for _, message in ipairs(messages[direction]) do
      local fired = cut_one(world, direction, place, message, random)
      n = n + fired
      if fired == 0 then missed[#missed + 1] = message end
    end
    if #missed > 0 then
      world:log(('no cut %s %s: %s'):format(direction, place,
        table.concat(missed, ', ')))
    end
    return n
  end
end

-- The COMMIT is done and its answer is lost, or it never gets there; nobody is
-- told, until the connection is reset.
local function swallow(world, random)
  local rule = world.proxy:cut('%s before %s hole',
    unpack(random(1, 2) == 1 and { 'up', 'Execute~COMMIT' } or
      { 'down', 'CommandComplete~COMMIT' }))
  local has_fired = server.wait(world, 10, function() return world.proxy:fired(rule) end)
  world:sleep(random(200, 2000) / 1000)
  return has_fired and 1 or 0
end

local function hole(direction)
  return function(world, random)
    local name = 'lost_' .. direction
    local before = world.proxy:counters()[name]
    world.proxy:command('hole %s on', direction)
    world:sleep(random(200, 4000) / 1000)
    return world.proxy:counters()[name] > before and 1 or 0
  end
end

local function stall(direction)
  return function(world, random)
    world.proxy:command('stall %s on', direction)
    world:sleep(random(200, 5000) / 1000)
    return world.proxy:counters()['waiting_' .. direction] > 0 and 1 or 0
  end
end

local function delay(world, random)
  local before = world.proxy:counters()
  world.proxy:command('delay down %d', random(20, 400))
  world.proxy:command('delay up %d', random(0, 1) * random(20, 400))
  world:sleep(random(1000, 3000) / 1000)
  local now = world.proxy:counters()
  return now.delayed_down - before.delayed_down
end

local function refuse(world, random)
  local before = world.proxy:counters().refused
  world.proxy:command('refuse on')
  world.proxy:command('kill ' .. EFFECTS[random(1, 2)])
  local n = server.wait(world, 15, function()
    local n = world.proxy:counters().refused - before
    return n >= 2 and n
  end) or 0
  world:sleep(random(0, 2000) / 1000)
  return n
end

local function kill(world, random)
  return tonumber(world.proxy:command('kill ' .. EFFECTS[random(1, 2)]))
end

local function heal(world) world.proxy:heal() end

local list = {
  { name = 'wire.swallow', weight = 2, solo = true, fire = swallow, heal = heal },
  { name = 'wire.hole_up', solo = true, fire = hole('up'), heal = heal },
  { name = 'wire.hole_down', solo = true, fire = hole('down'), heal = heal },
  { name = 'wire.stall_up', solo = true, fire = stall('up'), heal = heal },
  { name = 'wire.stall_down', solo = true, fire = stall('down'), heal = heal },
  { name = 'wire.delay', fire = delay, heal = heal },
  { name = 'wire.refuse', solo = true, fire = refuse, heal = heal },
  { name = 'wire.kill', weight = 2, fire = kill },
}
for _, direction in ipairs { 'up', 'down' } do
  for _, place in ipairs { 'before', 'middle', 'after' } do
    list[#list + 1] = {
      name = ('wire.cut_%s_%s'):format(direction, place),
      solo = true, fire = cut(direction, place),
    }
  end
end
return list
