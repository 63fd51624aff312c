#pragma once
/* Whose fault it is when a call of the scripts fails. */
#include "flow/batch/batch.h"

/* A script passed on what a call said: its class is the call's when that is no
 * record's fault. */
void batch_classify(const struct batch *b, struct err *e);
/* Of what a script raised with this reason. */
enum err_class batch_class(const struct batch *b, const char *reason);
/* What is wrong in what [by] runs is the fault of b->input.view.current, or
 * without one of the first good record. False: there is none. */
bool batch_blame(struct batch *b, const struct err *e, int32_t by);
/* Behind every call of the scripts: was it too much memory for [n] events? That of
 * one alone is the event's. */
void batch_called(struct batch *b, uint32_t n);
/* Behind that: column faults met records that cannot be
 * read. Those failed, and not the event whose handler touched the field. */
bool batch_take_unread(struct batch *b);
