-- What `tidemill connector` prints, given to the real Debezium by the REST call of
-- examples/README.md: it is taken, `check` finds nothing to say of what it writes, and
-- what a run makes of that is what the source holds.
local connect = require 'connect'
local pg = require 'pg'
local tidemill = require 'tidemill'

local SOURCE = [[
CREATE TABLE users (id bigint PRIMARY KEY, name text, balance numeric(18,2),
  at timestamptz, ts timestamp, ts3 timestamp(3), t time, d date);
INSERT INTO users SELECT i, 'n' || i, i * 1.5, now(), now(), now(), now()::time, now()
  FROM generate_series(1, 20) i;
CREATE TABLE outbox (id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  aggregatetype text NOT NULL, aggregateid text NOT NULL, type text NOT NULL,
  payload jsonb NOT NULL)]]

-- Behind the snapshot.
local CHANGES = [[
UPDATE users SET balance = 12345678901234.56, name = NULL WHERE id = 3;
DELETE FROM users WHERE id = 4;
INSERT INTO users (id, at) VALUES (21, '1999-12-31 23:59:59.999999+00');
INSERT INTO outbox (aggregatetype, aggregateid, type, payload) SELECT 'account', 'a' || i,
  'Paid', '{"amount": 12345678901234567890.50}' FROM generate_series(1, 5) i]]

local MIRROR = [[table = 'users_copy', mirror = true, key = { id = 'bigint' },
  columns = { name = 'text', balance = 'numeric(18,2)', at = 'timestamptz',
    ts = 'timestamp', ts3 = 'timestamp(3)', t = 'time', d = 'date' }]]
local FOLD = [[table = 'accounts', key = { id = { 'text', from = 'key' } },
  columns = { paid = 'numeric(30,2)' }, initial = { paid = 0 },
  on = { Paid = function(row, event) row.paid = row.paid + event.data.amount end }]]

local USERS = { 'SELECT * FROM users ORDER BY id',
  'SELECT id, name, balance, at, ts, ts3, t, d FROM users_copy ORDER BY id' }
local ACCOUNTS = { "SELECT 'a' || i AS id, '12345678901234567890.50' AS paid "
  .. 'FROM generate_series(1, 5) i ORDER BY 1',
  'SELECT id, paid FROM accounts ORDER BY id' }

local PIPELINES = {
  { 'outbox.event.account', "format = 'outbox'", FOLD, ACCOUNTS },
  { 'raw.public.outbox', "format = 'outbox', outbox = { table = {} }", FOLD, ACCOUNTS },
  { 'whole.public.users', "format = 'debezium'", MIRROR, USERS },
  { 'bare.public.users', "format = 'debezium', decimals = 'string', times = 'micros'",
    MIRROR, USERS },
  { 'flat.public.users', "format = 'debezium', flattened = 'rewrite', "
    .. "decimals = 'precise', times = 'nanos'", MIRROR, USERS },
  { 'tomb.public.users', "format = 'debezium', flattened = 'tombstone', "
    .. "decimals = 'string', times = 'micros'", MIRROR, USERS },
}

--- A bundle of the pipeline, and the environment to call it in.
local function bundle_of(p)
  local name = tidemill.unique('p')
  local bundle = tidemill.bundle { ['pipeline.lua'] = ([[
return pipeline {
  name = '%s',
  source = kafka { brokers = env('KAFKA_BROKERS'), group = '%s', topics = { '%s' }, %s,
    start = 'earliest' },
  database = postgres { write = env('DATABASE_URL', 'postgresql://localhost/x') },
  projections = { projection { %s } },
}]]):format(name, name, p[1], p[2], p[3]) }
  local url, db = tidemill.database(bundle)
  return { path = bundle, env = { DATABASE_URL = url }, db = db, pipeline = p }
end

--- As examples/README.md says it.
local function create(worker, database, path)
  local host, port, name = database:match('@([^:]+):(%d+)/(.+)$')
  local answer = tidemill.shell(([[%s connector %s --host %s --port %s --user postgres \
    --password none --dbname %s 2>/dev/null |
    curl -sS -X POST -H 'Content-Type: application/json' -d @- \
      http://127.0.0.1:%d/connectors]]):format(os.getenv('TIDEMILL'), path, host, port,
    name, worker.port))
  assert.is_nil(answer:find('error_code', 1, true), answer)
end

describe('tidemill connector', function()
  it('sets the real connector up so that check and run have nothing to complain of',
    function()
      local url, source = pg.create(tidemill.unique('source'))
      for statement in (SOURCE .. ';'):gmatch('([^;]+);') do source:rows(statement) end
      local worker = connect.start(url, {})
      finally(function() worker:destroy() end)
      worker:wait_for('the REST API', 90, function() return worker:get('/connectors') end)
      local bundles = {}
      for i, p in ipairs(PIPELINES) do
        bundles[i] = bundle_of(p)
        create(worker, url, bundles[i].path)
      end
      worker:wait_for('every connector to stream', 120, function()
        return source:number('SELECT count(*) FROM pg_replication_slots WHERE active AND '
          .. 'database = current_database()') == #PIPELINES
      end)
      for statement in (CHANGES .. ';'):gmatch('([^;]+);') do source:rows(statement) end
      for _, b in ipairs(bundles) do
        local wanted = source:rows(b.pipeline[4][1])
        worker:wait_for(b.pipeline[1] .. ' to be copied', 60, function()
          assert.equal(0, tidemill.until_end(b.path, { env = b.env }).status)
          return pcall(assert.same, wanted, b.db:rows(b.pipeline[4][2]))
        end)
        local checked = tidemill.call({ 'check', b.path }, { env = b.env })
        assert.equal(0, checked.status, checked.text)
        assert.equal('', checked.err)
      end
    end)
end)
