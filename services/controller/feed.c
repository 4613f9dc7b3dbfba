// SPDX-License-Identifier: Apache-2.0
// See feed.h. The newest entries are kept as the blocks the Raft log holds too; who asks for older ones reads
// a snapshot, made once and shared by all who need one at that time.
#include "feed.h"

#include "base/mem.h"
#include "cluster/records.h"

enum {
    ENTRIES_MAX = 16384,
    BYTES_MAX = 32 << 20,
    REPLY_BYTES = 256 * 1024,
    REPLY_ENTRIES = 1024,
    PARKED_MAX = 4096, // beyond it a poll is answered at once
    WAIT_MS_MAX = 30000,
    SNAPSHOT_KEEP_MS = 30000,
    SNAPSHOT_BYTES_MAX = 512 << 20
};

struct entry {
    int64_t base;
    int count;
    struct block *records;
};

struct parked {
    struct parked *next, **link;
    struct feed *feed;
    int64_t offset;
    Millrace__FollowReply_Closure closure;
    struct rpc_call *call;
    struct timer timer;
};

struct feed {
    struct env *env;
    const struct image *committed;
    struct entry *entries; // a ring
    size_t first, count;
    size_t bytes;
    struct parked *parked;
    int parked_count;
    struct buf snapshot;
    int64_t snapshot_offset; // covers what lies below; -1: none
    int64_t snapshot_used_ms;
};

struct feed *feed_new(struct env *env)
{
    struct feed *feed = mem_calloc(1, sizeof *feed);
    feed->env = env;
    feed->entries = mem_calloc(ENTRIES_MAX, sizeof *feed->entries);
    feed->snapshot_offset = -1;
    buf_init(&feed->snapshot, SNAPSHOT_BYTES_MAX);
    return feed;
}

void feed_attach(struct feed *feed, const struct image *committed)
{
    feed->committed = committed;
}

static struct entry *entry_at(struct feed *feed, size_t i)
{
    return &feed->entries[(feed->first + i) % ENTRIES_MAX];
}

static void drop_oldest(struct feed *feed)
{
    struct entry *entry = entry_at(feed, 0);
    feed->bytes -= entry->records->len;
    block_unref(&entry->records);
    feed->first = (feed->first + 1) % ENTRIES_MAX;
    feed->count--;
}

void feed_append(struct feed *feed, int64_t base_offset, int count, struct block *records)
{
    while (feed->count == ENTRIES_MAX || (feed->count > 0 && feed->bytes + records->len > BYTES_MAX))
        drop_oldest(feed);
    *entry_at(feed, feed->count++) =
        (struct entry){.base = base_offset, .count = count, .records = block_ref(records)};
    feed->bytes += records->len;
}

void feed_reset(struct feed *feed)
{
    while (feed->count > 0)
        drop_oldest(feed);
}

// ---- answers ----

static void reply(struct feed *feed, Millrace__FollowReply *message, struct block *payload,
                  Millrace__FollowReply_Closure closure, struct rpc_call *call)
{
    struct uuid cluster = image_cluster_id(feed->committed);
    message->cluster_id = (ProtobufCBinaryData){.len = 16, .data = cluster.bytes};
    message->commit_offset = image_offset(feed->committed);
    if (payload != NULL)
        rpc_reply_payload(call, &payload, 1);
    closure(message, call);
}

// Position of the entry that holds the offset; it is known to be kept.
static size_t find(struct feed *feed, int64_t offset)
{
    size_t low = 0, high = feed->count - 1;
    while (low < high) {
        size_t middle = (low + high + 1) / 2;
        if (entry_at(feed, middle)->base <= offset)
            low = middle;
        else
            high = middle - 1;
    }
    return low;
}

static void append_entry(struct buf *out, const struct entry *entry, int64_t from, uint32_t *count)
{
    struct slice rest = block_slice(entry->records), record;
    for (int64_t offset = entry->base; offset < from; offset++)
        records_next(&rest, &record); // the asker has the first ones
    buf_append(out, rest.data, rest.len);
    *count += (uint32_t)(entry->base + entry->count - (entry->base > from ? entry->base : from));
}

static void reply_records(struct feed *feed, int64_t offset, Millrace__FollowReply_Closure closure,
                          struct rpc_call *call)
{
    Millrace__FollowReply message = MILLRACE__FOLLOW_REPLY__INIT;
    struct buf bytes;
    buf_init(&bytes, REPLY_BYTES + 2 * RECORDS_RECORD_MAX);
    message.has_base_offset = message.has_count = true;
    message.base_offset = offset;
    size_t at = find(feed, offset);
    for (size_t i = at; i < feed->count && i < at + REPLY_ENTRIES && bytes.len < REPLY_BYTES; i++)
        append_entry(&bytes, entry_at(feed, i), offset, &message.count);
    struct block *block = block_copy(buf_slice(&bytes));
    if (block == NULL || buf_status(&bytes) != ST_OK)
        rpc_fail(call, ST_NO_MEMORY, "metadata records do not fit");
    else
        reply(feed, &message, block, closure, call);
    block_unref(&block);
    buf_fini(&bytes);
}

static bool snapshot_make(struct feed *feed)
{
    buf_clear(&feed->snapshot);
    feed->snapshot_offset = -1;
    if (image_encode_snapshot(feed->committed, &feed->snapshot) != ST_OK)
        return false;
    feed->snapshot_offset = image_offset(feed->committed) + 1;
    return true;
}

// Whole records of the snapshot from a position on, about REPLY_BYTES of them.
static size_t chunk_end(const struct feed *feed, size_t from)
{
    struct slice rest = slice_of(feed->snapshot.data + from, feed->snapshot.len - from), record;
    while (rest.len > 0 && feed->snapshot.len - rest.len - from < REPLY_BYTES)
        if (records_next(&rest, &record) != ST_OK)
            break;
    return feed->snapshot.len - rest.len;
}

static void reply_snapshot(struct feed *feed, const Millrace__FollowRequest *request,
                           Millrace__FollowReply_Closure closure, struct rpc_call *call)
{
    bool continues = request->snapshot_offset >= 0 && request->snapshot_offset == feed->snapshot_offset;
    if (!continues && !snapshot_make(feed)) {
        rpc_fail(call, ST_NO_MEMORY, "a snapshot of the metadata does not fit");
        return;
    }
    size_t from = continues && request->has_snapshot_position ? request->snapshot_position : 0;
    if (from > feed->snapshot.len) {
        rpc_fail(call, ST_OUT_OF_RANGE, "position behind the snapshot");
        return;
    }
    feed->snapshot_used_ms = env_now_ms(feed->env);
    size_t end = chunk_end(feed, from);
    Millrace__FollowReply message = MILLRACE__FOLLOW_REPLY__INIT;
    message.snapshot_offset = feed->snapshot_offset;
    message.has_snapshot_offset = message.has_snapshot_position = message.has_snapshot_last = true;
    message.snapshot_position = from;
    message.snapshot_last = end == feed->snapshot.len;
    struct block *block = block_copy(slice_of(feed->snapshot.data + from, end - from));
    if (block == NULL)
        rpc_fail(call, ST_NO_MEMORY, "a piece of the snapshot does not fit");
    else
        reply(feed, &message, block, closure, call);
    block_unref(&block);
}

static void reply_nothing(struct feed *feed, Millrace__FollowReply_Closure closure, struct rpc_call *call)
{
    Millrace__FollowReply message = MILLRACE__FOLLOW_REPLY__INIT;
    reply(feed, &message, NULL, closure, call);
}

// ---- waiting ----

static void unpark(struct parked *parked)
{
    timer_stop(parked->feed->env, &parked->timer);
    *parked->link = parked->next;
    if (parked->next != NULL)
        parked->next->link = parked->link;
    parked->feed->parked_count--;
}

static void on_timeout(struct timer *timer)
{
    struct parked *parked = timer->context;
    unpark(parked);
    reply_nothing(parked->feed, parked->closure, parked->call);
    mem_free(parked);
}

static void park(struct feed *feed, const Millrace__FollowRequest *request,
                 Millrace__FollowReply_Closure closure, struct rpc_call *call)
{
    int64_t wait_ms = request->max_wait_ms < WAIT_MS_MAX ? request->max_wait_ms : WAIT_MS_MAX;
    if (wait_ms <= 0 || feed->parked_count == PARKED_MAX) {
        reply_nothing(feed, closure, call);
        return;
    }
    struct parked *parked = mem_calloc(1, sizeof *parked);
    *parked = (struct parked){.feed = feed,
                              .offset = request->offset,
                              .closure = closure,
                              .call = call,
                              .next = feed->parked,
                              .link = &feed->parked};
    if (feed->parked != NULL)
        feed->parked->link = &parked->next;
    feed->parked = parked;
    feed->parked_count++;
    timer_init(&parked->timer, on_timeout, parked);
    timer_start_ms(feed->env, &parked->timer, wait_ms);
}

void feed_wake(struct feed *feed)
{
    int64_t last = image_offset(feed->committed);
    struct parked *parked = feed->parked;
    while (parked != NULL) {
        struct parked *next = parked->next;
        if (parked->offset <= last) {
            unpark(parked);
            Millrace__FollowRequest request = MILLRACE__FOLLOW_REQUEST__INIT;
            request.offset = parked->offset;
            feed_follow(feed, &request, parked->closure, parked->call);
            mem_free(parked);
        }
        parked = next;
    }
    if (feed->snapshot_offset >= 0 && env_now_ms(feed->env) - feed->snapshot_used_ms > SNAPSHOT_KEEP_MS) {
        feed->snapshot_offset = -1;
        buf_fini(&feed->snapshot);
        buf_init(&feed->snapshot, SNAPSHOT_BYTES_MAX);
    }
}

void feed_follow(struct feed *feed, const Millrace__FollowRequest *request,
                 Millrace__FollowReply_Closure closure, struct rpc_call *call)
{
    int64_t last = image_offset(feed->committed);
    if (uuid_is_zero(image_cluster_id(feed->committed)))
        rpc_fail(call, ST_LOADING, "the cluster is not formed yet");
    else if (request->offset < 0)
        rpc_fail(call, ST_INVALID, "negative offset");
    else if (request->snapshot_offset >= 0)
        reply_snapshot(feed, request, closure, call);
    else if (request->offset > last)
        park(feed, request, closure, call);
    else if (feed->count == 0 || request->offset < entry_at(feed, 0)->base)
        reply_snapshot(feed, request, closure, call);
    else
        reply_records(feed, request->offset, closure, call);
}

int feed_waiting(const struct feed *feed)
{
    return feed->parked_count;
}

void feed_destroy(struct feed **out)
{
    struct feed *feed = *out;
    if (feed == NULL)
        return;
    while (feed->parked != NULL) {
        struct parked *parked = feed->parked;
        unpark(parked);
        rpc_fail(parked->call, ST_CLOSED, "the controller stops");
        mem_free(parked);
    }
    feed_reset(feed);
    mem_free(feed->entries);
    buf_fini(&feed->snapshot);
    mem_free(feed);
    *out = NULL;
}
