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

local ENDLESS = 'while true do end'
local EXAMPLE = "examples = { { events = { { key = 1, type = 'X', data = {} } }, rows = {} } }"
local CAUGHT = 'while true do pcall(function() while true do end end) end'

-- What a verb is called with, by name: of `test`, the handler and a block of a spec;
-- of `check`, the handler of an example.
local CALLS = {
  handler = { 'test', pipeline(ENDLESS) },
  block = { 'test', pipeline '', ENDLESS },
  caught = { 'test', pipeline '', CAUGHT },
  slow_call = { 'test', pipeline(SLOW_CALL) },
  hungry = { 'test', pipeline '', HUNGRY },
  example = { 'check --offline', pipeline(ENDLESS, EXAMPLE) },
  slow_example = { 'check --offline', pipeline(SLOW_CALL, EXAMPLE) },
  pipe = { 'check --offline', (pipeline(''):gsub("'postgresql://localhost/x'", "file('FOLDER/fifo')")) },
}
local BINARY = os.getenv('TIDEMILL') or './tidemill'

local function output(command)
  local pipe = io.popen(command)
  local text = pipe:read('*a')
  pipe:close()
  return text
end

-- All of them at once, since each waits for its end: name -> what it printed, and its
-- exit status.
local function call_all(folder)
  local commands = {}
  for name, call in pairs(CALLS) do
    commands[#commands + 1] = ("{ TIDEMILL_TEST_SECONDS=1 timeout 120 '%s' %s %s/%s; echo status=$?; } >%s/%s.out 2>&1 &")
      :format(BINARY, call[1], folder, name, folder, name)
  end
  os.execute(table.concat(commands, '\n') .. '\nwait')
  local results = {}
  for name in pairs(CALLS) do
    local text, status = output(('cat %s/%s.out'):format(folder, name)):match('^(.*)status=(%d+)\n$')
    results[name] = { text = bundles.without_folder(text, folder .. '/' .. name), status = tonumber(status) }
  end
  return results
end

local results
lazy_setup(function()
  bundles.with({}, function(folder)
    for name, call in pairs(CALLS) do
      bundles.write(folder, name .. '/pipeline.lua', (call[2]:gsub('FOLDER', folder)))
      if call[1] == 'test' then
        bundles.write(folder, name .. '/spec/a_spec.lua', spec(folder .. '/' .. name, call[3]))
      end
    end
    os.execute('mkfifo ' .. folder .. '/fifo')
    results = call_all(folder)
  end)
end)

local function ends(name, status, expected)
  local got = results[name]
  assert.is_truthy(got.text:find(expected, 1, true), got.text)
  assert.are.equal(status, got.status, got.text)
  return got.text
end

describe('tidemill test', function()
  it('stops a handler that does not end, and runs the tests behind it', function()
    assert.matches('2 successes / 0 failures / 1 error', ends('handler', 1, 'pipeline.lua:5: this took too long'))
  end)
  it('stops a block of a spec, and one that catches that it was stopped', function()
    ends('block', 1, 'spec/a_spec.lua:8: this took too long')
    ends('caught', 1, 'spec/a_spec.lua:8: this took too long')
  end)
  it('ends at one call that does not end, and at memory without end', function()
    ends('slow_call', 1, 'pipeline.lua:5: this took too long: one call')
    ends('hungry', 1, 'spec/a_spec.lua:8: the specs took more than 1 GiB of memory')
  end)
  it('refuses a time that is none', function()
    assert.matches("TIDEMILL_TEST_SECONDS is 'soon': it must be a whole number from 1 to 86400\nstatus=78",
      output(("TIDEMILL_TEST_SECONDS=soon '%s' test examples/bank 2>&1; echo status=$?"):format(BINARY)))
  end)
end)

describe('tidemill check', function()
  it('stops an example that does not end', function()
    ends('example', 78, 'example 1 of a failed: pipeline.lua:5: this took too long')
    ends('slow_example', 78, 'pipeline.lua:5: this took too long: one call')
  end)
  it('does not wait for a secret that nobody writes', function()
    ends('pipe', 78, 'is a pipe into which nobody writes')
  end)
end)
