local testing = require 'tidemill.testing'

-- A bundle that says nothing of failures, which is this rule's.
local bundle = testing.load((os.getenv('TIDEMILL_ROOT') or '.') .. '/examples/mirror')

local function decides(case, action, delay)
  local name = {}
  for _, field in ipairs { 'class', 'sqlstate', 'attempts', 'records', 'has_others' } do
    if case[field] ~= nil then name[#name + 1] = field .. ' ' .. tostring(case[field]) end
  end
  it(('%s: %s%s'):format(table.concat(name, ', '), action, delay and ' ' .. delay or ''),
    function()
      assert.are.same({ action, delay }, { bundle:decide(case) })
    end)
end

describe('rule sqlstate', function()
  it('is the one that a pipeline has when it names none', function()
    assert.are.equal("rule 'sqlstate'", bundle.plan.failure.title)
  end)

  -- Somebody else's doing: the same batch again, with the usual back-off.
  for _, class in ipairs { 'conflict', 'connection', 'server', 'resource' } do
    decides({ class = class }, 'retry')
    decides({ class = class, records = 5000, attempts = 1000 }, 'retry')
  end
  -- A record's doing: it is looked for, then set aside with what is behind it.
  for _, class in ipairs { 'data', 'script' } do
    decides({ class = class, records = 5000 }, 'bisect')
    decides({ class = class, records = 2, attempts = 9 }, 'bisect')
    decides({ class = class, records = 1 }, 'hold')
  end
  -- A person's doing: no record is to blame.
  for _, class in ipairs { 'schema', 'config', 'fatal' } do
    decides({ class = class, records = 1 }, 'halt')
    decides({ class = class, records = 5000, attempts = 3 }, 'halt')
  end

  describe('of a statement that ran into its timeout', function()
    local function canceled(case, action)
      case.class, case.sqlstate = 'resource', '57014'
      decides(case, action)
    end
    canceled({ records = 5000, attempts = 0 }, 'retry')
    canceled({ records = 1, attempts = 0, has_others = true }, 'retry')
    canceled({ records = 5000, attempts = 1 }, 'bisect')
    canceled({ records = 1, attempts = 1, has_others = true }, 'hold')
    canceled({ records = 1, attempts = 50, has_others = false }, 'retry')
  end)

  describe('of a row that refers to one that is not there', function()
    local function dangling(case, action, delay)
      case.class, case.sqlstate = 'data', '23503'
      decides(case, action, delay)
    end
    dangling({ records = 10, attempts = 0 }, 'bisect')
    dangling({ records = 1, attempts = 0 }, 'retry', 200)
    dangling({ records = 1, attempts = 1 }, 'retry', 800)
    dangling({ records = 1, attempts = 2 }, 'retry', 3200)
    dangling({ records = 1, attempts = 3 }, 'hold')
    dangling({ records = 1, attempts = 9 }, 'hold')
  end)
end)
