-- What `check` sees in handlers without running them: words that are not there. A run
-- would set aside the records that lead there, with the same words.
local rows = require 'tidemill.run.rows'
local trace = require 'tidemill.core.trace'
local usage = require 'tidemill.load.usage'
local view = require 'tidemill.run.view'

local M = {}

local WITH_COLON = { has = "event:has('data.x')", delete = 'row:delete()',
  reset = 'row:reset()' }

-- A word that is called with a point has one argument less.
local function is_pointed(name, n_arguments)
  return WITH_COLON[name] and n_arguments
    and n_arguments < (name == 'has' and 2 or 1)
end

local function why_no_event(name, is_assigned, n_arguments)
  if is_assigned then
    return ("event fields cannot be assigned (field '%s')"):format(name)
  elseif is_pointed(name, n_arguments) then
    return ('write %s, with a colon'):format(WITH_COLON[name])
  end
  return view.why_unknown(name)
end

local IS_JSON = { json = true, jsonb = true }

local function why_no_row(p, name, is_assigned, n_arguments)
  for _, column in ipairs(p.columns) do
    if column.name == name then
      return is_assigned == 'itself' and IS_JSON[column.kind]
        and ("row.%s reads as a text, so this writes the document as a text: assign it "
        .. 'only where there is another, if event.data.x ~= nil then'):format(name)
        or nil
    end
  end
  if rows.WORDS[name] then
    return not is_assigned and is_pointed(name, n_arguments)
      and ('write %s, with a colon'):format(WITH_COLON[name]) or nil
  end
  return rows.why_unknown(p, name)
end

-- The projections of each handler, and what its parameters are.
local function handlers_of(plan)
  local list, by_function = {}, {}
  local function add(p, f, roles)
    if type(f) ~= 'function' then return end
    local one = by_function[f]
    if not one then
      one = { f = f, projections = {}, roles = roles }
      by_function[f], list[#list + 1] = one, one
    end
    one.projections[#one.projections + 1] = p
  end
  for _, p in ipairs(plan.projections) do
    local both = { [0] = 'row', [1] = 'event' }
    if p.has_handler and not p.in_set and not p.batch then
      add(p, p.on, both)
      for _, name in ipairs(p.types or {}) do add(p, p.on[name], both) end
      add(p, p.before_write, { [0] = 'row' })
    end
    for i = 1, p.n_key do add(p, p.columns[i].key_function, { [0] = 'event' }) end
  end
  return list
end

-- A handler of several projections may know which of them it serves.
local function why_of(one, role, name, ...)
  if role == 'event' then return why_no_event(name, ...) end
  local why
  for _, p in ipairs(one.projections) do
    why = why_no_row(p, name, ...)
    if not why then return nil end
  end
  return why
end

local function functions_of(plan, list)
  local all = {}
  for i, one in ipairs(list) do all[i] = one.f end
  for _, p in ipairs(plan.projections) do all[#all + 1] = p.batch end
  all[#all + 1] = plan.failure.decide
  return all
end

---@param plan table
---@param env table of the bundle
---@return string[] "file:line: what", in order
function M.of(plan, env)
  local found, told = {}, {}
  local function add(text)
    if not told[text] then found[#found + 1] = text end
    told[text] = true
  end
  local list = handlers_of(plan)
  for _, one in ipairs(list) do
    usage.of_handler(one.f, one.roles, function(...) return why_of(one, ...) end, add)
  end
  usage.globals(functions_of(plan, list), trace.sources, env, add)
  table.sort(found, function(a, b)
    local file_a, line_a = a:match('^(.-):(%d+): ')
    local file_b, line_b = b:match('^(.-):(%d+): ')
    if file_a ~= file_b then return file_a < file_b end
    if line_a ~= line_b then return tonumber(line_a) < tonumber(line_b) end
    return a < b
  end)
  return found
end

return M
