/*
 * See json.h. Only stage 1 of simdjson runs here: its On-Demand front end
 * would be compiled for the oldest processor, while stage 1 comes from the
 * library, which picks the best kernel (AVX-512, AVX2, NEON, ...) at run time.
 */
#define SIMDJSON_EXCEPTIONS 0
#include "decode/json/json.h"

#include <cstdlib>
#include <memory>
#include <new>

#include <simdjson.h>

struct json_index {
    std::unique_ptr<simdjson::internal::dom_parser_implementation> parser;
    size_t capacity = 0;
};

/* Documents of one topic are of like size: doubling ends soon. */
static const size_t least_capacity = 64 * 1024;

static bool reserve(json_index *x, size_t len)
{
    size_t capacity = x->capacity ? x->capacity : least_capacity;

    if (len <= x->capacity) {
        return true;
    }
    if (len > simdjson::SIMDJSON_MAXSIZE_BYTES / 2) {
        return false;
    }
    while (capacity < len) {
        capacity *= 2;
    }
    /* A depth of 1: that is memory for stage 2, which never runs. */
    if (simdjson::get_active_implementation()->create_dom_parser_implementation(
            capacity, 1, x->parser) != simdjson::SUCCESS) {
        abort(); /* out of memory, as in mem_alloc() */
    }
    x->capacity = capacity;
    return true;
}

static json_fault fault_of(simdjson::error_code code)
{
    switch (code) {
    case simdjson::SUCCESS:
        return JSON_FINE;
    case simdjson::UTF8_ERROR:
        return JSON_UTF8;
    case simdjson::UNESCAPED_CHARS:
        return JSON_CONTROL;
    case simdjson::UNCLOSED_STRING:
        return JSON_UNCLOSED;
    case simdjson::CAPACITY:
        return JSON_TOO_LONG;
    default:
        return JSON_EMPTY;
    }
}

json_index *json_index_new(void)
{
    json_index *x = new (std::nothrow) json_index();

    if (!x) {
        abort();
    }
    return x;
}

void json_index_free(json_index *x)
{
    delete x;
}

json_fault json_index_run(json_index *x, const char *p, size_t len,
                          const uint32_t **at, uint32_t *n)
{
    if (!reserve(x, len)) {
        return JSON_TOO_LONG;
    }
    if (len == 0) {
        return JSON_EMPTY;
    }
    simdjson::error_code code =
        x->parser->stage1(reinterpret_cast<const uint8_t *>(p), len,
                          simdjson::stage1_mode::regular);

    *at = x->parser->structural_indexes.get();
    *n = x->parser->n_structural_indexes;
    return fault_of(code);
}
