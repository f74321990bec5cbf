/* The simulation: seeds in, faults out.
 *
 *   world [--seeds N] [--first S] [--jobs J]
 *                                   runs N seeds in J processes; prints what was covered
 *   world --plants [--plant P] [--seeds N] [--jobs J]
 *                                   each planted bug, or that one, must be found within N seeds
 *   world --seed S [--plant P]      one seed, with its transcript; one that fails is shortened
 *                                   first: kinds of trouble and requests that it fails without
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/log.h"
#include "test/world/climate.h"
#include "test/world/plants.h"
#include "test/world/run.h"
#include "test/world/shop.h"

#define SEEDS_BLIND 2500

/* Takes away what the seed fails without: kinds of trouble, then requests, one at a time. */
static void seed_shorten(uint64_t seed)
{
    struct totals totals = {0};
    uint64_t out = 0;
    unsigned chances = 0;
    for (unsigned i = 0; i < WORLD_CHANCES; i++) {
        climate_leave_out(chances | 1u << i);
        if (!run_seed(seed, &totals)) {
            chances |= 1u << i;
        }
    }
    climate_leave_out(chances);
    run_seed(seed, &totals);
    unsigned requests = shop_requests();
    for (unsigned i = 0; i < requests; i++) {
        shop_leave_out(out | UINT64_C(1) << i);
        if (!run_seed(seed, &totals)) {
            out |= UINT64_C(1) << i;
        }
    }
    shop_leave_out(out);
}

static int seed_tell(uint64_t seed)
{
    struct totals totals = {0};
    if (!run_seed(seed, &totals)) {
        seed_shorten(seed);
    }
    world.has_transcript = true;
    bool is_good = run_seed(seed, &totals);
    printf("seed %llu: %s\n", (unsigned long long)seed, is_good ? "no fault" : world_first_fault());
    return !is_good;
}

static int seeds_run(uint64_t first, uint64_t count)
{
    struct totals totals = {0};
    for (uint64_t seed = first; seed < first + count; seed++) {
        if (!run_seed(seed, &totals)) {
            printf("seed %llu: %s\n", (unsigned long long)seed, world_first_fault());
            printf("replay: %s --seed %llu\n", "build/<variant>/test/world/world",
                   (unsigned long long)seed);
            return 1;
        }
    }
    printf("%llu seeds: %llu checkouts, %llu crashes, %llu messages, %llu store calls, "
           "%llu events in %.0f s of virtual time: no fault\n",
           (unsigned long long)totals.seeds, (unsigned long long)totals.checkouts,
           (unsigned long long)totals.crashes, (unsigned long long)totals.messages,
           (unsigned long long)totals.calls, (unsigned long long)totals.events, totals.virtual_s);
    const struct ages_seen *seen = &totals.ages;
    printf("%llu of them lasted: %llu floors raised, %llu records dropped, %llu orders packed, "
           "%llu commands refused as too old\n",
           (unsigned long long)seen->runs, (unsigned long long)seen->floors,
           (unsigned long long)seen->dropped, (unsigned long long)seen->packed,
           (unsigned long long)seen->refused);
    return 0;
}

/* A part of the work in each of `jobs` processes. `part` returns how much of it was bad, 0 to 127;
 * returns the sum. */
static int jobs_run(unsigned jobs, int (*part)(const void *work, unsigned job, unsigned jobs),
                    const void *work)
{
    int bad = 0;
    fflush(stdout);
    for (unsigned j = 0; j < jobs; j++) {
        pid_t pid = fork();
        if (pid == 0) {
            int of_part = part(work, j, jobs);
            fflush(stdout);
            _exit(of_part);
        }
        bad += pid < 0;
    }
    int status;
    while (wait(&status) > 0) {
        bad += WIFEXITED(status) ? WEXITSTATUS(status) : 1;
    }
    return bad;
}

struct seeds {
    uint64_t first, count;
};

static int seeds_part(const void *work, unsigned job, unsigned jobs)
{
    const struct seeds *all = work;
    uint64_t from = all->first + all->count * job / jobs;
    return seeds_run(from, all->first + all->count * (job + 1) / jobs - from);
}

static void plant_set(unsigned plant)
{
    world_patch = plants[plant].patch;
    world_bugs = plants[plant].bugs;
}

/* Those from `first` to `last`, with `count` seeds each. */
struct plants_asked {
    uint64_t count;
    unsigned first, last;
};

/* Returns how many are not found. */
static int plants_part(const void *work, unsigned job, unsigned jobs)
{
    const struct plants_asked *asked = work;
    int blind = 0;
    for (unsigned p = asked->first + job; p <= asked->last; p += jobs) {
        struct totals totals = {0};
        uint64_t seed = plants[p].bugs.seen_from > 0 ? plants[p].bugs.seen_from : 1,
                 end = seed + asked->count;
        plant_set(p);
        while (seed < end && run_seed(seed, &totals)) {
            seed++;
        }
        if (seed == end) {
            printf("NOT FOUND in %llu seeds: %u %s\n", (unsigned long long)asked->count, p,
                   plants[p].name);
            blind++;
        } else {
            printf("found by seed %3llu: %u %s (%s)\n", (unsigned long long)seed, p, plants[p].name,
                   world_first_fault());
        }
        fflush(stdout);
    }
    return blind;
}

static int plants_run(const struct plants_asked *asked, unsigned jobs)
{
    int blind = jobs_run(jobs, plants_part, asked);
    unsigned all = asked->last - asked->first + 1;
    printf("%d of %u planted bugs found\n", (int)all - blind, all);
    return blind > 0;
}

int main(int argc, char **argv)
{
    uint64_t first = 1, count = 0, one = 0, jobs = 1;
    log_start(loop_new(), "world", "error"); /* a loop that never turns: only for the level */
    bool is_plants = false;
    unsigned plant = plant_count; /* none */
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        if (strcmp(argv[i], "--plants") == 0) {
            is_plants = true;
            continue;
        }
        if (strcmp(argv[i], "--seeds") == 0) {
            count = strtoull(value, NULL, 10);
        } else if (strcmp(argv[i], "--first") == 0) {
            first = strtoull(value, NULL, 10);
        } else if (strcmp(argv[i], "--jobs") == 0) {
            jobs = strtoull(value, NULL, 10);
        } else if (strcmp(argv[i], "--seed") == 0) {
            one = strtoull(value, NULL, 10);
        } else if (strcmp(argv[i], "--plant") == 0 && strtoul(value, NULL, 10) < plant_count) {
            plant = (unsigned)strtoul(value, NULL, 10);
            plant_set(plant);
        } else {
            fprintf(stderr, "usage: world [--seeds N] [--first S] [--jobs J]\n"
                            "       world --plants [--plant P] [--seeds N] [--jobs J]\n"
                            "       world --seed S [--plant P]\n");
            return 2;
        }
        i++;
    }
    jobs = jobs > 0 && jobs < 64 ? jobs : 1;
    if (is_plants) {
        bool is_one = plant < plant_count;
        const struct plants_asked asked = {count > 0 ? count : SEEDS_BLIND, is_one ? plant : 0,
                                           is_one ? plant : plant_count - 1};
        return plants_run(&asked, (unsigned)jobs);
    }
    if (one > 0) {
        return seed_tell(one);
    }
    const struct seeds seeds = {first, count > 0 ? count : 1000};
    return jobs_run((unsigned)jobs, seeds_part, &seeds) > 0;
}
