// SPDX-License-Identifier: Apache-2.0
// Pure parts of the command line: arguments, times, plans, the state file of a local cluster.
#include "cluster.h"
#include "group_reset.h"
#include "plan.h"

#include "base/mem.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

// ---- arguments ----

struct given {
    bool flag;
    int64_t number;
    const char *text;
    struct cli_many many, positional;
};

static enum cli_exit parse(struct given *given, const char *a, const char *b, const char *c, const char *d)
{
    const struct cli_arg args[] = {{"--flag|-f", CLI_FLAG, &given->flag, 0, 0, NULL, "h"},
                                   {"--number", CLI_INT, &given->number, 1, 10, "N", "h"},
                                   {"--text", CLI_TEXT, &given->text, 0, 0, "T", "h"},
                                   {"--many|-m", CLI_MANY, &given->many, 0, 0, "M", "h"}};
    const struct cli_usage usage = {
        .line = "x", .help = "h", .args = args, .count = 4, .positional_min = 1, .positional_max = 2};
    char *argv[] = {(char *)"x", (char *)a, (char *)b, (char *)c, (char *)d, NULL};
    int argc = 1;
    enum cli_exit code;
    while (argv[argc] != NULL)
        argc++;
    *given = (struct given){0};
    return cli_args(&usage, argc, argv, &given->positional, &code) ? CLI_DONE : code;
}

Test(args, all_kinds_in_any_order)
{
    struct given given;
    cr_assert_eq(parse(&given, "-f", "--number=3", "here", "--text=a=b"), CLI_DONE);
    cr_assert(given.flag && given.number == 3);
    cr_assert_str_eq(given.text, "a=b");
    cr_assert_str_eq(given.positional.items[0], "here");
    cr_assert_eq(parse(&given, "-m", "1", "-m=2", "here"), CLI_DONE);
    cr_assert_eq(given.many.count, 2);
    cr_assert_eq(parse(&given, "--", "--flag", NULL, NULL), CLI_DONE);
    cr_assert_str_eq(given.positional.items[0], "--flag");
}

Test(args, what_is_wrong_is_refused)
{
    struct given given;
    cr_expect_eq(parse(&given, "here", "--flg", NULL, NULL), CLI_USAGE);
    cr_expect_eq(parse(&given, "here", "--flag=1", NULL, NULL), CLI_USAGE);
    cr_expect_eq(parse(&given, "here", "--number", "11", NULL), CLI_USAGE);
    cr_expect_eq(parse(&given, "here", "--number", "x", NULL), CLI_USAGE);
    cr_expect_eq(parse(&given, "here", "--number", NULL, NULL), CLI_USAGE);
    cr_expect_eq(parse(&given, NULL, NULL, NULL, NULL), CLI_USAGE);
    cr_expect_eq(parse(&given, "1", "2", "3", NULL), CLI_USAGE);
    cr_expect_eq(parse(&given, "--help", NULL, NULL, NULL), CLI_DONE);
}

static enum cli_exit command_ran(int argc, char **argv)
{
    return argc == 2 ? CLI_TIMEOUT : CLI_FAILED;
}

Test(args, commands_are_found_by_their_whole_name)
{
    const struct cli_command table[] = {{"status", command_ran, "s"}};
    char *good[] = {(char *)"m", (char *)"status", (char *)"x", NULL};
    char *bad[] = {(char *)"m", (char *)"stat", NULL};
    cr_assert_eq(cli_dispatch("m", table, 1, 3, good), CLI_TIMEOUT);
    cr_assert_eq(cli_dispatch("m", table, 1, 2, bad), CLI_USAGE);
    cr_assert_eq(cli_dispatch("m", table, 1, 1, bad), CLI_USAGE);
}

// ---- times ----

Test(time, milliseconds_and_dates)
{
    int64_t ms;
    cr_assert(time_parse("1700000000000", &ms) && ms == 1700000000000);
    cr_assert(time_parse("2023-11-14T22:13:20Z", &ms) && ms == 1700000000000);
    cr_assert(time_parse("2023-11-14T22:13:20.25", &ms) && ms == 1700000000250);
    cr_assert(time_parse("2023-11-14T22:13", &ms) && ms == 1699999980000);
    cr_assert(time_parse("2023-11-14", &ms) && ms == 1699920000000);
    const char *const bad[] = {"",
                               "x",
                               "2023",
                               "x2023-11-14",
                               "2023-11-14T22:13:20+01:00",
                               "2023-11-14 noon",
                               "99999999999999999999"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_expect(strcmp(bad[i], "2023") == 0 || !time_parse(bad[i], &ms), "%s", bad[i]);
}

// ---- plans and state ----

struct place {
    char dir[32];
    struct cluster *cluster;
};

static void place_make(struct place *place)
{
    snprintf(place->dir, sizeof place->dir, "/tmp/cli-XXXXXX");
    cr_assert_not_null(mkdtemp(place->dir));
    place->cluster = mem_calloc(1, sizeof *place->cluster);
    snprintf(place->cluster->data, sizeof place->cluster->data, "%s", place->dir);
    snprintf(place->cluster->run, sizeof place->cluster->run, "%s/run", place->dir);
}

Test(plan, ids_are_unique_and_ports_are_kept)
{
    struct place place;
    struct plan_wish wish = {.controllers = 3, .storages = 3, .coordinators = 2, .free_ports = true};
    place_make(&place);
    cr_assert_eq(plan_make(&wish, place.cluster), CLI_DONE);
    cr_assert_eq(place.cluster->count, 8);
    for (size_t i = 0; i < 8; i++)
        for (size_t j = 0; j < i; j++) {
            const struct cluster_daemon *a = &place.cluster->daemons[i], *b = &place.cluster->daemons[j];
            cr_assert_neq(a->id, b->id);
            cr_assert_neq(a->rpc_port, b->rpc_port);
            cr_assert_neq(a->http_port, b->rpc_port);
            cr_assert(a->kafka_port == 0 || a->kafka_port != b->kafka_port);
        }
    cr_assert_eq(cluster_save(place.cluster), ST_OK);
    struct cluster *again = mem_calloc(1, sizeof *again);
    cr_assert_eq(cluster_load(place.dir, again), ST_OK);
    struct plan_wish as_before = {.free_ports = true};
    cr_assert_eq(plan_make(&as_before, again), CLI_DONE);
    cr_assert_eq(again->count, 8);
    for (size_t i = 0; i < 8; i++) {
        cr_assert_eq(again->daemons[i].rpc_port, place.cluster->daemons[i].rpc_port);
        cr_assert_eq(again->daemons[i].kafka_port, place.cluster->daemons[i].kafka_port);
    }
    mem_free(again);
    mem_free(place.cluster);
}

Test(plan, the_number_of_controllers_is_fixed)
{
    struct place place;
    struct plan_wish wish = {.controllers = 3, .free_ports = true},
                     other = {.controllers = 1, .free_ports = true};
    place_make(&place);
    cr_assert_eq(plan_make(&wish, place.cluster), CLI_DONE);
    cr_assert_eq(plan_make(&other, place.cluster), CLI_USAGE);
    mem_free(place.cluster);
}

Test(plan, daemons_get_their_parameters_and_the_users_last)
{
    struct place place;
    struct plan_wish wish = {.free_ports = true};
    struct cli_many settings = {.items = {"x=y"}, .count = 1};
    place_make(&place);
    cr_assert_eq(plan_make(&wish, place.cluster), CLI_DONE);
    char **args = plan_args(place.cluster, &place.cluster->daemons[1], "p", &settings);
    char all[4000] = "", expected[100];
    for (int i = 0; args[i] != NULL; i++)
        snprintf(all + strlen(all), sizeof all - strlen(all), "%s ", args[i]);
    snprintf(expected, sizeof expected, "--set log.dirs=%s/storage-1 ", place.dir);
    cr_assert(strstr(all, expected) != NULL, "%s", all);
    cr_assert(strstr(all, "--set node.id=1 ") != NULL, "%s", all);
    snprintf(expected, sizeof expected, "bootstrap.servers=127.0.0.1:%d ",
             place.cluster->daemons[0].rpc_port);
    cr_assert(strstr(all, expected) != NULL, "%s", all);
    cr_assert(strstr(strstr(all, "x=y"), "--set") == NULL, "nothing is set after the user's own");
    plan_args_free(args);
    mem_free(place.cluster);
}

Test(state, damaged_files_are_refused)
{
    const char *const bad[][2] = {
        {"", "\1"},
        {"{\"version\":2,\"run\":\"/x\",\"pid\":0,\"daemons\":[]}", "\2"},
        {"{\"version\":1,\"run\":\"/x\",\"pid\":-1,\"daemons\":[]}", "\1"},
        {"{\"version\":1,\"run\":\"/x\",\"pid\":0}", "\1"},
        {"{\"version\":1,\"run\":\"/x\",\"pid\":0,\"daemons\":[{\"role\":\"rm\"}]}", "\1"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct place place;
        char path[64];
        place_make(&place);
        snprintf(path, sizeof path, "%s/cluster.json", place.dir);
        cr_assert_eq(file_replace(path, slice_str(bad[i][0])), ST_OK);
        enum status expected = bad[i][1][0] == 1 ? ST_MALFORMED : ST_UNSUPPORTED;
        cr_expect_eq(cluster_load(place.dir, place.cluster), expected, "%s", bad[i][0]);
        mem_free(place.cluster);
    }
}

Test(state, a_cluster_runs_while_its_lock_is_held)
{
    struct place place;
    int fd, other;
    place_make(&place);
    cr_assert_not(cluster_running(place.dir));
    cr_assert_eq(cluster_lock(place.dir, &fd), ST_OK);
    cr_assert(cluster_running(place.dir));
    cr_assert_eq(cluster_lock(place.dir, &other), ST_EXISTS);
    close(fd);
    cr_assert_not(cluster_running(place.dir));
    mem_free(place.cluster);
}

Test(state, long_paths_get_a_short_directory_for_sockets)
{
    char run[CLUSTER_PATH_MAX], runtime[] = "/tmp/cli-XXXXXX";
    char data[200];
    cr_assert_not_null(mkdtemp(runtime));
    setenv("XDG_RUNTIME_DIR", runtime, 1);
    memset(data, 'a', sizeof data - 1);
    data[sizeof data - 1] = '\0';
    data[0] = '/';
    cr_assert_eq(registry_run_dir(data, run), ST_OK);
    cr_assert_lt(strlen(run), 71);
    cr_assert_eq(strncmp(run, runtime, strlen(runtime)), 0);
}

Test(state, a_registry_open_to_others_is_not_used)
{
    char run[CLUSTER_PATH_MAX], runtime[] = "/tmp/cli-XXXXXX", dir[64], data[200];
    cr_assert_not_null(mkdtemp(runtime));
    setenv("XDG_RUNTIME_DIR", runtime, 1);
    snprintf(dir, sizeof dir, "%s/millrace", runtime);
    umask(0);
    cr_assert_eq(mkdir(dir, 0777), 0);
    memset(data, 'a', sizeof data - 1);
    data[sizeof data - 1] = '\0';
    cr_assert_eq(registry_run_dir(data, run), ST_DENIED);
}
