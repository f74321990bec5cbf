/* Crash points, in test builds only. See crash.h. */
#include "runtime/crash.h"

#ifdef KASSA_CRASH_POINTS

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/buf.h"

#define CRASH_KINDS_MAX 64
#define CRASH_TEXT_MAX  160

extern const struct crash_site *const __start_crash_sites[];
extern const struct crash_site *const __stop_crash_sites[];

static struct {
    const char *service;
    const char *kinds[CRASH_KINDS_MAX];
    unsigned kind_count;
    char text[CRASH_TEXT_MAX]; /* what is armed: <full name>:<n>, perhaps with a serial behind it */
    char path[256];            /* where that is read from at each hit; "": from the environment */
    unsigned hits;             /* of the armed point, since it was armed */
    char dying[CRASH_TEXT_MAX]; /* full name of the point that dies when the turn ends */
} crash;

static const struct {
    const char *name;
    bool is_of_command;
} crash_rows[] = {
#define PLAIN                     false
#define COMMAND                   true
#define X(name, kind, when, what) {name, kind},
    CRASH_POINTS(X)
#undef X
#undef PLAIN
#undef COMMAND
};

static bool crash_is_of_command(const char *name)
{
    for (size_t i = 0; i < sizeof(crash_rows) / sizeof(crash_rows[0]); i++) {
        if (strcmp(crash_rows[i].name, name) == 0) {
            return crash_rows[i].is_of_command;
        }
    }
    fprintf(stderr, "the crash point %s is not in the table of runtime/crash.h\n", name);
    abort();
}

void crash_kind(const char *kind)
{
    if (crash.kind_count == CRASH_KINDS_MAX) {
        abort();
    }
    crash.kinds[crash.kind_count++] = kind;
}

static void crash_full_name(const char *name, const char *kind, char ret_name[CRASH_TEXT_MAX])
{
    snprintf(ret_name, CRASH_TEXT_MAX, kind ? "%s:%s" : "%s", name, kind);
}

/* Calls `each` for every point of this binary. True: one of the calls said so. */
static bool crash_any(bool (*each)(const char *full_name))
{
    char name[CRASH_TEXT_MAX];
    bool is_any = false;
    for (const struct crash_site *const *s = __start_crash_sites; s < __stop_crash_sites; s++) {
        bool is_of_command = crash_is_of_command((*s)->name);
        unsigned count = is_of_command ? crash.kind_count : 1;
        for (unsigned i = 0; i < count; i++) {
            crash_full_name((*s)->name, is_of_command ? crash.kinds[i] : NULL, name);
            is_any = each(name) || is_any;
        }
    }
    return is_any;
}

static bool crash_print(const char *full_name)
{
    puts(full_name);
    return false;
}

static bool crash_is_armed(const char *full_name)
{
    size_t bytes = strlen(full_name);
    const char *n = crash.text + bytes + 1;
    return strncmp(crash.text, full_name, bytes) == 0 && n[-1] == ':' && *n >= '1' && *n <= '9';
}

void crash_begin(const char *service, int argc, char **argv)
{
    const char *text = getenv("KASSA_CRASH");
    crash.service = service;
    if (argc == 2 && strcmp(argv[1], "--crash-points") == 0) {
        crash_any(crash_print);
        exit(fflush(stdout) == 0 ? 0 : 1);
    }
    if (!text || text[0] == '\0') {
        return;
    }
    if (text[0] == '@') {
        snprintf(crash.path, sizeof(crash.path), "%s/%s", text + 1, service);
        return;
    }
    snprintf(crash.text, sizeof(crash.text), "%s", text);
    if (!crash_any(crash_is_armed) && strcmp(crash.text, "trace") != 0) {
        fprintf(stderr,
                "kassa-%s: KASSA_CRASH is '%s'; allowed is <point>:<n> with a point of "
                "kassa-%s --crash-points, @<directory>, or trace\n",
                service, text, service);
        exit(2);
    }
}

/* Armed by a file: another text there is another arming, and the hits count from 1 again. */
static void crash_read(void)
{
    char text[CRASH_TEXT_MAX] = "";
    int fd = open(crash.path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        ssize_t bytes = read(fd, text, sizeof(text) - 1);
        text[bytes > 0 ? bytes : 0] = '\0';
        close(fd);
    }
    if (strcmp(text, crash.text) != 0) {
        memcpy(crash.text, text, sizeof(text));
        crash.hits = 0;
        crash.dying[0] = '\0';
    }
}

static void crash_die(const char *full_name)
{
    if (crash.path[0] && truncate(crash.path, 0) != 0) {
        perror(crash.path);
    }
    dprintf(STDERR_FILENO, "level=error service=%s event=crash_point name=%s hit=%u pid=%d\n",
            crash.service, full_name, crash.hits, (int)getpid());
    kill(getpid(), SIGKILL);
    for (;;) {
        pause();
    }
}

void crash_hit(const struct crash_site *site, const char *kind)
{
    char name[CRASH_TEXT_MAX];
    if (crash.path[0]) {
        crash_read();
    }
    if (crash.text[0] == '\0' || crash.dying[0]) {
        return;
    }
    crash_full_name(site->name, kind, name);
    if (strncmp(crash.text, "trace", 5) == 0) {
        dprintf(STDERR_FILENO, "level=debug service=%s event=crash_point_passed name=%s\n",
                crash.service, name);
    } else if (crash_is_armed(name)) {
        crash.hits++;
        if (crash.hits < strtoul(crash.text + strlen(name) + 1, NULL, 10)) {
            return;
        }
        if (!site->is_sent) {
            crash_die(name);
        }
        memcpy(crash.dying, name, sizeof(name));
    }
}

void crash_turn_end(void)
{
    if (crash.dying[0]) {
        crash_die(crash.dying);
    }
}

#else

typedef int crash_is_for_test_builds;

#endif
