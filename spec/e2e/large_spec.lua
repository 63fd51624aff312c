-- What is large: rows that are loaded and written, reasons, dead letters that are
-- tried again or produced. Each has a bound in bytes, and nothing is lost.
local counts = require 'counts'
local kafka = require 'kafka'
local tidemill = require 'tidemill'

local function count(text, what) return select(2, text:gsub(what, '')) end

describe('rows that are large', function()
  it('are loaded and written a few at a time, and each once', function()
    local s = counts.new { projection = [[
return projection {
  table = 'docs', key = { id = { 'bigint', from = 'key' } },
  columns = { body = 'text', n = 'bigint' }, initial = { n = 0 },
  on = function(row) row.n = row.n + 1 end,
}
]] }
    local text = tidemill.read(s.bundle .. '/pipeline.lua')
    tidemill.write(s.bundle .. '/pipeline.lua', (text:gsub("start = 'earliest'",
      "start = { 'earliest', onto_rows = true }")))
    s.db:rows [[ALTER TABLE docs ALTER body SET STORAGE EXTERNAL;
      INSERT INTO docs SELECT i, repeat(chr(64 + i), 40000000), 0
      FROM generate_series(1, 10) i]]
    for key = 1, 10 do s.send(key, '{"kind":"add"}') end
    s.producer:flush()
    local run = s.start()
    finally(function() run:destroy() end)
    run:wait_caught_up(s.db, s.producer, s.topic, 1, 120)
    assert.equal(10, s.db:number(
      'SELECT count(*) FROM docs WHERE n = 1 '
      .. 'AND body = repeat(chr(64 + id::int), 40000000)'))
    assert.equal('', s.letters())
    assert.equal(1, count(run:text(), 'a batch took too much'))
    assert.matches('answers with take more than 256 MB', run:text())
    assert.equal(0, run:metric('isolations_total') or 0)
    assert.equal(0, (run:stop()))
  end)
end)

describe('dead letters that are large', function()
  local producer
  lazy_setup(function() producer = kafka.producer() end)

  local refusing = [[
return projection {
  table = 'counts', key = { id = { 'bigint', from = 'key' } },
  columns = { n = 'bigint' }, initial = { n = 0 },
  on = function(row) row.n = row.n + 1 %s end,
}
]]

  it('have a short reason, and are tried again and produced a few at a time', function()
    local s = counts.new { producer = producer,
      projection = refusing:format("error(('e'):rep(2000000))") }
    local dead = s.topic .. '.dead'
    producer:create_topic(dead, 1, { ['max.message.bytes'] = '100000' })
    local text = tidemill.read(s.bundle .. '/pipeline.lua')
    tidemill.write(s.bundle .. '/pipeline.lua', (text:gsub('batch = {',
      ("dead_letters = { max_share = 1.0, topic = '%s' }, "):format(dead)
      .. 'batch = { bytes = 300000,')))
    local large = ('{"kind":"add","v":"%s"}'):format(('v'):rep(400000))
    for key = 1, 10 do s.send(key, key % 2 == 0 and large or '{"kind":"add"}') end
    producer:flush()
    local run = s.start { '--instance', 'until-end' }
    finally(function() run:destroy() end)
    run:wait_for('all to be produced', 60, function()
      return s.db:number([[SELECT count(*) FROM tidemill.dead_letter
        WHERE NOT is_unpublished]]) == 10
    end)
    assert.equal(10, producer:high(dead, 0))
    assert.equal(5, count(run:text(), 'is produced without value and headers'))
    assert.matches('%(the first 4096 of 2000%d+ bytes%)$',
      s.db:value('SELECT max(message) FROM tidemill.dead_letter'))
    assert.equal(0, (run:stop()))

    tidemill.write(s.bundle .. '/projections/counts.lua', refusing:format(''))
    run = s.start { '--instance', 'until-end' }
    s.db:rows('UPDATE tidemill.dead_letter SET retry_at = now()')
    run:wait_for('the retry', 60, function() return s.letters() == '' end)
    assert.equal(10, s.n_events())
    -- One that is larger than a batch may be goes alone.
    assert.equal(10, count(run:text(), 'dead letters were tried again'))
    assert.equal(0, (run:stop()))
  end)
end)
