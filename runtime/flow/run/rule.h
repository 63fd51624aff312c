#pragma once
/*
 * What a failure rule decides, carried out. The rule (rules/sqlstate.lua, or
 * the pipeline's own) is asked about a batch that the database refused, and
 * about each record that a handler refused.
 */
#include "flow/run/next.h"
#include "flow/run/run.h"

/* Asks what to do about a batch that failed with [e]. */
struct next rule_failed(struct batch *b, const struct err *e);
/* Asks about the record of [event], whose letter it decides. */
void rule_ask_record(struct batch *b, uint32_t event);
/*
 * The rule asked for the batch again after [delay], since [event] failed with
 * [e]. It may do so for ever, but then people are told, and behind some retries
 * there is a pause whatever it says.
 */
struct next rule_asks_again(struct batch *b, const struct err *e,
                            uint32_t event, usec delay);
