-- What handlers ask for that is not there: globals, words of libraries, of events and of
-- rows. The bytecode shows it (lj_bc.h), so texts and comments mislead nobody; what is
-- not certain is left to the run, which says the same.
local util = require 'jit.util'
local pure = require 'tidemill.load.pure'

local M = {}

local function byte_of(ins, n) return math.floor(ins / 256 ^ n) % 256 end

-- Those of a function, by number from 1: op, a, b, c and d.
local function instructions(f)
  local list, pc = {}, 1
  local ins = util.funcbc(f, pc)
  while ins do
    list[pc] = { op = ins % 256, a = byte_of(ins, 1), c = byte_of(ins, 2),
      b = byte_of(ins, 3), d = math.floor(ins / 65536) }
    pc = pc + 1
    ins = util.funcbc(f, pc)
  end
  return list
end

-- The numbers of instructions differ between versions of LuaJIT, so they are learned:
-- the first of [code], which begins like [less].
local function probe(code, less)
  local have, lack = instructions(loadstring(code)()), {}
  for _, ins in ipairs(instructions(loadstring(less)())) do lack[ins.op] = true end
  for _, ins in ipairs(have) do
    if not lack[ins.op] then return ins.op end
  end
end

local GGET = probe('return function(v) v = x end', 'return function(v) v = v end')
local TGETS = probe('return function(v) v = v.x end', 'return function(v) v = v end')
local TSETS = probe('return function(v) v.x = v end', 'return function(v) v = v end')
local CALL = probe('return function(v) v() end', 'return function(v) local a = v end')
local CALLT = probe('return function(v) return v() end',
  'return function(v) local a = v return a end')
local CALLS = { [CALL] = true, [CALLT] = true }

local function text_at(f, n)
  local constant = util.funck(f, -n - 1)
  return type(constant) == 'string' and constant or nil
end

-- Instructions that name a slot first and do not write it: none of these writes v.
local READS = {}
for _, code in ipairs { 'if v then return 1 end', 'if not v then return 1 end',
  'if v == w then return 1 end', 'if v ~= w then return 1 end',
  'if v < w then return end',
  'if v >= w then return end', 'if w < v then return end', 'if v <= w then return end',
  "if v == 's' then return 1 end", "if v ~= 's' then return 1 end",
  'if v == 1 then return 1 end', 'if v ~= 1 then return 1 end',
  'if v == nil then return 1 end', 'if v ~= nil then return 1 end', 'w.x = v', 'w[1] = v',
  'w[w] = v', 'return v', 'return', 'local x = v or w return x', 'while w do w() end' } do
  for _, ins in ipairs(instructions(loadstring(('return function(v, w) %s end'):format(
    code))())) do
    if ins.a == 0 then READS[ins.op] = true end
  end
end

-- Is a parameter in slot [at] what it was when the function began?
local function is_kept(list, at)
  for _, ins in ipairs(list) do
    if ins.a == at and not READS[ins.op] then return false end
  end
  return true
end

-- The call of what instruction [n] has put into its slot; nil: it is not called at once.
local function call_of(list, n)
  local slot = list[n].a
  for i = n + 1, #list do
    if list[i].a == slot then return CALLS[list[i].op] and list[i] or nil end
  end
end

-- A field of a parameter: its name, whether it is assigned, how many arguments a call of
-- it has (nil: it is not called).
local function fields(f, list, at, found)
  if not is_kept(list, at) then return end
  for n, ins in ipairs(list) do
    if (ins.op == TGETS or ins.op == TSETS) and ins.b == at then
      local call = ins.op == TGETS and call_of(list, n)
      local name = text_at(f, ins.c)
      if name then
        found(util.funcinfo(f, n).currentline, name, ins.op == TSETS,
          call and (call.op == CALL and call.c or call.d) - 1 or nil)
      end
    end
  end
end

-- Globals that are read, with the word that is asked of each.
local function globals(f, found)
  local list = instructions(f)
  for n, ins in ipairs(list) do
    if ins.op == GGET then
      local after = list[n + 1]
      local is_word = after and after.op == TGETS and after.b == ins.a
      found(util.funcinfo(f, n).currentline, text_at(f, ins.d),
        is_word and text_at(f, after.c) or nil)
    end
  end
  local k, constant = -1, util.funck(f, -1)
  while constant ~= nil do
    if type(constant) == 'proto' then globals(constant, found) end
    k, constant = k - 1, util.funck(f, k - 1)
  end
end

-- What a sandbox says of a word; nil: it has it.
local function refusal(env, name, word)
  local ok, value = pcall(function() return env[name] end)
  if not ok then return value end
  if word and type(value) == 'table' then
    local known, reason = pcall(function() return value[word] end)
    if not known then return reason end
  end
end

---@param roles table<integer, string> by number of the parameter, from 0
---@param why fun(role: string, name: string, is_assigned: boolean, n_arguments:
---integer|nil): string|nil why there is no such word
---@param add fun(text: string) "file:line: what"
function M.of_handler(handler, roles, why, add)
  local file = debug.getinfo(handler, 'S').source:sub(2)
  local list = instructions(handler)
  for at, role in pairs(roles) do
    fields(handler, list, at, function(line, name, is_assigned, n_arguments)
      local text = why(role, name, is_assigned, n_arguments)
      if text then add(('%s:%d: %s'):format(file, line, text)) end
    end)
  end
end

---@param handlers function[]
---@param env table of the bundle
function M.globals(handlers, sources, env, add)
  pure.each(handlers, sources, function(f)
    local file = debug.getinfo(f, 'S').source:sub(2)
    globals(f, function(line, name, word)
      local why = refusal(env, name, word)
      if why then add(('%s:%d: %s'):format(file, line, why)) end
    end)
  end)
end

return M
