// SPDX-License-Identifier: Apache-2.0
// The seam between millrace and the outside: clock, timers, random numbers, files, job queues and byte
// streams, as small vtables. env_posix.c is the real one (epoll loop, helper threads); tests/sim brings a
// seeded one. Everything a service does to the world goes through here or through the rpc transport
// (rpc/transport.h), so that a whole cluster can run in one process with a virtual clock.
//
// One loop thread owns everything; every callback below runs on it, never from inside the call that asked for
// it. Only the run() of a job is executed elsewhere; it may use the file functions and nothing else of the
// env.
#ifndef IO_ENV_H
#define IO_ENV_H

#include "base/block.h"
#include "base/diag.h"
#include "base/metric.h"
#include "base/status.h"
#include "base/uuid.h"

#include <stdbool.h>
#include <sys/uio.h>

struct env;
struct timer;
struct job;
struct job_queue;
struct file;
struct stream;
struct listener;

// ---- timers: embedded in their owners; starting a running one moves it ----

typedef void timer_fn(struct timer *timer);

struct timer {
    timer_fn *fire;     // set by timer_init
    void *context;      // the owner's
    int64_t at_us;      // when it fires, monotonic clock
    uint64_t sequence;  // order among equal times; the env's
    int32_t heap_index; // the env's; -1 when not running
};

// ---- jobs: work off the loop. run() on a helper thread, then done() on the loop ----

struct job {
    void (*run)(struct job *job);  // on a helper thread
    void (*done)(struct job *job); // on the loop, after run; may free the job
    struct job *next;              // the env's
    struct job_queue *queue;       // the env's
};

// ---- streams: connected sockets, non-blocking, readiness-based ----

enum stream_event {
    STREAM_READABLE = 1, // stream_recv will give bytes, end or an error
    STREAM_WRITABLE = 2, // stream_send will take bytes; also: a connect finished
    STREAM_HANGUP = 4    // the peer has closed (EPOLLRDHUP) or the connection failed; told once
};

// events: any of the bits above.
typedef void stream_fn(struct stream *stream, int events, void *context);

// A connection arrived; the callee owns the stream. host is the peer's numeric address, valid during the
// call.
typedef void accept_fn(struct listener *listener, struct stream *stream, const char *host, void *context);

enum file_flags {
    FILE_READ = 0,
    FILE_WRITE = 1,     // opens for reading and writing
    FILE_CREATE = 2,    // creates when absent (with FILE_WRITE)
    FILE_EXCLUSIVE = 4, // fails with EXISTS when present (with FILE_CREATE)
    FILE_TRUNCATE = 8,
    FILE_AS_ASKED = 16 // reads fetch what is asked for, the system no more of its own accord
};

struct file_info {
    int64_t size;        // bytes
    int64_t modified_ns; // when its content last changed, since 1970 by the wall clock
    bool directory;
};

// name is the entry's last component. Return false to stop.
typedef bool list_fn(const char *name, void *context);

struct env_ops {
    // clock
    int64_t (*now_us)(struct env *env);  // CLOCK_BOOTTIME; leases and timeouts
    int64_t (*wall_ms)(struct env *env); // CLOCK_REALTIME; record timestamps and time retention only
    // timers
    void (*timer_start)(struct env *env, struct timer *timer, int64_t at_us);
    void (*timer_stop)(struct env *env, struct timer *timer);
    // random
    uint64_t (*random)(struct env *env); // cryptographically strong in the real env
    // jobs
    struct job_queue *(*queue_new)(struct env *env, const char *name, int threads);
    void (*queue_destroy)(struct env *env, struct job_queue **queue);
    void (*submit)(struct env *env, struct job_queue *queue, struct job *job);
    // files; blocking, thread-safe
    enum status (*file_open)(struct env *env, const char *path, int flags, struct file **file);
    void (*file_close)(struct env *env, struct file **file);
    enum status (*file_pread)(struct env *env, struct file *file, void *data, size_t len, int64_t at,
                              size_t *got);
    void (*file_will_need)(struct env *env, struct file *file, int64_t at, int64_t len);
    bool (*file_cached)(struct env *env, struct file *file, int64_t at, int64_t len);
    enum status (*file_pwritev)(struct env *env, struct file *file, const struct iovec *iov, int count,
                                int64_t at);
    enum status (*file_truncate)(struct env *env, struct file *file, int64_t size);
    enum status (*file_reserve)(struct env *env, struct file *file, int64_t at, int64_t len);
    void (*file_write_out)(struct env *env, struct file *file, int64_t at, int64_t len);
    enum status (*file_sync)(struct env *env, struct file *file);
    enum status (*file_sync_fs)(struct env *env, struct file *file);
    enum status (*file_size)(struct env *env, struct file *file, int64_t *size);
    enum status (*file_lock)(struct env *env, struct file *file);
    void (*file_drop_cache)(struct env *env, struct file *file, int64_t at);
    enum status (*path_info)(struct env *env, const char *path, struct file_info *info);
    enum status (*path_mkdir)(struct env *env, const char *path);
    enum status (*path_rename)(struct env *env, const char *from, const char *to);
    enum status (*path_unlink)(struct env *env, const char *path);
    enum status (*path_rmdir)(struct env *env, const char *path);
    enum status (*path_sync_dir)(struct env *env, const char *path);
    enum status (*path_list)(struct env *env, const char *path, list_fn *each, void *context);
    enum status (*path_free_bytes)(struct env *env, const char *path, int64_t *bytes);
    enum status (*path_total_bytes)(struct env *env, const char *path, int64_t *bytes);
    // streams
    enum status (*listen)(struct env *env, const char *host, int port, accept_fn *on_accept, void *context,
                          struct listener **listener);
    int (*listener_port)(struct env *env, struct listener *listener);
    void (*listener_pause)(struct env *env, struct listener *listener, bool paused);
    void (*listener_close)(struct env *env, struct listener **listener);
    enum status (*connect)(struct env *env, const char *host, int port, struct stream **stream);
    void (*stream_handle)(struct env *env, struct stream *stream, stream_fn *on_event, void *context);
    void (*stream_want)(struct env *env, struct stream *stream, int events);
    enum status (*stream_recv)(struct env *env, struct stream *stream, void *data, size_t len, size_t *got);
    enum status (*stream_send)(struct env *env, struct stream *stream, const struct iovec *iov, int count,
                               size_t *sent);
    enum status (*stream_send_file)(struct env *env, struct stream *stream, struct file *file, int64_t at,
                                    size_t len, size_t *sent);
    void (*stream_close)(struct env *env, struct stream **stream);
};

// The first member of the real and the simulated environment.
struct env {
    const struct env_ops *ops;
    struct diag diag;                // where lines about this daemon go
    struct metric_registry *metrics; // of this daemon; set before any service is created
    struct job_queue *pool;          // general pool of helper threads (reads, opens, unlinks, decompression)
};

// Monotonic time in microseconds, counting suspends. Never goes back.
static inline int64_t env_now_us(struct env *env)
{
    return env->ops->now_us(env);
}
static inline int64_t env_now_ms(struct env *env)
{
    return env->ops->now_us(env) / 1000;
}
// Milliseconds since 1970 by the wall clock; may jump.
static inline int64_t env_wall_ms(struct env *env)
{
    return env->ops->wall_ms(env);
}
static inline uint64_t env_random(struct env *env)
{
    return env->ops->random(env);
}
static inline struct uuid env_random_uuid(struct env *env)
{
    uint64_t high = env_random(env);
    return uuid_from_random(high, env_random(env));
}

// ---- timers ----
static inline void timer_init(struct timer *timer, timer_fn *fire, void *context)
{
    *timer = (struct timer){.fire = fire, .context = context, .heap_index = -1};
}
static inline bool timer_running(const struct timer *timer)
{
    return timer->heap_index >= 0;
}
// Fires once, delay_us from now (0: at the next turn of the loop). A running timer is moved.
static inline void timer_start_us(struct env *env, struct timer *timer, int64_t delay_us)
{
    env->ops->timer_start(env, timer, env_now_us(env) + delay_us);
}
static inline void timer_start_ms(struct env *env, struct timer *timer, int64_t delay_ms)
{
    timer_start_us(env, timer, delay_ms * 1000);
}
// For clocks that go on and on: at the next multiple of the period, so that those of one period, and of
// multiples of it, wake the loop once together.
static inline void timer_start_together_ms(struct env *env, struct timer *timer, int64_t period_ms)
{
    int64_t period_us = period_ms * 1000;
    timer_start_us(env, timer, period_us - env_now_us(env) % period_us);
}
static inline void timer_stop(struct env *env, struct timer *timer)
{
    if (timer_running(timer))
        env->ops->timer_stop(env, timer);
}

// ---- jobs ----
// A queue of its own with that many threads; 1 runs its jobs strictly in the order of submission.
static inline struct job_queue *env_queue_new(struct env *env, const char *name, int threads)
{
    return env->ops->queue_new(env, name, threads);
}
// Runs what is queued to its end, drops the queue; done() of finished jobs still arrives before it returns.
static inline void env_queue_destroy(struct env *env, struct job_queue **queue)
{
    env->ops->queue_destroy(env, queue);
}
static inline void env_submit(struct env *env, struct job_queue *queue, struct job *job)
{
    env->ops->submit(env, queue, job);
}

// ---- files: blocking; call them in jobs, or on the loop only at start-up and shutdown ----
static inline enum status file_open(struct env *env, const char *path, int flags, struct file **file)
{
    return env->ops->file_open(env, path, flags, file);
}
static inline void file_close(struct env *env, struct file **file)
{
    if (*file != NULL)
        env->ops->file_close(env, file);
}
// Reads up to len bytes at a position; *got < len only at the end of the file.
static inline enum status file_pread(struct env *env, struct file *file, void *data, size_t len, int64_t at,
                                     size_t *got)
{
    return env->ops->file_pread(env, file, data, len, at, got);
}
// Says that a range will be read soon: the system may begin to fetch it. Nothing depends on it.
static inline void file_will_need(struct env *env, struct file *file, int64_t at, int64_t len)
{
    env->ops->file_will_need(env, file, at, len);
}
// Whether all of a range is in memory now, so that sending it at once will not wait for the disk (a range that
// is still on its way from there is not). False also when that cannot be known. Waits for nothing itself: the
// loop may call it.
static inline bool file_cached(struct env *env, struct file *file, int64_t at, int64_t len)
{
    return env->ops->file_cached(env, file, at, len);
}
// Writes everything or fails.
static inline enum status file_pwritev(struct env *env, struct file *file, const struct iovec *iov, int count,
                                       int64_t at)
{
    return env->ops->file_pwritev(env, file, iov, count, at);
}
static inline enum status file_pwrite(struct env *env, struct file *file, const void *data, size_t len,
                                      int64_t at)
{
    struct iovec iov = {.iov_base = (void *)(uintptr_t)data, .iov_len = len};
    return env->ops->file_pwritev(env, file, &iov, 1, at);
}
static inline enum status file_truncate(struct env *env, struct file *file, int64_t size)
{
    return env->ops->file_truncate(env, file, size);
}
// Allocates disk space for a range without changing the file's size (fallocate KEEP_SIZE).
static inline enum status file_reserve(struct env *env, struct file *file, int64_t at, int64_t len)
{
    return env->ops->file_reserve(env, file, at, len);
}
// A hint: what was written in the range starts on its way to the disk now (sync_file_range), so that a later
// sync finds less to do. Says nothing of durability; a failure is told by that sync.
static inline void file_write_out(struct env *env, struct file *file, int64_t at, int64_t len)
{
    env->ops->file_write_out(env, file, at, len);
}
// fdatasync: the content and the size are durable when it returns ST_OK. After any other result the file must
// not be trusted nor retried (the page cache proves nothing).
static inline enum status file_sync(struct env *env, struct file *file)
{
    return env->ops->file_sync(env, file);
}
// syncfs: everything that any process has written to, named and renamed in the file system of the open file
// is durable when it returns ST_OK; waits for other processes' writes too. Any other result says that
// something on that file system was not written since the file was opened or since the last call through it
// (Linux 5.8; older ones report nothing): keep one file open from before the first write, one per thread,
// because an error is told once per opening.
static inline enum status file_sync_fs(struct env *env, struct file *file)
{
    return env->ops->file_sync_fs(env, file);
}
static inline enum status file_size(struct env *env, struct file *file, int64_t *size)
{
    return env->ops->file_size(env, file, size);
}
// Exclusive advisory lock held until close; AGAIN when another process holds it.
static inline enum status file_lock(struct env *env, struct file *file)
{
    return env->ops->file_lock(env, file);
}
// What memory holds of the file from `at` on without its being newer than the disk is forgotten, so that reads
// tell what is on the disk. After a failed sync Linux keeps pages that were never written and calls them clean.
static inline void file_drop_cache(struct env *env, struct file *file, int64_t at)
{
    env->ops->file_drop_cache(env, file, at);
}
static inline enum status path_info(struct env *env, const char *path, struct file_info *info)
{
    return env->ops->path_info(env, path, info);
}
// EXISTS when it is there already.
static inline enum status path_mkdir(struct env *env, const char *path)
{
    return env->ops->path_mkdir(env, path);
}
static inline enum status path_rename(struct env *env, const char *from, const char *to)
{
    return env->ops->path_rename(env, from, to);
}
static inline enum status path_unlink(struct env *env, const char *path)
{
    return env->ops->path_unlink(env, path);
}
static inline enum status path_rmdir(struct env *env, const char *path)
{
    return env->ops->path_rmdir(env, path);
}
// Makes created, renamed and removed entries of the directory durable.
static inline enum status path_sync_dir(struct env *env, const char *path)
{
    return env->ops->path_sync_dir(env, path);
}
// Calls each for every entry but "." and "..", in byte order of the names.
static inline enum status path_list(struct env *env, const char *path, list_fn *each, void *context)
{
    return env->ops->path_list(env, path, each, context);
}
// Of the file system that holds the path, as a whole.
static inline enum status path_total_bytes(struct env *env, const char *path, int64_t *bytes)
{
    return env->ops->path_total_bytes(env, path, bytes);
}
static inline enum status path_free_bytes(struct env *env, const char *path, int64_t *bytes)
{
    return env->ops->path_free_bytes(env, path, bytes);
}

// ---- streams ----
// Listens on a numeric address or name; port 0 picks a free one (listener_port tells which).
static inline enum status env_listen(struct env *env, const char *host, int port, accept_fn *on_accept,
                                     void *context, struct listener **listener)
{
    return env->ops->listen(env, host, port, on_accept, context, listener);
}
static inline int listener_port(struct env *env, struct listener *listener)
{
    return env->ops->listener_port(env, listener);
}
// Stops or resumes accepting (descriptor limit, draining).
static inline void listener_pause(struct env *env, struct listener *listener, bool paused)
{
    env->ops->listener_pause(env, listener, paused);
}
static inline void listener_close(struct env *env, struct listener **listener)
{
    env->ops->listener_close(env, listener);
}
// Starts connecting; STREAM_WRITABLE tells success, STREAM_HANGUP failure. Names are resolved (blocking) only
// when host is not numeric.
static inline enum status env_connect(struct env *env, const char *host, int port, struct stream **stream)
{
    return env->ops->connect(env, host, port, stream);
}
// Sets who hears of events; to be called before stream_want.
static inline void stream_handle(struct env *env, struct stream *stream, stream_fn *on_event, void *context)
{
    env->ops->stream_handle(env, stream, on_event, context);
}
// Which events are told from now on, level-triggered. STREAM_HANGUP is always told, also when nothing is
// wanted.
static inline void stream_want(struct env *env, struct stream *stream, int events)
{
    env->ops->stream_want(env, stream, events);
}
// ST_OK with *got > 0; ST_AGAIN when nothing is there; ST_CLOSED at the end of the stream; else an error.
static inline enum status stream_recv(struct env *env, struct stream *stream, void *data, size_t len,
                                      size_t *got)
{
    return env->ops->stream_recv(env, stream, data, len, got);
}
// Sends as much as fits; ST_AGAIN when nothing did.
static inline enum status stream_send(struct env *env, struct stream *stream, const struct iovec *iov,
                                      int count, size_t *sent)
{
    return env->ops->stream_send(env, stream, iov, count, sent);
}
// sendfile; ST_CORRUPT when the file is shorter than promised.
static inline enum status stream_send_file(struct env *env, struct stream *stream, struct file *file,
                                           int64_t at, size_t len, size_t *sent)
{
    return env->ops->stream_send_file(env, stream, file, at, len, sent);
}
// No event is told after it returns.
static inline void stream_close(struct env *env, struct stream **stream)
{
    if (*stream != NULL)
        env->ops->stream_close(env, stream);
}

#endif
