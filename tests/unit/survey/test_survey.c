// SPDX-License-Identifier: Apache-2.0
// The survey with real NNG sockets: answers of a running loop and of one that hangs, dead daemons,
// permissions, hostile questions.
#include "survey/survey.h"

#include "io/env_posix.h"

#include <criterion/criterion.h>
#include <nng/nng.h>
#include <nng/protocol/survey0/survey.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

struct fixture {
    char dir[64];
    struct env *env;
    struct survey *survey;
    atomic_bool block; // the loop hangs while set
    atomic_bool stop;
    atomic_int dumps;
    pthread_t loop;
    size_t filler; // bytes of padding lines in a dump
};

static void dump(struct buf *out, void *context)
{
    struct fixture *f = context;
    buf_printf(out, "role=test\ncount=%d\n", atomic_fetch_add(&f->dumps, 1));
    for (size_t i = 0; i < f->filler; i += 10)
        buf_printf(out, "filler=12\n");
}

static void *loop_run(void *context)
{
    struct fixture *f = context;
    while (!atomic_load(&f->stop)) {
        env_posix_turn(f->env, 5000);
        if (!atomic_load(&f->block))
            continue;
        loop_handler(f->env, "planted hang");
        while (atomic_load(&f->block))
            usleep(1000);
    }
    return NULL;
}

static void setup(struct fixture *f)
{
    strcpy(f->dir, "/tmp/survey-XXXXXX");
    cr_assert_not_null(mkdtemp(f->dir));
    cr_assert_eq(env_posix_new("test", 1, &f->env), ST_OK);
    cr_assert_eq(survey_new(f->env, f->dir, "storage-1", dump, f, &f->survey), ST_OK);
    pthread_create(&f->loop, NULL, loop_run, f);
}

static void teardown(struct fixture *f)
{
    atomic_store(&f->block, false);
    atomic_store(&f->stop, true);
    pthread_join(f->loop, NULL);
    survey_destroy(&f->survey);
    env_posix_destroy(&f->env);
}

struct seen {
    int count, answered;
    char handler[64], role[64], names[200];
    int64_t dump_age_us;
    size_t dump_len;
    bool whole_lines;
};

static void on_answer(const struct survey_answer *answer, void *context)
{
    struct seen *seen = context;
    seen->count++;
    seen->answered += answer->answered;
    snprintf(seen->handler, sizeof seen->handler, "%s", answer->handler);
    survey_value(answer->dump, "role", seen->role, sizeof seen->role);
    strcat(strcat(seen->names, answer->name), " ");
    seen->dump_age_us = answer->dump_age_us;
    seen->dump_len = strlen(answer->dump);
    seen->whole_lines = seen->dump_len == 0 || answer->dump[seen->dump_len - 1] == '\n';
}

Test(survey, a_running_daemon_answers_with_its_dump)
{
    struct fixture f = {0};
    setup(&f);
    struct seen seen = {0};
    cr_assert_eq(survey_ask(f.dir, 2000, on_answer, &seen), ST_OK);
    cr_assert_eq(seen.answered, 1);
    cr_assert_str_eq(seen.role, "test");
    teardown(&f);
}

Test(survey, a_daemon_whose_loop_hangs_still_answers_and_names_the_handler)
{
    struct fixture f = {0};
    setup(&f);
    struct seen seen = {0};
    survey_ask(f.dir, 2000, on_answer, &seen);
    atomic_store(&f.block, true);
    usleep(1200000); // longer than a dump counts as fresh
    seen = (struct seen){0};
    cr_assert_eq(survey_ask(f.dir, 2000, on_answer, &seen), ST_OK);
    cr_assert_eq(seen.answered, 1);
    cr_assert_str_eq(seen.handler, "planted hang");
    cr_assert_str_eq(seen.role, "test", "the last finished dump");
    cr_assert_gt(seen.dump_age_us, 1000000);
    teardown(&f);
}

Test(survey, many_questions_in_a_second_make_one_dump)
{
    struct fixture f = {0};
    setup(&f);
    for (int i = 0; i < 10; i++)
        survey_ask(f.dir, 2000, on_answer, &(struct seen){0});
    cr_assert_leq(atomic_load(&f.dumps), 2);
    teardown(&f);
}

Test(survey, an_over_long_dump_is_cut_at_a_line)
{
    struct fixture f = {.filler = SURVEY_DUMP_MAX + 5000};
    setup(&f);
    struct seen seen = {0};
    survey_ask(f.dir, 2000, on_answer, &seen);
    cr_assert_eq(seen.answered, 1);
    cr_assert_leq(seen.dump_len, SURVEY_DUMP_MAX);
    cr_assert_gt(seen.dump_len, SURVEY_DUMP_MAX - 100);
    cr_assert(seen.whole_lines);
    teardown(&f);
}

Test(survey, only_the_owner_may_open_the_socket)
{
    struct fixture f = {0};
    umask(0);
    setup(&f);
    char path[100];
    struct stat info;
    snprintf(path, sizeof path, "%s/storage-1.ipc", f.dir);
    cr_assert_eq(stat(path, &info), 0);
    cr_assert_eq(info.st_mode & 0777, 0600);
    teardown(&f);
    cr_assert_neq(stat(path, &info), 0, "removed at the end");
}

Test(survey, a_killed_daemon_is_reported_and_its_socket_is_taken_over)
{
    char dir[] = "/tmp/survey-XXXXXX";
    cr_assert_not_null(mkdtemp(dir));
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s/storage-1.ipc", dir);
    int left = socket(AF_UNIX, SOCK_STREAM, 0);
    cr_assert_eq(bind(left, (struct sockaddr *)&address, sizeof address), 0);
    close(left); // as a kill leaves it: the name is there, nobody listens
    struct seen seen = {0};
    cr_assert_eq(survey_ask(dir, 500, on_answer, &seen), ST_OK);
    cr_assert_eq(seen.count, 1);
    cr_assert_eq(seen.answered, 0);
    struct fixture f = {0};
    cr_assert_eq(env_posix_new("test", 1, &f.env), ST_OK);
    cr_assert_eq(survey_new(f.env, dir, "storage-1", dump, &f, &f.survey), ST_OK);
    survey_destroy(&f.survey);
    env_posix_destroy(&f.env);
}

Test(survey, a_stopped_process_costs_a_part_of_the_time_and_the_others_are_heard)
{
    struct fixture f = {0};
    setup(&f);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s/stopped.ipc", f.dir);
    int stopped = socket(AF_UNIX, SOCK_STREAM, 0);
    cr_assert_eq(bind(stopped, (struct sockaddr *)&address, sizeof address), 0);
    cr_assert_eq(listen(stopped, 10), 0); // the kernel accepts, nobody shakes hands
    struct seen seen = {0};
    int64_t began_ms = env_now_ms(f.env);
    cr_assert_eq(survey_ask(f.dir, 2000, on_answer, &seen), ST_OK);
    cr_assert_lt(env_now_ms(f.env) - began_ms, 2500);
    cr_assert_eq(seen.count, 2);
    cr_assert_eq(seen.answered, 1);
    close(stopped);
    teardown(&f);
}

Test(survey, two_daemons_are_told_apart)
{
    struct fixture f = {0}, g = {0};
    setup(&f);
    strcpy(g.dir, f.dir);
    cr_assert_eq(env_posix_new("test", 1, &g.env), ST_OK);
    cr_assert_eq(survey_new(g.env, g.dir, "controller-1", dump, &g, &g.survey), ST_OK);
    pthread_create(&g.loop, NULL, loop_run, &g);
    struct seen seen = {0};
    survey_ask(f.dir, 2000, on_answer, &seen);
    cr_assert_eq(seen.answered, 2);
    cr_assert_str_eq(seen.names, "controller-1 storage-1 ");
    teardown(&g);
    teardown(&f);
}

Test(survey, hostile_questions_do_not_hurt)
{
    struct fixture f = {0};
    setup(&f);
    nng_socket socket;
    char url[100];
    snprintf(url, sizeof url, "ipc://%s/storage-1.ipc", f.dir);
    nng_surveyor0_open(&socket);
    cr_assert_eq(nng_dial(socket, url, NULL, 0), 0);
    char *big = calloc(1, SURVEY_QUESTION_MAX + 1000);
    memset(big, 0xff, SURVEY_QUESTION_MAX + 1000);
    for (size_t len = 0; len < 20; len++)
        nng_send(socket, big, len, 0);
    nng_send(socket, big, SURVEY_QUESTION_MAX + 1000, 0);
    usleep(50000);
    nng_close(socket);
    free(big);
    struct seen seen = {0};
    survey_ask(f.dir, 2000, on_answer, &seen);
    cr_assert_eq(seen.answered, 1);
    teardown(&f);
}

Test(survey, an_over_long_question_is_not_even_read)
{
    struct fixture f = {0};
    setup(&f);
    nng_socket socket;
    char url[100];
    snprintf(url, sizeof url, "ipc://%s/storage-1.ipc", f.dir);
    nng_surveyor0_open(&socket);
    cr_assert_eq(nng_dial(socket, url, NULL, 0), 0);
    nng_socket_set_ms(socket, NNG_OPT_SURVEYOR_SURVEYTIME, 300);
    // Version 1 and a field nobody knows: valid, were it not for its length.
    uint8_t question[2 + 3 + 2000] = {0x08, 1, 0x12, 0xd0, 0x0f}, answer[1000];
    size_t len = sizeof answer;
    nng_send(socket, question, sizeof question, 0);
    cr_assert_eq(nng_recv(socket, answer, &len, 0), NNG_ETIMEDOUT);
    nng_close(socket);
    teardown(&f);
}

Test(survey, a_question_of_another_version_is_not_answered)
{
    struct fixture f = {0};
    setup(&f);
    nng_socket socket;
    char url[100];
    snprintf(url, sizeof url, "ipc://%s/storage-1.ipc", f.dir);
    nng_surveyor0_open(&socket);
    cr_assert_eq(nng_dial(socket, url, NULL, 0), 0);
    nng_socket_set_ms(socket, NNG_OPT_SURVEYOR_SURVEYTIME, 300);
    uint8_t question[] = {0x08, 2}, answer[100];
    size_t len = sizeof answer;
    nng_send(socket, question, sizeof question, 0);
    cr_assert_eq(nng_recv(socket, answer, &len, 0), NNG_ETIMEDOUT);
    nng_close(socket);
    teardown(&f);
}

Test(survey, a_path_the_system_cannot_hold_is_refused)
{
    struct survey *survey;
    char dir[SURVEY_PATH_MAX + 2];
    memset(dir, 'a', sizeof dir - 1);
    dir[sizeof dir - 1] = '\0';
    cr_assert_eq(survey_new(NULL, dir, "x", dump, NULL, &survey), ST_LIMIT);
}

Test(survey, values_are_found_by_whole_key)
{
    char value[8];
    cr_assert(survey_value("nodeid=5\nid=7\nx=", "id", value, sizeof value));
    cr_assert_str_eq(value, "7");
    cr_assert(survey_value("nodeid=5\nid=7\nx=", "x", value, sizeof value));
    cr_assert_str_eq(value, "");
    cr_assert_not(survey_value("nodeid=5\n", "node", value, sizeof value));
    cr_assert(survey_value("a=1234567890\n", "a", value, sizeof value));
    cr_assert_str_eq(value, "1234567");
}
