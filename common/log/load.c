// SPDX-License-Identifier: Apache-2.0
// Loading a log from its directory. Order: list → read (trusted segments by size and last time entry, the
// others by scanning every batch) → decide whether the log is lost → repair files → producers → sync. Nothing
// is changed before it is known that the valid part reaches the recovery point: a log that ends below it is
// damage to report, not a tail to cut.
#include "base/bytes.h"
#include "base/mem.h"
#include "log/files.h"
#include "log/scan.h"
#include "log/settle.h"
#include "log/state.h"

#include <stdlib.h>

enum { ABORTED_FILE_MAX = 1 << 30 }; // of a segment of smallest transactions

struct bases {
    int64_t *rows;
    int count, cap;
};

struct loading {
    const struct log_load *load;
    struct log_state *state;
    struct log_load_report *report;
    struct bases logs, snapshots, aborted; // base offsets of the files found
    bool any_scanned;                      // a batch or an empty scanned segment has told the end
    bool trust;                            // whether files below the recovery point are trusted
    bool untouched;          // everything found was synced before: what needs no change needs no sync
    struct log_epochs saved; // as found
    // A batch below the recovery point says otherwise than `saved`.
    bool contradicted;
};

static void bases_add(struct bases *bases, int64_t base)
{
    if (bases->count == bases->cap) {
        bases->cap = bases->cap ? bases->cap * 2 : 8;
        bases->rows = mem_realloc(bases->rows, (size_t)bases->cap * sizeof *bases->rows);
    }
    bases->rows[bases->count++] = base;
}

// Whether it is what is left of a segment that was removed (reclaim.c).
static bool is_doomed(const char *name)
{
    static const char suffix[] = ".deleted";
    size_t len = strlen(name);
    return len >= sizeof suffix && strcmp(name + len + 1 - sizeof suffix, suffix) == 0;
}

// In byte order of the names, so both lists ascend.
static bool list_entry(const char *name, void *context)
{
    struct loading *loading = context;
    if (is_doomed(name))
        (void)log_file_remove(loading->load->env, loading->load->path, name);
    int64_t base = log_segment_name_base(name, ".log");
    if (base >= 0)
        bases_add(&loading->logs, base);
    base = log_segment_name_base(name, ".snapshot");
    if (base >= 0)
        bases_add(&loading->snapshots, base);
    base = log_segment_name_base(name, ".txnindex");
    if (base >= 0)
        bases_add(&loading->aborted, base);
    return true;
}

static enum status open_part(const struct loading *loading, int64_t base, const char *suffix, int flags,
                             struct file **file)
{
    struct log_path path = log_path_join(loading->load->path, log_segment_name(base, suffix).text);
    return file_open(loading->load->env, path.text, flags, file);
}

static enum status load_part(const struct loading *loading, int64_t base, const char *suffix, struct buf *out)
{
    enum status status =
        log_file_load(loading->load->env, loading->load->path, log_segment_name(base, suffix).text, out);
    return status == ST_NOT_FOUND ? ST_OK : status;
}

// ---- epochs ----

static enum status load_epochs(struct loading *loading)
{
    struct log_epochs *epochs = &loading->state->epochs;
    const struct log_epochs *known = loading->load->epochs;
    if (known != NULL) {
        log_epochs_copy(epochs, known);
        log_epochs_copy(&loading->saved, known);
        return ST_OK;
    }
    struct buf text;
    buf_init(&text, LOG_SMALL_FILE_MAX);
    enum status status =
        log_file_load(loading->load->env, loading->load->path, "leader-epoch-checkpoint", &text);
    if (status == ST_OK)
        status = log_epochs_parse(buf_slice(&text), epochs);
    log_epochs_copy(&loading->saved, epochs);
    buf_fini(&text);
    if (status != ST_NOT_FOUND && status != ST_MALFORMED && status != ST_UNSUPPORTED)
        return status;
    loading->trust = false; // derive them from every batch
    return ST_OK;
}

// ---- indexes that are kept ----

// Sets what is kept of the index: entries in order, up to the recovery point; the segment's size becomes the
// position of the newest one, where scanning begins. Returns the offset that entry names, base - 1 without
// one.
static int64_t check_index(struct slice bytes, struct log_segment *segment, int64_t below, int64_t file_bytes)
{
    int64_t offset_before = -1, position_before = -1, last = segment->base - 1;
    for (size_t at = 0; at + LOG_INDEX_ENTRY <= bytes.len; at += LOG_INDEX_ENTRY) {
        int64_t offset = load_be32(bytes.data + at), position = load_be32(bytes.data + at + 4);
        if (offset <= offset_before || position <= position_before || position >= file_bytes)
            break;
        if (segment->base + offset >= below)
            break;
        offset_before = offset;
        position_before = segment->size = position;
        segment->index.written = (int64_t)at + LOG_INDEX_ENTRY;
        last = segment->base + offset;
    }
    return last;
}

// Bytes of the time index to keep: ascending entries for offsets up to last.
static int64_t check_times(struct slice bytes, int64_t base, int64_t last, struct log_segment *segment)
{
    int64_t keep = 0, before = -1;
    for (size_t at = 0; at + LOG_TIME_ENTRY <= bytes.len; at += LOG_TIME_ENTRY) {
        int64_t timestamp = (int64_t)load_be64(bytes.data + at);
        int64_t offset = base + load_be32(bytes.data + at + 8);
        if (timestamp <= before || offset > last)
            break;
        before = segment->max_timestamp = segment->last_time_entry = timestamp;
        segment->max_timestamp_last = offset;
        keep = (int64_t)at + LOG_TIME_ENTRY;
    }
    return keep;
}

// Keeps what the indexes say below the recovery point, so that only the rest must be scanned.
static enum status keep_indexes(struct loading *loading, struct log_segment *segment, int64_t file_bytes)
{
    struct buf index, times;
    buf_init(&index, LOG_SMALL_FILE_MAX);
    buf_init(&times, LOG_SMALL_FILE_MAX);
    int64_t last = segment->base - 1;
    enum status status = load_part(loading, segment->base, ".index", &index);
    if (status == ST_OK)
        status = load_part(loading, segment->base, ".timeindex", &times);
    if (status == ST_OK && loading->trust)
        last = check_index(buf_slice(&index), segment, loading->load->recovery_point, file_bytes);
    if (status == ST_OK && segment->index.written > 0)
        segment->times.written = check_times(buf_slice(&times), segment->base, last, segment);
    segment->index.entries = (int32_t)(segment->index.written / LOG_INDEX_ENTRY);
    segment->times.entries = (int32_t)(segment->times.written / LOG_TIME_ENTRY);
    buf_fini(&index);
    buf_fini(&times);
    return status;
}

static void forget_indexes(struct log_segment *segment)
{
    segment->index.written = segment->times.written = segment->size = 0;
    segment->index.entries = segment->times.entries = 0;
    segment->max_timestamp = segment->last_time_entry = -1;
    segment->max_timestamp_last = segment->base - 1;
}

// ---- scanning ----

// Without the leader epoch of a damaged batch, of which what was saved knows.
static void note_scanned(struct loading *loading, struct log_segment *segment,
                         const struct batch_header *header, bool damaged)
{
    struct log_state *state = loading->state;
    int32_t saved = log_epochs_at(&loading->saved, batch_last_offset(header));
    int32_t epoch = damaged && saved >= 0 ? saved : header->leader_epoch;
    if (!loading->any_scanned)
        log_epochs_cut(&state->epochs, header->base_offset);
    loading->any_scanned = true;
    log_epochs_assign(&state->epochs, epoch, header->base_offset);
    if (header->base_offset < loading->load->recovery_point &&
        log_epochs_contradict(&loading->saved, epoch, header->base_offset))
        loading->contradicted = true;
    log_segment_note(segment, header, loading->load->index_interval);
    state->end = batch_last_offset(header) + 1;
}

// A durable batch whose checksum does not fit while its header makes sense: damage to one batch, by which the
// ones behind it are not lost. Reads refuse it; a follower of the partition is where its records are.
static bool only_damaged(const struct loading *loading, const struct batch_header *header, int64_t expected)
{
    return header->base_offset >= expected && batch_last_offset(header) < loading->load->recovery_point;
}

// The same of a batch whose leader epoch, which no checksum covers, is not what was saved. When it is what
// was saved that is wrong, the batches agree with each other, and are asked no more.
static bool epoch_damaged(const struct loading *loading, const struct log_scan *scan,
                          const struct batch_header *header)
{
    struct log_said said[3];
    return !loading->contradicted && batch_last_offset(header) < loading->load->recovery_point &&
           !log_scan_epoch_ok(&loading->saved, header) &&
           log_scan_said(scan->env, scan->file, 0, scan->end, header->base_offset, said) &&
           log_epochs_damaged(&loading->saved, said);
}

// Scans a segment from segment->size on. ST_OK at its end; *why set when what follows is not valid.
static enum status scan_batches(struct loading *loading, struct log_segment *segment, struct file *file,
                                int64_t file_bytes, const char **why)
{
    struct log_scan scan;
    struct batch_header header;
    int64_t position, expected = segment->base;
    log_scan_init(&scan, loading->load->env, file, segment->size, file_bytes);
    enum status status;
    for (;;) {
        position = -1; // stays so when there is no header
        status = log_scan_next(&scan, true, &header, &position);
        bool damaged = status == ST_CORRUPT && position >= 0 && only_damaged(loading, &header, expected);
        if (status == ST_OK && header.base_offset < expected)
            status = ST_CORRUPT;
        if (status != ST_OK && !damaged)
            break;
        damaged = damaged || epoch_damaged(loading, &scan, &header);
        loading->report->damaged += damaged;
        note_scanned(loading, segment, &header, damaged);
        expected = loading->state->end;
    }
    log_scan_fini(&scan);
    *why = status == ST_TRUNCATED ? "incomplete batch" : status == ST_CORRUPT ? "invalid batch" : NULL;
    return status == ST_NOT_FOUND || *why != NULL ? ST_OK : status;
}

// Whether the newest kept index entry points at the batch it names; else the index is not trusted.
static enum status check_kept_entry(struct loading *loading, struct log_segment *segment, struct file *file,
                                    int64_t file_bytes)
{
    if (segment->index.entries == 0)
        return ST_OK;
    uint8_t entry[4];
    struct batch_header header = {0};
    struct log_scan scan;
    struct buf index;
    buf_init(&index, LOG_SMALL_FILE_MAX);
    int64_t position;
    log_scan_init(&scan, loading->load->env, file, segment->size, file_bytes);
    enum status status = load_part(loading, segment->base, ".index", &index);
    bool right = status == ST_OK && log_scan_next(&scan, false, &header, &position) == ST_OK;
    if (right) {
        memcpy(entry, index.data + segment->index.written - LOG_INDEX_ENTRY, sizeof entry);
        right = batch_last_offset(&header) == segment->base + load_be32(entry);
    }
    if (status == ST_OK && !right)
        forget_indexes(segment);
    log_scan_fini(&scan);
    buf_fini(&index);
    return status;
}

static enum status read_first_timestamp(struct loading *loading, struct log_segment *segment,
                                        struct file *file)
{
    uint8_t bytes[BATCH_HEADER_SIZE];
    struct batch_header header;
    size_t got;
    enum status status = file_pread(loading->load->env, file, bytes, sizeof bytes, 0, &got);
    if (status == ST_OK && batch_parse(slice_of(bytes, got), &header) == ST_OK)
        segment->first_timestamp = header.max_timestamp;
    return status;
}

static enum status scan_segment(struct loading *loading, struct log_segment *segment, struct file *file,
                                int64_t file_bytes, const char **why)
{
    enum status status = keep_indexes(loading, segment, file_bytes);
    if (loading->load->doubts_memory)
        file_drop_cache(loading->load->env, file, segment->size);
    if (status == ST_OK)
        status = check_kept_entry(loading, segment, file, file_bytes);
    if (status == ST_OK)
        status = scan_batches(loading, segment, file, file_bytes, why);
    if (status == ST_OK)
        status = read_first_timestamp(loading, segment, file);
    if (status != ST_OK)
        return status;
    if (!loading->any_scanned) {
        loading->state->end = segment->base;
        log_epochs_cut(&loading->state->epochs, segment->base);
        loading->any_scanned = true;
    }
    if (loading->state->end < segment->base) // empty, behind what a compaction has left
        loading->state->end = segment->base;
    segment->written = segment->size;
    loading->report->dropped_bytes += file_bytes - segment->size;
    return ST_OK;
}

// A segment wholly below the recovery point: its size and its last time entry are all that is read.
static enum status trust_segment(struct loading *loading, struct log_segment *segment, int64_t file_bytes,
                                 bool *trusted)
{
    struct buf times;
    struct file_info info;
    buf_init(&times, LOG_SMALL_FILE_MAX);
    struct log_path index =
        log_path_join(loading->load->path, log_segment_name(segment->base, ".index").text);
    enum status found = path_info(loading->load->env, index.text, &info);
    enum status status = load_part(loading, segment->base, ".timeindex", &times);
    segment->times.written = check_times(buf_slice(&times), segment->base, INT64_MAX, segment);
    *trusted = found == ST_OK && info.size % LOG_INDEX_ENTRY == 0 &&
               segment->times.written == (int64_t)times.len && (times.len > 0 || file_bytes == 0);
    segment->index.written = found == ST_OK ? info.size : 0;
    segment->index.entries = (int32_t)(segment->index.written / LOG_INDEX_ENTRY);
    segment->times.entries = (int32_t)(segment->times.written / LOG_TIME_ENTRY);
    segment->size = segment->written = file_bytes;
    segment->sealed = true;
    if (times.len >= LOG_TIME_ENTRY) // made within index.interval.bytes of the first batch
        segment->first_timestamp = (int64_t)load_be64(times.data);
    buf_fini(&times);
    return status;
}

static enum status read_open_segment(struct loading *loading, int i, struct file *file, const char **why)
{
    struct log_segment *segment = loading->state->segments[i];
    int64_t file_bytes;
    enum status status = file_size(loading->load->env, file, &file_bytes);
    if (status != ST_OK)
        return status;
    bool below = i + 1 < loading->logs.count && loading->logs.rows[i + 1] <= loading->load->recovery_point;
    bool trusted = false;
    if (below && loading->trust)
        status = trust_segment(loading, segment, file_bytes, &trusted);
    if (status != ST_OK || trusted)
        return status;
    if (below)
        loading->trust = false; // epochs are cut where scanning begins: all that follows must be scanned too
    segment->sealed = false;
    forget_indexes(segment);
    return scan_segment(loading, segment, file, file_bytes, why);
}

// Reads segment i. *why is set when the log ends inside it or before it.
static enum status read_segment(struct loading *loading, int i, const char **why)
{
    struct log_state *state = loading->state;
    int64_t base = loading->logs.rows[i];
    // Above the recovery point nothing is compacted: a gap there is a segment that never became durable.
    bool gap_allowed = base > state->end && base <= loading->load->recovery_point;
    if (loading->any_scanned && base != state->end && !gap_allowed) {
        *why = "segments do not join";
        return ST_OK;
    }
    struct log_segment *segment = log_state_add_segment(state, base);
    segment->exists = true;
    segment->created_ms = env_wall_ms(loading->load->env);
    segment->found = true;
    struct file *file;
    enum status status = open_part(loading, base, ".log", FILE_READ, &file);
    if (status != ST_OK)
        return status;
    status = read_open_segment(loading, i, file, why);
    file_close(loading->load->env, &file);
    return status;
}

// Below the recovery point what was saved knows better than the batches, unless one contradicts it:
// compaction may have taken those with which an epoch began, and a later start would let a follower keep what
// it has there. Below the first row saved, which a move of the log's start has raised that may not have
// become durable, the batches alone tell.
static void prefer_saved(struct loading *loading)
{
    struct log_epochs derived = loading->state->epochs, *epochs = &loading->state->epochs;
    int64_t point = loading->load->recovery_point;
    int64_t first = loading->saved.count > 0 ? loading->saved.rows[0].start : 0;
    if (!loading->any_scanned || loading->contradicted)
        return;
    *epochs = (struct log_epochs){0};
    for (int i = 0; i < derived.count && derived.rows[i].start < first; i++)
        log_epochs_assign(epochs, derived.rows[i].epoch, derived.rows[i].start);
    log_epochs_copy(epochs, &loading->saved);
    log_epochs_cut(epochs, point);
    for (int i = 0; i < derived.count; i++)
        if (derived.rows[i].start >= point)
            log_epochs_assign(epochs, derived.rows[i].epoch, derived.rows[i].start);
    log_epochs_fini(&derived);
}

static enum status read_segments(struct loading *loading)
{
    const char *why = NULL;
    enum status status = ST_OK;
    for (int i = 0; i < loading->logs.count && status == ST_OK && why == NULL; i++)
        status = read_segment(loading, i, &why);
    loading->report->why = why;
    prefer_saved(loading);
    log_epochs_cut(&loading->state->epochs, loading->state->end);
    loading->state->epochs.changed = !log_epochs_equal(&loading->state->epochs, &loading->saved);
    return status;
}

// ---- repair ----

static enum status sync_file(struct loading *loading, struct file *file)
{
    loading->report->unsynced = loading->load->sync_later;
    return loading->load->sync_later ? ST_OK : file_sync(loading->load->env, file);
}

static enum status sync_directory(struct loading *loading)
{
    loading->report->unsynced = loading->load->sync_later;
    return loading->load->sync_later ? ST_OK : path_sync_dir(loading->load->env, loading->load->path);
}

static enum status write_index(struct loading *loading, int64_t base, const char *suffix,
                               struct log_index *index)
{
    struct env *env = loading->load->env;
    struct file *file;
    enum status status = open_part(loading, base, suffix, FILE_WRITE | FILE_CREATE, &file);
    if (status != ST_OK)
        return status;
    int64_t bytes;
    status = file_size(env, file, &bytes);
    // After a clean stop a time entry written at close may stand behind; the next one overwrites it.
    bool same = status == ST_OK && loading->untouched && index->pending.len == 0 &&
                (bytes == index->written || (loading->load->clean && bytes > index->written));
    if (status == ST_OK && !same && bytes != index->written)
        status = file_truncate(env, file, index->written);
    if (status == ST_OK && index->pending.len > 0)
        status = file_pwrite(env, file, index->pending.data, index->pending.len, index->written);
    if (status == ST_OK && !same)
        status = sync_file(loading, file);
    file_close(env, &file);
    index->written += (int64_t)index->pending.len;
    buf_clear(&index->pending);
    return status;
}

// Cuts and syncs a scanned segment: its bytes may so far be in the page cache only.
static enum status repair_segment(struct loading *loading, int i)
{
    struct env *env = loading->load->env;
    struct log_segment *segment = loading->state->segments[i];
    struct file *file;
    enum status status = open_part(loading, segment->base, ".log", FILE_WRITE, &file);
    if (status != ST_OK)
        return status;
    int64_t bytes;
    status = file_size(env, file, &bytes);
    bool shorter = bytes != segment->size;
    // A cut whose sync has failed may be in memory only, and would never be made durable by itself.
    if (status == ST_OK && (shorter || (loading->load->doubts_memory && !loading->untouched)))
        status = file_truncate(env, file, segment->size);
    if (status == ST_OK && (shorter || !loading->untouched))
        status = sync_file(loading, file);
    file_close(env, &file);
    if (i + 1 < loading->state->count) {
        log_segment_finish(segment);
        segment->sealed = true;
    }
    if (status == ST_OK)
        status = write_index(loading, segment->base, ".index", &segment->index);
    return status == ST_OK ? write_index(loading, segment->base, ".timeindex", &segment->times) : status;
}

// Segments behind the valid part, from the last one down so that a crash leaves no hole.
static enum status remove_behind(struct loading *loading)
{
    for (int i = loading->logs.count - 1; i >= loading->state->count; i--) {
        struct file_info info = {0};
        struct log_path path =
            log_path_join(loading->load->path, log_segment_name(loading->logs.rows[i], ".log").text);
        if (path_info(loading->load->env, path.text, &info) == ST_OK)
            loading->report->dropped_bytes += info.size;
        enum status status =
            log_segment_remove(loading->load->env, loading->load->path, loading->logs.rows[i]);
        if (status != ST_OK)
            return status;
    }
    return ST_OK;
}

static enum status repair(struct loading *loading)
{
    const struct log_load *load = loading->load;
    enum status status = remove_behind(loading);
    loading->untouched =
        loading->report->dropped_bytes == 0 &&
        (load->clean || (load->recovery_point > 0 && load->recovery_point == loading->state->end));
    for (int i = 0; i < loading->state->count && status == ST_OK; i++)
        if (!loading->state->segments[i]->sealed)
            status = repair_segment(loading, i);
    return status == ST_OK && !loading->untouched ? sync_directory(loading) : status;
}

// ---- aborted transactions ----

static struct log_segment *segment_of(const struct loading *loading, int64_t base)
{
    int at = log_state_segment_at(loading->state, base);
    return at >= 0 && loading->state->segments[at]->base == base ? loading->state->segments[at] : NULL;
}

static void keep_aborted(struct log_segment *segment, struct slice bytes)
{
    struct log_aborted aborted;
    segment->aborted.written = (int64_t)bytes.len;
    segment->aborted.entries = (int32_t)(bytes.len / LOG_ABORTED_ENTRY);
    segment->aborted_first = INT64_MAX;
    segment->aborted_last = -1;
    for (size_t at = 0; at < bytes.len; at += LOG_ABORTED_ENTRY) {
        log_aborted_parse(bytes.data + at, &aborted);
        segment->aborted_last = aborted.last;
        if (aborted.first < segment->aborted_first)
            segment->aborted_first = aborted.first;
    }
}

// Takes what the index files say of markers below `below`. *damaged: base of the first segment whose file
// says nothing sensible, INT64_MAX when all do.
static enum status load_aborted(struct loading *loading, int64_t below, int64_t *damaged)
{
    struct buf bytes;
    buf_init(&bytes, ABORTED_FILE_MAX);
    enum status status = ST_OK;
    *damaged = INT64_MAX;
    for (int i = 0; i < loading->aborted.count && status == ST_OK; i++) {
        struct log_segment *segment = segment_of(loading, loading->aborted.rows[i]);
        bool whole;
        if (segment == NULL)
            continue;
        buf_clear(&bytes);
        status = load_part(loading, segment->base, ".txnindex", &bytes);
        if (status != ST_OK)
            break;
        size_t keep = log_aborted_keep(buf_slice(&bytes), segment->base, below, &whole);
        keep_aborted(segment, slice_of(bytes.data, keep));
        if (!whole && *damaged == INT64_MAX)
            *damaged = segment->base;
    }
    buf_fini(&bytes);
    return status;
}

// Whether the file has what it shall have already.
static enum status aborted_is_right(struct loading *loading, const struct log_segment *segment, bool *right)
{
    struct buf bytes;
    buf_init(&bytes, ABORTED_FILE_MAX);
    const struct buf *pending = &segment->aborted.pending;
    enum status status = load_part(loading, segment->base, ".txnindex", &bytes);
    *right = status == ST_OK && bytes.len == (size_t)segment->aborted.written + pending->len &&
             slice_equal(slice_of(bytes.data + segment->aborted.written, pending->len), buf_slice(pending));
    buf_fini(&bytes);
    return status;
}

static enum status save_aborted(struct loading *loading, struct log_segment *segment)
{
    struct env *env = loading->load->env;
    bool right;
    enum status status = aborted_is_right(loading, segment, &right);
    // Entries from before the snapshot are durable; those made anew may be in the page cache only.
    if (status != ST_OK || (right && (loading->untouched || segment->aborted.pending.len == 0))) {
        segment->aborted.written += (int64_t)segment->aborted.pending.len;
        buf_clear(&segment->aborted.pending);
        return status;
    }
    if (segment->aborted.entries == 0) // as Kafka, which makes the file with the first entry
        return log_file_remove(env, loading->load->path, log_segment_name(segment->base, ".txnindex").text);
    loading->untouched = false; // so that the index is synced
    return write_index(loading, segment->base, ".txnindex", &segment->aborted);
}

// Segments with entries now and those with a file.
static enum status save_all_aborted(struct loading *loading)
{
    enum status status = ST_OK;
    for (int i = 0; i < loading->state->count && status == ST_OK; i++)
        if (loading->state->segments[i]->aborted.entries > 0)
            status = save_aborted(loading, loading->state->segments[i]);
    for (int i = 0; i < loading->aborted.count && status == ST_OK; i++) {
        struct log_segment *segment = segment_of(loading, loading->aborted.rows[i]);
        if (segment != NULL && segment->aborted.entries == 0)
            status = save_aborted(loading, segment);
    }
    return status;
}

// ---- producers ----

// What the control batch at position says; false when it is no transaction marker.
static enum status read_marker(struct loading *loading, struct file *file, int64_t position,
                               const struct batch_header *header, struct batch_marker *marker,
                               bool *is_marker)
{
    uint8_t bytes[LOG_MARKER_MAX];
    size_t got, size = batch_size(header);
    *is_marker = false;
    if (size > sizeof bytes)
        return ST_OK;
    enum status status = file_pread(loading->load->env, file, bytes, size, position, &got);
    *is_marker =
        status == ST_OK && got == size && batch_marker_parse(slice_of(bytes, size), header, marker) == ST_OK;
    return status;
}

static enum status note_producer(struct loading *loading, struct log_segment *segment, struct file *file,
                                 int64_t position, const struct batch_header *header)
{
    struct log_producers *producers = &loading->state->producers;
    struct batch_marker marker;
    struct log_aborted aborted;
    bool is_marker = false;
    enum status status = ST_OK;
    if (header->attributes & BATCH_CONTROL)
        status = read_marker(loading, file, position, header, &marker, &is_marker);
    if (status == ST_OK && log_producers_note(producers, header, is_marker ? &marker : NULL,
                                              env_now_ms(loading->load->env), &aborted))
        log_segment_note_aborted(segment, &aborted);
    log_ended_pass(&producers->ended, loading->load->high_watermark);
    return status;
}

static enum status note_producers(struct loading *loading, struct log_segment *segment, int64_t from)
{
    struct file *file;
    enum status status = open_part(loading, segment->base, ".log", FILE_READ, &file);
    if (status != ST_OK)
        return status;
    struct log_scan scan;
    struct batch_header header;
    int64_t position;
    log_scan_init(&scan, loading->load->env, file, 0, segment->written);
    while ((status = log_scan_next(&scan, false, &header, &position)) == ST_OK) {
        if (header.base_offset >= from)
            status = note_producer(loading, segment, file, position, &header);
        if (status != ST_OK)
            break;
    }
    log_scan_fini(&scan);
    file_close(loading->load->env, &file);
    return status == ST_NOT_FOUND ? ST_OK : status;
}

// The newest readable snapshot at or below `most`; *from is where the batches must be read on.
static enum status take_snapshot(struct loading *loading, int64_t most, int64_t *from)
{
    struct buf bytes;
    buf_init(&bytes, LOG_SMALL_FILE_MAX);
    enum status status = ST_CORRUPT;
    *from = 0;
    for (int i = loading->snapshots.count - 1; i >= 0 && status == ST_CORRUPT; i--) {
        if (loading->snapshots.rows[i] > most)
            continue;
        buf_clear(&bytes);
        status = load_part(loading, loading->snapshots.rows[i], ".snapshot", &bytes);
        if (status == ST_OK)
            status = log_producers_parse(buf_slice(&bytes), &loading->state->producers,
                                         env_now_ms(loading->load->env));
        if (status == ST_UNSUPPORTED)
            status = ST_CORRUPT; // another version: as good as none
        if (status == ST_OK)
            *from = loading->snapshots.rows[i];
    }
    buf_fini(&bytes);
    return status == ST_CORRUPT ? ST_OK : status;
}

// Snapshots above the end describe what was cut; of the others one per segment and the newest stay (as
// Kafka).
static enum status drop_snapshots(struct loading *loading)
{
    struct bases *snapshots = &loading->snapshots;
    int newest = snapshots->count - 1;
    while (newest >= 0 && snapshots->rows[newest] > loading->state->end)
        newest--;
    enum status status = ST_OK;
    for (int i = 0; i < snapshots->count && status == ST_OK; i++) {
        int at = log_state_segment_at(loading->state, snapshots->rows[i]);
        bool at_base = at >= 0 && loading->state->segments[at]->base == snapshots->rows[i];
        if (i > newest || (!at_base && i < newest))
            status = log_file_remove(loading->load->env, loading->load->path,
                                     log_segment_name(snapshots->rows[i], ".snapshot").text);
    }
    bool above = newest + 1 < snapshots->count;
    return status == ST_OK && above ? sync_directory(loading) : status;
}

// A snapshot may be durable although the index of aborted transactions before it is not, unless the recovery
// point has passed both; a damaged index is made anew from the batches before it.
static int64_t newest_usable(const struct loading *loading, int64_t damaged)
{
    const struct log_load *load = loading->load;
    int64_t most = loading->state->end < damaged ? loading->state->end : damaged;
    return load->clean || most < load->recovery_point ? most : load->recovery_point;
}

static enum status load_producers(struct loading *loading)
{
    struct log_state *state = loading->state;
    int64_t from, damaged;
    enum status status = load_aborted(loading, INT64_MAX, &damaged);
    if (status == ST_OK)
        status = take_snapshot(loading, newest_usable(loading, damaged), &from);
    if (status == ST_OK)
        status = load_aborted(loading, from, &damaged);
#ifdef PLANTED_DEDUPE_LOST_AT_RECOVERY
    from = state->end;
#endif
    for (int i = 0; i < state->count && status == ST_OK && from < state->end; i++)
        if (i + 1 == state->count || state->segments[i + 1]->base > from)
            status = note_producers(loading, state->segments[i], from);
    if (status == ST_OK)
        status = log_settle_transactions(loading->load, state, from);
    if (status == ST_OK)
        status = save_all_aborted(loading);
    return status == ST_OK ? drop_snapshots(loading) : status;
}

enum status log_state_load(const struct log_load *load, struct log_state *state,
                           struct log_load_report *report)
{
    struct loading loading = {.load = load, .state = state, .report = report, .trust = !load->verify_all};
    *report = (struct log_load_report){0};
    enum status status = path_list(load->env, load->path, list_entry, &loading);
    if (status == ST_NOT_FOUND)
        status = ST_OK;
    else if (status == ST_OK)
        status = load_epochs(&loading);
    if (status == ST_OK)
        status = read_segments(&loading);
    if (status == ST_OK)
        report->lost = state->end < load->recovery_point;
    if (status == ST_OK && !report->lost && state->count > 0)
        status = repair(&loading);
    if (status == ST_OK && !report->lost && state->count > 0)
        status = load_producers(&loading);
    log_epochs_fini(&loading.saved);
    mem_free(loading.logs.rows);
    mem_free(loading.snapshots.rows);
    mem_free(loading.aborted.rows);
    return status;
}
