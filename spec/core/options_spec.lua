-- What librdkafka is told of the pipeline's options, whatever its version is.
local ffi = require 'ffi'
local core = require 'spec.core.core'
local C = core.lib

core.headers('base/err.h', 'model/type.h', 'model/plan.h')
ffi.cdef [[
void *settings_consumer(const struct plan_source *, const char *, struct err *);
uint64_t settings_inbox_bytes(int);
int rd_kafka_conf_get(const void *, const char *, char *, size_t *);
void rd_kafka_conf_destroy(void *);
]]

--- Looks at the settings of a pipeline with these options; or what it is told.
local function with(options, look)
  local e, plan = ffi.new('struct err'), ffi.new('struct plan_source')
  local list, n = ffi.new('struct plan_option[8]'), 0
  for name, value in pairs(options) do
    list[n].name, list[n].value = name, value
    n = n + 1
  end
  plan.brokers, plan.group, plan.options, plan.n_options = 'localhost:1', 'g', list, n
  local conf = C.settings_consumer(plan, nil, e)
  if conf == nil then return ffi.string(e.text) end
  local text, size = ffi.new('char[200]'), ffi.new('size_t[1]')
  look(function(name)
    size[0] = 200
    if C.rd_kafka_conf_get(conf, name, text, size) == 0 then return ffi.string(text) end
  end)
  C.rd_kafka_conf_destroy(conf)
end

describe('the settings of the consumer', function()
  it('fetch ahead for as long as a full prefetch waits, which not every librdkafka lets choose', function()
    with({}, function(get)
      local is_brief = get 'fetch.queue.backoff.ms' ~= nil
      if is_brief then assert.are.equal('50', get 'fetch.queue.backoff.ms') end
      assert.are.equal(is_brief and '20000' or '200000', get 'queued.min.messages')
      assert.are.equal(is_brief and '16384' or '65536', get 'queued.max.messages.kbytes')
      assert.are.equal(is_brief and '524288' or '1048576', get 'max.partition.fetch.bytes')
    end)
  end)

  it('keep as much in Tidemill as that librdkafka needs', function()
    local function megabytes(version) return tonumber(C.settings_inbox_bytes(version)) / 1048576 end
    assert.same({ 32, 32, 16, 16 }, { megabytes(0x020002ff), megabytes(0x020100ff),
      megabytes(0x020200ff), megabytes(0x020e02ff) })
  end)

  it('give way to what the pipeline says of the prefetch', function()
    with({ ['queued.min.messages'] = '77' }, function(get)
      assert.are.equal('77', get 'queued.min.messages')
    end)
  end)

  it('share out lanes by the protocol that hands them over all at once, whatever is the default', function()
    with({}, function(get)
      local protocol = get 'group.protocol'
      assert.is_true(protocol == nil or protocol == 'classic')
    end)
    assert.matches('cannot be set in options: it is classic',
      with({ ['group.protocol'] = 'consumer' }))
    assert.matches('must be roundrobin or range',
      with({ ['partition.assignment.strategy'] = 'cooperative-sticky' }))
  end)
end)
