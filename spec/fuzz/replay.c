/*
 * Runs a fuzz target over files, one after the other: the corpus without a
 * fuzzer. What is wrong ends the process, as it does under the fuzzer; the
 * name of the file is said before.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/buf.h"
#include "input.h"

static bool read_file(const char *name, struct buf *out)
{
    FILE *f = fopen(name, "rbe");
    size_t n;

    if (!f) {
        return false;
    }
    do {
        buf_reserve(out, 65536);
        n = fread(out->data + out->len, 1, 65536, f);
        out->len += n;
    } while (n > 0);
    fclose(f);
    return true;
}

/* In a block of just its size: a sanitizer sees what is read beyond it. */
static void run(const struct buf *file)
{
    uint8_t *data = mem_alloc(file->len);

    if (file->len > 0) {
        memcpy(data, file->data, file->len);
    }
    LLVMFuzzerTestOneInput(data, file->len);
    free(data);
}

int main(int argc, char **argv)
{
    struct buf file = {0};
    int failed = argc < 2;

    for (int i = 1; i < argc; i++) {
        printf("%s\n", argv[i]);
        fflush(stdout);
        buf_clear(&file);
        if (read_file(argv[i], &file)) {
            run(&file);
        } else {
            fprintf(stderr, "%s: cannot be read\n", argv[i]);
            failed = 1;
        }
    }
    buf_close(&file);
    return failed;
}
