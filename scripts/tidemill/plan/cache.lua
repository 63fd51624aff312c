-- The row cache: how large it is, and which projections it serves. Why it may:
-- runtime/flow/table/cache_ring.h.
local schema = require 'tidemill.plan.schema'

local M = {}

local FIELDS = schema.pipeline.cache.fields
local OFF = { bytes = 0, ttl_s = 0 }

-- What the server writes in its own way, so that what was sent is not what is
-- read.
local REWRITTEN = { jsonb = true, ['text[]'] = true, ['bigint[]'] = true }

---@return table { bytes, ttl_s }; bytes 0: there is none
function M.limits(spec)
  local given = spec.cache
  if given == false then return OFF end
  if type(given) ~= 'table' then given = {} end
  return { bytes = given.bytes or FIELDS.bytes.default,
    ttl_s = given.ttl_s or FIELDS.ttl_s.default }
end

local function why_never(p)
  if p.kind ~= 'fold' then
    return 'rows of this kind are never read: ' .. p.kind
  elseif p.exact ~= 'aligned' then
    return 'other lanes change its rows too'
  end
  for i = p.n_key + 1, #p.columns do
    local column = p.columns[i]
    if REWRITTEN[column.kind] then
      return ('column %s is %s, which the server writes in its own way')
        :format(column.name, column.kind)
    end
  end
end

---Is the projection cached? Sets is_cached, and for `check` cached_why.
function M.decide(checker, record, p, limits)
  local wanted, never = record.spec.cache, why_never(p)
  if wanted == true and never then
    checker.fail(record, { 'cache' }, 'its rows cannot be cached: ' .. never)
  end
  p.is_cached = not never and wanted ~= false and limits.bytes > 0
  if p.is_cached then
    p.cached_why = ('rows are kept for %d s after the commit that wrote them, in %d MiB '
      .. 'a worker; changes by others are noticed: each row is checked when used')
      :format(limits.ttl_s, math.ceil(limits.bytes / 1048576))
  elseif p.kind == 'fold' and p.exact == 'aligned' then
    p.cached_why = never or wanted == false and 'cache = false'
      or 'cache = false in the pipeline'
  end
end

return M
