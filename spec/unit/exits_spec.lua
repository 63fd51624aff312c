-- What each verb ends with when something is wrong: a script decides by that alone.
-- Nothing listens at port 1, so no server is needed.
local binary = os.getenv('TIDEMILL') or './tidemill'
local folder

local function sh(command)
  local pipe = assert(io.popen(('{ %s\n} 2>&1; echo status=$?'):format(command)))
  local text, status = pipe:read('*a'):match('^(.*)status=(%d+)\n$')
  pipe:close()
  return text, tonumber(status)
end

local function write(path, text)
  local f = assert(io.open(folder .. '/' .. path, 'w'))
  f:write(text)
  f:close()
end

local PIPELINE = [[
return pipeline {
  name = 'exits',
  source = kafka { brokers = '127.0.0.1:1', group = 'exits', topics = { 'exits' },
    format = 'json' },
  database = postgres { write = 'postgresql://127.0.0.1:1/x' },
  projections = { projection { table = 't', append = true, columns = { n = 'bigint' },
    on = function(row) row.n = 1 end } },
}]]

local EXAMPLE = [[, examples = { { events = { { key = 'k', type = 'X', data = {} } },
    rows = { { n = %d } } } } } },
}]]

local ALL = { 'check', 'schema', 'connector', 'run', 'dev', 'test', 'lane list', 'dlq list',
  'dlq export' }
local AT = { 'lane resume', 'lane skip', 'lane seek --to 1', 'dlq show', 'dlq retry',
  'dlq discard' }

-- $F: the folder of the spec. What is said must hold the words behind the command.
local TABLE = {
  { 64, '', 'Usage' },
  { 64, 'frobnicate', 'unknown verb' },
  { 64, 'lane', 'which?' },
  { 64, 'lane frobnicate', 'is not list' },
  { 64, 'dlq', 'which?' },
  { 64, 'help frobnicate', 'neither a verb nor a chapter' },
  { 64, 'init', 'which folder' },
  { 64, 'explain XXXXXX', 'Try' },
  { 64, 'run $F/good --workers 65', 'from 1 to 64' },
  { 64, 'run $F/good --admin x', 'HOST:PORT' },
  { 64, 'lane seek $F/good exits/0', 'where to' },
  { 64, 'lane seek $F/good exits/0 --to -1', 'from 0 to 9223372036854775807' },
  { 64, 'lane seek $F/good exits/0 --to 9223372036854775808', 'from 0 to' },
  { 64, 'lane seek $F/good exits/0 --to 1e3', 'from 0 to' },
  { 64, 'lane skip $F/good exits/0 --records 0', 'skip nothing' },
  { 64, 'lane skip $F/good exits --to 1', 'TOPIC/PARTITION' },
  { 64, 'dlq show $F/good exits/0', 'which letter' },
  { 64, 'dlq retry $F/good', 'which letters' },
  { 64, 'dlq list $F/good --sqlstate 2350', 'no SQLSTATE' },
  { 64, 'dlq export $F/good --sqlstate unique_violation', 'no SQLSTATE' },
  { 64, 'dlq retry $F/good --sqlstate 23p02', 'no SQLSTATE' },
  { 64, 'dlq discard $F/good --sqlstate 235055 --yes', 'no SQLSTATE' },
  { 64, 'run $F/good --strict', 'goes with --until-end' },
  { 64, 'run $F/good --dry-run --until-end', 'ends by itself' },
  { 64, 'run $F/good --records 5', 'goes with --dry-run' },
  { 69, 'run $F/good --dry-run', 'does not answer' },
  { 66, 'run $F/nowhere --dry-run', 'no such pipeline' },
  { 64, 'send $F/good', 'which topic' },
  { 64, 'send $F/good exits 1 --tombstone', 'say one of them' },
  { 64, 'send $F/good exits 1 --header x', 'NAME=VALUE' },
  { 64, 'send $F/good exits 1 --type Added', 'is for outbox topics' },
  { 64, 'send examples/first outbox.event.account {}', 'the header eventType: say --type' },
  { 65, [[send $F/good exits '{"a":1,
 "b" 2}']], 'not JSON', 'line 2, column 2' },
  { 65, 'send $F/good exits "{} {}"', 'something follows', 'line 1, column 4' },
  { 65, 'send $F/good exits </dev/null', 'empty' },
  { 65, 'send $F/good exits --file /bin/true', 'not JSON' },
  { 65, "send examples/first outbox.event.account '{\"amount\": 1}' --key x "
    .. '--type MoneyDeposited', 'set the record aside', 'uuid' },
  { 66, 'send $F/good exit 1', "it reads exits; did you mean 'exits'?" },
  { 66, 'send $F/good orders 1', 'reads no topic orders; it reads exits' },
  { 66, 'send $F/good exits --file $F/none', 'cannot open' },
  { 69, 'send $F/good exits 1', 'does not answer' },
  { 69, 'send $F/good exits --raw {', 'does not answer' },
  { 66, 'connector $F/good', 'no connector is needed' },
  { 66, 'test $F/good', 'nothing to run' },
  { 66, 'test $F/empty', 'no spec ran' },
  { 66, 'test examples/bank --filter=no_such_name', 'no spec ran' },
  { 0, 'test examples/bank --list', 'the bank' },
  { 64, 'test examples/bank --frobnicate', 'unknown' },
  { 1, 'test $F/failing', '70 failures' }, -- busted ends with their number
  { 69, 'check $F/good', 'does not answer', '--offline' },
  { 0, 'check $F/good --offline', 'neither Kafka nor the database' },
  { 0, 'check $F/good --offline --json', '"status":0,"ok":true,"findings":[]}' },
  { 0, 'check $F/right --offline', '\n1 example, 0 failed\n' },
  { 1, 'test $F/unlike', '/unlike/pipeline.lua:6: example 1 of t failed: ', '1 failed\n' },
  { 78, 'check $F/unlike --offline', '/unlike/pipeline.lua:6: example 1 of t failed: ' },
  { 0, 'check $F/meant --offline', '\n1 example, 0 failed\n' },
  { 66, 'check $F/nowhere --json', '"status":66,"ok":false,"findings":[{"code":"pipeline"' },
  { 78, 'check $F/wrong --json', 'pipeline.lua","line":1,' },
  { 69, 'check $F/good --json', '"code":"kafka","severity":"unknown"',
    '"code":"database","severity":"unknown"' },
  { 64, 'schema $F/good --diff --role x', 'takes no other option' },
  { 69, 'schema $F/good --diff', 'cannot connect' },
  { 69, 'schema $F/good --apply', 'cannot connect' },
  { 0, 'schema $F/good', 'CREATE TABLE' },
  { 69, 'lane list $F/good', 'cannot connect' },
  { 69, 'lane seek $F/good exits/0 --to 1', 'cannot connect' },
  { 69, 'dlq list $F/good', 'cannot connect' },
  { 69, 'dlq show $F/good exits/0/1', 'cannot connect' },
  { 73, 'init /proc/tidemill', 'cannot write' },
  { 73, 'init $F/good', 'is there already' },
  { 78, 'run $F/good --admin-token-file $F/none', 'cannot read the admin token' },
}
for _, verb in ipairs(ALL) do
  table.insert(TABLE, { 66, verb .. ' $F/nowhere', 'no such pipeline' })
  table.insert(TABLE, { 66, verb .. ' $F', 'has no pipeline.lua' })
  table.insert(TABLE, { 78, verb .. ' $F/wrong', 'wrong/pipeline.lua:1:' })
  if verb ~= 'test' then
    table.insert(TABLE, { 64, verb .. ' $F/good --frobnicate', 'unknown option' })
  end
end
for _, verb in ipairs(AT) do
  local word, rest = verb:match('^(%S+ %S+)(.*)$')
  table.insert(TABLE, { 66, word .. ' $F/nowhere exits/0' ..
    (word == 'dlq show' and '/1' or '') .. rest, 'no such pipeline' })
  table.insert(TABLE, { 64, word .. ' $F/good --frobnicate', 'unknown option' })
end

describe('the exit status of', function()
  lazy_setup(function()
    folder = sh 'mktemp -d':match '%S+'
    sh(('mkdir -p %s/good %s/wrong %s/empty/spec %s/failing/spec')
      :format(folder, folder, folder, folder))
    write('good/pipeline.lua', PIPELINE)
    write('empty/pipeline.lua', PIPELINE)
    write('empty/spec/empty_spec.lua', "describe('nothing', function() end)")
    write('failing/pipeline.lua', PIPELINE)
    write('failing/spec/failing_spec.lua',
      "for i = 1, 70 do it('is ' .. i, function() assert.is_true(false) end) end")
    for name, n in pairs { right = 1, unlike = 2 } do
      sh(('mkdir %s/%s'):format(folder, name))
      write(name .. '/pipeline.lua', (PIPELINE:gsub(' } },\n}$', EXAMPLE:format(n))))
    end
    sh(('mkdir %s/meant'):format(folder))
    write('meant/pipeline.lua', (PIPELINE:gsub('function%(row%) row.n = 1 end } },\n}$',
      'function(row, event) row.n = event.data.n end,\n'
      .. '  examples = { { events = { { data = { n = 1 } }, { data = { n = "x" } } },\n'
      .. '    rows = { { n = 1 } }, dead_letters = 1 } } } },\n}')))
    write('wrong/pipeline.lua', 'return pipeline { name = 1 }')
  end)
  lazy_teardown(function() sh('rm -rf ' .. folder) end)

  for _, case in ipairs(TABLE) do
    local status, words = case[1], case[2]
    local says = table.concat(case, '" and "', 3)
    it(('%s is %d, and it says "%s"'):format(words, status, says), function()
      local text, got = sh(('DATABASE_URL=postgresql://x/y %s %s </dev/null'):format(binary,
        (words:gsub('%$F', folder))))
      assert.are.equal(status, got, text)
      for i = 3, #case do assert.is_truthy(text:find(case[i], 1, true), text) end
    end)
  end

  it('check --json is one document where projections have examples, too', function()
    local json = require 'cjson'
    local function found(path)
      local text = sh(('%s check %s --offline --json'):format(binary, path))
      return json.decode(text).findings
    end
    assert.are.same({}, found(folder .. '/right'))
    assert.are.same({}, found 'examples/transfers')
    local all = found(folder .. '/unlike')
    assert.are.equal(1, #all)
    assert.are.equal('examples', all[1].code)
    assert.are.equal(folder .. '/unlike/pipeline.lua', all[1].file)
    assert.are.equal(6, all[1].line)
    assert.are.equal('example 1 of t failed: row 1: n is 1 instead of 2', all[1].what)
  end)

  it('no verb is worth an order to the terminal of whoever typed it', function()
    local name = folder .. '/\27[31mred\226\128\174'
    sh(("mkdir '%s'; cp %s/wrong/pipeline.lua '%s'"):format(name, folder, name))
    for _, verb in ipairs { 'check', 'test', 'run', 'schema', 'lane list', 'frob' } do
      local text = sh(("%s %s '%s'"):format(binary, verb, name))
      assert.is_truthy(#text > 0)
      assert.is_nil(text:find '\27' or text:find '\226\128\174', text)
    end
  end)

  it('a run with too few open files is 78, and names RLIMIT_NOFILE', function()
    local text, status = sh(('ulimit -n 32; %s run %s/good --admin off'):format(binary, folder))
    assert.are.equal(78, status, text)
    assert.is_truthy(text:find('RLIMIT_NOFILE is 32', 1, true), text)
    assert.is_truthy(text:find('ulimit -n', 1, true), text)
  end)

  -- A file that is another one at each reading, as one that is being written.
  local CHANGING = "unshare -rm sh -c 'mount --bind /proc/sys/kernel/random/uuid %s "
    .. "&& %s 2>&1'"
  local test = select(2, sh(CHANGING:format('/dev/null', 'true'))) == 0 and it or pending

  test('a pipeline whose files change while they are read is 75', function()
    sh(('cp -r %s/good %s/changing; touch %s/changing/a.lua'):format(folder, folder, folder))
    local text, status = sh(CHANGING:format(folder .. '/changing/a.lua',
      binary .. ' schema ' .. folder .. '/changing'))
    assert.are.equal(75, status, text)
    assert.is_truthy(text:find('its files change while they are read: try again', 1, true),
      text)
  end)

  it('a run that raises its soft limit as far as it may, and says when that is little',
    function()
      -- The name ends it, behind the look at limits.
      local command = ('ulimit -S -n 40; ulimit -H -n %%d; %s run %s/good --admin off '
        .. '--instance %s'):format(binary, folder, ('x'):rep(250))
      local few, status = sh(command:format(100))
      assert.are.equal(78, status, few)
      assert.is_truthy(few:find('few files may be open', 1, true), few)
      assert.is_truthy(few:find('RLIMIT_NOFILE=100', 1, true), few)
      assert.is_nil(sh(command:format(1024)):find('RLIMIT_NOFILE', 1, true))
    end)
end)
