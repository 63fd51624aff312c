-- What handlers ask for that is not there: globals, words of libraries, of events and of
-- rows. The bytecode shows it (lj_bc.h), so texts and comments mislead nobody; what is
-- not certain is left to the run, which says the same.
local util = require 'jit.util'
local bytecode = require 'tidemill.load.bytecode'
local pure = require 'tidemill.load.pure'
local trace = require 'tidemill.core.trace'

local M = {}

local instructions, probe = bytecode.instructions, bytecode.probe

local KSTR = probe("return function(v) v = 'x' end", 'return function(v) v = v end')
local MOV = probe('return function(v, w) v = w end', 'return function(v, w) v = 1 end')
local UGET = probe('local u return function(v) v = u end',
  'return function(v) v = v end')
local GGET = probe('return function(v) v = x end', 'return function(v) v = v end')
local TGETS = probe('return function(v) v = v.x end', 'return function(v) v = v end')
local TSETS = probe('return function(v) v.x = v end', 'return function(v) v = v end')
local CALL = probe('return function(v) v() end', 'return function(v) local a = v end')
local CALLT = probe('return function(v) return v() end',
  'return function(v) local a = v return a end')
local CALLS = { [CALL] = true, [CALLT] = true }

-- How far behind the function of a call its first argument is: 2 where a frame has two
-- slots, else 1.
local FIRST_ARGUMENT = 1
for _, ins in ipairs(instructions(loadstring('return function(f) f(1) end')())) do
  if ins.a > FIRST_ARGUMENT + 1 then FIRST_ARGUMENT = ins.a - 1 end
end

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
  'w[w] = v', 'return v', 'return', 'local x = v or w return x', 'while w do w() end',
  'local f = function() return v end f()' } do
  for _, ins in ipairs(instructions(loadstring(('return function(v, w) %s end'):format(
    code))())) do
    if ins.a == 0 then READS[ins.op] = true end
  end
end

-- Is a parameter in slot [at] what it was when the function began? No function inside of
-- it may assign it either.
local function is_kept(node, list, at)
  if at >= util.funcinfo(node.f).params then return false end
  for _, ins in ipairs(list) do
    if ins.a == at and not READS[ins.op] then return false end
  end
  for _, inner in ipairs(node.inner) do
    for _, variable in pairs(inner.variables) do
      if variable.is_local and variable.index == at and not variable.is_kept then
        return false
      end
    end
  end
  return true
end

local JUMPS_BY = 32768 -- what is added to the distance of a jump

-- The instructions that a jump may lead to, and the first that may jump. Other
-- instructions have such numbers too, which only makes less certain.
local function jumps_of(list)
  local targets, first = {}, #list + 1
  for n, ins in ipairs(list) do
    local to = n + 1 + ins.d - JUMPS_BY
    if to >= 1 and to <= #list + 1 then
      targets[to] = true
      first = math.min(first, n)
    end
  end
  return targets, first
end

-- The call of what instruction [n] has put into its slot; nil: it is not called at once.
local function call_of(list, n)
  local slot = list[n].a
  for i = n + 1, #list do
    if list[i].a == slot then return CALLS[list[i].op] and list[i] or nil end
  end
end

-- What is known of slots while a function is read from its beginning: which of them
-- have a parameter ([role]), or a value that the function has from outside ([value]).
local Slots = {}
Slots.__index = Slots

local function forget_from(known, at)
  for slot in pairs(known) do
    if slot >= at then known[slot] = nil end
  end
end

-- Behind instruction [ins]. Whatever writes several slots writes those that follow.
function Slots:step(ins)
  if READS[ins.op] then return end
  local role, value = nil, nil
  if ins.op == MOV then
    role, value = self:role_of(ins.d), self.value[ins.d]
  elseif ins.op == UGET then
    role, value = self.outer[ins.d], self.outside(ins.d)
  elseif ins.op == TGETS and type(self.value[ins.b]) == 'table' then
    value = rawget(self.value[ins.b], text_at(self.f, ins.c))
  end
  forget_from(self.role, ins.a)
  forget_from(self.value, ins.a)
  self.role[ins.a], self.value[ins.a] = role, value
end

function Slots:role_of(at) return self.kept[at] or self.role[at] end

-- Roles of the arguments of a call, by number from 0.
function Slots:arguments(ins)
  local roles = {}
  for i = 0, (ins.op == CALL and ins.c or ins.d) - 2 do
    roles[i] = self:role_of(ins.a + FIRST_ARGUMENT + i)
  end
  return roles
end

-- What a closure has from outside; nothing is known of one that is yet to be made.
local function outside_of(f)
  if type(f) ~= 'function' then return function() end end
  return function(i) return (select(2, debug.getupvalue(f, i + 1))) end
end

-- The variables of an inner function that are parameters of those around it.
local function outer_roles(inner, slots)
  local roles = {}
  for i, variable in pairs(inner.variables) do
    local from = variable.is_local and slots.kept or slots.outer
    roles[i] = from[variable.index]
  end
  return roles
end

local function slots_of(node, list, roles, outer)
  local kept = {}
  for at, role in pairs(roles) do
    if is_kept(node, list, at) then kept[at] = role end
  end
  return setmetatable({ f = node.f, kept = kept, outer = outer, role = {}, value = {},
    outside = outside_of(node.f) }, Slots)
end

-- Is the field assigned its own value, `row.x = y or row.x`?
local function is_copy(list, n, slots)
  local ins, before = list[n], list[n - 1]
  return before ~= nil and before.op == TGETS and before.a == ins.a
    and before.c == ins.c and slots:role_of(before.b) ~= nil
    and slots:role_of(before.b) == slots:role_of(ins.b)
end

-- A field of what has a role: its line and name, whether it is assigned ('itself': its
-- own value), how many arguments a call of it has (nil: it is not called).
local function field_at(list, n, slots, found)
  local ins = list[n]
  local role = slots:role_of(ins.b)
  local name = role and text_at(slots.f, ins.c)
  if not name then return end
  local call = ins.op == TGETS and call_of(list, n)
  found(slots.f, n, role, name,
    ins.op == TSETS and (is_copy(list, n, slots) and 'itself' or true),
    call and (call.op == CALL and call.c or call.d) - 1 or nil)
end

local fields

local function signature(roles, n)
  local list = {}
  for i = 0, n do list[i + 1] = roles[i] or '' end
  return table.concat(list, ' ')
end

-- A function of the bundle that is called gets roles too. It may serve others, so only
-- what each call of it comes to is certain. [seen]: roles of what was looked at.
local function follow(slots, ins, found, seen)
  local f = slots.value[ins.a]
  if type(f) ~= 'function' or not trace.sources[debug.getinfo(f, 'S').source] then
    return
  end
  local roles = slots:arguments(ins)
  local text = signature(roles, 8)
  seen[f] = seen[f] or {}
  if next(roles) and not seen[f][text] then
    seen[f][text] = true
    fields(pure.tree(f), roles, {}, true, found, seen)
  end
end

-- [outer]: roles of the variables from outside; [is_helper]: only up to the first jump.
function fields(node, roles, outer, is_helper, found, seen)
  local list = instructions(node.f)
  local slots = slots_of(node, list, roles, outer)
  local targets, first = jumps_of(list)
  for n = 1, is_helper and first - 1 or #list do
    local ins = list[n]
    if targets[n] then slots.role, slots.value = {}, {} end
    if ins.op == TGETS or ins.op == TSETS then field_at(list, n, slots, found) end
    if CALLS[ins.op] then follow(slots, ins, found, seen) end
    slots:step(ins)
  end
  if is_helper then return end
  for _, inner in ipairs(node.inner) do
    fields(inner, {}, outer_roles(inner, slots), false, found, seen)
  end
end

-- Globals that are read, with the word that is asked of each, or the text that it is
-- called with.
local function globals(f, found)
  local list = instructions(f)
  local targets = jumps_of(list)
  for n, ins in ipairs(list) do
    if ins.op == GGET then
      local after = not targets[n + 1] and list[n + 1]
      local is_word = after and after.op == TGETS and after.b == ins.a
      found(util.funcinfo(f, n).currentline, text_at(f, ins.d),
        is_word and text_at(f, after.c) or nil,
        after and after.op == KSTR and text_at(f, after.d) or nil)
    end
  end
  for _, inner in ipairs(bytecode.protos(f)) do globals(inner, found) end
end

-- What a sandbox says of a word, or of a module; nil: it has it.
local function refusal(env, name, word, text)
  local ok, value = pcall(function() return env[name] end)
  if not ok then return value end
  if name == 'require' and text then
    local is_there, reason = pcall(value, text)
    return not is_there and reason or nil
  end
  if word and type(value) == 'table' then
    local known, reason = pcall(function() return value[word] end)
    if not known then return reason end
  end
end

---@param roles table<integer, string> by number of the parameter, from 0
---@param why fun(role: string, name: string, is_assigned: boolean|'itself', n_arguments:
---integer|nil): string|nil why there is no such word
---@param add fun(text: string) "file:line: what"
function M.of_handler(handler, roles, why, add)
  fields(pure.tree(handler), roles, {}, false,
    function(f, n, role, name, is_assigned, n_arguments)
      local text = why(role, name, is_assigned, n_arguments)
      local at = util.funcinfo(f, n)
      if text then
        add(('%s:%d: %s'):format(at.source:sub(2), at.currentline, text))
      end
    end, {})
end

---@param handlers function[]
---@param env table of the bundle
function M.globals(handlers, sources, env, add)
  pure.each(handlers, sources, function(f)
    local file = debug.getinfo(f, 'S').source:sub(2)
    globals(f, function(line, name, word, text)
      local why = refusal(env, name, word, text)
      if why then add(('%s:%d: %s'):format(file, line, why)) end
    end)
  end)
end

return M
