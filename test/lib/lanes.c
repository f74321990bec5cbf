/* A child for each lane writes into a file, which is copied when it has ended. */
#include "test/lib/lanes.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static void lane_begin(FILE *said, unsigned lane, int (*run)(unsigned lane))
{
    dup2(fileno(said), STDOUT_FILENO);
    dup2(fileno(said), STDERR_FILENO);
    int failed = run(lane);
    fflush(NULL);
    _exit(failed != 0);
}

static void lane_copy(FILE *said)
{
    char bytes[4096];
    size_t count;
    rewind(said);
    while ((count = fread(bytes, 1, sizeof(bytes), said)) > 0) {
        fwrite(bytes, 1, count, stdout);
    }
    fclose(said);
}

int lanes_run(unsigned count, int (*run)(unsigned lane))
{
    FILE *said[LANES_MAX];
    pid_t pids[LANES_MAX];
    int failed = 0;
    assert(count <= LANES_MAX);
    for (unsigned lane = 0; lane < count; lane++) {
        said[lane] = tmpfile();
        if (!said[lane]) {
            abort();
        }
        pids[lane] = fork();
        if (pids[lane] == 0) {
            lane_begin(said[lane], lane, run);
        }
    }
    for (unsigned lane = 0; lane < count; lane++) {
        int status = -1;
        failed |= pids[lane] < 0 || waitpid(pids[lane], &status, 0) < 0 || status != 0;
        lane_copy(said[lane]);
    }
    return failed;
}
