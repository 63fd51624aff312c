#pragma once
/* --until-end: whether every lane of every topic has reached its end. */
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
/* Names each halted lane and why, on stderr, for people. */
void ending_print_halted(const struct page *p);
