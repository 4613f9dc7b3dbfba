// SPDX-License-Identifier: Apache-2.0
// The answering side of the survey: one thread, blocked in nng_recv. A finished dump changes hands by atomic
// exchange: the loop puts a new one in (and frees the one it finds), the thread takes it out, serves it and
// puts it back unless a newer one is there. So neither waits for the other and none is freed in use. See
// survey.h.
#include "survey/survey.h"

#include "base/assert.h"
#include "base/mem.h"
#include "io/env_posix.h"
#include "protos/survey.pb-c.h"

#include <errno.h>
#include <nng/nng.h>
#include <nng/protocol/survey0/respond.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

struct dump {
    int64_t made_us;
    size_t len;
    uint8_t bytes[];
};

struct survey {
    struct env *env;
    survey_dump_fn *write;
    void *context;
    nng_socket socket;
    char *path;
    pthread_t thread;
    struct timer first; // makes the first dump
    int ask_fd;         // the thread wants a fresh dump
    int made_fd;        // the loop has made one
    struct dump *_Atomic ready;
};

// ---- on the loop ----

static size_t whole_lines(const struct buf *text)
{
    size_t len = text->len < SURVEY_DUMP_MAX ? text->len : SURVEY_DUMP_MAX;
    if (text->len <= SURVEY_DUMP_MAX && buf_status(text) == ST_OK)
        return len;
    while (len > 0 && text->data[len - 1] != '\n')
        len--;
    return len;
}

static void dump_make(struct survey *survey)
{
    struct buf text;
    buf_init(&text, 2 * SURVEY_DUMP_MAX);
    survey->write(&text, survey->context);
    size_t len = whole_lines(&text);
    struct dump *dump = mem_calloc(1, sizeof *dump + len);
    dump->made_us = env_now_us(survey->env);
    dump->len = len;
    if (len > 0)
        memcpy(dump->bytes, text.data, len);
    buf_fini(&text);
    mem_free(atomic_exchange(&survey->ready, dump));
    eventfd_write(survey->made_fd, 1);
}

void survey_refresh(struct survey *survey)
{
    dump_make(survey);
}

static void on_first(struct timer *timer)
{
    dump_make(timer->context);
}

static void on_asked(int fd, int events, void *context)
{
    eventfd_t count;
    loop_handler(((struct survey *)context)->env, "survey dump");
    if (eventfd_read(fd, &count) == 0)
        dump_make(context);
}

// ---- on the thread ----

static struct dump *dump_take(struct survey *survey)
{
    return atomic_exchange(&survey->ready, NULL);
}

static void dump_put_back(struct survey *survey, struct dump *dump)
{
    struct dump *none = NULL;
    if (dump != NULL && !atomic_compare_exchange_strong(&survey->ready, &none, dump))
        mem_free(dump);
}

// The newest dump; when that is old, the loop gets a moment to make another.
static struct dump *dump_fresh(struct survey *survey)
{
    struct dump *dump = dump_take(survey);
    if (dump != NULL && env_now_us(survey->env) - dump->made_us < SURVEY_FRESH_US)
        return dump;
    dump_put_back(survey, dump);
    eventfd_t count;
    eventfd_read(survey->made_fd, &count);
    eventfd_write(survey->ask_fd, 1);
    struct pollfd made = {.fd = survey->made_fd, .events = POLLIN};
    poll(&made, 1, SURVEY_LOOP_WAIT_MS);
    return dump_take(survey);
}

static bool question_valid(const void *bytes, size_t len)
{
    Millrace__SurveyQuestion *question = millrace__survey_question__unpack(NULL, len, bytes);
    bool valid = question != NULL && question->version == SURVEY_VERSION;
    if (question != NULL)
        millrace__survey_question__free_unpacked(question, NULL);
    return valid;
}

static void answer_send(struct survey *survey)
{
    const struct loop_state *state = loop_state(survey->env);
    struct dump *dump = dump_fresh(survey);
    int64_t now_us = env_now_us(survey->env);
    Millrace__SurveyAnswer answer = MILLRACE__SURVEY_ANSWER__INIT;
    const char *handler = atomic_load(&state->handler);
    answer.version = SURVEY_VERSION;
    answer.pid = (uint32_t)getpid();
    answer.turns = atomic_load(&state->turns);
    answer.turn_age_us = (uint64_t)(now_us - atomic_load(&state->turn_began_us));
    answer.handler = (char *)(uintptr_t)(handler != NULL ? handler : "none");
    if (dump != NULL) {
        answer.dump_age_us = (uint64_t)(now_us - dump->made_us);
        answer.dump.data = dump->bytes;
        answer.dump.len = dump->len;
    }
    size_t len = millrace__survey_answer__get_packed_size(&answer);
    uint8_t *bytes = mem_calloc(1, len);
    millrace__survey_answer__pack(&answer, bytes);
    nng_send(survey->socket, bytes, len, 0); // a surveyor that is gone by now is no error
    mem_free(bytes);
    dump_put_back(survey, dump);
}

static void *thread_run(void *context)
{
    struct survey *survey = context;
    for (;;) {
        void *bytes;
        size_t len;
        int failed = nng_recv(survey->socket, &bytes, &len, NNG_FLAG_ALLOC);
        if (failed == NNG_ECLOSED)
            return NULL;
        if (failed != 0)
            continue;
        bool valid = question_valid(bytes, len);
        nng_free(bytes, len);
        if (valid)
            answer_send(survey);
    }
}

// ---- life ----

static enum status status_from_nng(int failed)
{
    if (failed == 0)
        return ST_OK;
    if (failed & NNG_ESYSERR)
        return status_from_errno(failed & ~NNG_ESYSERR);
    return failed == NNG_EADDRINUSE ? ST_EXISTS : failed == NNG_ENOMEM ? ST_NO_MEMORY : ST_IO;
}

static enum status socket_open(struct survey *survey)
{
    char *url = mem_printf("ipc://%s", survey->path);
    nng_listener listener;
    int failed = nng_respondent0_open(&survey->socket);
    if (failed != 0) {
        mem_free(url);
        return status_from_nng(failed);
    }
    failed = nng_socket_set_size(survey->socket, NNG_OPT_RECVMAXSZ, SURVEY_QUESTION_MAX);
    if (failed == 0)
        failed = nng_listener_create(&listener, survey->socket, url);
    if (failed ==
        0) // the directory is the owner's alone; so is the socket, should the directory be opened up
        failed = nng_listener_set_int(listener, NNG_OPT_IPC_PERMISSIONS, 0600);
    if (failed == 0)
        failed = nng_listener_start(listener, 0);
    mem_free(url);
    if (failed != 0)
        nng_close(survey->socket);
    return status_from_nng(failed);
}

static enum status thread_start(struct survey *survey)
{
    sigset_t all, before;
    sigfillset(&all); // signals are the loop's
    pthread_sigmask(SIG_BLOCK, &all, &before);
    int failed = pthread_create(&survey->thread, NULL, thread_run, survey);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failed == 0 ? ST_OK : status_from_errno(failed);
}

static void survey_free(struct survey *survey)
{
    if (survey->ask_fd >= 0)
        close(survey->ask_fd);
    if (survey->made_fd >= 0)
        close(survey->made_fd);
    mem_free(atomic_load(&survey->ready));
    mem_free(survey->path);
    mem_free(survey);
}

enum status survey_new(struct env *env, const char *dir, const char *name, survey_dump_fn *dump,
                       void *context, struct survey **out)
{
    if (strlen(dir) + strlen(name) + strlen("/.ipc") > SURVEY_PATH_MAX)
        return ST_LIMIT;
    if (mkdir(dir, 0700) != 0 && errno != EEXIST)
        return status_from_errno(errno);
    struct survey *survey = mem_calloc(1, sizeof *survey);
    survey->env = env;
    survey->write = dump;
    survey->context = context;
    survey->path = mem_printf("%s/%s.ipc", dir, name);
    survey->ask_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    survey->made_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    enum status status =
        survey->ask_fd < 0 || survey->made_fd < 0 ? status_from_errno(errno) : socket_open(survey);
    if (status != ST_OK) {
        survey_free(survey);
        return status;
    }
    status = loop_fd_add(env, survey->ask_fd, STREAM_READABLE, on_asked, survey);
    ASSERT(status == ST_OK);
    status = thread_start(survey);
    if (status != ST_OK) {
        loop_fd_remove(env, survey->ask_fd);
        nng_close(survey->socket);
        survey_free(survey);
        return status;
    }
    timer_init(&survey->first, on_first, survey);
    timer_start_us(env, &survey->first, 0);
    *out = survey;
    return ST_OK;
}

void survey_destroy(struct survey **out)
{
    struct survey *survey = *out;
    if (survey == NULL)
        return;
    nng_close(survey->socket);
    pthread_join(survey->thread, NULL);
    loop_fd_remove(survey->env, survey->ask_fd);
    timer_stop(survey->env, &survey->first);
    unlink(survey->path); // NNG has done it when it could
    survey_free(survey);
    *out = NULL;
}
