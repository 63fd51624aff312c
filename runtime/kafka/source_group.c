/*
 * Who is in the group, and has which partition: asked without waiting, for
 * people alone. Any member may ask that of its own group.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/utf8.h"
#include "kafka/source_part.h"
#include "model/deadlines.h"

/*
 * librdkafka (2.0 to 2.14 at least) would look for the group's coordinator by
 * itself. But it looks on when the request is over, and when it finds one, or
 * one that does not know such requests, it uses what it has freed: "Assertion
 * eonce->refcnt > 0 failed", and the process ends. With a broker's number it
 * does not look: so all brokers are asked, and whoever is not the coordinator
 * says so; then that one alone, until it does not answer any more.
 */

void group_brokers(struct source *s, const struct rd_kafka_metadata *all)
{
    s->n_brokers = all->broker_cnt;
    s->broker_ids =
        mem_grow(s->broker_ids, (size_t)(s->n_brokers + 1) * sizeof(int32_t));
    for (int i = 0; i < all->broker_cnt; i++) {
        s->broker_ids[i] = all->brokers[i].id;
    }
}

static void ask(struct source *s, int32_t broker)
{
    const char *group = s->group;
    rd_kafka_AdminOptions_t *o = rd_kafka_AdminOptions_new(
        s->rk, RD_KAFKA_ADMIN_OP_DESCRIBECONSUMERGROUPS);

    rd_kafka_AdminOptions_set_request_timeout(o, KAFKA_ANSWER_MS, NULL, 0);
    rd_kafka_AdminOptions_set_broker(o, broker, NULL, 0);
    rd_kafka_DescribeConsumerGroups(s->rk, &group, 1, o, s->members_queue);
    rd_kafka_AdminOptions_destroy(o);
    s->n_asking++;
}

void source_ask_members(struct source *s)
{
    if (s->n_asking > 0) {
        return;
    }
    if (!s->members_queue) {
        s->members_queue = rd_kafka_queue_new(s->rk);
    }
    if (s->has_coordinator) {
        ask(s, s->coordinator);
    }
    for (int i = 0; i < s->n_brokers && !s->has_coordinator; i++) {
        ask(s, s->broker_ids[i]);
    }
    s->has_coordinator = false; /* but for an answer */
}

/* NULL: whoever answers is not the coordinator, or did not answer. */
static const rd_kafka_ConsumerGroupDescription_t *
described(rd_kafka_event_t *answer)
{
    const rd_kafka_ConsumerGroupDescription_t **all;
    size_t n = 0;

    if (!answer || rd_kafka_event_error(answer)) {
        return NULL;
    }
    all = rd_kafka_DescribeConsumerGroups_result_groups(
        rd_kafka_event_DescribeConsumerGroups_result(answer), &n);
    return n == 1 && !rd_kafka_ConsumerGroupDescription_error(all[0]) ? all[0]
                                                                      : NULL;
}

/* While it divides its partitions anew, nobody has any. */
static const rd_kafka_ConsumerGroupDescription_t *
group_of(rd_kafka_event_t *answer)
{
    const rd_kafka_ConsumerGroupDescription_t *group = described(answer);

    return group && rd_kafka_ConsumerGroupDescription_state(group) ==
                        RD_KAFKA_CONSUMER_GROUP_STATE_STABLE
               ? group
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

static void keep(struct source *s, rd_kafka_event_t *answer)
{
    if (s->members) {
        rd_kafka_event_destroy(s->members);
    }
    s->members = answer;
}

/* The last ones count as long as the next are under way, and no longer. */
static void take_answers(struct source *s)
{
    rd_kafka_event_t *answer;
    uint32_t n = s->n_asking;

    while (s->n_asking > 0 &&
           (answer = rd_kafka_queue_poll(s->members_queue, 0))) {
        const rd_kafka_ConsumerGroupDescription_t *group = described(answer);

        s->n_asking--;
        if (!group) {
            rd_kafka_event_destroy(answer);
            continue;
        }
        s->coordinator = (int32_t)rd_kafka_Node_id(
            rd_kafka_ConsumerGroupDescription_coordinator(group));
        s->has_coordinator = true;
        keep(s, answer);
        sort(group_of(answer));
    }
    if (n > 0 && s->n_asking == 0 && !s->has_coordinator) {
        keep(s, NULL);
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
    take_answers(s);
    group = group_of(s->members);
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
    keep(s, NULL);
    free(s->broker_ids);
    if (s->members_queue) {
        rd_kafka_queue_destroy(s->members_queue);
    }
}
