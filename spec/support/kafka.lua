-- Kafka for specs and benches, by librdkafka: topics, and a fast producer.
local ffi = require 'ffi'

ffi.cdef [[
typedef struct rd_kafka_s rd_kafka_t;
typedef struct rd_kafka_conf_s rd_kafka_conf_t;
typedef struct rd_kafka_queue_s rd_kafka_queue_t;
typedef struct rd_kafka_event_s rd_kafka_event_t;
typedef struct rd_kafka_NewTopic_s rd_kafka_NewTopic_t;
typedef struct rd_kafka_AdminOptions_s rd_kafka_AdminOptions_t;
typedef struct rd_kafka_topic_result_s rd_kafka_topic_result_t;
typedef struct rd_kafka_error_s rd_kafka_error_t;
typedef struct {
  int vtype;
  union {
    const char *cstr;
    int i;
    int32_t i32;
    int64_t i64;
    struct { const void *ptr; size_t size; } mem;
    struct { const char *name; const void *val; ssize_t size; } header;
    char pad[64];
  } u;
} rd_kafka_vu_t;
struct rd_kafka_metadata_partition {
  int32_t id; int err; int32_t leader;
  int replica_cnt; int32_t *replicas; int isr_cnt; int32_t *isrs;
};
struct rd_kafka_metadata_topic {
  char *topic; int partition_cnt;
  struct rd_kafka_metadata_partition *partitions; int err;
};
struct rd_kafka_metadata {
  int broker_cnt; void *brokers; int topic_cnt;
  struct rd_kafka_metadata_topic *topics;
};
int rd_kafka_version(void);
rd_kafka_conf_t *rd_kafka_conf_new(void);
int rd_kafka_conf_set(rd_kafka_conf_t *, const char *, const char *, char *, size_t);
rd_kafka_t *rd_kafka_new(int, rd_kafka_conf_t *, char *, size_t);
void rd_kafka_destroy(rd_kafka_t *);
int rd_kafka_poll(rd_kafka_t *, int);
int rd_kafka_flush(rd_kafka_t *, int);
int rd_kafka_outq_len(rd_kafka_t *);
rd_kafka_error_t *rd_kafka_produceva(rd_kafka_t *, const rd_kafka_vu_t *, size_t);
int rd_kafka_error_code(const rd_kafka_error_t *);
const char *rd_kafka_error_string(const rd_kafka_error_t *);
void rd_kafka_error_destroy(rd_kafka_error_t *);
const char *rd_kafka_err2str(int);
int rd_kafka_metadata(rd_kafka_t *, int, void *,
  const struct rd_kafka_metadata **, int);
void rd_kafka_metadata_destroy(const struct rd_kafka_metadata *);
int rd_kafka_query_watermark_offsets(rd_kafka_t *, const char *, int32_t,
  int64_t *, int64_t *, int);
rd_kafka_queue_t *rd_kafka_queue_new(rd_kafka_t *);
void rd_kafka_queue_destroy(rd_kafka_queue_t *);
rd_kafka_event_t *rd_kafka_queue_poll(rd_kafka_queue_t *, int);
void rd_kafka_event_destroy(rd_kafka_event_t *);
int rd_kafka_event_error(rd_kafka_event_t *);
const char *rd_kafka_event_error_string(rd_kafka_event_t *);
const void *rd_kafka_event_CreateTopics_result(rd_kafka_event_t *);
const rd_kafka_topic_result_t **rd_kafka_CreateTopics_result_topics(
  const void *, size_t *);
int rd_kafka_topic_result_error(const rd_kafka_topic_result_t *);
const char *rd_kafka_topic_result_error_string(const rd_kafka_topic_result_t *);
rd_kafka_NewTopic_t *rd_kafka_NewTopic_new(const char *, int, int, char *, size_t);
int rd_kafka_NewTopic_set_config(rd_kafka_NewTopic_t *, const char *, const char *);
void rd_kafka_NewTopic_destroy(rd_kafka_NewTopic_t *);
void rd_kafka_CreateTopics(rd_kafka_t *, rd_kafka_NewTopic_t **, size_t,
  const rd_kafka_AdminOptions_t *, rd_kafka_queue_t *);
rd_kafka_error_t *rd_kafka_init_transactions(rd_kafka_t *, int);
rd_kafka_error_t *rd_kafka_begin_transaction(rd_kafka_t *);
rd_kafka_error_t *rd_kafka_commit_transaction(rd_kafka_t *, int);
rd_kafka_error_t *rd_kafka_abort_transaction(rd_kafka_t *, int);
]]

local loaded, rd = pcall(ffi.load, 'rdkafka')
if not loaded then rd = ffi.load('librdkafka.so.1') end

local PRODUCER, CONF_OK, QUEUE_FULL = 0, 0, -184
-- enum rd_kafka_vtype_t
local TOPIC, PARTITION, VALUE, KEY, MSGFLAGS, TIMESTAMP, HEADER = 1, 3, 4, 5, 7, 8, 9
local COPY = 2
local MAX_FIELDS = 512

local M = { version = rd.rd_kafka_version() }
local Producer = {}
Producer.__index = Producer

local function check(e)
  if e == nil then return end
  local text = ffi.string(rd.rd_kafka_error_string(e))
  rd.rd_kafka_error_destroy(e)
  error('kafka: ' .. text, 3)
end

--- A producer. [options] are librdkafka properties.
function M.producer(options)
  local reason = ffi.new('char[512]')
  local conf = rd.rd_kafka_conf_new()
  local properties = {
    ['bootstrap.servers'] = os.getenv('KAFKA_BROKERS'),
    ['linger.ms'] = '5',
    ['enable.idempotence'] = 'true',
    ['queue.buffering.max.messages'] = '400000',
    ['queue.buffering.max.kbytes'] = '524288',
    ['log_level'] = '3',
  }
  for name, value in pairs(options or {}) do properties[name] = tostring(value) end
  for name, value in pairs(properties) do
    if rd.rd_kafka_conf_set(conf, name, value, reason, 512) ~= CONF_OK then
      error('kafka: ' .. ffi.string(reason))
    end
  end
  local handle = rd.rd_kafka_new(PRODUCER, conf, reason, 512)
  if handle == nil then error('kafka: ' .. ffi.string(reason)) end
  return setmetatable({
    handle = ffi.gc(handle, rd.rd_kafka_destroy),
    fields = ffi.new('rd_kafka_vu_t[?]', MAX_FIELDS),
  }, Producer)
end

local function add_headers(fields, n, headers)
  for name, value in pairs(headers) do
    assert(n < MAX_FIELDS, 'too many headers')
    local f = fields[n]
    f.vtype, f.u.header.name = HEADER, name
    f.u.header.val, f.u.header.size = value or nil, value and #value or -1
    n = n + 1
  end
  return n
end

--- Queues one record { topic, partition, key, value, headers, time_ms }; all
--- but the topic may be nil (a nil value is a tombstone). Without a partition
--- the key decides. A header that is false has the value null.
function Producer:send(record)
  local fields, n = self.fields, 2
  fields[0].vtype, fields[0].u.cstr = TOPIC, record.topic
  fields[1].vtype, fields[1].u.i = MSGFLAGS, COPY
  if record.partition then
    fields[n].vtype, fields[n].u.i32 = PARTITION, record.partition
    n = n + 1
  end
  if record.key then
    fields[n].vtype = KEY
    fields[n].u.mem.ptr, fields[n].u.mem.size = record.key, #record.key
    n = n + 1
  end
  if record.value then
    fields[n].vtype = VALUE
    fields[n].u.mem.ptr, fields[n].u.mem.size = record.value, #record.value
    n = n + 1
  end
  if record.time_ms then
    fields[n].vtype, fields[n].u.i64 = TIMESTAMP, record.time_ms
    n = n + 1
  end
  if record.headers then n = add_headers(fields, n, record.headers) end
  while true do
    local e = rd.rd_kafka_produceva(self.handle, fields, n)
    if e == nil then return end
    if rd.rd_kafka_error_code(e) ~= QUEUE_FULL then check(e) end
    rd.rd_kafka_error_destroy(e)
    rd.rd_kafka_poll(self.handle, 50)
  end
end

--- Waits until every record is in Kafka.
function Producer:flush()
  local code = rd.rd_kafka_flush(self.handle, 60000)
  assert(code == 0, 'kafka: records were not delivered')
end

function Producer:begin()
  if not self.has_transactions then
    check(rd.rd_kafka_init_transactions(self.handle, 30000))
    self.has_transactions = true
  end
  check(rd.rd_kafka_begin_transaction(self.handle))
end

function Producer:commit() check(rd.rd_kafka_commit_transaction(self.handle, 30000)) end

function Producer:abort() check(rd.rd_kafka_abort_transaction(self.handle, 30000)) end

function Producer:close()
  rd.rd_kafka_destroy(ffi.gc(self.handle, nil))
end

--- Topics and their partition counts, as the broker tells them.
function Producer:topics(timeout_ms)
  local out = ffi.new('const struct rd_kafka_metadata *[1]')
  local code = rd.rd_kafka_metadata(self.handle, 1, nil, out, timeout_ms or 5000)
  if code ~= 0 then return nil, ffi.string(rd.rd_kafka_err2str(code)) end
  local topics = {}
  for i = 0, out[0].topic_cnt - 1 do
    topics[ffi.string(out[0].topics[i].topic)] = out[0].topics[i].partition_cnt
  end
  rd.rd_kafka_metadata_destroy(out[0])
  return topics
end

--- The offset behind the last record of a partition.
function Producer:high(topic, partition)
  local low, high = ffi.new('int64_t[1]'), ffi.new('int64_t[1]')
  local code = rd.rd_kafka_query_watermark_offsets(self.handle, topic, partition,
    low, high, 5000)
  assert(code == 0, ffi.string(rd.rd_kafka_err2str(code)))
  return tonumber(high[0])
end

local function create(self, name, partitions, config)
  local reason = ffi.new('char[512]')
  local topics = ffi.new('rd_kafka_NewTopic_t *[1]')
  topics[0] = rd.rd_kafka_NewTopic_new(name, partitions, 1, reason, 512)
  for word, value in pairs(config or {}) do
    assert(rd.rd_kafka_NewTopic_set_config(topics[0], word, value) == 0)
  end
  local queue = rd.rd_kafka_queue_new(self.handle)
  rd.rd_kafka_CreateTopics(self.handle, topics, 1, nil, queue)
  local event = rd.rd_kafka_queue_poll(queue, 30000)
  assert(event ~= nil, 'kafka: no answer to CreateTopics')
  local text = rd.rd_kafka_event_error(event) ~= 0 and
    ffi.string(rd.rd_kafka_event_error_string(event))
  if not text then
    local n = ffi.new('size_t[1]')
    local results = rd.rd_kafka_CreateTopics_result_topics(
      rd.rd_kafka_event_CreateTopics_result(event), n)
    if rd.rd_kafka_topic_result_error(results[0]) ~= 0 then
      text = ffi.string(rd.rd_kafka_topic_result_error_string(results[0]))
    end
  end
  rd.rd_kafka_event_destroy(event)
  rd.rd_kafka_NewTopic_destroy(topics[0])
  rd.rd_kafka_queue_destroy(queue)
  if text then error('kafka: topic ' .. name .. ': ' .. text, 3) end
end

--- Creates a topic and waits until the broker shows all of it.
--- [config]: of the topic, such as { ['max.message.bytes'] = '100000' }.
function Producer:create_topic(name, partitions, config)
  create(self, name, partitions, config)
  for _ = 1, 200 do
    local topics = self:topics()
    if topics and topics[name] == partitions then return end
    rd.rd_kafka_poll(self.handle, 50)
  end
  error('kafka: topic ' .. name .. ' did not appear')
end

return M
