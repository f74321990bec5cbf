/* Envelopes between releases whose catalogues differ: neighbours understand each other, and what is
 * not understood may be another release's, so it is kept. test/unit/catalogue has the form itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "runtime/err.h"
#include "test/lib/releases.h"

/* Writes the n-th message as one release does, and reads it as another. */
static int pass(enum release from, enum release to, int64_t n)
{
    struct buf text = {0};
    struct envelope_head table = {0};
    struct message sent = releases_message(from, n);
    struct envelope *e = NULL;
    const char *detail = "";
    envelope_add(&releases[from], &text, &table, &sent);
    envelope_end(&text);
    int err = envelope_read(&releases[to], buf_slice(&text), &e, &detail);
    if (err == 0) {
        const struct message *got = envelope_at(e, 0);
        assert_int_equal(envelope_count(e), 1);
        assert_int_equal(got->type, sent.type);
        assert_int_equal(got->has, sent.has);
        assert_int_equal(got->number, n);
        assert_true(slice_equal(got->mood, sent.mood));
    }
    envelope_free(e);
    buf_free(&text);
    return err;
}

/* Each reads what its neighbours write: the new one the old form, and the old one that of the new. */
static void neighbours_understand_each_other(void **state)
{
    (void)state;
    for (int from = 0; from < RELEASE_COUNT; from++) {
        for (int to = 0; to < RELEASE_COUNT; to++) {
            for (int64_t n = 0; n < 2 && from - to <= 1 && to - from <= 1; n++) {
                assert_int_equal(pass((enum release)from, (enum release)to, n), 0);
            }
        }
    }
}

/* Who has missed a release does not understand the version. That may be another one's: it is to be
 * kept, not parked. */
static void who_missed_a_release_keeps_what_it_gets(void **state)
{
    (void)state;
    for (int64_t n = 0; n < 2; n++) {
        int err = pass(RELEASE_WRITES, RELEASE_BEFORE, n);
        assert_int_equal(err, -ERR_VERSION);
        assert_int_equal(err_disposition(err), ERR_LATER);
    }
    assert_int_equal(pass(RELEASE_BEFORE, RELEASE_WRITES, 0), 0); /* the way on is open */
}

/* Nor is a type or a field parked that came without another version. */
static void new_type_and_field_are_kept(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "{\"v\":2,\"tables\":[{\"type\":\"news\",\"fields\":[\"number\"],\"rows\":[[1]]}]}",
        "{\"v\":2,\"tables\":[{\"type\":\"note\",\"fields\":[\"number\",\"mood\"],"
        "\"rows\":[[1,\"x\"]]}]}",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct envelope *e = NULL;
        const char *detail;
        int err = envelope_read(&releases[RELEASE_BEFORE], slice_from(texts[i]), &e, &detail);
        assert_int_equal(err, -ERR_TYPE);
        assert_int_equal(err_disposition(err), ERR_LATER);
        assert_int_equal(envelope_read(&releases[RELEASE_READS], slice_from(texts[i]), &e, &detail),
                         0);
        envelope_free(e);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(neighbours_understand_each_other),
        cmocka_unit_test(who_missed_a_release_keeps_what_it_gets),
        cmocka_unit_test(new_type_and_field_are_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
