/* See limits.h. */
#include "cli/limits.h"

#include <errno.h>
#include <sys/resource.h>

#include "base/log.h"

/* The supervisor has 48 clients and what a worker's log and page take; a worker
 * has some thirty files, its connections, and three a broker, however many
 * brokers there are. */
enum { LEAST_FILES = 64, ENOUGH_FILES = 512 };

bool limits_files(uint32_t connections, struct err *e)
{
    struct rlimit files;
    rlim_t least = LEAST_FILES + connections;
    rlim_t enough = ENOUGH_FILES + connections;

    if (getrlimit(RLIMIT_NOFILE, &files) != 0) {
        return true;
    }
    if (files.rlim_max < least) {
        return err_set(e, ERR_CONFIG,
                       "RLIMIT_NOFILE is %llu, and a run needs %llu open files "
                       "at least, %llu to be at ease: raise it by `ulimit -n`, "
                       "LimitNOFILE= of systemd or --ulimit nofile of Docker",
                       (unsigned long long)files.rlim_max,
                       (unsigned long long)least, (unsigned long long)enough);
    }
    if (files.rlim_cur < enough) {
        files.rlim_cur = files.rlim_max < enough ? files.rlim_max : enough;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    if (files.rlim_cur < enough) {
        log_line(LOG_WARN, "few files may be open",
                 "RLIMIT_NOFILE=%llu enough=%llu hint=\"raise it: with many "
                 "brokers, connections or admin clients it runs out\"",
                 (unsigned long long)files.rlim_cur,
                 (unsigned long long)enough);
    }
    return true;
}
