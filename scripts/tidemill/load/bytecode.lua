-- Instructions of a function or a prototype, as LuaJIT has them (lj_bc.h). Their numbers
-- differ between versions of LuaJIT, so they are learned.
local util = require 'jit.util'

local M = {}

local function byte_of(ins, n) return math.floor(ins / 256 ^ n) % 256 end

---The instructions, by number from 1: op, a, b, c and d.
function M.instructions(f)
  local list, pc = {}, 1
  local ins = util.funcbc(f, pc)
  while ins do
    list[pc] = { op = ins % 256, a = byte_of(ins, 1), c = byte_of(ins, 2),
      b = byte_of(ins, 3), d = math.floor(ins / 65536) % 65536 }
    pc = pc + 1
    ins = util.funcbc(f, pc)
  end
  return list
end

---The number of the first instruction of [code] that [less] lacks; both are texts that
---return a function.
function M.probe(code, less)
  local lack = {}
  for _, ins in ipairs(M.instructions(loadstring(less)())) do lack[ins.op] = true end
  for _, ins in ipairs(M.instructions(loadstring(code)())) do
    if not lack[ins.op] then return ins.op end
  end
end

---Goes over the constants of a function that are no numbers: for _, x in constants(f).
function M.constants(f)
  return function(_, k)
    local constant = util.funck(f, k - 1)
    if constant ~= nil then return k - 1, constant end
  end, nil, 0
end

---The functions right inside of it, as prototypes, in the order of their constants.
function M.protos(f)
  local list = {}
  for _, constant in M.constants(f) do
    if type(constant) == 'proto' then list[#list + 1] = constant end
  end
  return list
end

return M
