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
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { CONNECT_SHARE = 4 }; // part of the time that connecting may take

struct target {
    char *name;
    int dialer;    // id, 0: not dialled, nobody listens
    uint32_t pipe; // id of the connection, 0: none
    Millrace__SurveyAnswer *answer;
};

struct round {
    nng_socket socket;
    struct target targets[SURVEY_DAEMONS_MAX];
    size_t count;
    size_t waiting; // connected and not answered yet
    // Written by NNG's threads while connecting.
    pthread_mutex_t lock;
    pthread_cond_t connected;
    struct {
        int dialer;
        uint32_t pipe;
    } pipes[SURVEY_DAEMONS_MAX];
    size_t pipe_count;
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

static void on_pipe(nng_pipe pipe, nng_pipe_ev event, void *context)
{
    struct round *round = context;
    pthread_mutex_lock(&round->lock);
    if (round->pipe_count < SURVEY_DAEMONS_MAX) {
        round->pipes[round->pipe_count].dialer = nng_dialer_id(nng_pipe_dialer(pipe));
        round->pipes[round->pipe_count++].pipe = (uint32_t)nng_pipe_id(pipe);
        pthread_cond_signal(&round->connected);
    }
    pthread_mutex_unlock(&round->lock);
}

// Marks the targets whose socket a process has open, by the kernel's list. (A connection to try it out would
// make the daemon's NNG listener pause, and with it the real one.)
static void listeners_mark(struct round *round, const char *dir, bool *listens)
{
    char line[512];
    size_t dir_len = strlen(dir);
    FILE *list = fopen("/proc/net/unix", "re");
    while (list != NULL && fgets(line, sizeof line, list) != NULL) {
        char *path = strchr(line, '/');
        line[strcspn(line, "\n")] = '\0';
        if (path == NULL || strncmp(path, dir, dir_len) != 0 || path[dir_len] != '/')
            continue;
        for (size_t i = 0; i < round->count; i++) {
            size_t len = strlen(round->targets[i].name);
            const char *file = path + dir_len + 1;
            if (strncmp(file, round->targets[i].name, len) == 0 && strcmp(file + len, ".ipc") == 0)
                listens[i] = true;
        }
    }
    if (list != NULL)
        fclose(list);
}

static size_t targets_dial(struct round *round, const char *dir)
{
    size_t dialled = 0;
    bool listens[SURVEY_DAEMONS_MAX] = {false};
    listeners_mark(round, dir, listens);
    nng_pipe_notify(round->socket, NNG_PIPE_EV_ADD_POST, on_pipe, round);
    for (size_t i = 0; i < round->count; i++) {
        char *url = mem_printf("ipc://%s/%s.ipc", dir, round->targets[i].name);
        nng_dialer dialer;
        if (listens[i] && nng_dial(round->socket, url, &dialer, NNG_FLAG_NONBLOCK) == 0) {
            round->targets[i].dialer = nng_dialer_id(dialer);
            dialled++;
        }
        mem_free(url);
    }
    return dialled;
}

// Waits until all are connected or the time is over; whoever is not by then does not answer.
static void targets_wait(struct round *round, size_t dialled, int wait_ms)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += wait_ms / 1000;
    until.tv_nsec += wait_ms % 1000 * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&round->lock);
    while (round->pipe_count < dialled &&
           pthread_cond_timedwait(&round->connected, &round->lock, &until) == 0)
        ;
    for (size_t p = 0; p < round->pipe_count; p++) {
        for (size_t i = 0; i < round->count; i++) {
            if (round->targets[i].dialer != round->pipes[p].dialer || round->targets[i].pipe != 0)
                continue;
            round->targets[i].pipe = round->pipes[p].pipe;
            round->waiting++;
            break;
        }
    }
    pthread_mutex_unlock(&round->lock);
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
    pthread_mutex_init(&round->lock, NULL);
    pthread_cond_init(&round->connected, NULL);
    enum status status = targets_list(round, dir);
    if (status == ST_OK && nng_surveyor0_open(&round->socket) != 0)
        status = ST_NO_MEMORY;
    if (status == ST_OK) {
        targets_wait(round, targets_dial(round, dir), wait_ms / CONNECT_SHARE);
        if (round->waiting > 0)
            collect(round, wait_ms - wait_ms / CONNECT_SHARE);
        nng_close(round->socket);
    }
    for (size_t i = 0; i < round->count; i++) {
        if (status == ST_OK)
            target_tell(&round->targets[i], each, context);
        if (round->targets[i].answer != NULL)
            millrace__survey_answer__free_unpacked(round->targets[i].answer, NULL);
        mem_free(round->targets[i].name);
    }
    pthread_mutex_destroy(&round->lock);
    pthread_cond_destroy(&round->connected);
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
