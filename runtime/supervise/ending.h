#pragma once
/* --until-end: whether every lane of every topic has reached its end. */
#include <stdbool.h>
#include <stddef.h>

#include "model/page.h"

enum ending {
    ENDING_NOT_YET,
    ENDING_REACHED,
    ENDING_HALTED /* all reached, but for lanes that are halted */
};

enum ending ending_of(const struct page *p);
/* What the end still waits for: the first lane that has not reached it. */
void ending_describe(const struct page *p, char *out, size_t size);
/* Says how many records the run set aside, and of which topics letters stand in
 * the table now. False: it set none aside, and nothing was said. */
bool ending_tell_letters(const struct page *p);
/* Names each halted lane and why, on stderr, for people. */
void ending_print_halted(const struct page *p);
