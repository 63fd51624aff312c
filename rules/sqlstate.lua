-- The stock failure rule. It decides by the class of a failure, and for a few SQLSTATEs
-- by what is known of them. A record that failed is set aside, and later records of its
-- key are held behind it, so that no handler runs over a gap.

local QUERY_CANCELED = '57014' -- ran into statement_timeout
local FOREIGN_KEY = '23503'

-- These wait for a person: the same work would fail in the same way.
local WAITS = { schema = true, config = true, fatal = true }
-- These a record causes: the others can go on without it.
local OF_A_RECORD = { data = true, script = true }

-- Too much work at once, or a record on which even a healthy server does not finish.
local function canceled(failure)
  if failure.attempts == 0 then return 'retry' end
  if failure.records > 1 then return 'bisect' end
  return failure.has_others and 'hold' or 'retry'
end

-- The row that it refers to may come from another lane: retries after 0.2, 0.8, 3.2 s.
local function refers_to_nothing(failure)
  if failure.attempts < 3 then return 'retry', 200 * 4 ^ failure.attempts end
  return 'hold'
end

return failure {
  decide = function(failure)
    if failure.sqlstate == QUERY_CANCELED then return canceled(failure) end
    if WAITS[failure.class] then return 'halt' end
    if not OF_A_RECORD[failure.class] then return 'retry' end
    if failure.records > 1 then return 'bisect' end
    if failure.sqlstate == FOREIGN_KEY then return refers_to_nothing(failure) end
    return 'hold'
  end,
}
