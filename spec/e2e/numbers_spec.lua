-- Numbers of records in columns of every numeric type, and what a handler computes
-- of them, compared with what PostgreSQL itself makes of the same texts.
local kafka = require 'kafka'
local numbers = require 'spec.unit.numbers'
local tidemill = require 'tidemill'

local PIPELINE = [[
return pipeline {
  name = '%s',
  source = kafka { brokers = env('KAFKA_BROKERS'), group = '%s', start = 'earliest',
    topics = { '%s', { '%s.rows', format = 'debezium' } }, format = 'json' },
  database = postgres { write = env('DATABASE_URL') },
  projections = {
    projection { table = 'numbers', append = true, topics = { '%s' },
      columns = { x = 'text', y = 'text', num = 'numeric', cash = 'numeric(30,4)',
        big = 'bigint', double = 'double precision', single = 'real', doc = 'jsonb',
        sum = 'numeric', product = 'numeric', rest = 'numeric', times = 'numeric' },
      on = function(row, event)
        local x, y = event.data.x, event.data.y
        row.x, row.y, row.doc = event.data.tx, event.data.ty, { x = x, y = y }
        for _, name in ipairs { 'num', 'cash', 'big', 'double', 'single' } do
          pcall(function() row[name] = x end)
        end
        pcall(function() row.sum = x + y end)
        pcall(function() row.product = x * y end)
        if y ~= 0 then pcall(function() row.rest = x %% y end) end
        pcall(function() row.times = event.data.tx * 3 end)
      end },
    projection { table = 'bigs', topics = { '%s' },
      key = { id = { 'bigint', from = function(event)
        local x = event.data.x
        if not event.data.is_big then return nil end
        return x
      end } },
      columns = { n = 'bigint', same = 'bigint' }, initial = { n = 0 },
      on = function(row, event)
        row.n, row.same = row.n + 1, row.id
        pcall(function() row.same = row.same + 0.5 end)
      end },
    projection { table = 'copies', topics = { '%s.rows' }, mirror = true,
      key = { id = 'bigint' }, columns = { t = 'text', x = 'double precision' } },
  },
}
]]

local FUNCTIONS = [[
  CREATE FUNCTION as_double(x text) RETURNS bytea LANGUAGE plpgsql AS $$
    BEGIN RETURN float8send(x::float8); EXCEPTION WHEN OTHERS THEN RETURN NULL; END $$;
  CREATE FUNCTION as_real(x text) RETURNS bytea LANGUAGE plpgsql AS $$
    BEGIN RETURN float4send(x::float4); EXCEPTION WHEN OTHERS THEN RETURN NULL; END $$;
  CREATE FUNCTION as_bigint(x text) RETURNS bigint LANGUAGE plpgsql AS $$
    BEGIN RETURN CASE WHEN x::numeric = trunc(x::numeric) THEN x::numeric::bigint END;
    EXCEPTION WHEN OTHERS THEN RETURN NULL; END $$]]

-- What must be true of no row: none of these are silent differences.
local WRONG = {
  'num <> x::numeric', 'length(x) < 30 AND num::text <> x::numeric::text',
  'num IS NULL AND length(x) < 30 AND abs(x::numeric) BETWEEN 1e-20 AND 1e37',
  'cash <> round(x::numeric, 4)', 'big IS DISTINCT FROM as_bigint(x)',
  'float8send(double) IS DISTINCT FROM as_double(x)',
  'float4send(single) IS DISTINCT FROM as_real(x)',
  "doc->'x' <> x::jsonb OR doc->'y' <> y::jsonb OR jsonb_typeof(doc->'x') <> 'number'",
  'sum <> x::numeric + y::numeric', 'product <> x::numeric * y::numeric',
  -- Lua's rest has the sign of the divisor.
  'rest <> (x::numeric % nullif(y::numeric, 0) + y::numeric) % nullif(y::numeric, 0)',
  -- A text is a double before anything can see it: what its first 15 digits give.
  "length(x) < 12 AND x !~ 'e' AND times <> x::numeric * 3",
}

describe('numbers', function()
  local producer
  lazy_setup(function() producer = kafka.producer() end)

  it('are what PostgreSQL would have made of them, or refused', function()
    local name, random = tidemill.unique('numbers'), numbers.random(23)
    local bundle = tidemill.bundle { ['pipeline.lua'] = (PIPELINE:gsub('%%s', name)
      :gsub('%%%%', '%%')) }
    local url, db = tidemill.database(bundle)
    producer:create_topic(name, 1)
    producer:create_topic(name .. '.rows', 1)
    for i = 1, 1500 do
      local x, y = numbers.SPECIAL[i] or numbers.number(random), numbers.number(random)
      local is_big = x:find('^-?9007199254740%d%d%d$') ~= nil
      producer:send { topic = name, partition = 0, key = 'k' .. i, value =
        ('{"x":%s,"y":%s,"tx":"%s","ty":"%s","is_big":%s}'):format(x, y, x, y,
          tostring(is_big)) }
    end
    for i, x in ipairs { '-0', '-0.0', '0', '5e-324', '9007199254740993', '1e2' } do
      producer:send { topic = name .. '.rows', partition = 0,
        key = ('{"id":%d}'):format(i), value = ('{"before":null,"after":{"id":%d,'
          .. '"t":"%s","x":%s},"op":"c"}'):format(i, x, x) }
    end
    producer:flush()
    local result = tidemill.until_end(bundle, { env = { DATABASE_URL = url } })
    assert.equal(0, result.status, result.text)
    db:rows(FUNCTIONS)
    assert.same({}, db:rows('SELECT message FROM tidemill.dead_letter LIMIT 3'))
    assert.equal(1500, db:number('SELECT count(*) FROM numbers'))
    for _, wrong in ipairs(WRONG) do
      assert.same({}, db:rows('SELECT * FROM numbers WHERE ' .. wrong .. ' LIMIT 3'),
        wrong)
    end
    assert.same({}, db:rows('SELECT * FROM copies WHERE float8send(x) <> as_double(t)'))
    assert.equal(6, db:number('SELECT count(*) FROM copies'))
    assert.same({}, db:rows [[SELECT * FROM bigs FULL JOIN (SELECT big, count(*) AS c
      FROM numbers WHERE x ~ '^-?9007199254740[0-9]{3}$' GROUP BY big) t ON id = big
      WHERE n IS DISTINCT FROM c OR same <> id AND abs(id) >= 9007199254740992]])
    assert.is_true(db:number('SELECT count(*) FROM bigs') > 5)
    assert.is_true(db:number('SELECT count(rest) FROM numbers') > 300)
  end)
end)
