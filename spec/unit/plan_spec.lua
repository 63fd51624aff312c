local bundles = require 'spec.unit.bundles'

local TWO = "kafka { brokers = 'b', group = 'g', topics = { 't', 'u' }, format = 'outbox' }"
local DEBEZIUM = "kafka { brokers = 'b', group = 'g', topics = { 't' }, format = 'debezium' }"

local function first(text, source)
  return bundles.plan(bundles.pipeline(text, source)).projections[1]
end

describe('plan.exact', function()
  local on = 'on = { X = function() end }'
  local cases = {
    { "from = 'key'", "key = { id = { 'uuid', from = 'key' } }, columns = {}, " .. on, nil, 'fold', 'aligned' },
    { 'type alone on one topic', "key = { id = 'bigint' }, columns = {}, " .. on, nil, 'fold', 'aligned' },
    { 'two key columns of the record key', "key = { a = 'bigint', b = 'text' }, columns = {}, " .. on, nil, 'fold', 'aligned' },
    { 'two topics', "key = { id = 'bigint' }, columns = {}, " .. on, TWO, 'fold', 'shared' },
    { 'one of two topics', "topics = { 'u' }, key = { id = 'bigint' }, columns = {}, " .. on, TWO, 'fold', 'aligned' },
    { 'a path', "key = { id = { 'bigint', from = 'data.x' } }, columns = {}, " .. on, nil, 'fold', 'shared' },
    { 'a list', "key = { id = { 'bigint', from = { 'data.x', 'data.y' } } }, columns = {}, " .. on, nil, 'fold', 'shared' },
    { 'a function', "key = { id = { 'bigint', from = function() end } }, columns = {}, " .. on, nil, 'fold', 'shared' },
    { 'append', 'append = true, columns = {}, ' .. on, TWO, 'append', 'append' },
    { 'merge', "merge = { n = 'sum' }, key = { id = { 'text', from = 'data.x' } }, columns = { n = 'bigint' }, " .. on, TWO, 'merge', 'merge' },
    { 'mirror', "mirror = true, key = { id = 'bigint' }, columns = { n = 'bigint' }", DEBEZIUM, 'mirror', 'overwrite' },
    { 'map', "map = function() end, key = { id = 'bigint' }, columns = { n = 'bigint' }", nil, 'map', 'overwrite' },
    { 'shared map with newer', "map = function() end, newer = 'n', key = { id = 'bigint' }, columns = { n = 'bigint' }", TWO, 'map', 'overwrite' },
  }
  for _, case in ipairs(cases) do
    it(case[1], function()
      local p = first("projection { table = 'a', " .. case[2] .. ' }', case[3])
      assert.are.equal(case[4], p.kind)
      assert.are.equal(case[5], p.exact)
      assert.is_true(#p.why > 20)
    end)
  end
  it('refuses a shared map without newer', function()
    local said = bundles.refusal(bundles.pipeline("projection { table = 'a', map = function() end, key = { id = 'bigint' }, columns = { n = "
      .. "'bigint' } }", TWO))
    assert.is_truthy(said:find("name the column that tells which is the later one: newer = 'version'", 1, true), said)
  end)
  it('refuses a shared mirror that follows deletes', function()
    local said = bundles.refusal(bundles.pipeline(
      "projection { table = 'a', mirror = true, newer = 'n', key = { x = { 'bigint', from = 'data.x' } }, columns = { n = 'bigint' } }", DEBEZIUM))
    assert.is_truthy(said:find('could bring a deleted row back', 1, true), said)
  end)
end)

describe('plan.cache', function()
  local FOLD = "projection { table = 'a', key = { id = 'bigint' }, columns = { n = '%s' }, on = { X = function() end } %s }"

  local function plan(type, said, of_pipeline, source)
    local text = bundles.pipeline(FOLD:format(type, said or ''), source)
    local p = bundles.plan((text:gsub("name = 'x'", "%0" .. (of_pipeline or ''))))
    return p.projections[1], p.cache
  end

  it('keeps rows of aligned folds, in bounds', function()
    local p, cache = plan('bigint')
    assert.is_true(p.is_cached)
    assert.are.same({ bytes = 33554432, ttl_s = 600 }, cache)
    p, cache = plan('bigint', '', ', cache = { ttl_s = 5 }')
    assert.are.same({ bytes = 33554432, ttl_s = 5 }, cache)
    assert.is_truthy(p.cached_why:find('kept for 5 s .- in 32 MiB a worker'), p.cached_why)
    assert.are.same({ bytes = 65536, ttl_s = 600 }, select(2, plan('bigint', '', ', cache = { bytes = 65536 }')))
    assert.is_true((plan('bigint', '', ', cache = true')).is_cached)
    assert.is_true((plan('json')).is_cached)
  end)
  it('keeps none where that is said', function()
    local p, cache = plan('bigint', '', ', cache = false')
    assert.are.same({ false, 'cache = false in the pipeline' }, { p.is_cached, p.cached_why })
    assert.are.equal(0, cache.bytes)
    p = plan('bigint', ', cache = false')
    assert.are.same({ false, 'cache = false' }, { p.is_cached, p.cached_why })
  end)
  it('keeps no row that the server would write in its own way', function()
    for _, type in ipairs { 'jsonb', 'text[]', 'bigint[]' } do
      local p = plan(type)
      assert.is_false(p.is_cached)
      assert.are.equal('column n is ' .. type .. ', which the server writes in its own way', p.cached_why)
    end
  end)
  it('says nothing of rows that are not read before the transaction', function()
    local p = plan('bigint', '', '', TWO)
    assert.are.same({ false }, { p.is_cached, p.cached_why })
  end)
end)

describe('plan.defaults', function()
  it('fills in limits, pool and type header', function()
    local plan = bundles.plan(bundles.pipeline("projection { table = 'a', append = true, columns = {}, on = function() end }"))
    assert.are.same({ size = 10000, bytes = 8388608, linger_ms = 100, concurrency = 4 }, plan.limits)
    assert.are.equal(8, plan.database.pool_max)
    assert.are.same({ floor_ms = 100, cap_ms = 4000 }, plan.database.retry)
    assert.are.same({ window = 20, failures = 5, ratio = 0.5, open_ms = 500, open_max_ms = 4000 },
      plan.database.breaker)
    assert.are.same({ connect_ms = 5000, statement_ms = 60000, lock_ms = 20000,
      idle_in_transaction_ms = 60000, tcp_user_ms = 30000 }, plan.database.timeouts)
    assert.are.equal('eventType', plan.source.settings[1].type_header)
    assert.are.equal('unsaid', plan.source.start)
    assert.are.equal(64, #plan.hash)
    assert.is_nil(plan.projections[1].types)
  end)
  it('keeps what is said of the database, and fills in the rest', function()
    local text = bundles.pipeline("projection { table = 'a', append = true, columns = {}, on = function() end }")
    local database = bundles.plan((text:gsub("write = '[^']*'",
      "%0, breaker = { ratio = 0.25 }, timeouts = { statement_ms = 90000 }"))).database
    assert.are.equal(0.25, database.breaker.ratio)
    assert.are.equal(5, database.breaker.failures)
    assert.are.equal(90000, database.timeouts.statement_ms)
    assert.are.equal(20000, database.timeouts.lock_ms)
  end)
  it('reads times of start', function()
    local function start(text)
      local source = bundles.plan(bundles.pipeline("projection { table = 'a', append = true, columns = {}, on = function() end }",
        "kafka { brokers = 'b', group = 'g', topics = { 't' }, format = 'outbox', start = " .. text .. ' }')).source
      return source.start, source.start_ms, source.onto_rows
    end
    assert.are.same({ 'timestamp', 1704067200000, false }, { start "'2024-01-01'" })
    assert.are.same({ 'timestamp', 1709210096000, false }, { start "'2024-02-29T12:34:56Z'" })
    assert.are.same({ 'timestamp', 5, false }, { start '{ timestamp = 5 }' })
    assert.are.same({ 'latest', 0, false }, { start "'latest'" })
    assert.are.same({ 'earliest', 0, true }, { start "{ 'earliest', onto_rows = true }" })
  end)
  it('has up to 1,600 columns in a table, as PostgreSQL has', function()
    local function columns(n)
      local list = {}
      for k = 1, n do list[k] = ("c%d = 'text'"):format(k) end
      return bundles.pipeline(("projection { table = 'a', key = { id = 'bigint' }, columns = {\n%s }, map = function() end }")
        :format(table.concat(list, ',\n')))
    end
    assert.are.equal(1600, #bundles.plan(columns(1599)).projections[1].columns)
    assert.are.equal("pipeline.lua:1604: projection 'a': there are 1601 columns: a table of PostgreSQL has 1600 at most, with "
      .. 'its key; make two tables of it, or put what is seldom asked for into one jsonb', bundles.refusal(columns(1600)))
  end)
  it('has fewer events in a batch where a table has more than 64 columns', function()
    for n, size in pairs { [1] = 10000, [63] = 10000, [127] = 5000, [1599] = 400 } do
      local list = {}
      for k = 1, n do list[k] = ("c%d = 'text'"):format(k) end
      assert.are.equal(size, bundles.plan(bundles.pipeline(("projection { table = 'a', key = { id = 'bigint' }, "
        .. 'columns = { %s }, map = function() end }'):format(table.concat(list, ', ')))).limits.size, n)
    end
  end)
  it('keeps the order of columns, keys first', function()
    local p = first("projection { table = 'a', columns = { z = 'text', b = 'text', a = 'text' },\nkey = { y = 'text', x = 'text' }, on = "
      .. "function() end }")
    local names = {}
    for i, column in ipairs(p.columns) do names[i] = column.name end
    assert.are.equal('y x z b a', table.concat(names, ' '))
  end)
  it('takes batch = false for a transaction an event, without waiting', function()
    local text = bundles.pipeline("projection { table = 'a', append = true, columns = {}, on = function() end }")
    local limits = bundles.plan((text:gsub("name = 'x'", '%0, batch = false'))).limits
    assert.are.same({ size = 1, linger_ms = 0, bytes = 8 * 1024 * 1024, concurrency = 4 }, limits)
  end)
  it('gives one hash for one content', function()
    local text = bundles.pipeline("projection { table = 'a', append = true, columns = {}, on = function() end }")
    assert.are.equal(bundles.plan(text).hash, bundles.plan(text).hash)
    assert.are_not.equal(bundles.plan(text).hash, bundles.plan(text .. '-- more').hash)
  end)
end)

describe('plan.source', function()
  local function source(text)
    return bundles.plan(bundles.pipeline("projection { table = 'a', append = true, columns = {}, on = function() end }",
      "kafka { brokers = 'b', group = 'g', " .. text .. ' }')).source
  end
  it('gives each topic the settings of its entry, and else those of kafka', function()
    local s = source("topics = { 'o', { 'd', 'e', format = 'debezium', decimals = 'string' }, { 'j', format = 'json', type = 'data.k' } }, "
      .. "format = 'outbox', type = 'kind'")
    assert.are.same({ 'o', 'd', 'e', 'j' }, s.topics)
    local o, d, e, j = unpack(s.settings)
    assert.are.same({ 'outbox', 'kind' }, { o.format, o.type_header })
    assert.are.same({ 'debezium', 'string', 'unsaid' }, { d.format, d.decimals, d.times })
    assert.are.same({ 'e', 'debezium', 'string' }, { e.name, e.format, e.decimals })
    assert.are.same({ 'json', 'data.k' }, { j.format, j.type_path })
    assert.is_nil(j.type_header)
  end)
  it('needs no format of kafka when every entry says one', function()
    assert.are.equal('json', source("topics = { { 'j', format = 'json' } }").settings[1].format)
  end)
  it('lets what kafka says for Debezium rest where a topic is none', function()
    local s = source "topics = { 'd', { 'j', format = 'json' } }, format = 'debezium', times = 'micros'"
    assert.are.same({ 'micros', 'unsaid' }, { s.settings[1].times, s.settings[2].times })
  end)
end)

describe('plan of raw outbox rows', function()
  local RAW = "kafka { brokers = 'b', group = 'g', topics = { 't' }, format = 'outbox', outbox = { table = { key = 'account' } } }"
  it('locks the rows of a fold, and says why', function()
    local p = first("projection { table = 'a', key = { id = { 'uuid', from = 'key' } }, columns = {}, on = { X = function() end } }", RAW)
    assert.are.equal('shared', p.exact)
    assert.is_truthy(p.why:find('only with one partition or the connector\'s message.key.columns', 1, true), p.why)
  end)
  it('fills in the columns of the EventRouter', function()
    local plan = bundles.plan(bundles.pipeline("projection { table = 'a', append = true, columns = {}, on = function() end }", RAW))
    assert.are.same({ id = 'id', key = 'account', type = 'type', payload = 'payload' }, plan.source.settings[1].outbox)
  end)
  it('refuses a map that cannot tell the later event', function()
    local said = bundles.refusal(bundles.pipeline("projection { table = 'a', map = function() end, key = { id = 'bigint' }, columns = { n = "
      .. "'bigint' } }", RAW))
    assert.is_truthy(said:find("name the column that tells which is the later one", 1, true), said)
  end)
end)

describe('plan of topics in different formats', function()
  local MIXED = "kafka { brokers = 'b', group = 'g', topics = { 'o', { 'd', format = 'debezium' }, { 'j', format = 'json' } }, format = 'outbox' }"
  it('keeps a mirror of one of them aligned', function()
    local p = first("projection { table = 'a', topics = { 'd' }, mirror = true, key = { id = 'bigint' }, columns = { n = 'bigint' } }", MIXED)
    assert.are.equal('overwrite', p.exact)
    assert.is_true(p.follows_deletes)
  end)
  it('does not follow deletes where no topic has any', function()
    local p = first("projection { table = 'a', topics = { 'o' }, map = function() end, key = { id = 'bigint' }, columns = { n = 'bigint' } }", MIXED)
    assert.is_falsy(p.follows_deletes)
  end)
  it('refuses types that are no operations only where a projection reads Debezium alone', function()
    local text = "projection { table = 'a', topics = %s, append = true, columns = {}, on = { Created = function() end } }"
    local said = bundles.refusal(bundles.pipeline(text:format "{ 'd' }", MIXED))
    assert.is_truthy(said:find('on.Created would never run', 1, true), said)
    assert.is_nil(bundles.refusal(bundles.pipeline(text:format "{ 'd', 'o' }", MIXED)))
  end)
  it('refuses `on` by type where a projection reads nothing but untyped json', function()
    local text = "projection { table = 'a', topics = %s, append = true, columns = {}, on = { Created = function() end } }"
    local said = bundles.refusal(bundles.pipeline(text:format "{ 'j' }", MIXED))
    assert.is_truthy(said:find("events have no type until the source says type = 'data.kind'", 1, true), said)
    assert.is_nil(bundles.refusal(bundles.pipeline(text:format "{ 'j', 'o' }", MIXED)))
  end)
end)
