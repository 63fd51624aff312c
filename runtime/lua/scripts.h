#pragma once
/* Where Tidemill's own scripts are: TIDEMILL_SCRIPTS, beside the binary, or the
 * installed place. Looked for once. */

const char *scripts_dir(void);
