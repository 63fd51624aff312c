-- The row cache: what others change in the table while rows are cached is seen
-- as if there were no cache. Each spec proves that the cache had the row.
local bank = require 'bank'
local kafka = require 'kafka'
local process = require 'process'
local tidemill = require 'tidemill'

local PARTITIONS = 4

local pipeline = [[
return pipeline {
  name = 'cached',
  source = kafka { brokers = env('KAFKA_BROKERS'), group = '%s', topics = { '%s' },
    format = 'json', type = 'data.kind', start = 'earliest' },
  database = postgres { write = env('DATABASE_URL') },
  batch = { size = 30, linger_ms = 2 },%s
  projections = { 'projections.counters', 'projections.log' },
}
]]

local counters = [[
return projection {
  table = 'counters',
  key = { id = { 'text', from = 'key' } },
  columns = { total = 'bigint', n = 'bigint', note = 'text' },
  initial = { total = 0, n = 0, note = 'new' },
  on = {
    add = function(row, event)
      row.total, row.n = row.total + event.data.x, row.n + 1
    end,
    note = function(row, event) row.note = event.data.x end,
    cap = function(row, event)
      if row.total > event.data.x then row.total = event.data.x end
    end,
    spend = function(row, event)
      if row.total >= 100 then error('the account is full') end
      row.total = row.total + event.data.x
    end,
    remove = function(row) row:delete() end,
  },
}
]]

-- A table of the pipeline that is not cached, for its trigger.
local log = [[
return projection {
  table = 'log', append = true, columns = { what = 'text' },
  on = { log = function(row, event) row.what = event.key end },
}
]]

-- [words] go into the pipeline.
local function setup(producer, words)
  local topic = tidemill.unique('cached')
  producer:create_topic(topic, PARTITIONS)
  local bundle = tidemill.bundle {
    ['pipeline.lua'] = pipeline:format(topic, topic, words or ''),
    ['projections/counters.lua'] = counters, ['projections/log.lua'] = log,
  }
  local url, db = tidemill.database(bundle)
  local s = { topic = topic, bundle = bundle, db = db, env = { DATABASE_URL = url } }
  function s.start(args)
    return tidemill.start(bundle, { env = s.env, args = args })
  end
  function s.send(kind, key, x)
    producer:send { topic = topic, partition = #key % PARTITIONS, key = key,
      value = ('{"kind":"%s","x":%s}'):format(kind,
        type(x) == 'string' and '"' .. x .. '"' or x or 'null') }
  end
  function s.row(key)
    local row = s.db:rows(("SELECT * FROM counters WHERE id = '%s'"):format(key))[1]
    return row and ('%s %s %s'):format(row.total, row.n, row.note) or 'none'
  end
  return s
end

describe('a cached row', function()
  local producer, s, run
  lazy_setup(function()
    producer = kafka.producer()
    -- The first record that fails halts its lane.
    s = setup(producer, ' dead_letters = { max_share = 0 },')
    run = s.start()
    run:wait_ready()
  end)
  lazy_teardown(function() run:destroy() end)

  -- One event, applied before this returns.
  local function apply(kind, key, x)
    s.send(kind, key, x)
    producer:flush()
    run:wait_caught_up(s.db, producer, s.topic, PARTITIONS)
  end

  local function hits() return run:metric('cache_hits_total') end

  -- A row of total 50 and n 1 that the next batch takes from the cache. The
  -- first commits on new connections leave nothing.
  local function warm(key)
    apply('add', key, 50)
    run:wait_for('the row to be cached', 10, function()
      local before = hits()
      apply('note', key, 'x')
      return hits() > before
    end)
    assert.equal('50 1 x', s.row(key))
  end

  -- Runs [sql] behind the cache's back, then applies one event, for which the
  -- cache had a row: it was found stale, and the batch was done again; once more
  -- where the table is to be compared anew.
  local function changed(sql, kind, key, x, is_other)
    local h, repeats = hits(), run:metric('batch_retries_total')
    s.db:rows(sql:gsub('KEY', "'" .. key .. "'"))
    apply(kind, key, x)
    assert.equal(h + 1, hits())
    assert.equal(repeats + (is_other and 2 or 1), run:metric('batch_retries_total'))
  end

  it('saves the load, and is what a load would have given', function()
    warm('saved')
    local h, misses = hits(), run:metric('cache_misses_total')
    for _ = 1, 5 do apply('add', 'saved', 10) end
    assert.equal('100 6 x', s.row('saved'))
    assert.equal(h + 5, hits())
    assert.equal(misses, run:metric('cache_misses_total'))
    assert.is_true(run:metric('cache_bytes') > 0)
    local worker = run:status().workers[1]
    assert.equal(hits(), worker.counters.cache_hits)
    assert.is_true(worker.cache_hit_rate > 0 and worker.cache_hit_rate < 1)
  end)

  it('that was changed by hand is written on the change', function()
    warm('changed')
    changed('UPDATE counters SET total = total + 1000 WHERE id = KEY',
      'add', 'changed', 1)
    assert.equal('1051 2 x', s.row('changed'))
  end)

  it('that was changed by hand is not taken for unchanged', function()
    warm('same-again')
    changed("UPDATE counters SET note = 'by hand' WHERE id = KEY",
      'note', 'same-again', 'x')
    assert.equal('50 1 x', s.row('same-again'))
  end)

  it('that was changed by hand is read as it is', function()
    warm('read')
    changed('UPDATE counters SET total = 500 WHERE id = KEY', 'cap', 'read', 100)
    assert.equal('100 1 x', s.row('read'))
  end)

  -- By what the cache had, the record fails and the lane halts before it: there
  -- would be no transaction to find out.
  it('that was changed by hand halts no lane', function()
    warm('full')
    apply('add', 'full', 100)
    changed('UPDATE counters SET total = 7 WHERE id = KEY', 'spend', 'full', 1)
    assert.equal('8 2 x', s.row('full'))
  end)

  it('that was changed by hand halts no lane beside one that goes on', function()
    warm('fuller')
    apply('add', 'fuller', 100)
    local repeats = run:metric('batch_retries_total')
    s.send('note', 'other', 'x')
    changed("UPDATE counters SET total = 7 WHERE id = KEY", 'spend', 'fuller', 1)
    assert.equal('8 2 x', s.row('fuller'))
    assert.equal(repeats + 1, run:metric('batch_retries_total'))
  end)

  it('that was written by hand with the same values is the same', function()
    warm('same')
    changed('UPDATE counters SET total = total WHERE id = KEY', 'add', 'same', 1)
    assert.equal('51 2 x', s.row('same'))
  end)

  it('that was deleted by hand begins anew', function()
    warm('deleted')
    changed('DELETE FROM counters WHERE id = KEY', 'note', 'deleted', 'x')
    assert.equal('0 0 x', s.row('deleted'))
    warm('deleted-too')
    changed('DELETE FROM counters WHERE id = KEY', 'add', 'deleted-too', 5)
    assert.equal('5 1 new', s.row('deleted-too'))
  end)

  it('that an event deleted is gone, and comes again', function()
    warm('removed')
    apply('remove', 'removed')
    assert.equal('none', s.row('removed'))
    apply('add', 'removed', 3)
    apply('add', 'removed', 4)
    assert.equal('7 2 new', s.row('removed'))
  end)

  it('is gone with all others after a TRUNCATE', function()
    warm('truncated')
    changed('TRUNCATE counters', 'add', 'truncated', 5, true)
    assert.equal('5 1 new', s.row('truncated'))
    apply('note', 'saved', 'x')
    assert.equal('0 0 x', s.row('saved'))
  end)

  it('survives VACUUM FULL', function()
    warm('vacuumed')
    s.db:rows('VACUUM FULL counters')
    apply('add', 'vacuumed', 1)
    assert.equal('51 2 x', s.row('vacuumed'))
  end)

  it('is not believed when its column was dropped and made again', function()
    warm('column')
    changed([[ALTER TABLE counters DROP COLUMN total;
      ALTER TABLE counters ADD COLUMN total bigint NOT NULL DEFAULT 7]],
      'add', 'column', 1)
    assert.equal('8 2 x', s.row('column'))
  end)

  it('is not believed when another table took its name', function()
    warm('renamed')
    changed([[CREATE TABLE copied (LIKE counters INCLUDING ALL);
      INSERT INTO copied SELECT * FROM counters;
      UPDATE copied SET total = 900;
      GRANT SELECT, INSERT, UPDATE, DELETE ON copied TO mill;
      ALTER TABLE counters RENAME TO old_counters;
      ALTER TABLE copied RENAME TO counters]], 'add', 'renamed', 1, true)
    assert.equal('901 2 x', s.row('renamed'))
  end)

  it('is not kept while a trigger may change what is written', function()
    warm('trigger')
    s.db:rows [[CREATE FUNCTION doubled() RETURNS trigger LANGUAGE plpgsql AS
      'BEGIN NEW.total = NEW.total * 2; RETURN NEW; END';
      CREATE TRIGGER doubled BEFORE UPDATE ON counters FOR EACH ROW
      EXECUTE FUNCTION doubled()]]
    apply('add', 'trigger', 1) -- 102
    local h = hits()
    apply('add', 'trigger', 1) -- 206
    apply('cap', 'trigger', 102) -- 204
    assert.equal('204 3 x', s.row('trigger'))
    assert.equal(h, hits())
    local found = tidemill.call({ 'check', s.bundle }, { env = s.env })
    assert.matches('warning: .-no row is cached: trigger doubled on counters may change',
      found.text)
    s.db:rows 'DROP TRIGGER doubled ON counters'
    warm('trigger-is-gone')
  end)

  it('is not kept while a trigger of another table may change it', function()
    warm('by-the-log')
    s.db:rows [[CREATE FUNCTION counted() RETURNS trigger LANGUAGE plpgsql AS
      'BEGIN UPDATE counters SET total = total + 1000 WHERE id = NEW.what;
       RETURN NULL; END';
      CREATE TRIGGER counted AFTER INSERT ON log FOR EACH ROW EXECUTE FUNCTION counted()]]
    -- Written by us, then by the trigger: in one transaction, with one xmin.
    s.send('add', 'by-the-log', 1)
    s.send('log', 'by-the-log')
    producer:flush()
    run:wait_caught_up(s.db, producer, s.topic, PARTITIONS)
    apply('cap', 'by-the-log', 100)
    assert.equal('100 2 x', s.row('by-the-log'))
    s.db:rows 'DROP TRIGGER counted ON log'
  end)

  it('is not kept while a foreign key may change it', function()
    s.db:rows [[CREATE TABLE child (id text REFERENCES counters ON UPDATE CASCADE)]]
    apply('add', 'foreign', 50)
    local h = hits()
    for _ = 1, 3 do apply('add', 'foreign', 50) end
    assert.equal(h, hits())
    assert.equal('200 4 new', s.row('foreign'))
    local found = tidemill.call({ 'check', s.bundle }, { env = s.env })
    assert.matches('warning: .-no row is cached: foreign key .- of child', found.text)
    s.db:rows 'DROP TABLE child; CREATE TABLE child (id text REFERENCES counters)'
    warm('a-foreign-key-that-only-looks')
  end)
end)

describe('a cached row where records are set aside', function()
  it('that was changed by hand sets none aside', function()
    local producer = kafka.producer()
    local s = setup(producer)
    local run = s.start()
    finally(function() run:destroy() end)
    local function apply(kind, x)
      s.send(kind, 'full', x)
      producer:flush()
      run:wait_caught_up(s.db, producer, s.topic, PARTITIONS)
    end
    run:wait_ready()
    apply('add', 200)
    run:wait_for('the row to be cached', 10, function()
      apply('note', 'x')
      return run:metric('cache_hits_total') > 0
    end)
    s.db:rows("UPDATE counters SET total = 7")
    apply('spend', 1)
    assert.equal('8 1 x', s.row('full'))
    assert.equal(1, run:metric('cache_stale_total'))
    assert.equal(0, s.db:number('SELECT count(*) FROM tidemill.dead_letter'))
  end)
end)

-- Sums only, so that the order of events and of hands does not matter: for
-- each key, what the table holds and what hands took out is what events and
-- hands put in.
local function new_model()
  return { total = {}, n = {}, taken_total = {}, taken_n = {} }
end

local function count(t, key, x) t[key] = (t[key] or 0) + x end

describe('cached rows under load', function()
  it('lose nothing to hands, moved lanes and kills', function()
    local producer = kafka.producer()
    local s = setup(producer)
    local random, model = bank.random(tonumber(os.getenv('SEED') or 5)), new_model()
    local runs = {}
    finally(function() for _, run in pairs(runs) do run:destroy() end end)
    local function key()
      return ('k'):rep(random(1, PARTITIONS)) .. '-' .. random(1, 12)
    end
    local n_hands = {}

    local function take(rows)
      for _, row in ipairs(rows) do
        count(model.taken_total, row.id, tonumber(row.total))
        count(model.taken_n, row.id, tonumber(row.n))
      end
    end
    local hands = {
      update = function(id)
        local rows = s.db:rows(("UPDATE counters SET total = total + 100000 "
          .. "WHERE id = '%s' RETURNING id"):format(id))
        if rows[1] then count(model.total, id, 100000) end
      end,
      same = function(id)
        s.db:rows(("UPDATE counters SET n = n WHERE id = '%s'"):format(id))
      end,
      delete = function(id)
        take(s.db:rows(("DELETE FROM counters WHERE id = '%s' RETURNING *"):format(id)))
      end,
      truncate = function()
        s.db:rows('BEGIN; LOCK TABLE counters IN ACCESS EXCLUSIVE MODE')
        take(s.db:rows('SELECT * FROM counters'))
        s.db:rows('TRUNCATE counters; COMMIT')
      end,
    }
    local function load(n)
      for i = 1, n do
        local id, x = key(), random(1, 100)
        s.send('add', id, x)
        count(model.total, id, x)
        count(model.n, id, 1)
        if i % 5 == 0 then
          local dice = random(1, 100)
          local what = dice <= 50 and 'update' or dice <= 75 and 'same'
            or dice <= 98 and 'delete' or 'truncate'
          hands[what](key())
          n_hands[what] = (n_hands[what] or 0) + 1
        end
        if i % 10 == 0 then producer:flush() end
      end
      producer:flush()
    end
    -- Counters of all runs that are up: they start at 0 with each run.
    local seen = {}
    local function note(name)
      for _, metric in ipairs { 'cache_hits_total', 'cache_stale_total' } do
        seen[name .. metric] = runs[name]:metric(metric) or seen[name .. metric]
      end
    end
    local function sum(metric)
      return (seen['one' .. metric] or 0) + (seen['two' .. metric] or 0)
    end
    local function start(name)
      runs[name] = s.start { '--instance', name, '--workers', '2' }
    end

    start('one')
    runs.one:wait_ready()
    load(600)
    start('two')
    runs.one:wait_for('lanes to be shared', 60, function()
      load(20)
      return runs.one:n_running() == 2 and runs.two:n_running() == 2
    end)
    load(300)
    assert.is_true(process.signal(runs.two:workers()[1], process.KILL))
    load(300)
    runs.two:wait_caught_up(s.db, producer, s.topic, PARTITIONS)
    note('one')
    note('two')
    assert.equal(0, (runs.one:stop()))
    assert.equal(0, (runs.two:stop()))

    local want, got = {}, {}
    for id, n in pairs(model.n) do
      want[id] = ('%d %d'):format(model.total[id], n)
      got[id] = ('%d %d'):format(model.taken_total[id] or 0, model.taken_n[id] or 0)
    end
    for _, row in ipairs(s.db:rows('SELECT * FROM counters')) do
      local total, n = (got[row.id] or '0 0'):match('^(%-?%d+) (%-?%d+)$')
      got[row.id] = ('%d %d'):format(total + row.total, n + row.n)
    end
    local n, text = bank.differences(want, got)
    assert.equal(0, n, text)
    for _, what in ipairs { 'update', 'same', 'delete', 'truncate' } do
      assert.is_true((n_hands[what] or 0) > 0, what)
    end
    assert.is_true(sum('cache_hits_total') > 500, 'hits: ' .. sum('cache_hits_total'))
    assert.is_true(sum('cache_stale_total') > 50, 'stale: ' .. sum('cache_stale_total'))
  end)
end)
