// SPDX-License-Identifier: Apache-2.0
// See metadata.h. Every record goes through image_apply, on the leader twice: into the image of what is
// decided when it is appended, into the committed one when it is committed.
#include "metadata.h"

#include "base/assert.h"
#include "base/mem.h"
#include "cluster/records.h"

#include <stdio.h>

enum {
    ENTRY_BYTES = 256 * 1024, // a decision larger than this becomes several entries
    RECORD_ARENA = 4 << 20,   // memory for one unpacked record
    SNAPSHOT_BYTES_MAX = 512 << 20
};

struct wait {
    struct wait *next;
    int64_t offset;
    metadata_fn *done;
    void *context;
};

struct metadata {
    struct metadata_options options;
    struct image *committed;
    int64_t applied;     // Raft index applied to it
    int64_t next_offset; // behind it
    int64_t bytes;       // of the entries applied since the last snapshot
    int64_t bytes_taken; // of those in the snapshot under way
    struct image *leading;
    int64_t leading_index, leading_next;
    int64_t term; // of this leadership
    struct wait *waits, **waits_tail;
    struct wait *reads, **reads_tail; // offset holds the token
    uint64_t read_token, read_confirmed;
    bool snapshotting;
    bool failed;
};

static void fail(struct metadata *metadata, const char *what, int64_t index, const struct image *image)
{
    char why[400];
    metadata->failed = true;
    snprintf(why, sizeof why, "%s at entry %lld: %s", what, (long long)index, image_error(image));
    metadata->options.on_fail(metadata->options.context, why);
}

// ---- applying ----

// Records of one entry from *offset on.
static enum status apply_records(struct image *image, struct slice records, int64_t *offset)
{
    struct arena arena;
    struct slice bytes;
    enum status status;
    arena_init(&arena, RECORD_ARENA);
    while ((status = records_next(&records, &bytes)) == ST_OK) {
        Millrace__MetadataRecord *record;
        arena_reset(&arena);
        status = records_unpack(&arena, bytes, &record);
        if (status == ST_OK)
            status = image_apply_some(image, record, bytes, *offset, SIZE_MAX);
        if (status != ST_OK)
            break;
        (*offset)++;
    }
    arena_fini(&arena);
    return status == ST_NOT_FOUND ? ST_OK : status;
}

static enum status apply_entry(struct image *image, const struct raft_entry *entry, int64_t *offset)
{
    if (entry->kind == RAFT_ENTRY_DATA)
        return apply_records(image, block_slice(entry->data), offset);
    image_skip(image, (*offset)++);
    return ST_OK;
}

static void apply_committed(struct metadata *metadata)
{
    const struct raft *raft = quorum_raft(metadata->options.quorum);
    static const uint8_t empty_record = 0;
    while (!metadata->failed && metadata->applied < raft_commit(raft)) {
        const struct raft_entry *entry = raft_entry(raft, metadata->applied + 1);
        int64_t base = metadata->next_offset;
        enum status status = apply_entry(metadata->committed, entry, &metadata->next_offset);
        if (status != ST_OK) {
            fail(metadata, "a committed record cannot be applied", entry->index, metadata->committed);
            return;
        }
        metadata->applied++;
        metadata->bytes += entry->data != NULL ? (int64_t)entry->data->len : 0;
        struct block *records =
            entry->kind == RAFT_ENTRY_DATA ? block_ref(entry->data) : block_copy(slice_of(&empty_record, 1));
        feed_append(metadata->options.feed, base, (int)(metadata->next_offset - base), records);
        block_unref(&records);
    }
}

// ---- leading ----

static void leading_drop(struct metadata *metadata)
{
    if (metadata->leading != NULL)
        image_destroy(&metadata->leading);
}

// The image of what is decided: a copy of the committed one and what the log holds behind it.
static bool leading_build(struct metadata *metadata)
{
    const struct raft *raft = quorum_raft(metadata->options.quorum);
    struct buf bytes;
    leading_drop(metadata);
    metadata->leading = image_new();
    buf_init(&bytes, SNAPSHOT_BYTES_MAX);
    enum status status = image_encode_snapshot(metadata->committed, &bytes);
    if (status == ST_OK)
        status = image_load_snapshot(metadata->leading, buf_slice(&bytes), metadata->next_offset);
    buf_fini(&bytes);
    metadata->leading_index = metadata->applied;
    metadata->leading_next = metadata->next_offset;
    while (status == ST_OK && metadata->leading_index < raft_last_index(raft)) {
        metadata->leading_index++;
        status = apply_entry(metadata->leading, raft_entry(raft, metadata->leading_index),
                             &metadata->leading_next);
    }
    if (status != ST_OK)
        fail(metadata, "the image cannot be rebuilt", metadata->leading_index, metadata->leading);
    return status == ST_OK;
}

static void waits_end(struct metadata *metadata, int64_t offset, enum status status)
{
    while (metadata->waits != NULL && (status != ST_OK || metadata->waits->offset <= offset)) {
        struct wait *wait = metadata->waits;
        metadata->waits = wait->next;
        if (metadata->waits == NULL)
            metadata->waits_tail = &metadata->waits;
        wait->done(wait->context, status);
        mem_free(wait);
    }
}

static void reads_release(struct metadata *metadata, enum status status)
{
    while (metadata->reads != NULL &&
           (status != ST_OK || (uint64_t)metadata->reads->offset <= metadata->read_confirmed)) {
        struct wait *wait = metadata->reads;
        metadata->reads = wait->next;
        if (metadata->reads == NULL)
            metadata->reads_tail = &metadata->reads;
        if (status == ST_OK)
            metadata_when_committed(metadata, wait->done, wait->context);
        else
            wait->done(wait->context, status);
        mem_free(wait);
    }
}

static enum status drop_open(struct metadata *metadata);

// Undecided state is dropped whole with leadership, there is no undo code.
static void leading_end(struct metadata *metadata)
{
    const struct raft *raft = quorum_raft(metadata->options.quorum);
    bool leads = raft_role(raft) == RAFT_LEADER && raft_term(raft) == metadata->term;
    if (metadata->leading == NULL || leads)
        return;
    leading_drop(metadata);
    waits_end(metadata, 0, ST_NOT_LEADER);
    reads_release(metadata, ST_NOT_LEADER);
    metadata->options.on_active(metadata->options.context, false);
}

static void leading_check(struct metadata *metadata)
{
    const struct raft *raft = quorum_raft(metadata->options.quorum);
    leading_end(metadata);
    if (metadata->leading == NULL && raft_ready(raft) && metadata->applied == raft_commit(raft) &&
        leading_build(metadata)) {
        metadata->term = raft_term(raft);
        if (drop_open(metadata) != ST_OK) {
            leading_drop(metadata); // tried again after the next step
            return;
        }
        metadata->options.on_active(metadata->options.context, true);
    }
}

// Entries that are not decisions (configurations) move the offset of the decided image too.
static void leading_skip(struct metadata *metadata)
{
    const struct raft *raft = quorum_raft(metadata->options.quorum);
    // Entries behind the image of a leader that has just lost its term are another leader's; leading_check
    // drops it.
    if (raft_role(raft) != RAFT_LEADER || raft_term(raft) != metadata->term)
        return;
    while (metadata->leading != NULL && metadata->leading_index < raft_last_index(raft)) {
        const struct raft_entry *entry = raft_entry(raft, metadata->leading_index + 1);
        ASSERT(entry->kind != RAFT_ENTRY_DATA);
        image_skip(metadata->leading, metadata->leading_next++);
        metadata->leading_index++;
    }
}

// ---- snapshots ----

static void maybe_snapshot(struct metadata *metadata)
{
    const struct raft *raft = quorum_raft(metadata->options.quorum);
    int64_t since = metadata->applied - raft_snapshot(raft)->index;
    bool due = since >= metadata->options.snapshot_entries ||
               (since > 0 && metadata->bytes >= metadata->options.snapshot_bytes);
    if (metadata->snapshotting || !due || metadata->applied > raft_persisted(raft))
        return;
    struct buf records;
    buf_init(&records, SNAPSHOT_BYTES_MAX);
    if (image_encode_snapshot(metadata->committed, &records) == ST_OK) {
        struct raft_snapshot snapshot = raft_snapshot_at(raft, metadata->applied);
        metadata->snapshotting = true;
        metadata->bytes_taken = metadata->bytes;
        store_snapshot_take(metadata->options.store, raft, &snapshot, metadata->next_offset, &records);
    }
    buf_fini(&records);
}

void metadata_snapshot_done(struct metadata *metadata, enum status status, int64_t index)
{
    metadata->snapshotting = false;
    if (status == ST_OK) {
        metadata->bytes -= metadata->bytes_taken;
        quorum_snapshot_done(metadata->options.quorum, index);
    } else {
        DIAG_WARN(&metadata->options.env->diag, "metadata snapshot could not be written: %s",
                  status_text(status));
    }
}

static enum status load(struct metadata *metadata, const struct store_boot *boot)
{
    enum status status =
        image_load_snapshot(metadata->committed, buf_slice(&boot->records), boot->next_offset);
    if (status != ST_OK)
        DIAG_ERROR(&metadata->options.env->diag, "metadata snapshot %lld cannot be applied: %s: %s",
                   (long long)boot->snapshot.index, status_text(status), image_error(metadata->committed));
    metadata->applied = boot->snapshot.index;
    metadata->next_offset = boot->next_offset;
    metadata->bytes = metadata->bytes_taken = 0;
    return status;
}

enum status metadata_install(struct metadata *metadata, const struct store_boot *boot)
{
    leading_drop(metadata);
    feed_reset(metadata->options.feed);
    return load(metadata, boot);
}

// ---- public ----

void metadata_advance(struct metadata *metadata)
{
    if (metadata->failed)
        return;
    if (quorum_installing(metadata->options.quorum)) {
        leading_end(metadata); // what is decided follows on a log that is gone
        return;
    }
    apply_committed(metadata);
    leading_skip(metadata);
    if (metadata->failed)
        return;
    // Within the term nobody else has written. A leader that is removed steps down with the entry that says
    // so.
    if (metadata->leading != NULL && raft_term(quorum_raft(metadata->options.quorum)) == metadata->term)
        waits_end(metadata, metadata->next_offset - 1, ST_OK);
    leading_check(metadata);
    reads_release(metadata, ST_OK);
    feed_wake(metadata->options.feed);
    maybe_snapshot(metadata);
}

bool metadata_active(const struct metadata *metadata)
{
    return metadata->leading != NULL;
}

const struct image *metadata_committed(const struct metadata *metadata)
{
    return metadata->committed;
}

const struct image *metadata_image(const struct metadata *metadata)
{
    ASSERT(metadata->leading != NULL);
    return metadata->leading;
}

int64_t metadata_commit_offset(const struct metadata *metadata)
{
    return metadata->next_offset - 1;
}

int64_t metadata_offset(const struct metadata *metadata)
{
    return metadata->leading_next - 1;
}

// ---- appending ----

enum { BLOCKS_MAX = 512 };

struct pack {
    struct block *blocks[BLOCKS_MAX];
    int count;
    struct buf buf;
};

static enum status pack_flush(struct pack *pack)
{
    if (pack->buf.len == 0)
        return ST_OK;
    if (pack->count == BLOCKS_MAX)
        return ST_LIMIT;
    struct block *block = block_copy(buf_slice(&pack->buf));
    if (block == NULL)
        return ST_NO_MEMORY;
    pack->blocks[pack->count++] = block;
    buf_clear(&pack->buf);
    return ST_OK;
}

static size_t packed_size(const Millrace__MetadataRecord *record)
{
    return millrace__metadata_record__get_packed_size(record) + 5; // with its length
}

static enum status pack_record(struct pack *pack, const Millrace__MetadataRecord *record)
{
    enum status status = ST_OK;
    if (pack->buf.len + packed_size(record) > ENTRY_BYTES)
        status = pack_flush(pack);
    return status == ST_OK ? records_put(&pack->buf, record) : status;
}

static enum status pack_mark(struct pack *pack, Millrace__DecisionRecord__Mark mark)
{
    struct decision marked;
    decision_init(&marked);
    decision_mark(&marked, mark);
    enum status status = pack_record(pack, marked.records[0]);
    decision_fini(&marked);
    return status;
}

// The records as entries: one, unless it would be larger than an append message likes. Several are committed
// one by one, so they stand between marks.
static enum status pack_records(struct pack *pack, const struct decision *decision)
{
    size_t total = 0;
    for (size_t i = 0; i < decision->count; i++)
        total += packed_size(decision->records[i]);
    bool marked = total > ENTRY_BYTES;
    enum status status = marked ? pack_mark(pack, MILLRACE__DECISION_RECORD__MARK__BEGIN) : ST_OK;
    for (size_t i = 0; i < decision->count && status == ST_OK; i++)
        status = pack_record(pack, decision->records[i]);
    if (status == ST_OK && marked)
        status = pack_mark(pack, MILLRACE__DECISION_RECORD__MARK__END);
    return status == ST_OK ? pack_flush(pack) : status;
}

static enum status propose(struct metadata *metadata, struct pack *pack)
{
    int64_t offset = metadata->leading_next, first;
    for (int i = 0; i < pack->count; i++) {
        enum status status = apply_records(metadata->leading, block_slice(pack->blocks[i]), &offset);
        if (status != ST_OK) {
            DIAG_ERROR(&metadata->options.env->diag, "a decision contradicts the metadata: %s",
                       image_error(metadata->leading));
            return ST_INVALID;
        }
    }
    enum status status = quorum_propose(metadata->options.quorum, pack->blocks, pack->count, &first);
    if (status != ST_OK)
        return status;
    ASSERT(first == metadata->leading_index + 1);
    metadata->leading_index += pack->count;
    metadata->leading_next = offset;
    return ST_OK;
}

static enum status append(struct metadata *metadata, const struct decision *decision)
{
    leading_skip(metadata);
    struct pack *pack = mem_calloc(1, sizeof *pack);
    buf_init(&pack->buf, RECORDS_RECORD_MAX + ENTRY_BYTES);
    enum status status = pack_records(pack, decision);
    if (status == ST_OK) // to build the image anew for each of many that are refused would take minutes
        status = raft_may_propose(quorum_raft(metadata->options.quorum), pack->count);
    if (status == ST_OK) {
        status = propose(metadata, pack);
        if (status != ST_OK)
            leading_build(metadata); // the decided image may hold a part of what was refused
    }
    for (int i = 0; i < pack->count; i++)
        block_unref(&pack->blocks[i]);
    buf_fini(&pack->buf);
    mem_free(pack);
    return status;
}

enum status metadata_append(struct metadata *metadata, const struct decision *decision)
{
    if (metadata->leading == NULL)
        return ST_NOT_LEADER;
    if (decision->count == 0)
        return ST_OK;
    return store_low(metadata->options.store) ? ST_NO_SPACE : append(metadata, decision);
}

enum status metadata_configure(struct metadata *metadata, const struct raft_config *config)
{
    if (metadata->leading == NULL)
        return ST_NOT_LEADER;
    leading_skip(metadata);
    enum status status = quorum_configure(metadata->options.quorum, config);
    leading_skip(metadata);
    return status;
}

// The predecessor died while its entries of a decision were on their way here: nobody was told of it, and its
// end will not come. A few bytes, which are written also where space is low.
static enum status drop_open(struct metadata *metadata)
{
    struct decision decision;
    if (!image_decision_open(metadata->leading))
        return ST_OK;
    DIAG_WARN(&metadata->options.env->diag, "a decision of the former leader is dropped, its end is missing");
    decision_init(&decision);
    decision_mark(&decision, MILLRACE__DECISION_RECORD__MARK__DROP);
    enum status status = append(metadata, &decision);
    decision_fini(&decision);
    return status;
}

void metadata_when_committed(struct metadata *metadata, metadata_fn *done, void *context)
{
    if (metadata->leading == NULL) {
        done(context, ST_NOT_LEADER);
        return;
    }
    if (metadata->waits == NULL && metadata->leading_next == metadata->next_offset) {
        done(context, ST_OK);
        return;
    }
    struct wait *wait = mem_calloc(1, sizeof *wait);
    *wait = (struct wait){.offset = metadata->leading_next - 1, .done = done, .context = context};
    *metadata->waits_tail = wait;
    metadata->waits_tail = &wait->next;
}

void metadata_read(struct metadata *metadata, uint64_t token)
{
    metadata->read_confirmed = token; // told in order
}

void metadata_when_current(struct metadata *metadata, metadata_fn *done, void *context)
{
    uint64_t token = ++metadata->read_token;
    enum status status =
        metadata->leading == NULL ? ST_NOT_LEADER : quorum_read(metadata->options.quorum, token);
    if (status != ST_OK) {
        done(context, status);
        return;
    }
    struct wait *wait = mem_calloc(1, sizeof *wait);
    *wait = (struct wait){.offset = (int64_t)token, .done = done, .context = context};
    *metadata->reads_tail = wait;
    metadata->reads_tail = &wait->next;
    reads_release(metadata, ST_OK); // alone there is nobody to ask
}

// ---- life ----

enum status metadata_new(const struct metadata_options *options, const struct store_boot *boot,
                         struct metadata **out)
{
    struct metadata *metadata = mem_calloc(1, sizeof *metadata);
    metadata->options = *options;
    metadata->waits_tail = &metadata->waits;
    metadata->reads_tail = &metadata->reads;
    metadata->committed = image_new();
    feed_attach(options->feed, metadata->committed);
    *out = metadata;
    return boot->snapshot.index > 0 ? load(metadata, boot) : ST_OK;
}

void metadata_destroy(struct metadata **out)
{
    struct metadata *metadata = *out;
    if (metadata == NULL)
        return;
    waits_end(metadata, 0, ST_CANCELLED);
    reads_release(metadata, ST_CANCELLED);
    leading_drop(metadata);
    image_destroy(&metadata->committed);
    mem_free(metadata);
    *out = NULL;
}
