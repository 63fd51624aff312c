-- The lines of the log in their formats, from a process of its own each time.
local ffi = require 'ffi'
local core = require 'spec.core.core'
local json = require 'cjson'
local C = core.lib

core.headers('base/err.h', 'base/log.h', 'base/say.h')
pcall(ffi.cdef, 'int fork(void);')
pcall(ffi.cdef, 'int waitpid(int, int *, int);')
pcall(ffi.cdef, 'void _exit(int);')
pcall(ffi.cdef, 'int setenv(const char *, const char *, int);')
pcall(ffi.cdef, 'int unsetenv(const char *);')
ffi.cdef [[
int open(const char *, int, int);
int dup2(int, int);
]]
local WRITE = 1 + 64 + 512 -- O_WRONLY, O_CREAT, O_TRUNC

local VARIABLES = { 'TIDEMILL_LOG', 'TIDEMILL_LOG_FORMAT', 'TIDEMILL_LOG_PREFIX', 'JOURNAL_STREAM' }

-- What [write] leaves on stderr, with these variables; or why they are refused.
local function said(env, write)
  local path = os.tmpname()
  local pid = C.fork()
  if pid == 0 then
    C.dup2(C.open(path, WRITE, 384), 2)
    for _, name in ipairs(VARIABLES) do C.unsetenv(name) end
    for name, value in pairs(env) do
      C.setenv(name, type(value) == 'function' and value(path) or value, 1)
    end
    local e = ffi.new('struct err')
    if C.log_read_settings(e) then
      write()
    else
      io.stderr:write('refused: ', ffi.string(e.text))
    end
    C._exit(0)
  end
  C.waitpid(pid, ffi.new('int[1]'), 0)
  local file = assert(io.open(path))
  local text = file:read('*a')
  file:close()
  os.remove(path)
  return text
end

local JSON = { TIDEMILL_LOG_FORMAT = 'json' }

-- The objects of the lines; a key that stands twice is an error.
local function objects(text)
  local list = {}
  for line in text:gmatch('([^\n]*)\n') do
    local ok, object = pcall(json.decode, line)
    local seen = {}
    assert(ok, line)
    for key in line:gmatch '[{,]"([%w_]+)":' do
      assert(not seen[key], key .. ' twice: ' .. line)
      seen[key] = true
    end
    list[#list + 1] = object
  end
  assert(text:sub(-1) == '\n', text)
  return list
end

local function int(n) return ffi.cast('long long', n) end

describe('the log as JSON', function()
  it('is an object a line, with what the line is of', function()
    local text = said(JSON, function()
      C.log_setup('worker-3')
      C.log_of_pipeline('bank')
      C.log_line(C.LOG_WARN, 'lane is halted',
        'lane=%s/%d position=%lld sqlstate=%s error=%s share=%.1f', 'a.b-c', ffi.cast('int', 7),
        int(12), '40001', C.log_quote('it "stands"\nhere'), 0.5)
    end)
    local line = objects(text)[1]
    assert.matches('^%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%d%.%d%d%dZ$', line.time)
    assert.is_number(line.pid)
    line.time, line.pid = nil, nil
    assert.are.same({ level = 'warn', process = 'worker-3', worker = 3, pipeline = 'bank',
      message = 'lane is halted', topic = 'a.b-c', partition = 7, position = 12,
      sqlstate = '40001', reason = 'it "stands"\nhere', share = 0.5 }, line)
  end)

  it('has no key twice, whatever fields are called', function()
    local text = said(JSON, function()
      C.log_of_pipeline('bank')
      C.log_line(C.LOG_INFO, 'started', 'pipeline=%s pid=%d time=%s level=%s message=%s process=%s',
        'bank', ffi.cast('int', 5), 'x', 'y', 'z', 'p')
    end)
    local line = objects(text)[1]
    assert.are.equal(5, line.worker_pid)
    assert.are.same({ 'started', 'x', 'y', 'z', 'p' },
      { line.message, line.time_, line.level_, line.message_, line.process_ })
  end)

  it('takes no words of a value for a field', function()
    local text = said(JSON, function()
      C.log_line(C.LOG_INFO, 'x', 'topic=%s offset=%lld', 'a message=b pid=4 =c', int(5))
      C.log_line(C.LOG_INFO, 'x', 'topic=%s offset=%lld', '1', int(5))
    end)
    local first, second = unpack(objects(text))
    assert.are.same({ 'x', 'a message=b pid=4 =c', 5 }, { first.message, first.topic, first.offset })
    assert.are.equal('1', second.topic)
  end)

  it('is valid whatever bytes are in it', function()
    local all = {}
    for i = 1, 255 do all[i] = string.char(i) end
    local texts = { table.concat(all), ('\xff'):rep(5000), ('"\\'):rep(4000), ('\n'):rep(9000),
      '\xe2\x80\xae reversed', '\xf0\x9f\x98\x80', '\xed\xa0\x80', '\xf4\x90\x80\x80', '\xc3', '' }
    local text = said(JSON, function()
      for _, t in ipairs(texts) do
        C.log_line(C.LOG_INFO, t, 'why=%s n=%d', C.log_quote(t), ffi.cast('int', 1))
        C.log_line(C.LOG_INFO, 'x', 'name=%s', t)
        C.log_complain(t .. '\n')
        C.log_foreign(t, #t)
        C.err_last_words('x', 'at=%s', t)
      end
    end)
    local lines = objects(text)
    assert.are.equal(5 * #texts, #lines)
    assert.are.equal('\xef\xbf\xbd', lines[6].message:sub(1, 3))
    assert.are.equal(texts[6], lines[26].reason)
    assert.are.equal(texts[5], lines[21].message)
    assert.is_nil(text:find('[\1-\9\11-\31\127]'))
  end)

  it('has what a verb says in parts and lines as one object', function()
    local text = said(JSON, function()
      C.complain('tidemill %s: ', 'lane')
      C.complain('is wrong')
      C.complain('\nTry %s.\n', 'it')
      C.complain('\nwarning: %s\n', 'a\nb')
      C.complain('warning: c\n')
    end)
    local lines = objects(text)
    assert.are.same({ 'tidemill lane: is wrong\nTry it.', 'warning: a\nb', 'warning: c' },
      { lines[1].message, lines[2].message, lines[3].message })
    assert.are.equal('warn', lines[3].level)
    assert.are.equal('error', lines[1].level)
  end)

  it('knows its own lines from those of libraries', function()
    local whole = said(JSON, function() C.log_line(C.LOG_INFO, 'say {"time":"', nil) end):sub(1, -2)
    for line, is in pairs { [whole] = true, ['<3>' .. whole] = true, ['{}'] = false, ['{'] = false,
      ['malloc(): corrupted'] = false, [''] = false, ['<3>'] = false, ['x{}'] = false,
      ['{broken}'] = false, [whole:sub(1, -2)] = false, [whole:sub(1, 40) .. whole] = false } do
      assert.are.equal(is, C.log_is_line(line, #line), line)
    end
  end)
end)

describe('the level in front of a line', function()
  local function lines()
    C.log_line(C.LOG_ERROR, 'a', nil)
    C.log_line(C.LOG_WARN, 'b\nc', nil)
    C.log_line(C.LOG_INFO, 'd', nil)
    C.complain('one\ntwo ')
    C.complain('three\n')
  end
  local function prefixes(env)
    local out = {}
    for line in said(env, lines):gmatch '[^\n]+' do
      out[#out + 1] = line:match '^<(%d)>' or '-'
    end
    return table.concat(out)
  end
  local function id(path)
    local pipe = io.popen('stat -c %d:%i ' .. path)
    local text = pipe:read('*l')
    pipe:close()
    return text
  end

  it('is there where the journal reads stderr', function()
    assert.are.equal('34633', prefixes { JOURNAL_STREAM = id })
    assert.are.equal('34633', prefixes { TIDEMILL_LOG_PREFIX = 'auto', JOURNAL_STREAM = id })
    for _, other in ipairs { '1:2', '', 'x', '18446744073709551615:1' } do
      assert.are.equal('-----', prefixes { JOURNAL_STREAM = other })
    end
    assert.are.equal('-----', prefixes {})
  end)

  it('is as it is asked for', function()
    assert.are.equal('34633', prefixes { TIDEMILL_LOG_PREFIX = 'always' })
    assert.are.equal('-----', prefixes { TIDEMILL_LOG_PREFIX = 'never', JOURNAL_STREAM = id })
    local text = said({ TIDEMILL_LOG_PREFIX = 'always', TIDEMILL_LOG_FORMAT = 'json' }, lines)
    assert.are.equal(4, #objects((text:gsub('%f[^\n%z]<%d>', ''))))
    assert.are.equal('<3>{', text:sub(1, 4))
  end)
end)

describe('a setting of the log', function()
  it('is refused when it is none of its words, with the nearest', function()
    for env, words in pairs {
      ['TIDEMILL_LOG=wran'] = "TIDEMILL_LOG is 'wran': it must be debug, info, warn or error; "
        .. "did you mean 'warn'?",
      ['TIDEMILL_LOG=trace'] = "TIDEMILL_LOG is 'trace': it must be debug, info, warn or error",
      ['TIDEMILL_LOG_FORMAT=jsn'] = "TIDEMILL_LOG_FORMAT is 'jsn': it must be logfmt or json; "
        .. "did you mean 'json'?",
      ['TIDEMILL_LOG_PREFIX=no'] = "TIDEMILL_LOG_PREFIX is 'no': it must be auto, always or never",
      ['TIDEMILL_LOG_FORMAT=JSON'] = "TIDEMILL_LOG_FORMAT is 'JSON': it must be logfmt or json; "
        .. "did you mean 'json'?",
    } do
      local name, value = env:match '^(.-)=(.*)$'
      assert.are.equal('refused: ' .. words, said({ [name] = value }, function() end))
    end
  end)

  it('that is empty is not set', function()
    local env = {}
    for _, name in ipairs(VARIABLES) do env[name] = '' end
    assert.matches('^ts=.* level=info who=tidemill msg="x"\n$',
      said(env, function() C.log_line(C.LOG_INFO, 'x', nil) end))
  end)
end)
