-- The environment of a bundle: what is safe and gives the same result every
-- time. It guards against accidents, not against an enemy.
local decimal = require 'tidemill.decimal'
local dsl = require 'tidemill.dsl'
local value = require 'tidemill.value'
local view = require 'tidemill.view'
local words = require 'tidemill.words'

local M = {}

local MAX_TEXT = 16 * 1024 * 1024

-- Known words that are left out, and why.
local LEFT_OUT = {
  os = 'time comes from event.time, settings from env()',
  io = 'a pipeline reads nothing but its events; for secrets there is file()',
  debug = 'it can break the sandbox', ffi = 'it can break the sandbox',
  jit = 'it can break the sandbox', package = 'use require',
  load = 'code is loaded from the files of the bundle only: use require',
  loadstring = 'code is loaded from the files of the bundle only: use require',
  dofile = 'use require', loadfile = 'use require',
  coroutine = 'a handler runs in one go',
  collectgarbage = 'the runtime does it between batches',
  print = 'handlers must be pure; look at rows in a spec',
  getfenv = 'it can break the sandbox', setfenv = 'it can break the sandbox',
  getmetatable = 'it can break the sandbox', module = 'return a table instead',
  _G = 'name the global itself',
}

local function copy(from, names)
  local t = {}
  for name in names:gmatch('%S+') do t[name] = from[name] end
  return t
end

-- Fields that are not there raise, naming what is.
local function strict(name, t, reasons)
  local known = {}
  for k in pairs(t) do known[#known + 1] = k end
  return setmetatable(t, {
    __index = function(_, key)
      local reason = reasons and reasons[key]
      error(("%s.%s is not available%s"):format(name, tostring(key),
        reason and ': ' .. reason or words.hint(key, known)), 0)
    end,
    __newindex = function() error(name .. ' cannot be changed', 0) end,
    __metatable = false,
  })
end

local function text_library()
  local t = copy(string,
    'byte char find format gmatch gsub len lower match reverse sub upper')
  t.rep = function(s, n, separator)
    if (#s + (separator and #separator or 0)) * n > MAX_TEXT then
      error('string.rep: the result would be longer than 16 MiB', 0)
    end
    return string.rep(s, n, separator)
  end
  return strict('string', t, { dump = 'it can break the sandbox' })
end

local function no_decimal(name, x)
  if type(x) == 'cdata' then
    error('math.' .. name .. ' does not take decimals or 64 bit integers: use abs, min, '
      .. 'max, round or div, which are exact', 3)
  end
end

local function math_library()
  local t = { pi = math.pi, huge = math.huge }
  for name in ('abs acos asin atan ceil cos cosh deg exp floor log10 rad sin sinh sqrt '
    .. 'tan tanh modf frexp'):gmatch('%S+') do
    local f = math[name]
    t[name] = function(x)
      no_decimal(name, x)
      return f(x)
    end
  end
  for name in ('atan2 fmod ldexp pow log'):gmatch('%S+') do
    local f = math[name]
    t[name] = function(x, y)
      no_decimal(name, x)
      no_decimal(name, y)
      if y == nil then return f(x) end
      return f(x, y)
    end
  end
  for name in ('min max'):gmatch('%S+') do
    local f = math[name]
    t[name] = function(...)
      for i = 1, select('#', ...) do no_decimal(name, (select(i, ...))) end
      return f(...)
    end
  end
  local impure = 'handlers must give the same rows every time'
  return strict('math', t, { random = impure, randomseed = impure })
end

-- In document order: the order of a Lua table may differ between two runs.
local function ordered(t)
  local order, i = value.order(t), 0
  if not order then return next, t, nil end
  return function()
    local name
    repeat
      i = i + 1
      name = order[i]
    until name == nil or t[name] ~= nil
    return name, t[name]
  end
end

local function base_library()
  local t = copy(_G, 'error assert pcall xpcall select type unpack next rawequal')
  t.pairs = function(x)
    if type(x) ~= 'cdata' then return pairs(x) end
    local object = view.table_of(x)
    if not object then error('pairs: this is no object or table', 0) end
    return ordered(object)
  end
  t.ipairs = function(x)
    if type(x) ~= 'cdata' then return ipairs(x) end
    return ipairs(view.table_of(x) or error('ipairs: this is no array or table', 0))
  end
  t.tonumber = function(x, base)
    if decimal.is(x) then return tonumber(decimal.format(x)) end
    return tonumber(x, base)
  end
  t.tostring = function(x)
    if type(x) == 'cdata' then return (tostring(x):gsub('^(-?%d+)U?LL$', '%1')) end
    -- Lua itself keeps 14 digits, and identifiers have more.
    if type(x) == 'number' and x == math.floor(x) and x < 2 ^ 53 and x > -2 ^ 53 then
      return ('%d'):format(x)
    end
    return tostring(x)
  end
  t.setmetatable = function(x, meta)
    if type(x) ~= 'table' or dsl.is_record(x) then
      error('setmetatable takes a table of your own', 0)
    end
    return setmetatable(x, meta)
  end
  for _, name in ipairs { 'rawget', 'rawset' } do
    local f = _G[name]
    t[name] = function(x, ...)
      if type(x) ~= 'table' or dsl.is_record(x) then
        error(name .. ' takes a table of your own', 0)
      end
      return f(x, ...)
    end
  end
  return t
end

local function refuse_read(env)
  return function(_, name)
    if LEFT_OUT[name] then
      error(("'%s' is not available in a pipeline: %s"):format(name, LEFT_OUT[name]), 0)
    end
    local known = {}
    for k in pairs(env) do known[#known + 1] = k end
    local nearest = words.nearest(tostring(name), known)
    error(("there is no global '%s'%s"):format(tostring(name),
      nearest and ": did you mean '" .. nearest .. "'?"
      or ': declare it with local, or require the module that has it'), 0)
  end
end

local function refuse_write(_, name)
  error(("the global '%s' cannot be set: write `local %s`; what handlers remember "
    .. "belongs into columns of a row"):format(tostring(name), tostring(name)), 0)
end

-- `require 'a.b'` is a/b.lua of the bundle, loaded once.
local function new_require(bundle, loading, env)
  local loaded, stack = {}, {}

  local function circle(name)
    local path = {}
    for i, open in ipairs(stack) do
      if open == name or #path > 0 then path[#path + 1] = stack[i] end
    end
    path[#path + 1] = name
    return table.concat(path, ' -> ')
  end

  local function names()
    local list = {}
    for file in pairs(bundle.files) do
      list[#list + 1] = (file:gsub('%.lua$', ''):gsub('/', '.'))
    end
    return list
  end

  local function find(name)
    if type(name) ~= 'string' or not name:find('^[%w_%-%.]+$') then
      error("require takes the name of a module of the bundle: require 'folder.file'", 0)
    end
    local file = name:gsub('%.', '/')
    for _, path in ipairs { file .. '.lua', file .. '/init.lua' } do
      if bundle.files[path] then return path end
    end
    error(("there is no module '%s' in the bundle (%s/%s.lua)%s"):format(name,
      bundle.folder, file, words.hint(name, names())), 0)
  end

  local function load_module(name, file)
    local path = bundle.folder .. '/' .. file
    local chunk, reason = load(bundle.files[file], '@' .. path, 't', env)
    if not chunk then
      if reason:find('wrong mode', 1, true) then
        reason = path .. ':1: is bytecode: only the text of Lua files is loaded'
      end
      error(reason, 0)
    end
    local before = { loading.file, loading.text, loading.module }
    loading.file, loading.text, loading.module = path, bundle.files[file], name
    stack[#stack + 1] = name
    local result = chunk()
    stack[#stack] = nil
    loading.file, loading.text, loading.module = before[1], before[2], before[3]
    return result == nil and true or result
  end

  return function(name)
    local file = find(name)
    if loaded[name] == nil then
      for _, open in ipairs(stack) do
        if open == name then error('require goes in a circle: ' .. circle(name), 0) end
      end
      loaded[name] = load_module(name, file)
    end
    return loaded[name]
  end
end

-- What `text:method()` finds, in place of Lua's own library.
M.text_library = text_library

---@param bundle table { folder, files } as read by the core
---@return table env, function require, table loading
function M.new(bundle)
  local loading = {}
  local env = base_library()
  env.string, env.math = text_library(), math_library()
  env.table = strict('table', copy(table, 'concat insert remove sort maxn'))
  env.bit = strict('bit', copy(require('bit'),
    'tobit tohex bnot band bor bxor lshift rshift arshift rol ror bswap'))
  for name, f in pairs(decimal.globals) do env[name] = f end
  for name, f in pairs(dsl.globals(loading)) do env[name] = f end
  env.require = new_require(bundle, loading, env)
  setmetatable(env, {
    __index = refuse_read(env), __newindex = refuse_write, __metatable = false,
  })
  return env, env.require, loading
end

return M
