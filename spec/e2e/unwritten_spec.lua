-- Rows that are not written though nobody else changed them, and rows that wait for
-- somebody else: which records are set aside, which wait, and that all others go on.
local kafka = require 'kafka'
local pg = require 'pg'
local process = require 'process'
local tidemill = require 'tidemill'

local PIPELINE = [[
local function add(row) row.n = (row.n or 0) + 1 end
local function gone(row) row:delete() end
return pipeline {
  name = 'unwritten',
  source = kafka { brokers = env('KAFKA_BROKERS'), group = '%s', topics = { '%s' },
    format = 'json', type = 'data.kind', start = { 'earliest', onto_rows = true },
    options = { ['fetch.wait.max.ms'] = '50' } },
  database = postgres { write = env('DATABASE_URL') },
  batch = { linger_ms = 20, concurrency = %d },
  dead_letters = { max_share = 1, hold = false },
  projections = {
    projection { table = 'fo', key = { k = { 'text', from = 'key' } },
      columns = { n = 'integer', frozen = 'boolean' },
      on = { add = add, gone = gone, both = add },
      ignore = { 'share', 'copy' } },
    projection { table = 'shared', key = { k = { 'text', from = 'data.k' } },
      columns = { n = 'integer', frozen = 'boolean' }, on = { share = add, both = add },
      ignore = { 'add', 'gone', 'copy' } },
    projection { table = 'copies', key = { k = { 'text', from = 'key' } },
      columns = { n = 'integer' }, ignore = { 'add', 'gone', 'share', 'both' },
      map = true, on = { copy = function(row, event) row.n = event.data.n end } },
  },
}
]]

local producer

local function new(concurrency)
  producer = producer or kafka.producer()
  local s = { topic = tidemill.unique('unwritten') }
  producer:create_topic(s.topic, 2)
  s.bundle = tidemill.bundle {
    ['pipeline.lua'] = PIPELINE:format(s.topic, s.topic, concurrency or 4),
  }
  s.url, s.db = tidemill.database(s.bundle)
  s.env = { DATABASE_URL = s.url }

  --- Records of a partition: each is { kind, key, key of the shared row }.
  function s.send(partition, ...)
    for _, record in ipairs { ... } do
      producer:send { topic = s.topic, partition = partition, key = record[2],
        value = ('{"kind":"%s","k":"%s","n":1}'):format(record[1],
          record[3] or record[2]) }
    end
    producer:flush()
  end

  function s.letters()
    return s.db:value([[SELECT coalesce(string_agg(concat_ws(' ',
        partition || '/' || "offset", class, sqlstate), ', '
      ORDER BY partition, "offset"), '') FROM tidemill.dead_letter]])
  end

  function s.sum(table, where)
    return s.db:number(('SELECT coalesce(sum(n), 0) FROM %s WHERE %s'):format(table,
      where or 'true'))
  end

  function s.check()
    return tidemill.call({ 'check', s.bundle }, { env = s.env }).text
  end
  return s
end

-- Keeps rows back, moves them, hides them, refuses them, or fails of one.
local KEEPER = [[
  CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF TG_OP = 'INSERT' THEN
      IF NEW.k = 'never' THEN RETURN NULL; END IF;
      IF NEW.k = 'moved' THEN NEW.k := 'elsewhere'; END IF;
      RETURN NEW;
    END IF;
    IF OLD.frozen THEN RETURN NULL; END IF;
    RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
  END $$;
  CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF NEW.k ~ '^[A-Z0-9]{5}$' THEN RAISE 'for one' USING ERRCODE = NEW.k; END IF;
    RETURN NEW;
  END $$;
  CREATE TRIGGER keeper BEFORE INSERT OR UPDATE OR DELETE ON fo
    FOR EACH ROW EXECUTE FUNCTION keep();
  CREATE TRIGGER keeper BEFORE UPDATE ON shared FOR EACH ROW EXECUTE FUNCTION keep();
  CREATE TRIGGER fails BEFORE INSERT ON copies FOR EACH ROW EXECUTE FUNCTION fail();
  INSERT INTO fo VALUES ('ice', 7, true), ('snow', 7, true), ('veiled', 7, false),
    ('hidden', 7, false);
  INSERT INTO shared VALUES ('ice', 7, true), ('twice', 7, false);
  CREATE TABLE shared_too () INHERITS (shared);
  GRANT ALL ON shared_too TO mill;
  INSERT INTO shared_too VALUES ('twice', 7);
  INSERT INTO copies VALUES ('hidden', 7);
  ALTER TABLE fo ENABLE ROW LEVEL SECURITY;
  ALTER TABLE copies ENABLE ROW LEVEL SECURITY;
  CREATE POLICY sees ON fo FOR SELECT USING (k <> 'hidden');
  CREATE POLICY adds ON fo FOR INSERT WITH CHECK (k <> 'secret');
  CREATE POLICY changes ON fo FOR UPDATE USING (k <> 'veiled');
  CREATE POLICY removes ON fo FOR DELETE USING (true);
  CREATE POLICY sees ON copies USING (k <> 'hidden')]]

local BAD = {
  { 'add', 'ice' }, { 'gone', 'snow' }, { 'add', 'never' }, { 'add', 'hidden' },
  { 'add', 'veiled' }, { 'add', 'secret' }, { 'share', 'ice' }, { 'share', 'twice' },
  { 'copy', 'hidden' }, { 'copy', '42501' }, { 'copy', 'XX000' }, { 'copy', '54023' },
  { 'copy', '54001' }, { 'copy', '2F003' },
}
local LETTERS = '0/100 data TM002, 0/101 data TM002, 0/102 data TM002, 0/103 data 42501, '
  .. '0/104 data TM002, 0/105 data 42501, 0/106 data TM002, 0/107 data, '
  .. '0/108 data 42501, 0/109 data 42501, 0/110 data XX000, 0/111 data 54023, '
  .. '0/112 data 54001, 0/113 data 2F003, 0/415 data TM002'

describe('a row that a trigger, a policy or a child table keeps back', function()
  it('makes its record a dead letter that names it; all others are applied', function()
    local s = new()
    s.db:rows(KEEPER)
    for i = 1, 200 do s.send(i % 2, { 'add', 'k' .. i }) end
    s.send(0, unpack(BAD))
    s.send(0, { 'add', 'moved' })
    for i = 1, 200 do
      s.send(i % 2, { 'add', 'k' .. i }, { 'share', 'g' .. i % 7 }, { 'copy', 'k' .. i })
    end
    local run = tidemill.start(s.bundle, { env = s.env })
    finally(function() run:destroy() end)
    -- The other lane goes on, which tells that not all records fail.
    local n = 0
    local function sends_until(count)
      run:wait_for(count .. ' letters', 30, function()
        n = n + 1
        s.send(1, { 'copy', 'more' .. n })
        return s.db:number 'SELECT count(*) FROM tidemill.dead_letter' == count
      end)
    end
    sends_until(14)
    -- Behind its first record, so that the two are not one row's.
    s.send(0, { 'add', 'moved' })
    sends_until(15)
    run:wait_caught_up(s.db, producer, s.topic, 2)
    assert.equal(LETTERS, s.letters())
    assert.equal(401, s.sum('fo', "k ~ '^k|elsewhere'"))
    assert.equal(200, s.sum('shared', "k ~ '^g'"))
    assert.equal(200, s.sum('copies', "k ~ '^k'"))
    assert.equal(15, s.db:number [[SELECT count(*) FROM tidemill.dead_letter WHERE message
      ~ CASE WHEN sqlstate IS NULL THEN 'key is in the table twice'
        WHEN sqlstate <> 'TM002' THEN '.'
        ELSE 'trigger keeper of fo [(]INSERT or UPDATE or DELETE[)]; '
      || '.*table shared_too, which inherits from shared' END]])
    local text = s.check()
    for _, words in ipairs {
      'table fo: trigger keeper of fo runs before each INSERT or UPDATE or DELETE: .*',
      'table fo: row level security .*adds, changes, removes, sees',
      'table copies: trigger fails of copies .* nobody is told',
      'table shared_too inherits from it.* ALTER TABLE shared_too NO INHERIT shared;',
    } do assert.matches('warning: .*' .. words, text) end
    -- As long as it does; then they are applied.
    local function retry()
      return tidemill.call({ 'dlq', 'retry', s.bundle, '--all', '--wait', '60' },
        { env = s.env })
    end
    local again = retry()
    assert.equal(65, again.status, again.text)
    assert.equal(LETTERS, s.letters())
    s.db:rows [[SET client_min_messages = warning;
      DROP FUNCTION keep CASCADE; DROP FUNCTION fail CASCADE;
      DROP TABLE shared_too; ALTER TABLE fo DISABLE ROW LEVEL SECURITY;
      ALTER TABLE copies DISABLE ROW LEVEL SECURITY]]
    again = retry()
    assert.equal(0, again.status, again.text)
    assert.equal('8 8 8 8 1', s.db:value [[SELECT concat_ws(' ',
      (SELECT n FROM fo WHERE k = 'ice'), (SELECT n FROM fo WHERE k = 'hidden'),
      (SELECT n FROM shared WHERE k = 'ice'), (SELECT n FROM shared WHERE k = 'twice'),
      (SELECT n FROM fo WHERE k = 'moved'))]])
    assert.equal(0, (run:stop()))
  end)

  it('does not, when it is a right that all lack, or damage that all meet', function()
    local s = new()
    s.db:rows [[
      CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        RAISE 'for all' USING ERRCODE =
          CASE WHEN NEW.k < 'k3' THEN '42501' ELSE 'XX000' END;
      END $$;
      CREATE TRIGGER fails BEFORE INSERT ON copies FOR EACH ROW EXECUTE FUNCTION fail()]]
    for i = 1, 6 do s.send(i % 2, { 'copy', 'k' .. i }) end
    local run = tidemill.start(s.bundle, { env = s.env })
    finally(function() run:destroy() end)
    run:wait_for('both lanes to halt', 30, function()
      return select(2, run:text():gsub('lane halted; it looks again', '')) >= 2
    end)
    s.db:rows 'DROP TRIGGER fails ON copies'
    run:wait_for('all records', 30, function() return s.sum('copies') == 6 end)
    assert.equal('', s.letters())
    assert.equal(0, (run:stop()))
  end)
end)

describe('a table of Tidemill\'s own that keeps nothing', function()
  it('halts the lanes that need it, and nothing is lost', function()
    local s = new(1)
    s.db:rows [[
      CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        RETURN NULL; END $$;
      CREATE TRIGGER letters BEFORE INSERT ON tidemill.dead_letter
        FOR EACH ROW EXECUTE FUNCTION nothing();
      ALTER TABLE copies ADD CHECK (k <> 'bad')]]
    s.send(0, { 'copy', 'a1' }, { 'copy', 'bad' }, { 'copy', 'a2' })
    s.send(1, { 'copy', 'b1' }, { 'copy', 'b2' })
    local run = tidemill.start(s.bundle, { env = s.env })
    finally(function() run:destroy() end)
    local function halts(words)
      run:wait_for('the halt', 30, function()
        return run:text():find('lane halted; it looks again .*' .. words)
      end)
    end
    halts 'tidemill.dead_letter does not keep a dead letter'
    run:wait_for('the other lane', 20, function()
      return s.sum('copies', "k LIKE 'b%'") == 2
    end)
    assert.equal('', s.letters())
    s.db:rows 'DROP TRIGGER letters ON tidemill.dead_letter'
    run:wait_for('all', 40, function() return s.sum('copies') == 4 end)
    assert.equal('0/1 data 23514', s.letters())

    s.db:rows [[CREATE TRIGGER lanes BEFORE UPDATE ON tidemill.lane FOR EACH ROW
      WHEN (NEW.partition = 0 AND NEW.next_offset > OLD.next_offset)
      EXECUTE FUNCTION nothing()]]
    s.send(0, { 'copy', 'a3' })
    halts "tidemill.lane does not keep the lane's new position"
    s.send(1, { 'copy', 'b3' })
    run:wait_for('the other lane', 20, function() return s.sum('copies') == 5 end)
    s.db:rows 'DROP TRIGGER lanes ON tidemill.lane'
    run:wait_for('all', 40, function() return s.sum('copies') == 6 end)
    assert.equal(0, (run:stop()))
  end)

  it('is no reason to blame records; nor is a right that the role lacks', function()
    local s = new()
    s.db:rows [[
      ALTER TABLE fo ENABLE ROW LEVEL SECURITY;
      CREATE POLICY all_rows ON fo USING (true);
      CREATE TABLE audit (k text);
      CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        INSERT INTO audit VALUES (NEW.k); RETURN NEW; END $$;
      CREATE TRIGGER notes BEFORE INSERT ON copies FOR EACH ROW EXECUTE FUNCTION note()]]
    for i = 1, 20 do s.send(0, { 'copy', 'k' .. i }) s.send(1, { 'add', 'k' .. i }) end
    local run = tidemill.start(s.bundle, { env = s.env })
    finally(function() run:destroy() end)
    run:wait_for('the halt', 30, function()
      s.send(1, { 'add', 'more' })
      return run:text():find 'lane halted; it looks again'
    end)
    s.db:rows 'GRANT INSERT ON audit TO mill'
    run:wait_for('all', 40, function() return s.sum('copies') == 20 end)
    assert.equal('', s.letters())
    assert.equal(0, (run:stop()))
  end)
end)

describe('a lane that is full of bad records', function()
  it('does not keep another one waiting, nor does each of them take long', function()
    local s = new(1)
    s.db:rows [[
      CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        RETURN CASE WHEN NEW.k LIKE 'ice%' THEN NULL ELSE NEW END; END $$;
      CREATE TRIGGER keeps BEFORE INSERT ON fo FOR EACH ROW EXECUTE FUNCTION keep();
      ALTER TABLE copies ADD CHECK (k NOT LIKE 'bad%')]]
    local n_letters = function()
      return s.db:number 'SELECT count(*) FROM tidemill.dead_letter'
    end
    for i = 1, 1000 do s.send(0, { 'copy', 'bad' .. i }) end
    for i = 1, 20 do s.send(1, { 'copy', 'b' .. i }) end
    local run = tidemill.start(s.bundle, { env = s.env })
    finally(function() run:destroy() end)
    run:wait_for('the other lane', 60, function() return s.sum('copies') == 20 end)
    assert.is_true(n_letters() < 1000)
    run:wait_for('all letters', 60, function() return n_letters() == 1000 end)
    for i = 1, 100 do s.send(0, { 'add', 'ice' .. i }) end
    run:wait_for('one hundred more', 20, function() return n_letters() == 1100 end)
    assert.equal(0, (run:stop()))
  end)
end)

describe('a row that is kept back, beside one that never rests,', function()
  it('makes its record a dead letter, or people are told that nothing shows', function()
    local s = new(2)
    s.db:rows(KEEPER)
    -- What a row answers to a snapshot that is changed behind each one.
    s.db:rows [[
      CREATE FUNCTION stir() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF current_setting('transaction_isolation') = 'repeatable read' THEN
          RAISE 'could not serialize access' USING ERRCODE = '40001';
        END IF;
        RETURN NEW; END $$;
      CREATE TRIGGER stirs BEFORE UPDATE ON tidemill.lane
        FOR EACH ROW EXECUTE FUNCTION stir();
      INSERT INTO shared VALUES ('hot', 0)]]
    local run = tidemill.start(s.bundle, { env = s.env })
    finally(function() run:destroy() end)
    s.send(0, { 'both', 'ice', 'hot' }, { 'both', 'a', 'hot' })
    run:wait_for('the one behind it', 30, function()
      return s.sum('fo', "k = 'a'") == 1
    end)
    assert.equal('0/0 data TM002', s.letters())
    assert.equal(1, s.sum('shared', "k = 'hot'"))
    -- Somebody may make the row, and delete it, all the time.
    s.send(1, { 'both', 'never', 'hot' })
    run:wait_for('the line', 30, function()
      return run:text():find('nothing shows whether .* lane=' .. s.topic
        .. '/1 .* may_keep_back=.*trigger keeper of fo')
    end)
    assert.equal(0, (run:stop()))
  end)
end)

describe('a row that another transaction', function()
  it('has locked makes its lane wait where people see it; the others go on', function()
    local s = new(1)
    s.db:rows "INSERT INTO fo VALUES ('held', 0)"
    local other = pg.connect(s.url)
    other:rows "BEGIN; UPDATE fo SET n = 0 WHERE k = 'held'"
    local run = tidemill.start(s.bundle, { env = s.env })
    finally(function() run:destroy() other:close() end)
    for i = 1, 40 do s.send(0, { 'add', 'a' .. i }) s.send(1, { 'add', 'b' .. i }) end
    s.send(0, { 'add', 'held' })
    for i = 41, 80 do s.send(0, { 'add', 'a' .. i }) s.send(1, { 'add', 'b' .. i }) end
    -- Though a lock is waited for up to 20 s.
    run:wait_for('all but what is behind it', 12, function()
      return s.sum('fo', "k LIKE 'a%'") == 40 and s.sum('fo', "k LIKE 'b%'") == 80
    end)
    run:wait_for('the line', 20, function()
      return run:text():find('lane waits for other transactions; the others go on" lane='
        .. s.topic .. '/0', 1, true)
    end)
    local body, status = run:get('/readyz')
    assert.equal(503, status)
    assert.matches('lane ' .. s.topic .. '/0: .*another transaction holds a lock', body)
    assert.matches('another transaction holds a lock', run:get('/status'))
    for i = 81, 99 do s.send(1, { 'add', 'b' .. i }) end
    run:wait_for('the others', 20, function() return s.sum('fo', "k LIKE 'b%'") == 99 end)
    assert.equal(503, select(2, run:get('/readyz')))
    other:rows 'COMMIT'
    run:wait_for('the rest', 20, function()
      return s.sum('fo', "k NOT LIKE 'b%'") == 81
    end)
    run:wait_ready(10)
    assert.matches('lane goes on', run:text())
    assert.equal('', s.letters())
    assert.equal(0, (run:stop()))
  end)

  it('changes all the time is nobody\'s fault, whatever triggers there are', function()
    local s = new()
    s.db:rows(KEEPER)
    s.db:rows [[CREATE PROCEDURE stir() LANGUAGE plpgsql AS $$ BEGIN
      LOOP UPDATE fo SET frozen = false WHERE k = 'hot';
        INSERT INTO fo VALUES ('fleeting', 1) ON CONFLICT DO NOTHING; COMMIT;
        DELETE FROM fo WHERE k = 'fleeting'; COMMIT; END LOOP; END $$]]
    s.db:rows "INSERT INTO fo VALUES ('hot', 0)"
    local stir = process.start({ 'psql', '-X', s.db.url, '-c', 'CALL stir()' },
      { out = '/dev/null' })
    local run = tidemill.start(s.bundle, { env = s.env })
    finally(function() run:destroy() stir:destroy() end)
    local n = 0
    repeat
      for _ = 1, 20 do s.send(0, { 'add', 'hot' }, { 'add', 'fleeting' }) end
      n = n + 20
    until (run:metric('batch_retries_total') or 0) > 40 or n > 3000
    assert.is_true(run:metric('batch_retries_total') > 40)
    s.db:rows [[SELECT pg_terminate_backend(pid) FROM pg_stat_activity
      WHERE query LIKE 'CALL stir%' AND pid <> pg_backend_pid()]]
    run:wait_for('all', 30, function() return s.sum('fo', "k = 'hot'") == n end)
    assert.equal('', s.letters())
    assert.equal(0, (run:stop()))
  end)
end)
