/* The command line of kassa-load. */
#ifndef KASSA_BENCH_OPTIONS_H
#define KASSA_BENCH_OPTIONS_H

#include <stdio.h>
#include "bench/script.h"

struct options {
    char host[16]; /* numeric, IPv4: names are not resolved, and nothing is measured afar */
    int port;
    unsigned connections;
    unsigned seconds; /* measured */
    unsigned warm_s;  /* before that: checked, but not measured */
    double rate;      /* requests a second on a schedule; 0: closed loop */
    unsigned timeout_s;
    uint64_t from;  /* {n} counts from here.. */
    uint64_t count; /* ..so many times; UINT64_MAX: without end */
    bool is_random; /* {n} is drawn from low..high instead */
    uint64_t low, high;
    const char *progress; /* NULL: none; else what its line begins with */
    bool is_help;
    struct script script;
};

/* Errors: false, with one sentence in *ret_sentence. argv outlives the options. */
bool options_read(int argc, char **argv, struct options *ret, struct buf *ret_sentence);

void options_help(FILE *out);

#endif
