-- The words of a pipeline file: pipeline, kafka, postgres, projection and so
-- on. Each returns a record {word, spec, file, line, node, outline}. Here it is only
-- checked that the argument is a table: check.lua reports all mistakes at once.
local core = require 'tidemill.core.api'
local locate = require 'tidemill.load.locate'

local M = {}

local record_meta = { __tostring = function(r) return r.word .. ' { … }' end }

M.WORDS = {
  'pipeline', 'kafka', 'postgres', 'projection', 'grouping', 'tuning', 'failure',
  'commands',
}

-- rule 'name' is a record already, and takes options: rule 'name' { … }.
local rule_meta = {
  __tostring = record_meta.__tostring,
  __call = function(record, options)
    record.spec = options
    return setmetatable(record, record_meta)
  end,
}

function M.is_record(x, word)
  local meta = type(x) == 'table' and getmetatable(x)
  return (meta == record_meta or meta == rule_meta) and (not word or x.word == word)
end

-- The line of a bundle's file that called the word; nil when it is not known.
---@param loading table { file, texts } as it is now
local function where(loading)
  local info = debug.getinfo(3, 'Sl')
  local file = info and info.source:sub(2)
  if file and loading.texts[file] and info.currentline > 0 then
    return { file = file, line = info.currentline }
  end
end

local function make(loading, word, spec, at, name)
  local place = locate.constructor(loading, word, spec, at)
  return setmetatable({ word = word, spec = spec, file = place.file, line = place.line,
    node = place.node, outline = place.outline, module = loading.module, name = name },
    record_meta)
end

local function refuse(loading, word, at, text)
  at = at or locate.returned(loading, loading.file, word)
  error(('%s:%d: %s'):format(at.file, at.line, text), 0)
end

local function only_while_loading(loading, what)
  if not loading.file then
    error(what .. ' can be used only while the pipeline is loaded, not in a handler: '
      .. 'handlers must give the same rows every time', 0)
  end
end

local function constructor(loading, word)
  return function(spec)
    only_while_loading(loading, word .. ' { … }')
    local at = where(loading)
    if type(spec) ~= 'table' or M.is_record(spec) then
      refuse(loading, word, at, word .. ' takes a table: write ' .. word .. ' { … }')
    end
    return make(loading, word, spec, at)
  end
end

local function rule(loading)
  return function(name)
    only_while_loading(loading, 'rule')
    local at = where(loading)
    if type(name) ~= 'string' then
      refuse(loading, 'rule', at, "rule takes a name: write rule 'sqlstate'")
    end
    return setmetatable(make(loading, 'rule', {}, at, name), rule_meta)
  end
end

local function env(loading)
  return function(name, default)
    only_while_loading(loading, 'env')
    local at = where(loading)
    if type(name) ~= 'string' then
      refuse(loading, 'env', at, 'env takes the name of an environment variable: '
        .. "env('NAME')")
    end
    local value = core.host.env(name)
    if value == nil or value == '' then value = default end
    if value == nil then
      refuse(loading, 'env', at, ('the environment variable %s is not set: set it, or '
        .. "give a default: env('%s', '…')"):format(name, name))
    end
    loading.resolved['env ' .. name] = tostring(value)
    return value
  end
end

local function file(loading)
  return function(path)
    only_while_loading(loading, 'file')
    local at = where(loading)
    if type(path) ~= 'string' then
      refuse(loading, 'file', at, "file takes a path: file('/run/secrets/name')")
    end
    local value, reason = core.host.secret(path)
    if not value then
      refuse(loading, 'file', at, ("file('%s') cannot be used: %s"):format(path, reason))
    end
    loading.resolved['file ' .. path] = value
    return value
  end
end

---@return table globals of a pipeline file
function M.globals(loading)
  local globals = { rule = rule(loading), env = env(loading), file = file(loading) }
  for _, word in ipairs(M.WORDS) do globals[word] = constructor(loading, word) end
  return globals
end

return M
