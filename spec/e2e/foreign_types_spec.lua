-- Columns of types that Tidemill does not know: a text that the server casts. Nothing is
-- cut on the way, what the type refuses sets its record aside alone, and rows do not
-- depend on how events are cut into batches.
local kafka = require 'kafka'
local tidemill = require 'tidemill'

-- Name, type of the table's column, a text, how it reads in PostgreSQL (if otherwise),
-- and a text that the type refuses.
local TYPES = {
  { 'mood', 'app.mood', 'so "so"', bad = 'glad' },
  { 'mail', 'citext', 'Ann@Example.org' },
  { 'posit', 'app.posit', '7', bad = '-7' },
  { 'short', 'app.short', 'abc', bad = 'abcd' },
  { 'filled', 'app.filled', 'x', bad = '' },
  { 'code', 'char(3)', 'ab', bad = 'abcd' },
  { 'bits', 'bit(3)', '101', bad = '1010' },
  { 'vbits', 'bit varying(4)', '101', bad = '10101' },
  { 'host', 'inet', '10.0.0.1/8', bad = '10.0.0.300' },
  { 'net', 'cidr', '10.0/16', '10.0.0.0/16', bad = '10.0.0.1/8' },
  { 'mac', 'macaddr', '08002b010203', '08:00:2b:01:02:03', bad = 'z' },
  { 'span', 'interval', 'PT90M', '01:30:00', bad = 'soon' },
  { 'price', 'money', '1234.5', '$1,234.50', bad = 'much' },
  { 'clock', 'time with time zone', '10:00+02', '10:00:00+02', bad = 'noon' },
  { 'doc', 'xml', '<a/>', bad = '<a' },
  { 'path', 'ltree', 'a.b', bad = 'a b' },
  { 'pairs', 'hstore', 'a=>1', '"a"=>"1"', bad = 'a=>' },
  { 'range', 'int4range', '[1,3]', '[1,4)', bad = '[3,1]' },
  { 'spot', 'point', '1,2', '(1,2)', bad = 'here' },
  { 'words', 'tsvector', 'b a', "'a' 'b'" },
  { 'pair', 'app.pair', '(1,abc)', bad = '(1,abcd)' },
  { 'ints', 'integer[]', '{1, 2}', '{1,2}', bad = '{a}' },
  { 'codes', 'varchar(3)[]', '{ab,cde}', bad = '{abcd}' },
  { 'moods', 'app.mood[]', '{"so \\"so\\""}', '{"so \\"so\\""}', bad = '{glad}' },
  { 'large', 'oid', '4000000000', bad = '-x' },
  { 'Odd "Name', 'app."Odd ""Type"', 'a', bad = 'b' },
}

local SCHEMA = [[
  CREATE EXTENSION citext; CREATE EXTENSION ltree; CREATE EXTENSION hstore;
  CREATE SCHEMA app;
  CREATE TYPE app.mood AS ENUM ('so "so"', 'sad');
  CREATE TYPE app."Odd ""Type" AS ENUM ('a');
  CREATE DOMAIN app.posit AS integer CHECK (VALUE > 0);
  CREATE DOMAIN app.short AS varchar(3);
  CREATE DOMAIN app.inner_filled AS text CHECK (VALUE <> '');
  CREATE DOMAIN app.filled AS app.inner_filled;
  CREATE DOMAIN app.ident AS uuid;
  CREATE TYPE app.pair AS (n integer, t varchar(3));
  CREATE TABLE things (id app.ident PRIMARY KEY, n integer, %s);
  GRANT USAGE ON SCHEMA app TO PUBLIC;]]

local function quoted(name) return '"' .. name:gsub('"', '""') .. '"' end

local PIPELINE = [[
local function set(row, event)
  local d = event.data
  if d.name == 'again' then
    row.mood, row.mail = row.mood and 'sad', row.mail .. '!'
  elseif d.name == 'read' then
    row.n = #row.host
  else
    row[d.name] = d.text
    row.n = (row.n or 0) + 1
  end
end
return pipeline {
  name = 'things',
  source = kafka { brokers = env('KAFKA_BROKERS'), group = '%s', topics = { '%s' },
    format = 'json', start = 'earliest' },
  database = postgres { write = env('DATABASE_URL') },
  batch = { size = env('SIZE', '3') == '3' and 3 or 1000 },
  cache = env('CACHE', 'no') == 'yes' and nil,
  dead_letters = { max_share = 1, hold = false },
  projections = { projection { table = 'things', key = { id = { 'uuid', from = 'key' } },
    columns = { n = 'integer', %s }, on = set } },
}]]

local ID = '00000000-0000-0000-0000-00000000000'

describe('columns of types that Tidemill does not know', function()
  local producer, topic, bundle
  lazy_setup(function()
    local columns = {}
    for i, t in ipairs(TYPES) do
      columns[i] = ("[%q] = '%s'"):format(t[1], t[1] == 'codes' and 'text[]' or 'text')
    end
    producer, topic = kafka.producer(), tidemill.unique('things')
    producer:create_topic(topic, 1)
    bundle = tidemill.bundle { ['pipeline.lua'] = PIPELINE:format(topic, topic,
      table.concat(columns, ', ')) }
  end)

  local function json(text) return '"' .. text:gsub('[\\"]', '\\%0') .. '"' end
  local function send(id, name, text)
    producer:send { topic = topic, key = ID .. id, value = ('{"name":%s,'
      .. '"text":%s}'):format(json(name), json(text)) }
  end
  local function database()
    local list = {}
    for i, t in ipairs(TYPES) do list[i] = quoted(t[1]) .. ' ' .. t[2] end
    return tidemill.database(bundle, SCHEMA:format(table.concat(list, ', ')))
  end
  local function run(url, size, cache)
    return tidemill.until_end(bundle,
      { env = { DATABASE_URL = url, SIZE = size, CACHE = cache } })
  end

  it('are written as the server casts a text, and a text that it refuses sets its record '
    .. 'aside alone', function()
    for round = 1, 2 do
      for _, t in ipairs(TYPES) do
        if round == 2 and t.bad then send(1, t[1], t.bad) end
        send(round, t[1], t[3])
      end
    end
    send(1, 'again', '')
    send(2, 'again', '')
    producer:flush()
    local n_bad, rows = 0, {}
    for _, t in ipairs(TYPES) do n_bad = n_bad + (t.bad and 1 or 0) end
    for _, size in ipairs { '1000', '3' } do
      local url, db = database()
      local checked = tidemill.call({ 'check', bundle }, { env = { DATABASE_URL = url } })
      assert.equal(0, checked.status, checked.text)
      assert.matches('note: .*table things: column mood: text, cast to app.mood '
        .. '%(an enum%)\n', checked.text)
      assert.matches('column price: text, cast to money: no handler can read it',
        checked.text)
      local result = run(url, size, size == '3' and 'yes' or 'no')
      assert.equal(0, result.status, result.text)
      for _, t in ipairs(TYPES) do
        local want = t[1] == 'mood' and 'sad' or t[4] or t[3]
        want = t[1] == 'mail' and want .. '!' or want
        for id = 1, 2 do
          local at = ("FROM things WHERE id = '%s%d'"):format(ID, id)
          local got = db:rows(('SELECT %s::text AS v %s'):format(quoted(t[1]), at))[1].v
          assert.equal(t[2] == 'char(3)' and 'ab' or want, got, t[1])
        end
      end
      local refused = db:rows("SELECT convert_from(value, 'UTF8') || ' ' || "
        .. "coalesce(sqlstate, '') || message AS m FROM tidemill.dead_letter")
      local list = {}
      for i, r in ipairs(refused) do list[i] = r.m end
      assert.equal(n_bad, #refused, table.concat(list, '\n'))
      rows[#rows + 1] = db:rows('SELECT things::text FROM things ORDER BY id')
    end
    assert.same(rows[1], rows[2])
  end)

  it('are read by no handler where the server may show another text, however the events '
    .. 'are cut', function()
    send(1, 'read', '')
    producer:flush()
    for _, size in ipairs { '1000', '3' } do
      local url, db = database()
      local result = run(url, size, 'no')
      assert.equal(65, result.status, result.text)
      assert.matches('things.host cannot be read in a handler: its type in the table is '
        .. 'inet', result.text)
      assert.matches('things.host cannot be read',
        db:rows('SELECT halted FROM tidemill.lane')[1].halted)
    end
  end)

  it('are no keys, and are not compared', function()
    local other = tidemill.bundle { ['pipeline.lua'] = [[
return pipeline {
  name = 'others', database = postgres { write = env('DATABASE_URL') },
  source = kafka { brokers = env('KAFKA_BROKERS'), group = 'g', topics = { 'x' },
    format = 'json', start = 'earliest' },
  projections = {
    projection { table = 'keyed', key = { id = 'text' }, columns = { v = 'text' },
      map = function(row, event) row.v = event.data.v end },
    projection { table = 'newest', key = { id = 'text' }, newer = 'v',
      columns = { v = 'text' }, map = function(row, event) row.v = event.data.v end },
    projection { table = 'most', key = { id = 'text' }, merge = { v = 'max' },
      columns = { v = 'text' }, on = function(row, event) row.v = event.data.v end },
    projection { table = 'cut', append = true, columns = { v = 'text', w = 'text',
      x = 'text', y = 'text[]' }, on = function(row, event) row.v = event.data.v end },
  },
}]] }
    local url, db = database()
    db:rows [[CREATE TABLE keyed (id citext PRIMARY KEY, v text);
      CREATE TABLE newest (id text PRIMARY KEY, v inet);
      CREATE TABLE most (id text PRIMARY KEY, v inet);
      CREATE TABLE cut (v name, w integer, x regclass, y regrole[])]]
    local checked = tidemill.call({ 'check', other }, { env = { DATABASE_URL = url } })
    assert.equal(78, checked.status, checked.text)
    local words = checked.text:gsub('%s+', ' ')
    for _, one in ipairs {
      'column id is citext in the table, whose values are not equal or ordered as their '
        .. 'texts are, so a key cannot use it: ALTER TABLE "keyed" ALTER COLUMN "id" '
        .. 'TYPE text USING "id"::text;',
      'so `newer` cannot use it', 'so `merge` cannot use it',
      'column v is name in the table, which may cut or change a text without an error: '
        .. 'ALTER TABLE "cut" ALTER COLUMN "v" TYPE text USING "v"::text;',
      'column x is regclass in the table, whose texts name objects of the database',
      'column y is regrole[] in the table, whose texts name',
      "column w is integer in the table but text in the projection: write w = 'integer'",
    } do
      assert.is_truthy(words:find(one, 1, true), one .. '\n' .. checked.text)
    end
  end)
end)
