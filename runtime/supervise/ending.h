#pragma once
/* --until-end: whether every lane of every topic has reached its end. */
#include "base/page.h"

enum ending {
    ENDING_NOT_YET,
    ENDING_REACHED,
    ENDING_HALTED /* all reached, but for lanes that are halted */
};

enum ending ending_verdict(const struct page *p);
/* Names each halted lane and why, on stderr, for people. */
void ending_print_halted(const struct page *p);
