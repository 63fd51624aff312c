-- `tidemill test`: runs the specs of a bundle with busted. The examples of
-- its projections run too, each of them under two splits.
-- luacheck: globals os.exit arg
local M = {}

local function is_there(path)
  local file = io.open(path, 'r')
  if file then file:close() end
  return file ~= nil
end

local function folder_of(path)
  if path:match('%.lua$') then return path:match('^(.*)/[^/]*$') or '.' end
  return (path:gsub('(.)/+$', '%1'))
end

local function has_specs(folder)
  local lfs = require 'lfs'
  for name in lfs.dir(folder) do
    local path = folder .. '/' .. name
    if name:match('_spec%.lua$') then return true end
    local is_hidden = name:sub(1, 1) == '.'
    if not is_hidden and lfs.attributes(path, 'mode') == 'directory'
      and has_specs(path) then
      return true
    end
  end
  return false
end

local function check_table(result, name, expected)
  local value = require 'tidemill.core.value'
  local got = result:rows(name)
  if #got ~= #expected then
    return ('%d rows instead of %d'):format(#got, #expected)
  end
  for i, row in ipairs(expected) do
    for column, v in pairs(row) do
      local have = got[i][column]
      -- An expected number may be none that a decimal can be compared with.
      local known, is_same = pcall(function() return have == v end)
      if not known then return ('row %d: %s: %s'):format(i, column, is_same) end
      if not is_same and tostring(have) ~= tostring(v) then
        return ('row %d: %s is %s instead of %s'):format(i, column, value.encode(have),
          value.encode(v))
      end
    end
  end
end

-- Those of a batch function are by table.
local function check_rows(result, plan, i, expected)
  local p = plan.projections[i]
  if not p.batch then return check_table(result, p.table, expected) end
  for k = i, i + p.n_set - 1 do
    local name = plan.projections[k].table
    local reason = expected[name] and check_table(result, name, expected[name])
    if reason then return name .. ': ' .. reason end
  end
end

-- Examples live in the projections: events, optional given rows, rows expected.
-- [subject]: a path, or a bundle that was read already. [begin]: gives what begins a
-- time of its own (lua/budget.h). [say]: prints, as other words of the verb.
local function run_examples(subject, begin, say)
  local bundle = require('tidemill.testing').load(subject)
  local n_failed, n = 0, 0
  for k, p in ipairs(bundle.plan.projections) do
    for i, example in ipairs(p.examples or {}) do
      n = n + 1
      begin()
      bundle:reset()
      local ok, result = pcall(bundle.split, bundle,
        { given = example.given, events = example.events,
          dead_letters = example.dead_letters })
      local reason = not ok and result or check_rows(result, bundle.plan, k,
        example.rows)
      if reason then
        n_failed = n_failed + 1
        say(('%s:%d: example %d of %s failed: %s\n')
          :format(p.file, p.line, i, p.table, reason))
      end
    end
  end
  return n_failed, n
end

local function say_sum(say, n_failed, n)
  if n > 0 then
    say(('%d example%s, %d failed\n'):format(n, n == 1 and '' or 's', n_failed))
  end
end

local function busted_arguments(folder, arguments)
  local list = { [0] = 'tidemill test', '--lpath=' .. folder .. '/?.lua' }
  for i = 2, #arguments do list[#list + 1] = arguments[i] end
  list[#list + 1] = '--pattern=_spec%.lua$'
  list[#list + 1] = folder
  return list
end

-- Each file, block and test has a time of its own.
local function begin_blocks(busted, begin)
  for _, what in ipairs { 'file', 'describe', 'test' } do
    for _, when in ipairs { 'start', 'end' } do
      busted.subscribe({ what, when }, function()
        begin()
        return nil, true
      end, { priority = 1 })
    end
  end
end

-- What busted does not tell in its status: how many tests ran to their end, and
-- whether it took its arguments. In the table that is returned.
local function watch_busted(begin)
  local seen = { n = 0 }
  local core, cli = require 'busted.core', require 'busted.modules.cli'
  package.loaded['busted.core'] = function(...)
    local busted = core(...)
    begin_blocks(busted, begin)
    busted.subscribe({ 'test', 'end' }, function()
      seen.n = seen.n + 1
      return nil, true
    end)
    return busted
  end
  package.loaded['busted.modules.cli'] = function(...)
    local object = cli(...)
    local parse = object.parse
    function object.parse(...)
      local taken, reason = parse(...)
      seen.is_refused = not taken
      return taken, reason
    end
    return object
  end
  return seen
end

local NO_RUN = {
  ['--list'] = true, ['-l'] = true, ['--help'] = true, ['-h'] = true,
  ['--version'] = true,
}

local function runs_nothing(arguments)
  for _, word in ipairs(arguments) do
    if NO_RUN[word] then return true end
  end
  return false
end

-- busted ends the process by itself, with the number of failures, or for a
-- failure raises nil; this makes one answer of both.
local function has_failed(folder, arguments)
  local code = 0
  local exit = os.exit
  os.exit = function(given)
    code = given
    error(M, 0)
  end
  arg = busted_arguments(folder, arguments)
  local ok, reason = pcall(function() require 'busted.runner' { standalone = false } end)
  os.exit = exit
  if not ok and reason ~= nil and reason ~= M then error(reason, 0) end
  return not ok and reason == nil or not (code == 0 or code == true or code == nil)
end

local function run_specs(folder, arguments, begin)
  local seen = watch_busted(begin)
  begin()
  if has_failed(folder, arguments) then return seen.is_refused and 64 or 1 end
  if seen.n > 0 or runs_nothing(arguments) then return 0 end
  return 66, ('tidemill test: no spec ran: is there an `it` in %s, and do the arguments '
    .. 'pick one?'):format(folder)
end

-- The examples alone, without busted: what `check` runs. Each line of a failure is a
-- finding of its document, so no sum follows.
---@param bundle table as the core read it
---@param begin fun()
---@param say fun(text: string)
---@return integer exit status
function M.examples(bundle, begin, say)
  local n_failed, n = run_examples(bundle, begin, say)
  if n_failed > 0 then return 78 end
  say_sum(say, n_failed, n)
  return 0
end

---@param arguments string[] the path, then arguments for busted
---@param begin fun()
---@param say fun(text: string)
---@return integer exit status
---@return string? words for whoever typed the verb
function M.run(arguments, begin, say)
  local path = arguments[1]
  local folder = folder_of(path)
  local loaded, n_failed, n = pcall(run_examples, path, begin, say)
  if not loaded then
    return 78, tostring(n_failed)
  end
  say_sum(say, n_failed, n)
  if not pcall(require, 'busted') then
    return 69, 'tidemill test: busted is not installed: apt-get install lua-busted'
  end
  if not is_there(folder .. '/.busted') and not has_specs(folder) then
    io.write(folder, ': no specs (spec/*_spec.lua)\n')
    if n > 0 then return n_failed > 0 and 1 or 0 end
    return 66, ('tidemill test: there is nothing to run in %s: write spec/*_spec.lua, or '
      .. '`examples` in a projection'):format(folder)
  end
  local status, words = run_specs(folder, arguments, begin)
  return (status == 0 or status == 66) and n_failed > 0 and 1 or status, words
end

return M
