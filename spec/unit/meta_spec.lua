local dsl = require 'tidemill.dsl'
local schema = require 'tidemill.schema'

local function read(path)
  local file = assert(io.open(path))
  local text = file:read('*a')
  file:close()
  return text
end

local meta = read(package.searchpath('tidemill.meta', package.path))

-- The stubs are what editors know: each key and each global has one.
describe('meta', function()
  local classes = {
    pipeline = 'PipelineSpec', kafka = 'KafkaSpec', postgres = 'PostgresSpec', projection = 'ProjectionSpec',
    failure = 'FailureSpec', topic = 'TopicSpec',
  }
  for word, class in pairs(classes) do
    it('has every key of ' .. word, function()
      local body = meta:match('%-%-%-@class tidemill%.' .. class .. '%f[^%w][^\n]*\n(.-)\n\n')
      for name, field in pairs(schema[word]) do
        -- A class inherits what is said of topics.
        if not field.later and (word == 'topic' or schema.topic[name] ~= field) then
          assert.is_truthy(body:find('@field ' .. name .. ' ', 1, true), name)
        end
      end
    end)
  end
  it('has every global', function()
    local names = { 'rule', 'env', 'file' }
    for _, word in ipairs(dsl.WORDS) do names[#names + 1] = word end
    for name in pairs(require('tidemill.decimal').globals) do names[#names + 1] = name end
    for _, name in ipairs(names) do
      assert.is_truthy(meta:find('\nfunction ' .. name .. '(', 1, true), name)
    end
  end)
end)
