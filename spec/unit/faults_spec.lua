-- The harness of spec/faults, without servers: what it would overlook must not
-- be decided by luck.
local load = require 'spec.faults.load'
local model = require 'spec.faults.model'
local runner = require 'spec.faults.runner'
local schedule = require 'spec.faults.schedule'

local function faults_of(names)
  local list = {}
  for _, name in ipairs(names) do list[#list + 1] = { name = name, weight = 2 } end
  return list
end

local function names_of(s, n)
  local names = {}
  for i = 1, n do
    local step = s:next()
    names[i] = ('%s %d %g'):format(step.fault.name, step.random(1, 1000), step.pause)
  end
  return names
end

describe('a schedule of faults', function()
  local names = { 'a', 'b', 'c', 'd', 'e' }

  it('is the same for the same seed', function()
    local one = names_of(schedule.new(17, faults_of(names)), 40)
    assert.same(one, names_of(schedule.new(17, faults_of(names)), 40))
    assert.not_same(one, names_of(schedule.new(18, faults_of(names)), 40))
  end)

  it('shows every fault before it shows one again', function()
    for seed = 1, 20 do
      local s, seen = schedule.new(seed, faults_of(names)), {}
      for _ = 1, #names do
        assert.is_false(s:has_shown_all())
        seen[s:next().fault.name] = true
      end
      assert.is_true(s:has_shown_all())
      for _, name in ipairs(names) do assert.is_true(seen[name]) end
    end
  end)
end)

-- Enough of a world for faults that do nothing to it: its lanes move.
local function idle_world()
  local offset = 0
  return {
    counts = {}, stalls = {}, runs = {},
    load = { ends = function() return { t = { [0] = offset } } end },
    log = function() end, sleep = function() end, send = function() end,
    check_runs = function() end,
    lanes = function()
      offset = offset + 1
      return { ['t/0'] = { position = offset } }
    end,
    wait_for = function(_, _, _, condition)
      for _ = 1, 100 do
        if condition() then return true end
      end
      error('never')
    end,
  }
end

describe('the runner', function()
  local log

  local function fault(name, result, with_heal)
    return {
      name = name,
      fire = function() log[#log + 1] = name; return result end,
      heal = with_heal and function() log[#log + 1] = 'heal ' .. name end or nil,
    }
  end

  before_each(function() log = {} end)

  it('counts nothing for a fault that it was told to skip', function()
    local world, list = idle_world(), { fault('a', 1), fault('b', 2) }
    runner.run(world, schedule.new(1, list), 0, { b = true })
    assert.same({ a = 1 }, world.counts)
  end)

  it('gives a fault that could not be provoked more tries', function()
    local world, list = idle_world(), { fault('a', 0) }
    runner.run(world, schedule.new(1, list), 0, {})
    assert.equal(4, #log)
    assert.same({ a = 0 }, world.counts)
  end)

  it('leaves no fault open', function()
    for seed = 1, 30 do
      local world, list = idle_world(), { fault('a', 1, true), fault('b', 1, true) }
      list[2].solo = true
      log = {}
      runner.run(world, schedule.new(seed, list), 0, {})
      table.sort(log)
      assert.same({ 'a', 'b', 'heal a', 'heal b' }, log)
    end
  end)

  it('does not hide that a run has ended', function()
    local world = idle_world()
    world.check_runs = function() error('a run has ended', 0) end
    assert.has_error(function()
      runner.run(world, schedule.new(1, { fault('a', 1) }), 0, {})
    end, 'a run has ended')
  end)
end)

describe('the model of the mill', function()
  local function event(account, seq, poison, code)
    return { partition = 0, account = account, seq = seq, kind = 'moved', cents = 100,
      owner = 'o', bucket = 'b', poison = poison, code = code }
  end

  it('sets a failed record aside, and what follows it with its key', function()
    local m = model.new('t', 1)
    for i, e in ipairs {
      event(1, 1), event(1, 2, 'raises'), event(2, 3), event(1, 4), event(1, 5, 'refused'),
    } do
      m:produce(e)
      assert.equal(i, m.n_sent[0])
    end
    assert.same({ ['0/1'] = 'failed', ['0/3'] = 'held', ['0/4'] = 'held' }, m.letters)
    assert.same({ n = 1, cents = 100, trail = 7 * 31 + 1 }, m.accounts[1])
    assert.equal(2, m.owners.o.n)
    assert.same({ n_applied = 2, n_failed = 1, n_held = 2 }, {
      n_applied = m.n_applied, n_failed = m.n_failed, n_held = m.n_held })
  end)

  it('fails a repeated code only when the first one was applied', function()
    local m = model.new('t', 1)
    m:produce(event(1, 1, 'raises', 'c'))
    m:produce(event(2, 2, 'repeated', 'c'))
    m:produce(event(3, 3, 'repeated', 'c'))
    assert.same({ ['0/0'] = 'failed', ['0/2'] = 'failed' }, m.letters)
  end)

  it('applies what only the database refused, in order, when it is tried again', function()
    local m = model.new('t', 1)
    for _, e in ipairs {
      event(1, 1, 'refused'), event(2, 2, 'raises'), event(1, 3), event(2, 4), event(1, 5),
    } do
      m:produce(e)
    end
    m:retry()
    m:produce(event(1, 6, 'refused'))
    m:produce(event(2, 7))
    assert.same({ ['0/1'] = 'failed', ['0/3'] = 'held', ['0/6'] = 'held' }, m.letters)
    local trail = 7
    for _, seq in ipairs { 1, 3, 5, 6 } do trail = trail * 31 + seq end
    assert.same({ n = 4, cents = 400, trail = trail }, m.accounts[1])
    assert.is_nil(m.accounts[2])
  end)

  it('accounts for every record of a poisoned load', function()
    local sent = 0
    local l = load.new {
      producer = { send = function() sent = sent + 1 end }, seed = 5, partitions = 4,
      mill = 'mill', copy = 'copy', has_poison = true,
    }
    l:send(6000)
    local m = l.mill
    assert.equal(6000, m:n_produced())
    assert.equal(6000, m.n_applied + m.n_failed + m.n_held)
    assert.is_true(m.n_failed > 10)
    assert.is_true(m.n_failed < 6000 / 100)
    assert.is_true(m.n_held >= m.n_failed * 2 - 2)
    assert.equal(sent, l:n_produced())
  end)
end)
