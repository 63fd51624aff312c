-- What a run of the harness tells at its end.
local process = require 'process'

local M = {}

local function print_faults(world, promised)
  print(('\n%-34s %9s %14s'):format('fault', 'injected', 'longest stall'))
  local sum = 0
  for _, fault in ipairs(promised) do
    local n, seconds = world.counts[fault.name] or 0, world.stalls[fault.name]
    sum = sum + n
    print(('%-34s %9d %14s'):format(fault.name, n,
      seconds and ('%.1f s'):format(seconds) or '-'))
  end
  print(('%-34s %9d'):format('all', sum))
end

local function longest(world)
  local most, name = 0, 'none'
  for fault, seconds in pairs(world.stalls) do
    if seconds > most then most, name = seconds, fault end
  end
  return most, name
end

--- [account]: what invariant.account gave; nil when it never came to that.
function M.print(world, promised, account)
  print_faults(world, promised)
  print(('\nrecords    %d through two pipelines in %.0f s'):format(
    world.load:n_produced(), process.now() - world.began))
  if account then
    print(('lost       %d\nrepeated   %d'):format(account.lost, account.repeated))
    print(('letters    %d failed, %d held behind them'):format(account.failed,
      account.held))
  end
  print(('stall      at most %.1f s after a fault was over (%s)'):format(longest(world)))
end

--- The command that fires the same schedule again.
function M.replay(settings)
  local words = { 'SEED=' .. settings.seed, 'FAULT_SECONDS=' .. settings.seconds }
  for _, name in ipairs { 'FAULTS', 'SKIP', 'POISON', 'RETRY' } do
    local value = os.getenv(name)
    if value and value ~= '' then words[#words + 1] = ('%s=%s'):format(name, value) end
  end
  return table.concat(words, ' ') .. ' make test-faults'
end

return M
