// SPDX-License-Identifier: Apache-2.0
// See swap.h.
#include "log/swap.h"

#include "base/mem.h"
#include "log/files.h"
#include "log/scan.h"
#include "log/state.h"

#include <string.h>

static enum status rename_part(struct env *env, const char *dir, int64_t base, const char *from,
                               const char *to)
{
    struct log_path old = log_path_join(dir, log_segment_name(base, from).text);
    struct log_path new = log_path_join(dir, log_segment_name(base, to).text);
    return path_rename(env, old.text, new.text);
}

// An index that is not there was renamed before a crash, or is made anew when the log is loaded, or (of
// aborted transactions) need not change.
static enum status rename_index(struct env *env, const char *dir, int64_t base, const char *from,
                                const char *to)
{
    enum status status = rename_part(env, dir, base, from, to);
    return status == ST_NOT_FOUND ? ST_OK : status;
}

static enum status decide(struct env *env, const char *dir, int64_t base)
{
    // Not every swap has one: what a failed one has left must not pass for this one's.
    enum status status = log_file_remove(env, dir, log_segment_name(base, ".txnindex.swap").text);
    if (status == ST_OK)
        status = rename_index(env, dir, base, ".index.cleaned", ".index.swap");
    if (status == ST_OK)
        status = rename_index(env, dir, base, ".timeindex.cleaned", ".timeindex.swap");
    if (status == ST_OK)
        status = rename_index(env, dir, base, ".txnindex.cleaned", ".txnindex.swap");
    if (status == ST_OK)
        status = path_sync_dir(env, dir);
    if (status == ST_OK)
        status = rename_part(env, dir, base, ".log.cleaned", ".log.swap");
    return status == ST_OK ? path_sync_dir(env, dir) : status;
}

// ---- which segments are there ----

struct replaced {
    int64_t base, end;
    int64_t *rows;
    int count, cap;
};

static bool list_replaced(const char *name, void *context)
{
    struct replaced *replaced = context;
    int64_t base = log_segment_name_base(name, ".log");
    if (base <= replaced->base || base >= replaced->end)
        return true;
    if (replaced->count == replaced->cap) {
        replaced->cap = replaced->cap ? replaced->cap * 2 : 8;
        replaced->rows = mem_realloc(replaced->rows, (size_t)replaced->cap * sizeof *replaced->rows);
    }
    replaced->rows[replaced->count++] = base;
    return true;
}

static enum status remove_replaced(struct env *env, const char *dir, int64_t base, int64_t end)
{
    struct replaced replaced = {.base = base, .end = end};
    enum status status = path_list(env, dir, list_replaced, &replaced);
    for (int i = replaced.count - 1; i >= 0 && status == ST_OK; i--)
        status = log_segment_remove(env, dir, replaced.rows[i]);
    mem_free(replaced.rows);
    return status == ST_OK ? path_sync_dir(env, dir) : status;
}

// An index without entries has only put an older one out of the way. Left by a crash it does no harm.
static enum status drop_empty(struct env *env, const char *dir, int64_t base)
{
    struct log_segment_name name = log_segment_name(base, ".txnindex");
    struct log_path path = log_path_join(dir, name.text);
    struct file_info info;
    enum status status = path_info(env, path.text, &info);
    if (status == ST_OK && info.size == 0)
        return log_file_remove(env, dir, name.text);
    return status == ST_NOT_FOUND ? ST_OK : status;
}

static enum status complete(struct env *env, const char *dir, int64_t base, int64_t end)
{
    enum status status = remove_replaced(env, dir, base, end);
    if (status == ST_OK)
        status = rename_index(env, dir, base, ".index.swap", ".index");
    if (status == ST_OK)
        status = rename_index(env, dir, base, ".timeindex.swap", ".timeindex");
    if (status == ST_OK)
        status = rename_index(env, dir, base, ".txnindex.swap", ".txnindex");
    if (status == ST_OK)
        status = path_sync_dir(env, dir);
    if (status == ST_OK)
        status = rename_part(env, dir, base, ".log.swap", ".log");
    if (status == ST_OK)
        status = path_sync_dir(env, dir);
    return status == ST_OK ? drop_empty(env, dir, base) : status;
}

enum status log_swap_files(struct env *env, const char *dir, int64_t base, int64_t end, bool *decided)
{
    enum status status = decide(env, dir, base);
    *decided = status == ST_OK;
    return status == ST_OK ? complete(env, dir, base, end) : status;
}

void log_swap_forget(struct env *env, const char *dir, int64_t base)
{
    static const char *const suffixes[] = {".log.cleaned", ".index.cleaned", ".timeindex.cleaned",
                                           ".txnindex.cleaned"};
    for (int i = 0; i < 4; i++)
        (void)log_file_remove(env, dir, log_segment_name(base, suffixes[i]).text);
}

// ---- recovery ----

struct leftovers {
    int64_t *swaps; // bases of .log.swap files
    int count, cap;
    int64_t cleaned; // base of the first .log.cleaned file, INT64_MAX: none
    char **names;    // .cleaned files, and indexes that a swap has or may have
    int name_count, name_cap;
};

static bool ends_with(const char *name, const char *suffix)
{
    size_t len = strlen(name), suffix_len = strlen(suffix);
    return len >= suffix_len && strcmp(name + len - suffix_len, suffix) == 0;
}

static bool list_leftover(const char *name, void *context)
{
    struct leftovers *left = context;
    int64_t swap = log_segment_name_base(name, ".log.swap");
    int64_t cleaned = log_segment_name_base(name, ".log.cleaned");
    if (cleaned >= 0 && cleaned < left->cleaned)
        left->cleaned = cleaned;
    if (swap >= 0) {
        if (left->count == left->cap) {
            left->cap = left->cap ? left->cap * 2 : 4;
            left->swaps = mem_realloc(left->swaps, (size_t)left->cap * sizeof *left->swaps);
        }
        left->swaps[left->count++] = swap;
    } else if (ends_with(name, ".cleaned") || ends_with(name, ".swap")) {
        if (left->name_count == left->name_cap) {
            left->name_cap = left->name_cap ? left->name_cap * 2 : 4;
            left->names = mem_realloc(left->names, (size_t)left->name_cap * sizeof *left->names);
        }
        left->names[left->name_count++] = mem_strdup(name);
    }
    return true;
}

// Behind the last batch of the swap file.
static enum status swap_end(struct env *env, const char *dir, int64_t base, int64_t *end)
{
    struct log_path path = log_path_join(dir, log_segment_name(base, ".log.swap").text);
    struct file *file;
    struct log_scan scan;
    struct batch_header header;
    int64_t size, position;
    enum status status = file_open(env, path.text, FILE_READ, &file);
    if (status != ST_OK)
        return status;
    *end = base;
    status = file_size(env, file, &size);
    log_scan_init(&scan, env, file, 0, status == ST_OK ? size : 0);
    while (status == ST_OK && (status = log_scan_next(&scan, false, &header, &position)) == ST_OK)
        *end = batch_last_offset(&header) + 1;
    log_scan_fini(&scan);
    file_close(env, &file);
    return status == ST_NOT_FOUND ? ST_OK : status == ST_TRUNCATED ? ST_CORRUPT : status;
}

static enum status carry_on(struct env *env, const char *dir, int64_t base)
{
    int64_t end;
    enum status status = swap_end(env, dir, base, &end);
    return status == ST_OK ? complete(env, dir, base, end) : status;
}

// Kafka splits a segment whose offsets do not fit its index into several, which become .swap from the last
// one on: one that replaces no file of its own, with one before it that is still .cleaned, was not decided
// (LogLoader), and what it is made from is there.
static bool is_split(struct env *env, const char *dir, const struct leftovers *left, int64_t base)
{
    struct log_path own = log_path_join(dir, log_segment_name(base, ".log").text);
    struct file_info info;
    return base > left->cleaned && path_info(env, own.text, &info) == ST_NOT_FOUND;
}

static enum status settle(struct env *env, const char *dir, const struct leftovers *left, int64_t base)
{
    if (is_split(env, dir, left, base))
        return log_file_remove(env, dir, log_segment_name(base, ".log.swap").text);
    return carry_on(env, dir, base);
}

static void leftovers_fini(struct leftovers *left)
{
    for (int i = 0; i < left->name_count; i++)
        mem_free(left->names[i]);
    mem_free(left->names);
    mem_free(left->swaps);
}

enum status log_swap_recover(struct env *env, const char *dir)
{
    struct leftovers left = {.cleaned = INT64_MAX};
    enum status status = path_list(env, dir, list_leftover, &left);
    if (status == ST_NOT_FOUND)
        status = ST_OK;
    for (int i = 0; i < left.count && status == ST_OK; i++)
        status = settle(env, dir, &left, left.swaps[i]);
    // An index whose log file was not yet .swap belongs to a swap that was not decided.
    for (int i = 0; i < left.name_count && status == ST_OK; i++)
        status = log_file_remove(env, dir, left.names[i]);
    if (status == ST_OK && left.name_count > 0)
        status = path_sync_dir(env, dir);
    leftovers_fini(&left);
    return status;
}
