/* The table of errors, expanded once for each of its columns. */
#include "runtime/err.h"

#include <assert.h>

struct err_row {
    const char *name;
    enum err_disposition disposition;
    const char *text;
};

static const struct err_row err_rows[ERR_END] = {[ERR_NONE] = {"ERR_NONE", ERR_RETRY, "no error"},
#define X(code, disposition, text) [code] = {#code, disposition, text},
                                                 ERR_TABLE(X)
#undef X
};

static const struct err_row *err_row(int err)
{
    int code = err < 0 ? -err : err;
    assert(code >= ERR_NONE && code < ERR_END);
    return &err_rows[code];
}

const char *err_text(int err)
{
    return err_row(err)->text;
}

const char *err_name(int err)
{
    return err_row(err)->name;
}

enum err_disposition err_disposition(int err)
{
    assert(err != ERR_NONE); /* what succeeded has no disposition */
    return err_row(err)->disposition;
}
