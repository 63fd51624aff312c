-- What a pipeline is, as `check` prints it: of each projection how it is kept exact, why,
-- and what that costs.
local M = {}

local COSTS = {
  aligned = 'rows are loaded before the transaction begins; no lock is held while Lua '
    .. 'runs',
  shared = 'rows stay locked from load to commit; a hot key lets one batch at a time '
    .. 'through',
  merge = 'nothing is loaded; rows are locked only for the last statement before commit',
  overwrite = 'nothing is loaded; one upsert a batch for each set of assigned columns',
  append = 'nothing is loaded; one INSERT a batch',
}

local function topic_text(topic)
  return ('%s: %s%s%s'):format(topic.name, topic.format, topic.outbox and ', raw rows'
    or '',
    topic.flattened ~= 'unsaid' and (', flattened (%s)'):format(topic.flattened) or '')
end

local function add_pipeline(add, plan)
  local source, limits = plan.source, plan.limits
  add('pipeline   %s (%s)', plan.name, plan.path)
  add('generation %.12s', plan.hash)
  add('source     %s, group %s', source.brokers, source.group)
  for i, topic in ipairs(source.settings) do
    add('%-11s%s', i == 1 and 'topics' or '', topic_text(topic))
  end
  add('batch      %d event%s, %d bytes, linger %d ms, concurrency %d', limits.size,
    limits.size == 1 and '' or 's', limits.bytes, limits.linger_ms, limits.concurrency)
  if limits.widest then
    add('           (of the %d events that size says, since a table has %d columns)',
      limits.given_size, limits.widest)
  end
  add('failure    %s', plan.failure.title)
end

-- [word]: a table of a batch function, or a projection by itself.
local function add_projection(add, p, word)
  add('%s %s (%s:%d)', word, p.table, p.file, p.line)
  add('  kind     %s', p.kind)
  add('  exact    %s: %s', p.exact, p.why)
  add('  cost     %s', COSTS[p.exact])
  if p.unlogged then
    add('  unlogged a crash of the server may empty the table, and its events do not '
      .. 'come again')
  end
  if p.cached_why then
    add('  cache    %s: %s', p.is_cached and 'yes' or 'no', p.cached_why)
  end
end

---@param plan table of the bundle
---@return string
function M.of(plan)
  local lines, n_left = {}, 0
  local function add(...) lines[#lines + 1] = (...):format(select(2, ...)) end
  add_pipeline(add, plan)
  for _, p in ipairs(plan.projections) do
    local n_set = p.n_set or 0
    lines[#lines + 1] = ''
    if n_set > 0 then
      n_left = n_set
      add('batch function of %d table%s', n_set, n_set == 1 and '' or 's')
    end
    add_projection(add, p, n_left > 0 and 'table' or 'projection')
    n_left = math.max(n_left - 1, 0)
  end
  lines[#lines + 1] = ''
  return table.concat(lines, '\n')
end

return M
