/* See library.h. */
#include "store/library.h"

#include <stdio.h>
#include <string.h>

#include "catalogue/names.h"

#define LIBRARY_NAME_BYTES 64

void library_call(struct args *c, const struct library *library, const char *name, int key_count)
{
    args_text(c, "FCALL");
    buf_add_text(&c->bytes, name);
    buf_add_text(&c->bytes, "_");
    args_text(c, library->hash);
    args_int(c, key_count);
}

void library_greet(const struct library *library, struct args *c)
{
    char name[LIBRARY_NAME_BYTES];
    snprintf(name, sizeof(name), "%s_greet", library->name);
    library_call(c, library, name, 2);
    args_join(c, library->name, SLICE_TEXT(PART.schema));
    args_join(c, library->name, SLICE_TEXT(PART.libraries));
}

void library_load(const struct library *library, struct args *c)
{
    args_text(c, "FUNCTION");
    args_text(c, "LOAD");
    args_text(c, "REPLACE");
    args_text(c, library->source);
}

bool library_is_missing(struct slice error)
{
    static const char text[] = "ERR Function not found";
    return error.bytes >= sizeof(text) - 1 && memcmp(error.data, text, sizeof(text) - 1) == 0;
}
