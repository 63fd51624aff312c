-- The environment of a bundle: what is safe and gives the same result every
-- time. It guards against accidents, not against an enemy.
local calls = require 'tidemill.load.calls'
local core = require 'tidemill.core.api'
local decimal = require 'tidemill.core.decimal'
local dsl = require 'tidemill.load.dsl'
local integers = require 'tidemill.core.integers'
local kinds = require 'tidemill.core.kinds'
local lexer = require 'tidemill.load.lexer'
local locate = require 'tidemill.load.locate'
local protected = require 'tidemill.core.protected'
local pure = require 'tidemill.load.pure'
local unclosed = require 'tidemill.load.unclosed'
local units = require 'tidemill.core.units'
local value = require 'tidemill.core.value'
local view = require 'tidemill.run.view'
local words = require 'tidemill.core.words'

local M = {}

local MAX_TEXT = 16 * 1024 * 1024
-- A global that no script can name.
local CALL_TABLE = core.field 'call_table'

-- Known words that are left out, and why.
local LEFT_OUT = {
  os = 'time comes from event.time (its day: row.day = millis(event.time) into a date '
    .. 'column), settings from env()',
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

-- What looks like a global and is none.
local MEANT = {
  event = 'a handler gets it as a parameter: function(row, event) … end',
  row = 'a handler gets it as a parameter: function(row, event) … end',
  data = "a path is a text: from = 'data.field'; a handler reads event.data",
  after = "a path is a text: from = 'after.field'; a handler reads event.after",
  before = "a path is a text: from = 'before.field'; a handler reads event.before",
  key = "the record's key is a text here: from = 'key'; a handler reads event.key",
  null = 'in Lua it is nil', NULL = 'in Lua it is nil', None = 'in Lua it is nil',
  True = 'in Lua it is true', TRUE = 'in Lua it is true',
  False = 'in Lua it is false', FALSE = 'in Lua it is false',
}

-- Why there is no such global, and what is meant by it.
local function why_no_global(name, env)
  if MEANT[name] then return MEANT[name] end
  if core.host.type(name) then
    return ("a type is a text: column = '%s'"):format(name)
  end
  local known = {}
  for k in pairs(env) do known[#known + 1] = k end
  local nearest = words.nearest(name, known)
  return nearest and ("did you mean '%s'?"):format(nearest)
    or 'declare it with local, or require the module that has it'
end

local function copy(from, names)
  local t = {}
  for name in names:gmatch('%S+') do t[name] = from[name] end
  return t
end

-- Of a text, as `event.data.x.y` asks of a field that is none of the object's.
local function no_text_field(key, known)
  local nearest = words.nearest(tostring(key), known)
  error(("a text has no field '%s'%s: fields are of objects. Where the text holds JSON, "
    .. 'let the producer write an object instead, or put it whole into a jsonb column; '
    .. 'what a row has in a json or jsonb column reads as a text')
    :format(tostring(key), nearest and (" (did you mean '%s'?)"):format(nearest) or ''),
    0)
end

-- Fields that are not there raise, naming what is.
local function strict(name, t, reasons, refuse)
  local known = {}
  for k in pairs(t) do known[#known + 1] = k end
  return setmetatable(t, {
    __index = function(_, key)
      local reason = reasons and reasons[key]
      if refuse and not reason then refuse(key, known) end
      error(("%s.%s is not available%s"):format(name, tostring(key),
        reason and ': ' .. reason or words.hint(key, known)), 0)
    end,
    __newindex = function() error(name .. ' cannot be changed', 0) end,
    __metatable = false,
  })
end

-- One for all bundles of the VM: pure.lua knows it.
local WORDS = strict('tidemill', kinds.library)

---@param refuse function|nil instead of the words for a field of `string`
local function text_library(refuse)
  local t = { char = string.char }
  for name in ('byte find gmatch gsub len lower match reverse sub upper'):gmatch('%a+') do
    t[name] = integers.of_text(string[name])
  end
  t.format = integers.format
  t.rep = function(s, n, separator)
    if (#s + (separator and #separator or 0)) * n > MAX_TEXT then
      error('string.rep: the result would be longer than 16 MiB', 0)
    end
    return string.rep(s, n, separator)
  end
  return strict('string', t, { dump = 'it can break the sandbox' }, refuse)
end

local function no_decimal(name, x)
  if type(x) == 'cdata' and not decimal.is_numeric(x) then
    error(('math.%s takes a number, not %s'):format(name, kinds.name_of(x)), 3)
  end
  if type(x) == 'cdata' then
    error('math.' .. name .. ' does not take decimals, as which whole numbers from 2^53 '
      .. 'on are read too: use abs, min, max, round or div, which are exact', 3)
  end
end

-- Is what floor, ceil and modf cut off less than rounding makes of a whole number?
local IS_CUT = {
  floor = function(x, near) return near > x end,
  ceil = function(x, near) return near < x end,
  modf = integers.is_cut,
}

local function new_cutting(name)
  local f, is_cut = math[name], IS_CUT[name]
  return function(x)
    no_decimal(name, x)
    integers.check_cut('math.' .. name .. '(x)', x, is_cut)
    return f(x)
  end
end

local function math_library()
  local t = { pi = math.pi, huge = math.huge }
  for name in pairs(IS_CUT) do t[name] = new_cutting(name) end
  for name in ('abs acos asin atan cos cosh deg exp log10 rad sin sinh sqrt '
    .. 'tan tanh frexp'):gmatch('%S+') do
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

-- A LuaJIT that is built with the words of Lua 5.2 asks metatables for __pairs and
-- __ipairs; others do not. Here none is asked. For # see refuse_length().
local next_item = ipairs {}

local function base_library()
  local t = copy(_G, 'error assert select type unpack next rawequal')
  t.pcall, t.xpcall = protected.pcall, protected.xpcall
  t.pairs = function(x)
    if type(x) == 'table' then return next, x, nil end
    if type(x) ~= 'cdata' then return pairs(x) end
    local object = view.table_of(x)
    if not object then error('pairs: this is no object or table', 0) end
    return ordered(object)
  end
  t.ipairs = function(x)
    if type(x) == 'table' then return next_item, x, 0 end
    if type(x) ~= 'cdata' then return ipairs(x) end
    return ipairs(view.table_of(x) or error('ipairs: this is no array or table', 0))
  end
  t.tonumber = function(x, base)
    if type(x) ~= 'cdata' or not decimal.is_numeric(x) then return tonumber(x, base) end
    local near = tonumber(tostring(x))
    if near == math.huge or near == -math.huge then
      error(('tonumber: no Lua number is near %s'):format(tostring(x)), 0)
    end
    return near
  end
  t.tostring = integers.text
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
    error(("there is no global '%s': %s"):format(tostring(name),
      why_no_global(tostring(name), env)), 0)
  end
end

local function refuse_write(_, name)
  error(("the global '%s' cannot be set: write `local %s`; what handlers remember "
    .. "belongs into columns of a row"):format(tostring(name), tostring(name)), 0)
end

-- What other languages write, in the line where Lua stumbled over it.
local FOREIGN = {
  { '!=', 'Lua writes ~= for it' }, { '![%a_(]', 'Lua writes not' },
  { '[%+%-%*/]=[^=]', 'Lua writes n = n + 1' }, { '%+%+', 'Lua writes n = n + 1' },
  { '^%s*els?if%f[%W]', 'Lua writes elseif' },
  { '%s%?[^:]*:', 'Lua writes x and 1 or 2 for x ? 1 : 2' },
  { '&&', 'Lua writes and' }, { '||', 'Lua writes or' },
  { '%f[%S]//', 'a comment begins with --' },
  { '^%s*[%w_]+%s*:[^:]', 'Lua writes key = value' },
  { '^%s*["\'][%w_]+["\']%s*[:=]', "Lua writes key = value, or ['key'] = value" },
}

local function syntax_hint(text, line, what)
  local n = 0
  for code in (text .. '\n'):gmatch('(.-)\r?\n') do
    n = n + 1
    for _, one in ipairs(n == line and FOREIGN or {}) do
      if code:find(one[1]) then return ': ' .. one[2] end
    end
  end
  return what:find("^'}' expected") and ': is a comma missing before it?' or ''
end

-- Nothing can be put between # and a table; so no table may have what only some builds
-- of LuaJIT ask for.
local function refuse_length(path, text)
  if not text:find('__len', 1, true) then return end
  local t = lexer.read(text)
  for i, word in ipairs(t.values) do
    if word == '__len' then
      error(("%s:%d: whether # asks a metatable for '__len' depends on how LuaJIT was "
        .. 'built: write a function that counts, and call it'):format(path, t.lines[i]),
        0)
    end
  end
end

-- Lua shows the text at which it stumbled, which may be an address with its password.
local function without_text(what, text, line)
  local n, code = 0, ''
  for each in (text .. '\n'):gmatch('(.-)\n') do
    n = n + 1
    if n == line then code = each:lower() end
  end
  what = what:gsub('^(unfinished string) near .*$', '%1')
  what = what:gsub('^(invalid escape sequence) near .*$', '%1')
  local is_secret = code:find('://', 1, true) or code:find 'passw'
  return (what:gsub(is_secret and ' near .*$' or "near '['\"].*$",
    is_secret and '' or 'near a text'))
end

local function else_if(text, first, last)
  local n = 0
  for code in (text .. '\n'):gmatch('(.-)\n') do
    n = n + 1
    if n > first and n <= last and code:find('^%s*else%s+if%f[%W]') then
      return (': the `else if` in line %d begins another if, which has its own end: '
        .. 'is elseif meant?'):format(n)
    end
  end
  return ''
end

-- A block without its end is told in the line where it begins.
local function syntax_error(path, text, line, what)
  local began, word
  if what:find("^'end' expected") or what:find("^unexpected symbol near '[},)<]") then
    began, word = unclosed.find(text)
  end
  if began then
    return ("%s:%d: the 'end' of this '%s' is missing: Lua noticed in line %d (%s)%s")
      :format(path, began, word, line, what, else_if(text, began, line))
  end
  return ('%s:%d: %s%s'):format(path, line, what, syntax_hint(text, line, what))
end

-- Of a file that is no part of the bundle.
local LEFT = ': the file is there, but a run loads what was there when it started (start '
  .. 'it again), without specs and what is in a linked folder'

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

  -- Where a module name with slashes or an ending would have to point.
  local function nearest(name)
    return words.hint((tostring(name):gsub('%.lua$', ''):gsub('[/\\]', '.')), names())
  end

  local function find(name, refuse)
    if type(name) ~= 'string' or not name:find('^[%w_%-%.]+$') then
      refuse(("require takes the name of a module of the bundle, require 'folder.file', "
        .. 'not %s%s'):format(type(name) == 'string' and "'" .. name .. "'"
        or 'a ' .. type(name), type(name) == 'string' and nearest(name) or ''))
    end
    local file = name:gsub('%.', '/')
    for _, path in ipairs { file .. '.lua', file .. '/init.lua' } do
      if bundle.files[path] then return path end
    end
    local place = ('%s/%s.lua'):format(bundle.folder,
      name:find('%.lua$') and name:gsub('%.lua$', '') or file)
    refuse(("there is no module '%s' in the bundle (%s)%s"):format(name, place,
      core.host.is_there(place) and LEFT or nearest(name)))
  end

  -- LuaJIT shortens long paths and takes bytecode for a mode.
  local function compile(path, text)
    if text:find('^\255\254') or text:find('^\254\255') then
      error(path .. ':1: is UTF-16: save it as UTF-8', 0)
    end
    local chunk, reason = load(text, '@' .. path, 't', env)
    if chunk then
      local wrong = pure.literals(chunk, path)
      if wrong then error(wrong, 0) end
      refuse_length(path, text)
      local rewritten = calls.rewrite(text, CALL_TABLE)
      return rewritten and assert(load(rewritten, '@' .. path, 't', env)) or chunk
    end
    if reason:find('wrong mode', 1, true) then
      error(path .. ':1: is bytecode: only the text of Lua files is loaded', 0)
    end
    local line, what = reason:match('^.-:(%d+): (.*)$')
    if not line then error(reason, 0) end
    what = without_text(what, text, tonumber(line))
    error(syntax_error(path, text, tonumber(line), what), 0)
  end

  local function load_module(name, file)
    local path = bundle.folder .. '/' .. file
    local chunk = compile(path, bundle.files[file])
    local before = { loading.file, loading.module }
    loading.file, loading.module = path, name
    stack[#stack + 1] = name
    local first, second = chunk()
    stack[#stack] = nil
    loading.file, loading.module = before[1], before[2]
    if second ~= nil then
      error(('%s:%d: returns more than one value: a file returns one'):format(path,
        locate.returned(loading, path).line), 0)
    end
    return first == nil and true or first
  end

  -- `return require 'x'` is a tail call, which leaves no frame that could tell.
  local function where(name)
    local quoted = '[\'"%[]' .. tostring(name):gsub('%W', '%%%0') .. '[\'"%]]'
    local n, word = 0, 'require[%s(]*' .. quoted
    for line in ((loading.texts[loading.file] or '') .. '\n'):gmatch('(.-)\n') do
      n = n + 1
      if line:find(word) then return ('%s:%d: '):format(loading.file, n) end
    end
    return ''
  end

  -- What a file returns, or what it should have returned.
  local function place_of(path, result)
    if result == true then return locate.called(loading, path, 'projection') end
    return locate.returned(loading, path)
  end

  -- What was open when an error was raised has failed, and that is told already.
  local failed = {}
  local function begin()
    while #stack > 0 do failed[table.remove(stack)] = true end
    loading.file, loading.module = nil, nil
  end

  ---@param at string|nil where the name is written, when the pipeline itself is
  ---loaded; then what has failed before gives nothing
  ---@param file string|nil of the bundle, when its name is no module's
  return function(name, at, file)
    local function refuse(text) error((at or where(name)) .. text, 0) end
    if at then begin() end
    if at and failed[name] then return nil end
    file = file or find(name, refuse)
    if loaded[name] == nil then
      for _, open in ipairs(stack) do
        if open == name then
          refuse('require goes in a circle: ' .. circle(name) .. ': put what both need '
            .. 'into a module of its own')
        end
      end
      loaded[name] = load_module(name, file)
    end
    return loaded[name], at and place_of(bundle.folder .. '/' .. file, loaded[name])
  end
end

-- What `text:method()` finds, in place of Lua's own library.

-- What every text of the VM has.
function M.text_methods() return text_library(no_text_field) end

---@param bundle table { folder, files } as read by the core
---@return table env, function require, table loading
function M.new(bundle)
  protected.begin(nil)
  local loading = { texts = {}, resolved = {} }
  for name, text in pairs(bundle.files) do
    loading.texts[bundle.folder .. '/' .. name] = text
  end
  local env = base_library()
  env.string, env.math = text_library(), math_library()
  local tables = copy(table, 'insert remove sort maxn')
  tables.concat = integers.concat
  env.table = strict('table', tables)
  env.bit = strict('bit', integers.bit())
  for name, f in pairs(decimal.globals) do env[name] = f end
  for name, f in pairs(units.globals) do env[name] = f end
  for name, f in pairs(dsl.globals(loading)) do env[name] = f end
  env.tidemill = WORDS
  env[CALL_TABLE] = kinds.call_table
  local require_module = new_require(bundle, loading, env)
  env.require = function(name) return (require_module(name)) end
  setmetatable(env, {
    __index = refuse_read(env), __newindex = refuse_write, __metatable = false,
  })
  return env, require_module, loading
end

return M
