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

/* Begins a call of a function, of this version's: FCALL <name>_<hash> <key_count>. The keys and the
 * arguments follow. The only place where such a name is made. */
void library_call(struct args *c, const struct library *library, const char *name, int key_count);
/* The call that says which version comes: answered with the names of libraries that nobody has used
 * for long, or with an error when a newer version has written what this one cannot read. */
void library_greet(const struct library *library, struct args *c);
/* Puts it into the server, unless it is there: its name says what is in it. */
void library_load(const struct library *library, struct args *c);
/* Does a server's error say that it has not got the function? */
bool library_is_missing(struct slice error);

#endif
