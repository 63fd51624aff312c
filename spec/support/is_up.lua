-- Exit status 0 when the service answers: luajit is_up.lua kafka|postgres.
local folder = arg[0]:match('^(.*)/[^/]*$')
package.path = folder .. '/?.lua;' .. package.path

local probes = {
  kafka = function()
    return require('kafka').producer({ log_level = 0 }):topics(2000)
  end,
  postgres = function()
    return require('pg').connect(os.getenv('TIDEMILL_PG') .. '/postgres')
  end,
}

os.exit(probes[arg[1]]() and 0 or 1)
