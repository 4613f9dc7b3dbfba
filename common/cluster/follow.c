// SPDX-License-Identifier: Apache-2.0
// See follow.h. One request is under way at a time; what it brings is applied in slices of 1,000 records per
// loop turn before the next is sent, so the sender is never asked for more than is being digested. A snapshot
// is collected whole, loaded into a fresh image in slices, and then replaces the image with its differences
// told.
#include "cluster/follow.h"

#include "base/assert.h"
#include "base/mem.h"
#include "cluster/controllers_state.h"
#include "cluster/records.h"

#include <stdio.h>

enum {
    RECORDS_PER_TURN = 1000,
    POLL_WAIT_MS = 2000,
    POLL_DEADLINE_MS = 3000,
    BEHIND_MS_MAX = 1000,
    BACKOFF_MS_MIN = 20,
    BACKOFF_MS_MAX = 500,
    SNAPSHOT_BYTES_MAX = 1 << 30,
    RECORD_ARENA_MAX = 4 << 20
};

enum follow_state {
    FOLLOW_WAITING,  // to ask (timer)
    FOLLOW_ASKING,   // a request is under way
    FOLLOW_APPLYING, // records of a reply, in slices
    FOLLOW_LOADING   // a complete snapshot, in slices
};

struct follow {
    struct follow_options options;
    enum follow_state state;
    size_t voter; // index into the controllers' endpoints
    int backoff_ms;
    struct timer turn; // next poll or next slice
    int64_t moved_us;  // when the voter was last changed for being behind

    struct block *payload; // being applied
    struct slice rest;
    int64_t next_offset; // of the first record in rest

    struct buf snapshot;
    int64_t snapshot_offset; // -1: none is being read
    struct image *fresh;
    struct slice fresh_rest;

    int64_t commit;               // highest heard of
    int64_t mark_offset, mark_us; // oldest commit offset heard of and not applied yet, and when
    bool marked;
    bool refused;                     // a record was refused; told once
    struct follow_wait *first, *last; // ascending offset
};

// ---- lag ----

static void mark_update(struct follow *follow)
{
    int64_t applied = image_offset(follow->options.image);
    if (follow->marked && applied >= follow->mark_offset)
        follow->marked = false;
    if (!follow->marked && follow->commit > applied) {
        follow->marked = true;
        follow->mark_offset = follow->commit;
        follow->mark_us = env_now_us(follow->options.env);
    }
}

int64_t follow_offset(const struct follow *follow)
{
    return image_offset(follow->options.image);
}

int64_t follow_commit(const struct follow *follow)
{
    return follow->commit;
}

int64_t follow_behind_ms(const struct follow *follow)
{
    return follow->marked ? (env_now_us(follow->options.env) - follow->mark_us) / 1000 : 0;
}

static void next_voter(struct follow *follow)
{
    follow->voter = (follow->voter + 1) % controllers_count(follow->options.controllers);
}

static void later(struct follow *follow, int64_t delay_ms)
{
    follow->state = FOLLOW_WAITING;
    timer_start_ms(follow->options.env, &follow->turn, delay_ms);
}

// Only an unanswered or idle poll is given up: while records are being applied the voter is not the
// bottleneck.
static void change_voter_when_behind(struct follow *follow)
{
    int64_t now = env_now_us(follow->options.env);
    if (follow_behind_ms(follow) <= BEHIND_MS_MAX || now - follow->moved_us < BEHIND_MS_MAX * 1000 ||
        (follow->state != FOLLOW_ASKING && follow->state != FOLLOW_WAITING))
        return;
    follow->moved_us = now;
    next_voter(follow);
    DIAG_WARN(&follow->options.env->diag, "metadata is behind, asking another controller behind_ms=%lld",
              (long long)follow_behind_ms(follow));
    rpc_cancel(follow->options.rpc, follow);
    later(follow, 0);
}

void follow_heard(struct follow *follow, int64_t commit_offset)
{
    if (commit_offset > follow->commit)
        follow->commit = commit_offset;
    mark_update(follow);
    change_voter_when_behind(follow);
}

// ---- waits ----

static void wait_unlink(struct follow_wait *wait)
{
    struct follow *follow = wait->follow;
    *(wait->previous != NULL ? &wait->previous->next : &follow->first) = wait->next;
    *(wait->next != NULL ? &wait->next->previous : &follow->last) = wait->previous;
    wait->next = wait->previous = NULL;
    wait->waiting = false;
    timer_stop(follow->options.env, &wait->timer);
}

static void wait_end(struct follow_wait *wait, enum status status)
{
    wait_unlink(wait);
    wait->done(wait->context, status);
}

static void on_wait_timer(struct timer *timer)
{
    struct follow_wait *wait = timer->context;
    bool reached = image_offset(wait->follow->options.image) >= wait->offset;
    wait_end(wait, reached ? ST_OK : ST_TIMEOUT);
}

void follow_when(struct follow *follow, struct follow_wait *wait, int64_t offset, int64_t deadline_us,
                 follow_fn *done, void *context)
{
    *wait = (struct follow_wait){
        .offset = offset, .done = done, .context = context, .follow = follow, .waiting = true};
    timer_init(&wait->timer, on_wait_timer, wait);
    struct follow_wait *after = follow->last;
    while (after != NULL && after->offset > offset)
        after = after->previous;
    wait->previous = after;
    wait->next = after != NULL ? after->next : follow->first;
    *(wait->previous != NULL ? &wait->previous->next : &follow->first) = wait;
    *(wait->next != NULL ? &wait->next->previous : &follow->last) = wait;
    bool reached = image_offset(follow->options.image) >= offset;
    int64_t left = deadline_us - env_now_us(follow->options.env);
    timer_start_us(follow->options.env, &wait->timer, reached || left < 0 ? 0 : left);
}

void follow_wait_cancel(struct follow_wait *wait)
{
    if (wait->waiting)
        wait_unlink(wait);
}

static void tell_waits(struct follow *follow)
{
    mark_update(follow);
    while (follow->first != NULL && follow->first->offset <= image_offset(follow->options.image))
        wait_end(follow->first, ST_OK);
}

// ---- asking ----

static void on_reply(const Millrace__FollowReply *reply, void *closure_data);

static void poll(struct follow *follow)
{
    Millrace__FollowRequest request = MILLRACE__FOLLOW_REQUEST__INIT;
    request.offset = image_offset(follow->options.image) + 1;
    request.has_max_wait_ms = true;
    request.max_wait_ms = POLL_WAIT_MS;
    if (follow->snapshot_offset >= 0) {
        request.has_snapshot_position = request.has_snapshot_offset = true;
        request.snapshot_position = follow->snapshot.len;
        request.snapshot_offset = follow->snapshot_offset;
    }
    struct rpc_options options = {.deadline_ms = POLL_DEADLINE_MS};
    follow->state = FOLLOW_ASKING;
    ProtobufCService *service = rpc_on(controllers_peer(follow->options.controllers, follow->voter),
                                       &millrace__controller__descriptor, &options);
    millrace__controller__follow(service, &request, on_reply, follow);
}

static void snapshot_drop(struct follow *follow)
{
    buf_clear(&follow->snapshot);
    follow->snapshot_offset = -1;
    image_destroy(&follow->fresh);
}

static void fail(struct follow *follow, const char *why)
{
    if (why[0] != '\0' && follow->backoff_ms == BACKOFF_MS_MIN) // the first of a row of failures
        DIAG_WARN(&follow->options.env->diag, "cannot follow metadata from=%s why=\"%s\"",
                  controllers_endpoint(follow->options.controllers, follow->voter), why);
    snapshot_drop(follow);
    next_voter(follow);
    later(follow, follow->backoff_ms);
    follow->backoff_ms = follow->backoff_ms * 2 > BACKOFF_MS_MAX ? BACKOFF_MS_MAX : follow->backoff_ms * 2;
}

// ---- applying ----

static enum status apply_one(struct follow *follow, struct arena *arena, struct slice bytes)
{
    struct image *image = follow->options.image;
    int64_t offset = follow->next_offset++;
    if (offset <= image_offset(image))
        return ST_OK; // sent again, known already
    if (bytes.len == 0) {
        image_skip(image, offset);
        return ST_OK;
    }
    Millrace__MetadataRecord *record;
    enum status status = records_unpack(arena, bytes, &record);
    return status == ST_OK ? image_apply_some(image, record, bytes, offset, RECORDS_PER_TURN) : status;
}

// A refused record stops us at its offset: every voter has the same one. It is told once, then asked for
// again slowly.
static void refuse(struct follow *follow, enum status status)
{
    if (!follow->refused)
        DIAG_ERROR(&follow->options.env->diag, "metadata record refused offset=%lld status=%s why=\"%s\"",
                   (long long)follow->next_offset - 1, status_name(status),
                   image_error(follow->options.image));
    follow->refused = true;
    block_unref(&follow->payload);
    follow->backoff_ms = BACKOFF_MS_MAX;
    fail(follow, "");
}

static void apply_slice(struct follow *follow)
{
    struct arena arena;
    arena_init(&arena, RECORD_ARENA_MAX);
    struct slice record;
    enum status status = ST_OK;
    for (int i = 0; i < RECORDS_PER_TURN && status == ST_OK; i++) {
        struct slice before = follow->rest;
        status = records_next(&follow->rest, &record);
        if (status == ST_OK)
            status = apply_one(follow, &arena, record);
        if (status == ST_AGAIN) { // the end of a large decision, which takes several turns
            follow->rest = before;
            follow->next_offset--;
        }
        arena_reset(&arena);
    }
    arena_fini(&arena);
    tell_waits(follow);
    if (status == ST_OK || status == ST_AGAIN) {
        timer_start_us(follow->options.env, &follow->turn, 0);
    } else if (status == ST_NOT_FOUND) {
        block_unref(&follow->payload);
        poll(follow);
    } else {
        refuse(follow, status);
    }
}

static void load_slice(struct follow *follow)
{
    enum status status =
        image_load_some(follow->fresh, &follow->fresh_rest, follow->snapshot_offset, RECORDS_PER_TURN);
    if (status == ST_AGAIN) {
        timer_start_us(follow->options.env, &follow->turn, 0);
        return;
    }
    if (status != ST_OK) {
        fail(follow, image_error(follow->fresh));
        return;
    }
    image_replace(follow->options.image, &follow->fresh);
    snapshot_drop(follow);
    tell_waits(follow);
    poll(follow);
}

static void on_turn(struct timer *timer)
{
    struct follow *follow = timer->context;
    if (follow->state == FOLLOW_APPLYING)
        apply_slice(follow);
    else if (follow->state == FOLLOW_LOADING)
        load_slice(follow);
    else
        poll(follow);
}

// ---- replies ----

static void take_chunk(struct follow *follow, const Millrace__FollowReply *reply, struct slice chunk)
{
    if (follow->snapshot_offset != reply->snapshot_offset) { // the first chunk, or a newer snapshot
        snapshot_drop(follow);
        follow->snapshot_offset = reply->snapshot_offset;
    }
    if (reply->snapshot_position != follow->snapshot.len ||
        buf_append(&follow->snapshot, chunk.data, chunk.len) != ST_OK ||
        (chunk.len == 0 && !reply->snapshot_last)) {
        fail(follow, "snapshot chunk does not fit");
        return;
    }
    if (!reply->snapshot_last) {
        poll(follow);
        return;
    }
    follow->fresh = image_new();
    follow->fresh_rest = buf_slice(&follow->snapshot);
    follow->state = FOLLOW_LOADING;
    timer_start_us(follow->options.env, &follow->turn, 0);
}

static void take_records(struct follow *follow, const Millrace__FollowReply *reply, struct block *payload)
{
    snapshot_drop(follow);
    int64_t wanted = image_offset(follow->options.image) + 1;
    if (payload == NULL || payload->len == 0) {
        tell_waits(follow);
        poll(follow);
        return;
    }
    // A log may begin at offset 1; otherwise a gap would be lost records.
    if (!reply->has_base_offset || reply->base_offset < 0 || reply->base_offset > (wanted > 1 ? wanted : 1)) {
        fail(follow, "records begin behind the offset asked for");
        return;
    }
    follow->payload = block_ref(payload);
    follow->rest = block_slice(payload);
    follow->next_offset = reply->base_offset;
    follow->state = FOLLOW_APPLYING;
    apply_slice(follow);
}

static bool same_cluster(struct follow *follow, const Millrace__FollowReply *reply)
{
    struct uuid theirs;
    if (reply->cluster_id.len != sizeof theirs.bytes)
        return false;
    memcpy(theirs.bytes, reply->cluster_id.data, sizeof theirs.bytes);
    struct follow_options *options = &follow->options;
    if (uuid_is_zero(options->cluster_id))
        options->cluster_id = theirs;
    if (uuid_equal(options->cluster_id, theirs))
        return true;
    if (options->on_mismatch != NULL) {
        void (*on_mismatch)(void *, struct uuid) = options->on_mismatch;
        options->on_mismatch = NULL; // once
        on_mismatch(options->context, theirs);
    }
    return false;
}

static void on_reply(const Millrace__FollowReply *reply, void *closure_data)
{
    struct follow *follow = closure_data;
    const struct rpc_result *result = rpc_result(follow->options.rpc);
    follow->state = FOLLOW_WAITING;
    if (reply == NULL) {
        if (result->status != ST_CLOSED) // else the rpc goes down, and we with it
            fail(follow, result->text);
        return;
    }
    if (!same_cluster(follow, reply)) {
        fail(follow, "the controller belongs to another cluster");
        return;
    }
    follow->backoff_ms = BACKOFF_MS_MIN;
    follow_heard(follow, reply->commit_offset);
    if (timer_running(&follow->turn)) // follow_heard has moved us to another voter
        timer_stop(follow->options.env, &follow->turn);
    struct block *payload = result->payload_count > 0 ? result->payload[0] : NULL;
    if (reply->has_snapshot_offset && reply->snapshot_offset >= 0)
        take_chunk(follow, reply, payload != NULL ? block_slice(payload) : (struct slice){0});
    else
        take_records(follow, reply, payload);
}

// ---- life ----

enum status follow_new(const struct follow_options *options, struct follow **out)
{
    struct follow *follow = mem_calloc(1, sizeof *follow);
    follow->options = *options;
    follow->commit = -1;
    follow->snapshot_offset = -1;
    follow->backoff_ms = BACKOFF_MS_MIN;
    follow->voter = env_random(options->env) % controllers_count(options->controllers);
    buf_init(&follow->snapshot, SNAPSHOT_BYTES_MAX);
    timer_init(&follow->turn, on_turn, follow);
    later(follow, 0);
    *out = follow;
    return ST_OK;
}

void follow_destroy(struct follow **out)
{
    struct follow *follow = *out;
    if (follow == NULL)
        return;
    rpc_cancel(follow->options.rpc, follow);
    timer_stop(follow->options.env, &follow->turn);
    while (follow->first != NULL)
        wait_end(follow->first, ST_CANCELLED);
    block_unref(&follow->payload);
    snapshot_drop(follow);
    buf_fini(&follow->snapshot);
    mem_free(follow);
    *out = NULL;
}
