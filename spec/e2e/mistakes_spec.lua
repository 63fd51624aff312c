-- What users get wrong: each mistake is answered with words that name it, is
-- counted, and costs nothing that was right.
local counts = require 'counts'
local kafka = require 'kafka'
local process = require 'process'
local tidemill = require 'tidemill'

local producer

-- Records that cannot be applied. [words] must all stand in what is said.
local records = {
  ['that is not JSON'] = { '1', '{"kind":"add","amount":', words = { 'JSON' } },
  ['whose key is missing'] = {
    nil, '{"kind":"add","amount":1}', words = { 'key' },
  },
  ['whose key does not fit'] = {
    'abc', '{"kind":"add","amount":1}', words = { 'abc', 'bigint' },
  },
  ['with a number out of the column\'s range'] = {
    '1', '{"kind":"add","small":70000}', words = { 'small', '70000' },
  },
  ['with a decimal out of the column\'s range'] = {
    '1', '{"kind":"add","amount":123456789}', words = { 'amount' },
  },
  ['with text for a number'] = {
    '1', '{"kind":"add","small":"many"}', words = { 'small', 'many' },
  },
  ['with a number for text'] = {
    '1', '{"kind":"add","note":5}', words = { 'note', 'text' },
  },
  ['with a \\u0000, which PostgreSQL cannot keep'] = {
    '1', '{"kind":"add","note":"a\\u0000b"}', words = { 'note', '0000' },
  },
  ['with an integer beyond bigint'] = {
    '99999999999999999999', '{"kind":"add","amount":1}', words = { 'bigint' },
  },
}

local function says(text, words)
  for _, word in ipairs(words) do
    assert.is_truthy(text:find(word, 1, true),
      ('"%s" is missing in:\n%s'):format(word, text))
  end
end

describe('a record', function()
  lazy_setup(function() producer = producer or kafka.producer() end)

  for what, case in pairs(records) do
    it(what .. ' is set aside with words that name it', function()
      local s = counts.new { producer = producer, partitions = 2 }
      s.send_good(10)
      s.send(case[1], case[2], 1)
      s.send_good(10, 11)
      local run = s.start()
      finally(function() run:destroy() end)
      run:wait_for('the records behind it', 30, function() return s.n_events() == 20 end)
      run:wait_counted(1, 'dead_letters_total')
      assert.equal(0, run:metric('lane_halted'))
      assert.is_true((run:metric('errors_total', 'class="data"') or 0) +
        (run:metric('errors_total', 'class="script"') or 0) >= 1)
      says(s.letters(), { '1/5 failed' })
      says(s.db:value('SELECT message FROM tidemill.dead_letter'), case.words)
      -- Topic, partition and offset are said once, where an operator looks.
      says(run:text(), { s.topic .. '/1/5' })
      says(run:text(), case.words)
      assert.equal(0, (run:stop()))
      assert.equal('11', s.db:value(
        'SELECT next_offset FROM tidemill.lane WHERE partition = 1'))
    end)
  end

  it('whose script assigns a column that was not declared is a failure', function()
    local s = counts.new {
      producer = producer,
      projection = counts.projection:gsub('row.small =', 'row.smal ='),
    }
    s.send_good(1)
    local result = tidemill.until_end(s.bundle, { env = s.env })
    assert.equal(0, result.status, result.text)
    says(s.db:value('SELECT message FROM tidemill.dead_letter'),
      { 'smal', 'small', 'counts.lua' })
    says(s.db:value('SELECT script FROM tidemill.dead_letter'), { 'counts.lua:11' })
  end)
end)

describe('a pipeline', function()
  lazy_setup(function() producer = producer or kafka.producer() end)

  -- Refused before any work: it never becomes one.
  local function refused(s, words)
    local result = tidemill.call({ 'run', s.bundle, '--admin', 'off' },
      { env = s.env, seconds = 20 })
    assert.equal(78, result.status, result.text)
    says(result.text, words)
  end

  -- Runs on, works on nothing, and says why: someone may be about to mend it.
  local function waits(s, class, words)
    local run = s.start()
    finally(function() run:destroy() end)
    run:wait_for('the words ' .. table.concat(words, ', '), 40, function()
      local text = run:text()
      for _, word in ipairs(words) do
        if not text:find(word, 1, true) then return false end
      end
      return (run:metric('errors_total', ('class="%s"'):format(class)) or 0) > 0
    end)
    local body, status = run:get('/readyz')
    assert.equal(503, status, body)
    assert.equal(200, select(2, run:get('/livez')))
    local text = run:text()
    local exit, seconds = run:stop()
    assert.equal(0, exit)
    assert.is_true(seconds < 5, 'the stop took ' .. seconds .. ' s')
    return text
  end

  it('with a syntax error is refused, naming file and line', function()
    local s = counts.new { producer = producer, no_topic = true }
    tidemill.write(s.bundle .. '/projections/counts.lua',
      'return projection {\n  table = \'counts\',\n  key = {\n')
    refused(s, { 'projections/counts.lua:4', 'unexpected' })
  end)

  it('with a word that does not exist is refused, naming the nearest', function()
    local s = counts.new { producer = producer, no_topic = true }
    tidemill.write(s.bundle .. '/projections/counts.lua',
      (counts.projection:gsub('columns =', 'colums =')))
    refused(s, { 'projections/counts.lua:4', 'colums', "'columns'" })
  end)

  it('that reads an environment variable which is not set names it', function()
    local s = counts.new { producer = producer, no_topic = true }
    local text = tidemill.read(s.bundle .. '/pipeline.lua')
    text = text:gsub('DATABASE_URL', 'NO_SUCH_URL')
    tidemill.write(s.bundle .. '/pipeline.lua', text)
    refused(s, { 'pipeline.lua', 'NO_SUCH_URL' })
  end)

  it('whose table is missing waits, with the SQL that makes it', function()
    local s = counts.new { producer = producer }
    s.db:rows('DROP TABLE counts')
    s.send_good(1)
    waits(s, 'schema', { 'counts', 'CREATE TABLE' })
  end)

  it('whose table is missing ends a run that is to end, with the SQL', function()
    local s = counts.new { producer = producer }
    s.db:rows('DROP TABLE counts')
    local result = tidemill.until_end(s.bundle, { env = s.env })
    assert.equal(78, result.status, result.text)
    assert.matches('CREATE TABLE', result.text)
  end)

  it('whose schema was never applied waits, naming the verb that does it', function()
    local s = counts.new { producer = producer, no_schema = true }
    s.send_good(1)
    waits(s, 'schema', { 'tidemill schema' })
  end)

  it('whose table lacks a column waits, with the SQL that adds it', function()
    local s = counts.new { producer = producer }
    s.db:rows('ALTER TABLE counts DROP COLUMN note')
    waits(s, 'schema', { 'counts', 'note', 'ALTER TABLE' })
  end)

  it('goes on by itself when the table has come', function()
    local s = counts.new { producer = producer, no_schema = true }
    s.send_good(10)
    local run = s.start()
    finally(function() run:destroy() end)
    run:wait_for('words about the schema', 30, function()
      return run:text():find('tidemill schema', 1, true)
    end)
    tidemill.apply(s.bundle, s.env)
    run:wait_for('the rows', 30, function() return s.n_events() == 10 end)
    assert.equal(0, (run:stop()))
  end)

  it('whose topic does not exist waits, naming it', function()
    local s = counts.new { producer = producer, no_topic = true }
    waits(s, 'config', { s.topic, 'does not exist' })
  end)

  it('with a wrong password waits, without printing it', function()
    local s = counts.new { producer = producer }
    s.env.DATABASE_URL = s.url:gsub('mill@', 'secured:hunter2@')
    local text = waits(s, 'config', { 'password authentication failed', 'secured' })
    assert.is_nil(text:find('hunter2', 1, true))
  end)

  it('waits for a broker that is not there, and says so', function()
    local s = counts.new { producer = producer }
    s.env.KAFKA_BROKERS = '127.0.0.1:1'
    local run = s.start()
    finally(function() run:destroy() end)
    run:wait_for('words about the broker', 30, function()
      local body, status = run:get('/readyz')
      return status == 503 and body:find('127.0.0.1:1', 1, true)
        and run:text():find('127.0.0.1:1', 1, true)
    end)
    local status, seconds = run:stop()
    assert.equal(0, status)
    assert.is_true(seconds < 5)
  end)

  it('waits for a database that is not there, and says so', function()
    local s = counts.new { producer = producer }
    s.env.DATABASE_URL = 'postgresql://postgres@127.0.0.1:1/nowhere'
    local run = s.start()
    finally(function() run:destroy() end)
    run:wait_for('words about the database', 30, function()
      local body, status = run:get('/readyz')
      return status == 503 and body:lower():find('database', 1, true)
    end)
    assert.equal(0, (run:stop()))
  end)

  it('of another name in the same group and database waits', function()
    local s = counts.new { producer = producer }
    s.send_good(20)
    assert.equal(0, tidemill.until_end(s.bundle, { env = s.env }).status)
    local other = counts.new {
      producer = producer, topic = s.topic, group = s.group, name = 'other',
    }
    other.env.DATABASE_URL = s.url
    waits(other, 'config', { s.group, "'counts'", "'other'" })
  end)

  it('fences a second supervisor of the same instance name, once', function()
    local s = counts.new { producer = producer, partitions = 2 }
    local one = s.start { '--instance', 'twin' }
    finally(function()
      one:destroy()
      if s.run then s.run:destroy() end
    end)
    one:wait_ready()
    local two = s.start { '--instance', 'twin' }
    -- Whoever came first is fenced by Kafka; it says why and does not return.
    local fenced = process.wait_for('one of the two to end', 60, function()
      return one.process:status() and one or two.process:status() and two
    end)
    assert.equal(75, fenced.process:status(), fenced:text())
    says(fenced:text(), { 'twin' })
    local other = fenced == one and two or one
    s.send_good(20)
    other:wait_caught_up(s.db, producer, s.topic, 2)
    assert.equal(20, s.n_events())
    assert.equal(0, (other:stop()))
  end)

  it('that starts into a table with rows must say from where', function()
    local s = counts.new { producer = producer }
    tidemill.write(s.bundle .. '/pipeline.lua',
      (tidemill.read(s.bundle .. '/pipeline.lua'):gsub(", start = 'earliest'", '')))
    s.db:rows('INSERT INTO counts (id, n, amount) VALUES (1, 1, 1)')
    s.send_good(1)
    waits(s, 'config', { 'start', 'counts', "'earliest'" })
    assert.equal(1, s.n_events())
  end)

  it('whose position was moved back by hand follows it', function()
    local s = counts.new { producer = producer }
    s.send_good(10)
    local run = s.start()
    finally(function() run:destroy() end)
    run:wait_caught_up(s.db, producer, s.topic, 1)
    s.db:rows(
      'UPDATE tidemill.lane SET next_offset = 5, is_rewound = true')
    s.send_good(5)
    -- The database moved: the lane is read again from where it says.
    run:wait_for('the lane to follow the database', 30, function()
      return s.n_events() == 20
    end)
    assert.is_true(run:metric('fenced_total') >= 1)
    assert.equal(0, (run:stop()))
  end)
end)
