-- Keys of each type, against PostgreSQL's own `=`: texts that it holds for equal are one
-- row, whichever batch they come in, and others are several.
local kafka = require 'kafka'
local tidemill = require 'tidemill'

-- A column's name, its type, and texts, of which some are equal.
local TYPES = {
  { 'n', 'numeric', '1', '1.0', '1.00', '10e-1', '0', '-0.0', '100', '1e2', '1.5', '1.50',
    '-1', '12345678901234567890.10', '12345678901234567890.1', '0.00000000000000000001' },
  { 'd', 'numeric(6,2)', '1', '1.00', '1.004', '1.005', '1.01', '-0.001', '0', '1.5' },
  { 't', 'timestamp(3)', '2024-02-29T10:00:00', '2024-02-29 10:00:00.000',
    '2024-02-29T10:00:00.0004', '2024-02-29T10:00:00.0006', 'infinity', '-infinity',
    '0001-01-01T00:00:00' },
  { 'c', 'char(3)', 'ab', 'ab ', 'ab  ', 'a b', ' ab', 'abc', '', '   ', 'é', 'é ',
    'ÄÖÜ', 'AB' },
  { 'v', 'varchar(3)', 'ab', 'ab ', 'AB', '', ' ', 'äöü', 'abc' },
  { 'b', 'boolean', 'true', 'false' },
}
-- What no row of that column can have for a key.
local REFUSED = { n = { 'NaN' }, d = { '10000' }, c = { 'abcd' }, v = { 'abcd', 'abc ' },
  t = { 'soon' }, b = { '2' } }

local function projection(t)
  return ([[projection { table = 'by_%s', key = { k = { '%s', from = 'data.%s' } },
    columns = { n = 'bigint' }, initial = { n = 0 },
    on = function(row) row.n = row.n + 1 end, topics = { '%%s-%s' } },]]):format(t[1],
    t[2], t[1], t[1])
end

describe('keys', function()
  it('are one row where PostgreSQL holds them for equal, and else several', function()
    local producer, base = kafka.producer(), tidemill.unique('keys')
    local topics, projections = {}, {}
    for i, t in ipairs(TYPES) do
      topics[i] = ("'%s-%s'"):format(base, t[1])
      projections[i] = projection(t):format(base)
      producer:create_topic(base .. '-' .. t[1], 1)
    end
    local bundle = tidemill.bundle { ['pipeline.lua'] = ([[
return pipeline {
  name = 'keys', database = postgres { write = env('DATABASE_URL') },
  source = kafka { brokers = env('KAFKA_BROKERS'), group = '%s', format = 'json',
    start = 'earliest', topics = { %s } },
  batch = { size = 5 }, dead_letters = { max_share = 1, hold = false },
  projections = { %s },
}]]):format(base, table.concat(topics, ', '), table.concat(projections, '\n')) }
    local url, db = tidemill.database(bundle)
    local n_refused = 0
    math.randomseed(13)
    for _, t in ipairs(TYPES) do
      local function send(text)
        producer:send { topic = base .. '-' .. t[1], key = 'k',
          value = ('{"%s":"%s"}'):format(t[1], text) }
      end
      t.sent = {}
      for i = 1, 60 do
        t.sent[i] = i + 2 <= #t and t[i + 2] or t[math.random(3, #t)]
        send(t.sent[i])
      end
      for _, text in ipairs(REFUSED[t[1]]) do send(text) end
      n_refused = n_refused + #REFUSED[t[1]]
    end
    producer:flush()
    local run = tidemill.until_end(bundle, { env = { DATABASE_URL = url } })
    assert.equal(0, run.status, run.text)
    for _, t in ipairs(TYPES) do
      local list = {}
      for i, text in ipairs(t.sent) do list[i] = ("('%s'::%s)"):format(text, t[2]) end
      assert.equal(0, db:number(([[WITH g AS (SELECT x, count(*) AS n FROM (VALUES %s) AS
        v(x) GROUP BY x) SELECT count(*) FROM g FULL JOIN by_%s AS b ON b.k = g.x
        WHERE b.n IS DISTINCT FROM g.n]]):format(table.concat(list, ', '), t[1])), t[2])
    end
    -- No key depends on which of its texts came first.
    assert.equal(0, db:number('SELECT count(*) FROM by_n WHERE k::text <> '
      .. 'trim_scale(k)::text'))
    assert.equal(n_refused, db:number('SELECT count(*) FROM tidemill.dead_letter'))
  end)
end)
