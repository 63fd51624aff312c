-- The server of the specs away for a while: it dies without a goodbye, and is
-- held back from coming again (see postgres.sh).
local pg = require 'pg'
local process = require 'process'
local tidemill = require 'tidemill'

local M = {}

local folder = os.getenv('TIDEMILL_SCRATCH') .. '/postgres'
local hold = folder .. '/hold'

--- What is sent while it is about to go is [meanwhile]'s.
function M.begin(meanwhile)
  tidemill.write(hold, '')
  if meanwhile then meanwhile() end
  local pid = tidemill.read(folder .. '/data/postmaster.pid'):match('^%d+')
  process.signal(tonumber(pid), 3) -- QUIT
end

--- A connection of the superuser, once it answers again.
function M.finish(url)
  os.remove(hold)
  return process.wait_for('the database', 30, function()
    return pg.connect(pg.as('postgres', url))
  end)
end

return M
