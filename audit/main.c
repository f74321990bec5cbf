/* kassa-audit: proves from the stores alone that nothing is lost and nobody was lied to. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "audit/audit.h"

static const char *lookup(const char *variable)
{
    return getenv(variable);
}

static int usage(FILE *out, int status)
{
    fprintf(out, "usage: kassa-audit [--json | --help]\n"
                 "Reads the stores of ORDER_REDIS, STOCK_REDIS and PAYMENT_REDIS, running or at\n"
                 "rest, changes nothing, and says whether everything is accounted for.\n"
                 "Exit status: 0 clean, 1 violations, 2 could not be decided.\n");
    return status;
}

int main(int argc, char **argv)
{
    struct conf conf;
    struct buf text = {0};
    bool is_json = argc == 2 && strcmp(argv[1], "--json") == 0;
    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        return usage(stdout, 0);
    }
    if (argc > 2 || (argc == 2 && !is_json)) {
        return usage(stderr, AUDIT_FAILED);
    }
    if (conf_load(&conf, audit_tables, lookup, &text) != 0) {
        fprintf(stderr, "kassa-audit: %s\n", text.data);
        buf_free(&text);
        return AUDIT_FAILED;
    }
    struct audit_options options = {.is_json = is_json, .is_progress = isatty(STDERR_FILENO) == 1};
    enum audit_verdict verdict = audit_stores(&conf, &options, &text);
    if (verdict == AUDIT_FAILED && !options.is_report) {
        fprintf(stderr, "kassa-audit: %s\n", text.data);
    } else {
        fwrite(text.data, 1, text.bytes, stdout);
    }
    buf_free(&text);
    return fflush(stdout) == 0 ? (int)verdict : AUDIT_FAILED;
}
