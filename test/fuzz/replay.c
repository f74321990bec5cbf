/* Feeds files to a fuzz target, each in memory of exactly its size, so that the address sanitizer
 * sees the first byte read past it. Counts as cmocka does: one file is one test.
 *
 *   replay FILE|DIRECTORY.. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "test/fuzz/fuzz.h"

static unsigned replay_count;

static void replay_end(const char *path)
{
    perror(path);
    exit(1);
}

static void replay_file(const char *path, size_t size)
{
    FILE *file = fopen(path, "rb");
    uint8_t *data = malloc(size > 0 ? size : 1);
    if (!file || !data || fread(data, 1, size, file) != size) {
        replay_end(path);
    }
    fclose(file);
    printf("%s\n", path);
    fflush(stdout); /* the last one named is the one that crashes */
    LLVMFuzzerTestOneInput(data, size);
    free(data);
    replay_count++;
}

static void replay(const char *path)
{
    struct stat about;
    if (stat(path, &about) != 0) {
        replay_end(path);
    }
    if (!S_ISDIR(about.st_mode)) {
        replay_file(path, (size_t)about.st_size);
        return;
    }
    DIR *directory = opendir(path);
    if (!directory) {
        replay_end(path);
    }
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        if (entry->d_name[0] != '.') {
            char inner[4096];
            snprintf(inner, sizeof(inner), "%s/%s", path, entry->d_name);
            replay(inner);
        }
    }
    closedir(directory);
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        replay(argv[i]);
    }
    printf("[  PASSED  ] %u test(s).\n", replay_count);
    return replay_count > 0 ? 0 : 1;
}
