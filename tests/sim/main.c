// SPDX-License-Identifier: Apache-2.0
// The simulator's command line. Each seed runs in a child process: a crash is a violation with that seed, and
// nothing leaks from one into the next.
//   sim [--seeds N] [--from SEED] [--jobs N] [--seconds N] [--repeat N] [--first] [--verbose] [--counts]
// --repeat N: runs the first N seeds twice and compares trace hashes. --first: stops at the first violation
// and says how many seeds it took (hunting a planted bug). --counts: a fault or transition that never
// occurred is a failure. Exit code: 0 clean, 1 a violation (or, with --first, found), 2 wrong usage.
#include "run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CPU_S_MAX = 120 };

struct arguments {
    uint64_t from;
    int seeds, jobs, repeat;
    bool first, counts;
    struct run_options run;
};

struct tally {
    int clean, violated, unequal;
    int64_t counters[COUNT_MAX];
};

static pid_t child_start(const struct arguments *arguments, uint64_t seed, int *read_end)
{
    int ends[2];
    if (pipe(ends) != 0)
        exit(2);
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        struct run_result result;
        close(ends[0]);
        // A run that does not end is a failure too; of its own time, since the machine may be busy.
        setrlimit(RLIMIT_CPU, &(struct rlimit){.rlim_cur = CPU_S_MAX, .rlim_max = CPU_S_MAX});
        run_seed(seed, &arguments->run, &result);
        ssize_t wrote = write(ends[1], &result, sizeof result);
        _exit(wrote == sizeof result ? 0 : 3);
    }
    close(ends[1]);
    *read_end = ends[0];
    return pid;
}

static void child_end(pid_t pid, int read_end, uint64_t seed, struct run_result *result)
{
    int status = 0;
    size_t got = 0;
    while (got < sizeof *result) {
        ssize_t more = read(read_end, (char *)result + got, sizeof *result - got);
        if (more <= 0)
            break;
        got += (size_t)more;
    }
    close(read_end);
    waitpid(pid, &status, 0);
    if (got == sizeof *result)
        return;
    *result = (struct run_result){.seed = seed};
    snprintf(result->violation, sizeof result->violation, "crash: %s %d",
             WIFSIGNALED(status) ? "signal" : "exit code",
             WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
}

static void take(struct tally *tally, const struct run_result *result)
{
    for (int i = 0; i < COUNT_MAX; i++)
        tally->counters[i] += result->counters[i];
    if (result->violation[0] == '\0') {
        tally->clean++;
        return;
    }
    tally->violated++;
    printf("seed %llu: %s\n", (unsigned long long)result->seed, result->violation);
}

// Runs seeds [from, from + count), jobs at a time, results in order of the seeds.
static void seeds_run(const struct arguments *arguments, int count, struct run_result *results,
                      struct tally *tally)
{
    pid_t pids[64];
    int ends[64];
    int jobs = arguments->jobs < 64 ? arguments->jobs : 64;
    int started = 0;
    for (int done = 0; done < count; done++) {
        while (started < count && started < done + jobs) {
            pids[started % jobs] =
                child_start(arguments, arguments->from + (uint64_t)started, &ends[started % jobs]);
            started++;
        }
        child_end(pids[done % jobs], ends[done % jobs], arguments->from + (uint64_t)done, &results[done]);
        if (tally == NULL)
            continue;
        take(tally, &results[done]);
        if (arguments->first && tally->violated > 0) {
            printf("found after %d seeds by %.*s\n", done + 1, (int)strcspn(results[done].violation, ":"),
                   results[done].violation);
            exit(1);
        }
    }
}

static void repeat_check(const struct arguments *arguments, const struct run_result *results,
                         struct tally *tally)
{
    struct run_result *again = calloc((size_t)arguments->repeat, sizeof *again);
    seeds_run(arguments, arguments->repeat, again, NULL);
    for (int i = 0; i < arguments->repeat; i++)
        if (again[i].trace != results[i].trace) {
            printf("seed %llu: two runs differ: %016llx %016llx\n", (unsigned long long)again[i].seed,
                   (unsigned long long)results[i].trace, (unsigned long long)again[i].trace);
            tally->unequal++;
        }
    printf("%d seeds run again: %d with equal trace hashes\n", arguments->repeat,
           arguments->repeat - tally->unequal);
    free(again);
}

static int counters_print(const struct tally *tally)
{
    static const char *const names[COUNT_MAX] = {
#define WORLD_NAME(name) #name,
        WORLD_COUNTERS(WORLD_NAME)
#undef WORLD_NAME
    };
    int missing = 0;
    for (int i = 0; i < COUNT_MAX; i++) {
        printf("  %-24s %lld\n", names[i], (long long)tally->counters[i]);
        missing += tally->counters[i] == 0;
    }
    return missing;
}

static bool arguments_read(int argc, char **argv, struct arguments *arguments)
{
    *arguments = (struct arguments){.from = 1, .seeds = 100, .jobs = 2, .run = {.fault_seconds = 12}};
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (strcmp(argv[i], "--first") == 0)
            arguments->first = true;
        else if (strcmp(argv[i], "--counts") == 0)
            arguments->counts = true;
        else if (strcmp(argv[i], "--verbose") == 0)
            arguments->run.verbose = true;
        else if (value == NULL)
            return false;
        else if (strcmp(argv[i], "--seeds") == 0)
            arguments->seeds = (int)strtol(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--from") == 0)
            arguments->from = strtoull(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--jobs") == 0)
            arguments->jobs = (int)strtol(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--seconds") == 0)
            arguments->run.fault_seconds = (int)strtol(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--repeat") == 0)
            arguments->repeat = (int)strtol(argv[++i], NULL, 10);
        else
            return false;
    }
    return arguments->seeds > 0 && arguments->jobs > 0 && arguments->repeat <= arguments->seeds;
}

int main(int argc, char **argv)
{
    struct arguments arguments;
    struct tally tally = {0};
    if (!arguments_read(argc, argv, &arguments)) {
        fprintf(stderr,
                "usage: sim [--seeds N] [--from SEED] [--jobs N] [--seconds N] [--repeat N] [--first] "
                "[--counts] [--verbose]\n");
        return 2;
    }
    struct run_result *results = calloc((size_t)arguments.seeds, sizeof *results);
    seeds_run(&arguments, arguments.seeds, results, &tally);
    if (arguments.repeat > 0)
        repeat_check(&arguments, results, &tally);
    int missing = counters_print(&tally);
    printf("%d seeds: %d clean, %d with a violation\n", arguments.seeds, tally.clean, tally.violated);
    if (arguments.counts && missing > 0)
        printf("%d kinds of faults or transitions never occurred\n", missing);
    free(results);
    return tally.violated > 0 || tally.unequal > 0 || (arguments.counts && missing > 0);
}
