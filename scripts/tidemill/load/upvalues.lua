-- Finds what the variables of inner functions are: locals of the function around them,
-- or variables that this has from outside. A name does not show it, since a local may
-- have the name of what it hides. LuaJIT's bytecode does, as string.dump gives it
-- (lj_bcdump.h).
local M = {}

-- In the upper byte of what is told of a variable.
local LOCAL, KEPT = 128, 64

-- A number of seven bits a byte, and the place behind it.
local function number_at(dump, at)
  local n, unit = 0, 1
  repeat
    local byte = dump:byte(at)
    n, unit, at = n + byte % 128 * unit, unit * 128, at + 1
  until byte < 128
  return n, at
end

local function skip(dump, at, n)
  for _ = 1, n do at = select(2, number_at(dump, at)) end
  return at
end

-- Behind flags, parameters, slots and the number of variables: how much there is of
-- constants, instructions and lines; the instructions; the variables.
local function variables_at(dump, at, has_lines)
  local n_variables = dump:byte(at + 3)
  local n_instructions
  n_instructions, at = number_at(dump, skip(dump, at + 4, 2))
  if has_lines then
    local n_bytes, behind = number_at(dump, at)
    at = n_bytes > 0 and skip(dump, behind, 2) or behind
  end
  at = at + 4 * n_instructions
  local list = {}
  for i = 0, n_variables - 1 do
    local index, kind = dump:byte(at + 2 * i, at + 2 * i + 1)
    list[i] = { index = index, is_local = kind >= LOCAL,
      is_kept = kind % LOCAL >= KEPT }
  end
  return list
end

---The variables of a function and of all inside of it, the innermost first, in the
---order of their constants; each from 0 on { index, is_local, is_kept (nobody assigns it;
---told of a local alone) }.
---@param f function
---@return table[]
function M.read(f)
  local dump, list = string.dump(f), {}
  local flags, at = number_at(dump, 5)
  local has_lines = math.floor(flags / 2) % 2 == 0
  if has_lines then
    local n_name, behind = number_at(dump, at)
    at = behind + n_name
  end
  local n_bytes
  n_bytes, at = number_at(dump, at)
  while n_bytes > 0 do
    list[#list + 1] = variables_at(dump, at, has_lines)
    n_bytes, at = number_at(dump, at + n_bytes)
  end
  return list
end

return M
