-- README.md, "A first projection in ten minutes", word by word but for `make`: what it
-- says to type gives what it says will be seen.
local process = require 'process'
local tidemill = require 'tidemill'

describe('the first projection of README.md', function()
  local text = tidemill.read('README.md'):match('## A first projection.-\n## ')

  local function blocks(kind)
    local list = {}
    for is, block in text:gmatch('\n```(%w*)\n(.-)\n```') do
      if is == kind then list[#list + 1] = block end
    end
    return list
  end

  it('is made, tested and run, and two events make its row', function()
    local folder = tidemill.bundle { ['x'] = '' }
    local first, second = unpack(blocks 'sh')
    local function shell(commands)
      local out = folder .. '/out'
      local p = process.start({ 'bash', '-e', '-c', 'cd ' .. folder .. '\n' .. commands },
        { out = out })
      local status = p:wait(60)
      assert.equal(0, status, tidemill.read(out))
      return tidemill.read(out)
    end
    local dev
    first = first:gsub('make[^\n]*\n', ''):gsub('%./tidemill dev[^\n]*', function(line)
      dev = line:match('^[^#]*')
      return ''
    end)
    shell(('ln -s %s tidemill\n'):format(os.getenv('TIDEMILL')) .. first)
    assert.equal(blocks('lua')[1] .. '\n',
      tidemill.read(folder .. '/shop/projections/balances.lua'))

    local log = folder .. '/dev.log'
    local run = process.start({ 'bash', '-c', 'cd ' .. folder .. ' && exec ' .. dev
      .. ' --admin off' }, { out = log })
    finally(function() run:destroy() end)
    process.wait_for('dev', 60, function()
      return tidemill.read(log):find('msg="ready"', 1, true)
    end)
    local export = tidemill.read(log):match('\n%s*(export [^\n]*)')
    assert.is_truthy(export, tidemill.read(log))
    local shown = shell(export .. '\n' .. second):gsub(' +\n', '\n')
    assert.is_truthy(shown:find(blocks('')[1], 1, true), shown)
  end)
end)
