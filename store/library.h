/* The functions of a store, made by deploy/embed.sh: their names end in the hash of the source, so
 * that the versions of a library do not replace one another (library.lua).
 * Source: protocol.md, "Versions side by side"; Redis manual: Functions. */
#ifndef KASSA_STORE_LIBRARY_H
#define KASSA_STORE_LIBRARY_H

#include "store/args.h"

struct library {
    const char *name; /* "order" */
    const char *hash; /* 8 hex digits */
    const char *source;
};

/* Begins a call of this version's function: FCALL <name>_<hash> <key_count>. The keys and the
 * arguments follow. The only place that makes such a name. */
void library_call(struct args *c, const struct library *library, const char *name, int key_count);
/* The call that announces this version: answered with the names of libraries that no process has
 * used for long, or with an error when a newer version has written what this one cannot read. */
void library_greet(const struct library *library, struct args *c);
/* Loads it into the server, unless it is there: its name identifies its text. */
void library_load(const struct library *library, struct args *c);
/* True when a server's error says that it lacks the function. */
bool library_is_missing(struct slice error);

#endif
