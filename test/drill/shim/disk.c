/* A disk that is slow, or full: each fdatasync and fsync takes the milliseconds in the file `disk`
 * longer, and fails for want of room when the number is negative. */
#include <errno.h>
#include <time.h>
#include <unistd.h>

#include "test/drill/shim/control.h"

static _Thread_local struct control delay = {.name = "disk"};

static int disk_sync(const char *name, int fd)
{
    int64_t ms = control_number(&delay);
    if (ms < 0) {
        errno = ENOSPC;
        return -1;
    }
    struct timespec left = {ms / 1000, ms % 1000 * 1000000};
    while (ms > 0 && nanosleep(&left, &left) != 0) {
    }
    int (*real)(int) = control_real(name);
    return real(fd);
}

int fdatasync(int fd)
{
    return disk_sync("fdatasync", fd);
}

int fsync(int fd)
{
    return disk_sync("fsync", fd);
}
