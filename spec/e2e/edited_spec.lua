-- A run loads what its folder held when it was started, whatever becomes of the
-- folder, of Tidemill's own scripts and of the files of secrets; also by workers
-- that are started again.
local counts = require 'counts'
local process = require 'process'
local tidemill = require 'tidemill'

local scratch, root = os.getenv('TIDEMILL_SCRATCH'), os.getenv('TIDEMILL_ROOT')

-- `step` is loaded by the first record of a worker, long after its start.
local PROJECTION = [[
return projection {
  table = 'counts', key = { id = { 'bigint', from = 'key' } },
  columns = { n = 'bigint', amount = 'numeric(6,2)', note = 'text', small = 'smallint' },
  initial = { n = 0 },
  on = {
    add = function(row, event)
      row.n = row.n + require('projections.step')
      if event.data.more then row.n = row.n + require('projections.later') end
    end,
  },
}
]]

describe('a pipeline that is edited under its run', function()
  local s, run, secret, scripts, generation, n_sent
  lazy_setup(function()
    s = counts.new { partitions = 2, projection = PROJECTION }
    secret = scratch .. '/' .. tidemill.unique 'url'
    scripts = scratch .. '/' .. tidemill.unique 'scripts'
    tidemill.write(s.bundle .. '/projections/step.lua', 'return 1\n')
    local text = tidemill.read(s.bundle .. '/pipeline.lua')
    tidemill.write(s.bundle .. '/pipeline.lua',
      (text:gsub("env%('DATABASE_URL'%)", ("file('%s')"):format(secret))))
    tidemill.shell(('mkdir %s && cp -r %s/scripts %s/rules %s'):format(scripts, root,
      root, scripts))
    s.env.TIDEMILL_SCRIPTS = scripts .. '/scripts'
    s.db:rows('GRANT mill TO secured')
    tidemill.write(secret, (s.url:gsub('//[^@]*@', '//secured:right@')))
    run = s.start { '--workers', '2' }
    run:wait_ready()
    generation, n_sent = run:status().generation, 0
  end)
  lazy_teardown(function()
    run:destroy()
    s.db:rows "ALTER ROLE secured PASSWORD 'right'"
  end)

  local function kill_workers()
    for _, pid in ipairs(run:workers()) do process.signal(pid, process.KILL) end
  end

  -- Everything counts once, by the generation that was started.
  local function goes_on()
    s.send_good(20)
    n_sent = n_sent + 20
    run:wait_caught_up(s.db, s.producer, s.topic, 2)
    assert.equal(n_sent, s.n_events())
    assert.equal('', s.letters())
    run:wait_ready()
    assert.equal(generation, run:status().generation)
    assert.equal(2, #run:workers())
  end

  local function edit(name, text) tidemill.write(s.bundle .. '/' .. name, text) end

  it('runs the code of its start when workers are killed', function()
    edit('projections/step.lua', 'return 1000\n')
    goes_on()
    kill_workers()
    goes_on()
  end)

  it('runs it when a file is half saved, or the entry is no pipeline any more', function()
    edit('projections/counts.lua', PROJECTION:sub(1, 100))
    edit('pipeline.lua', '')
    kill_workers()
    goes_on()
  end)

  it('says that a module came too late', function()
    edit('projections/later.lua', 'return 0\n')
    s.send(1, '{"kind":"add","more":true}')
    s.producer:flush()
    run:wait_caught_up(s.db, s.producer, s.topic, 2)
    local why = s.db:value 'SELECT message FROM tidemill.dead_letter'
    assert.is_truthy(why:find("counts.lua:8: there is no module 'projections.later' in "
      .. 'the bundle', 1, true), why)
    assert.is_truthy(why:find('start it again', 1, true), why)
    s.db:rows 'DELETE FROM tidemill.dead_letter'
  end)

  it('runs it when its folder and the scripts of Tidemill are gone', function()
    tidemill.shell(('rm -rf %s %s'):format(s.bundle, scripts))
    kill_workers()
    goes_on()
  end)

  it('gets a new password without its folder', function()
    s.db:rows "ALTER ROLE secured PASSWORD 'another'"
    s.db:rows [[
      SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'secured']]
    tidemill.write(secret, (s.url:gsub('//[^@]*@', '//secured:another@')))
    goes_on()
  end)

  it('reads a secret again of which a new worker met the half', function()
    local url = tidemill.read(secret)
    tidemill.write(secret, url:sub(1, #url - 2))
    kill_workers()
    run:wait_for('the half not to do', 30, function()
      return (run:get '/readyz' or ''):find 'worker 1: database: cannot connect'
    end)
    tidemill.write(secret, url)
    goes_on()
  end)

  it('waits for a secret that is not there when a worker is started again', function()
    local url = tidemill.read(secret)
    os.remove(secret)
    kill_workers()
    run:wait_for('the secret to be missed', 30, function()
      local text, status = run:get '/readyz'
      local _, n = run:text():gsub('the pipeline cannot be loaded any more', '')
      return status == 503 and text:find(secret, 1, true) and n == 2
    end)
    s.send_good(20)
    n_sent = n_sent + 20
    tidemill.write(secret, url)
    goes_on()
    local _, n = run:text():gsub('the pipeline cannot be loaded any more', '')
    assert.equal(2, n)
    assert.is_nil(run:text():find('not started again', 1, true))
    assert.equal(0, (run:stop()))
  end)
end)
