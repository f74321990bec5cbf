/* The command line: read, checked, explained. */
#include "bench/options.h"

#include <arpa/inet.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

enum {
    OPTION_FIRST = 256,
    URL = OPTION_FIRST,
    CONNECTIONS,
    SECONDS,
    WARM,
    RATE,
    TIMEOUT,
    METHOD,
    PATH,
    FROM,
    COUNT,
    RANDOM,
    EXPECT,
    MIX,
    PROGRESS,
    HELP
};

static const struct option options_table[] = {
    {"url", required_argument, NULL, URL},
    {"connections", required_argument, NULL, CONNECTIONS},
    {"seconds", required_argument, NULL, SECONDS},
    {"warm", required_argument, NULL, WARM},
    {"rate", required_argument, NULL, RATE},
    {"timeout", required_argument, NULL, TIMEOUT},
    {"method", required_argument, NULL, METHOD},
    {"path", required_argument, NULL, PATH},
    {"from", required_argument, NULL, FROM},
    {"count", required_argument, NULL, COUNT},
    {"random", required_argument, NULL, RANDOM},
    {"expect", required_argument, NULL, EXPECT},
    {"mix", required_argument, NULL, MIX},
    {"progress", required_argument, NULL, PROGRESS},
    {"help", no_argument, NULL, HELP},
    {NULL, 0, NULL, 0},
};

void options_help(FILE *out)
{
    fputs("usage: kassa-load --path PATH --expect EXPECT.. [OPTION..]\n"
          "       kassa-load --mix NAME [OPTION..]\n"
          "\n"
          "Loads a service over HTTP/1.1, checks every answer, and prints one JSON object. Each\n"
          "connection has one request out. Without --rate it sends the next one at once (closed\n"
          "loop: how much is possible). With --rate requests are due on a schedule, and a latency\n"
          "begins when the request was due, also when no connection was free then (open loop: how\n"
          "long people wait).\n"
          "\n"
          "  --url URL            http://127.0.0.1:8000; a numeric address\n"
          "  --connections N      64\n"
          "  --seconds N          measured, 10\n"
          "  --warm N             seconds before that: checked, not measured; 0\n"
          "  --rate R             requests a second; without it: closed loop\n"
          "  --timeout N          seconds until an answer is given up, 60\n"
          "  --method METHOD      GET\n"
          "  --path PATH          {n} in it is the number of the request\n"
          "  --from N             the first number, 0\n"
          "  --count N            so many numbers, then it ends; without it: no end\n"
          "  --random LOW..HIGH   numbers are drawn from these instead\n"
          "  --expect '[NAME=]STATUS[ TEXT]'\n"
          "                       a right answer: this status, and TEXT in the body; {n} in it is\n"
          "                       the number. Several may be given, each is counted by its name;\n"
          "                       an answer that none of them fits is wrong\n"
          "  --mix shop           create, add to and find users, items and orders, each with the\n"
          "                       ids that the answers before have given\n"
          "  --progress TEXT      a line on standard error that begins with TEXT and changes\n"
          "  --help               this text\n"
          "\n"
          "Exit status: 0 all is right, 1 there was a wrong answer, an error or no answer,\n"
          "2 the command line is wrong. Ctrl-C ends it with what was measured so far.\n",
          out);
}

/* Errors: false, with the sentence. */
static bool number(const char *name, const char *text, int64_t low, int64_t high,
                   int64_t *ret_value, struct buf *ret_sentence)
{
    int64_t value;
    if (!slice_int64(slice_from(text), &value) || value < low || value > high) {
        buf_addf(ret_sentence, "--%s is \"%s\": it must be a whole number from %lld to %lld", name,
                 text, (long long)low, (long long)high);
        return false;
    }
    *ret_value = value;
    return true;
}

static bool read_url(const char *text, struct options *o, struct buf *ret_sentence)
{
    struct slice rest = slice_from(text), host;
    int64_t port = 80;
    struct in_addr address;
    bool is_good = strncmp(text, "http://", 7) == 0;
    if (is_good) {
        rest = (struct slice){text + 7, strlen(text + 7)};
        if (rest.bytes > 0 && rest.data[rest.bytes - 1] == '/') {
            rest.bytes--;
        }
        is_good = slice_cut(&rest, ':', &host) && host.bytes < sizeof(o->host) &&
                  (rest.data == NULL || (slice_int64(rest, &port) && port >= 1 && port <= 65535));
    }
    if (is_good) {
        memcpy(o->host, host.data, host.bytes);
        o->host[host.bytes] = '\0';
        is_good = inet_pton(AF_INET, o->host, &address) == 1;
    }
    if (!is_good) {
        buf_addf(ret_sentence,
                 "--url is \"%s\": it must be http:// and a numeric IPv4 address, "
                 "and may have a port",
                 text);
    }
    o->port = (int)port;
    return is_good;
}

static bool read_random(const char *text, struct options *o, struct buf *ret_sentence)
{
    const char *dots = strstr(text, "..");
    int64_t low, high;
    if (dots == NULL || !slice_int64((struct slice){text, (size_t)(dots - text)}, &low) ||
        !slice_int64(slice_from(dots + 2), &high) || low < 0 || high < low) {
        buf_addf(ret_sentence, "--random is \"%s\": it must be LOW..HIGH, two whole numbers", text);
        return false;
    }
    o->is_random = true;
    o->low = (uint64_t)low;
    o->high = (uint64_t)high;
    return true;
}

static bool read_rate(const char *text, struct options *o, struct buf *ret_sentence)
{
    char *end;
    o->rate = strtod(text, &end);
    if (*text == '\0' || *end != '\0' || !(o->rate >= 0.1 && o->rate <= 1e6)) {
        buf_addf(ret_sentence, "--rate is \"%s\": it must be a number from 0.1 to 1000000", text);
        return false;
    }
    return true;
}

struct options_request {
    const char *method, *path, *mix;
    const char *expects[SCRIPT_EXPECTS_MAX];
    unsigned expect_count;
};

static bool make_script(const struct options_request *r, struct script *s, struct buf *ret_sentence)
{
    if ((r->path != NULL) == (r->mix != NULL)) {
        buf_addf(ret_sentence, "give either --path or --mix");
        return false;
    }
    if (r->mix != NULL && !script_load_mix(s, r->mix)) {
        buf_addf(ret_sentence, "--mix is \"%s\": there is only shop", r->mix);
        return false;
    }
    if (r->mix != NULL && r->expect_count > 0) {
        buf_addf(ret_sentence, "a mix has expectations of its own: leave --expect away");
        return false;
    }
    if (r->path != NULL && (r->path[0] != '/' || strpbrk(r->path, " \r\n") != NULL)) {
        buf_addf(ret_sentence, "--path is \"%s\": it must begin with / and have no blanks",
                 r->path);
        return false;
    }
    if (r->path != NULL && r->expect_count == 0) {
        buf_addf(ret_sentence, "without --expect no answer is right: give at least one");
        return false;
    }
    if (r->path != NULL) {
        script_add_step(s, r->method, r->path, SCRIPT_N);
    }
    for (unsigned i = 0; i < r->expect_count; i++) {
        if (!script_add_expect(s, r->expects[i])) {
            buf_addf(ret_sentence, "--expect is \"%s\": it must be [NAME=]STATUS[ TEXT]",
                     r->expects[i]);
            return false;
        }
    }
    return true;
}

static bool read_one(int option, const char *text, struct options *o, struct options_request *r,
                     struct buf *ret_sentence)
{
    int64_t value = 0;
    const char *name = options_table[option - OPTION_FIRST].name;
    switch (option) {
    case URL:
        return read_url(text, o, ret_sentence);
    case CONNECTIONS:
        if (!number(name, text, 1, 10000, &value, ret_sentence)) {
            return false;
        }
        o->connections = (unsigned)value;
        return true;
    case SECONDS:
    case WARM:
    case TIMEOUT:
        if (!number(name, text, option == WARM ? 0 : 1, 3600, &value, ret_sentence)) {
            return false;
        }
        *(option == SECONDS ? &o->seconds
          : option == WARM  ? &o->warm_s
                            : &o->timeout_s) = (unsigned)value;
        return true;
    case FROM:
    case COUNT:
        if (!number(name, text, option == COUNT, INT64_MAX / 2, &value, ret_sentence)) {
            return false;
        }
        *(option == FROM ? &o->from : &o->count) = (uint64_t)value;
        return true;
    case RATE:
        return read_rate(text, o, ret_sentence);
    case RANDOM:
        return read_random(text, o, ret_sentence);
    case EXPECT:
        if (r->expect_count == SCRIPT_EXPECTS_MAX) {
            buf_addf(ret_sentence, "--expect is given more than %d times", SCRIPT_EXPECTS_MAX);
            return false;
        }
        r->expects[r->expect_count++] = text;
        return true;
    case METHOD:
        if (strcmp(text, "GET") != 0 && strcmp(text, "POST") != 0) {
            buf_addf(ret_sentence, "--method is \"%s\": it must be GET or POST", text);
            return false;
        }
        r->method = text;
        return true;
    case PATH:
        r->path = text;
        return true;
    case MIX:
        r->mix = text;
        return true;
    case PROGRESS:
        o->progress = text;
        return true;
    default:
        o->is_help = true;
        return true;
    }
}

bool options_read(int argc, char **argv, struct options *ret, struct buf *ret_sentence)
{
    struct options o = {.host = "127.0.0.1",
                        .port = 8000,
                        .connections = 64,
                        .seconds = 10,
                        .timeout_s = 60,
                        .count = UINT64_MAX};
    struct options_request request = {.method = "GET"};
    int option;
    optind = 0; /* it may be read more than once: in tests */
    opterr = 0;
    while ((option = getopt_long(argc, argv, "", options_table, NULL)) != -1) {
        if (option < OPTION_FIRST) {
            buf_addf(ret_sentence, "%s is no option of mine, or lacks its value; see --help",
                     argv[optind - 1]);
            return false;
        }
        if (!read_one(option, optarg, &o, &request, ret_sentence)) {
            return false;
        }
    }
    if (optind < argc) {
        buf_addf(ret_sentence, "\"%s\" is no option; see --help", argv[optind]);
        return false;
    }
    if (!o.is_help && !make_script(&request, &o.script, ret_sentence)) {
        return false;
    }
    *ret = o;
    return true;
}
