-- What becomes of a producer that librdkafka has given up.
local ffi = require 'ffi'
local core = require 'spec.core.core'
local C = core.lib

core.headers('base/err.h', 'model/record.h')
ffi.cdef 'struct plan_option;'
core.headers('kafka/producer.h')
ffi.cdef 'int rd_kafka_test_fatal_error(void *rk, int code, const char *reason);'
local rd = ffi.load 'librdkafka.so.1'
local CLUSTER_AUTHORIZATION_FAILED = 31

describe('a producer', function()
  it('that Kafka does not let produce says why, and is over', function()
    local e = ffi.new('struct err')
    local producer = ffi.gc(C.producer_new('127.0.0.1:1', nil, 0, e), C.producer_free)
    local record = ffi.new('struct producer_record', { topic = 'dead', partition = -1 })
    assert.is_true(C.producer_send(producer, record, e))
    assert.is_false(C.producer_is_over(producer))
    rd.rd_kafka_test_fatal_error(ffi.cast('void **', producer)[0], CLUSTER_AUTHORIZATION_FAILED, 'no right for it')
    assert.is_false(C.producer_send(producer, record, e))
    assert.is_truthy(ffi.string(e.text):find('no right for it', 1, true), ffi.string(e.text))
    assert.is_true(C.producer_is_over(producer))
  end)
end)
