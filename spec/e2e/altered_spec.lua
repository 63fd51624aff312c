-- Tables that change under a run: whatever is done to them, a batch is committed
-- only to what was compared with the pipeline.
local kafka = require 'kafka'
local process = require 'process'
local tidemill = require 'tidemill'

-- One table of each kind; every event adds one to each.
local pipeline = [[
local columns = {
  b = 'bigint', d = 'numeric(18,2)', t = 'varchar(40)', at = 'timestamp(3)',
}
local function add(row)
  row.b = (row.b or 0) + 1
  row.d = (row.d or decimal '0') + decimal '0.25'
  row.t = 'x'
end
return pipeline {
  name = 'altered',
  source = kafka { brokers = env('KAFKA_BROKERS'), group = '%s', topics = { '%s' },
    format = 'json', start = 'earliest' },
  database = postgres { write = env('DATABASE_URL') },
  batch = { linger_ms = 20 },
  cache = %s,
  projections = {
    projection { table = 'aligned', key = { id = { 'bigint', from = 'key' } },
      columns = columns, on = add },
    projection { table = 'app.shared', key = { id = { 'bigint', from = 'data.id' } },
      columns = columns, on = add },
    projection { table = 'mapped', key = { id = { 'bigint', from = 'key' } },
      columns = columns, map = function(row, event) row.b = event.data.n end },
    projection { table = 'merged', key = { id = { 'bigint', from = 'key' } },
      columns = { b = 'bigint' }, merge = { b = 'sum' },
      on = function(row) row.b = 1 end },
    projection { table = 'appended', append = true, columns = columns,
      on = function(row, event) row.b = event.data.n end },
  },
}
]]

local function new(cache)
  local s = { topic = tidemill.unique('altered'), producer = kafka.producer(), n = 0 }
  s.producer:create_topic(s.topic, 1)
  s.bundle = tidemill.bundle {
    ['pipeline.lua'] = pipeline:format(s.topic, s.topic, cache),
  }
  s.url, s.db = tidemill.database(s.bundle)

  function s.send(id)
    s.n = s.n + 1
    s.producer:send { topic = s.topic, partition = 0, key = tostring(id or 1),
      value = ('{"id":%d,"n":%d}'):format(id or 1, s.n) }
    s.producer:flush()
  end

  function s.position() return s.db:number('SELECT next_offset FROM tidemill.lane') end

  function s.committed()
    s.run:wait_for('record ' .. s.n, 40, function() return s.position() == s.n end)
  end

  --- [change] is made, and the next record waits with [words]; once [mend] is
  --- made it is applied. [change] and [mend] are SQL of the tables' owner.
  function s.halts(change, words, mend)
    s.db:rows(change)
    s.send()
    s.run:wait_for(words, 40, function() return s.run:text():find(words, 1, true) end)
    assert.equal(s.n - 1, s.position(), change)
    s.db:rows(mend)
    s.committed()
  end

  --- Each event has added one, to whatever table has the name.
  function s.assert_rows()
    local n = s.n
    assert.equal(('%d %d %d %d %d'):format(n, n, n, n, n), s.db:value [[
      SELECT concat_ws(' ', (SELECT b FROM aligned), (SELECT b FROM app.shared),
        (SELECT b FROM mapped), (SELECT b FROM merged), (SELECT max(b) FROM appended))]])
    assert.equal(('%.2f %.2f'):format(n / 4, n / 4), s.db:value [[
      SELECT concat_ws(' ', (SELECT d FROM aligned), (SELECT d FROM app.shared))]])
    assert.equal(0, s.db:number 'SELECT count(*) FROM tidemill.dead_letter')
  end

  s.run = tidemill.start(s.bundle, { env = { DATABASE_URL = s.url } })
  s.send()
  s.committed()
  s.send()
  s.committed()
  return s
end

describe('a column that gets another type under a run', function()
  for _, cache in ipairs { 'nil', 'false' } do
    it('halts the lane with the words of check, cache = ' .. cache, function()
      local s = new(cache)
      finally(function() s.run:destroy() end)
      local function column(name, change, found, declared, mend, of)
        local alter = ('ALTER TABLE %s ALTER COLUMN %s TYPE '):format(name, of or 'b')
        s.halts(alter .. change,
          ('table %s: column %s is %s in the table but %s in the projection'):format(
            name, of or 'b', found, declared),
          alter .. (mend or declared))
      end
      column('aligned', 'double precision', 'double precision', 'bigint')
      column('app.shared', 'numeric', 'numeric', 'bigint')
      column('app.shared', 'numeric(18,0)', 'numeric(18,0)', 'numeric(18,2)', nil, 'd')
      s.db:rows "UPDATE app.shared SET d = (SELECT d FROM aligned) - 0.25 WHERE d <> 0"
      if cache == 'false' then
        column('mapped', 'numeric(6,1)', 'numeric(6,1)', 'bigint')
        column('merged', 'double precision', 'double precision', 'bigint')
        column('appended', 'text', 'text', 'bigint', 'bigint USING b::bigint')
        column('appended', 'timestamp(0)', 'timestamp(0) without time zone',
          'timestamp(3)', nil, 'at')
        -- A value that no longer fits is not blamed on its record.
        column('aligned', "varchar(1)", 'character varying(1)', 'varchar(40)', nil, 't')
        column('aligned', 'numeric(4,3)', 'numeric(4,3)', 'numeric(18,2)', nil, 'd')
      end
      s.db:rows 'UPDATE app.shared SET d = (SELECT d FROM aligned)'
      s.send()
      s.committed()
      s.assert_rows()
      assert.equal(0, (s.run:stop()))
    end)
  end
end)

describe('a table that changes under a run', function()
  it('halts the lane, or is written as it now is', function()
    local s = new('nil')
    finally(function() s.run:destroy() end)
    s.halts('ALTER TABLE aligned RENAME COLUMN b TO c',
      'pipeline.lua:2: table aligned: there is no column b',
      'ALTER TABLE aligned RENAME COLUMN c TO b')
    local swap = [[ALTER TABLE aligned RENAME COLUMN b TO x;
      ALTER TABLE aligned RENAME COLUMN d TO b;
      ALTER TABLE aligned RENAME COLUMN x TO d]]
    s.halts(swap, 'table aligned: column b is numeric(18,2) in the table but', swap)
    local version = "CREATE OR REPLACE FUNCTION tidemill.version() RETURNS int "
      .. "LANGUAGE sql IMMUTABLE AS 'SELECT %d'"
    s.halts(version:format(2), 'schema tidemill is of version 2, and this tidemill knows',
      version:format(1))
    s.halts('ALTER TABLE merged DROP CONSTRAINT merged_pkey',
      'table merged: its key columns have no valid unique index',
      'ALTER TABLE merged ADD PRIMARY KEY (id)')
    s.halts('ALTER TABLE aligned DROP CONSTRAINT aligned_pkey; '
      .. 'CREATE UNIQUE INDEX other ON aligned (b)',
      'table aligned: its key columns have no valid unique index',
      'DROP INDEX other; ALTER TABLE aligned ADD PRIMARY KEY (id)')
    s.halts('ALTER TABLE appended ADD COLUMN must int NOT NULL DEFAULT 1; '
      .. 'ALTER TABLE appended ALTER must DROP DEFAULT',
      'table appended: column must is NOT NULL without a default',
      'ALTER TABLE appended DROP COLUMN must')
    s.halts([[ALTER TABLE mapped ADD COLUMN more bigint; ALTER TABLE mapped DROP COLUMN b;
      ALTER TABLE mapped ADD COLUMN b bigint GENERATED ALWAYS AS (more + 1) STORED]],
      'table mapped: column b is GENERATED ALWAYS',
      'ALTER TABLE mapped DROP COLUMN b; ALTER TABLE mapped ADD COLUMN b bigint')
    s.halts('ALTER TABLE merged SET UNLOGGED', 'table merged: it is UNLOGGED',
      'ALTER TABLE merged SET LOGGED')
    s.halts('ALTER TABLE merged RENAME TO old; CREATE VIEW merged AS SELECT * FROM old; '
      .. 'GRANT ALL ON merged TO mill', 'table merged: it is a view',
      'DROP VIEW merged; ALTER TABLE old RENAME TO merged')
    s.halts('REVOKE INSERT ON merged FROM mill', 'role mill has no INSERT privilege',
      'GRANT INSERT ON merged TO mill')
    s.halts('ALTER TABLE tidemill.lane SET UNLOGGED', 'table tidemill.lane is UNLOGGED',
      'ALTER TABLE tidemill.lane SET LOGGED')
    -- A lane that looks again and finds the same says nothing new.
    local function n_said() return select(2, s.run:text():gsub('lane halted', '')) end
    local n_halts = n_said()
    s.db:rows 'ALTER TABLE aligned RENAME TO away'
    s.send()
    local n_before = s.run:metric('errors_total', 'class="schema"')
    s.run:wait_for('three looks', 40, function()
      return s.run:metric('errors_total', 'class="schema"') >= n_before + 3
    end)
    assert.equal(n_halts + 1, n_said())
    s.db:rows 'ALTER TABLE away RENAME TO aligned'
    s.committed()
    -- What fits is gone on with: a table in the place of another, a schema too.
    s.db:rows [[
      BEGIN; CREATE TABLE next (LIKE aligned INCLUDING ALL);
      INSERT INTO next SELECT * FROM aligned;
      DROP TABLE aligned; ALTER TABLE next RENAME TO aligned;
      GRANT SELECT, INSERT, UPDATE ON aligned TO mill; COMMIT]]
    s.send()
    s.committed()
    s.db:rows [[
      BEGIN; CREATE SCHEMA green;
      CREATE TABLE green.shared (LIKE app.shared INCLUDING ALL);
      INSERT INTO green.shared SELECT * FROM app.shared; ALTER SCHEMA app RENAME TO blue;
      ALTER SCHEMA green RENAME TO app; GRANT USAGE ON SCHEMA app TO mill;
      GRANT SELECT, INSERT, UPDATE ON app.shared TO mill; COMMIT]]
    s.send()
    s.committed()
    s.assert_rows()
    assert.equal(s.n - 1, s.db:number 'SELECT b FROM blue.shared')
    assert.equal(0, (s.run:stop()))
  end)
end)

describe('another table of the same name that the search path finds first', function()
  it('is none of the run\'s: not for sessions and workers that begin later', function()
    local s = new('nil')
    finally(function() s.run:destroy() end)
    s.db:rows [[
      CREATE SCHEMA front; CREATE TABLE front.mapped (LIKE mapped INCLUDING ALL);
      GRANT USAGE ON SCHEMA front TO mill; GRANT ALL ON front.mapped TO mill;
      DO $$ BEGIN EXECUTE format('ALTER ROLE mill IN DATABASE %I '
        'SET search_path = front, public', current_database()); END $$]]
    assert.matches('warning: .*table mapped: the search path of role mill has it in '
      .. 'schema front, which is taken, and in schema public: write table = .front',
      tidemill.call({ 'check', s.bundle }, { env = { DATABASE_URL = s.url } }).text)
    local words = 'table mapped: the search path of role mill leads to the one of schema '
      .. 'front now, and this run writes the one of schema public'
    local function waits(how)
      local before = #s.run:text()
      how()
      s.send()
      s.run:wait_for(words, 40, function()
        return s.run:text():find(words, before, true)
      end)
      assert.equal(s.n - 1, s.position())
    end
    waits(function() process.signal(s.run:workers()[1], process.KILL) end)
    s.db:rows 'ALTER TABLE front.mapped RENAME TO other'
    s.committed()
    s.db:rows 'ALTER TABLE front.other RENAME TO mapped'
    waits(function() s.db:rows 'ALTER TABLE mapped ADD COLUMN more int' end)
    -- The same table may go where it is found.
    s.db:rows 'DROP TABLE front.mapped; ALTER TABLE mapped SET SCHEMA front'
    s.committed()
    -- And be made anew there: that is no other one for a worker that begins.
    s.db:rows [[
      ALTER TABLE front.mapped RENAME TO older;
      CREATE TABLE front.mapped (LIKE front.older INCLUDING ALL);
      INSERT INTO front.mapped SELECT * FROM front.older; DROP TABLE front.older;
      GRANT ALL ON front.mapped TO mill]]
    process.signal(s.run:workers()[1], process.KILL)
    s.send()
    s.committed()
    s.db:rows 'SET search_path = front, public'
    s.assert_rows()
    assert.equal(0, (s.run:stop()))
  end)
end)

describe('a foreign key between tables that have triggers', function()
  it('lets parents be written first from then on', function()
    local s = new('nil')
    finally(function() s.run:destroy() end)
    s.db:rows [[
      CREATE FUNCTION noop() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
      CREATE TRIGGER noop BEFORE INSERT ON aligned FOR EACH ROW EXECUTE FUNCTION noop();
      CREATE TRIGGER noop BEFORE INSERT ON mapped FOR EACH ROW EXECUTE FUNCTION noop()]]
    s.send()
    s.committed()
    s.db:rows 'ALTER TABLE aligned ADD FOREIGN KEY (id) REFERENCES mapped'
    s.send(2)
    s.committed()
    assert.equal(0, s.db:number 'SELECT count(*) FROM tidemill.dead_letter')
    assert.equal(2, s.db:number 'SELECT count(*) FROM aligned')
  end)
end)

describe('a table that changes again and again', function()
  it('leaves one check of its shape with each session', function()
    local s = new('nil')
    finally(function() s.run:destroy() end)
    s.db:rows [[
      CREATE TABLE seen (checks bigint); GRANT INSERT ON seen TO mill;
      CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO seen
        SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE ''%TM003%'';
        RETURN NULL; END';
      CREATE TRIGGER see AFTER INSERT ON appended EXECUTE FUNCTION see()]]
    for _ = 1, 12 do
      s.db:rows 'GRANT SELECT ON aligned TO PUBLIC; REVOKE SELECT ON aligned FROM PUBLIC'
      s.send()
      s.committed()
    end
    assert.equal(1, s.db:number 'SELECT max(checks) FROM seen')
    s.assert_rows()
  end)
end)

describe('a table whose rows do not stay with the positions', function()
  local bundle = tidemill.bundle { ['pipeline.lua'] = [[
    local function add(row) row.n = 1 end
    return pipeline {
      name = 'unlogged',
      source = kafka { brokers = env('KAFKA_BROKERS'), group = 'unlogged',
        topics = { 'unlogged' }, format = 'json', start = 'earliest' },
      database = postgres { write = env('DATABASE_URL') },
      projections = {
        projection { table = 'parent', key = { id = 'bigint' },
          columns = { n = 'bigint' }, on = add },
        projection { table = 'parts', append = true, columns = { n = 'bigint' },
          on = add },
        projection { table = 'far', append = true, columns = { n = 'bigint' }, on = add },
        projection { table = 'lost', append = true, columns = { n = 'bigint' }, on = add,
          unlogged = true },
      },
    } ]] }
  kafka.producer():create_topic('unlogged', 1)

  it('is refused, unless the projection says that they may be lost', function()
    local url, db = tidemill.database(bundle, [[
      CREATE FOREIGN DATA WRAPPER w; CREATE SERVER s FOREIGN DATA WRAPPER w;
      CREATE TABLE parts (n bigint) PARTITION BY RANGE (n);
      CREATE FOREIGN TABLE part PARTITION OF parts FOR VALUES FROM (0) TO (9) SERVER s;
      CREATE FOREIGN TABLE far (n bigint) SERVER s;
      CREATE SCHEMA tidemill; CREATE SCHEMA other]])
    db:rows 'CREATE UNLOGGED TABLE other.child () INHERITS (parent)'
    db:rows 'ALTER TABLE tidemill.dead_letter SET UNLOGGED'
    assert.equal('u', db:value
      "SELECT relpersistence FROM pg_class WHERE relname = 'lost'")
    local text = tidemill.call({ 'check', bundle }, { env = { DATABASE_URL = url } }).text
    for _, words in ipairs {
      'table parent: its part other.child is UNLOGGED, so that a crash of the server '
        .. 'empties it and leaves the positions: ALTER TABLE other.child SET LOGGED;',
      'table parts: its part part is a foreign table, whose server commits by itself',
      'table far: it is a foreign table, whose server commits by itself',
      'table tidemill.dead_letter is UNLOGGED',
      'unlogged a crash of the server may empty the table',
    } do
      assert.matches(words, text, 1, true)
    end
    assert.is_nil(text:find('table lost:', 1, true))
    db:rows [[ALTER TABLE other.child SET LOGGED;
      ALTER TABLE tidemill.dead_letter SET LOGGED;
      DROP TABLE parts; CREATE TABLE parts (n bigint); DROP FOREIGN TABLE far;
      CREATE TABLE far (n bigint); GRANT SELECT, INSERT ON parts, far TO mill]]
    local fits = tidemill.call({ 'check', bundle }, { env = { DATABASE_URL = url } })
    assert.equal(0, fits.status, fits.text)
  end)
end)
