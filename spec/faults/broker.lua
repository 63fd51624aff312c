-- The run's one Kafka broker: killed and let come back, and a listener of its
-- own that leads through a proxy.
local process = require 'process'
local proxy = require 'spec.faults.proxy'
local tidemill = require 'tidemill'

local M = {}

local function folder(world) return world.scratch .. '/kafka' end

function M.pid(world)
  return tonumber(tidemill.read(folder(world) .. '/pid'):match('%d+'))
end

--- True when it answers within a second.
function M.is_up(world)
  return world.producer:topics(1000) ~= nil
end

--- Ends the broker with [signal]; it stays away until let_back().
function M.take_away(world, signal)
  local pid = M.pid(world)
  tidemill.write(folder(world) .. '/hold', '')
  if not process.signal(pid, signal) then return false end
  world:wait_for('the end of the broker', 30, function()
    return not process.is_alive(pid)
  end)
  return true
end

--- Lets it come back and waits until it answers.
function M.let_back(world)
  os.remove(folder(world) .. '/hold')
  world:wait_for('the broker', 90, function() return M.is_up(world) end)
end

local function free_port()
  local pipe = io.popen('luajit spec/support/free_ports.lua 1')
  local port = pipe:read('*n')
  pipe:close()
  return port
end

-- Whoever asks at the second listener is told to come through the proxy.
local function add_listener(text, port, proxied_port)
  local function append(name, what)
    local n
    text, n = text:gsub('\n(' .. name:gsub('%.', '%%.') .. '=[^\n]*)', '\n%1,' .. what)
    assert(n == 1, name .. ' is not in the settings of the broker')
  end
  append('listeners', 'PROXIED://127.0.0.1:' .. port)
  append('advertised.listeners', 'PROXIED://127.0.0.1:' .. proxied_port)
  append('listener.security.protocol.map', 'PROXIED:PLAINTEXT')
  return text
end

--- Puts a proxy between Tidemill and the broker: world.kafka_proxy. The broker
--- is started anew for it.
function M.add_proxy(world)
  local port = free_port()
  world.kafka_proxy = proxy.start { to = '127.0.0.1:' .. port, plain = true }
  world.brokers = '127.0.0.1:' .. world.kafka_proxy.port
  local path = folder(world) .. '/server.properties'
  local text = add_listener(tidemill.read(path), port, world.kafka_proxy.port)
  M.take_away(world, process.TERM)
  tidemill.write(path, text)
  M.let_back(world)
end

return M
