/* Whether lanes without a position may begin, by the rows that are there: a
 * pipeline does not count its history into them unless that is said. */
#include "flow/claim/claim_part.h"
#include "postgres/store/catalog_ask.h"

const struct pg_result *firsts_owners(const struct claim *c,
                                      const struct firsts *all)
{
    return all->reply->results[c->worker->now->plan->n_projections];
}

static bool has_rows(const struct firsts *all, uint32_t projection)
{
    return catalog_has_rows(all->reply->results[projection]);
}

bool firsts_are_empty(const struct claim *c, const struct firsts *all)
{
    for (uint32_t i = 0; i < c->worker->now->plan->n_projections; i++) {
        if (has_rows(all, i)) {
            return false;
        }
    }
    return !all->has_any;
}

/* Rows that a batch function asks for by key may have been put there for it,
 * if nobody else can have made them of these topics. */
static bool is_reference(const struct claim *c, const struct firsts *all,
                         const struct plan_projection *p)
{
    return p->n_key > 0 && p->columns[0].from == FROM_ASKED &&
           !position_other(firsts_owners(c, all), c->worker->now->plan);
}

static bool refuse_rows(const struct claim *c, const struct firsts *all,
                        const char *table, struct err *e)
{
    const struct plan *p = c->worker->now->plan;
    const char *other = position_other(firsts_owners(c, all), p);

    return err_set(
        e, ERR_CONFIG,
        "table %s has rows, but pipeline '%s' has no position yet, and would "
        "count all records into them%s%s%s. If that is meant: start = { "
        "'earliest', onto_rows = true }, or a time in its place; 'latest' or "
        "'group' begin later; or empty the table",
        table, p->name, other ? ": was it renamed? '" : "", other ? other : "",
        other ? "' has positions of these topics: give it that name again"
              : " once more");
}

/* A time may be of long ago, said when the pipeline had another name. */
static bool is_of_before(const struct claim *c, const struct firsts *all)
{
    bool is_behind = false;

    for (uint32_t i = 0; i < all->n; i++) {
        is_behind |=
            all->list[i].code || all->list[i].offset < all->list[i].facts.high;
    }
    return is_behind &&
           position_other(firsts_owners(c, all), c->worker->now->plan);
}

static bool has_group_offset(const struct firsts *all)
{
    bool is_any = false;

    for (uint32_t i = 0; i < all->n; i++) {
        is_any |= all->list[i].facts.group_offset >= 0;
    }
    return is_any;
}

/* Records would be applied that may be in the rows already, and nobody has said
 * that this is meant. */
static bool is_unasked(const struct claim *c, const struct firsts *all)
{
    const struct plan_source *s = &c->worker->now->plan->source;

    if (s->onto_rows) {
        return false;
    }
    switch (s->start) {
    case START_LATEST:
        return false;
    case START_TIMESTAMP:
        return is_of_before(c, all);
    case START_GROUP:
        return !has_group_offset(all);
    default:
        return true;
    }
}

bool firsts_may_begin(const struct claim *c, const struct firsts *all,
                      struct err *e)
{
    bool is_said = c->worker->now->plan->source.start != START_UNSAID;

    if (all->has_any || !is_unasked(c, all)) {
        return true;
    }
    for (uint32_t i = 0; i < c->worker->now->plan->n_projections; i++) {
        const struct plan_projection *p = &c->worker->now->plan->projections[i];

        if (!has_rows(all, i)) {
            continue;
        }
        if (!plan_can_repeat(p) && !is_reference(c, all, p)) {
            return refuse_rows(c, all, p->table, e);
        }
        if (!is_said) {
            return err_set(e, ERR_CONFIG,
                           "table %s has rows, but this pipeline has no "
                           "position yet: say in kafka{} where to start: "
                           "start = 'earliest', 'latest', 'group' or a time "
                           "(or empty the table)",
                           p->table);
        }
    }
    return true;
}
