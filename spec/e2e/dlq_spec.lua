-- What an operator does to dead letters, on the database alone. No worker runs.
local json = require 'cjson'
local process = require 'process'
local operator = require 'operator'
local pg = require 'pg'
local tidemill = require 'tidemill'

local call, lane, place = operator.call, operator.lane, operator.place
local lines, offsets, audit = operator.lines, operator.offsets, operator.audit
local s, db, topic

local function reset()
  s = operator.reset()
  db, topic = s.db, s.topic
end

describe('tidemill dlq', function()
  before_each(reset)

  local function listed(...)
    local found = {}
    for _, line in ipairs(lines(call('dlq list', '--json', ...).out)) do
      local letter = json.decode(line)
      found[#found + 1] = ('%d/%d'):format(letter.partition, letter.offset)
    end
    return table.concat(found, ' ')
  end

  it('list has a line a letter, and sums', function()
    local result = call('dlq list')
    assert.equal(0, result.status, result.text)
    assert.matches(place(1, 10) .. '%s+failed%s+k1%s+data 22003%s+3%s+2h%s+numeric field',
      result.out)
    assert.matches('3 failed, 2 held; by class: data 2, held 2, script 1', result.out)
    -- A message from outside cannot colour the terminal.
    assert.is_nil(result.out:find('\27', 1, true))
    -- Nothing is cut where no terminal is.
    assert.matches('held: numeric field overflow\n', result.out)
    assert.matches('2 of 5 are shown', call('dlq list', '--limit', '2').out)
  end)

  it('list takes what every filter takes', function()
    for words, expected in pairs {
      ['--topic ' .. topic] = '1/10 1/12 1/15 1/20 2/7',
      ['--topic elsewhere'] = '',
      ['--partition 2'] = '2/7',
      ['--offset 12'] = '1/12',
      ['--key k1'] = '1/10 1/12 1/15',
      ['--class data'] = '1/10 2/7',
      ['--sqlstate 23505'] = '2/7',
      ['--state held'] = '1/12 1/15',
      ['--since 1h'] = '1/12 1/15 1/20 2/7',
      ['--since 1d'] = '1/10 1/12 1/15 1/20 2/7',
      ['--since 2999-01-01T00:00:00Z'] = '',
      ['--limit 2'] = '1/10 1/12',
      ['--key k1 --state held --limit 1'] = '1/12',
      [place(1)] = '1/10 1/12 1/15 1/20',
      [place(1, 20)] = '1/20',
    } do
      assert.equal(expected, listed(operator.words(words)), words)
    end
  end)

  it('refuses filters that are wrong, with the nearest word', function()
    for words, answer in pairs {
      ['--state faild'] = "'failed'", ['--class dat'] = "'data'",
      ['--since soon'] = '15m',
      ['--partition x'] = 'whole number', [place('x')] = 'TOPIC',
      [topic .. ' --topic ' .. topic] = 'either', ['--stat held'] = '%-%-state',
      ['a b'] = 'one word too many',
    } do
      local result = call('dlq list', operator.words(words))
      assert.equal(64, result.status, words .. result.text)
      assert.matches(answer, result.err)
    end
  end)

  it('tells what does not exist from what has no letters', function()
    for words, status in pairs {
      ['--class fatal'] = 0, [topic] = 0, ['--sqlstate 99999'] = 0,
      [topic .. 'x'] = 66, ['--topic other'] = 66, [place(99)] = 66, [place(1, 11)] = 66,
      ['--partition 99'] = 66,
    } do
      for _, verb in ipairs { 'dlq list', 'dlq list --json', 'dlq export' } do
        local result = call(verb, operator.words(words))
        assert.equal(status, result.status, verb .. ' ' .. words .. result.text)
        if status == 66 then assert.equal('', result.out) end
      end
    end
    local near = call('dlq list', topic .. 'x').err
    assert.matches("did you mean '" .. topic .. "'", near, 1, true)
  end)

  it('show tells all of one letter, and the others of its key', function()
    local result = call('dlq show', place(1, 10))
    assert.equal(0, result.status, result.text)
    for _, words in ipairs {
      'failed, tried 3 times', 'numeric field overflow', '22003',
      'projections/counts.lua:7',
      '2023%-11%-14T22:13:20.123Z', '{"name": "source", "value": "shop"}',
      '\n      "kind": "add",\n      "list": %[\n        1,\n        2\n      %]\n',
      '2 other letters of this key', place(1, 12), place(1, 15),
    } do
      assert.matches(words, result.out)
    end
    db:rows [[CREATE TEMP TABLE waiting AS SELECT n, l.* FROM tidemill.dead_letter l,
        generate_series(1001, 1030) n WHERE partition = 1 AND "offset" = 12;
      UPDATE waiting SET "offset" = n; ALTER TABLE waiting DROP n;
      INSERT INTO tidemill.dead_letter SELECT * FROM waiting]]
    local many = call('dlq show', place(1, 10)).out
    assert.matches('32 other letters of this key', many)
    assert.is_truthy(many:find(place(1, 1018), 1, true))
    assert.is_nil(many:find(place(1, 1019), 1, true))
    assert.matches('The first 20 are shown', many)
    db:rows 'DELETE FROM tidemill.dead_letter WHERE "offset" > 1000; DROP TABLE waiting'
    assert.matches('base64:AP8B', call('dlq show', place(1, 20)).out)
    assert.matches('tombstone', call('dlq show', place(2, 7)).out)
    assert.equal(66, call('dlq show', place(1, 11)).status)
    assert.equal(64, call('dlq show', place(1)).status)
  end)

  it('show leaves a value that is no whole JSON as it is', function()
    db:rows([[UPDATE tidemill.dead_letter SET value = convert_to('{"a":"x', 'UTF8')
      WHERE "offset" = 10]])
    assert.matches('\n    {\n      "a": "x\n', call('dlq show', place(1, 10)).out)
  end)

  it('export gives every byte of every letter', function()
    local long = ('é"\\\n\t'):rep(50000)
    db:rows(("UPDATE tidemill.dead_letter SET value = convert_to(E'%s', 'UTF8') " ..
      'WHERE "offset" = 12'):format((long:gsub('\\', '\\\\'))))
    local result = call('dlq export')
    assert.equal(0, result.status, result.err)
    local letters = {}
    for _, line in ipairs(lines(result.out)) do
      local letter = json.decode(line)
      letters[letter.offset] = letter
    end
    local first = letters[10]
    assert.same({ topic, 1, 'failed', 'k1', '{"kind":"add","list":[1,2]}', 'data',
      '22003', 'numeric field overflow', 'projections/counts.lua:7', 'gen1', 3,
      1700000000123 },
      { first.topic, first.partition, first.state, first.key, first.value, first.class,
        first.sqlstate, first.message, first.script, first.generation, first.attempts,
        first.record_ms })
    assert.same({ { name = 'source', value = 'shop' } }, first.headers)
    assert.is_true(letters[12].value == long)
    assert.same({ 'AP8B', json.null, nil },
      { letters[20].value_base64, letters[20].key, letters[20].value })
    assert.equal('/wA=', letters[7].key_base64)
    assert.equal(json.null, letters[7].value)
    assert.is_nil(letters[3])
    assert.equal(0, call('dlq export', '--state', 'failed').status)
  end)

  it('export to a full disk fails', function()
    local command = 'DATABASE_URL=%s %s dlq export %s >/dev/full'
    local text, status = tidemill.shell(
      command:format(pg.as('desk', s.url), os.getenv('TIDEMILL'), s.bundle))
    assert.equal(74, status, text)
  end)

  it('retry asks for the whole chain of whatever letter was chosen', function()
    local result = call('dlq retry', place(1, 15), '--reason', 'mended')
    assert.equal(0, result.status, result.text)
    assert.matches('1 failed and 2 held', result.out)
    assert.equal('1/10 1/12 1/15', offsets('retry_at IS NOT NULL'))
    assert.equal('5', lane(1).epoch)
    assert.same({ offsets = { 10, 12, 15 }, reason = 'mended' }, audit()[1].detail)
    assert.matches(place(1, 10) .. '%s+failed%s+k1%s+data 22003%s+3%+',
      call('dlq list').out)
  end)

  it('retry of a letter without a key asks for that one', function()
    assert.equal(0, call('dlq retry', '--class', 'script').status)
    assert.equal('1/20', offsets('retry_at IS NOT NULL'))
  end)

  it('retry wants to be told which letters, or --all', function()
    assert.equal(64, call('dlq retry').status)
    assert.equal(64, call('dlq retry', '--all', '--key', 'k1').status)
    assert.equal(66, call('dlq retry', '--key', 'k2').status)
    assert.equal('', offsets('retry_at IS NOT NULL'))
    assert.equal(0, call('dlq retry', '--all').status)
    assert.equal('1/10 1/12 1/15 1/20 2/7', offsets('retry_at IS NOT NULL'))
    assert.equal('failed', db:value(
      "SELECT state FROM tidemill.dead_letter WHERE pipeline = 'other' " ..
      'AND retry_at IS NULL'))
  end)

  it('retry and discard end soon for tens of thousands of letters', function()
    db:rows(([[ALTER TABLE tidemill.dead_letter SET (autovacuum_enabled = off);
      INSERT INTO tidemill.dead_letter (pipeline, topic, partition, "offset", state, key,
        class, message, generation)
      SELECT 'counts', '%s', 0, i, 'held', convert_to((i %% 600)::text, 'UTF8'), 'held',
        'behind it', 'gen1' FROM generate_series(1, 40000) AS i]]):format(topic))
    local result = call('dlq retry', '--all')
    assert.equal(0, result.status, result.text)
    assert.equal('40005', db:value(
      'SELECT count(*) FROM tidemill.dead_letter WHERE retry_at IS NOT NULL'))
    assert.equal(0, call('dlq discard', '--all', '--yes').status)
    assert.equal('', offsets())
  end)

  -- Plays the worker that owns the lanes: [sql] for what was asked to be
  -- retried.
  local function retried(sql, ...)
    local base = os.getenv('TIDEMILL_SCRATCH') .. '/' .. tidemill.unique('retry')
    local p = process.start({ os.getenv('TIDEMILL'), 'dlq', 'retry', s.bundle, ... },
      { out = base, env = { DATABASE_URL = pg.as('desk', s.url) } })
    finally(function() p:destroy() end)
    process.wait_for('a retry to be asked for', 20, function()
      return offsets('retry_at IS NOT NULL') ~= ''
    end)
    db:rows(sql)
    return p:wait(20), tidemill.read(base)
  end

  it('retry --wait ends with 0 when all were applied', function()
    local status, text = retried(
      'DELETE FROM tidemill.dead_letter WHERE retry_at IS NOT NULL', '--key', 'k1',
      '--wait', '20')
    assert.equal(0, status, text)
    assert.matches('all 3 were applied', text)
  end)

  it('retry --wait ends with 65 when some failed again', function()
    local status, text = retried([[
      WITH gone AS (DELETE FROM tidemill.dead_letter WHERE "offset" = 7)
      UPDATE tidemill.dead_letter SET retry_at = NULL, attempts = attempts + 1
      WHERE "offset" <> 7]], '--all', '--wait', '20')
    assert.equal(65, status, text)
    assert.matches('4 of 5 failed again', text)
  end)

  it('retry --wait ends with 75 when nobody comes', function()
    local result = call('dlq retry', place(2, 7), '--wait', '1')
    assert.equal(75, result.status, result.text)
    assert.matches('1 of 1 still wait', result.err)
  end)

  it('discard deletes, raises the epoch and leaves the halt alone', function()
    local result = call('dlq discard', place(1, 20), '--yes', '--reason', 'noise')
    assert.equal(0, result.status, result.text)
    assert.matches('LOST', result.out)
    assert.matches('Halted as before: ' .. place(1), result.out)
    assert.equal('1/10 1/12 1/15 2/7', offsets())
    assert.same({ '6', '100', 'more than a share of its records failed' },
      { lane(1).epoch, lane(1).next_offset, lane(1).halted })
    assert.equal('1', lane(2).epoch)
    assert.same({ offsets = { 20 }, failed = 1, held = 0, reason = 'noise' },
      audit()[1].detail)
    assert.equal('dlq discard', audit()[1].action)
  end)

  it('discard of a failed letter asks what becomes of those held behind it', function()
    local refused = call('dlq discard', place(1, 10), '--yes')
    assert.equal(64, refused.status, refused.text)
    assert.matches('2 held letters would wait for ever', refused.err)
    assert.matches('%-%-chain', refused.err)
    assert.matches('%-%-head%-only', refused.err)
    -- Nor does a retry that is asked for make it one that was meant.
    assert.equal(0, call('dlq retry', place(1, 10)).status)
    assert.equal(64, call('dlq discard', place(1, 10), '--yes').status)
    assert.equal(64, call('dlq discard', place(1, 10), '--yes', '--chain',
      '--head-only').status)
    assert.equal('1/10 1/12 1/15 1/20 2/7', offsets())
  end)

  it('discard --chain takes the held ones along', function()
    local result = call('dlq discard', place(1, 10), '--chain', '--yes')
    assert.equal(0, result.status, result.text)
    assert.equal('1/20 2/7', offsets())
    assert.same({ offsets = { 10, 12, 15 }, failed = 1, held = 2 }, audit()[1].detail)
  end)

  it('discard --head-only has the held ones tried again', function()
    local result = call('dlq discard', place(1, 10), '--head-only', '--yes')
    assert.equal(0, result.status, result.text)
    assert.equal('1/12 1/15 1/20 2/7', offsets())
    assert.equal('1/12 1/15', offsets('retry_at IS NOT NULL'))
    assert.equal('6', lane(1).epoch)
    assert.same({ 10 }, audit()[1].detail.offsets)
  end)

  it('discard of what a filter takes whole needs no more words', function()
    assert.equal(64, call('dlq discard', '--yes').status)
    assert.equal(0, call('dlq discard', '--key', 'k1', '--yes').status)
    assert.equal('1/20 2/7', offsets())
    assert.equal(0, call('dlq discard', '--all', '--yes').status)
    assert.equal('', offsets())
    assert.equal(66, call('dlq discard', '--all', '--yes').status)
    assert.equal(1, db:number('SELECT count(*) FROM tidemill.dead_letter'))
    assert.matches('no dead letters', call('dlq list').out)
  end)
end)
