-- Reads topics for specs, from their first record on: what was really written,
-- as bytes.
local ffi = require 'ffi'
require 'kafka'
require 'kafka_admin'

ffi.cdef [[
typedef struct {
  int err; void *rkt; int32_t partition; char *payload; size_t len;
  char *key; size_t key_len; int64_t offset; void *_private;
} rd_kafka_message_t;
typedef struct rd_kafka_headers_s rd_kafka_headers_t;
int rd_kafka_assign(rd_kafka_t *, const rd_kafka_topic_partition_list_t *);
rd_kafka_message_t *rd_kafka_consumer_poll(rd_kafka_t *, int);
void rd_kafka_message_destroy(rd_kafka_message_t *);
int rd_kafka_message_headers(const rd_kafka_message_t *, rd_kafka_headers_t **);
int rd_kafka_header_get_all(const rd_kafka_headers_t *, size_t, const char **,
  const void **, size_t *);
const char *rd_kafka_topic_name(const void *);
int rd_kafka_poll_set_consumer(rd_kafka_t *);
int rd_kafka_consumer_close(rd_kafka_t *);
int rd_kafka_subscribe(rd_kafka_t *, const rd_kafka_topic_partition_list_t *);
]]

local loaded, rd = pcall(ffi.load, 'rdkafka')
if not loaded then rd = ffi.load('librdkafka.so.1') end

local CONSUMER = 1

local M = {}
local Reader = {}
Reader.__index = Reader

local function bytes(pointer, n)
  return pointer ~= nil and ffi.string(pointer, n) or nil
end

local function headers_of(message)
  local headers = {}
  local out = ffi.new('rd_kafka_headers_t *[1]')
  if rd.rd_kafka_message_headers(message, out) ~= 0 then return headers end
  local name, value = ffi.new('const char *[1]'), ffi.new('const void *[1]')
  local size, i = ffi.new('size_t[1]'), 0
  while rd.rd_kafka_header_get_all(out[0], i, name, value, size) == 0 do
    headers[ffi.string(name[0])] = bytes(value[0], size[0]) or ''
    i = i + 1
  end
  return headers
end

local Member = {}
Member.__index = Member

--- A consumer of other people that joins [group] and reads [topic].
function M.member(group, topic)
  local reason = ffi.new('char[512]')
  local conf = rd.rd_kafka_conf_new()
  for name, value in pairs {
    ['bootstrap.servers'] = os.getenv('KAFKA_BROKERS'), ['group.id'] = group,
    ['client.id'] = 'stranger', ['enable.auto.commit'] = 'false',
    ['partition.assignment.strategy'] = 'roundrobin', log_level = '3',
    -- Of one that leaves while the broker is away the group waits no longer.
    ['session.timeout.ms'] = '6000',
  } do
    assert(rd.rd_kafka_conf_set(conf, name, value, reason, 512) == 0, name)
  end
  local handle = rd.rd_kafka_new(CONSUMER, conf, reason, 512)
  assert(handle ~= nil, ffi.string(reason))
  local list = rd.rd_kafka_topic_partition_list_new(1)
  rd.rd_kafka_topic_partition_list_add(list, topic, -1)
  assert(rd.rd_kafka_subscribe(handle, list) == 0)
  rd.rd_kafka_topic_partition_list_destroy(list)
  rd.rd_kafka_poll_set_consumer(handle)
  return setmetatable({ handle = handle }, Member)
end

--- Takes part in rebalances; what it reads is thrown away.
function Member:poll()
  local message = rd.rd_kafka_consumer_poll(self.handle, 0)
  if message ~= nil then rd.rd_kafka_message_destroy(message) end
end

function Member:close()
  rd.rd_kafka_consumer_close(self.handle)
  rd.rd_kafka_destroy(self.handle)
end

--- [topics]: partition counts by name; they must exist.
function M.new(topics)
  local reason = ffi.new('char[512]')
  local conf = rd.rd_kafka_conf_new()
  for name, value in pairs {
    ['bootstrap.servers'] = os.getenv('KAFKA_BROKERS'), ['group.id'] = 'reader',
    ['enable.auto.commit'] = 'false', ['auto.offset.reset'] = 'earliest',
    ['fetch.wait.max.ms'] = '20', log_level = '3',
  } do
    assert(rd.rd_kafka_conf_set(conf, name, value, reason, 512) == 0, name)
  end
  local handle = rd.rd_kafka_new(CONSUMER, conf, reason, 512)
  assert(handle ~= nil, ffi.string(reason))
  rd.rd_kafka_poll_set_consumer(handle)
  local list = rd.rd_kafka_topic_partition_list_new(16)
  for topic, n_partitions in pairs(topics) do
    for i = 0, n_partitions - 1 do
      rd.rd_kafka_topic_partition_list_add(list, topic, i).offset = 0
    end
  end
  assert(rd.rd_kafka_assign(handle, list) == 0, 'kafka: the topics cannot be read')
  rd.rd_kafka_topic_partition_list_destroy(list)
  return setmetatable({ handle = ffi.gc(handle, rd.rd_kafka_destroy) }, Reader)
end

--- The next record { topic, partition, offset, key, value, headers }, or nil
--- when none came within [timeout_ms].
function Reader:next(timeout_ms)
  local message = rd.rd_kafka_consumer_poll(self.handle, timeout_ms or 200)
  if message == nil then return nil end
  local record
  if message.err == 0 then
    record = {
      topic = ffi.string(rd.rd_kafka_topic_name(message.rkt)),
      partition = message.partition, offset = tonumber(message.offset),
      key = bytes(message.key, message.key_len),
      value = bytes(message.payload, message.len), headers = headers_of(message),
    }
  end
  rd.rd_kafka_message_destroy(message)
  return record
end

function Reader:close()
  rd.rd_kafka_consumer_close(self.handle)
  rd.rd_kafka_destroy(ffi.gc(self.handle, nil))
end

return M
