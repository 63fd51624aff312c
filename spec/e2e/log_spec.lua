-- A run whose log nobody reads, and verbs whose output nobody takes.
local json = require 'cjson'
local kafka = require 'kafka'
local process = require 'process'
local tidemill = require 'tidemill'

local PIPE_BYTES = 65536 -- what a pipe of Linux holds
local CLOSE = {
  'nothing', '0<&-', '1>&-', '2>&-', '0<&- 1>&- 2>&-',
}

local function pipeline(name)
  return ([[
return pipeline {
  name = '%s',
  source = kafka { brokers = env('KAFKA_BROKERS'), group = '%s', topics = { '%s' },
    format = 'json', start = 'earliest' },
  database = postgres { write = env('DATABASE_URL') },
  projections = { projection { table = 'seen', append = true, columns = { n = 'bigint' },
    on = function(row, event) row.n = event.data.n end } },
}
]]):format(name, name, name)
end

describe('the log', function()
  local producer
  lazy_setup(function() producer = kafka.producer() end)

  local function case(n)
    local name = tidemill.unique('log')
    local bundle = tidemill.bundle { ['pipeline.lua'] = pipeline(name) }
    local url, db = tidemill.database(bundle)
    producer:create_topic(name, 1)
    for i = 1, n do
      producer:send { topic = name, partition = 0, value = ('{"n":%d}'):format(i) }
    end
    producer:flush()
    return { name = name, bundle = bundle, env = { DATABASE_URL = url }, db = db }
  end

  -- A run whose log is a pipe that is full already; its end for reading.
  local function start_unread(c)
    local path = ('%s/%s.pipe'):format(os.getenv('TIDEMILL_SCRATCH'), c.name)
    tidemill.shell('mkfifo ' .. path)
    local pipe = assert(io.open(path, 'r+'))
    pipe:setvbuf('no')
    assert(pipe:write(('x'):rep(PIPE_BYTES - 1) .. '\n'))
    local p = process.start({ os.getenv('TIDEMILL'), 'run', c.bundle, '--admin', 'off' },
      { out = path, env = { DATABASE_URL = c.env.DATABASE_URL,
        KAFKA_BROKERS = os.getenv('KAFKA_BROKERS'), TIDEMILL_LOG = 'debug' } })
    finally(function()
      p:destroy()
      pipe:close()
    end)
    return p, pipe
  end

  it('holds nothing up when its reader stands still, and then says what was lost',
    function()
      local c = case(50)
      local p, pipe = start_unread(c)
      process.wait_for('rows', 30, function()
        return c.db:number('SELECT count(*) FROM seen') == 50
      end)
      assert.equal(PIPE_BYTES - 1, #pipe:read('*l'))
      p:signal(process.TERM)
      local line
      repeat line = pipe:read('*l') until line:find('lines of the log were lost', 1, true)
      assert.is_true(tonumber(line:match('lines=(%d+)')) > 0, line)
      assert.equal(0, p:wait(10))
    end)

  it('does not keep a run from ending when its reader stands still', function()
    local c = case(1)
    local p = start_unread(c)
    process.wait_for('rows', 30, function()
      return c.db:number('SELECT count(*) FROM seen') == 1
    end)
    p:signal(process.TERM)
    assert.equal(0, p:wait(10))
  end)

  it('is JSON in every line that wants to be, also of what dies', function()
    local c = case(3)
    c.env.TIDEMILL_LOG_FORMAT = 'json'
    local run = tidemill.start(c.bundle, { env = c.env })
    finally(function() run:destroy() end)
    run:wait_ready()
    local worker = run:workers()[1]
    -- What a library says before it ends the process.
    local words = [[printf "malloc(): corrupted \377 top size\n"]]
    tidemill.shell(("%s >/proc/%d/fd/2"):format(words, worker))
    process.signal(worker, process.KILL)
    run:wait_for('another worker', 30, function()
      return run:metric('worker_restarts_total') == 1
    end)
    run:wait_ready()
    assert.equal(0, (run:stop()))
    local seen = {}
    for line in run:text():gmatch '[^\n]+' do
      local object = json.decode(line)
      assert.is_true(object.process == "supervisor" or object.process == "worker-0", line)
      assert.equal(c.name, object.pipeline)
      seen[object.message] = object
    end
    assert.equal(worker, seen['worker ended; starting another'].worker_pid)
    assert.equal('error', seen['malloc(): corrupted \239\191\189 top size'].level)
    assert.is_number(seen.stopped.events)
    local result = tidemill.call({ 'run', '/nowhere/at all' }, { env = c.env })
    assert.matches('no such pipeline', json.decode(result.err).message)
  end)

  it('goes to no socket or file when standard descriptors are closed', function()
    local c = case(3)
    for _, how in ipairs(CLOSE) do
      local text, status = tidemill.shell(('DATABASE_URL=%s %s run %s --until-end '
        .. '--instance log --admin 127.0.0.1:%d %s'):format(c.env.DATABASE_URL,
        os.getenv('TIDEMILL'), c.bundle, tidemill.free_port(),
        how == 'nothing' and '' or how))
      assert.equal(0, status, how .. text)
    end
    assert.equal(3, c.db:number('SELECT count(*) FROM seen'))
  end)
end)

describe('a verb whose output cannot be written', function()
  for _, words in ipairs { 'check examples/bank --offline', 'schema examples/bank',
    'connector examples/mirror', 'explain 23505', 'version', 'help', 'help lane',
    'test examples/bank', 'dlq list --help',
    'init "$(mktemp -d -p "$TIDEMILL_SCRATCH")"' } do
    it('says so and exits with 74: ' .. words, function()
      for _, to in ipairs { '>/dev/full', '>&-' } do
        local text, status = tidemill.shell(('DATABASE_URL=postgresql://x/y %s %s %s')
          :format(os.getenv('TIDEMILL'), words, to))
        assert.equal(74, status, to .. text)
        assert.matches('tidemill: cannot write all of it to stdout', text, 1, true)
      end
    end)
  end

  it('says so when its file may not grow', function()
    local path = os.getenv('TIDEMILL_SCRATCH') .. '/may_not_grow'
    local text, status = tidemill.shell(('(ulimit -f 0; exec %s help >%s)')
      :format(os.getenv('TIDEMILL'), path))
    assert.equal(74, status, text)
    assert.matches('cannot write all of it to stdout: File too large', text, 1, true)
  end)

  it('says nothing to whoever has read enough', function()
    for _, words in ipairs { 'help', 'connector examples/mirror',
      'test examples/bank -o TAP' } do
      local text = tidemill.shell(('(sleep 0.1; DATABASE_URL=postgresql://x/y %s %s; '
        .. 'echo status=$? >&2) | true'):format(os.getenv('TIDEMILL'), words))
      assert.matches('status=74', text)
      assert.is_nil(text:find('cannot write', 1, true), text)
    end
  end)
end)
