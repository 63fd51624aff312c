-- A pipeline that has no position yet, and tables that have rows already: all history
-- is counted into them only when somebody says so.
local json = require 'cjson'
local counts = require 'counts'
local kafka = require 'kafka'
local tidemill = require 'tidemill'

local producer

-- The bundle with its [from] (a plain text) made [to].
local function change(s, from, to)
  local path = s.bundle .. '/pipeline.lua'
  local text = tidemill.read(path)
  local at, behind = text:find(from, 1, true)
  assert(at, from .. ' is not in ' .. text)
  tidemill.write(path, text:sub(1, at - 1) .. to .. text:sub(behind + 1))
end

local function rename(s, to)
  change(s, ("name = '%s'"):format(s.name), ("name = '%s'"):format(to))
  change(s, ("group = '%s'"):format(s.group), ("group = '%s_%s'"):format(s.topic, to))
  s.name, s.group = to, s.topic .. '_' .. to
end

local function run(s, ...)
  return tidemill.until_end(s.bundle, { env = s.env, args = { ... } })
end

local function applies(s, n, ...)
  local result = run(s, ...)
  assert.equal(0, result.status, result.text)
  assert.equal(n, s.n_events())
end

local function refuses(s, ...)
  local before = s.n_events()
  local result = run(s)
  assert.equal(65, result.status, result.text)
  local words = { 'table counts has rows', 'no position yet', 'onto_rows', ... }
  for _, word in ipairs(words) do
    assert.is_truthy(result.err:find(word, 1, true), word .. ' is not in ' .. result.err)
  end
  assert.equal(before, s.n_events())
  assert.equal(0, s.db:number(("SELECT count(*) FROM tidemill.lane WHERE pipeline = '%s'")
    :format(s.name)))
end

local function check(s, ...)
  local result = tidemill.call({ 'check', s.bundle, ... }, { env = s.env })
  assert.equal(0, result.status, result.text)
  return result.text
end

describe('a pipeline without a position whose tables have rows', function()
  lazy_setup(function() producer = producer or kafka.producer() end)

  it('counts nothing into them before it is told to, and names who was there', function()
    local s = counts.new { producer = producer, partitions = 2 }
    s.send_good(20)
    applies(s, 20)
    assert.is_nil(check(s):find('no position', 1, true))
    rename(s, 'other')
    refuses(s, "was it renamed? 'counts' has positions")
    assert.matches("warning: .*counts has rows, but pipeline 'other'.*'counts'", check(s))
    local found = json.decode(check(s, '--json')).findings
    assert.same({ 1, 'table', 'warning', 'counts' },
      { #found, found[1].code, found[1].severity, found[1].place })
    assert.matches('^table counts has rows, but', found[1].what)
    change(s, "start = 'earliest'", "start = 'group'")
    refuses(s)
    change(s, "start = 'group'", "start = '2020-01-01T00:00:00Z'")
    refuses(s, "was it renamed? 'counts' has positions")
    change(s, ", start = '2020-01-01T00:00:00Z'", '')
    refuses(s)

    -- What a new name may mean: the old one again, its positions, or all once more.
    rename(s, 'counts')
    change(s, ("group = '%s'"):format(s.group), ("group = '%s'"):format(s.topic))
    s.send_good(5, 21)
    applies(s, 25)
    s.group = s.topic
    rename(s, 'third')
    s.db:rows "UPDATE tidemill.lane SET pipeline = 'third' WHERE pipeline = 'counts'"
    s.send_good(5, 26)
    applies(s, 30)
    rename(s, 'fourth')
    change(s, "format = 'json'",
      "format = 'json', start = { 'earliest', onto_rows = true }")
    applies(s, 60)
    assert.matches('onto_rows = true has done its work', check(s))
  end)

  it('may be told to begin later, and may repeat what changes nothing', function()
    local s = counts.new { producer = producer }
    s.send_good(5)
    applies(s, 5)
    rename(s, 'later')
    change(s, "start = 'earliest'", "start = 'latest'")
    applies(s, 5)
    local once = counts.new { producer = producer, topic = s.topic, name = 'once',
      group = s.topic .. '_once',
      projection = [[return projection { table = 'counts', once = { n = 'data.amount' },
        key = { id = { 'bigint', from = 'key' } },
        columns = { n = 'bigint', seen = 'bigint' }, initial = { seen = 0 },
        on = { add = function(row) row.seen = row.seen + 1 end } }]] }
    applies(once, 5)
    rename(once, 'again')
    applies(once, 5)
    assert.equal(5, once.db:number('SELECT sum(seen) FROM counts'))
  end)

  it('may begin at a time where nobody else has read, or where it is told to', function()
    local s = counts.new { producer = producer }
    s.db:rows 'INSERT INTO counts (id, n) VALUES (77, 5)'
    change(s, "start = 'earliest'", "start = '2020-01-01T00:00:00Z'")
    s.send_good(5)
    applies(s, 10)
    rename(s, 'other')
    change(s, "'2020-01-01T00:00:00Z'", "{ '2020-01-01T00:00:00Z', onto_rows = true }")
    applies(s, 15)
  end)

  it('of which workers begin at the same time are all let in', function()
    local s = counts.new { producer = producer, partitions = 12 }
    s.send_good(600)
    local result = run(s, '--workers', '4')
    assert.equal(0, result.status, result.text)
    assert.is_nil(result.text:find('no position yet', 1, true))
    assert.equal(600, s.n_events())
    -- Nor is a topic that comes later asked about.
    local more = s.topic .. '_more'
    producer:create_topic(more, 1)
    producer:send { topic = more, partition = 0, key = '1', value = '{"kind":"add"}' }
    producer:flush()
    change(s, ("topics = { '%s' }"):format(s.topic),
      ("topics = { '%s', '%s' }"):format(s.topic, more))
    applies(s, 601, '--workers', '4')
  end)
end)

describe('tidemill init', function()
  it('names a pipeline and its group after the folder', function()
    local base = os.getenv('TIDEMILL_SCRATCH') .. '/' .. tidemill.unique('init')
    for folder, name in pairs {
      ['shop'] = 'shop', ['./a b/x/../my orders!/'] = 'my-orders-', ['日本'] = 'pipeline',
    } do
      local path = base .. '/' .. folder
      tidemill.shell(("mkdir -p '%s'"):format(path))
      local made = tidemill.call { 'init', path }
      assert.equal(0, made.status, made.text)
      local text = tidemill.read(path .. '/pipeline.lua')
      assert.is_truthy(text:find(("name = '%s'"):format(name), 1, true), text)
      assert.is_truthy(text:find(("group = '%s'"):format(name), 1, true), text)
      assert.is_nil(text:find("start = 'earliest'", 1, true))
      local checked = tidemill.call { 'check', path, '--offline' }
      assert.equal(0, checked.status, checked.text)
    end
  end)
end)
