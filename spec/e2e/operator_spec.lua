-- What an operator does to lanes, on the database alone, and what he needs
-- there. No worker runs.
local counts = require 'counts'
local json = require 'cjson'
local kafka_admin = require 'kafka_admin'
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

describe('tidemill lane', function()
  before_each(reset)

  it('explains itself and its words, and names the nearest to a wrong one', function()
    for _, verb in ipairs { 'lane', 'dlq' } do
      local help = tidemill.call { verb, '--help' }
      assert.equal(0, help.status, help.text)
      local words = {}
      for word in help.out:gmatch('\n  ' .. verb .. ' (%l+)') do
        words[#words + 1] = word
      end
      assert.is_true(#words >= 4, help.out)
      for _, word in ipairs(words) do
        local one = tidemill.call { verb, word, '--help' }
        assert.equal(0, one.status, one.text)
        assert.matches('^Usage: tidemill ' .. verb .. ' ' .. word .. ' PATH', one.out)
        assert.equal(one.out, tidemill.call({ 'help', verb, word }).out)
        assert.matches('Exit status', one.out)
      end
      assert.equal(64, tidemill.call({ verb }).status)
    end
    local wrong = tidemill.call { 'lane', 'resum', 'x' }
    assert.equal(64, wrong.status)
    assert.matches("did you mean 'resume'", wrong.err)
    assert.matches('list, resume, skip or seek', tidemill.call({ 'lane', 'bank' }).err)
    assert.matches('%-%-reason', tidemill.call({ 'lane', 'skip', '--reson', 'x' }).err)
  end)

  it('list shows position, letters and why a lane is halted, in 100 columns', function()
    local result = call('lane list')
    assert.equal(0, result.status, result.text)
    assert.matches(place(1) .. '%s+100%s+%?%s+5%s+2%s+2%s+%S+%s+host:2', result.out)
    assert.matches('halted since 2026%-01%-02T03:04:05Z: more than a share', result.out)
    assert.matches('3 lanes, 1 halted; dead letters: 3 failed, 2 held', result.out)
    assert.not_matches('not ours', result.out)
    for _, line in ipairs(lines(result.out)) do assert.is_true(#line <= 100, line) end
  end)

  it('list --json gives an object a line', function()
    local all = lines(call('lane list', '--json').out)
    assert.equal(3, #all)
    local one = lines(call('lane list', '--json', '--halted').out)
    assert.equal(1, #one)
    assert.same({
      topic = topic, partition = 1, position = 100, epoch = 5, owner = 'host:2',
      failed = 2, held = 2, halted = 'more than a share of its records failed',
      halted_at = '2026-01-02T03:04:05Z', halted_generation = 'abc',
      updated = json.decode(one[1]).updated, ['end'] = json.null, lag = json.null,
    }, json.decode(one[1]))
    assert.equal(json.null, json.decode(all[1]).halted)
  end)

  it('list of one lane shows that one, and 66 says that there is none', function()
    assert.equal(1, #lines(call('lane list', place(2), '--json').out))
    local none = call('lane list', place(8))
    assert.equal(66, none.status)
    assert.matches(place(8), none.err)
    assert.equal(64, call('lane list', place('x')).status)
  end)

  it('changes nothing without a yes', function()
    for _, argv in ipairs {
      { 'lane resume', place(1) }, { 'lane skip', place(1) },
      { 'lane seek', place(0), '--to', '3' }, { 'dlq discard', place(2, 7) },
    } do
      local result = call(unpack(argv))
      assert.equal(64, result.status, result.text)
      assert.matches('%-%-yes', result.err)
    end
    assert.equal('5', lane(1).epoch)
    assert.equal('1/10 1/12 1/15 1/20 2/7', offsets())
    assert.same({}, audit())
  end)

  it('resume ends a halt, raises the epoch and says so in the audit', function()
    local result = call('lane resume', place(1), '--yes', '--reason', 'mended')
    assert.equal(0, result.status, result.text)
    assert.matches('more than a share', result.out)
    local row = lane(1)
    assert.same({ '100', '6', 't' }, { row.next_offset, row.epoch, row.is_rewound })
    assert.is_nil(row.halted or row.halted_at or row.halted_generation)
    assert.is_nil(row.anchor_ms or row.anchor_hash)
    local entry = audit()[1]
    assert.matches('^[^@]+@.', entry.who)
    assert.same({ 'lane resume', 'counts', topic, '1' },
      { entry.action, entry.pipeline, entry.topic, entry.partition })
    assert.same({ from = 100, to = 100, epoch = 6, reason = 'mended',
      halted = 'more than a share of its records failed' }, entry.detail)
    assert.equal(66, call('lane resume', place(1), '--yes').status)
    assert.equal(1, #audit())
  end)

  it('resume --all ends every halt of this pipeline alone', function()
    db:rows("UPDATE tidemill.lane SET halted = 'too' WHERE partition = 2")
    local result = call('lane resume', '--all', '--yes')
    assert.equal(0, result.status, result.text)
    assert.equal('other', db:value(
      "SELECT string_agg(pipeline, ' ') FROM tidemill.lane WHERE halted IS NOT NULL"))
    assert.equal('3', lane(0).epoch)
    assert.equal(2, #audit())
    assert.equal(66, call('lane resume', '--all', '--yes').status)
    assert.equal(64, call('lane resume', '--all', place(1), '--yes').status)
  end)

  it('skip goes past one record, or as far as it is told, and ends the halt', function()
    local one = call('lane skip', place(1), '--yes')
    assert.equal(0, one.status, one.text)
    assert.matches('record at 100 is LOST', one.out)
    assert.same({ '101', '6' }, { lane(1).next_offset, lane(1).epoch })
    assert.is_nil(lane(1).halted)
    assert.equal(0, call('lane skip', place(1), '--records', '9', '--yes').status)
    assert.equal('110', lane(1).next_offset)
    assert.equal(0, call('lane skip', place(1), '--to', '500', '--yes').status)
    assert.equal('500', lane(1).next_offset)
    assert.same({ 100, 101, 110 },
      { audit()[1].detail.from, audit()[2].detail.from, audit()[3].detail.from })
  end)

  it('skip refuses what is no step forward, and numbers that are none', function()
    for _, words in ipairs {
      { '--to', '100' }, { '--to', '5' }, { '--to', '-5' }, { '--records', '0' },
      { '--records', '1', '--to', '200' }, { '--to', '99999999999999999999' },
      { '--records', '9223372036854775807' }, { '--to', '12x' },
    } do
      local result = call('lane skip', place(1), '--yes', unpack(words))
      assert.equal(64, result.status, table.concat(words, ' ') .. result.text)
    end
    assert.equal(66, call('lane skip', place(8), '--yes').status)
    assert.equal(64, call('lane skip', topic, '--yes').status)
    assert.equal('100', lane(1).next_offset)
  end)

  it('seek back says which tables count the records twice', function()
    local result = call('lane seek', place(0), '--to', '10', '--yes')
    assert.equal(0, result.status, result.text)
    assert.matches('30 records are applied AGAIN', result.out)
    assert.matches('counts%s+fold: COUNTS THEM TWICE', result.out)
    assert.same({ '10', '4', 't' },
      { lane(0).next_offset, lane(0).epoch, lane(0).is_rewound })
    assert.equal(0, call('lane seek', place(0), '--to', '60', '--yes').status)
    assert.equal('60', lane(0).next_offset)
    assert.equal(64, call('lane seek', place(0), '--to', '60', '--yes').status)
    assert.equal(64, call('lane seek', place(0), '--yes').status)
  end)

  -- The words of a halt may name the offset at which the lane stands.
  it('seek to where a halted lane stands ends the halt', function()
    local result = call('lane seek', place(1), '--to', '100', '--yes')
    assert.equal(0, result.status, result.text)
    assert.matches('It is halted', result.out)
    assert.same({ '100', '6', 't' },
      { lane(1).next_offset, lane(1).epoch, lane(1).is_rewound })
    assert.is_nil(lane(1).halted)
    assert.equal('lane seek', audit()[1].action)
  end)

  it('seek does not go back over dead letters, which would be read again', function()
    local result = call('lane seek', place(1), '--to', '20', '--yes')
    assert.equal(65, result.status, result.text)
    assert.matches('dead letters up to offset 20', result.err)
    assert.equal('100', lane(1).next_offset)
    assert.equal(0, call('lane seek', place(1), '--to', '21', '--yes').status)
  end)
end)

describe('an operator at a terminal', function()
  before_each(reset)

  it('is asked, and only a yes is a yes', function()
    local no = operator.on_terminal('lane resume', place(1), 'y')
    assert.equal(64, no.status, no.text)
    assert.matches('nothing was done', no.text)
    assert.equal('5', lane(1).epoch)
    local yes = operator.on_terminal('lane resume', place(1), 'yes')
    assert.equal(0, yes.status, yes.text)
    assert.equal('6', lane(1).epoch)
  end)

  it('does not change a lane that is not any more what was shown', function()
    for _, change in ipairs {
      'epoch = epoch + 1', 'next_offset = 101', "halted = 'something else'",
    } do
      reset()
      local result = operator.on_terminal('lane skip', place(1), 'yes', function()
        db:rows('UPDATE tidemill.lane SET ' .. change .. ' WHERE partition = 1')
      end)
      assert.equal(75, result.status, result.text)
      assert.matches('changed meanwhile', result.text)
      assert.same({}, audit())
    end
  end)

  -- As a worker does within a second of a `dlq discard`.
  it('resumes a lane that was claimed meanwhile, and is halted as shown', function()
    local result = operator.on_terminal('lane resume', place(1), 'yes', function()
      db:rows('UPDATE tidemill.lane SET epoch = epoch + 1 WHERE partition = 1')
    end)
    assert.equal(0, result.status, result.text)
    assert.equal('7', lane(1).epoch)
    assert.is_nil(lane(1).halted)
  end)

  it('seeks a lane that runs on meanwhile, but not over a letter it wrote', function()
    local letter = ([[INSERT INTO tidemill.dead_letter (pipeline, topic, partition,
      "offset", state, class, message, generation)
      VALUES ('counts', '%s', 0, 41, 'failed', 'data', '', 'gen1')]]):format(topic)
    local words = place(0) .. ' --to 10'
    local refused = operator.on_terminal('lane seek', words, 'yes',
      function() db:rows(letter) end)
    assert.equal(75, refused.status, refused.text)
    db:rows('DELETE FROM tidemill.dead_letter WHERE partition = 0')
    local done = operator.on_terminal('lane seek', words, 'yes', function()
      db:rows('UPDATE tidemill.lane SET next_offset = 50 WHERE partition = 0')
    end)
    assert.equal(0, done.status, done.text)
    assert.equal('10', lane(0).next_offset)
    assert.equal(50, audit()[1].detail.from)
  end)

  it('does not discard letters when another one came behind them', function()
    local result = operator.on_terminal('dlq discard', place(1, 10) .. ' --chain', 'yes',
      function()
        db:rows([[INSERT INTO tidemill.dead_letter (pipeline, topic, partition, "offset",
          state, key, class, message, generation) SELECT pipeline, topic, partition, 17,
          'held', key, 'held', '', 'gen1' FROM tidemill.dead_letter WHERE "offset" = 15]])
      end)
    assert.equal(75, result.status, result.text)
    assert.matches('changed meanwhile', result.text)
    assert.equal('1/10 1/12 1/15 1/17 1/20 2/7', offsets())
    assert.equal('5', lane(1).epoch)
  end)
end)

describe('the database of an operator', function()
  local function as(role)
    local url = pg.as(role, s.url)
    return function(...)
      return tidemill.call({ ... }, { env = { DATABASE_URL = url } })
    end
  end

  it('may be used with exactly the rights that schema prints', function()
    reset()
    local role = tidemill.unique('role')
    db:rows('CREATE ROLE ' .. role .. ' LOGIN')
    db:rows 'SET client_min_messages = warning'
    db:rows(call('schema', '--operator', role).out)
    local run = as(role)
    for _, argv in ipairs {
      { 'lane', 'list', s.bundle },
      { 'lane', 'resume', s.bundle, '--all', '--yes' },
      { 'lane', 'skip', s.bundle, place(0), '--yes' },
      { 'lane', 'seek', s.bundle, place(0), '--to', '1', '--yes' },
      { 'dlq', 'list', s.bundle }, { 'dlq', 'show', s.bundle, place(1, 10) },
      { 'dlq', 'export', s.bundle }, { 'dlq', 'retry', s.bundle, '--key', 'k1' },
      { 'dlq', 'discard', s.bundle, '--all', '--yes' },
    } do
      local result = run(unpack(argv))
      assert.equal(0, result.status, table.concat(argv, ' ') .. '\n' .. result.text)
    end
    db:rows('REVOKE INSERT ON tidemill.audit FROM ' .. role)
    local refused = run('lane', 'skip', s.bundle, place(0), '--yes')
    assert.equal(78, refused.status, refused.text)
    assert.matches('tidemill schema [^\n]+ %-%-operator ' .. role, refused.err)
    assert.equal('1', lane(0).next_offset)
  end)

  it('of an older version is refused until schema has been run again', function()
    reset()
    s.producer:create_topic(topic, s.n_partitions)
    for i = 1, 41 do s.send(i, '{"kind":"add"}') end
    s.producer:flush()
    for _, sql in ipairs {
      'ALTER TABLE tidemill.lane DROP COLUMN is_rewound',
      'DROP TABLE tidemill.dead_letter',
      'ALTER TABLE tidemill.lane DROP COLUMN halted',
    } do
      db:rows(sql)
      local checked = call('check')
      assert.equal(78, checked.status, checked.text)
      assert.matches('tidemill schema [^\n]+ %-%-apply', checked.err)
      local changed = call('lane skip', place(0), '--yes')
      assert.equal(78, changed.status, changed.text)
      assert.matches('tidemill schema [^\n]+ %-%-apply', changed.err)
      tidemill.apply(s.bundle, s.env)
      assert.equal(0, call('check').status)
    end
    db:rows('DROP TABLE tidemill.audit')
    local warned = call('check')
    assert.equal(0, warned.status, warned.text)
    assert.matches('warning: .*there is no table tidemill.audit', warned.text)
  end)

  it('that cannot be reached is said, with 69', function()
    local url = 'postgresql://postgres@127.0.0.1:1/none'
    local result = tidemill.call({ 'lane', 'list', s.bundle },
      { env = { DATABASE_URL = url } })
    assert.equal(69, result.status, result.text)
    assert.matches('cannot connect', result.err)
  end)
end)

describe('a position that Kafka does not have', function()
  local held
  local function call_held(verb, ...)
    local words = { operator.words(verb) }
    table.insert(words, held.bundle)
    table.insert(words, held.topic .. '/0')
    table.insert(words, '--yes')
    for _, word in ipairs { ... } do table.insert(words, word) end
    return tidemill.call(words, { env = held.env })
  end
  local function refused(words, ...)
    local result = call_held(...)
    assert.equal(65, result.status, result.text)
    assert.matches(words, result.err, 1, true)
  end

  it('is refused by seek and skip, with what there is', function()
    held = counts.new { partitions = 1 }
    held.send_good(5)
    assert.equal(0, tidemill.until_end(held.bundle, { env = held.env }).status)
    local there = 'Kafka has 0 to 4, and 5 is the next one to come'
    refused('offset 6 is past the end of ' .. held.topic .. '/0: ' .. there,
      'lane seek', '--to', '6')
    refused(there, 'lane seek', '--to', '9223372036854775807')
    refused(there, 'lane skip')
    refused(there, 'lane skip', '--records', '3')
    kafka_admin.expire(held.producer, held.topic, 0, 3)
    refused('offset 2 is before the beginning of ' .. held.topic
      .. '/0: Kafka has 3 to 4', 'lane seek', '--to', '2')
    assert.equal(5, held.db:number 'SELECT next_offset FROM tidemill.lane')
    for _, to in ipairs { '3', '5' } do
      local result = call_held('lane seek', '--to', to)
      assert.equal(0, result.status, result.text)
      assert.equal('', result.err)
    end
    -- Nobody can tell: that is said, and it is done.
    held.env.KAFKA_BROKERS = '127.0.0.1:1'
    local result = call_held('lane seek', '--to', '4')
    assert.equal(0, result.status, result.text)
    assert.matches('/0 has is not known', result.err, 1, true)
  end)

  it('is none yet: only seek says where the lane begins', function()
    held.db:rows("UPDATE tidemill.lane SET next_offset = -2, halted = 'for now'")
    refused('the lane has no position yet', 'lane skip')
    refused('the lane has no position yet', 'lane skip', '--to', '4')
    assert.matches('goes on where it begins, once Kafka tells',
      call_held('lane resume').out, 1, true)
    local result = call_held('lane seek', '--to', '4')
    assert.equal(0, result.status, result.text)
    assert.matches('begins at offset 4: records below it', result.out, 1, true)
    assert.equal(4, held.db:number 'SELECT next_offset FROM tidemill.lane')
  end)
end)
