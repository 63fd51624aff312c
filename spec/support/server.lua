-- PostgreSQL servers of a spec's own, for what the shared one must not suffer.
local pg = require 'pg'
local process = require 'process'
local tidemill = require 'tidemill'

local M = {}
local Server = {}
Server.__index = Server

--- [standby_of]: a server, whose standby it becomes. Waits until it answers.
function M.start(standby_of)
  local pipe = io.popen('luajit spec/support/free_ports.lua 1')
  local port = pipe:read('*n')
  pipe:close()
  local folder = os.getenv('TIDEMILL_SCRATCH') .. '/' .. tidemill.unique('server')
  local self = setmetatable({ port = port, folder = folder }, Server)
  self.process = process.start({ 'spec/support/postgres.sh', folder, tostring(port),
    'fsync=off' }, {
    out = folder .. '.log',
    env = { STANDBY_OF = standby_of and tostring(standby_of.port) or '' },
  })
  self:wait_up()
  return self
end

function Server:wait_up()
  local function what() return 'PostgreSQL\n' .. tidemill.read(self.folder .. '.log') end
  process.wait_for(what, 60, function()
    return pg.connect(self:url('postgres'))
  end):close()
end

function Server:url(database)
  return ('postgresql://postgres@127.0.0.1:%d/%s'):format(self.port, database)
end

function Server:connect(database) return assert(pg.connect(self:url(database))) end

--- Runs one statement as its superuser.
function Server:run(sql)
  local db = self:connect('postgres')
  local rows = db:rows(sql)
  db:close()
  return rows
end

function Server:set(name, value)
  self:run(("ALTER SYSTEM SET %s = '%s'"):format(name, value))
  self:run 'SELECT pg_reload_conf()'
end

--- Lines in front of all others of pg_hba.conf.
function Server:let_in(lines)
  local path = self.folder .. '/data/pg_hba.conf'
  tidemill.write(path, lines .. '\n' .. tidemill.read(path))
  self:run 'SELECT pg_reload_conf()'
end

--- Speaks TLS from now on, with one of the certificates of certificates.sh.
function Server:use_certificate(name)
  local text, status = tidemill.shell(([[
    for file in %s.key %s.pem ca.pem; do
      cp -f $TIDEMILL_CERTIFICATES/$file %s/
      chown --reference=%s/data %s/$file
    done]]):format(name, name, self.folder, self.folder, self.folder))
  assert(status == 0, text)
  for setting, file in pairs { ssl_ca_file = 'ca.pem', ssl_cert_file = name .. '.pem',
    ssl_key_file = name .. '.key' } do
    self:set(setting, self.folder .. '/' .. file)
  end
  self:set('ssl', 'on')
end

--- Drops everything at once, and stays away.
function Server:crash()
  tidemill.write(self.folder .. '/hold', '')
  local text = tidemill.read(self.folder .. '/data/postmaster.pid')
  local pid = tonumber(text:match('^%d+'))
  if pid and process.is_alive(pid) then
    process.signal(pid, 3) -- QUIT: nobody is told goodbye
    process.wait_for('the end of PostgreSQL', 30, function()
      return not process.is_alive(pid)
    end)
  end
end

--- After crash().
function Server:come_back()
  os.remove(self.folder .. '/hold')
  self:wait_up()
end

function Server:destroy()
  self:crash()
  self.process:destroy()
end

return M
