-- The command line, as a user types it.
local counts = require 'counts'
local json = require 'cjson'
local kafka = require 'kafka'
local pg = require 'pg'
local process = require 'process'
local tidemill = require 'tidemill'

describe('tidemill', function()
  it('without a verb, with --help and with help lists every verb', function()
    local none = tidemill.call {}
    assert.equal(64, none.status)
    local help = tidemill.call { '--help' }
    assert.equal(0, help.status)
    local verbs = {
      'run', 'dev', 'check', 'test', 'schema', 'connector', 'explain', 'init', 'version',
    }
    for _, verb in ipairs(verbs) do
      assert.matches('\n%s*' .. verb .. '%s', help.out)
      local one = tidemill.call { verb, '--help' }
      assert.equal(0, one.status, one.text)
      assert.matches(verb, one.out)
    end
  end)

  -- Each verb that runs, and what its help says that it takes.
  local function each_verb(put)
    local function all(words, text)
      for line in text:match('\n\n(  .-)\n\n'):gmatch('[^\n]+') do
        local name = line:match('^  ([%a ]-)  ')
        local help = tidemill.call { unpack(words), name:match('%a+$'), '--help' }
        if words[1] then
          help = tidemill.call { words[1], name:match('%a+$'), '--help' }
        end
        put(name, help.out)
      end
    end
    all({}, (tidemill.call { 'help' }).out:gsub('Verbs:\n', '\n'))
    for _, above in ipairs { 'lane', 'dlq' } do
      all({ above }, (tidemill.call { above, '--help' }).out)
    end
  end

  it('prints every chapter of the reference that help names, and no more than it',
    function()
      local help = tidemill.call { 'help', '--help' }
      local n = 0
      for line in help.out:match('Chapters:\n(.-)\n\n'):gmatch('[^\n]+') do
        local chapter = tidemill.call { 'help', line:match('%S+') }
        assert.equal(0, chapter.status, line)
        assert.matches('^##? %S', chapter.out)
        local _, sections = ('\n' .. chapter.out):gsub('\n## ', '')
        assert.is_true(chapter.out:match('^# ') ~= nil or sections == 1, line)
        n = n + 1
      end
      assert.is_true(n > 10)
      local wrong = tidemill.call { 'help', 'projektion' }
      assert.equal(64, wrong.status)
      assert.matches("did you mean 'projection'?", wrong.err, 1, true)
    end)

  it('has every verb and option in the man page and in what shells complete', function()
    local texts = { man = tidemill.call({ 'help', '--man' }).out:gsub('\\%-', '-') }
    for _, shell in ipairs { 'bash', 'zsh', 'fish' } do
      texts[shell] = tidemill.call({ 'completion', shell }).out
    end
    local n = 0
    each_verb(function(name, help)
      assert.is_truthy(texts.man:find('.SS tidemill ' .. name .. ' ', 1, true), name)
      for option in help:gmatch('\n  %-%-([%a-]+)') do
        local in_bash = texts.bash:match("'" .. name .. " '%*%) options='([^']*)'")
        assert.is_truthy((in_bash .. ' '):find('--' .. option .. ' ', 1, true), option)
        assert.is_truthy(texts.zsh:find("'--" .. option .. ':', 1, true), option)
        assert.is_truthy(texts.fish:find(' -l ' .. option .. ' ', 1, true), option)
        assert.is_truthy(texts.man:find('\\fB--' .. option, 1, true), option)
        n = n + 1
      end
    end)
    assert.is_true(n > 40, n)
    assert.equal(64, tidemill.call({ 'completion', 'tcsh' }).status)
  end)

  it('completes words, options and files in bash', function()
    local function completed(...)
      local words = table.concat({ ... }, "' '")
      return (tidemill.shell(([[bash -c '. <("$TIDEMILL" completion bash)
        compopt() { :; }
        COMP_WORDS=("$@"); COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
        _tidemill; echo "${COMPREPLY[*]}"' x tidemill '%s']]):format(words)))
    end
    assert.equal('check\n', completed('ch'))
    assert.equal('skip seek\n', completed('lane', 's'))
    assert.equal('--records --reason\n', completed('lane', 'skip', 'x', '--re'))
    assert.equal('examples/bank\n', completed('run', 'examples/ban'))
  end)

  it('answers an unknown verb or option with the nearest', function()
    local verb = tidemill.call { 'chekc' }
    assert.equal(64, verb.status)
    assert.matches('check', verb.err)
    local option = tidemill.call { 'run', 'x', '--worker', '2' }
    assert.equal(64, option.status)
    assert.matches('%-%-workers', option.err)
  end)

  it('version prints one line', function()
    local result = tidemill.call { 'version' }
    assert.equal(0, result.status)
    assert.matches('^tidemill %d+%.%d+%.%d+\n$', result.out)
  end)

  it('run refuses a group and an instance that no member of Kafka can be called by',
    function()
      local folder = tidemill.example('bank', {
        ["group = 'bank'"] = "group = ('g'):rep(250)" })
      local result = tidemill.call(
        { 'run', folder, '--instance', 'shop', '--admin', 'off' },
        { env = { DATABASE_URL = 'postgresql://x/y' } })
      assert.equal(78, result.status, result.text)
      assert.matches('has 258 characters', result.text, 1, true)
    end)

  it('runs from any folder, and when installed elsewhere', function()
    local folder = tidemill.bundle { ['x'] = '' }
    -- -o: what is tested is installed as it is, never built anew.
    local function make(target)
      return tidemill.shell(("make -s %s -o %s DESTDIR='%s/a folder' PREFIX=/usr BIN=%s")
        :format(target, os.getenv('TIDEMILL'), folder, os.getenv('TIDEMILL')))
    end
    tidemill.shell(("mkdir '%s/a' && touch '%s/a/neighbour'"):format(folder, folder))
    local text, status = make 'install'
    assert.equal(0, status, text)
    text, status = tidemill.shell(
      ('cd / && "%s/a folder/usr/bin/tidemill" check %s/examples/bank --offline')
        :format(folder, os.getenv('TIDEMILL_ROOT')))
    assert.equal(0, status, text)
    assert.matches('balances', text)
    -- Editors find copies of the stubs that came with this binary, wherever that is.
    text, status = tidemill.shell(('cd / && "%s/a folder/usr/bin/tidemill" init %s/shop '
      .. '&& cd %s/shop && cat .luarc.json'):format(folder, folder, folder))
    assert.equal(0, status, text)
    local library = text:match('"workspace.library": %[%s*"([^"]*)"')
    assert.equal('.tidemill', library)
    assert.is_nil(text:match '"/[^"]*"')
    text, status = tidemill.shell(('grep -c "^---@meta" %s/shop/%s/tidemill/*.lua')
      :format(folder, library))
    assert.equal(0, status, text)
    text, status = make 'uninstall'
    assert.equal(0, status, text)
    assert.equal(folder .. '/a/neighbour\n',
      (tidemill.shell(("find %s/a '%s/a folder' -type f"):format(folder, folder))))
  end)
end)

describe('tidemill check', function()
  lazy_setup(function() -- it is there when another build ran these specs before
    local producer, topic = kafka.producer(), 'outbox.event.account'
    if not assert(producer:topics())[topic] then producer:create_topic(topic, 4) end
  end)

  it('says how each projection is kept exact, and finds nothing wrong', function()
    local bundle = tidemill.example('bank', {})
    local url = tidemill.database(bundle)
    local result = tidemill.call({ 'check', bundle }, { env = { DATABASE_URL = url } })
    assert.equal(0, result.status, result.text)
    local words = { 'balances', 'aligned', 'ledger', 'append', 'totals', 'merge',
      "failure +rule 'sqlstate'" }
    for _, word in ipairs(words) do
      assert.matches(word, result.out)
    end
  end)

  it('names what a database lacks', function()
    local url = tidemill.database()
    local result = tidemill.call({ 'check', 'examples/bank' },
      { env = { DATABASE_URL = url } })
    assert.equal(78, result.status)
    assert.matches('balances', result.err)
    assert.matches('tidemill schema', result.err)
  end)
end)

describe('tidemill schema', function()
  it('prints SQL that psql takes, twice', function()
    local url = tidemill.database()
    for _ = 1, 2 do
      local text, status = tidemill.shell(
        ('%s schema examples/bank --role mill | psql -q -v ON_ERROR_STOP=1 %s'):format(
          os.getenv('TIDEMILL'), pg.as('postgres', url)))
      assert.equal(0, status, text)
    end
    local result = tidemill.call({ 'check', 'examples/bank' },
      { env = { DATABASE_URL = url } })
    assert.equal(0, result.status, result.text)
  end)

  it('--apply makes the tables and leaves rows alone', function()
    local url, db = pg.create(tidemill.unique('db'))
    tidemill.apply('examples/bank', { DATABASE_URL = url })
    db:rows("INSERT INTO balances (id) VALUES ('11111111-1111-4111-8111-111111111111')")
    local result = tidemill.call({ 'schema', 'examples/bank', '--apply' },
      { env = { DATABASE_URL = url } })
    assert.equal(0, result.status, result.text)
    assert.equal(1, db:number('SELECT count(*) FROM balances'))
  end)
end)

describe('tidemill schema --apply', function()
  it('says what a table lacks that was there before, and what mends it', function()
    local url, db = pg.create(tidemill.unique('db'))
    local function apply()
      return tidemill.call({ 'schema', 'examples/bank', '--apply', '--role', 'mill' },
        { env = { DATABASE_URL = url } })
    end
    db:rows [[
      CREATE TABLE balances (id uuid PRIMARY KEY, owner text, balance bigint);
      CREATE TABLE ledger (event_id text)]]
    local result = apply()
    assert.equal(78, result.status, result.text)
    assert.equal('', result.out)
    for _, words in ipairs { 'table balances: column balance is bigint in the table but',
      'ALTER TABLE "balances" ADD COLUMN "is_active" boolean',
      'table ledger: there is no column' } do
      assert.matches(words, result.err, 1, true)
    end
    db:rows 'DROP TABLE balances, ledger; CREATE VIEW balances AS SELECT 1 AS id'
    result = apply()
    assert.equal(78, result.status, result.text)
    assert.matches('table balances: it is a view', result.err, 1, true)
    db:rows 'DROP VIEW balances'
    -- The owner need not be able to do what the role of the run does.
    result = apply()
    assert.equal(0, result.status, result.text)
    assert.matches('is in place', result.out)
  end)

  -- psql runs it as it is.
  it('--diff prints what mends a database, and nothing when nothing differs', function()
    local url, db = pg.create(tidemill.unique('db'))
    tidemill.apply('examples/bank', { DATABASE_URL = url })
    db:rows [[
      DROP TABLE balances, ledger;
      CREATE TABLE balances (id uuid PRIMARY KEY, owner text NOT NULL, note text NOT NULL,
        balance bigint);
      CREATE TABLE ledger (event_id text);
      INSERT INTO balances VALUES ('11111111-1111-4111-8111-111111111111', 'a', 'b', 7);
      DROP TABLE tidemill.audit]]
    local function diff()
      return tidemill.call({ 'schema', 'examples/bank', '--diff' },
        { env = { DATABASE_URL = pg.as('mill', url) } })
    end
    -- The same, for scripts: what stands on stdout is one document.
    local checked = tidemill.call({ 'check', 'examples/bank', '--json' },
      { env = { DATABASE_URL = pg.as('mill', url) } })
    local document, cures = json.decode(checked.out), {}
    assert.same({ 78, 78, false, '' },
      { checked.status, document.status, document.ok, checked.err })
    for _, one in ipairs(document.findings) do
      cures[('%s %s: %s'):format(one.code, one.place, one.what:match '^[^:]+')] = one
    end
    local added = cures['column balances: there is no column is_active']
    assert.same({ 'problem', 'ALTER TABLE "balances" ADD COLUMN "is_active" boolean;\n' },
      { added.severity, added.cure })
    assert.matches('projections/balances.lua$', added.file)
    assert.is_true(added.line > 0)
    local found = diff()
    assert.equal(0, found.status, found.text)
    assert.matches('balance was bigint.*may be\n%-%- rounded', found.out)
    assert.matches('DROP NOT NULL', found.out)
    assert.matches('CREATE TABLE IF NOT EXISTS tidemill.audit', found.out)
    assert.matches('GRANT [^\n]+ ON "ledger" TO "mill"', found.out)
    local file = os.getenv('TIDEMILL_SCRATCH') .. '/' .. tidemill.unique('diff')
    tidemill.write(file, found.out)
    local said, failed = tidemill.shell(('psql -q -1 -v ON_ERROR_STOP=1 %s -f %s'):format(
      pg.as('postgres', url), file))
    assert.equal(0, failed, said .. found.out)
    found = diff()
    assert.equal(0, found.status, found.text)
    assert.equal('', found.out)
    assert.matches('nothing differs', found.err)
    assert.equal('7.00', db:value('SELECT balance::text FROM balances'))
    -- A schema that may not be used hides what else is missing: once is enough.
    db:rows [[REVOKE ALL ON SCHEMA public, tidemill FROM PUBLIC, mill;
      REVOKE ALL ON balances, ledger, tidemill.lane, tidemill.dead_letter FROM mill]]
    tidemill.write(file, diff().out)
    said, failed = tidemill.shell(('psql -q -1 -v ON_ERROR_STOP=1 %s -f %s'):format(
      pg.as('postgres', url), file))
    assert.equal(0, failed, said)
    assert.equal('', diff().out)
    db:rows 'DROP TABLE balances; CREATE VIEW balances AS SELECT 1 AS id'
    found = diff()
    assert.equal(78, found.status, found.text)
    assert.matches('%-%- no SQL mends this: [^\n]+ it is a view', found.out)
  end)
end)

describe('tidemill init', function()
  it('makes a pipeline whose own specs pass and whose check is clean', function()
    local folder = os.getenv('TIDEMILL_SCRATCH') .. '/' .. tidemill.unique('init')
    local made = tidemill.call { 'init', folder }
    assert.equal(0, made.status, made.text)
    local tested = tidemill.call { 'test', folder }
    assert.equal(0, tested.status, tested.text)
    local url = tidemill.database(folder)
    local checked = tidemill.call({ 'check', folder }, { env = { DATABASE_URL = url } })
    assert.equal(0, checked.status, checked.text)
    local again = tidemill.call { 'init', folder }
    assert.not_equal(0, again.status)
  end)

  it('makes the folders above, also those of one letter', function()
    local folder = os.getenv('TIDEMILL_SCRATCH') .. '/' .. tidemill.unique('init')
    local text, status = tidemill.shell(('mkdir %s && cd %s && %s init a/b'):format(
      folder, folder, os.getenv('TIDEMILL')))
    assert.equal(0, status, text)
    assert.matches('a/b/pipeline.lua', text)
  end)
end)

describe('tidemill dev', function()
  it('runs an example with a broker and a database of its own', function()
    for _, example in ipairs { 'bank', 'mirror' } do
      local result = tidemill.call({ 'dev', 'examples/' .. example, '--seconds', '5',
        '--admin', 'off' }, { seconds = 60 })
      assert.equal(0, result.status, result.text)
    end
  end)

  -- Each command is typed as it was printed.
  it('takes an event that was sent by hand, and shows what it made', function()
    local folder = os.getenv('TIDEMILL_SCRATCH') .. '/' .. tidemill.unique('dev')
    assert.equal(0, tidemill.call({ 'init', folder }).status)
    local log = folder .. '/log'
    local dev = process.start({ os.getenv('TIDEMILL'), 'dev', folder, '--no-load',
      '--admin', 'off' }, { out = log })
    finally(function() dev:destroy() end)
    process.wait_for('dev', 30, function()
      return tidemill.read(log):find('msg="ready"', 1, true)
    end)
    local said = tidemill.read(log)
    local export = said:match('\n  (export [^\n]+)\n')
    local send = said:match('\n  ([^\n]+ send [^\n]+) %-%-type %S+ %-%-key KEY')
    local key = '00000001-0000-4000-8000-000000000001'
    for _, event in ipairs { [[AccountCreated '{"owner":"ada"}']],
      [[MoneyDeposited '{"amount":12.50}']] } do
      local text, status = tidemill.shell(('%s && %s --key %s --type %s'):format(export,
        send, key, event))
      assert.equal(0, status, text)
      assert.matches('^written: outbox.event.account/%d/%d+\n$', text)
    end
    local psql = said:match('\n  database  ([^\n]+)\n')
    process.wait_for('the row', 10, function()
      return tidemill.shell(psql .. ' -Atc "SELECT owner, balance FROM balances"')
        == 'ada|12.50\n'
    end)
    dev:signal(process.INT)
    assert.equal(0, dev:wait(10), tidemill.read(log))
    assert.matches('balances: 1 rows?\nid +owner +balance +is_open\n'
      .. '00000001%-0%.%.%. +ada +12%.50 +true\n', tidemill.read(log))
  end)
end)

describe('tidemill run', function()
  local producer
  lazy_setup(function() producer = kafka.producer() end)

  it('--until-end ends with 0 when every lane is at its end, empty ones too', function()
    local s = counts.new { producer = producer, partitions = 5 }
    local empty = tidemill.until_end(s.bundle, { env = s.env })
    assert.equal(0, empty.status, empty.text)
    s.send(1, '{"kind":"add","amount":1}', 3)
    producer:flush()
    local result = tidemill.until_end(s.bundle, {
      env = s.env, args = { '--workers', '2' },
    })
    assert.equal(0, result.status, result.text)
    assert.equal(1, s.n_events())
    -- What a person asks then is how far it is, also while Kafka is away.
    s.send(1, '{"kind":"add","amount":1}', 3)
    producer:flush()
    local function list(...)
      return tidemill.call({ 'lane', 'list', s.bundle, s.topic .. '/3', '--admin', 'off',
        ... }, { env = s.env })
    end
    local lane = json.decode(list('--json').out)
    assert.same({ 1, 2, 1 }, { lane.position, lane['end'], lane.lag })
    assert.matches('/3 +1 +1 +%d+ +0 +0 ', list().out)
    s.env.KAFKA_BROKERS = '127.0.0.1:1'
    local away = list()
    assert.equal(0, away.status, away.text)
    assert.matches('/3 +1 +%? +%d+ +0 +0 ', away.out)
    assert.matches('the lag is unknown: Kafka at 127.0.0.1:1 does not answer', away.err)
  end)

  -- Beside a run, which keeps its lanes.
  it('--dry-run shows what the next records would write, and changes nothing', function()
    local s = counts.new { producer = producer, partitions = 2 }
    local run = s.start()
    finally(function() run:destroy() end)
    run:wait_ready()
    s.send(1, '{"kind":"add","amount":1}', 0)
    producer:flush()
    run:wait_for('the first', 20, function() return s.n_events() == 1 end)
    local lanes = 'SELECT partition, epoch, owner FROM tidemill.lane ORDER BY 1'
    local before = s.db:rows(lanes)
    local function dry(...)
      return tidemill.call({ 'run', s.bundle, '--dry-run', ... }, { env = s.env })
    end
    local none = dry()
    assert.equal(0, none.status, none.text)
    assert.matches('no record waits', none.out)
    s.db:rows 'UPDATE tidemill.lane SET next_offset = 77 WHERE partition = 1'
    local gone = dry()
    assert.equal(65, gone.status, gone.text)
    assert.matches(s.topic .. '/1 would halt: its position 77 is past the end', gone.out)
    s.db:rows 'UPDATE tidemill.lane SET next_offset = 0 WHERE partition = 1'
    -- What a worker that stands still has not applied yet.
    for _, pid in ipairs(run:workers()) do process.signal(pid, process.STOP) end
    s.send(1, '{"kind":"add","amount":2}', 0)
    s.send(7, '{"kind":"add","amount":5}', 1)
    s.send(8, '{"kind":"add","small":99999}', 1)
    s.send(8, '{"kind":"add","amount":9}', 1)
    producer:flush()
    local shown = dry()
    assert.equal(65, shown.status, shown.text)
    assert.matches('counts: 2 rows would be written', shown.out)
    assert.matches('update +1 ', shown.out)
    assert.matches('insert +7 ', shown.out)
    assert.matches(s.topic .. '/1/1: ', shown.out)
    assert.matches('1 record would be set aside, and 1 held', shown.out)
    assert.matches('4 of 4 records read would be moved over', shown.out)
    assert.matches('more records follow', dry('--records', '2').out)
    -- A run that is at work goes on between the look at positions and that at rows.
    s.db:rows [[CREATE FUNCTION moves() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN
        PERFORM pg_sleep(1); RETURN NEW; END$$;
      CREATE TRIGGER moves BEFORE INSERT ON counts FOR EACH ROW WHEN (NEW.id = 7)
        EXECUTE FUNCTION moves()]]
    local moving = process.start({ 'psql', '-q', pg.as('postgres', s.env.DATABASE_URL),
      '-c', [[DO $$BEGIN
        WHILE NOT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event = 'PgSleep'
            AND application_name = 'tidemill dry run' AND datname = current_database())
        LOOP PERFORM pg_stat_clear_snapshot(); END LOOP; END$$]],
      '-c', [[UPDATE tidemill.lane SET next_offset = next_offset + 1
        WHERE partition = 1]] },
      { out = os.getenv('TIDEMILL_SCRATCH') .. '/' .. tidemill.unique('moving') })
    local moved = dry()
    assert.equal(0, moving:wait(10))
    assert.equal(75, moved.status, moved.text)
    assert.matches('has moved on meanwhile', moved.err)
    s.db:rows [[UPDATE tidemill.lane SET next_offset = 0 WHERE partition = 1;
      DROP FUNCTION moves CASCADE]]
    s.db:rows 'ALTER TABLE counts ADD CONSTRAINT below_seven CHECK (id <> 7)'
    local refused = dry()
    assert.equal(65, refused.status, refused.text)
    assert.matches(s.topic .. '/1/0 would be set aside, since the database refuses',
      refused.out)
    s.db:rows 'ALTER TABLE counts DROP CONSTRAINT below_seven'
    assert.equal(1, s.n_events())
    assert.equal(0, s.db:number 'SELECT count(*) FROM tidemill.dead_letter')
    assert.same(before, s.db:rows(lanes))
    for _, pid in ipairs(run:workers()) do process.signal(pid, process.CONT) end
    run:wait_for('all that it showed', 30, function()
      return s.n_events() == 3 and
        s.db:number 'SELECT count(*) FROM tidemill.dead_letter' == 2
    end)
    assert.equal(0, (run:stop()))
  end)

  it('stops on SIGTERM within 5 s, also in the middle of a backlog', function()
    local s = counts.new { producer = producer, partitions = 4 }
    s.send_good(50000)
    local run = s.start { '--workers', '2' }
    finally(function() run:destroy() end)
    run:wait_for('the first rows', 30, function() return s.n_events() > 0 end)
    local workers = run:workers()
    local status, seconds = run:stop()
    assert.equal(0, status, run:text())
    assert.is_true(seconds < 5, seconds .. ' s')
    for _, pid in ipairs(workers) do assert.is_false(process.is_alive(pid)) end
    -- What was committed is what the positions say.
    assert.equal(s.db:number('SELECT sum(next_offset) FROM tidemill.lane'), s.n_events())
    assert.equal(0, tidemill.until_end(s.bundle, { env = s.env }).status)
    assert.equal(50000, s.n_events())
  end)
end)
