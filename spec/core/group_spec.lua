-- What is asked of the group, against brokers that do not know such questions.
local ffi = require 'ffi'
local flow = require 'spec.core.flow'
local core = require 'spec.core.core'
local process = require 'process'
local C = core.lib

describe('the question who is in the group', function()
  it('has no answer where brokers do not know it, and may be asked again', function()
    assert(flow)
    local loop, e = C.loop_new(), ffi.new('struct err')
    local topics = ffi.new('const char *[1]', { 't' })
    local options = ffi.new('struct plan_option[1]')
    options[0].name, options[0].value = 'test.mock.num.brokers', '3'
    local plan = ffi.new('struct plan_source')
    plan.brokers, plan.group, plan.topics, plan.n_topics = 'localhost:1', 'g', topics, 1
    plan.options, plan.n_options = options, 1
    local source = C.source_new(loop, plan, nil, ffi.cast('loop_fn', C.loop_stop),
      loop, e)
    assert(source ~= nil, ffi.string(e.text))
    finally(function() C.source_free(source) C.loop_free(loop) end)
    local n, holder = ffi.new('int32_t[1]'), ffi.new('struct holder')
    process.wait_for('the brokers', 20, function()
      return C.source_count_partitions(source, n, e)
    end)
    for _ = 1, 50 do
      C.source_ask_members(source)
      assert.equal(tonumber(C.HOLDER_UNKNOWN),
        tonumber(C.source_holder(source, 't', 0, holder)))
      process.sleep(0.02)
    end
  end)
end)
