/* A disk that takes its time, for LD_PRELOAD: what is synced by redis-server waits first, as many
 * milliseconds as the file named by SLOW_DISK says now. No file, or none that is named: no wait. */
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static void slow_wait(void)
{
    const char *name = getenv("SLOW_DISK");
    FILE *file = name && strcmp(program_invocation_short_name, "redis-server") == 0
                     ? fopen(name, "r")
                     : NULL;
    long ms = 0;
    if (file) {
        if (fscanf(file, "%ld", &ms) != 1) {
            ms = 0;
        }
        fclose(file);
    }
    struct timespec t = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&t, NULL);
}

int fdatasync(int fd)
{
    static int (*real)(int);
    if (!real) {
        *(void **)&real = dlsym(RTLD_NEXT, "fdatasync");
    }
    slow_wait();
    return real(fd);
}
