// SPDX-License-Identifier: Apache-2.0
// Looks for the first batch of each transaction in doubt. See settle.h.
#include "log/settle.h"

#include "log/files.h"
#include "log/scan.h"

static enum status open_part(const struct log_load *load, const struct log_segment *segment,
                             const char *suffix, struct file **file)
{
    struct log_path path = log_path_join(load->path, log_segment_name(segment->base, suffix).text);
    return file_open(load->env, path.text, FILE_READ, file);
}

static bool is_of_transaction(const struct batch_header *header, const struct log_producer *producer)
{
    return header->producer_id == producer->id && batch_last_offset(header) >= producer->txn_first_offset &&
           (header->attributes & (BATCH_TRANSACTIONAL | BATCH_CONTROL)) == BATCH_TRANSACTIONAL;
}

// A position in the segment before that of offset, near it if the index helps.
static int64_t place_before(const struct log_load *load, const struct log_segment *segment, int64_t offset)
{
    struct file *file;
    int64_t at = 0;
    if (open_part(load, segment, ".index", &file) != ST_OK)
        return 0;
    enum status status =
        log_index_find(load->env, file, segment->index.written, segment->base, offset - 1, &at);
    file_close(load->env, &file);
    return status == ST_OK ? at : 0;
}

// Where in the segment the producer's open transaction begins; ST_NOT_FOUND: not there.
static enum status find_transaction(const struct log_load *load, const struct log_segment *segment,
                                    const struct log_producer *producer, int64_t *first)
{
    struct file *file;
    struct log_scan scan;
    struct batch_header header;
    int64_t position;
    enum status status = open_part(load, segment, ".log", &file);
    if (status != ST_OK)
        return status == ST_NOT_FOUND ? ST_IO : status;
    int64_t at = place_before(load, segment, producer->txn_first_offset);
    log_scan_init(&scan, load->env, file, at, segment->written);
    while ((status = log_scan_next(&scan, false, &header, &position)) == ST_OK &&
           !is_of_transaction(&header, producer))
        ;
    log_scan_fini(&scan);
    file_close(load->env, &file);
    *first = header.base_offset;
    return status;
}

static enum status settle_transaction(const struct log_load *load, struct log_state *state,
                                      struct log_producer *producer)
{
    int64_t first = -1;
    int i = log_state_segment_at(state, producer->txn_first_offset);
    if (i < 0)
        return ST_OK; // retention has taken its beginning
    enum status status = ST_NOT_FOUND;
    for (; i < state->count && status == ST_NOT_FOUND; i++)
        status = find_transaction(load, state->segments[i], producer, &first);
    if (status == ST_OK && first == producer->txn_first_offset)
        return ST_OK;
    if (status == ST_CORRUPT || status == ST_TRUNCATED)
        return ST_OK; // a damaged log does not tell: better too little is seen than what is not committed
    if (status != ST_OK && status != ST_NOT_FOUND)
        return status;
    log_producers_reopen(&state->producers, producer, status == ST_OK ? first : -1);
    return ST_OK;
}

enum status log_settle_transactions(const struct log_load *load, struct log_state *state, int64_t from)
{
    struct log_producer *producer = state->producers.open_first;
    enum status status = ST_OK;
    while (status == ST_OK && producer != NULL && producer->txn_first_offset < from) {
        struct log_producer *behind = producer->behind;
        status = settle_transaction(load, state, producer);
        producer = behind;
    }
    return status;
}
