/*
 * Who is in the group, and has which partition: asked without waiting, for
 * people alone. Any member may ask that of its own group.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "kafka/consumer.h"

/* librdkafka (2.0) looks for the coordinator for as long as there is none, and
 * uses a request that is over by then after it was freed: so one lasts for the
 * hour that there may be. Nobody waits for it: a while later the last answer
 * counts no more. */
enum { ASK_MS = 3600 * 1000 };
static const usec LATE_USEC = 5 * 1000000ULL;

void source_ask_members(struct source *s)
{
    const char *group = s->group;
    rd_kafka_AdminOptions_t *o;

    if (s->members_asked) {
        return;
    }
    if (!s->members_queue) {
        s->members_queue = rd_kafka_queue_new(s->rk);
    }
    o = rd_kafka_AdminOptions_new(s->rk,
                                  RD_KAFKA_ADMIN_OP_DESCRIBECONSUMERGROUPS);
    rd_kafka_AdminOptions_set_request_timeout(o, ASK_MS, NULL, 0);
    rd_kafka_DescribeConsumerGroups(s->rk, &group, 1, o, s->members_queue);
    rd_kafka_AdminOptions_destroy(o);
    s->members_asked = clock_usec();
}

static const rd_kafka_ConsumerGroupDescription_t *
group_of(rd_kafka_event_t *answer)
{
    const rd_kafka_ConsumerGroupDescription_t **all;
    size_t n = 0;

    if (!answer || rd_kafka_event_error(answer)) {
        return NULL;
    }
    all = rd_kafka_DescribeConsumerGroups_result_groups(
        rd_kafka_event_DescribeConsumerGroups_result(answer), &n);
    /* While it divides its partitions anew, nobody has any. */
    return n == 1 && !rd_kafka_ConsumerGroupDescription_error(all[0]) &&
                   rd_kafka_ConsumerGroupDescription_state(all[0]) ==
                       RD_KAFKA_CONSUMER_GROUP_STATE_STABLE
               ? all[0]
               : NULL;
}

static rd_kafka_topic_partition_list_t *
list_of(const rd_kafka_MemberDescription_t *m)
{
    const rd_kafka_MemberAssignment_t *a =
        rd_kafka_MemberDescription_assignment(m);

    return a ? (rd_kafka_topic_partition_list_t *)
                   rd_kafka_MemberAssignment_partitions(a)
             : NULL;
}

/* Thousands of partitions are looked up. */
static void sort(const rd_kafka_ConsumerGroupDescription_t *group)
{
    size_t n =
        group ? rd_kafka_ConsumerGroupDescription_member_count(group) : 0;

    for (size_t i = 0; i < n; i++) {
        rd_kafka_topic_partition_list_t *list =
            list_of(rd_kafka_ConsumerGroupDescription_member(group, i));

        if (list) {
            rd_kafka_topic_partition_list_sort(list, NULL, NULL);
        }
    }
}

static bool is_late(const struct source *s)
{
    return s->members_asked && clock_usec() > s->members_asked + LATE_USEC;
}

/* The newest answer. */
static void take_answer(struct source *s)
{
    rd_kafka_event_t *answer =
        s->members_asked ? rd_kafka_queue_poll(s->members_queue, 0) : NULL;

    if (answer) {
        s->members_asked = 0;
        if (s->members) {
            rd_kafka_event_destroy(s->members);
        }
        s->members = answer;
        sort(group_of(answer));
    }
}

static int compare(const void *a, const void *b)
{
    const rd_kafka_topic_partition_t *x = a, *y = b;
    int order = strcmp(x->topic, y->topic);

    return order
               ? order
               : (x->partition > y->partition) - (x->partition < y->partition);
}

static bool has(const rd_kafka_MemberDescription_t *m, const char *topic,
                int32_t partition)
{
    const rd_kafka_topic_partition_t wanted = {.topic = (char *)topic,
                                               .partition = partition};
    const rd_kafka_topic_partition_list_t *list = list_of(m);

    return list && list->cnt > 0 &&
           bsearch(&wanted, list->elems, (size_t)list->cnt, sizeof(wanted),
                   compare);
}

/* Strangers choose their names; people see them in terminals. */
static void copy(char *out, size_t size, const char *text)
{
    snprintf(out, size, "%s", text ? text : "");
    utf8_clean_line(out);
}

enum holder_kind source_holder(struct source *s, const char *topic,
                               int32_t partition, struct holder *out)
{
    const rd_kafka_ConsumerGroupDescription_t *group;
    size_t n;

    *out = (struct holder){0};
    take_answer(s);
    group = is_late(s) ? NULL : group_of(s->members);
    n = group ? rd_kafka_ConsumerGroupDescription_member_count(group) : 0;
    for (size_t i = 0; i < n; i++) {
        const rd_kafka_MemberDescription_t *m =
            rd_kafka_ConsumerGroupDescription_member(group, i);

        if (has(m, topic, partition)) {
            copy(out->client, sizeof(out->client),
                 rd_kafka_MemberDescription_client_id(m));
            copy(out->host, sizeof(out->host),
                 rd_kafka_MemberDescription_host(m));
            copy(out->instance, sizeof(out->instance),
                 rd_kafka_MemberDescription_group_instance_id(m));
            return HOLDER_MEMBER;
        }
    }
    return group ? HOLDER_NOBODY : HOLDER_UNKNOWN;
}

void group_close(struct source *s)
{
    if (s->members) {
        rd_kafka_event_destroy(s->members);
    }
    if (s->members_queue) {
        rd_kafka_queue_destroy(s->members_queue);
    }
}
