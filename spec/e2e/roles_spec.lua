-- The role that runs a pipeline: it has what `schema --role` prints and nothing
-- else, and each missing right is named with the GRANT that gives it.
local counts = require 'counts'
local kafka = require 'kafka'
local pg = require 'pg'
local tidemill = require 'tidemill'

-- Beside counts: rows that may be deleted, sums, a ledger; in two schemas.
local MORE = [[
  projections = { 'projections.counts',
    projection { table = 'app.states', key = { id = { 'bigint', from = 'key' } },
      columns = { state = 'text' },
      on = { add = function(row) row.state = 'open' end,
             gone = function(row) row:delete() end } },
    projection { table = 'app.sums', key = { kind = { 'text', from = 'data.kind' } },
      merge = { n = 'sum' }, columns = { n = 'bigint' },
      on = function(row) row.n = 1 end },
    projection { table = 'ledger', append = true, columns = { amount = 'numeric(9,2)' },
      on = function(row, event) row.amount = event.data.amount end } },
]]

describe('the role of a run', function()
  local producer, s, mill
  lazy_setup(function()
    producer = kafka.producer()
    s = counts.new { producer = producer }
    local path = s.bundle .. '/pipeline.lua'
    local text, n = tidemill.read(path):gsub("  projections = [^\n]*\n", MORE)
    assert(n == 1)
    tidemill.write(path, text)
    tidemill.apply(s.bundle, s.env)
    s.db:rows 'CREATE TABLE secrets (word text)'
    mill = assert(pg.connect(s.url))
  end)

  local function check() return tidemill.call({ 'check', s.bundle }, { env = s.env }) end

  local function is_well()
    local result = check()
    assert.equal(0, result.status, result.text)
    assert.not_matches('warning', result.text)
  end

  -- Some right is gone: it is named with the GRANT, which is all it takes.
  local function is_told(what, grant)
    local result = check()
    assert.equal(78, result.status, what .. '\n' .. result.text)
    assert.is_truthy(result.text:find(grant, 1, true), what .. '\n' .. result.text)
    for statement in result.text:gmatch('GRANT [^\n;]+;') do s.db:rows(statement) end
  end

  local function resumes_by(what, grant)
    is_told(what, grant)
    is_well()
  end

  it('is no owner: it does its work and nothing beside it', function()
    s.send_good(10)
    for key = 1, 5 do s.send(key, '{"kind":"gone"}') end
    producer:flush()
    local result = tidemill.until_end(s.bundle, { env = s.env })
    assert.equal(0, result.status, result.text)
    assert.equal(10, s.n_events())
    assert.equal(5, s.db:number 'SELECT count(*) FROM app.states')
    assert.equal(15, s.db:number 'SELECT sum(n) FROM app.sums')
    assert.equal(15, s.db:number 'SELECT count(*) FROM ledger')
    assert.equal('mill f f f', s.db:value [[SELECT concat_ws(' ', rolname, rolsuper,
      rolcreatedb, rolbypassrls) FROM pg_roles WHERE rolname = 'mill']])
    -- Before PostgreSQL 15 everybody may.
    s.db:rows 'REVOKE CREATE ON SCHEMA public FROM PUBLIC'
    for _, sql in ipairs {
      'SELECT word FROM secrets', 'CREATE TABLE public.mine (x int)',
      'CREATE SCHEMA mine', 'CREATE TABLE tidemill.mine (x int)',
      'ALTER TABLE counts ADD COLUMN x int', 'DROP TABLE ledger', 'TRUNCATE counts',
      'DELETE FROM counts', 'DELETE FROM app.sums', 'SELECT amount FROM ledger',
      'UPDATE ledger SET amount = 0', 'DELETE FROM ledger',
      'DELETE FROM tidemill.lane', 'SELECT * FROM tidemill.audit',
      "INSERT INTO tidemill.audit (who, action, pipeline) VALUES ('x', 'x', 'x')",
    } do
      local ok, why = pcall(mill.rows, mill, sql)
      assert.is_false(ok, sql)
      assert.is_truthy(why:find('permission denied', 1, true)
        or why:find('must be owner', 1, true), why)
    end
  end)

  it('needs each right that is printed, and is told which one is missing', function()
    is_well()
    s.db:rows 'REVOKE ALL ON FUNCTION tidemill.must(boolean, text) FROM PUBLIC'
    local printed = tidemill.call({ 'schema', s.bundle, '--role', 'mill' },
      { env = s.env })
    local n = 0
    for rights, on in printed.out:gmatch('\nGRANT ([%u, ]+) ON ([^;\n]+) TO "mill";') do
      for right in rights:gmatch('%u+') do
        s.db:rows(('REVOKE %s ON %s FROM mill'):format(right, on))
        is_told(right .. ' ON ' .. on, on .. ' TO "mill";')
        n = n + 1
      end
    end
    is_well()
    assert.equal(2 + 1 + 3 + 4 + 3 + 4 + 3 + 1 + 1, n)
  end)

  it('that may not connect to the database is told so', function()
    local name = s.db:value 'SELECT current_database()'
    s.db:rows(('REVOKE CONNECT ON DATABASE "%s" FROM PUBLIC'):format(name))
    resumes_by('CONNECT', ('GRANT CONNECT ON DATABASE "%s" TO "mill";'):format(name))
  end)

  it('may have its rights column by column', function()
    s.db:rows [[
      REVOKE ALL ON counts FROM mill;
      GRANT SELECT (id, n, amount, note, small), INSERT (id, n, amount, note, small),
        UPDATE (n, amount, note, small) ON counts TO mill]]
    resumes_by('xmin', 'GRANT SELECT (xmin) ON "counts" TO "mill";')
    s.send_good(10)
    local result = tidemill.until_end(s.bundle, { env = s.env })
    assert.equal(0, result.status, result.text)
    assert.equal(20, s.n_events())
    s.db:rows 'REVOKE UPDATE (note), INSERT (note, small) ON counts FROM mill'
    resumes_by('columns', 'GRANT INSERT ("note", "small") ON "counts" TO "mill";')
  end)

  it('needs the sequence of a column that the pipeline does not fill', function()
    s.db:rows 'ALTER TABLE ledger ADD COLUMN place bigserial'
    resumes_by('sequence', 'GRANT USAGE ON SEQUENCE public.ledger_place_seq TO "mill";')
    s.db:rows 'ALTER TABLE ledger DROP COLUMN place'
  end)

  it('that may not use the schema of a table is told so, not that it is missing',
    function()
      s.db:rows 'REVOKE USAGE ON SCHEMA public FROM PUBLIC'
      resumes_by('public', 'GRANT USAGE ON SCHEMA "public" TO "mill";')
    end)

  it('is warned of rows that policies hide from it', function()
    s.db:rows 'ALTER TABLE app.states ENABLE ROW LEVEL SECURITY'
    local result = check()
    s.db:rows 'ALTER TABLE app.states DISABLE ROW LEVEL SECURITY'
    assert.equal(0, result.status, result.text)
    assert.matches('warning: .*app.states: row level security', result.text)
  end)

  it('without SELECT on a ledger must say where to start', function()
    local path = s.bundle .. '/pipeline.lua'
    local text = tidemill.read(path)
    finally(function() tidemill.write(path, text) end)
    tidemill.write(path, (text:gsub(", start = 'earliest'", '')))
    resumes_by('start', 'GRANT SELECT ("amount") ON "ledger" TO "mill";')
    s.db:rows 'REVOKE SELECT (amount) ON ledger FROM mill'
  end)

  it('that loses a right halts its lane with the GRANT, and goes on by itself', function()
    -- The name of the runs before: another one would wait for their session.
    local run = s.start { '--instance', 'until-end' }
    finally(function() run:destroy() end)
    local before = s.n_events()
    s.send_good(5)
    run:wait_caught_up(s.db, producer, s.topic, 1)
    s.db:rows 'REVOKE INSERT ON ledger FROM mill'
    s.send_good(5)
    local grant = 'GRANT INSERT ON "ledger" TO "mill";'
    run:wait_for('the GRANT', 30, function()
      return run:text():find('GRANT INSERT ON \\"ledger\\" TO \\"mill\\";', 1, true)
    end)
    resumes_by('ledger', grant)
    run:wait_caught_up(s.db, producer, s.topic, 1)
    assert.equal(before + 10, s.n_events())
    assert.equal('', s.letters())
    assert.equal(0, (run:stop()))
  end)
end)
