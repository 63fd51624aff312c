-- Tables as PostgreSQL allows them: as wide as a table can be, of any names, with keys
-- that it generates for others. Random numbers have a seed, so a run is as the last.
local kafka = require 'kafka'
local tidemill = require 'tidemill'

local WIDE, FOLDED = 1590, 130

local pipeline = [==[
local wide = { v = 'bigint' }
local folded = { ['a.b'] = 'text', ['end'] = 'text', ['say "it\'s"'] = 'text' }
for i = 2, %d do wide[('c%%04d'):format(i)] = 'integer' end
for i = 1, %d do folded[('f%%04d'):format(i)] = 'integer' end

return pipeline {
  name = 'tables',
  source = kafka { brokers = env('KAFKA_BROKERS'), group = '%s', topics = { '%s' },
    format = 'json', start = 'earliest' },
  database = postgres { write = env('DATABASE_URL') },
  batch = { size = 200, linger_ms = 0 },
  projections = {
    projection { table = '"my.schema"."Wide Rows"', mirror = true, newer = 'v',
      key = { id = 'bigint' }, columns = wide },
    projection { table = '"say ""it\'s"""."order"',
      key = { id = { 'bigint', from = 'key' } }, columns = folded,
      on = function(row, event)
        for name, v in pairs(event.data.folded) do row[name] = v end
        row['end'], row['say "it\'s"'] = event.data['end'], event.data['a.b']
      end },
    projection { table = '2nd größe', append = true, once = 'seq',
      columns = { seq = 'bigint', text = 'text' },
      on = function(row, event)
        row.seq, row.text = event.data.v, event.data['end']
      end },
  },
}
]==]

describe('tables of any width and name', function()
  it('hold the rows of a model, also where a key is generated always', function()
    math.randomseed(13)
    local producer, topic = kafka.producer(), tidemill.unique('tables')
    producer:create_topic(topic, 1)
    local bundle = tidemill.bundle { ['pipeline.lua'] = pipeline:format(WIDE - 1, FOLDED,
      topic, topic) }
    local url, db = tidemill.database(bundle)
    db:rows([[
      ALTER TABLE "my.schema"."Wide Rows" ALTER id ADD GENERATED ALWAYS AS IDENTITY;
      ALTER TABLE "say ""it's"""."order" ALTER id ADD GENERATED ALWAYS AS IDENTITY,
        ALTER f0100 SET NOT NULL;
      ALTER TABLE "2nd größe" ALTER seq ADD GENERATED ALWAYS AS IDENTITY]])
    local rows, folded, n_bad = {}, {}, 0
    for v = 1, 60 do
      local id, fields, said = math.random(7), {}, {}
      rows[id] = rows[id] or {}
      local row = rows[id]
      for i = 2, WIDE - 1 do
        if math.random(4) == 1 then
          local name = ('c%04d'):format(i)
          row[name] = math.random(9999)
          fields[#fields + 1] = ('"%s":%d'):format(name, row[name])
        end
      end
      -- Without its NOT NULL column the first event of a row fails, and holds the others.
      local is_bad = id == 7
      folded[id] = folded[id] or {}
      for i = 1, FOLDED do
        if i == 100 and not is_bad or i ~= 100 and math.random(3) == 1 then
          local name = ('f%04d'):format(i)
          folded[id][name] = math.random(99)
          said[#said + 1] = ('"%s":%d'):format(name, folded[id][name])
        end
      end
      n_bad = n_bad + (is_bad and 1 or 0)
      if is_bad then rows[id], folded[id] = nil, nil end
      producer:send { topic = topic, key = tostring(id),
        value = ('{"id":%d,"v":%d,"end":"e%d","a.b":"x%d","folded":{%s},%s}'):format(id,
          v, v, v, table.concat(said, ','), table.concat(fields, ',')) }
    end
    producer:flush()
    local checked = tidemill.call({ 'check', bundle }, { env = { DATABASE_URL = url } })
    assert.equal(0, checked.status, checked.text)
    local told = 'is GENERATED ALWAYS AS IDENTITY: rows get the values'
    assert.equal(3, select(2, checked.text:gsub(told, '')))
    local run = tidemill.until_end(bundle, { env = { DATABASE_URL = url } })
    assert.equal(0, run.status, run.text)
    assert.equal(n_bad, db:number('SELECT count(*) FROM tidemill.dead_letter'), run.text)
    assert.matches('f0100: the row has no value for it, and the column is NOT NULL',
      db:value("SELECT message FROM tidemill.dead_letter WHERE state = 'failed'"))
    local function expect(table_name, model, pattern)
      local n = 0
      for id, row in pairs(model) do
        local got = db:value(('SELECT row_to_json(t)::jsonb::text FROM %s AS t '
          .. 'WHERE id = %d'):format(table_name, id))
        local found = {}
        for name, value in (got or ''):gmatch('"(' .. pattern .. ')": (%d+)') do
          found[name] = tonumber(value)
        end
        assert.are.same(row, found)
        n = n + 1
      end
      assert.equal(n, db:number('SELECT count(*) FROM ' .. table_name))
    end
    expect('"my.schema"."Wide Rows"', rows, 'c%d+')
    expect([["say ""it's"""."order"]], folded, 'f%d+')
    assert.equal(60 - n_bad,
      db:number([[SELECT count(*) FROM "2nd größe" WHERE text = 'e' || seq]]))
    assert.equal(0, db:number([[SELECT count(*) FROM "say ""it's"""."order"
      WHERE "end" IS NULL OR "say ""it's""" <> replace("end", 'e', 'x')]]))
  end)
end)

local shared = [==[
local function part(words)
  words.table, words.key = words.table or 'app.accounts', { id = 'bigint' }
  return projection(words)
end
-- Whatever topics a batch has, its transaction locks the two tables in one order.
local function count(topic, name)
  return part { table = 'app.counts', topics = { topic }, columns = { [name] = 'bigint' },
    merge = { [name] = 'sum' }, on = function(row) row[name] = 1 end }
end
local MONEY, NAMES = '%s', '%s'

return pipeline {
  name = 'parts',
  source = kafka { brokers = env('KAFKA_BROKERS'), group = '%s', format = 'json',
    topics = { MONEY, NAMES }, start = 'earliest' },
  database = postgres { write = env('DATABASE_URL') },
  batch = { size = 40, linger_ms = 0 },
  projections = {
    count(MONEY, 'of_money'),
    part { topics = { MONEY }, columns = { balance = 'numeric(18,2)', n = 'integer' },
      initial = { balance = 100, n = 0 },
      on = function(row, event)
        if event.data.x == 13 then error('unlucky') end
        row.balance, row.n = row.balance + event.data.x, row.n + 1
      end },
    part { topics = { NAMES }, columns = { owner = 'text', changes = 'integer' },
      initial = { changes = 0 },
      on = function(row, event)
        row.owner, row.changes = 'o' .. event.data.x, row.changes + 1
      end },
    part { columns = { seen = 'bigint' }, merge = { seen = 'sum' },
      on = function(row) row.seen = 1 end },
    count(NAMES, 'of_names'),
  },
}
]==]

describe('three projections that write other columns of one table', function()
  it('leave what each would leave alone, whatever runs at a time', function()
    math.randomseed(5)
    local producer = kafka.producer()
    local money, names = tidemill.unique('money'), tidemill.unique('names')
    producer:create_topic(money, 4)
    producer:create_topic(names, 3)
    local bundle = tidemill.bundle { ['pipeline.lua'] = shared:format(money, names,
      money) }
    local url, db = tidemill.database(bundle)
    local rows, is_held = {}, {}
    for _ = 1, 3000 do
      local id, x, of_money = math.random(30), math.random(99), math.random(2) == 1
      -- A record that fails, and those that wait behind it, are nothing to any part.
      is_held[id] = is_held[id] or of_money and x == 13
      if not (of_money and is_held[id]) then
        local row = rows[id] or { balance = 100, n = 0, changes = 0, seen = 0 }
        rows[id], row.seen = row, row.seen + 1
        if of_money then
          row.balance, row.n = row.balance + x, row.n + 1
        else
          row.owner, row.changes = 'o' .. x, row.changes + 1
        end
      end
      producer:send { topic = of_money and money or names, key = tostring(id),
        value = ('{"x":%d}'):format(x) }
    end
    producer:flush()
    local run = tidemill.until_end(bundle, { args = { '--workers', '2' },
      env = { DATABASE_URL = url }, seconds = 60 })
    assert.equal(0, run.status, run.text)
    assert.equal(0, db:number [[SELECT deadlocks FROM pg_stat_database
      WHERE datname = current_database()]])
    assert.equal(db:number 'SELECT sum(seen) FROM app.accounts',
      db:number 'SELECT sum(of_money) + sum(of_names) FROM app.counts')
    local n = 0
    for id, row in pairs(rows) do
      n = n + 1
      assert.equal(('%s %s %s %s %d'):format(row.n > 0 and row.balance .. '.00' or '-',
        row.n > 0 and row.n or '-', row.owner or '-',
        row.changes > 0 and row.changes or '-', row.seen),
        db:value(([[SELECT concat_ws(' ', coalesce(balance::text, '-'),
          coalesce(n::text, '-'), coalesce(owner, '-'), coalesce(changes::text, '-'),
          seen) FROM app.accounts WHERE id = %d]]):format(id)))
    end
    assert.equal(n, db:number 'SELECT count(*) FROM app.accounts')
    -- Its other transactions are waited for, longer than for what locks a row.
    run = tidemill.start(bundle, { env = { DATABASE_URL = url },
      args = { '--workers', '2', '--instance', 'until-end' } })
    finally(function() run:destroy() end)
    run:wait_for('every lane', 30, function() return run:n_running() == 7 end)
    db:rows("BEGIN; SELECT pg_advisory_xact_lock(x'746d696c'::int, "
      .. "'app.accounts'::regclass::oid::int)")
    producer:send { topic = names, key = '1000', value = '{"x":1}' }
    producer:flush()
    run:wait_for('a long wait for the table', 20, function()
      return db:number [[SELECT count(*) FROM pg_stat_activity WHERE
        wait_event = 'advisory' AND clock_timestamp() > query_start + '2.5 s']] > 0
    end)
    db:rows 'COMMIT'
    run:wait_caught_up(db, producer, names, 3)
    assert.equal(0, run:metric 'batch_retries_total' or 0)
    run:stop()
    db:rows [[CREATE DOMAIN once AS integer DEFAULT 1;
      ALTER TABLE app.accounts ALTER owner SET DEFAULT 'nobody',
      ALTER seen SET NOT NULL, ALTER n TYPE once]]
    local said = tidemill.call({ 'check', bundle },
      { env = { DATABASE_URL = url } }).text
    for _, words in ipairs {
      'column owner has a default, but other projections make rows',
      'ALTER TABLE "app"."accounts" ALTER COLUMN "owner" DROP DEFAULT;',
      'ALTER TABLE "app"."accounts" ALTER COLUMN "n" TYPE integer;',
      'column seen is NOT NULL, but other projections make rows' } do
      assert.is_truthy(said:find(words, 1, true), said)
    end
    -- What they have in common is said once.
    db:rows [[TRUNCATE app.accounts;
      ALTER TABLE app.accounts DROP CONSTRAINT accounts_pkey, ALTER id TYPE integer,
        ADD extra integer NOT NULL;
      ALTER TABLE app.accounts SET UNLOGGED]]
    local sql = tidemill.call({ 'schema', bundle, '--diff' },
      { env = { DATABASE_URL = url } }).out
    for _, words in ipairs { 'CREATE UNIQUE INDEX ON "app"."accounts" ("id")',
      'ALTER COLUMN "id" TYPE bigint', 'ALTER COLUMN "extra" DROP NOT NULL',
      'SET LOGGED' } do
      assert.equal(1, select(2, sql:gsub(words:gsub('[()]', '%%%0'), '')), sql)
    end
    db:rows(sql)
    assert.equal('', tidemill.call({ 'schema', bundle, '--diff' },
      { env = { DATABASE_URL = url } }).out)
  end)
end)

describe('check', function()
  it('says what of a table cannot be written, and how to change it', function()
    local one = [[return pipeline { name = 'made',
      source = kafka { brokers = env('KAFKA_BROKERS'), group = 'made', topics = { 't' },
        format = 'json' },
      database = postgres { write = env('DATABASE_URL') },
      projections = { projection { table = '"M"."a b"', key = { id = 'bigint' },
        columns = { n = 'bigint', twice = 'bigint' }, map = function() end } } }]]
    local bundle = tidemill.bundle { ['pipeline.lua'] = one }
    local url, db = tidemill.database(bundle)
    db:rows [[ALTER TABLE "M"."a b" DROP twice,
        ADD twice bigint GENERATED ALWAYS AS (id * 2) STORED;
      ALTER TABLE "M"."a b" ALTER n SET NOT NULL,
        ALTER n ADD GENERATED ALWAYS AS IDENTITY]]
    local said = tidemill.call({ 'check', bundle }, { env = { DATABASE_URL = url } }).text
    for _, words in ipairs {
      'table "M"."a b": column twice is GENERATED ALWAYS AS an expression, so it cannot '
        .. 'be written: remove it',
      'table "M"."a b": column n is GENERATED ALWAYS AS IDENTITY, so that no UPDATE can '
        .. 'set it',
      'ALTER TABLE "M"."a b" ALTER COLUMN "n" SET GENERATED BY DEFAULT;' } do
      assert.is_truthy(said:find(words, 1, true), said)
    end
  end)
end)
