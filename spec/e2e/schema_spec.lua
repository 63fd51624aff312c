-- Schema tidemill of another version than this program's: an older one is brought up to
-- date with all that it holds, a newer one is left as it is.
local counts = require 'counts'
local kafka = require 'kafka'
local tidemill = require 'tidemill'

-- As it was once: no halts, no audit, no word of what holds, no version.
local OLD = [[
  CREATE SCHEMA tidemill;
  CREATE TABLE tidemill.lane (pipeline text NOT NULL, stream text NOT NULL DEFAULT 'main',
    topic text NOT NULL, partition int NOT NULL, next_offset bigint NOT NULL,
    epoch bigint NOT NULL DEFAULT 0, owner text, generation text, group_id text,
    anchor_ms bigint, anchor_hash bigint, updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (pipeline, stream, topic, partition));
  CREATE TABLE tidemill.dead_letter (pipeline text NOT NULL,
    stream text NOT NULL DEFAULT 'main', topic text NOT NULL, partition int NOT NULL,
    "offset" bigint NOT NULL, state text NOT NULL, key bytea, value bytea, headers jsonb,
    record_ms bigint, class text NOT NULL, sqlstate text, message text NOT NULL,
    script text, generation text NOT NULL, attempts int NOT NULL DEFAULT 1,
    first_seen timestamptz NOT NULL DEFAULT now(),
    last_seen timestamptz NOT NULL DEFAULT now(), retry_at timestamptz,
    is_unpublished boolean NOT NULL DEFAULT false,
    PRIMARY KEY (pipeline, stream, topic, partition, "offset"));
  INSERT INTO tidemill.lane (pipeline, topic, partition, next_offset, epoch)
    VALUES ('counts', '%s', 0, 6, 41);
  INSERT INTO tidemill.dead_letter (pipeline, topic, partition, "offset", state, class,
    message, generation, key) VALUES ('counts', '%s', 0, 3, 'failed', 'script', 'because',
    'x', '4');
  GRANT USAGE ON SCHEMA tidemill TO mill;
  GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA tidemill TO mill;
]]

local function version(text)
  return ([[CREATE OR REPLACE FUNCTION tidemill.version() RETURNS int LANGUAGE sql
    IMMUTABLE AS '%s']]):format(text)
end

local function says(status, words, result)
  assert.equal(status, result.status, result.text)
  assert.is_truthy(result.text:gsub('%s+', ' '):find(words, 1, true),
    words .. '\n' .. result.text)
end

describe('schema tidemill', function()
  local producer, s
  lazy_setup(function()
    producer = kafka.producer()
    s = counts.new { producer = producer, no_schema = true }
    s.send_good(10)
  end)

  it('of an older version is brought up to date and keeps what it holds', function()
    s.db:rows(OLD:format(s.topic, s.topic))
    says(78, 'tidemill.lane is of an older version',
      tidemill.call({ 'check', s.bundle }, { env = s.env }))
    says(78, '--apply', tidemill.until_end(s.bundle, { env = s.env }))
    assert.equal('41 6', s.db:value [[SELECT concat_ws(' ', epoch, next_offset)
      FROM tidemill.lane]])
    for _ = 1, 2 do
      tidemill.apply(s.bundle, s.env)
      assert.equal('1 41 6 because t', s.db:value [[SELECT concat_ws(' ',
        tidemill.version(), l.epoch, l.next_offset, d.message, d.holds)
        FROM tidemill.lane l, tidemill.dead_letter d]])
    end
    assert.equal(0, tidemill.until_end(s.bundle, { env = s.env }).status)
    assert.equal(4, s.n_events())
  end)

  it('without a mark is version 1, and is given one', function()
    s.db:rows 'DROP FUNCTION tidemill.version()'
    s.send_good(1)
    assert.equal(0, tidemill.until_end(s.bundle, { env = s.env }).status)
    assert.equal(5, s.n_events())
    tidemill.apply(s.bundle, s.env)
    assert.equal(1, s.db:number 'SELECT tidemill.version()')
  end)

  it('of a newer version is read and written by nobody', function()
    s.send_good(1)
    local owner = { DATABASE_URL = s.url:gsub('mill@', 'postgres@') }
    for _, text in ipairs { 'SELECT 7', 'SELECT 2', 'SELECT 1 + 6', 'SELECT 0' } do
      s.db:rows(version(text))
      local number = text:match '^SELECT ([27])$'
      local words = number and ('is of version %s, and this '):format(number)
        or 'is of an unknown version, and this '
      says(78, words .. 'tidemill knows version 1: use the newer tidemill',
        tidemill.call({ 'check', s.bundle }, { env = s.env }))
      for _, argv in ipairs { { 'lane', 'list' }, { 'dlq', 'list' },
        { 'lane', 'resume', s.topic .. '/0', '--yes' } } do
        table.insert(argv, 3, s.bundle)
        says(78, words, tidemill.call(argv, { env = s.env }))
      end
      says(78, 'use the newer tidemill',
        tidemill.call({ 'schema', s.bundle, '--apply' }, { env = owner }))
      assert.equal(text, s.db:value [[SELECT prosrc FROM pg_proc WHERE proname = 'version'
        AND pronamespace = 'tidemill'::regnamespace]])
    end
    local before = s.db:value 'SELECT l::text FROM tidemill.lane l'
    says(78, 'is of an unknown version', tidemill.until_end(s.bundle, { env = s.env }))
    assert.equal(before, s.db:value 'SELECT l::text FROM tidemill.lane l')
    assert.equal(5, s.n_events())
  end)

  it('is made once by several that make it at the same time', function()
    local owner, all = { DATABASE_URL = s.url:gsub('mill@', 'postgres@') }, {}
    s.db:rows 'DROP SCHEMA tidemill CASCADE'
    for i = 1, 4 do
      all[i] = tidemill.begin({ 'schema', s.bundle, '--apply' }, { env = owner })
    end
    for _, call in ipairs(all) do
      local result = call()
      assert.equal(0, result.status, result.text)
    end
    assert.equal(1, s.db:number 'SELECT tidemill.version()')
  end)
end)
