-- busted's output here: one line a spec, failures in full at the end, and the
-- counts appended to the file $TIDEMILL_COUNTS for the runner to add up.
return function()
  local busted = require 'busted'
  local handler = require 'busted.outputHandlers.base'()

  local function clock() return require('system').monotime() end
  local started = {}

  handler.testStart = function(element)
    started[element] = clock()
    return nil, true
  end

  handler.testEnd = function(element, _, status)
    local word = ({ success = 'ok  ', pending = 'skip' })[status] or 'FAIL'
    local seconds = clock() - (started[element] or clock())
    started[element] = nil
    local time = seconds >= 0.5 and (' (%.1f s)'):format(seconds) or ''
    io.write(word, ' ', (handler.getFullName(element):gsub('%c', ' ')), time, '\n')
    io.flush()
    return nil, true
  end

  local function print_failures(list)
    for _, failure in ipairs(list) do
      local message = failure.message
      if type(message) ~= 'string' then
        message = require('pl.pretty').write(message)
      end
      local trace = failure.trace or {}
      io.write('\nFAILED ', failure.name or failure.element.name or '?', '\n  ',
        (trace.short_src or '?') .. ':' .. (trace.currentline or 0), '\n')
      io.write('  ', (message:gsub('\n', '\n  ')), '\n')
    end
  end

  handler.suiteEnd = function()
    print_failures(handler.failures)
    print_failures(handler.errors)
    local path = os.getenv('TIDEMILL_COUNTS')
    local f = path and io.open(path, 'a')
    if f then
      f:write(handler.successesCount, ' ', handler.failuresCount + handler.errorsCount,
        ' ', handler.pendingsCount, '\n')
      f:close()
    end
    return nil, true
  end

  busted.subscribe({ 'test', 'start' }, handler.testStart)
  busted.subscribe({ 'test', 'end' }, handler.testEnd)
  busted.subscribe({ 'suite', 'end' }, handler.suiteEnd)
  return handler
end
