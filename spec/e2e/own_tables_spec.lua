-- Tables of Tidemill's own on which a trigger keeps rows back or changes them: nothing
-- that is written there is taken for written, and who waits for it is told why.
local kafka = require 'kafka'
local tidemill = require 'tidemill'

local PIPELINE = [[
return pipeline {
  name = 'own',
  source = kafka { brokers = env('KAFKA_BROKERS'), group = '%s', topics = { '%s' },
    format = 'json', options = { ['fetch.wait.max.ms'] = '50' } },
  database = postgres { write = env('DATABASE_URL') },
  batch = { linger_ms = 20 },
  dead_letters = { max_share = 0.01, topic = '%s' },
  projections = { projection {
    table = 'copies', key = { k = { 'text', from = 'key' } },
    columns = { n = 'integer' },
    map = function(row, event)
      if event.data.n < 0 then error('below zero') end
      row.n = event.data.n
    end,
  } },
}
]]

-- Each raises or keeps back what its WHEN says.
local FUNCTIONS = [[
  CREATE FUNCTION raise() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    RAISE 'not now'; END $$;
  CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    RETURN NULL; END $$;
  CREATE FUNCTION back() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    NEW.next_offset := OLD.next_offset; RETURN NEW; END $$;
  CREATE TRIGGER settles BEFORE UPDATE ON tidemill.lane FOR EACH ROW
    WHEN (OLD.is_rewound AND NOT NEW.is_rewound AND NEW.next_offset = OLD.next_offset)
    EXECUTE FUNCTION raise();]]

local function trigger(name, table, when, verb)
  return ([[CREATE TRIGGER %s BEFORE %s ON tidemill.%s FOR EACH ROW WHEN (%s)
    EXECUTE FUNCTION nothing()]]):format(name, verb or 'UPDATE', table, when)
end

describe('what a table of Tidemill\'s own does not keep', function()
  local s, producer, run
  setup(function()
    producer = kafka.producer()
    s = { topic = tidemill.unique('own') }
    s.letters = s.topic .. '-letters'
    producer:create_topic(s.topic, 2)
    producer:create_topic(s.letters, 1)
    s.bundle = tidemill.bundle {
      ['pipeline.lua'] = PIPELINE:format(s.topic, s.topic, s.letters),
    }
    s.url, s.db = tidemill.database(s.bundle)
    s.env = { DATABASE_URL = s.url }
    s.db:rows(FUNCTIONS)
    run = tidemill.start(s.bundle, { env = s.env })
  end)
  teardown(function() run:destroy() end)

  local function send(partition, ...)
    for _, record in ipairs { ... } do
      producer:send { topic = s.topic, partition = partition, key = record[1],
        value = ('{"n":%d}'):format(record[2]) }
    end
    producer:flush()
  end
  local function has_row(k)
    run:wait_for('row ' .. k, 20, function()
      return s.db:number(("SELECT count(*) FROM copies WHERE k = '%s'"):format(k)) == 1
    end)
  end
  local function says(words)
    run:wait_for(words, 20, function() return run:text():find(words) end)
  end
  local function verb(...)
    return tidemill.call({ ... }, { env = s.env })
  end
  local function drop(name, table)
    s.db:rows(('DROP TRIGGER %s ON tidemill.%s'):format(name, table))
  end

  it('is the end of a rewind: the next batch says it, or another claim', function()
    local function rewound()
      return s.db:value [[SELECT string_agg(is_rewound::text, ' ' ORDER BY partition)
        FROM tidemill.lane]]
    end
    run:wait_ready(20)
    assert.equal('true true', rewound())
    send(0, { 'a', 1 })
    has_row 'a'
    assert.equal('false true', rewound())
    drop('settles', 'lane')
    send(1, { 'b', 1 })
    has_row 'b'
    run:wait_for('the other lane', 20, function() return rewound() == 'false false' end)
  end)

  it('is a position: its batch is not committed', function()
    s.db:rows [[CREATE TRIGGER backs BEFORE UPDATE ON tidemill.lane FOR EACH ROW
      WHEN (NEW.partition = 0) EXECUTE FUNCTION back()]]
    send(0, { 'c', 1 })
    says "tidemill.lane does not keep the lane's new .*trigger backs of tidemill.lane"
    assert.equal(0, s.db:number "SELECT count(*) FROM copies WHERE k = 'c'")
    drop('backs', 'lane')
    has_row 'c'
  end)

  it('is the halt of a lane: no batch is committed without it; a note stays', function()
    s.db:rows(trigger('halts', 'lane', 'NEW.halted IS NOT NULL'))
    s.db:rows(trigger('notes', 'dead_letter',
      'OLD.is_unpublished AND NOT NEW.is_unpublished'))
    local rows = { { 'd', 1 } }
    for i = 1, 12 do rows[1 + i] = { 'bad' .. i, -1 } end
    send(0, unpack(rows))
    says 'tidemill.lane does not keep the halt of a lane.*trigger halts of'
    assert.equal(0, s.db:number 'SELECT count(*) FROM tidemill.dead_letter')
    s.db:rows [[UPDATE tidemill.lane SET next_offset = 1000, epoch = epoch + 1
      WHERE partition = 1]]
    says 'halts were not written to tidemill.lane.*keep them: .*trigger halts of'
    drop('halts', 'lane')
    run:wait_for('both halts', 40, function()
      return s.db:number [[SELECT count(*) FROM tidemill.lane
        WHERE halted LIKE '%more than 10 of the last%'
          OR halted LIKE '%the position 1000 is past the end%']] == 2
    end)
    has_row 'd'
    assert.equal(0, verb('lane', 'seek', s.bundle, s.topic .. '/1', '--to', '1',
      '--yes').status)
  end)

  it('is what was produced: it is not produced again', function()
    says 'were produced, and that cannot be noted.*trigger notes of tidemill.dead_letter'
    drop('notes', 'dead_letter')
    run:wait_for('the note', 20, function()
      return s.db:number [[SELECT count(*) FROM tidemill.dead_letter
        WHERE is_unpublished]] == 0
    end)
    assert.equal(10, producer:high(s.letters, 0))
  end)

  it('is what a person asks for: the verbs do nothing, and say so', function()
    assert.not_matches('tidemill%.dead_letter', verb('check', s.bundle).text)
    local function with(name, table, when, op, status, words, ...)
      s.db:rows(trigger(name, table, when, op))
      assert.matches(('warning: .*trigger %s of tidemill.%s runs before each %s')
        :format(name, table, op), verb('check', s.bundle).text)
      local call = verb(...)
      assert.equal(status, call.status, call.text)
      assert.matches(words, call.text)
      drop(name, table)
    end
    local words = 'does not keep it: a trigger or a policy on tidemill'
    with('stays', 'dead_letter', 'true', 'DELETE', 78, words, 'dlq', 'discard', s.bundle,
      '--all', '--chain', '--yes')
    with('asks', 'dead_letter', 'NEW.retry_at IS NOT NULL', 'UPDATE', 78, words, 'dlq',
      'retry', s.bundle, '--all')
    with('audits', 'audit', 'true', 'INSERT', 78, words, 'dlq', 'retry', s.bundle,
      '--all')
    with('resumes', 'lane', 'NEW.halted IS NULL', 'UPDATE', 75,
      'a trigger or a policy on tidemill.lane or tidemill.audit', 'lane', 'resume',
      s.bundle, s.topic .. '/0', '--yes')
    assert.equal(10, s.db:number 'SELECT count(*) FROM tidemill.dead_letter')
    assert.equal(0, s.db:number [[SELECT count(*) FROM tidemill.audit
      WHERE action <> 'lane seek']])
  end)

  it('is the end of a dead letter: its record is not applied, and says why', function()
    local call = verb('dlq', 'discard', s.bundle, '--all', '--chain', '--yes')
    assert.equal(0, call.status, call.text)
    s.db:rows 'ALTER TABLE copies ADD CONSTRAINT small CHECK (n < 100)'
    send(1, { 'e', 500 })
    run:wait_for('the letter', 20, function()
      return s.db:number 'SELECT count(*) FROM tidemill.dead_letter' == 1
    end)
    s.db:rows 'ALTER TABLE copies DROP CONSTRAINT small'
    s.db:rows(trigger('stays', 'dead_letter', 'true', 'DELETE'))
    call = verb('dlq', 'retry', s.bundle, '--all', '--wait', '60')
    assert.equal(65, call.status, call.text)
    assert.matches('trigger stays of tidemill.dead_letter %(DELETE%)',
      s.db:value 'SELECT message FROM tidemill.dead_letter')
    assert.equal(0, s.db:number "SELECT count(*) FROM copies WHERE k = 'e'")
    drop('stays', 'dead_letter')
    call = verb('dlq', 'retry', s.bundle, '--all', '--wait', '60')
    assert.equal(0, call.status, call.text)
    has_row 'e'
    assert.equal(0, (run:stop()))
  end)
end)
