/* See classes.h. */
#include "model/classes.h"

#include <strings.h>

static const struct class_text texts[] = {
    [ERR_NONE] =
        {
            .means = "No failure.",
            .does = "Nothing.",
            .person = "Nothing.",
        },
    [ERR_CONFLICT] =
        {
            .means = "Another transaction won: a deadlock, a lock that did not "
                     "come in time, a row that changed since it was loaded.",
            .does = "The same batch is done again: three times at once, then "
                    "after a delay that grows. After eight times, or a lock "
                    "that did not come, it is taken apart, so that only the "
                    "lane of the record that meets it waits, and the log says "
                    "so. No record is blamed, unless it is shown that nobody "
                    "else changed its row: then a trigger, a policy or the "
                    "like keeps it back.",
            .person = "Nothing, as long as it is rare. If it goes on, find out "
                      "who else writes these tables or locks them for long.",
        },
    [ERR_RESOURCE] =
        {
            .means = "The server lacks something for now: disk, memory, "
                     "connections, time.",
            .does = "The whole worker backs off and does the same batch again; "
                    "the circuit breaker counts it. While the breaker is open "
                    "the lanes are paused, and Kafka is still polled.",
            .person = "Give the server what the message names. Tidemill goes "
                      "on by itself.",
        },
    [ERR_CONNECTION] =
        {
            .means = "There is no connection, or it was lost.",
            .does = "The whole worker backs off, connects anew and does the "
                    "same batch again; the circuit breaker counts it. When a "
                    "COMMIT was under way, the positions tell whether it "
                    "happened: nothing is lost and nothing applied twice.",
            .person = "See that the server runs and can be reached from here. "
                      "Tidemill goes on by itself.",
        },
    [ERR_SERVER] =
        {
            .means = "The wrong server answers: read-only, or a standby.",
            .does = "The connection is dropped and a writable server is looked "
                    "for; the worker backs off, the circuit breaker counts it, "
                    "and the same batch is done again there.",
            .person = "After a failover nothing, when 'write' of postgres{} "
                      "names all hosts or a name that follows the primary; "
                      "else correct 'write'.",
        },
    [ERR_FENCED] =
        {
            .means = "Another worker claimed the lane, or its position was "
                     "moved by hand.",
            .does = "Nothing of the batch is written. The lane is claimed "
                    "again if it is still ours, and read on from its position "
                    "in tidemill.lane.",
            .person = "Nothing, as long as it is rare. If it goes on, two "
                      "pipelines with one name but different groups write to "
                      "this database: stop one of the two.",
        },
    [ERR_DATA] =
        {
            .means = "A record does not fit: it cannot be read, a value is out "
                     "of range, a constraint or a trigger refuses it.",
            .does = "The record is found: at once when Tidemill sees it "
                    "itself, else by doing the batch again lane by lane, then "
                    "in halves. It is set aside as a dead letter while all "
                    "others commit; later records of its key wait for "
                    "it where a row must not have a gap. Too many of them halt "
                    "the lane.",
            .person = "Look at it with 'tidemill dlq show', correct the table, "
                      "the script or the source, then 'tidemill dlq retry' or "
                      "'tidemill dlq discard'.",
        },
    [ERR_SCRIPT] =
        {
            .means = "A function of the pipeline raised an error on a record, "
                     "or took too long.",
            .does = "The record is found at once and set aside as a dead "
                    "letter while all others commit; later records of its key "
                    "wait for it where a row must not have a gap. Too "
                    "many of them halt the lane, until another version of the "
                    "scripts is loaded.",
            .person = "Correct the script at the file and line that the "
                      "message names, then 'tidemill dlq retry'.",
        },
    [ERR_SCHEMA] =
        {
            .means = "The database does not fit the pipeline, or is damaged: "
                     "what happens would happen to every record.",
            .does = "The lane halts and looks again from time to time. Nothing "
                    "is skipped and nothing set aside, but for a record that "
                    "alone brings a code that others do not meet.",
            .person = "'tidemill check PATH' compares the database with the "
                      "pipeline, 'tidemill schema PATH' prints the SQL. Once "
                      "they fit, the lane goes on by itself.",
        },
    [ERR_CONFIG] =
        {
            .means = "A setting, a privilege or a credential is wrong.",
            .does = "The lane halts and looks again from time to time. Nothing "
                    "is skipped and nothing set aside.",
            .person = "Correct what the message names. When that is in the "
                      "database or in Kafka, the lane goes on by itself; when "
                      "it is in the pipeline, start it again.",
        },
    [ERR_FATAL] =
        {
            .means = "This process cannot go on.",
            .does = "The worker ends and is started again; what was not "
                    "committed is done again. Nothing is skipped.",
            .person = "Nothing, if it stays with one. If it comes back, the "
                      "last lines of the log say why.",
        },
};
EACH(texts, ERR_CLASSES);

const struct class_text *class_text(enum err_class class)
{
    must((size_t) class < ERR_CLASSES);
    return &texts[class];
}

bool class_find(const char *word, enum err_class *out)
{
    for (enum err_class c = ERR_NONE; c <= ERR_FATAL; c++) {
        if (strcasecmp(word, err_class_name(c)) == 0) {
            *out = c;
            return true;
        }
    }
    return false;
}
