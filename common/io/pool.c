// SPDX-License-Identifier: Apache-2.0
// Helper threads: a queue of jobs with its own threads. A queue with one thread runs its jobs strictly in the
// order of submission. Finished jobs go onto one list that the loop empties; an eventfd wakes it.
#include "io/posix.h"

#include "base/assert.h"
#include "base/mem.h"

#include <signal.h>
#include <stdio.h>

struct job_queue {
    struct posix_env *px;
    pthread_mutex_t lock;
    pthread_cond_t changed; // a job came, the queue closes, or it became idle
    struct job *first, *last;
    int running; // jobs being run
    bool closing;
    int thread_count;
    pthread_t *threads;
};

static void list_append(struct job **first, struct job **last, struct job *job)
{
    job->next = NULL;
    if (*last != NULL)
        (*last)->next = job;
    else
        *first = job;
    *last = job;
}

static struct job *list_take(struct job **first, struct job **last)
{
    struct job *job = *first;
    *first = job->next;
    if (*first == NULL)
        *last = NULL;
    job->next = NULL;
    return job;
}

static void finished_append(struct posix_env *px, struct job *job)
{
    pthread_mutex_lock(&px->finished_lock);
    bool was_empty = px->finished_first == NULL;
    list_append(&px->finished_first, &px->finished_last, job);
    px->finished_count++;
    pthread_mutex_unlock(&px->finished_lock);
    if (was_empty)
        loop_wake(px);
}

static void *pool_thread(void *argument)
{
    struct job_queue *queue = argument;
    pthread_mutex_lock(&queue->lock);
    for (;;) {
        while (queue->first == NULL && !queue->closing)
            pthread_cond_wait(&queue->changed, &queue->lock);
        if (queue->first == NULL)
            break;
        struct job *job = list_take(&queue->first, &queue->last);
        queue->running++;
        pthread_mutex_unlock(&queue->lock);
        job->run(job);
        // Before running-- so that an idle queue has all its jobs on the finished list.
        finished_append(queue->px, job);
        pthread_mutex_lock(&queue->lock);
        queue->running--;
        if (queue->running == 0 && queue->first == NULL)
            pthread_cond_broadcast(&queue->changed);
    }
    pthread_mutex_unlock(&queue->lock);
    return NULL;
}

struct job_queue *pool_queue_new(struct env *env, const char *name, int threads)
{
    ASSERT(threads > 0);
    struct job_queue *queue = mem_calloc(1, sizeof *queue);
    queue->px = posix_of(env);
    pthread_mutex_init(&queue->lock, NULL);
    pthread_cond_init(&queue->changed, NULL);
    queue->threads = mem_calloc((size_t)threads, sizeof *queue->threads);
    // Signals belong to the loop's thread.
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    for (int i = 0; i < threads; i++) {
        int rc = pthread_create(&queue->threads[i], NULL, pool_thread, queue);
        ASSERT(rc == 0);
        char label[16];
        snprintf(label, sizeof label, "%.12s%d", name, i % 100);
        pthread_setname_np(queue->threads[i], label);
        queue->thread_count++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return queue;
}

void pool_submit(struct env *env, struct job_queue *queue, struct job *job)
{
    ASSERT(job->run != NULL && job->done != NULL);
    job->queue = queue;
    pthread_mutex_lock(&queue->lock);
    ASSERT(!queue->closing);
    list_append(&queue->first, &queue->last, job);
    pthread_cond_signal(&queue->changed);
    pthread_mutex_unlock(&queue->lock);
}

// Takes the first finished job of a queue (NULL: of any) off the list; NULL when there is none. One at a
// time, because done() may destroy a queue, which must find its other jobs still on the list.
static struct job *finished_take(struct posix_env *px, const struct job_queue *queue)
{
    struct job *previous = NULL;
    pthread_mutex_lock(&px->finished_lock);
    struct job *job = px->finished_first;
    while (job != NULL && queue != NULL && job->queue != queue) {
        previous = job;
        job = job->next;
    }
    if (job != NULL) {
        *(previous ? &previous->next : &px->finished_first) = job->next;
        if (px->finished_last == job)
            px->finished_last = previous;
        px->finished_count--;
    }
    pthread_mutex_unlock(&px->finished_lock);
    return job;
}

static bool job_done_one(struct posix_env *px, const struct job_queue *queue)
{
    struct job *job = finished_take(px, queue);
    if (job == NULL)
        return false;
    loop_handler(&px->env, "job");
    job->next = NULL;
    job->done(job);
    return true;
}

void pool_finish_jobs(struct posix_env *px)
{
    pthread_mutex_lock(&px->finished_lock);
    int count = px->finished_count; // what finishes meanwhile waits for the next turn
    pthread_mutex_unlock(&px->finished_lock);
    for (int i = 0; i < count && job_done_one(px, NULL); i++)
        ;
    pthread_mutex_lock(&px->finished_lock);
    bool more = px->finished_first != NULL;
    pthread_mutex_unlock(&px->finished_lock);
    if (more)
        loop_wake(px);
}

// Waits until nothing is queued nor running, then tells what finished. False when there was nothing.
static bool queue_drain(struct job_queue *queue)
{
    pthread_mutex_lock(&queue->lock);
    while (queue->first != NULL || queue->running > 0)
        pthread_cond_wait(&queue->changed, &queue->lock);
    pthread_mutex_unlock(&queue->lock);
    bool any = false;
    while (job_done_one(queue->px, queue))
        any = true;
    return any;
}

void pool_queue_destroy(struct env *env, struct job_queue **pointer)
{
    struct job_queue *queue = *pointer;
    *pointer = NULL;
    if (queue == NULL)
        return;
    while (queue_drain(queue)) // done() may submit again
        ;
    pthread_mutex_lock(&queue->lock);
    queue->closing = true;
    pthread_cond_broadcast(&queue->changed);
    pthread_mutex_unlock(&queue->lock);
    for (int i = 0; i < queue->thread_count; i++)
        pthread_join(queue->threads[i], NULL);
    pthread_cond_destroy(&queue->changed);
    pthread_mutex_destroy(&queue->lock);
    mem_free(queue->threads);
    mem_free(queue);
}
