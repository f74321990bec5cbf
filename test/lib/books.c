/* Reads every record of a store and adds up, for each account, what the records took from it. */
#include "test/lib/books.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *text_int(int64_t value)
{
    return text_of("%lld", (long long)value);
}

const char *books_gen(unsigned gen)
{
    return gen == 0 ? "" : text_of("g%u", gen);
}

struct books {
    __int128 gone[BOOKS_ACCOUNTS_MAX]; /* by the records of the accounts' present generation */
    const struct account *accounts;
    unsigned count;
};

static void books_enter(struct books *b, const char *entity, const char *amount, const char *gen,
                        int sign)
{
    unsigned i = (unsigned)strtoul(entity, NULL, 10);
    assert_in_range(i, 0, b->count - 1);
    if (strcmp(gen, books_gen(b->accounts[i].gen)) == 0) {
        b->gone[i] += sign * (__int128)strtoll(amount, NULL, 10);
    }
}

static void books_read(struct books *b, const char *record)
{
    char outcome[32], entity[32], amount[32], gen[32] = "";
    if (sscanf(record, "%31[a-z]|%31[^|]|%31[^|]|%31[^|]", outcome, entity, amount, gen) >= 3) {
        if (strcmp(outcome, "charged") == 0 || strcmp(outcome, "refunded") == 0) {
            books_enter(b, entity, amount, gen, outcome[0] == 'c' ? 1 : -1);
        } else if (strcmp(outcome, "paid") == 0) { /* paid|user|amount|gen|credit: gen may be "" */
            const char *third = strchr(strchr(strchr(record, '|') + 1, '|') + 1, '|') + 1;
            snprintf(gen, sizeof(gen), "%.*s", (int)strcspn(third, "|"), third);
            books_enter(b, entity, amount, gen, 1);
        }
    }
    if (strncmp(record, "taken|", 6) == 0 || strncmp(record, "subtracted|", 11) == 0) {
        for (const char *line = strchr(record, '|') + 1; line != NULL && *line != '\0';) {
            gen[0] = '\0';
            assert_true(sscanf(line, "%31[0-9]*%31[0-9]*%31[g0-9]", entity, amount, gen) >= 2);
            books_enter(b, entity, amount, gen, 1);
            size_t bytes = strcspn(line, ",|");
            line = line[bytes] == ',' ? line + bytes + 1 : NULL;
        }
    }
}

/* What the records say, and nothing else, explains what is left of what was given. */
void books_assert(struct rig *store, const char *service, const char *key, const char *left,
                  const char *given, const struct account *accounts, unsigned account_count)
{
    static char bucket[200][64];
    struct books books = {.accounts = accounts, .count = account_count};
    assert_in_range(account_count, 1, BOOKS_ACCOUNTS_MAX);
    rig_ask(store, "KEYS", text_of("%s:once:*", service));
    unsigned count = rig_count(store);
    assert_in_range(count, 1, 200);
    for (unsigned i = 0; i < count; i++) {
        snprintf(bucket[i], sizeof(bucket[i]), "%s", rig_at(store, i));
    }
    for (unsigned i = 0; i < count; i++) {
        rig_ask(store, "HVALS", bucket[i]);
        for (unsigned n = 0; n < rig_count(store); n++) {
            books_read(&books, rig_at(store, n));
        }
    }
    for (unsigned i = 0; i < account_count; i++) {
        assert_string_equal(rig_ask(store, "HGET", text_of("%s:%u", key, i), left),
                            text_int(accounts[i].left));
        assert_string_equal(rig_ask(store, "HGET", text_of("%s:%u", key, i), given),
                            text_int(accounts[i].given));
        assert_true(accounts[i].left >= 0);
        assert_true(accounts[i].left + books.gone[i] == accounts[i].given);
    }
    assert_string_equal(rig_ask(store, "EXISTS", text_of("%s:%u", key, account_count)), "0");
}
