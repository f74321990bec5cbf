/* kassa-load: loads a service over HTTP, and believes no answer that it has not checked. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "bench/generator.h"

enum { LOAD_GOOD, LOAD_BAD, LOAD_USAGE };

/* Whether each path fits with the longest values; and enough descriptors may be opened. */
static bool load_fits(const struct options *o, struct buf *ret_sentence)
{
    struct script_values longest;
    char path[SCRIPT_PATH_MAX];
    struct rlimit files;
    for (unsigned i = 0; i < SCRIPT_VARIABLES; i++) {
        memset(longest.text[i], 'x', ID_BYTES_MAX);
        longest.text[i][ID_BYTES_MAX] = '\0';
    }
    for (unsigned i = 0; i < o->script.step_count; i++) {
        if (script_fill(o->script.steps[i].path, &longest, path, sizeof(path)) < 0) {
            buf_addf(ret_sentence, "--path is too long: %d bytes at most", SCRIPT_PATH_MAX - 1);
            return false;
        }
    }
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < o->connections + 32) {
        buf_addf(ret_sentence,
                 "%u connections need more descriptors than this shell allows: "
                 "ulimit -n %u",
                 o->connections, o->connections + 32);
        return false;
    }
    return true;
}

static int load_run(int argc, char **argv, struct options *options, struct results *results)
{
    struct buf text = {0};
    if (!options_read(argc, argv, options, &text) ||
        (!options->is_help && !load_fits(options, &text))) {
        fprintf(stderr, "kassa-load: %s\n", text.data);
        buf_free(&text);
        return LOAD_USAGE;
    }
    if (options->is_help) {
        options_help(stdout);
        return LOAD_GOOD;
    }
    if (!generator_run(options, results)) {
        fprintf(stderr, "kassa-load: nobody answers at %s:%d\n", options->host, options->port);
        return LOAD_BAD;
    }
    results_print(results, &options->script, &text);
    fwrite(text.data, 1, text.bytes, stdout);
    buf_free(&text);
    bool is_good = results_are_good(results) && fflush(stdout) == 0;
    if (results->measured == 0 && !results->is_interrupted) {
        fprintf(stderr, "kassa-load: no right answer came within the measured seconds\n");
    }
    results_free(results);
    return is_good ? LOAD_GOOD : LOAD_BAD;
}

int main(int argc, char **argv)
{
    struct options *options = mem_new(sizeof(*options));
    struct results *results = mem_new(sizeof(*results));
    int status = load_run(argc, argv, options, results);
    free(options);
    free(results);
    return status;
}
