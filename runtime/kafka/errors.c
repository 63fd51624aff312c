/* See errors.h. The codes stand in librdkafka's order: first its own, then
 * those that brokers answer. */
#include "kafka/errors.h"

#include <librdkafka/rdkafka.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define CODE(name) RD_KAFKA_RESP_ERR_##name

static const char prefix[] = "RD_KAFKA_RESP_ERR_";

static const char bug[] =
    "librdkafka refuses a call; see options of kafka{}, else it is a bug of "
    "Tidemill";
static const char admin[] =
    "an answer to requests of administrators, which Tidemill does not send";
static const char producing[] =
    "an answer to producers; a consumer does not get it";
static const char expired[] =
    "Kafka does not have the next record (any more): it expired before it was "
    "read, or the topic was truncated or created again";
static const char missing[] =
    "the topic does not exist: create it, or correct topics in kafka{}";
static const char no_entry[] =
    "it does not let us in; check security.protocol, sasl.* and ssl.* in "
    "options of kafka{}";
static const char not_allowed[] =
    "our user may not do that; it needs READ on the topics and on the group";
static const char moving[] =
    "the partition has no leader for now, or another one; trying on";
static const char coordinator[] =
    "the group's coordinator is not there for now; trying on";
static const char left[] =
    "the group went on without this worker; it joins again";
static const char too_old[] =
    "broker and librdkafka do not understand each other's versions: brokers "
    "must be 0.11 or newer";
static const char damaged[] =
    "records are damaged, or of a format that this librdkafka does not know: "
    "look at the brokers' disks and logs";
static const char another[] =
    "the topic was created again since librdkafka asked for it; it asks anew";
static const char controller[] =
    "brokers in kafka{} names the port of a controller: name a broker's";
static const char telemetry[] =
    "of metrics that librdkafka sends to brokers which ask for them";
static const char sharing[] =
    "an answer to share groups or Kafka Streams, which Tidemill does not use";

static const struct kafka_error errors[] = {
    /* -- librdkafka's own -- */
    {CODE(_BAD_MSG), ERR_CONFIG, KAFKA_SKIPS, damaged},
    {CODE(_BAD_COMPRESSION), ERR_CONFIG, KAFKA_TELLS,
     "records are compressed in a way that this librdkafka cannot read, or "
     "are damaged; the lane waits in front of them"},
    {CODE(_DESTROY), ERR_NONE, KAFKA_MENDS, "the consumer is being closed"},
    {CODE(_FAIL), ERR_CONNECTION, KAFKA_TELLS, NULL},
    {CODE(_TRANSPORT), ERR_CONNECTION, KAFKA_MENDS,
     "one connection broke; others may answer"},
    {CODE(_CRIT_SYS_RESOURCE), ERR_RESOURCE, KAFKA_TELLS,
     "this machine has no memory or no threads left for librdkafka"},
    {CODE(_RESOLVE), ERR_CONNECTION, KAFKA_TELLS,
     "a host name is unknown; is brokers in kafka{} right?"},
    {CODE(_MSG_TIMED_OUT), ERR_CONNECTION, KAFKA_TELLS, producing},
    {CODE(_PARTITION_EOF), ERR_NONE, KAFKA_MENDS,
     "the end of a partition was read"},
    {CODE(_UNKNOWN_PARTITION), ERR_CONFIG, KAFKA_MISSES, missing},
    {CODE(_FS), ERR_CONFIG, KAFKA_TELLS,
     "a file that options of kafka{} names cannot be read"},
    {CODE(_UNKNOWN_TOPIC), ERR_CONFIG, KAFKA_MISSES, missing},
    {CODE(_ALL_BROKERS_DOWN), ERR_CONNECTION, KAFKA_TELLS,
     "no broker answers; trying on. Does Kafka run, and is brokers in kafka{} "
     "right?"},
    {CODE(_INVALID_ARG), ERR_CONFIG, KAFKA_TELLS, bug},
    {CODE(_TIMED_OUT), ERR_CONNECTION, KAFKA_MENDS,
     "one answer did not come in time; others may"},
    {CODE(_QUEUE_FULL), ERR_RESOURCE, KAFKA_TELLS, producing},
    {CODE(_ISR_INSUFF), ERR_RESOURCE, KAFKA_TELLS, producing},
    {CODE(_NODE_UPDATE), ERR_NONE, KAFKA_MENDS, "a broker's address changed"},
    {CODE(_SSL), ERR_CONFIG, KAFKA_TELLS, no_entry},
    {CODE(_WAIT_COORD), ERR_CONNECTION, KAFKA_TELLS, coordinator},
    {CODE(_UNKNOWN_GROUP), ERR_CONFIG, KAFKA_TELLS, bug},
    {CODE(_IN_PROGRESS), ERR_CONFLICT, KAFKA_MENDS, NULL},
    {CODE(_PREV_IN_PROGRESS), ERR_CONFLICT, KAFKA_MENDS, NULL},
    {CODE(_EXISTING_SUBSCRIPTION), ERR_CONFIG, KAFKA_TELLS, bug},
    {CODE(_ASSIGN_PARTITIONS), ERR_NONE, KAFKA_MENDS,
     "the group gives partitions to this worker"},
    {CODE(_REVOKE_PARTITIONS), ERR_NONE, KAFKA_MENDS,
     "the group takes partitions from this worker"},
    {CODE(_CONFLICT), ERR_CONFIG, KAFKA_TELLS, bug},
    {CODE(_STATE), ERR_CONNECTION, KAFKA_TELLS, NULL},
    {CODE(_UNKNOWN_PROTOCOL), ERR_CONFIG, KAFKA_TELLS, bug},
    {CODE(_NOT_IMPLEMENTED), ERR_CONFIG, KAFKA_SKIPS, damaged},
    {CODE(_AUTHENTICATION), ERR_CONFIG, KAFKA_TELLS, no_entry},
    {CODE(_NO_OFFSET), ERR_NONE, KAFKA_MENDS,
     "the group has committed no offset yet"},
    {CODE(_OUTDATED), ERR_CONFLICT, KAFKA_MENDS, NULL},
    {CODE(_TIMED_OUT_QUEUE), ERR_CONNECTION, KAFKA_MENDS,
     "a question was not sent in time; others may be"},
    {CODE(_UNSUPPORTED_FEATURE), ERR_CONFIG, KAFKA_TELLS, too_old},
    {CODE(_WAIT_CACHE), ERR_CONNECTION, KAFKA_MENDS, NULL},
    {CODE(_INTR), ERR_CONFLICT, KAFKA_MENDS, NULL},
    {CODE(_KEY_SERIALIZATION), ERR_DATA, KAFKA_TELLS, producing},
    {CODE(_VALUE_SERIALIZATION), ERR_DATA, KAFKA_TELLS, producing},
    {CODE(_KEY_DESERIALIZATION), ERR_CONFIG, KAFKA_TELLS, bug},
    {CODE(_VALUE_DESERIALIZATION), ERR_CONFIG, KAFKA_TELLS, bug},
    {CODE(_PARTIAL), ERR_CONNECTION, KAFKA_TELLS, NULL},
    {CODE(_READ_ONLY), ERR_CONFIG, KAFKA_TELLS, bug},
    {CODE(_NOENT), ERR_CONFIG, KAFKA_TELLS, bug},
    {CODE(_UNDERFLOW), ERR_CONNECTION, KAFKA_TELLS, NULL},
    {CODE(_INVALID_TYPE), ERR_CONFIG, KAFKA_TELLS, bug},
    {CODE(_RETRY), ERR_CONFLICT, KAFKA_MENDS, NULL},
    {CODE(_PURGE_QUEUE), ERR_CONNECTION, KAFKA_TELLS, producing},
    {CODE(_PURGE_INFLIGHT), ERR_CONNECTION, KAFKA_TELLS, producing},
    {CODE(_FATAL), ERR_FATAL, KAFKA_DIES, NULL},
    {CODE(_INCONSISTENT), ERR_CONFIG, KAFKA_TELLS, bug},
    {CODE(_GAPLESS_GUARANTEE), ERR_FATAL, KAFKA_TELLS, producing},
    {CODE(_MAX_POLL_EXCEEDED), ERR_FENCED, KAFKA_REJOINS,
     "this worker did not look for max.poll.interval.ms, so its lanes went to "
     "others; it joins again"},
    {CODE(_UNKNOWN_BROKER), ERR_CONNECTION, KAFKA_TELLS, NULL},
    {CODE(_NOT_CONFIGURED), ERR_CONFIG, KAFKA_TELLS, bug},
    {CODE(_FENCED), ERR_FENCED, KAFKA_TELLS, producing},
    {CODE(_APPLICATION), ERR_CONFIG, KAFKA_TELLS, bug},
    {CODE(_ASSIGNMENT_LOST), ERR_FENCED, KAFKA_REJOINS, left},
    {CODE(_NOOP), ERR_NONE, KAFKA_MENDS, NULL},
    {CODE(_AUTO_OFFSET_RESET), ERR_CONFIG, KAFKA_LOSES, expired},
    /* The topic lost records behind our back (KIP-320). */
    {-139, ERR_CONFIG, KAFKA_LOSES, expired},
    {-138, ERR_DATA, KAFKA_TELLS, producing},
    {-137, ERR_NONE, KAFKA_MENDS, "the cluster has this broker no more"},

    /* -- the brokers' -- */
    {CODE(UNKNOWN), ERR_RESOURCE, KAFKA_TELLS,
     "a broker met an error that it has no code for; its log says more"},
    {CODE(NO_ERROR), ERR_NONE, KAFKA_MENDS, NULL},
    {CODE(OFFSET_OUT_OF_RANGE), ERR_CONFIG, KAFKA_LOSES, expired},
    /* The broker refuses to hand it out: nothing is passed over. */
    {CODE(INVALID_MSG), ERR_RESOURCE, KAFKA_TELLS,
     "a broker finds damaged records; the lane waits in front of them. Look at "
     "the brokers' disks and logs"},
    {CODE(UNKNOWN_TOPIC_OR_PART), ERR_CONFIG, KAFKA_MISSES, missing},
    {CODE(INVALID_MSG_SIZE), ERR_CONFIG, KAFKA_TELLS, NULL},
    {CODE(LEADER_NOT_AVAILABLE), ERR_CONNECTION, KAFKA_TELLS, moving},
    {CODE(NOT_LEADER_FOR_PARTITION), ERR_CONNECTION, KAFKA_TELLS, moving},
    {CODE(REQUEST_TIMED_OUT), ERR_CONNECTION, KAFKA_TELLS, NULL},
    {CODE(BROKER_NOT_AVAILABLE), ERR_CONNECTION, KAFKA_TELLS, NULL},
    {CODE(REPLICA_NOT_AVAILABLE), ERR_CONNECTION, KAFKA_TELLS, moving},
    {CODE(MSG_SIZE_TOO_LARGE), ERR_CONFIG, KAFKA_TELLS,
     "a record is larger than what may be fetched: raise "
     "fetch.message.max.bytes and receive.message.max.bytes in options of "
     "kafka{}"},
    {CODE(STALE_CTRL_EPOCH), ERR_CONNECTION, KAFKA_TELLS, admin},
    {CODE(OFFSET_METADATA_TOO_LARGE), ERR_CONFIG, KAFKA_TELLS, NULL},
    {CODE(NETWORK_EXCEPTION), ERR_CONNECTION, KAFKA_TELLS, NULL},
    {CODE(COORDINATOR_LOAD_IN_PROGRESS), ERR_CONNECTION, KAFKA_TELLS,
     coordinator},
    {CODE(COORDINATOR_NOT_AVAILABLE), ERR_CONNECTION, KAFKA_TELLS, coordinator},
    {CODE(NOT_COORDINATOR), ERR_CONNECTION, KAFKA_TELLS, coordinator},
    {CODE(TOPIC_EXCEPTION), ERR_CONFIG, KAFKA_TELLS,
     "topics of kafka{} has a name that Kafka does not allow"},
    {CODE(RECORD_LIST_TOO_LARGE), ERR_CONFIG, KAFKA_TELLS, producing},
    {CODE(NOT_ENOUGH_REPLICAS), ERR_RESOURCE, KAFKA_TELLS, producing},
    {CODE(NOT_ENOUGH_REPLICAS_AFTER_APPEND), ERR_RESOURCE, KAFKA_TELLS,
     producing},
    {CODE(INVALID_REQUIRED_ACKS), ERR_CONFIG, KAFKA_TELLS, producing},
    {CODE(ILLEGAL_GENERATION), ERR_FENCED, KAFKA_REJOINS, left},
    {CODE(INCONSISTENT_GROUP_PROTOCOL), ERR_CONFIG, KAFKA_TELLS,
     "other members of the group divide partitions in another way: give this "
     "pipeline a group of its own, or all the same "
     "partition.assignment.strategy"},
    {CODE(INVALID_GROUP_ID), ERR_CONFIG, KAFKA_TELLS,
     "the broker does not take group of kafka{} for a name"},
    {CODE(UNKNOWN_MEMBER_ID), ERR_FENCED, KAFKA_REJOINS, left},
    {CODE(INVALID_SESSION_TIMEOUT), ERR_CONFIG, KAFKA_TELLS,
     "the broker allows other values of session.timeout.ms: set it in options "
     "of kafka{}"},
    {CODE(REBALANCE_IN_PROGRESS), ERR_CONFLICT, KAFKA_MENDS,
     "the group divides its partitions anew"},
    {CODE(INVALID_COMMIT_OFFSET_SIZE), ERR_CONFIG, KAFKA_TELLS, NULL},
    {CODE(TOPIC_AUTHORIZATION_FAILED), ERR_CONFIG, KAFKA_TELLS, not_allowed},
    {CODE(GROUP_AUTHORIZATION_FAILED), ERR_CONFIG, KAFKA_TELLS, not_allowed},
    {CODE(CLUSTER_AUTHORIZATION_FAILED), ERR_CONFIG, KAFKA_TELLS, not_allowed},
    {CODE(INVALID_TIMESTAMP), ERR_DATA, KAFKA_TELLS, producing},
    {CODE(UNSUPPORTED_SASL_MECHANISM), ERR_CONFIG, KAFKA_TELLS, no_entry},
    {CODE(ILLEGAL_SASL_STATE), ERR_CONFIG, KAFKA_TELLS, no_entry},
    {CODE(UNSUPPORTED_VERSION), ERR_CONFIG, KAFKA_TELLS, too_old},
    {CODE(TOPIC_ALREADY_EXISTS), ERR_CONFIG, KAFKA_TELLS, admin},
    {CODE(INVALID_PARTITIONS), ERR_CONFIG, KAFKA_TELLS, admin},
    {CODE(INVALID_REPLICATION_FACTOR), ERR_CONFIG, KAFKA_TELLS, admin},
    {CODE(INVALID_REPLICA_ASSIGNMENT), ERR_CONFIG, KAFKA_TELLS, admin},
    {CODE(INVALID_CONFIG), ERR_CONFIG, KAFKA_TELLS, admin},
    {CODE(NOT_CONTROLLER), ERR_CONNECTION, KAFKA_TELLS, admin},
    {CODE(INVALID_REQUEST), ERR_CONFIG, KAFKA_TELLS, too_old},
    {CODE(UNSUPPORTED_FOR_MESSAGE_FORMAT), ERR_CONFIG, KAFKA_TELLS, too_old},
    {CODE(POLICY_VIOLATION), ERR_CONFIG, KAFKA_TELLS, admin},
    {CODE(OUT_OF_ORDER_SEQUENCE_NUMBER), ERR_FATAL, KAFKA_TELLS, producing},
    {CODE(DUPLICATE_SEQUENCE_NUMBER), ERR_CONFLICT, KAFKA_TELLS, producing},
    {CODE(INVALID_PRODUCER_EPOCH), ERR_FENCED, KAFKA_TELLS, producing},
    {CODE(INVALID_TXN_STATE), ERR_FATAL, KAFKA_TELLS, producing},
    {CODE(INVALID_PRODUCER_ID_MAPPING), ERR_FATAL, KAFKA_TELLS, producing},
    {CODE(INVALID_TRANSACTION_TIMEOUT), ERR_CONFIG, KAFKA_TELLS, producing},
    {CODE(CONCURRENT_TRANSACTIONS), ERR_CONFLICT, KAFKA_TELLS, producing},
    {CODE(TRANSACTION_COORDINATOR_FENCED), ERR_FENCED, KAFKA_TELLS, producing},
    {CODE(TRANSACTIONAL_ID_AUTHORIZATION_FAILED), ERR_CONFIG, KAFKA_TELLS,
     producing},
    {CODE(SECURITY_DISABLED), ERR_CONFIG, KAFKA_TELLS, admin},
    {CODE(OPERATION_NOT_ATTEMPTED), ERR_CONFLICT, KAFKA_TELLS, admin},
    {CODE(KAFKA_STORAGE_ERROR), ERR_RESOURCE, KAFKA_TELLS,
     "a broker cannot read its disk; trying on, another replica may answer"},
    {CODE(LOG_DIR_NOT_FOUND), ERR_CONFIG, KAFKA_TELLS, admin},
    {CODE(SASL_AUTHENTICATION_FAILED), ERR_CONFIG, KAFKA_TELLS, no_entry},
    {CODE(UNKNOWN_PRODUCER_ID), ERR_FATAL, KAFKA_TELLS, producing},
    {CODE(REASSIGNMENT_IN_PROGRESS), ERR_CONFLICT, KAFKA_TELLS, admin},
    {CODE(DELEGATION_TOKEN_AUTH_DISABLED), ERR_CONFIG, KAFKA_TELLS, no_entry},
    {CODE(DELEGATION_TOKEN_NOT_FOUND), ERR_CONFIG, KAFKA_TELLS, no_entry},
    {CODE(DELEGATION_TOKEN_OWNER_MISMATCH), ERR_CONFIG, KAFKA_TELLS, no_entry},
    {CODE(DELEGATION_TOKEN_REQUEST_NOT_ALLOWED), ERR_CONFIG, KAFKA_TELLS,
     no_entry},
    {CODE(DELEGATION_TOKEN_AUTHORIZATION_FAILED), ERR_CONFIG, KAFKA_TELLS,
     no_entry},
    {CODE(DELEGATION_TOKEN_EXPIRED), ERR_CONFIG, KAFKA_TELLS, no_entry},
    {CODE(INVALID_PRINCIPAL_TYPE), ERR_CONFIG, KAFKA_TELLS, admin},
    {CODE(NON_EMPTY_GROUP), ERR_CONFLICT, KAFKA_TELLS, admin},
    {CODE(GROUP_ID_NOT_FOUND), ERR_CONFIG, KAFKA_TELLS, admin},
    {CODE(FETCH_SESSION_ID_NOT_FOUND), ERR_CONNECTION, KAFKA_MENDS, NULL},
    {CODE(INVALID_FETCH_SESSION_EPOCH), ERR_CONNECTION, KAFKA_MENDS, NULL},
    {CODE(LISTENER_NOT_FOUND), ERR_CONFIG, KAFKA_TELLS,
     "the leader has no listener like the one that brokers in kafka{} names; "
     "see the brokers' advertised.listeners"},
    {CODE(TOPIC_DELETION_DISABLED), ERR_CONFIG, KAFKA_TELLS, admin},
    {CODE(FENCED_LEADER_EPOCH), ERR_CONNECTION, KAFKA_TELLS, moving},
    {CODE(UNKNOWN_LEADER_EPOCH), ERR_CONNECTION, KAFKA_TELLS, moving},
    {CODE(UNSUPPORTED_COMPRESSION_TYPE), ERR_CONFIG, KAFKA_TELLS, too_old},
    {CODE(STALE_BROKER_EPOCH), ERR_CONNECTION, KAFKA_TELLS, admin},
    {CODE(OFFSET_NOT_AVAILABLE), ERR_CONNECTION, KAFKA_TELLS, moving},
    {CODE(MEMBER_ID_REQUIRED), ERR_CONFLICT, KAFKA_MENDS,
     "the usual first answer to a worker that joins the group"},
    {CODE(PREFERRED_LEADER_NOT_AVAILABLE), ERR_CONNECTION, KAFKA_TELLS, admin},
    {CODE(GROUP_MAX_SIZE_REACHED), ERR_CONFIG, KAFKA_TELLS,
     "the group is full: fewer workers, or a higher group.max.size of the "
     "brokers"},
    {CODE(FENCED_INSTANCE_ID), ERR_FENCED, KAFKA_DIES,
     "another process uses this instance id: stop one of the two, or give each "
     "its own --instance"},
    {CODE(ELIGIBLE_LEADERS_NOT_AVAILABLE), ERR_CONNECTION, KAFKA_TELLS, admin},
    {CODE(ELECTION_NOT_NEEDED), ERR_CONFLICT, KAFKA_TELLS, admin},
    {CODE(NO_REASSIGNMENT_IN_PROGRESS), ERR_CONFLICT, KAFKA_TELLS, admin},
    {CODE(GROUP_SUBSCRIBED_TO_TOPIC), ERR_CONFLICT, KAFKA_TELLS, admin},
    {CODE(INVALID_RECORD), ERR_DATA, KAFKA_TELLS, producing},
    {CODE(UNSTABLE_OFFSET_COMMIT), ERR_CONFLICT, KAFKA_MENDS,
     "a transaction of a producer over the group's offsets is under way"},
    {CODE(THROTTLING_QUOTA_EXCEEDED), ERR_RESOURCE, KAFKA_TELLS,
     "the brokers' quota for our user is used up; trying on"},
    {CODE(PRODUCER_FENCED), ERR_FENCED, KAFKA_TELLS, producing},
    {CODE(RESOURCE_NOT_FOUND), ERR_CONFIG, KAFKA_TELLS, admin},
    {CODE(DUPLICATE_RESOURCE), ERR_CONFIG, KAFKA_TELLS, admin},
    {CODE(UNACCEPTABLE_CREDENTIAL), ERR_CONFIG, KAFKA_TELLS, admin},
    {CODE(INCONSISTENT_VOTER_SET), ERR_CONFIG, KAFKA_TELLS, admin},
    {CODE(INVALID_UPDATE_VERSION), ERR_CONFIG, KAFKA_TELLS, admin},
    {CODE(FEATURE_UPDATE_FAILED), ERR_CONFIG, KAFKA_TELLS, admin},
    {CODE(PRINCIPAL_DESERIALIZATION_FAILURE), ERR_CONFIG, KAFKA_TELLS, admin},
    {100, ERR_CONNECTION, KAFKA_TELLS, another},
    {103, ERR_CONNECTION, KAFKA_TELLS, another},
    {110, ERR_FENCED, KAFKA_REJOINS, left},
    {111, ERR_CONFIG, KAFKA_TELLS,
     "another member of the group has this instance id: stop one of the two, "
     "or give each its own --instance"},
    {112, ERR_CONFIG, KAFKA_TELLS,
     "the broker has no partition.assignment.strategy of that name"},
    {113, ERR_FENCED, KAFKA_REJOINS, left},
    {114, ERR_CONFIG, KAFKA_TELLS, controller},
    {115, ERR_CONFIG, KAFKA_TELLS, controller},
    {116, ERR_CONFIG, KAFKA_TELLS, admin},
    {117, ERR_NONE, KAFKA_MENDS, telemetry},
    {118, ERR_NONE, KAFKA_MENDS, telemetry},
    {119, ERR_CONFIG, KAFKA_TELLS, admin},
    {120, ERR_CONFLICT, KAFKA_TELLS, producing},
    {121, ERR_CONFIG, KAFKA_TELLS, sharing},
    {122, ERR_CONFIG, KAFKA_TELLS, sharing},
    {123, ERR_CONFIG, KAFKA_TELLS, sharing},
    {124, ERR_CONFIG, KAFKA_TELLS, sharing},
    {125, ERR_CONFIG, KAFKA_TELLS, admin},
    {126, ERR_CONFIG, KAFKA_TELLS, admin},
    {127, ERR_CONFIG, KAFKA_TELLS, admin},
    {128, ERR_CONFIG, KAFKA_TELLS, bug},
    {129, ERR_CONNECTION, KAFKA_MENDS,
     "the brokers of kafka{} are asked anew for those of the cluster"},
    {130, ERR_CONFIG, KAFKA_TELLS, sharing},
    {131, ERR_CONFIG, KAFKA_TELLS, sharing},
    {132, ERR_CONFIG, KAFKA_TELLS, sharing},
    {133, ERR_CONFIG, KAFKA_TELLS, sharing},
};

/* Names of what librdkafka 2.0 does not know, which stands in the table by its
 * number: what this Tidemill says does not depend on the library it runs with. */
static const struct {
    int code;
    const char *name, *text;
} newer[] = {
    {-139, "_LOG_TRUNCATION", "Local: the partition lost records at its end"},
    {-138, "_INVALID_DIFFERENT_RECORD",
     "Local: another record of its batch was not taken"},
    {-137, "_DESTROY_BROKER", "Local: a broker's connections are closed"},
    {100, "UNKNOWN_TOPIC_ID", "Broker: no topic has this id"},
    {103, "INCONSISTENT_TOPIC_ID", "Broker: the topic has another id"},
    {110, "FENCED_MEMBER_EPOCH", "Broker: the member is not of this epoch"},
    {111, "UNRELEASED_INSTANCE_ID",
     "Broker: another member has the instance id"},
    {112, "UNSUPPORTED_ASSIGNOR", "Broker: the group has no such assignor"},
    {113, "STALE_MEMBER_EPOCH", "Broker: the member is of an older epoch"},
    {114, "MISMATCHED_ENDPOINT_TYPE", "Broker: not for this kind of port"},
    {115, "UNSUPPORTED_ENDPOINT_TYPE", "Broker: unknown kind of port"},
    {116, "UNKNOWN_CONTROLLER_ID", "Broker: no controller has this id"},
    {117, "UNKNOWN_SUBSCRIPTION_ID", "Broker: unknown subscription to metrics"},
    {118, "TELEMETRY_TOO_LARGE", "Broker: too many metrics at once"},
    {119, "INVALID_REGISTRATION", "Broker: a broker is not registered well"},
    {120, "TRANSACTION_ABORTABLE", "Broker: the transaction has to be aborted"},
    {121, "INVALID_RECORD_STATE", "Broker: the record is not in that state"},
    {122, "SHARE_SESSION_NOT_FOUND", "Broker: no such session of sharing"},
    {123, "INVALID_SHARE_SESSION_EPOCH", "Broker: wrong epoch of sharing"},
    {124, "FENCED_STATE_EPOCH", "Broker: the state is of another epoch"},
    {125, "INVALID_VOTER_KEY", "Broker: the key is not the voter's"},
    {126, "DUPLICATE_VOTER", "Broker: it is a voter already"},
    {127, "VOTER_NOT_FOUND", "Broker: it is no voter"},
    {128, "INVALID_REGULAR_EXPRESSION", "Broker: a pattern has a mistake"},
    {129, "REBOOTSTRAP_REQUIRED", "Broker: what the client knows is too old"},
    {130, "STREAMS_INVALID_TOPOLOGY", "Broker: the topology has a mistake"},
    {131, "STREAMS_INVALID_TOPOLOGY_EPOCH", "Broker: wrong topology epoch"},
    {132, "STREAMS_TOPOLOGY_FENCED", "Broker: the topology is an older one"},
    {133, "SHARE_SESSION_LIMIT_REACHED",
     "Broker: too many sessions of sharing"},
};
enum { N_NEWER = sizeof(newer) / sizeof(*newer) };

static const struct kafka_error other = {0, ERR_CONNECTION, KAFKA_TELLS, NULL};

static const struct kafka_error *find(int code)
{
    for (size_t i = 0; i < sizeof(errors) / sizeof(*errors); i++) {
        if (errors[i].code == code) {
            return &errors[i];
        }
    }
    return NULL;
}

const struct kafka_error *kafka_error(int code)
{
    const struct kafka_error *found = find(code);

    return found ? found : &other;
}

bool kafka_error_is_known(int code)
{
    return find(code) != NULL;
}

enum err_class kafka_error_class(int code)
{
    return kafka_error(code)->class;
}

static const struct kafka_act_text acts[] = {
    [KAFKA_TELLS] =
        {
            .does = "It is told in the log and in /status; librdkafka tries on "
                    "by itself, and every lane keeps its position.",
        },
    [KAFKA_REJOINS] =
        {
            .does = "It is told in the log and in /status; the worker joins "
                    "the group again and claims the lanes that it gets. No "
                    "record is applied twice.",
            .person = "Nothing, as long as it is rare. If it goes on, see what "
                      "holds the worker up: processor time, memory, the "
                      "network.",
        },
    [KAFKA_MENDS] =
        {
            .does = "Nothing is told: it passes by itself, and every lane "
                    "keeps its position.",
            .person = "Nothing.",
        },
    [KAFKA_LOSES] =
        {
            .does = "The lane looks what Kafka still has: when the next record "
                    "is there it reads on, else it halts. Nothing is skipped "
                    "by itself.",
            .person = "Find out what is missing, and decide where reading goes "
                      "on: 'tidemill lane seek'.",
        },
    [KAFKA_SKIPS] =
        {
            .does = "The lane stays in front of these records, tells so and "
                    "tries to read them again. Nothing is skipped by itself.",
            .person = "See to the brokers. When the records are lost, decide "
                      "where reading goes on: 'tidemill lane seek'.",
        },
    [KAFKA_MISSES] =
        {
            .does = "It is told in the log and in /status; the lanes are read "
                    "as soon as the topic is there.",
            .person = "Create the topic, or correct topics in kafka{}.",
        },
    [KAFKA_DIES] =
        {
            .does = "The worker ends and says why.",
            .person = "Read the last lines of the log.",
        },
};

const struct kafka_act_text *kafka_act_text(enum kafka_act act)
{
    return &acts[act];
}

/* Its place in [newer], or N_NEWER. */
static size_t newer_at(int code)
{
    size_t i = 0;

    while (i < N_NEWER && newer[i].code != code) {
        i++;
    }
    return i;
}

const char *kafka_error_name(int code)
{
    size_t at = newer_at(code);

    return at < N_NEWER ? newer[at].name : rd_kafka_err2name(code);
}

const char *kafka_error_text(int code)
{
    size_t at = newer_at(code);

    return at < N_NEWER ? newer[at].text : rd_kafka_err2str(code);
}

const char *kafka_error_said(int code, char *out, size_t size)
{
    const char *words = kafka_error(code)->words;

    snprintf(out, size, "%s%s%s%s", kafka_error_text(code), words ? " (" : "",
             words ? words : "", words ? ")" : "");
    return out;
}

static bool is_number(const char *word, int *code)
{
    char *end;
    long n = strtol(word, &end, 10);

    *code = (int)n;
    return end != word && *end == '\0' && n > -1000 && n < 1000;
}

bool kafka_error_find(const char *word, int *code)
{
    size_t skip = sizeof(prefix) - 1;

    if (is_number(word, code)) {
        return kafka_error_is_known(*code);
    }
    if (strncasecmp(word, prefix, skip) == 0) {
        word += skip;
    }
    for (size_t i = 0; i < sizeof(errors) / sizeof(*errors); i++) {
        if (strcasecmp(word, kafka_error_name(errors[i].code)) == 0) {
            *code = errors[i].code;
            return true;
        }
    }
    return false;
}

size_t kafka_error_names(const char **names, size_t n)
{
    size_t i = 0;

    for (; i < n && i < sizeof(errors) / sizeof(*errors); i++) {
        names[i] = kafka_error_name(errors[i].code);
    }
    return i;
}
