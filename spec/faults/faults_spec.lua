-- One seeded schedule of faults against a real Kafka and PostgreSQL, under load,
-- and what must hold at its end. spec/README.md tells the settings.
local catalogue = require 'spec.faults.catalogue'
local figures = require 'spec.faults.figures'
local invariant = require 'spec.faults.invariant'
local model = require 'spec.faults.model'
local runner = require 'spec.faults.runner'
local schedule = require 'spec.faults.schedule'
local world_of = require 'spec.faults.world'

local settings = {
  seed = tonumber(os.getenv('SEED') or os.time() % 1000000),
  seconds = tonumber(os.getenv('FAULT_SECONDS') or 480),
  has_poison = os.getenv('POISON') ~= 'off',
  has_retry = os.getenv('RETRY') ~= 'off',
  skipped = catalogue.words(os.getenv('SKIP')),
}
local promised = catalogue.pick(os.getenv('FAULTS'))

describe(('under the faults of seed %d'):format(settings.seed), function()
  local world, account

  lazy_setup(function()
    print('replay with: ' .. figures.replay(settings))
    world = world_of.new {
      seed = settings.seed, has_poison = settings.has_poison,
      has_kafka_proxy = catalogue.want(promised, 'kafka_proxy'),
    }
    world:start_run { pipeline = 'mill' }
    world:start_run { pipeline = 'copy' }
    world:send(200)
    world:wait_ready()
  end)

  lazy_teardown(function()
    figures.print(world, promised, account)
    print('replay     ' .. figures.replay(settings) .. '\n')
    world:destroy()
  end)

  -- The checks of the end mean nothing before it; that it did not come has been
  -- told by then.
  local function at_the_end()
    if not world.is_through then pending('the schedule broke off') end
  end

  it('each lane moves again after each fault', function()
    runner.run(world, schedule.new(settings.seed, promised), settings.seconds,
      settings.skipped)
    invariant.catch_up(world)
    world.is_through = true
    account = invariant.account(world)
  end)

  for _, fault in ipairs(promised) do
    it('the promised fault happens: ' .. fault.name, function()
      at_the_end()
      if (world.counts[fault.name] or 0) == 0 then error('it never fired', 0) end
    end)
  end

  for _, name in ipairs(model.table_names) do
    it(('the table %s is the model\'s'):format(name), function()
      at_the_end()
      invariant.check_table(world, name)
    end)
  end

  it('the copied table is the one it was copied from', function()
    at_the_end()
    invariant.check_copy(world)
  end)

  it('each record is applied once or set aside once', function()
    at_the_end()
    assert.equal(0, account.lost)
    assert.equal(0, account.repeated)
    invariant.check_letters(world)
  end)

  it('records of one key are committed in their order', function()
    at_the_end()
    invariant.check_order(world)
  end)

  it('dead letters that nothing refuses any more are applied, in their order', function()
    at_the_end()
    if not settings.has_retry then pending('RETRY is off') end
    invariant.retry_letters(world)
    for _, name in ipairs(model.table_names) do invariant.check_table(world, name) end
    invariant.check_order(world)
  end)

  it('the group comes to rest and carries on', function()
    at_the_end()
    invariant.check_rest(world)
    for _, name in ipairs(model.table_names) do invariant.check_table(world, name) end
  end)

  it('no process crashed', function() invariant.check_logs(world) end)

  it('each supervisor stops as asked', function()
    at_the_end()
    while world.runs[1] do assert.equal(0, world:retire(world.runs[1])) end
  end)
end)
