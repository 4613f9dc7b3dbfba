// SPDX-License-Identifier: Apache-2.0
// The asking side of the survey: one SURVEYOR socket dials every ipc socket of the directory, asks once and
// collects answers until all have come or the time is over. A socket nobody listens on belongs to a daemon
// that died; it is reported as not answering. See survey.h.
#include "survey/survey.h"

#include "base/mem.h"
#include "protos/survey.pb-c.h"

#include <dirent.h>
#include <errno.h>
#include <nng/nng.h>
#include <nng/protocol/survey0/survey.h>
#include <stdlib.h>
#include <time.h>

struct target {
    char *name;
    uint32_t pipe; // id of the connection, 0: nobody listens
    Millrace__SurveyAnswer *answer;
};

struct round {
    nng_socket socket;
    struct target targets[SURVEY_DAEMONS_MAX];
    size_t count;
    size_t waiting; // connected and not answered yet
};

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct target *)a)->name, ((const struct target *)b)->name);
}

static enum status targets_list(struct round *round, const char *dir)
{
    DIR *entries = opendir(dir);
    if (entries == NULL)
        return status_from_errno(errno);
    const struct dirent *entry;
    while ((entry = readdir(entries)) != NULL && round->count < SURVEY_DAEMONS_MAX) {
        size_t len = strlen(entry->d_name);
        if (len > 4 && strcmp(entry->d_name + len - 4, ".ipc") == 0)
            round->targets[round->count++].name = mem_strndup(entry->d_name, len - 4);
    }
    closedir(entries);
    qsort(round->targets, round->count, sizeof round->targets[0], by_name);
    return ST_OK;
}

// Told by NNG within nng_dial, which connects synchronously: the connection belongs to the target being
// dialled.
static void on_pipe(nng_pipe pipe, nng_pipe_ev event, void *context)
{
    uint32_t *id = context;
    *id = (uint32_t)nng_pipe_id(pipe);
}

static void targets_dial(struct round *round, const char *dir)
{
    for (size_t i = 0; i < round->count; i++) {
        char *url = mem_printf("ipc://%s/%s.ipc", dir, round->targets[i].name);
        uint32_t id = 0;
        nng_pipe_notify(round->socket, NNG_PIPE_EV_ADD_POST, on_pipe, &id);
        if (nng_dial(round->socket, url, NULL, 0) == 0) {
            round->targets[i].pipe = id;
            round->waiting++;
        }
        nng_pipe_notify(round->socket, NNG_PIPE_EV_ADD_POST, NULL, NULL);
        mem_free(url);
    }
}

static bool question_send(struct round *round)
{
    Millrace__SurveyQuestion question = MILLRACE__SURVEY_QUESTION__INIT;
    uint8_t bytes[16];
    question.version = SURVEY_VERSION;
    return nng_send(round->socket, bytes, millrace__survey_question__pack(&question, bytes), 0) == 0;
}

// Takes one answer; false when the time is over.
static bool answer_take(struct round *round)
{
    nng_msg *message;
    if (nng_recvmsg(round->socket, &message, 0) != 0)
        return false;
    uint32_t pipe = (uint32_t)nng_pipe_id(nng_msg_get_pipe(message));
    Millrace__SurveyAnswer *answer =
        millrace__survey_answer__unpack(NULL, nng_msg_len(message), nng_msg_body(message));
    nng_msg_free(message);
    for (size_t i = 0; i < round->count && answer != NULL; i++) {
        struct target *target = &round->targets[i];
        if (target->pipe != pipe || target->answer != NULL || answer->version != SURVEY_VERSION)
            continue;
        target->answer = answer;
        round->waiting--;
        return true;
    }
    if (answer != NULL)
        millrace__survey_answer__free_unpacked(answer, NULL);
    return true;
}

static void target_tell(struct target *target, survey_answer_fn *each, void *context)
{
    struct survey_answer told = {.name = target->name, .handler = "", .dump = ""};
    const Millrace__SurveyAnswer *answer = target->answer;
    char *dump = NULL;
    if (answer != NULL) {
        dump = mem_strndup((const char *)answer->dump.data, answer->dump.len);
        told.answered = true;
        told.pid = (int)answer->pid;
        told.turns = answer->turns;
        told.turn_age_us = (int64_t)answer->turn_age_us;
        told.handler = answer->handler;
        told.dump_age_us = (int64_t)answer->dump_age_us;
        told.dump = dump;
    }
    each(&told, context);
    mem_free(dump);
}

static void collect(struct round *round, int wait_ms)
{
    int64_t until = now_ms() + wait_ms;
    nng_socket_set_ms(round->socket, NNG_OPT_SURVEYOR_SURVEYTIME, wait_ms);
    nng_socket_set_size(round->socket, NNG_OPT_RECVMAXSZ, 4 * SURVEY_DUMP_MAX);
    if (!question_send(round))
        return;
    while (round->waiting > 0 && now_ms() < until && answer_take(round))
        ;
}

enum status survey_ask(const char *dir, int wait_ms, survey_answer_fn *each, void *context)
{
    struct round *round = mem_calloc(1, sizeof *round);
    enum status status = targets_list(round, dir);
    if (status == ST_OK && nng_surveyor0_open(&round->socket) != 0)
        status = ST_NO_MEMORY;
    if (status == ST_OK) {
        targets_dial(round, dir);
        if (round->waiting > 0)
            collect(round, wait_ms);
        nng_close(round->socket);
    }
    for (size_t i = 0; i < round->count; i++) {
        if (status == ST_OK)
            target_tell(&round->targets[i], each, context);
        if (round->targets[i].answer != NULL)
            millrace__survey_answer__free_unpacked(round->targets[i].answer, NULL);
        mem_free(round->targets[i].name);
    }
    mem_free(round);
    return status;
}

bool survey_value(const char *dump, const char *key, char *out, size_t size)
{
    size_t len = strlen(key);
    for (const char *line = dump; *line != '\0';) {
        size_t width = strcspn(line, "\n");
        if (width > len && line[len] == '=' && strncmp(line, key, len) == 0) {
            size_t keep = width - len - 1 < size - 1 ? width - len - 1 : size - 1;
            memcpy(out, line + len + 1, keep);
            out[keep] = '\0';
            return true;
        }
        line += width + (line[width] == '\n');
    }
    return false;
}
