#pragma once
/*
 * Events of types that a projection has no handler for are passed by: people
 * are told, once a type and projection, since the name may be misspelt.
 */
#include "decode/envelope/decoder.h"
#include "flow/rows/program.h"

/* Tells what was passed by for the first time. */
void unknown_tell(struct program *programs, uint32_t n, const struct decoder *d,
                  struct arena *a);
