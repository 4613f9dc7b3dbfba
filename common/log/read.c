// SPDX-License-Identifier: Apache-2.0
// Reading. Without blocking: from the ring (log/ring.c), batches in memory or in files where this process
// wrote them a moment ago; and from older places in files that it wrote or verified lately (log/verified.h),
// if they are still in memory. Anything else on the pool: index lookup, whole batches into memory, each
// checksum verified, so that a flipped bit is seen before it is served and the loop never sleeps on a cold
// page; what was verified is remembered for the next reader.
#include "base/assert.h"
#include "base/mem.h"
#include "log/internal.h"
#include "log/scan.h"

#include <stddef.h>

enum { READ_PLACES_MAX = 4096, READ_PLACES_FIRST = 16 }; // batches of one cold read that are remembered

// ---- from the ring ----

static void release_handle(void *owner)
{
    struct log_handle *handle = owner;
    log_handle_unref(&handle);
}

// Adds an entry to the last piece when it continues it.
static bool extend_piece(struct piece *piece, const struct log_entry *entry)
{
    if (entry->block != NULL) {
        if (piece->file != NULL || piece->owner != entry->block ||
            piece->data + piece->len != entry->block->data + entry->from)
            return false;
    } else if (piece->file == NULL || piece->owner != entry->segment->handle ||
               piece->position + (int64_t)piece->len != entry->position) {
        return false;
    }
    piece->len += entry->size;
    return true;
}

static struct piece piece_of_entry(const struct log_entry *entry)
{
    if (entry->block != NULL)
        return piece_of_block(entry->block, entry->from, entry->size);
    return (struct piece){.file = entry->segment->handle->file,
                          .position = entry->position,
                          .len = entry->size,
                          .owner = log_handle_ref(entry->segment->handle),
                          .release = release_handle};
}

// Where pieces go.
struct answer {
    struct piece *pieces;
    int max;
    int *count;
};

static bool add_entry(const struct log_entry *entry, struct answer *answer)
{
    int count = *answer->count;
    if (count > 0 && extend_piece(&answer->pieces[count - 1], entry))
        return true;
    if (count == answer->max)
        return false;
    answer->pieces[(*answer->count)++] = piece_of_entry(entry);
    return true;
}

static void read_ring(const struct log_ring *ring, const struct log_range *range, int64_t up_to,
                      struct answer *answer, struct log_found *found)
{
    for (uint32_t i = log_ring_find(ring, range->from); i < ring->count; i++) {
        const struct log_entry *entry = log_ring_at(ring, i);
        bool fits = found->bytes + entry->size <= range->max_bytes || (found->bytes == 0 && range->min_one);
        bool readable = entry->block != NULL || entry->segment->handle != NULL;
        if (entry->last >= up_to || !fits)
            return;
        found->more = !readable || !add_entry(entry, answer);
        if (found->more)
            return;
        if (found->bytes == 0)
            found->first = entry->base;
        found->bytes += entry->size;
        found->next = entry->last + 1;
        found->leader_epoch = entry->epoch;
    }
}

static void remember_entry(struct log *log, const struct log_entry *entry)
{
    const struct log_place place = {.base = entry->base,
                                    .last = entry->last,
                                    .position = entry->position,
                                    .size = entry->size,
                                    .epoch = entry->epoch};
    if (entry->segment->handle != NULL)
        log_verified_add(log->set->verified, &log->known, entry->segment->base, entry->segment->handle,
                         &place);
}

void log_trim_recent(struct log *log)
{
    bool stays = log->status == ST_OK && !log->deleted;
    for (uint32_t i = 0; stays && log->ring.written > LOG_RECENT_MAX + i; i++)
        remember_entry(log, log_ring_at(&log->ring, i));
    log_ring_trim(&log->ring, LOG_RECENT_MAX);
}

static enum status may_read(const struct log *log, int64_t from)
{
    if (log->deleted)
        return ST_CLOSED;
    if (log->lost)
        return ST_CORRUPT;
    if (log->status != ST_OK)
        return log->status;
    return from < log->start || from > log->state.end ? ST_OUT_OF_RANGE : ST_OK;
}

// Whether the ring begins at or before offset with an entry that can be read now.
static bool ring_covers(const struct log_ring *ring, int64_t offset)
{
    if (ring->count == 0 || offset < ring->floor)
        return false;
    uint32_t i = log_ring_find(ring, offset);
    if (i == ring->count)
        return true;
    const struct log_entry *entry = log_ring_at(ring, i);
    return entry->block != NULL || entry->segment->handle != NULL;
}

// ---- from files, by what is known of them ----

// False when the batch wanted is not known, or not in memory: it is read on the pool then.
static bool read_known(struct log *log, const struct log_range *range, struct piece *pieces, int *count,
                       struct log_found *found)
{
    struct log_verified *verified = log->set->verified;
    int at = log_state_segment_at(&log->state, range->from);
    struct log_range some = *range;
    if (some.max_bytes > LOG_READ_MAX)
        some.max_bytes = LOG_READ_MAX;
    struct log_stretch known;
    int64_t base = at >= 0 ? log->state.segments[at]->base : -1;
    if (at < 0 || !range->in_file || !log_verified_find(verified, &log->known, base, &some, &known))
        return false;
    if (known.len == 0)
        return true;
    if (!file_cached(log->set->env, known.handle->file, known.position, (int64_t)known.len)) {
        log_verified_drop(verified, &log->known, base, &known);
        return false;
    }
    pieces[(*count)++] = (struct piece){.file = known.handle->file,
                                        .position = known.position,
                                        .len = known.len,
                                        .owner = log_handle_ref(known.handle),
                                        .release = release_handle};
    bool capped = some.max_bytes < range->max_bytes && known.next < range->up_to;
    *found = (struct log_found){.first = known.first,
                                .next = known.next,
                                .bytes = known.len,
                                .leader_epoch = known.epoch,
                                .more = known.more || capped};
    log_cursors_note(&log->cursors, range->from,
                     (struct log_cursor){.offset = known.next,
                                         .base = base,
                                         .position = known.position + (int64_t)known.len});
    return true;
}

enum status log_read(struct log *log, const struct log_range *range, struct piece *pieces, int max,
                     int *count, struct log_found *found)
{
    *count = 0;
    *found = (struct log_found){.first = range->from, .next = range->from, .leader_epoch = -1};
    enum status status = may_read(log, range->from);
    if (status != ST_OK)
        return status;
    int64_t up_to = range->up_to < log->state.end ? range->up_to : log->state.end;
    if (range->from >= up_to)
        return ST_OK;
    if (!ring_covers(&log->ring, range->from)) {
        struct log_range readable = *range;
        readable.up_to = up_to;
        return max > 0 && read_known(log, &readable, pieces, count, found) ? ST_OK : ST_AGAIN;
    }
    struct answer answer = {.pieces = pieces, .max = max, .count = count};
    read_ring(&log->ring, range, up_to, &answer, found);
    return ST_OK;
}

// ---- on the pool ----

struct cold_read {
    struct job job;
    struct log_parked parked;
    uint64_t swaps; // log->clean.swaps when the segment was taken
    struct log *log;
    struct log_range range;
    log_read_fn *done;
    void *context;
    uint64_t generation;
    enum status status; // preset: answered without work
    // of the segment read now
    char *path; // the log's directory
    int64_t base, written, index_bytes;
    int64_t limit;             // its offsets lie below
    size_t most;               // bytes to read, but for the first batch
    int64_t begin;             // position of the batch wanted, as another read left it; -1: by the index
    struct log_handle *handle; // NULL: opened for the read
    struct log_epochs epochs;  // of the range, as the log knows them
    bool epochs_doubted;       // the batches of the range know better
    // results
    struct block *block;       // the bytes; NULL: they are sent from
    struct log_handle *source; // the file they are in
    struct log_place *places;  // of the batches, the first READ_PLACES_MAX
    int place_count, place_cap;
    int64_t position; // where they begin in it
    size_t len;
    struct log_found found;
};

static enum status open_part(const struct cold_read *cold, const char *suffix, struct file **file)
{
    struct log_path path = log_path_join(cold->path, log_segment_name(cold->base, suffix).text);
    return file_open(cold->log->set->env, path.text, FILE_READ | FILE_AS_ASKED, file);
}

// Where to begin looking for an offset; without a readable index at the segment's start.
static int64_t look_up(const struct cold_read *cold, int64_t offset)
{
    struct env *env = cold->log->set->env;
    struct file *index;
    int64_t position = 0;
    if (cold->index_bytes == 0 || open_part(cold, ".index", &index) != ST_OK)
        return 0;
    if (log_index_find(env, index, cold->index_bytes, cold->base, offset, &position) != ST_OK ||
        position >= cold->written)
        position = 0;
    file_close(env, &index);
    return position;
}

// Whether the batch wanted is where the read before this one ended.
static bool found_ahead(const struct cold_read *cold, struct file *file, struct batch_header *header)
{
    uint8_t head[BATCH_HEADER_SIZE];
    size_t got;
    if (cold->begin < 0 || cold->begin + BATCH_HEADER_SIZE > cold->written ||
        file_pread(cold->log->set->env, file, head, sizeof head, cold->begin, &got) != ST_OK ||
        got < sizeof head || batch_parse(slice_of(head, got), header) != ST_OK)
        return false;
    return header->base_offset == cold->range.from && batch_last_offset(header) < cold->limit &&
           (int64_t)batch_size(header) <= cold->written - cold->begin;
}

// The first batch that reaches from, looked for from a position on. No checksum covers the base offset: a
// batch is where it says if those around it agree, and one that leaves offsets out before it (compaction
// does) is believed only then.
static enum status find_from(const struct cold_read *cold, struct file *file, int64_t begin,
                             struct batch_header *header, int64_t *position)
{
    struct log_scan scan;
    struct batch_header next;
    int64_t before, last = -1, limit = cold->limit, next_position;
    log_scan_init(&scan, cold->log->set->env, file, begin, cold->written);
    enum status status;
    do {
        before = last;
        status = log_scan_next(&scan, false, header, position);
        last = status == ST_OK ? batch_last_offset(header) : before;
    } while (status == ST_OK && header->base_offset > before && last < cold->range.from);
    bool gap = status == ST_OK && header->base_offset > cold->range.from;
    if (gap && log_scan_next(&scan, false, &next, &next_position) == ST_OK)
        limit = next.base_offset;
    log_scan_fini(&scan);
    return status == ST_OK && (header->base_offset <= before || last >= limit) ? ST_CORRUPT : status;
}

// ST_NOT_FOUND when the segment has none below up_to. An index that leads astray costs a walk from its start.
static enum status find_batch(const struct cold_read *cold, struct file *file, struct batch_header *header,
                              int64_t *position)
{
    enum status status = ST_OK;
    if (found_ahead(cold, file, header)) {
        *position = cold->begin;
    } else {
        int64_t begin = look_up(cold, cold->range.from);
        status = find_from(cold, file, begin, header, position);
        if (begin > 0 && (status != ST_OK || header->base_offset > cold->range.from))
            status = find_from(cold, file, 0, header, position);
    }
    return status == ST_OK && batch_last_offset(header) >= cold->range.up_to ? ST_NOT_FOUND : status;
}

// Whether the batch's leader epoch, which its checksum leaves out, is what it was. A list that is wrong
// itself costs one look per read.
static bool epoch_ok(struct cold_read *cold, struct file *file, const struct batch_header *header)
{
    struct log_said said[3];
    if (cold->epochs_doubted || log_scan_epoch_ok(&cold->epochs, header))
        return true;
    bool damaged = log_scan_said(cold->log->set->env, file, look_up(cold, header->base_offset - 1),
                                 cold->written, header->base_offset, said) &&
                   log_epochs_damaged(&cold->epochs, said);
    cold->epochs_doubted = !damaged;
    return !damaged;
}

static void note_place(struct cold_read *cold, const struct batch_header *header)
{
    if (cold->place_count == READ_PLACES_MAX)
        return;
    if (cold->place_count == cold->place_cap) {
        cold->place_cap = cold->place_cap ? cold->place_cap * 2 : READ_PLACES_FIRST;
        cold->places = mem_realloc(cold->places, (size_t)cold->place_cap * sizeof *cold->places);
    }
    cold->places[cold->place_count++] = (struct log_place){.base = header->base_offset,
                                                           .last = batch_last_offset(header),
                                                           .position = cold->position + (int64_t)cold->len,
                                                           .size = (uint32_t)batch_size(header),
                                                           .epoch = header->leader_epoch};
}

static void note_batch(struct cold_read *cold, const struct batch_header *header)
{
    note_place(cold, header);
    if (cold->len == 0)
        cold->found.first = header->base_offset;
    cold->len += batch_size(header);
    cold->found.next = batch_last_offset(header) + 1;
    cold->found.leader_epoch = header->leader_epoch;
    cold->found.bytes = cold->len;
}

// Whether a batch goes on where the one before it ended, or the one behind it confirms that it leaves offsets
// out. If not, the next read begins with it and looks closer (find_from).
static bool is_placed(const struct cold_read *cold, const struct batch_header *header, struct slice rest)
{
    struct batch_header next;
    if (cold->len == 0 || header->base_offset == cold->found.next)
        return true;
    rest = slice_of(rest.data + batch_size(header), rest.len - batch_size(header));
    return header->base_offset > cold->found.next && batch_parse(rest, &next) == ST_OK &&
           next.base_offset > batch_last_offset(header);
}

// Whole, valid batches at the start of what was read. A bad one ends it; the first one bad is an error.
static enum status check_batches(struct cold_read *cold, struct file *file, size_t got)
{
    struct batch_header header;
    enum status status = ST_OK;
    while (cold->len < got) {
        struct slice rest = slice_of(cold->block->data + cold->len, got - cold->len);
        status = batch_parse(rest, &header);
        if (status == ST_OK && batch_size(&header) > rest.len)
            status = ST_TRUNCATED;
        if (status == ST_TRUNCATED || (status == ST_OK && batch_last_offset(&header) >= cold->range.up_to))
            break;
#ifdef PLANTED_BAD_BATCH_SERVED
        bool good = status == ST_OK;
#else
        bool good = status == ST_OK && batch_crc_ok(slice_of(rest.data, batch_size(&header)), &header) &&
                    epoch_ok(cold, file, &header);
#endif
        if (!good) {
            status = ST_CORRUPT;
            break;
        }
        if (!is_placed(cold, &header, rest))
            break;
        note_batch(cold, &header);
    }
    return cold->len == 0 ? (status == ST_OK ? ST_NOT_FOUND : ST_CORRUPT) : ST_OK;
}

// The same without keeping the bytes: when answers hold much memory, the next ones are sent from the file.
static enum status check_in_file(struct cold_read *cold, struct file *file, int64_t size)
{
    struct log_scan scan;
    struct batch_header header;
    int64_t position;
    enum status status;
    log_scan_init(&scan, cold->log->set->env, file, cold->position, cold->position + size);
    while ((status = log_scan_next(&scan, true, &header, &position)) == ST_OK &&
           batch_last_offset(&header) < cold->range.up_to &&
           (cold->len == 0 || header.base_offset == cold->found.next)) {
        if (!epoch_ok(cold, file, &header)) {
            status = ST_CORRUPT;
            break;
        }
        note_batch(cold, &header);
    }
    log_scan_fini(&scan);
    if (cold->len > 0)
        return ST_OK;
    return status == ST_OK || status == ST_NOT_FOUND ? ST_NOT_FOUND
           : status == ST_TRUNCATED                  ? ST_CORRUPT
                                                     : status;
}

static enum status read_batches(struct cold_read *cold, struct file *file)
{
    struct log_set *set = cold->log->set;
    struct batch_header header;
    int64_t position;
    enum status status = find_batch(cold, file, &header, &position);
    if (status != ST_OK)
        return status == ST_TRUNCATED ? ST_CORRUPT : status;
    size_t want = cold->range.max_bytes < cold->most ? cold->range.max_bytes : cold->most;
    if (want < batch_size(&header)) {
        if (!cold->range.min_one && cold->range.max_bytes < batch_size(&header))
            return ST_NOT_FOUND;
        want = batch_size(&header);
    }
    if ((int64_t)want > cold->written - position)
        want = (size_t)(cold->written - position);
    cold->position = position;
    if (position == cold->begin && cold->most == LOG_READ_MAX)
        file_will_need(set->env, file, position + LOG_READ_AHEAD, (int64_t)want);
    bool much_lent = log_lent_bytes(set->lent) + (int64_t)want > set->config.lent_bytes_max;
    if (cold->range.in_file && want >= LOG_READ_IN_FILE && much_lent)
        return check_in_file(cold, file, (int64_t)want);
    cold->block = log_lent_block(set->lent, want);
    if (cold->block == NULL)
        return ST_NO_MEMORY;
    size_t got;
    status = file_pread(set->env, file, cold->block->data, want, position, &got);
    return status == ST_OK ? check_batches(cold, file, got) : status;
}

static void cold_run(struct job *job)
{
    struct cold_read *cold = (struct cold_read *)job;
    if (cold->status != ST_OK)
        return;
    if (cold->handle != NULL) {
        cold->status = read_batches(cold, cold->handle->file);
        if (cold->status == ST_OK)
            cold->source = log_handle_ref(cold->handle);
        return;
    }
    struct file *file;
    cold->status = open_part(cold, ".log", &file);
    if (cold->status == ST_NOT_FOUND)
        cold->status = ST_IO; // NOT_FOUND means: nothing in this segment
    if (cold->status != ST_OK)
        return;
    cold->status = read_batches(cold, file);
    if (cold->status == ST_OK)
        cold->source = log_handle_new(cold->log->set->env, file);
    else
        file_close(cold->log->set->env, &file);
}

static void take_segment(struct cold_read *cold, int at)
{
    cold->most = log_cold_piece(cold->log->set);
    const struct log_state *state = &cold->log->state;
    const struct log_segment *segment = state->segments[at];
    cold->limit = at + 1 < state->count ? state->segments[at + 1]->base : state->end;
    cold->base = segment->base;
    cold->written = segment->written;
    cold->index_bytes = segment->index.written;
    cold->begin = log_cursors_find(cold->log->cursors, segment->base, cold->range.from);
    struct log_handle *handle =
        segment->handle != NULL ? segment->handle : log_verified_handle(&cold->log->known, segment->base);
    cold->handle = handle != NULL ? log_handle_ref(handle) : NULL;
}

// Behind a compaction gap the offset may be in a later segment.
static bool go_on(struct cold_read *cold)
{
    const struct log_state *state = &cold->log->state;
    int next = log_state_segment_at(state, cold->base) + 1;
    if (next >= state->count || state->segments[next]->base >= cold->range.up_to)
        return false;
    take_segment(cold, next);
    cold->status = ST_OK;
    log_cold_submit(cold->log->set, &cold->job);
    return true;
}

void log_reader_began(struct log *log)
{
    log->readers++;
    log->set->readers++;
}

void log_reader_ended(struct log *log)
{
    struct log_set *set = log->set;
    log->readers--;
    set->readers--;
    if (log->gone && log->readers == 0)
        log_free(log);
    log_set_work(set);
}

// Compaction has put another segment where the read began.
static void cold_again(struct log_parked *parked)
{
    struct cold_read *cold = (struct cold_read *)((char *)parked - offsetof(struct cold_read, parked));
    struct log *log = cold->log;
    int at = log_state_segment_at(&log->state, cold->range.from);
    block_unref(&cold->block);
    log_handle_unref(&cold->source);
    cold->len = 0;
    cold->place_count = 0;
    cold->found = (struct log_found){.first = cold->range.from, .next = cold->range.from, .leader_epoch = -1};
    cold->swaps = log->clean.swaps;
    cold->status = at < 0 ? ST_NOT_FOUND : ST_OK;
    if (at >= 0)
        take_segment(cold, at);
    log_cold_submit(log->set, &cold->job);
}

static struct piece piece_of_cold(const struct cold_read *cold)
{
    if (cold->block != NULL)
        return piece_of_block(cold->block, 0, cold->len);
    return (struct piece){.file = cold->source->file,
                          .position = cold->position,
                          .len = cold->len,
                          .owner = log_handle_ref(cold->source),
                          .release = release_handle};
}

static void remember_places(const struct cold_read *cold)
{
    struct log *log = cold->log;
    for (int i = 0; i < cold->place_count; i++)
        log_verified_add(log->set->verified, &log->known, cold->base, cold->source, &cold->places[i]);
}

static struct piece cold_found(struct cold_read *cold)
{
    remember_places(cold);
    struct log_cursor ended = {
        .offset = cold->found.next, .base = cold->base, .position = cold->position + (int64_t)cold->len};
    bool of_segment = ended.position >= cold->written;
    log_cursors_note(&cold->log->cursors, cold->range.from, ended);
    cold->found.more =
        cold->found.next < cold->range.up_to && (of_segment || cold->most < cold->range.max_bytes);
    return piece_of_cold(cold);
}

static void cold_done(struct job *job)
{
    struct cold_read *cold = (struct cold_read *)job;
    struct log *log = cold->log;
    struct piece piece = {0};
    log_cold_ended(log->set);
    log_handle_unref(&cold->handle);
    if (!log->deleted && cold->generation == log->generation &&
        log_swap_overtook(log, cold->base, cold->swaps, &cold->parked))
        return;
    if (log->deleted)
        cold->status = ST_CLOSED;
    else if (cold->generation != log->generation)
        cold->status = ST_AGAIN;
    else if (cold->range.from < log->start)
        cold->status = ST_OUT_OF_RANGE; // retention was faster, also if it was read
    else if (cold->status == ST_NOT_FOUND && cold->block == NULL && go_on(cold))
        return;
    if (cold->status == ST_NOT_FOUND)
        cold->status = ST_OK; // nothing there
    else if (cold->status == ST_OK && cold->len > 0)
        piece = cold_found(cold);
    block_unref(&cold->block);
    log_handle_unref(&cold->source);
    metric_set(&log->set->m_lent_bytes, log_lent_bytes(log->set->lent));
    cold->done(log, cold->status, &piece, &cold->found, cold->context);
    log_epochs_fini(&cold->epochs);
    mem_free(cold->places);
    mem_free(cold->path);
    mem_free(cold);
    log_reader_ended(log);
}

void log_read_async(struct log *log, const struct log_range *range, log_read_fn *done, void *context)
{
    struct cold_read *cold = mem_calloc(1, sizeof *cold);
    *cold = (struct cold_read){.job = {.run = cold_run, .done = cold_done},
                               .log = log,
                               .range = *range,
                               .done = done,
                               .context = context,
                               .parked = {.again = cold_again},
                               .swaps = log->clean.swaps,
                               .generation = log->generation,
                               .found = {.first = range->from, .next = range->from, .leader_epoch = -1}};
    log_reader_began(log);
    cold->path = mem_strdup(log->path);
    cold->status = may_read(log, range->from);
    if (cold->range.up_to > log->written)
        cold->range.up_to = log->written;
    log_epochs_copy_range(&cold->epochs, &log->state.epochs, range->from, cold->range.up_to);
    int at = log_state_segment_at(&log->state, range->from);
    if (cold->status == ST_OK && range->from >= log->written && range->from < log->state.end)
        cold->status = ST_AGAIN; // in the tail
    else if (cold->status == ST_OK && (at < 0 || range->from >= cold->range.up_to))
        cold->status = ST_NOT_FOUND;
    else if (cold->status == ST_OK)
        take_segment(cold, at);
    cold->base = at >= 0 ? log->state.segments[at]->base : INT64_MAX;
    log_cold_submit(log->set, &cold->job);
}
