-- What the benches measure by.
local process = require 'process'

local M = {}

--- Records that were committed, of all lanes.
function M.position(db)
  return db:number('SELECT coalesce(sum(next_offset), 0) FROM tidemill.lane')
end

--- Events a second of a run over [n] records, from the first commit that is seen
--- to the last: what the start costs is not in it.
function M.rate(run, db, n, seconds)
  local first_n = run:wait_for('a commit', 60, function()
    local at = M.position(db)
    return at > 0 and at
  end)
  local first = process.now()
  run:wait_for('all of it', seconds, function() return M.position(db) == n end)
  return (n - first_n) / (process.now() - first)
end

function M.median(list, field)
  local values = {}
  for _, result in ipairs(list) do values[#values + 1] = result[field] end
  table.sort(values)
  return values[math.ceil(#values / 2)]
end

return M
