-- The faults there are, by name. A file of spec/faults/faults returns a list of
-- them: { name, weight, solo, fire(world, random), heal(world) }. fire gives how
-- often the fault provably happened: 0 when it could not be provoked this time.
-- solo: no other fault is open beside it. is_optional: only when it is named.
-- needs: something that the world makes only when it is wanted ('kafka_proxy').
local M = {}

local function files()
  local names = {}
  local pipe = io.popen('ls spec/faults/faults/*.lua')
  for path in pipe:lines() do names[#names + 1] = path:match('([%w_]+)%.lua$') end
  pipe:close()
  return names
end

--- All faults, sorted by name.
function M.all()
  local list = {}
  for _, file in ipairs(files()) do
    for _, fault in ipairs(require('spec.faults.faults.' .. file)) do
      assert(fault.name:match('^' .. file .. '%.'), fault.name .. ' is not of ' .. file)
      list[#list + 1] = fault
    end
  end
  table.sort(list, function(a, b) return a.name < b.name end)
  return list
end

--- The words of a list such as 'process,kafka.pause', as a set.
function M.words(text)
  local set = {}
  for word in (text or ''):gmatch('[^,%s]+') do set[word] = true end
  return set
end

--- Those that [text] names: files, faults, or nothing for all that are not
--- optional. Raises for a word that is neither.
function M.pick(text)
  local words, used, list = M.words(text), {}, {}
  for _, fault in ipairs(M.all()) do
    local file = fault.name:match('^[^.]+')
    local is_named = words[fault.name]
    if is_named or not fault.is_optional and (words[file] or not next(words)) then
      list[#list + 1] = fault
    end
    used[fault.name], used[file] = true, true
  end
  for word in pairs(words) do
    assert(used[word], ("FAULTS: there is no fault or file '%s'"):format(word))
  end
  return list
end

--- True when one of them needs it.
function M.want(faults, what)
  for _, fault in ipairs(faults) do
    if fault.needs == what then return true end
  end
  return false
end

return M
