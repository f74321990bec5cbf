/* UUIDv7 (RFC 9562 section 5.7), ordered within a millisecond by a counter (section 6.2,
 * method 1) that starts at a random number.
 *
 *   48 bits ms | 7 | 12 bits counter, high | 10 | 14 bits counter, low | 48 bits random
 *
 * The counter has 25 bits and starts below 2^24: no process makes 16 million ids in a ms. The bit
 * before them is the mark of uuid_make_kept. */
#include "runtime/uuid.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/random.h>

#define UUID_POOL_BYTES   4096 /* asked from the kernel at a time */
#define UUID_COUNTER_BITS 25

static uint64_t uuid_stream; /* 0: the kernel's randomness */
static struct {
    unsigned char bytes[UUID_POOL_BYTES];
    size_t left; /* the last of them */
} uuid_pool;
static int64_t uuid_last_ms = -1;
static uint32_t uuid_counter; /* of the ids of that millisecond */

void uuid_seed(uint64_t seed)
{
    uuid_stream = seed | 1;
    uuid_last_ms = -1;
}

/* xorshift64 */
static void uuid_random_seeded(unsigned char *ret_bytes, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        uuid_stream ^= uuid_stream << 13;
        uuid_stream ^= uuid_stream >> 7;
        uuid_stream ^= uuid_stream << 17;
        ret_bytes[i] = (unsigned char)(uuid_stream >> 32);
    }
}

static void uuid_random(void *ret_bytes, size_t bytes)
{
    if (uuid_stream != 0) {
        uuid_random_seeded(ret_bytes, bytes);
        return;
    }
    assert(bytes <= UUID_POOL_BYTES);
    if (uuid_pool.left < bytes) {
        for (size_t have = 0; have < UUID_POOL_BYTES;) {
            ssize_t n = getrandom(uuid_pool.bytes + have, UUID_POOL_BYTES - have, 0);
            assert(n > 0 || errno == EINTR);
            have += n > 0 ? (size_t)n : 0;
        }
        uuid_pool.left = UUID_POOL_BYTES;
    }
    memcpy(ret_bytes, uuid_pool.bytes + UUID_POOL_BYTES - uuid_pool.left, bytes);
    uuid_pool.left -= bytes;
}

static uint32_t uuid_count(int64_t wall_ms)
{
    if (wall_ms == uuid_last_ms) {
        uuid_counter++;
        assert(uuid_counter < 1U << UUID_COUNTER_BITS);
        return uuid_counter;
    }
    uuid_last_ms = wall_ms;
    uuid_random(&uuid_counter, sizeof(uuid_counter));
    uuid_counter &= (1U << (UUID_COUNTER_BITS - 1)) - 1;
    return uuid_counter;
}

struct uuid uuid_of(int64_t wall_ms, const unsigned char random[UUID_RANDOM_BYTES], bool is_kept)
{
    assert(wall_ms >= 0 && wall_ms < (int64_t)1 << UUID_MS_BITS);
    unsigned char bytes[6 + UUID_RANDOM_BYTES];
    for (int i = 0; i < 6; i++) {
        bytes[i] = (unsigned char)(wall_ms >> (40 - 8 * i));
    }
    memcpy(bytes + 6, random, UUID_RANDOM_BYTES);
    bytes[6] = (unsigned char)(0x70 | (is_kept ? 8 : 0) | (bytes[6] & 7));
    bytes[8] = (unsigned char)(0x80 | (bytes[8] & 0x3f));

    struct uuid id;
    char *out = id.text;
    for (int i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10) {
            *out++ = '-';
        }
        *out++ = "0123456789abcdef"[bytes[i] >> 4];
        *out++ = "0123456789abcdef"[bytes[i] & 15];
    }
    *out = '\0';
    return id;
}

static struct uuid uuid_next(int64_t wall_ms, bool is_kept)
{
    uint32_t counter = uuid_count(wall_ms);
    unsigned char rest[UUID_RANDOM_BYTES];
    rest[0] = (unsigned char)(counter >> 22);
    rest[1] = (unsigned char)(counter >> 14);
    rest[2] = (unsigned char)(counter >> 8);
    rest[3] = (unsigned char)counter;
    uuid_random(rest + 4, 6);
    return uuid_of(wall_ms, rest, is_kept);
}

struct uuid uuid_make(int64_t wall_ms)
{
    return uuid_next(wall_ms, false);
}

struct uuid uuid_make_kept(int64_t wall_ms)
{
    return uuid_next(wall_ms, true);
}

/* One more than what the digit is worth; 0: it is none. */
static const unsigned char uuid_digits[256] = {
    ['0'] = 1,  ['1'] = 2,  ['2'] = 3,  ['3'] = 4,  ['4'] = 5,  ['5'] = 6,  ['6'] = 7,  ['7'] = 8,
    ['8'] = 9,  ['9'] = 10, ['a'] = 11, ['b'] = 12, ['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16,
    ['A'] = 11, ['B'] = 12, ['C'] = 13, ['D'] = 14, ['E'] = 15, ['F'] = 16,
};

static int uuid_digit(char c)
{
    return uuid_digits[(unsigned char)c] - 1;
}

bool uuid_time_ms(struct slice id, int64_t *ret_wall_ms)
{
    if (id.bytes < UUID_TEXT_BYTES) {
        return false;
    }
    int64_t wall_ms = 0;
    for (size_t i = 0; i < UUID_TEXT_BYTES; i++) {
        if (i == 8 || i == 13 || i == 18 || i == 23) {
            if (id.data[i] != '-') {
                return false;
            }
            continue;
        }
        int digit = uuid_digit(id.data[i]);
        if (digit < 0) {
            return false;
        }
        if (i < 13) { /* twelve digits and a dash */
            wall_ms = wall_ms << 4 | digit;
        }
    }
    if (id.data[14] != '7' || (uuid_digit(id.data[19]) & 0xc) != 0x8) {
        return false;
    }
    *ret_wall_ms = wall_ms;
    return true;
}
