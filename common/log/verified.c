// SPDX-License-Identifier: Apache-2.0
// See verified.h. A file has its runs in the order of offsets, none overlapping another; the set has all runs
// in the order in which they were begun, which is the order in which they are forgotten.
#include "log/verified.h"

#include "base/assert.h"
#include "base/mem.h"

enum { RUNS_FIRST = 4, ROWS_FIRST = 4 };

// A batch, counted from its run's first offset and position.
struct row {
    uint32_t base, last;
    uint32_t end; // behind its last byte
};

struct run {
    struct run *older, *newer;
    struct verified_file *file;
    int64_t since_ms;
    int64_t base, position;
    int32_t epoch; // one for all
    uint32_t count, cap;
    struct row *rows;
};

struct verified_file {
    struct verified_file *next; // of the log
    struct log_known *known;
    int64_t segment;
    struct log_handle *handle;
    struct run **runs;
    int count, cap;
};

struct log_verified {
    struct env *env;
    int64_t keep_ms, bytes_max;
    struct run *oldest, *newest;
    int files;
    struct timer timer; // when the oldest run is forgotten
    struct metric m_memory, m_bytes;
};

static void account(struct log_verified *verified, int64_t memory, int64_t bytes)
{
    metric_inc(&verified->m_memory, memory);
    metric_inc(&verified->m_bytes, bytes);
}

// ---- runs ----

static int64_t run_size(const struct run *run)
{
    return run->rows[run->count - 1].end;
}

static int64_t run_next(const struct run *run)
{
    return run->base + run->rows[run->count - 1].last + 1;
}

static int64_t run_memory(const struct run *run)
{
    return (int64_t)(sizeof *run + run->cap * sizeof *run->rows);
}

// The first row that reaches offset.
static uint32_t row_find(const struct run *run, int64_t offset)
{
    uint32_t low = 0, high = run->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (run->base + run->rows[middle].last < offset)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void run_push(struct log_verified *verified, struct run *run, const struct log_place *place)
{
    if (run->count == run->cap) {
        uint32_t cap = run->cap ? run->cap * 2 : ROWS_FIRST;
        account(verified, (int64_t)((cap - run->cap) * sizeof *run->rows), 0);
        run->rows = mem_realloc(run->rows, cap * sizeof *run->rows);
        run->cap = cap;
    }
    run->rows[run->count++] = (struct row){.base = (uint32_t)(place->base - run->base),
                                           .last = (uint32_t)(place->last - run->base),
                                           .end = (uint32_t)(place->position - run->position) + place->size};
    account(verified, 0, place->size);
}

// Whether a batch goes on where the run ends, and the run is neither full nor too old to take it.
static bool run_takes(const struct log_verified *verified, const struct run *run,
                      const struct log_place *place)
{
    return place->position == run->position + run_size(run) && place->base >= run_next(run) &&
           place->epoch == run->epoch && run->count < LOG_VERIFIED_RUN_ROWS &&
           run_size(run) + place->size <= LOG_VERIFIED_RUN_BYTES && place->last - run->base <= UINT32_MAX &&
           env_now_ms(verified->env) - run->since_ms < verified->keep_ms / LOG_VERIFIED_SPREAD;
}

// ---- files ----

// The first run that reaches offset.
static int run_find(const struct verified_file *file, int64_t offset)
{
    int low = 0, high = file->count;
    while (low < high) {
        int middle = low + (high - low) / 2;
        if (run_next(file->runs[middle]) <= offset)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct verified_file *file_find(const struct log_known *known, int64_t segment)
{
    struct verified_file *file = known->files;
    while (file != NULL && file->segment != segment)
        file = file->next;
    return file;
}

static void file_destroy(struct log_verified *verified, struct verified_file *file)
{
    struct verified_file **at = &file->known->files;
    while (*at != file)
        at = &(*at)->next;
    *at = file->next;
    account(verified, -(int64_t)(sizeof *file + (size_t)file->cap * sizeof(struct run *)), 0);
    log_handle_unref(&file->handle);
    mem_free(file->runs);
    mem_free(file);
    verified->files--;
}

// Forgets a run, and its file when that was the last one.
static void run_destroy(struct log_verified *verified, struct run *run)
{
    struct verified_file *file = run->file;
    int at = run_find(file, run->base);
    ASSERT(file->runs[at] == run);
    memmove(&file->runs[at], &file->runs[at + 1], (size_t)(file->count - at - 1) * sizeof(struct run *));
    file->count--;
    *(run->older != NULL ? &run->older->newer : &verified->oldest) = run->newer;
    *(run->newer != NULL ? &run->newer->older : &verified->newest) = run->older;
    account(verified, -run_memory(run), -run_size(run));
    mem_free(run->rows);
    mem_free(run);
    if (file->count == 0)
        file_destroy(verified, file);
}

static void file_forget(struct log_verified *verified, struct verified_file *file)
{
    for (int i = file->count - 1; i >= 0; i--)
        run_destroy(verified, file->runs[i]); // the last one takes the file along
}

static struct verified_file *file_make(struct log_verified *verified, struct log_known *known,
                                       int64_t segment, struct log_handle *handle)
{
    if (verified->files == LOG_VERIFIED_FILES)
        file_forget(verified, verified->oldest->file);
    struct verified_file *file = mem_calloc(1, sizeof *file);
    *file = (struct verified_file){
        .next = known->files, .known = known, .segment = segment, .handle = log_handle_ref(handle)};
    known->files = file;
    verified->files++;
    account(verified, (int64_t)sizeof *file, 0);
    return file;
}

static struct run *run_make(struct log_verified *verified, struct verified_file *file, int at,
                            const struct log_place *place)
{
    if (file->count == file->cap) {
        int cap = file->cap ? file->cap * 2 : RUNS_FIRST;
        account(verified, (int64_t)((size_t)(cap - file->cap) * sizeof(struct run *)), 0);
        file->runs = mem_realloc(file->runs, (size_t)cap * sizeof(struct run *));
        file->cap = cap;
    }
    struct run *run = mem_calloc(1, sizeof *run);
    *run = (struct run){.older = verified->newest,
                        .file = file,
                        .since_ms = env_now_ms(verified->env),
                        .base = place->base,
                        .position = place->position,
                        .epoch = place->epoch};
    *(verified->newest != NULL ? &verified->newest->newer : &verified->oldest) = run;
    verified->newest = run;
    memmove(&file->runs[at + 1], &file->runs[at], (size_t)(file->count - at) * sizeof(struct run *));
    file->runs[at] = run;
    file->count++;
    account(verified, (int64_t)sizeof *run, 0);
    return run;
}

// ---- the bounds ----

static void forget_old(struct log_verified *verified)
{
    int64_t now_ms = env_now_ms(verified->env);
    while (verified->oldest != NULL && now_ms - verified->oldest->since_ms >= verified->keep_ms)
        run_destroy(verified, verified->oldest);
}

static void timer_set(struct log_verified *verified)
{
    if (verified->oldest == NULL || timer_running(&verified->timer))
        return;
    int64_t left_ms = verified->oldest->since_ms + verified->keep_ms - env_now_ms(verified->env);
    timer_start_ms(verified->env, &verified->timer, left_ms > 0 ? left_ms : 0);
}

// Memory and descriptors come back also when nobody reads any more.
static void verified_fire(struct timer *timer)
{
    struct log_verified *verified = timer->context;
    forget_old(verified);
    timer_set(verified);
}

// ---- life ----

struct log_verified *log_verified_new(struct env *env, int64_t keep_ms, int64_t bytes_max)
{
    struct log_verified *verified = mem_calloc(1, sizeof *verified);
    verified->env = env;
    verified->keep_ms = keep_ms;
    verified->bytes_max = bytes_max;
    timer_init(&verified->timer, verified_fire, verified);
    verified->m_memory = (struct metric){.name = "millrace_log_verified_memory_bytes",
                                         .help = "Memory that tells which batches on disk are good.",
                                         .kind = METRIC_GAUGE};
    verified->m_bytes =
        (struct metric){.name = "millrace_log_verified_bytes",
                        .help = "Bytes of segment files written or verified lately: sent as they are.",
                        .kind = METRIC_GAUGE};
    return verified;
}

void log_verified_destroy(struct log_verified **pointer)
{
    struct log_verified *verified = *pointer;
    *pointer = NULL;
    while (verified->oldest != NULL)
        file_forget(verified, verified->oldest->file);
    timer_stop(verified->env, &verified->timer);
    mem_free(verified);
}

void log_verified_each_metric(struct log_verified *verified, const char *labels,
                              void (*act)(struct metric_registry *registry, struct metric *metric))
{
    struct metric *all[] = {&verified->m_memory, &verified->m_bytes};
    for (size_t i = 0; verified->env->metrics != NULL && i < sizeof all / sizeof all[0]; i++) {
        all[i]->labels = labels;
        act(verified->env->metrics, all[i]);
    }
}

// ---- what is known ----

void log_verified_add(struct log_verified *verified, struct log_known *known, int64_t segment,
                      struct log_handle *handle, const struct log_place *place)
{
    if (verified->keep_ms == 0)
        return;
    forget_old(verified);
    struct verified_file *file = file_find(known, segment);
    if (file == NULL)
        file = file_make(verified, known, segment, handle);
    int at = run_find(file, place->base);
    if (at < file->count && file->runs[at]->base <= place->last)
        return;
    struct run *run = at > 0 ? file->runs[at - 1] : NULL;
    if (run == NULL || !run_takes(verified, run, place))
        run = run_make(verified, file, at, place);
    run_push(verified, run, place);
    while (verified->oldest != NULL && verified->m_memory.value > verified->bytes_max)
        run_destroy(verified, verified->oldest);
    timer_set(verified);
}

// Adds a run's batches from row i on to the stretch, which ends where they begin; true when it took them all.
static bool take_rows(const struct run *run, uint32_t i, const struct log_range *range,
                      struct log_stretch *found)
{
    int64_t from = i > 0 ? run->rows[i - 1].end : 0;
    for (; i < run->count; i++) {
        const struct row *row = &run->rows[i];
        size_t size = (size_t)(row->end - from);
        bool fits = found->len + size <= range->max_bytes || (found->len == 0 && range->min_one);
        if (!fits || run->base + row->last >= range->up_to)
            return false;
        if (found->len == 0) {
            found->position = run->position + from;
            found->first = run->base + row->base;
        }
        found->len += size;
        found->next = run->base + row->last + 1;
        found->epoch = run->epoch;
        from = row->end;
    }
    return true;
}

bool log_verified_find(struct log_verified *verified, const struct log_known *known, int64_t segment,
                       const struct log_range *range, struct log_stretch *found)
{
    forget_old(verified);
    const struct verified_file *file = file_find(known, segment);
    int at = file != NULL ? run_find(file, range->from) : 0;
    if (file == NULL || at == file->count || file->runs[at]->base > range->from)
        return false;
    *found =
        (struct log_stretch){.handle = file->handle, .first = range->from, .next = range->from, .epoch = -1};
    bool more = take_rows(file->runs[at], row_find(file->runs[at], range->from), range, found);
    while (more && ++at < file->count && file->runs[at]->position == found->position + (int64_t)found->len)
        more = take_rows(file->runs[at], 0, range, found);
    found->more = more && found->next < range->up_to;
    return true;
}

struct log_handle *log_verified_handle(const struct log_known *known, int64_t segment)
{
    const struct verified_file *file = file_find(known, segment);
    return file != NULL ? file->handle : NULL;
}

void log_verified_drop(struct log_verified *verified, struct log_known *known, int64_t segment,
                       const struct log_stretch *stretch)
{
    struct verified_file *file = file_find(known, segment);
    int at = file != NULL ? run_find(file, stretch->first) : 0, last = at;
    while (file != NULL && last < file->count && file->runs[last]->base < stretch->next)
        last++;
    while (last-- > at)
        run_destroy(verified, file->runs[last]); // the file's last one is the last to go
}

void log_verified_forget(struct log_verified *verified, struct log_known *known, int64_t below)
{
    struct verified_file *file = known->files;
    while (file != NULL) {
        struct verified_file *next = file->next;
        if (file->segment < below)
            file_forget(verified, file);
        file = next;
    }
}
