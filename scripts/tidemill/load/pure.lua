-- Checks that handlers are pure. They run again after conflicts and failed records, and
-- when a batch is split in another way, so what a handler keeps outside of its row would
-- count twice. The bytecode shows assignments to globals (GSET)
-- and to variables of an outer function (USETx). Tables that a handler
-- changes cannot be seen here; running examples under two splits shows them.
local util = require 'jit.util'
local bytecode = require 'tidemill.load.bytecode'
local upvalues = require 'tidemill.load.upvalues'

local M = {}

local probe = bytecode.probe

local GSET = probe('return function(v) x = v end', 'return function(v) local x = v end')
local USET = {}
for _, v in ipairs { 'v', "'s'", '1', 'nil' } do
  local op = probe(('local a return function(v) a = %s end'):format(v),
    ('return function(v) local a = %s end'):format(v))
  USET[op] = true
end

local KCDATA = probe('return function() return 1LL end',
  'return function() return 1 end')

local function upvalue_names(f)
  local names, i = {}, 0
  local name = util.funcuvname(f, i)
  while name do
    names[i] = name
    i = i + 1
    name = util.funcuvname(f, i)
  end
  return names
end

local function line_of(f, pc)
  return util.funcinfo(f, pc).currentline
end

-- A function and those inside of it, with their variables; the number of the last one.
local function tree(f, around, list, number)
  local node, inner = { f = f, names = upvalue_names(f), around = around }, {}
  for i, proto in ipairs(bytecode.protos(f)) do
    inner[i], number = tree(proto, node, list, number)
  end
  node.inner, node.variables = inner, list[number + 1]
  return node, number + 1
end

-- Is it a variable from outside of the outermost function? What is local to that is
-- gone when it returns, so that a function inside of it may assign it.
local function is_outside(node, index)
  while node.around do
    local variable = node.variables[index]
    if variable.is_local then return false end
    node, index = node.around, variable.index
  end
  return true
end

---A function, and those inside of it: { f, names, inner, variables }; see upvalues.lua.
function M.tree(f)
  return (tree(f, nil, upvalues.read(f), 0))
end

local function scan(node, found)
  local f = node.f
  for pc, ins in ipairs(bytecode.instructions(f)) do
    if ins.op == GSET then
      found(line_of(f, pc), 'global', tostring(util.funck(f, -ins.d - 1)))
    elseif USET[ins.op] and is_outside(node, ins.a) then
      found(line_of(f, pc), 'variable', node.names[ins.a])
    end
  end
  for _, inner in ipairs(node.inner) do scan(inner, found) end
end

local function is_ours(f, sources)
  local info = debug.getinfo(f, 'S')
  return info.what ~= 'C' and sources[info.source]
end

-- Every function that [x] can reach by upvalues and by tables in them. A list of
-- what is to be looked at, since tables may be linked to any depth.
local function visit(x, sources, seen, each)
  local list, at = {}, 1
  local function add(v)
    local kind = type(v)
    if kind ~= 'table' and kind ~= 'function' or seen[v] then return end
    seen[v] = true
    if kind == 'table' or is_ours(v, sources) then list[#list + 1] = v end
  end
  add(x)
  while list[at] do
    local here = list[at]
    if type(here) == 'function' then
      each(here)
      local i = 1
      local name, v = debug.getupvalue(here, i)
      while name do
        add(v)
        i = i + 1
        name, v = debug.getupvalue(here, i)
      end
    else
      for _, v in next, here do add(v) end
    end
    at = at + 1
  end
end

---Calls [each] with every function that the handlers can reach, once.
function M.each(handlers, sources, each)
  local seen = {}
  for _, handler in ipairs(handlers) do visit(handler, sources, seen, each) end
end

local function has_constant(f, word)
  for _, constant in bytecode.constants(f) do
    if constant == word or type(constant) == 'proto' and has_constant(constant, word) then
      return true
    end
  end
  return false
end

--- Whether a handler, or what it can call, has [word] as a name or a text, or
--- has that function of a library by a name of its own.
---@param handlers function[]
---@param sources table set of chunk names of the bundle
---@param library table<string, function>
function M.mentions(handlers, sources, word, library)
  local found, seen = false, { [library] = true }
  for _, handler in ipairs(handlers) do
    visit(handler, sources, seen, function(f) found = found or has_constant(f, word) end)
  end
  return found or seen[library[word]] or false
end

local function literal_text(x)
  local digits = tostring(x):match('^(-?%d+)U?LL$')
  if not digits then return 'no column holds the complex number ' .. tostring(x) end
  return ("the arithmetic of LuaJIT's %s wraps at 64 bits and drops fractions: write "
    .. "decimal '%s', which is exact"):format(tostring(x), digits)
end

-- Nothing can be put between such a literal and what is computed with it.
---@param f function|any a chunk, or a prototype in it
---@return string|nil message a line each
function M.literals(f, path)
  local lines = {}
  for pc, ins in ipairs(bytecode.instructions(f)) do
    if ins.op == KCDATA then
      lines[#lines + 1] = ('%s:%d: %s'):format(path, line_of(f, pc),
        literal_text(util.funck(f, -ins.d - 1)))
    end
  end
  for _, inner in ipairs(bytecode.protos(f)) do
    lines[#lines + 1] = M.literals(inner, path)
  end
  return lines[1] and table.concat(lines, '\n')
end

M.HANDLER = "a handler assigns the %s '%s', which outlives the event: "
  .. "handlers are run again and must be pure: keep it in a column of the row, "
  .. 'or make it local to the handler'
M.RULE = "the failure rule assigns the %s '%s', which outlives the question: "
  .. "each worker asks it, and a restart forgets: go by failure.attempts, or make it "
  .. 'local to the function'

---@param handlers function[]
---@param sources table set of chunk names of the bundle
---@param says string what to say of what is assigned, by kind and name
---@return string[] messages "file:line: ..."
function M.check(handlers, sources, says)
  local messages, seen, told = {}, {}, {}
  for _, handler in ipairs(handlers) do
    visit(handler, sources, seen, function(f)
      local file = debug.getinfo(f, 'S').source:sub(2)
      scan(M.tree(f), function(line, what, name)
        local text = ('%s:%d: '):format(file, line) .. says:format(what, name)
        if not told[text] then
          told[text] = true
          messages[#messages + 1] = text
        end
      end)
    end)
  end
  return messages
end

return M
