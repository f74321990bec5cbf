/* Configuration from a made-up environment. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "order/commands.h"
#include "payment/commands.h"
#include "runtime/conf.h"
#include "runtime/err.h"
#include "test/lib/all_tables.h"

static const char *given_variable; /* the one that is set; NULL: none */
static const char *given_value;

static const char *const *given_pairs; /* name, value, .., NULL; or NULL */

static const char *conf_given(const char *variable)
{
    for (const char *const *pair = given_pairs; pair && *pair; pair += 2) {
        if (strcmp(variable, pair[0]) == 0) {
            return pair[1];
        }
    }
    return given_variable && strcmp(variable, given_variable) == 0 ? given_value : NULL;
}

static int load(const char *variable, const char *value, struct conf *ret_conf,
                struct buf *ret_sentence)
{
    given_variable = variable;
    given_value = value;
    return conf_load(ret_conf, all_tables, conf_given, ret_sentence);
}

static void refused(const char *variable, const char *value, const char *sentence)
{
    struct conf conf;
    struct buf text = {0};
    memset(&conf, 7, sizeof(conf));
    assert_int_equal(load(variable, value, &conf, &text), -ERR_CONFIG);
    assert_string_equal(text.data, sentence);
    assert_int_equal(conf.values[0], 7); /* untouched */
    buf_free(&text);
}

/* Without any variable the defaults of the table hold. */
static void conf_defaults_test(void **state)
{
    (void)state;
    struct conf conf;
    struct buf sentence = {0};
    assert_int_equal(load(NULL, NULL, &conf, &sentence), 0);
    assert_int_equal(gateway_conf(&conf)->http_port, 8000);
    assert_string_equal(gateway_conf(&conf)->http_host, "127.0.0.1");
    assert_string_equal(store_conf(&conf)->redis_password, "");
    assert_string_equal(address_of(&conf, ADDRESS_STOCK), "127.0.0.1:6379");
    assert_string_equal(service_conf(&conf)->log_level, "info");
    assert_int_equal(broker_conf(&conf)->window_bytes, 196608);
    assert_null(sentence.data);
}

/* A given value is taken, at both ends of what is allowed. */
static void conf_given_test(void **state)
{
    (void)state;
    struct conf conf;
    struct buf sentence = {0};
    assert_int_equal(load("HTTP_PORT", "0", &conf, &sentence), 0);
    assert_int_equal(gateway_conf(&conf)->http_port, 0);
    assert_int_equal(load("HTTP_PORT", "65535", &conf, &sentence), 0);
    assert_int_equal(gateway_conf(&conf)->http_port, 65535);
    assert_int_equal(load("RABBITMQ_NODES", "a:1,[::1]:2,c.d:3", &conf, &sentence), 0);
    assert_string_equal(broker_conf(&conf)->rabbitmq_nodes, "a:1,[::1]:2,c.d:3");
    assert_int_equal(load("HTTP_PROT", "x", &conf, &sentence), 0); /* not ours */
}

/* A wrong value gives one sentence with the variable, the value and what is allowed. */
static void conf_refused_test(void **state)
{
    (void)state;
    const char *port = "HTTP_PORT is \"%s\": it must be a whole number from 0 to 65535";
    const char *wrong[] = {"80a", "65536", "-1", "", "80.0", "+80", "99999999999999999999"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        char sentence[200];
        snprintf(sentence, sizeof(sentence), port, wrong[i]);
        refused("HTTP_PORT", wrong[i], sentence);
    }
    refused("LOG_LEVEL", "loud", "LOG_LEVEL is \"loud\": it must be debug, info, warn or error");
    refused("ORDER_REDIS", "localhost",
            "ORDER_REDIS is \"localhost\": it must be host:port, since REDIS_SENTINELS is not set");
    refused("ORDER_REDIS", "a b:1",
            "ORDER_REDIS is \"a b:1\": it must be host:port, or with REDIS_SENTINELS the name of a "
            "master");
    refused("REDIS_SENTINELS", "a:1,b",
            "REDIS_SENTINELS is \"a:1,b\": it must be host:port, several of them separated by "
            "commas, or nothing");
    refused("RABBITMQ_NODES", "a:1,b",
            "RABBITMQ_NODES is \"a:1,b\": it must be host:port, or several of them separated by "
            "commas");
    refused("HTTP_HOST", "", "HTTP_HOST is \"\": it must be 1 to 255 printable characters");
    refused("HTTP_HOST", "a\nb", "HTTP_HOST is \"a?b\": it must be 1 to 255 printable characters");
}

/* There has to be room for those who are told that there are too many; both variables can break it.
 */
static void conf_connections_test(void **state)
{
    (void)state;
    struct conf conf;
    struct buf sentence = {0};
    refused("HTTP_CONNECTIONS_MAX", "10255",
            "HTTP_CONNECTIONS_MAX is 10255 and PENDING_MAX 10000: there must be room for 256 more "
            "connections than may wait, so HTTP_CONNECTIONS_MAX must be at least 10256");
    refused("PENDING_MAX", "13000",
            "HTTP_CONNECTIONS_MAX is 12288 and PENDING_MAX 13000: there must be room for 256 more "
            "connections than may wait, so HTTP_CONNECTIONS_MAX must be at least 13256");
    assert_int_equal(load("HTTP_CONNECTIONS_MAX", "10256", &conf, &sentence), 0);
    assert_int_equal(load("PENDING_MAX", "12032", &conf, &sentence), 0);
}

/* A secret shows neither in the table nor in the sentence that refuses it. */
static void conf_secret_test(void **state)
{
    (void)state;
    refused("REDIS_PASSWORD", "hunter2\n",
            "REDIS_PASSWORD is a secret of 8 bytes: it must be 0 to 255 printable characters");
    struct conf conf;
    struct buf text = {0};
    assert_int_equal(load("RABBITMQ_PASSWORD", "hunter2", &conf, &text), 0);
    conf_print(&conf, &text);
    assert_null(strstr(text.data, "hunter2"));
    assert_non_null(strstr(text.data, "* RABBITMQ_PASSWORD  "));
    buf_free(&text);
}

/* With Sentinels all stores are names of masters; one that is an address is refused. */
static void conf_sentinels_test(void **state)
{
    (void)state;
    static const char *const names[] = {
        "REDIS_SENTINELS", "s1:26379,s2:26379", "ORDER_REDIS", "order", "STOCK_REDIS", "stock",
        "PAYMENT_REDIS",   "payment",           "SAGA_REDIS",  "saga",  NULL};
    static const char *const mixed[] = {"REDIS_SENTINELS", "s1:26379",   "ORDER_REDIS", "order",
                                        "STOCK_REDIS",     "stock:6379", NULL};
    struct conf conf;
    struct buf sentence = {0};
    given_pairs = names;
    assert_int_equal(load(NULL, NULL, &conf, &sentence), 0);
    assert_true(store_conf_has_sentinels(store_conf(&conf)));
    assert_string_equal(address_of(&conf, ADDRESS_ORDER), "order");
    assert_string_equal(address_of(&conf, ADDRESS_STOCK), "stock");
    assert_string_equal(address_of(&conf, ADDRESS_PAYMENT), "payment");
    assert_string_equal(address_of(&conf, ADDRESS_SAGA), "saga");
    assert_int_equal(conf_node_count(store_conf(&conf)->redis_sentinels), 2);
    given_pairs = mixed;
    assert_int_equal(load(NULL, NULL, &conf, &sentence), -ERR_CONFIG);
    assert_string_equal(sentence.data, "STOCK_REDIS is \"stock:6379\": it must be the name of a "
                                       "master, since REDIS_SENTINELS is set");
    given_pairs = NULL;
    buf_free(&sentence);
}

/* A secret may be the first line of a file; what is in the environment comes first; a file that is
 * not there is refused by its name. Only secrets have files. */
static void conf_file_test(void **state)
{
    (void)state;
    char path[] = "/tmp/kassa-conf-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "from file\nsecond\n", 17), 17);
    close(fd);
    const char *const filed[] = {"REDIS_PASSWORD_FILE", path, "HTTP_PORT_FILE", path, NULL};
    const char *const both[] = {"REDIS_PASSWORD_FILE", path, "REDIS_PASSWORD", "given", NULL};
    const char *const gone[] = {"REDIS_PASSWORD_FILE", "/nowhere/x", NULL};
    struct conf conf;
    struct buf sentence = {0};
    given_pairs = filed;
    assert_int_equal(load(NULL, NULL, &conf, &sentence), 0);
    assert_string_equal(store_conf(&conf)->redis_password, "from file");
    assert_int_equal(gateway_conf(&conf)->http_port, 8000);
    given_pairs = both;
    assert_int_equal(load(NULL, NULL, &conf, &sentence), 0);
    assert_string_equal(store_conf(&conf)->redis_password, "given");
    given_pairs = gone;
    assert_int_equal(load(NULL, NULL, &conf, &sentence), -ERR_CONFIG);
    assert_string_equal(sentence.data, "REDIS_PASSWORD_FILE is \"/nowhere/x\": it must be a file "
                                       "that can be read, with a line in it");
    given_pairs = NULL;
    buf_free(&sentence);
    unlink(path);
}

/* A process looks at no variable that it does not read, whatever is in it, and shows none. */
static void conf_room_test(void **state)
{
    (void)state;
    static const char *const shared[] = {"HTTP_PORT",       "none",  "PENDING_MAX", "0",
                                         "ORDER_LINES_MAX", "77",    "STOCK_REDIS", "nowhere",
                                         "RABBITMQ_USER",   "kassa", NULL};
    struct conf conf;
    struct buf text = {0};
    given_pairs = shared;
    given_variable = NULL;
    assert_int_equal(conf_load(&conf, order_definition.tables, conf_given, &text), 0);
    assert_int_equal(order_conf(&conf)->order_lines_max, 77);
    assert_string_equal(broker_conf(&conf)->rabbitmq_user, "kassa");
    conf_print(&conf, &text);
    assert_non_null(strstr(text.data, "ORDER_REDIS"));
    assert_null(strstr(text.data, "HTTP_PORT"));
    assert_null(strstr(text.data, "STOCK_REDIS"));
    assert_int_equal(conf_load(&conf, payment_definition.tables, conf_given, &text), 0);
    assert_int_equal(conf_load(&conf, gateway_tables, conf_given, &text), -ERR_CONFIG);
    given_pairs = NULL;
    buf_free(&text);
}

/* The values of one table are a room's own: no other table's are near them. */
static void conf_values_test(void **state)
{
    (void)state;
    struct conf conf;
    struct buf sentence = {0};
    assert_int_equal(load(NULL, NULL, &conf, &sentence), 0);
    for (unsigned t = 0; t < conf.count; t++) {
        const unsigned char *values = conf_of(&conf, conf.tables[t]);
        assert_true(values >= conf.values);
        assert_true(values + conf.tables[t]->bytes <= conf.values + sizeof(conf.values));
        memset(conf_values(&conf, conf.tables[t]), (int)t + 1, conf.tables[t]->bytes);
    }
    for (unsigned t = 0; t < conf.count; t++) {
        const unsigned char *values = conf_of(&conf, conf.tables[t]);
        assert_int_equal(values[0], t + 1);
        assert_int_equal(values[conf.tables[t]->bytes - 1], t + 1);
    }
}

/* A variable is one table's: two would have two defaults, and two limits, for one value. */
static void conf_once_test(void **state)
{
    (void)state;
    const struct conf_row *rows[200];
    unsigned count = 0;
    for (const struct conf_table *const *table = all_tables; *table; table++) {
        for (unsigned i = 0; i < (*table)->count; i++) {
            rows[count] = &(*table)->rows[i];
            for (unsigned k = 0; k < count; k++) {
                assert_string_not_equal(rows[k]->variable, rows[count]->variable);
            }
            assert_true(++count < sizeof(rows) / sizeof(rows[0]));
        }
    }
}

/* The table has a line for each variable, its columns aligned, and marks what was changed. */
static void conf_print_test(void **state)
{
    (void)state;
    struct conf conf;
    struct buf text = {0};
    assert_int_equal(load("HTTP_PORT", "9000", &conf, &text), 0);
    conf_print(&conf, &text);
    const char *line = strstr(text.data, "* HTTP_PORT  ");
    const char *other = strstr(text.data, "  HTTP_HOST  ");
    assert_non_null(line);
    assert_non_null(other);
    const char *head = text.data;
    ptrdiff_t value_at = strstr(head, "value") - head;
    ptrdiff_t default_at = strstr(head, "default") - head;
    assert_memory_equal(line + value_at, "9000 ", 5);
    assert_memory_equal(line + default_at, "8000 ", 5);
    assert_memory_equal(other + value_at, "127.0.0.1 ", 10);
    size_t lines = 0;
    for (const char *c = text.data; *c; c++) {
        lines += *c == '\n';
    }
    size_t rows = 0;
    for (unsigned t = 0; t < conf.count; t++) {
        rows += conf.tables[t]->count;
    }
    assert_int_equal(lines, rows + 2);
    buf_free(&text);
}

/* The n-th node is found and n wraps around; anything malformed anywhere is refused. */
static void conf_node_test(void **state)
{
    (void)state;
    char host[16] = "untouched";
    int port = -1;
    const char *nodes = "one:1,[2001::2]:2,three:65535";
    assert_true(conf_node(nodes, 0, host, sizeof(host), &port));
    assert_string_equal(host, "one");
    assert_int_equal(port, 1);
    assert_true(conf_node(nodes, 1, host, sizeof(host), &port));
    assert_string_equal(host, "2001::2");
    assert_true(conf_node(nodes, 5, host, sizeof(host), &port));
    assert_string_equal(host, "three");
    assert_int_equal(port, 65535);

    const char *bad[] = {"",     "a",    ":1",       "a:",    "a:0",    "a:65536",
                         "a:1,", ",a:1", "a:1,,b:2", "a b:1", "a:1 ",   "::1:5672",
                         "a:-1", "a:1x", "[]:1",     "a:1,b", "[zz]:1", "a\":1"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_false(conf_node(bad[i], 0, host, sizeof(host), &port));
        assert_string_equal(host, "three");
        assert_int_equal(port, 65535);
    }
    assert_false(conf_node("much.longer.than.that:1", 0, host, sizeof(host), &port));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(conf_defaults_test),    cmocka_unit_test(conf_given_test),
        cmocka_unit_test(conf_refused_test),     cmocka_unit_test(conf_secret_test),
        cmocka_unit_test(conf_connections_test), cmocka_unit_test(conf_sentinels_test),
        cmocka_unit_test(conf_file_test),        cmocka_unit_test(conf_print_test),
        cmocka_unit_test(conf_node_test),        cmocka_unit_test(conf_room_test),
        cmocka_unit_test(conf_values_test),      cmocka_unit_test(conf_once_test),
    };
    return cmocka_run_group_tests_name("runtime/conf", tests, NULL, NULL);
}
