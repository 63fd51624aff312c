#pragma once

/* The help of all verbs as a man page of section 1, in roff, to stdout. [about]:
 * what Tidemill is. */
void manual_print(const char *about);
