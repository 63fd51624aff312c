-- What an administrator does to topics while somebody reads them: deletes them,
-- creates them again, adds partitions, lets records expire.
local ffi = require 'ffi'
local kafka = require 'kafka'

ffi.cdef [[
typedef struct rd_kafka_DeleteTopic_s rd_kafka_DeleteTopic_t;
typedef struct rd_kafka_NewPartitions_s rd_kafka_NewPartitions_t;
typedef struct rd_kafka_DeleteRecords_s rd_kafka_DeleteRecords_t;
typedef struct {
  char *topic; int32_t partition; int64_t offset;
  void *metadata; size_t metadata_size; void *opaque; int err; void *_private;
} rd_kafka_topic_partition_t;
typedef struct {
  int cnt; int size; rd_kafka_topic_partition_t *elems;
} rd_kafka_topic_partition_list_t;
rd_kafka_topic_partition_list_t *rd_kafka_topic_partition_list_new(int);
rd_kafka_topic_partition_t *rd_kafka_topic_partition_list_add(
  rd_kafka_topic_partition_list_t *, const char *, int32_t);
void rd_kafka_topic_partition_list_destroy(rd_kafka_topic_partition_list_t *);
rd_kafka_DeleteTopic_t *rd_kafka_DeleteTopic_new(const char *);
void rd_kafka_DeleteTopic_destroy(rd_kafka_DeleteTopic_t *);
void rd_kafka_DeleteTopics(rd_kafka_t *, rd_kafka_DeleteTopic_t **, size_t,
  const rd_kafka_AdminOptions_t *, rd_kafka_queue_t *);
const void *rd_kafka_event_DeleteTopics_result(rd_kafka_event_t *);
const rd_kafka_topic_result_t **rd_kafka_DeleteTopics_result_topics(
  const void *, size_t *);
rd_kafka_NewPartitions_t *rd_kafka_NewPartitions_new(const char *, size_t, char *,
  size_t);
void rd_kafka_NewPartitions_destroy(rd_kafka_NewPartitions_t *);
void rd_kafka_CreatePartitions(rd_kafka_t *, rd_kafka_NewPartitions_t **, size_t,
  const rd_kafka_AdminOptions_t *, rd_kafka_queue_t *);
const void *rd_kafka_event_CreatePartitions_result(rd_kafka_event_t *);
const rd_kafka_topic_result_t **rd_kafka_CreatePartitions_result_topics(
  const void *, size_t *);
rd_kafka_DeleteRecords_t *rd_kafka_DeleteRecords_new(
  const rd_kafka_topic_partition_list_t *);
void rd_kafka_DeleteRecords_destroy(rd_kafka_DeleteRecords_t *);
void rd_kafka_DeleteRecords(rd_kafka_t *, rd_kafka_DeleteRecords_t **, size_t,
  const rd_kafka_AdminOptions_t *, rd_kafka_queue_t *);
const void *rd_kafka_event_DeleteRecords_result(rd_kafka_event_t *);
const rd_kafka_topic_partition_list_t *rd_kafka_DeleteRecords_result_offsets(
  const void *);
struct rd_kafka_group_info {
  struct { int32_t id; char *host; int port; } broker;
  char *group; int err; char *state; char *protocol_type; char *protocol;
  void *members; int member_cnt;
};
struct rd_kafka_group_list { struct rd_kafka_group_info *groups; int group_cnt; };
int rd_kafka_list_groups(rd_kafka_t *, const char *, const struct rd_kafka_group_list **,
  int);
void rd_kafka_group_list_destroy(const struct rd_kafka_group_list *);
typedef struct rd_kafka_mock_cluster_s rd_kafka_mock_cluster_t;
rd_kafka_mock_cluster_t *rd_kafka_mock_cluster_new(rd_kafka_t *, int);
void rd_kafka_mock_cluster_destroy(rd_kafka_mock_cluster_t *);
const char *rd_kafka_mock_cluster_bootstraps(const rd_kafka_mock_cluster_t *);
void rd_kafka_mock_clear_request_errors(rd_kafka_mock_cluster_t *, int16_t);
int rd_kafka_mock_partition_set_leader(rd_kafka_mock_cluster_t *, const char *, int32_t,
  int32_t);
int rd_kafka_mock_broker_set_rtt(rd_kafka_mock_cluster_t *, int32_t, int);
int rd_kafka_mock_broker_set_down(rd_kafka_mock_cluster_t *, int32_t);
int rd_kafka_mock_broker_set_up(rd_kafka_mock_cluster_t *, int32_t);
int rd_kafka_mock_set_apiversion(rd_kafka_mock_cluster_t *, int16_t, int16_t, int16_t);
int rd_kafka_mock_coordinator_set(rd_kafka_mock_cluster_t *, const char *, const char *,
  int32_t);
int rd_kafka_mock_broker_push_request_error_rtts(rd_kafka_mock_cluster_t *, int32_t,
  int16_t, size_t, ...);
void rd_kafka_mock_topic_set_error(rd_kafka_mock_cluster_t *, const char *, int);
int rd_kafka_mock_topic_create(rd_kafka_mock_cluster_t *, const char *, int, int);
void rd_kafka_mock_push_request_errors_array(rd_kafka_mock_cluster_t *, int16_t,
  size_t, const int *);
]]

local loaded, rd = pcall(ffi.load, 'rdkafka')
if not loaded then rd = ffi.load('librdkafka.so.1') end

local M = {}

-- [send] asks on a queue, [judge] looks at the event that answers and returns
-- an error code of its only topic or partition.
local function ask(what, handle, send, judge)
  local queue = rd.rd_kafka_queue_new(handle)
  send(queue)
  local event = rd.rd_kafka_queue_poll(queue, 30000)
  assert(event ~= nil, 'kafka: no answer to ' .. what)
  local code = rd.rd_kafka_event_error(event)
  if code == 0 then code = judge(event) end
  rd.rd_kafka_event_destroy(event)
  rd.rd_kafka_queue_destroy(queue)
  assert(code == 0, 'kafka: ' .. what .. ': ' .. ffi.string(rd.rd_kafka_err2str(code)))
end

local function first_topic(results) return rd.rd_kafka_topic_result_error(results[0]) end

local function wait_for_partitions(producer, name, wanted)
  for _ = 1, 400 do
    local topics = producer:topics()
    if topics and topics[name] == wanted then return end
    rd.rd_kafka_poll(producer.handle, 25)
  end
  error('kafka: topic ' .. name .. ' did not change')
end

--- The consumer groups that the broker knows, as a set.
function M.groups(producer)
  local out = ffi.new('const struct rd_kafka_group_list *[1]')
  local code = rd.rd_kafka_list_groups(producer.handle, nil, out, 10000)
  assert(code == 0, ffi.string(rd.rd_kafka_err2str(code)))
  local groups = {}
  for i = 0, out[0].group_cnt - 1 do
    groups[ffi.string(out[0].groups[i].group)] = true
  end
  rd.rd_kafka_group_list_destroy(out[0])
  return groups
end

--- Deletes a topic and waits until the broker does not show it any more.
function M.delete_topic(producer, name)
  local list = ffi.new('rd_kafka_DeleteTopic_t *[1]')
  list[0] = rd.rd_kafka_DeleteTopic_new(name)
  ask('DeleteTopics', producer.handle, function(queue)
    rd.rd_kafka_DeleteTopics(producer.handle, list, 1, nil, queue)
  end, function(event)
    return first_topic(rd.rd_kafka_DeleteTopics_result_topics(
      rd.rd_kafka_event_DeleteTopics_result(event), ffi.new('size_t[1]')))
  end)
  rd.rd_kafka_DeleteTopic_destroy(list[0])
  wait_for_partitions(producer, name, nil)
end

--- Gives a topic more partitions: [n] in all.
function M.grow_topic(producer, name, n)
  local list, reason = ffi.new('rd_kafka_NewPartitions_t *[1]'), ffi.new('char[512]')
  list[0] = rd.rd_kafka_NewPartitions_new(name, n, reason, 512)
  ask('CreatePartitions', producer.handle, function(queue)
    rd.rd_kafka_CreatePartitions(producer.handle, list, 1, nil, queue)
  end, function(event)
    return first_topic(rd.rd_kafka_CreatePartitions_result_topics(
      rd.rd_kafka_event_CreatePartitions_result(event), ffi.new('size_t[1]')))
  end)
  rd.rd_kafka_NewPartitions_destroy(list[0])
  wait_for_partitions(producer, name, n)
end

--- Deletes the records of a partition below [before], as retention does.
function M.expire(producer, topic, partition, before)
  local list = rd.rd_kafka_topic_partition_list_new(1)
  rd.rd_kafka_topic_partition_list_add(list, topic, partition).offset = before
  local request = ffi.new('rd_kafka_DeleteRecords_t *[1]')
  request[0] = rd.rd_kafka_DeleteRecords_new(list)
  ask('DeleteRecords', producer.handle, function(queue)
    rd.rd_kafka_DeleteRecords(producer.handle, request, 1, nil, queue)
  end, function(event)
    return rd.rd_kafka_DeleteRecords_result_offsets(
      rd.rd_kafka_event_DeleteRecords_result(event)).elems[0].err
  end)
  rd.rd_kafka_DeleteRecords_destroy(request[0])
  rd.rd_kafka_topic_partition_list_destroy(list)
end

local Mock = {}
Mock.__index = Mock

local PRODUCE, FETCH, LIST_OFFSETS, METADATA, JOIN_GROUP = 0, 1, 2, 3, 11
-- The greatest versions of requests that tell of no leader's epoch.
local PLAIN = { [PRODUCE] = 7, [FETCH] = 11, [METADATA] = 2 }
local OFFSET_OUT_OF_RANGE = 1

--- librdkafka's built-in broker, which can be told to give a wrong answer: one
--- topic of [n_partitions], its address, and a producer for it. [n_brokers]: 1; the
--- first one leads all partitions and has the group of the topic's name.
function M.mock(n_partitions, n_brokers)
  local host = kafka.producer()
  local cluster = rd.rd_kafka_mock_cluster_new(host.handle, n_brokers or 1)
  -- Answers of later versions have leaders and their epochs, which no broker sends of
  -- a topic that it refuses: librdkafka from 2.5 on crashes where there is no leader
  -- (take_leader), and where there is one of a refused topic (refuse_topic).
  for request, version in pairs(PLAIN) do
    assert(rd.rd_kafka_mock_set_apiversion(cluster, request, 0, version) == 0)
  end
  assert(rd.rd_kafka_mock_coordinator_set(cluster, 'group', 'mock', 1) == 0)
  assert(rd.rd_kafka_mock_topic_create(cluster, 'mock', n_partitions, 1) == 0)
  for i = 0, n_brokers and n_partitions - 1 or -1 do
    assert(rd.rd_kafka_mock_partition_set_leader(cluster, 'mock', i, 1) == 0)
  end
  local brokers = ffi.string(rd.rd_kafka_mock_cluster_bootstraps(cluster))
  return setmetatable({
    host = host, cluster = cluster, brokers = brokers, topic = 'mock',
    producer = kafka.producer { ['bootstrap.servers'] = brokers },
  }, Mock)
end

local function fail(self, request, n, code)
  local codes = ffi.new('int[?]', n)
  for i = 0, n - 1 do codes[i] = code end
  rd.rd_kafka_mock_push_request_errors_array(self.cluster, request, n, codes)
end

--- The next [n] fetches are answered with [code], or OFFSET_OUT_OF_RANGE.
function Mock:refuse_fetch(n, code) fail(self, FETCH, n, code or OFFSET_OUT_OF_RANGE) end

--- The next [n] members that want to join are answered with [code].
function Mock:refuse_join(n, code) fail(self, JOIN_GROUP, n, code) end

local function set_leader(self, partition, broker)
  assert(rd.rd_kafka_mock_partition_set_leader(self.cluster, self.topic, partition,
    broker) == 0)
end

--- No broker leads the partition, until give_leader().
function Mock:take_leader(partition) set_leader(self, partition, -1) end

function Mock:give_leader(partition, broker) set_leader(self, partition, broker or 1) end

--- The next [n] questions to a broker for offsets are answered with [code].
function Mock:refuse_offsets(broker, n, code)
  local function int(v) return ffi.cast('int', v) end
  for _ = 1, n do
    assert(rd.rd_kafka_mock_broker_push_request_error_rtts(self.cluster, broker,
      LIST_OFFSETS, 1, int(code), int(0)) == 0)
  end
end

--- Whoever asks what topics there are gets [code] for a topic; 0: it is well.
function Mock:refuse_topic(code)
  rd.rd_kafka_mock_topic_set_error(self.cluster, self.topic, code)
end

--- All of that is over.
function Mock:forgive()
  rd.rd_kafka_mock_clear_request_errors(self.cluster, FETCH)
  rd.rd_kafka_mock_clear_request_errors(self.cluster, JOIN_GROUP)
end

--- The broker is not there, until it is up again.
function Mock:down() rd.rd_kafka_mock_broker_set_down(self.cluster, 1) end

function Mock:up() rd.rd_kafka_mock_broker_set_up(self.cluster, 1) end

--- Every answer takes so long; of one broker, or of all.
function Mock:delay(ms, broker)
  rd.rd_kafka_mock_broker_set_rtt(self.cluster, broker or -1, ms)
end

function Mock:close()
  self.producer:close()
  rd.rd_kafka_mock_cluster_destroy(self.cluster)
  self.host:close()
end

return M
