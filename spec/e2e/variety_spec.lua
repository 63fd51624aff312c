-- What the data makes many of has a bound: sets of assigned columns, names of
-- fields, types of events. Random numbers have a seed, so a run is as the last.
local kafka = require 'kafka'
local tidemill = require 'tidemill'

local pipeline = [[
return pipeline {
  name = 'variety',
  source = kafka { brokers = env('KAFKA_BROKERS'), group = '%s', start = 'earliest',
    format = 'json', topics = { '%s' } },
  database = postgres { write = env('DATABASE_URL') },
  batch = { size = 500 },
  projections = {
    projection { table = 'wide', key = { id = { 'text', from = 'key' } },
      columns = { %s },
      map = function(row, event)
        for i = 1, 24 do
          local name = 'c' .. i
          if event:has('data.' .. name) then row[name] = event.data[name] end
        end
      end },
    projection { table = 'names', append = true, columns = { n = 'bigint', m = 'bigint' },
      on = function(row, event)
        local d = event.data
        row.n, row.m = d.prices[d.cur], d.pairs[d.from][d.to]
      end },
  },
}
]]

describe('many sets of columns and many names of fields', function()
  it('take a bounded part of the memory of server and worker', function()
    math.randomseed(7)
    local producer, topic = kafka.producer(), tidemill.unique('variety')
    producer:create_topic(topic, 1)
    local columns = {}
    for i = 1, 24 do columns[i] = ("c%d = 'integer'"):format(i) end
    local bundle = tidemill.bundle { ['pipeline.lua'] =
      pipeline:format(topic, topic, table.concat(columns, ', ')) }
    local url, db = tidemill.database(bundle)
    db:rows [[
      ALTER TABLE wide ADD CHECK (c1 <> 666);
      CREATE TABLE seen (names bigint, bytes bigint); GRANT INSERT ON seen TO PUBLIC;
      CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO seen
        SELECT count(*), sum(length(statement)) FROM pg_prepared_statements;
        RETURN NULL; END';
      CREATE TRIGGER see AFTER INSERT ON names EXECUTE FUNCTION see()]]
    -- 700 sets of columns come again and again, more than have room; then others,
    -- once each.
    local masks, sums, n_bad = {}, 0, 0
    for i = 1, 700 do masks[i] = math.random(2 ^ 24) - 1 end
    for i = 1, 6000 do
      local mask = i <= 4000 and masks[math.random(700)] or math.random(2 ^ 24) - 1
      local list = { '"x":0' }
      -- A refused record breaks the transaction in which names come and go.
      local is_bad = i % 1500 == 0
      for c = 1, 24 do
        if math.floor(mask / 2 ^ (c - 1)) % 2 == 1 or is_bad and c == 1 then
          local value = is_bad and c == 1 and 666 or i + c
          list[#list + 1] = ('"c%d":%d'):format(c, value)
          sums = sums + (is_bad and 0 or value)
        end
      end
      n_bad = n_bad + (is_bad and 1 or 0)
      producer:send { topic = topic, key = 'k' .. i,
        value = ('{"cur":"n%d","prices":{"n%d":%d,"x%d":0},"from":"f%d","to":"t%d",'
          .. '"pairs":{"f%d":{"t%d":%d}},%s}'):format(i, i, i, i, i % 200, i % 271,
          i % 200, i % 271, i, table.concat(list, ',')) }
    end
    producer:flush()
    local run = tidemill.until_end(bundle, { env = { DATABASE_URL = url }, seconds = 60 })
    assert.equal(0, run.status, run.text)
    local total = {}
    for i = 1, 24 do total[i] = ('coalesce(sum(c%d), 0)'):format(i) end
    assert.equal(sums, db:number('SELECT ' .. table.concat(total, ' + ') .. ' FROM wide'))
    assert.equal(n_bad, db:number('SELECT count(*) FROM tidemill.dead_letter'))
    assert.equal(6000 - n_bad, db:number('SELECT count(*) FROM names'))
    assert.equal(0, db:number('SELECT count(*) FROM names WHERE n IS NULL OR m <> n'))
    assert.is_true(db:number('SELECT max(names) FROM seen') > 100) -- some had one
    assert.is_true(db:number('SELECT max(bytes) FROM seen') < 640 * 1024)
    -- Once for each object that has many, and once where all have too many.
    local told = 'more different fields than get columns'
    assert.equal(3, select(2, run.text:gsub(told, '')))
    for _, words in ipairs { 'object="data.prices" columns=64',
      'object="data.pairs" columns=64', 'handlers ask for more' } do
      assert.is_truthy(run.text:find(words, 1, true), run.text)
    end
  end)
end)
