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
    assert.are.equal('eventType', plan.source.type_header)
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
      return source.start, source.start_ms
    end
    assert.are.same({ 'timestamp', 1704067200000 }, { start "'2024-01-01'" })
    assert.are.same({ 'timestamp', 1709210096000 }, { start "'2024-02-29T12:34:56Z'" })
    assert.are.same({ 'timestamp', 5 }, { start '{ timestamp = 5 }' })
    assert.are.same({ 'latest', 0 }, { start "'latest'" })
  end)
  it('keeps the order of columns, keys first', function()
    local p = first("projection { table = 'a', columns = { z = 'text', b = 'text', a = 'text' },\nkey = { y = 'text', x = 'text' }, on = "
      .. "function() end }")
    local names = {}
    for i, column in ipairs(p.columns) do names[i] = column.name end
    assert.are.equal('y x z b a', table.concat(names, ' '))
  end)
  it('gives one hash for one content', function()
    local text = bundles.pipeline("projection { table = 'a', append = true, columns = {}, on = function() end }")
    assert.are.equal(bundles.plan(text).hash, bundles.plan(text).hash)
    assert.are_not.equal(bundles.plan(text).hash, bundles.plan(text .. '-- more').hash)
  end)
end)
