/* See refusal.h. */
#include "kafka/refusal.h"

#include <librdkafka/rdkafka.h>
#include <string.h>

enum { SCRAM_MENDED = 0x020601ff }; /* 2.6.1 */

struct refusal {
    const char *part; /* of librdkafka's words */
    const char *hint;
};

/* A broker of Kafka 4 refuses the SCRAM of librdkafka before 2.6.1, which sends
 * a nonce twice, with the words for a wrong password. */
static const struct refusal old_scram = {
    "mechanism SCRAM-",
    "user or password is wrong: see sasl.username and sasl.password in options "
    "of kafka{}; if both are right and the broker is Kafka 4 or later, SCRAM "
    "needs librdkafka 2.6.1 or later, and PLAIN works with any"};

static const char no_tls[] =
    "no TLS can be agreed on: if the port speaks none, set security.protocol "
    "in options of kafka{} to 'plaintext' or 'sasl_plaintext', or name its TLS "
    "port in brokers";

static const char tls_port[] =
    "the port speaks TLS: set security.protocol in options of kafka{} to "
    "'sasl_ssl' or 'ssl', or name another port in brokers";

static const struct refusal refusals[] = {
    {"SASL authentication error",
     "user or password is wrong: see sasl.username, sasl.password and "
     "sasl.mechanism in options of kafka{}"},
    {"certificate verify failed",
     "its certificate is not signed by a CA of ssl.ca.location, has expired, "
     "or is for another name than the one in brokers of kafka{}"},
    {"SASL mechanism",
     "the broker does not know sasl.mechanism in options of kafka{}: set it to "
     "one that it supports"},
    {"connecting to a SSL listener", tls_port},
    {"broker might require SASL",
     "the port wants SASL: set security.protocol in options of kafka{} to "
     "'sasl_ssl' and sasl.mechanism, sasl.username, sasl.password"},
    {"connecting to a PLAINTEXT",
     "the port speaks no TLS: set security.protocol in options of kafka{} to "
     "'plaintext' or 'sasl_plaintext', or name its TLS port in brokers"},
    {"alert",
     "the broker does not accept our certificate: see ssl.certificate.location "
     "and ssl.key.location in options of kafka{}"},
    {"Invalid response size", "what answers there is no Kafka broker, or its "
                              "port speaks TLS: brokers of "
                              "kafka{} names the port of another service"},
    {"SSL handshake failed", no_tls},
    {"SSL routines", no_tls},
};

/* What a handle cannot even be made with. */
static const struct refusal starts[] = {
    {"create thread", "no thread can be made: RLIMIT_NPROC (ulimit -u) or "
                      "pids.max of the cgroup is reached, or memory is short"},
    {"ssl.ca.location",
     "the file of ssl.ca.location cannot be read, or holds no certificate in "
     "PEM form"},
    {"ssl.certificate.location",
     "the file of ssl.certificate.location cannot be read, or holds no "
     "certificate in PEM form"},
    {"ssl.key.location", "the file of ssl.key.location cannot be read, holds "
                         "no key in PEM form, or "
                         "ssl.key.password is not its password"},
    {"Unsupported hash function", "sasl.mechanism is none that exists"},
    {"Unsupported SASL mechanism", "sasl.mechanism is none that exists"},
};

static const char *find(const struct refusal *list, size_t n, const char *text)
{
    for (size_t i = 0; i < n; i++) {
        if (strstr(text, list[i].part)) {
            return list[i].hint;
        }
    }
    return NULL;
}

/* What greets a TLS port without TLS is cut off. */
static bool is_cut_at_greeting(const char *reason)
{
    return strstr(reason, "Disconnected: ") &&
           strstr(reason, "in state APIVERSION_QUERY") &&
           !strstr(reason, "ssl://");
}

const char *refusal_in_log(const char *facility, const char *text)
{
    const char *words = strstr(text, "]: "); /* behind the thread */

    return strcmp(facility, "FAIL") == 0 && is_cut_at_greeting(text)
               ? words ? words + 3 : text
               : NULL;
}

const char *refusal_hint(const char *reason, int version)
{
    if (is_cut_at_greeting(reason)) {
        return tls_port;
    }
    if (version < SCRAM_MENDED && strstr(reason, "invalid credentials") &&
        strstr(reason, old_scram.part)) {
        return old_scram.hint;
    }
    return find(refusals, sizeof(refusals) / sizeof(*refusals), reason);
}

static bool repeats_any(const char *reason, const struct plan_option *options,
                        uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        if (options[i].value[0] && strstr(reason, options[i].value)) {
            return true;
        }
    }
    return false;
}

bool refusal_set(struct err *e, const char *what, const char *reason,
                 const struct plan_option *options, uint32_t n)
{
    const char *hint = find(starts, sizeof(starts) / sizeof(*starts), reason);
    bool is_hidden = repeats_any(reason, options, n);

    if (is_hidden) {
        return err_set(e, ERR_CONFIG, "%s cannot start: %s", what,
                       hint
                           ? hint
                           : "librdkafka refuses a value of its options, which "
                             "is not shown here");
    }
    return err_set(e, ERR_CONFIG, "%s cannot start: %s%s%s%s", what,
                   hint ? hint : reason, hint ? " (" : "", hint ? reason : "",
                   hint ? ")" : "");
}
