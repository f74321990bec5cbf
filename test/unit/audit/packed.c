/* Paid orders as they are packed in the store (audit/packed): the form is what it is, for there are
 * orders that were written in it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audit/packed.h"

static const struct {
    struct slice name, value;
    const char *order, *saga, *attempt, *user, *total, *lines;
} orders[] = {
    /* UUIDs, older and younger; a quantity that has no place beside its item */
    {SLICE_TEXT("\x01\x93\xab\xcd\x04\xb2\x70\x01\x90\x07\x00\x00\x01\x23\x45\x67"),
     SLICE_TEXT("\x20\xea\x60\x00\x05\x90\x23\x00\x00\x05\xb0\x5b\x03\x04\xf2\x01\x46\x08\xf3\xd0"
                "\x00\x00\x02\x50\x0e\x00\x00\x02\x46\x8a\xce\x88\x0e\x4e\x14\xe3\x90\x00\x00\x03"
                "\x90\x15\x00\x00\x03\x69\xd0\x35\x05\x00\x04\x10\x1c\x00\x00\x04\x8d\x15\x9c\x46"),
     "0193abcd-04b2-7001-9007-000001234567", "0193abcd-ef12-7005-9023-000005b05b03", "1",
     "018da2da-1f12-7002-900e-000002468ace", "14",
     "018596ea-5f12-7003-9015-00000369d035*2,0193abcd-ef0d-7004-901c-0000048d159c*70"},
    /* numbers, a total that is none of 51 bits, a command that was sent again */
    {SLICE_TEXT("4711"),
     SLICE_TEXT("\x51\x93\xab\xcd\xef\x12\x00\x06\xd0\x2a\x00\x00\x06\xd3\xa0\x6a\x03\xca\x8e\x01"
                "\x03\x88\x0c\x02\xd2"
                "9223372036854775807"
                "\x80\x01\x91\x86\x9f\x02"),
     "4711", "0193abcd-ef12-7006-902a-000006d3a06a", "2", "12", "9223372036854775807",
     "0*1,99999*2"},
    /* other ids, a story in words, 2^53-1 pieces, an item that is younger than its saga */
    {SLICE_TEXT("=o-1"),
     SLICE_TEXT("\x51\x93\xab\xcd\xef\x12\x00\x07\x50\x31\x00\x00\x07\xf6\xe5\xd1\x08"
                "too slow"
                "\x48"
                "CHARGING:1733754220306:0,CANCELLING:1733754220307:1,PAID:1733754220308:0"
                "\xc2"
                "ann"
                "\x01\x88\x0e\xc0i\xff\xff\xff\xff\xff\xff\xff\x0f\xe3"
                "0193abcd-ef44-7009-903f-00000a3d709f"
                "\x01"),
     "o-1", "0193abcd-ef12-7007-9031-000007f6e5d1", "1", "ann", "14",
     "i*9007199254740991,0193abcd-ef44-7009-903f-00000a3d709f*1"},
    /* no lines; an id that would be taken for a UUID */
    {SLICE_TEXT("==abcdefghijklmno"),
     SLICE_TEXT("\x51\x93\xab\xcd\xef\x12\x10\x08\x10\x38\x00\x00\x09\x1a\x2b\x38\x02\xc0u\x01\x88"
                "\x0e"),
     "abcdefghijklmno", "0193abcd-ef12-7008-9038-0000091a2b38", "1", "u", "14", ""},
};

static void assert_slice(struct slice s, const char *text)
{
    if (!slice_is(s, text)) {
        fail_msg("%.*s, should be %s", SLICE_ARG(s), text);
    }
}

static void read_as_written(void **state)
{
    struct packed_order p = {0};
    (void)state;
    for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
        assert_true(packed_read(orders[i].name, orders[i].value, &p));
        assert_slice(p.order, orders[i].order);
        assert_slice(p.saga, orders[i].saga);
        assert_slice(p.attempt, orders[i].attempt);
        assert_slice(p.user, orders[i].user);
        assert_slice(p.total, orders[i].total);
        assert_slice(p.lines, orders[i].lines);
    }
    buf_free(&p.texts);
}

/* Cut off anywhere it is refused, but behind a line: then there are fewer. Each copy has just its
 * own bytes, so that one that is read behind them is seen. */
static void cut_off(void **state)
{
    struct packed_order p = {0};
    (void)state;
    for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
        unsigned read = 0;
        for (size_t bytes = 0; bytes < orders[i].value.bytes; bytes++) {
            char *copy = malloc(bytes + (bytes == 0));
            assert_non_null(copy);
            memcpy(copy, orders[i].value.data, bytes);
            read += packed_read(orders[i].name, (struct slice){copy, bytes}, &p);
            free(copy);
        }
        assert_int_equal(read, orders[i].lines[0] == '\0' ? 0 : 2);
    }
    buf_free(&p.texts);
}

/* Bytes that nobody writes. */
static void damaged(void **state)
{
    static const struct slice values[] = {
        SLICE_TEXT(""),
        SLICE_TEXT("garbage"),
        SLICE_TEXT("\x7f\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"),
        SLICE_TEXT("\x51\x93\xab\xcd\xef\x12\x50\x08\x10\x38\x00\x00\x09\x1a\x2b\x38\x02\xc0u\x01"),
        SLICE_TEXT("\x51\x93\xab\xcd\xef\x12\x10\x08\x10\x38\x00\x00\x09\x1a\x2b\x38"
                   "\xff\xff\xff\xff\xff\xff\xff\xff\x7f\xc0u\x01\x88\x0e"),
    };
    struct packed_order p = {0};
    (void)state;
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        assert_false(packed_read(SLICE_TEXT("4711"), values[i], &p));
    }
    assert_false(packed_read(SLICE_TEXT("==="), orders[1].value, &p));
    assert_false(packed_read(SLICE_TEXT("0123456789abcdef"), orders[1].value, &p));
    buf_free(&p.texts);
}

/* A name is in one bucket of those that there are, and a split moves it to the new one or nowhere.
 */
static void buckets(void **state)
{
    (void)state;
    for (unsigned n = 0; n < 1000; n++) {
        char name[8];
        int bytes = snprintf(name, sizeof(name), "%u", n);
        struct slice s = {name, (size_t)bytes};
        uint64_t was = packed_bucket(s, 1);
        assert_int_equal(was, 0);
        for (uint64_t count = 2; count < 100; count++) {
            uint64_t now = packed_bucket(s, count);
            assert_true(now == was || now == count - 1);
            was = now;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(read_as_written),
        cmocka_unit_test(cut_off),
        cmocka_unit_test(damaged),
        cmocka_unit_test(buckets),
    };
    return cmocka_run_group_tests_name("unit/audit/packed", tests, NULL, NULL);
}
