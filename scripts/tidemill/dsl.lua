-- The words of a pipeline file: pipeline, kafka, postgres, projection and so
-- on. Each gives a record {word, spec, file, line, text}; nothing is checked
-- here but that the argument is a table, so that check.lua sees all at once.
local core = require 'tidemill.core'

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

-- `return projection {` is a tail call and leaves no frame to ask: then the
-- line is that of the file's first `return projection`.
local function tail_call_line(text, word)
  local line = 0
  for l in (text .. '\n'):gmatch('(.-)\n') do
    line = line + 1
    local code = l:gsub('%-%-.*$', '')
    if code:find('return%s+' .. word .. '%f[^%w_]') then return line end
  end
  return 1
end

---@param loading table { file = path for messages, text = of that file } as it is now
local function where(loading, word)
  for level = 3, 6 do
    local info = debug.getinfo(level, 'Sl')
    if info and info.source == '@' .. loading.file and info.currentline > 0 then
      -- The frame of the file is ours only when it is the direct caller.
      if level == 3 then return info.currentline end
      break
    end
  end
  return tail_call_line(loading.text, word)
end

local function make(loading, word, spec, line, name)
  return setmetatable({ word = word, spec = spec, file = loading.file, line = line,
    text = loading.text, module = loading.module, name = name }, record_meta)
end

local function refuse(loading, line, text)
  error(('%s:%d: %s'):format(loading.file, line, text), 0)
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
    local line = where(loading, word)
    if type(spec) ~= 'table' or M.is_record(spec) then
      refuse(loading, line, word .. ' takes a table: write ' .. word .. ' { … }')
    end
    return make(loading, word, spec, line)
  end
end

local function rule(loading)
  return function(name)
    only_while_loading(loading, 'rule')
    local record = make(loading, 'rule', {}, where(loading, 'rule'), tostring(name))
    return setmetatable(record, rule_meta)
  end
end

local function env(loading)
  return function(name, default)
    only_while_loading(loading, 'env')
    local line = where(loading, 'env')
    if type(name) ~= 'string' then
      refuse(loading, line, "env takes the name of an environment variable: env('NAME')")
    end
    local value = core.host.env(name)
    if value == nil or value == '' then value = default end
    if value == nil then
      refuse(loading, line, ("the environment variable %s is not set: set it, or give a "
        .. "default: env('%s', '…')"):format(name, name))
    end
    return value
  end
end

local function file(loading)
  return function(path)
    only_while_loading(loading, 'file')
    local line = where(loading, 'file')
    if type(path) ~= 'string' then
      refuse(loading, line, "file takes a path: file('/run/secrets/name')")
    end
    local value, reason = core.host.secret(path)
    if not value then
      refuse(loading, line, ("file('%s') cannot be used: %s"):format(path, reason))
    end
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
