// SPDX-License-Identifier: Apache-2.0
// The leading side: replication (§5.3), commitment of entries of the own term only (§5.4.2), check-quorum
// (dissertation §6.2), reads (§6.4), transfer (§3.10), one voter more or less at a time (§4.1), learners, who
// are sent everything and count for nothing (§4.2.1). A lost message needs no timer of its own: heartbeats
// name the entry before the next one, and a follower with a gap says so.
#include "raft/internal.h"

#include "base/assert.h"
#include "base/mem.h"

#include <string.h>

enum { CHUNK_RESEND_BEATS = 4 };

static int peer_at(const struct raft *raft, struct raft_voter voter)
{
    for (int i = 0; i < raft->peer_count; i++)
        if (raft_voter_equal(raft->peers[i].voter, voter))
            return i;
    return -1;
}

static struct progress *peer_find(struct raft *raft, struct raft_voter voter)
{
    int at = peer_at(raft, voter);
    return at >= 0 ? &raft->peers[at] : NULL;
}

static bool is_voter(const struct raft *raft)
{
    return raft_config_find(&raft->log.config, raft->self) >= 0;
}

// How many of the sorted values a majority needs: the largest value that a majority has reached.
static int64_t majority(int64_t *values, int count)
{
    for (int i = 1; i < count; i++)
        for (int k = i; k > 0 && values[k] > values[k - 1]; k--) {
            int64_t swap = values[k];
            values[k] = values[k - 1];
            values[k - 1] = swap;
        }
    return values[count / 2];
}

// What was known of a follower stays known when it becomes a voter, or a learner.
static void add_peer(struct raft *raft, const struct progress *old, int old_count, struct raft_voter voter)
{
    struct progress *peer = &raft->peers[raft->peer_count++];
    *peer = (struct progress){.voter = voter,
                              .state = PROGRESS_PROBE,
                              .next = raft_log_last(&raft->log) + 1,
                              .contact_ms = raft->now_ms};
    for (int i = 0; i < old_count; i++)
        if (raft_voter_equal(old[i].voter, voter))
            *peer = old[i];
}

void raft_leader_configure(struct raft *raft)
{
    struct progress old[RAFT_VOTERS_MAX + RAFT_LEARNERS_MAX];
    int old_count = raft->peer_count;
    const struct raft_config *config = &raft->log.config;
    memcpy(old, raft->peers, sizeof old);
    raft->peer_count = 0;
    for (int i = 0; i < config->count; i++)
        if (!raft_voter_equal(config->voters[i], raft->self))
            add_peer(raft, old, old_count, config->voters[i]);
    raft->voter_count = raft->peer_count;
    for (int i = 0; i < raft->learner_count; i++)
        if (raft_config_find(config, raft->learners[i]) < 0 &&
            !raft_voter_equal(raft->learners[i], raft->self))
            add_peer(raft, old, old_count, raft->learners[i]);
}

static void append_own(struct raft *raft, enum raft_entry_kind kind, struct block *data)
{
    raft_out_append(raft, (struct raft_entry){.index = raft_log_last(&raft->log) + 1,
                                              .term = raft->hard.term,
                                              .kind = kind,
                                              .data = data});
    raft->uncommitted_bytes += data != NULL ? data->len : 0;
}

void raft_leader_begin(struct raft *raft)
{
    raft->role = RAFT_LEADER;
    raft->leader = raft->self;
    raft->peer_count = raft->learner_count = 0;
    raft->read_count = 0;
    raft->transfer_to = -1;
    raft->uncommitted_bytes = 0;
    raft->heartbeat_ms = raft->now_ms + raft->options.heartbeat_ms;
    raft_leader_configure(raft);
    append_own(raft, RAFT_ENTRY_NOOP, NULL);
    raft->own_index = raft_log_last(&raft->log);
}

static void send_chunk(struct raft *raft, struct progress *peer)
{
    if (peer->chunk_index != raft->snapshot.index) {
        peer->chunk_index = raft->snapshot.index;
        peer->chunk_offset = 0;
    }
    struct raft_message *message = raft_out_message(raft, RAFT_CHUNK, peer->voter);
    message->index = raft->snapshot.index;
    message->log_term = raft->snapshot.term;
    message->config = raft->snapshot.config;
    message->offset = peer->chunk_offset;
    peer->chunk_sent_ms = raft->now_ms;
}

// Entries from peer->next that fit into one message and into what may be under way.
static int entries_to_send(const struct raft *raft, const struct progress *peer)
{
    int64_t last = raft_log_last(&raft->log);
    int64_t room = RAFT_INFLIGHT_MAX - (peer->next - 1 - peer->match);
    if (peer->state == PROGRESS_PROBE)
        room = RAFT_MESSAGE_ENTRIES_MAX;
    int count = 0;
    size_t bytes = 0;
    while (count < RAFT_MESSAGE_ENTRIES_MAX && count < room && peer->next + count <= last) {
        const struct raft_entry *entry = raft_log_entry(&raft->log, peer->next + count);
        bytes += entry->data != NULL ? entry->data->len : 0;
        if (count > 0 && bytes > RAFT_MESSAGE_BYTES_MAX)
            break;
        count++;
    }
    return count;
}

// One append; returns the entries in it.
static int send_append(struct raft *raft, struct progress *peer)
{
    int count = entries_to_send(raft, peer);
    struct raft_message *message = raft_out_message(raft, RAFT_APPEND, peer->voter);
    message->index = peer->next - 1;
    message->log_term = raft_log_term(&raft->log, peer->next - 1);
    message->commit = raft->commit;
    message->round = raft->round;
    message->entries = count > 0 ? raft_log_entry(&raft->log, peer->next) : NULL;
    message->entry_count = count;
    peer->commit_sent = raft->commit;
    if (peer->state == PROGRESS_REPLICATE)
        peer->next += count;
    else
        peer->probing = true;
    return count;
}

// A heartbeat that agrees by itself, for one that is receiving a snapshot.
static void send_beat(struct raft *raft, struct progress *peer)
{
    struct raft_message *message = raft_out_message(raft, RAFT_APPEND, peer->voter);
    message->round = raft->round;
}

// Sends what peer needs; force: something at least, as a heartbeat.
static void send_to(struct raft *raft, struct progress *peer, bool force)
{
    if (peer->state != PROGRESS_SNAPSHOT && raft_log_term(&raft->log, peer->next - 1) < 0) {
        peer->state = PROGRESS_SNAPSHOT;
        peer->chunk_index = 0;
        send_chunk(raft, peer);
    }
    if (peer->state == PROGRESS_SNAPSHOT) {
        if (raft->now_ms - peer->chunk_sent_ms >= CHUNK_RESEND_BEATS * raft->options.heartbeat_ms)
            send_chunk(raft, peer);
        if (force)
            send_beat(raft, peer);
        return;
    }
    if (peer->state == PROGRESS_PROBE) {
        if (force || !peer->probing)
            send_append(raft, peer);
        return;
    }
    bool pending = peer->next <= raft_log_last(&raft->log) || peer->commit_sent < raft->commit;
    while (force || (pending && (entries_to_send(raft, peer) > 0 || peer->commit_sent < raft->commit))) {
        force = false;
        if (send_append(raft, peer) == 0)
            break;
    }
}

static void maybe_commit(struct raft *raft)
{
    int64_t matches[RAFT_VOTERS_MAX];
    int count = 0;
    for (int i = 0; i < raft->voter_count; i++)
        matches[count++] = raft->peers[i].match;
    if (is_voter(raft))
        matches[count++] = raft->persisted;
    if (count == 0)
        return;
    int64_t index = majority(matches, count);
    if (index <= raft->commit || raft_log_term(&raft->log, index) != raft->hard.term)
        return; // an entry of an older term is committed only by one of this term behind it (§5.4.2)
    for (int64_t i = raft->commit + 1; i <= index; i++) {
        const struct raft_entry *entry = raft_log_entry(&raft->log, i);
        if (i >= raft->own_index && entry->data != NULL)
            raft->uncommitted_bytes -= entry->data->len;
    }
    raft_commit_set(raft, index);
}

static void confirm_reads(struct raft *raft)
{
    if (raft->read_count == 0 || !raft_ready(raft))
        return;
    int64_t rounds[RAFT_VOTERS_MAX];
    int count = 0;
    for (int i = 0; i < raft->voter_count; i++)
        rounds[count++] = (int64_t)raft->peers[i].round;
    if (is_voter(raft))
        rounds[count++] = INT64_MAX;
    uint64_t round = count == 0 ? 0 : (uint64_t)majority(rounds, count);
    struct raft_updates *out = raft->out;
    int kept = 0;
    for (int i = 0; i < raft->read_count; i++) {
        struct pending_read *read = &raft->reads[i];
        if (read->round > round) {
            raft->reads[kept++] = *read;
            continue;
        }
        if (out->read_count == out->read_cap) {
            out->read_cap = out->read_cap ? out->read_cap * 2 : 8;
            out->reads = mem_realloc(out->reads, (size_t)out->read_cap * sizeof *out->reads);
        }
        if (read->read.index < raft->own_index)
            read->read.index = raft->own_index; // asked before the first own entry was committed
        out->reads[out->read_count++] = read->read;
    }
    raft->read_count = kept;
}

static void transfer_go(struct raft *raft, const struct progress *peer)
{
    raft_out_message(raft, RAFT_TIMEOUT_NOW, peer->voter);
    raft->transfer_sent = true;
}

static void transfer_check(struct raft *raft)
{
    for (int i = 0; i < raft->voter_count; i++) {
        const struct progress *peer = &raft->peers[i];
        if (peer->voter.id == raft->transfer_to && peer->match == raft_log_last(&raft->log) &&
            !raft->transfer_sent)
            transfer_go(raft, peer);
    }
}

// The configuration without us is committed: the best of the others goes on (dissertation §4.2.2).
static void leave(struct raft *raft)
{
    const struct progress *best = NULL;
    for (int i = 0; i < raft->voter_count; i++)
        if (best == NULL || raft->peers[i].match > best->match)
            best = &raft->peers[i];
    if (best != NULL)
        transfer_go(raft, best);
    raft_become_follower(raft, raft->hard.term, raft_nobody);
}

void raft_leader_finish(struct raft *raft)
{
    maybe_commit(raft);
    confirm_reads(raft);
    for (int i = 0; i < raft->peer_count; i++)
        send_to(raft, &raft->peers[i], false);
    if (raft->transfer_to >= 0)
        transfer_check(raft);
    if (!is_voter(raft) && raft->log.config_index <= raft->commit)
        leave(raft);
}

// Dissertation §6.2: a leader that a majority has not answered for a whole election timeout steps down, so
// that clients do not wait at one that is cut off. (KAFKA-15489)
static bool quorum_lost(const struct raft *raft)
{
    int64_t contacts[RAFT_VOTERS_MAX];
    int count = 0;
    for (int i = 0; i < raft->voter_count; i++)
        contacts[count++] = raft->peers[i].contact_ms;
    if (is_voter(raft))
        contacts[count++] = INT64_MAX;
    if (count == 0)
        return false;
    return raft->now_ms - majority(contacts, count) > 2 * raft->options.election_ms;
}

static void beat(struct raft *raft)
{
    raft->heartbeat_ms = raft->now_ms + raft->options.heartbeat_ms;
    for (int i = 0; i < raft->peer_count; i++)
        send_to(raft, &raft->peers[i], true);
}

void raft_leader_tick(struct raft *raft)
{
    if (raft->now_ms < raft->heartbeat_ms)
        return;
    if (quorum_lost(raft)) {
        raft_become_follower(raft, raft->hard.term, raft_nobody);
        return;
    }
    if (raft->transfer_to >= 0 && raft->now_ms >= raft->transfer_ms)
        raft->transfer_to = -1;
    beat(raft);
}

static void on_refused(struct raft *raft, struct progress *peer, const struct raft_message *message)
{
    if (peer->state == PROGRESS_SNAPSHOT || message->index <= peer->match)
        return; // an old answer
    if (peer->state == PROGRESS_REPLICATE) {
        peer->state = PROGRESS_PROBE;
        peer->next = peer->match + 1;
        peer->probing = false;
        return;
    }
    if (message->index != peer->next - 1)
        return;
    int64_t try = message->hint < message->index ? message->hint : message->index - 1;
    while (try > raft->log.base && raft_log_term(&raft->log, try) > message->hint_term)
        try--; // skip the terms the follower cannot have (end of §5.3)
    peer->next = (try > peer->match ? try : peer->match) + 1;
    peer->probing = false;
}

void raft_leader_on_append_reply(struct raft *raft, const struct raft_message *message)
{
    struct progress *peer = raft->role == RAFT_LEADER ? peer_find(raft, message->from) : NULL;
    if (peer == NULL || message->index > raft_log_last(&raft->log) || message->index < 0)
        return;
    peer->contact_ms = raft->now_ms;
    if (message->round > peer->round && message->round <= raft->round)
        peer->round = message->round;
    if (!message->granted) {
        on_refused(raft, peer, message);
        return;
    }
    if (message->index > peer->match)
        peer->match = message->index;
    if (peer->next <= peer->match)
        peer->next = peer->match + 1;
    if (peer->state == PROGRESS_SNAPSHOT) {
        if (raft_log_term(&raft->log, peer->match) < 0)
            return; // a heartbeat's answer, the snapshot is still under way
        peer->next = peer->match + 1;
    }
    peer->state = PROGRESS_REPLICATE;
    peer->probing = false;
}

void raft_leader_on_chunk_reply(struct raft *raft, const struct raft_message *message)
{
    struct progress *peer = raft->role == RAFT_LEADER ? peer_find(raft, message->from) : NULL;
    if (peer == NULL)
        return;
    peer->contact_ms = raft->now_ms;
    if (peer->state != PROGRESS_SNAPSHOT || message->index != peer->chunk_index || message->offset < 0)
        return;
    bool onward = message->offset > peer->chunk_offset;
    peer->chunk_offset = message->offset;
    if (onward)
        send_chunk(raft, peer); // else an old answer or a fresh start: the next one is sent by time
}

enum status raft_may_propose(const struct raft *raft, int count)
{
    if (raft->role != RAFT_LEADER || raft->transfer_to >= 0)
        return ST_NOT_LEADER;
    int64_t waiting = raft_log_last(&raft->log) - raft->commit;
    bool full = waiting + count > RAFT_UNCOMMITTED_MAX ||
                raft->uncommitted_bytes > RAFT_UNCOMMITTED_BYTES_MAX ||
                raft_log_last(&raft->log) - raft->snapshot.index > RAFT_LOG_ENTRIES_MAX;
    return full ? ST_LIMIT : ST_OK;
}

enum status raft_leader_propose(struct raft *raft, const struct raft_event *event)
{
    enum status status = raft_may_propose(raft, event->block_count);
    if (status != ST_OK)
        return status;
    for (int i = 0; i < event->block_count; i++)
        if (event->blocks[i]->len > RAFT_ENTRY_BYTES_MAX)
            return ST_LIMIT;
    raft->out->proposed = raft_log_last(&raft->log) + 1;
    for (int i = 0; i < event->block_count; i++)
        append_own(raft, RAFT_ENTRY_DATA, event->blocks[i]);
    return ST_OK;
}

// Voters of one that the other has not.
static int missing(const struct raft_config *one, const struct raft_config *other)
{
    int count = 0;
    for (int i = 0; i < one->count; i++)
        count += raft_config_find(other, one->voters[i]) < 0;
    return count;
}

static bool same_endpoints(const struct raft_config *one, const struct raft_config *other)
{
    for (int i = 0; i < one->count; i++)
        if (strcmp(one->endpoints[i], other->endpoints[i]) != 0)
            return false;
    return true;
}

bool raft_caught_up(const struct raft *raft, struct raft_voter follower)
{
    int at = raft->role == RAFT_LEADER ? peer_at(raft, follower) : -1;
    const struct progress *peer = at >= 0 ? &raft->peers[at] : NULL;
    return peer != NULL && peer->state == PROGRESS_REPLICATE &&
           raft_log_last(&raft->log) - peer->match <= RAFT_MESSAGE_ENTRIES_MAX &&
           raft->now_ms - peer->contact_ms <= 2 * raft->options.election_ms;
}

static bool newcomer_caught_up(const struct raft *raft, const struct raft_config *config)
{
    for (int i = 0; i < config->count; i++)
        if (raft_config_find(&raft->log.config, config->voters[i]) < 0 &&
            !raft_caught_up(raft, config->voters[i]))
            return false;
    return true;
}

static bool is_learner(const struct raft *raft, struct raft_voter voter)
{
    for (int i = 0; i < raft->learner_count; i++)
        if (raft_voter_equal(raft->learners[i], voter))
            return true;
    return false;
}

// Who loses its vote is a learner from then on, as far as there is room, or it would not hear that it has
// lost it and ask for votes for ever.
static void keep_removed(struct raft *raft, const struct raft_config *config)
{
    const struct raft_config *now = &raft->log.config;
    for (int i = 0; i < now->count; i++)
        if (raft_config_find(config, now->voters[i]) < 0 && !is_learner(raft, now->voters[i]) &&
            raft->learner_count < RAFT_LEARNERS_MAX)
            raft->learners[raft->learner_count++] = now->voters[i];
}

enum status raft_leader_change(struct raft *raft, const struct raft_config *config)
{
    if (raft->role != RAFT_LEADER || raft->transfer_to >= 0)
        return ST_NOT_LEADER;
#ifndef PLANTED_VOTER_CHANGES_OVERLAP
    if (!raft_ready(raft) || raft->log.config_index > raft->commit)
        return ST_AGAIN; // the bug of the first single-server algorithm: raft-dev, "bug in single-server
                         // membership changes", July 2015
#endif
    int changes = missing(config, &raft->log.config) + missing(&raft->log.config, config);
    if (config->count == 0 || changes > 1 || (changes == 0 && same_endpoints(config, &raft->log.config)))
        return ST_INVALID;
    if (!newcomer_caught_up(raft, config))
        return ST_LOADING;
    keep_removed(raft, config);
    struct block *data = raft_config_encode(config);
    raft->out->proposed = raft_log_last(&raft->log) + 1;
    append_own(raft, RAFT_ENTRY_CONFIG, data);
    block_unref(&data);
    raft_leader_configure(raft);
    return ST_OK;
}

enum status raft_leader_learners(struct raft *raft, const struct raft_voter *learners, int count)
{
    if (raft->role != RAFT_LEADER)
        return ST_NOT_LEADER;
    ASSERT(count >= 0 && count <= RAFT_LEARNERS_MAX);
    raft->learner_count = count;
    for (int i = 0; i < count; i++)
        raft->learners[i] = learners[i];
    raft_leader_configure(raft);
    return ST_OK;
}

enum status raft_leader_read(struct raft *raft, uint64_t token)
{
    if (raft->role != RAFT_LEADER)
        return ST_NOT_LEADER;
    if (raft->read_count == RAFT_READS_MAX)
        return ST_LIMIT;
    raft->round++;
    raft->reads[raft->read_count++] =
        (struct pending_read){.read = {.token = token, .index = raft->commit}, .round = raft->round};
    beat(raft);
    return ST_OK;
}

enum status raft_leader_transfer(struct raft *raft, int32_t peer)
{
    if (raft->role != RAFT_LEADER)
        return ST_NOT_LEADER;
    for (int i = 0; i < raft->voter_count; i++)
        if (raft->peers[i].voter.id == peer) {
            raft->transfer_to = peer;
            raft->transfer_ms = raft->now_ms + 2 * raft->options.election_ms;
            raft->transfer_sent = false;
            return ST_OK;
        }
    return ST_NOT_FOUND;
}

bool raft_learner(const struct raft *raft, int i, struct raft_voter *learner)
{
    int at = raft->voter_count + i;
    if (raft->role != RAFT_LEADER || at >= raft->peer_count)
        return false;
    *learner = raft->peers[at].voter;
    return true;
}
