-- Lua of a bundle that does not come to an end, or takes all memory, wherever `test` and
-- `check` run it: both end, naming the line.
local bundles = require 'spec.unit.bundles'

-- Tries every way to cut the text in five.
local SLOW_CALL = "string.find(('a'):rep(30000), '.-.-.-.-b')"
local HUNGRY = "local s = 'x' while true do s = s .. s end"

-- The handler has [body] in line 5; [more] stands in the projection.
local function pipeline(body, more)
  return bundles.pipeline("projection { table = 'a', key = { id = 'bigint' }, columns = { n = 'bigint' }, "
    .. 'on = function()\n' .. body .. '\nend, ' .. (more or '') .. ' }')
end

-- Its test applies one event, and is followed by another one.
local function spec(folder, body)
  return ([[
local bundle = require 'tidemill.testing'.load '%s'
describe('x', function()
  it('applies', function()
    bundle:run { events = { { key = 1, type = 'X', data = {} } } }
  end)
  it('goes on', function() end)
  it('computes', function()
    %s
  end)
end)]]):format(folder, body or '')
end

-- What [verb] prints of a bundle, and its exit status.
local function call(verb, files, body)
  local text, status
  bundles.with(files, function(folder)
    if verb == 'test' then
      os.execute('mkdir ' .. folder .. '/spec')
      local file = assert(io.open(folder .. '/spec/a_spec.lua', 'w'))
      file:write(spec(folder, body))
      file:close()
    end
    local pipe = io.popen(("env -u LD_PRELOAD TIDEMILL_TEST_SECONDS=1 timeout 60 '%s' %s %s 2>&1; echo status=$?"):format(
      os.getenv('TIDEMILL') or './tidemill', verb, folder))
    text, status = pipe:read('*a'):match('^(.*)status=(%d+)\n$')
    pipe:close()
    text = text:gsub(folder:gsub('%W', '%%%0') .. '/', '')
  end)
  return text, tonumber(status)
end

local function ends(expected, status, verb, files, body)
  local text, got = call(verb, files, body)
  assert.is_truthy(text:find(expected, 1, true), text)
  assert.are.equal(status, got, text)
  return text
end

describe('tidemill test', function()
  it('stops a handler that does not end, and runs the tests behind it', function()
    local text = ends('pipeline.lua:5: this took too long', 1, 'test', { ['pipeline.lua'] = pipeline 'while true do end' })
    assert.matches('2 successes / 0 failures / 1 error', text)
  end)
  it('stops a block of a spec, and one that catches that it was stopped', function()
    ends('spec/a_spec.lua:8: this took too long', 1, 'test', { ['pipeline.lua'] = pipeline '' },
      'while true do end')
    ends('spec/a_spec.lua:8: this took too long', 1, 'test', { ['pipeline.lua'] = pipeline '' },
      'while true do pcall(function() while true do end end) end')
  end)
  it('ends at one call that does not end, and at memory without end', function()
    ends('pipeline.lua:5: this took too long: one call', 1, 'test', { ['pipeline.lua'] = pipeline(SLOW_CALL) })
    ends('spec/a_spec.lua:8: the specs took more than 1 GiB of memory', 1, 'test',
      { ['pipeline.lua'] = pipeline '' }, HUNGRY)
  end)
  it('refuses a time that is none', function()
    local pipe = io.popen(("TIDEMILL_TEST_SECONDS=soon '%s' test examples/bank 2>&1; echo status=$?"):format(
      os.getenv('TIDEMILL') or './tidemill'))
    local text = pipe:read('*a')
    pipe:close()
    assert.matches("TIDEMILL_TEST_SECONDS is 'soon': it must be a whole number from 1 to 86400\nstatus=78", text)
  end)
end)

describe('tidemill check', function()
  local EXAMPLE = "examples = { { events = { { key = 1, type = 'X', data = {} } }, rows = {} } }"
  it('stops an example that does not end', function()
    ends('example 1 of a: pipeline.lua:5: this took too long', 78, 'check --offline',
      { ['pipeline.lua'] = pipeline('while true do end', EXAMPLE) })
    ends('pipeline.lua:5: this took too long: one call', 78, 'check --offline',
      { ['pipeline.lua'] = pipeline(SLOW_CALL, EXAMPLE) })
  end)
  it('does not wait for a secret that nobody writes', function()
    local files = { ['pipeline.lua'] = pipeline(''):gsub("'postgresql://localhost/x'", "file('/tmp/none')") }
    bundles.with({}, function(folder)
      os.execute('mkfifo ' .. folder .. '/pipe')
      files['pipeline.lua'] = files['pipeline.lua']:gsub('/tmp/none', folder .. '/pipe')
      ends('is a pipe into which nobody writes', 78, 'check --offline', files)
    end)
  end)
end)
