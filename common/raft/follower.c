// SPDX-License-Identifier: Apache-2.0
// The receiving side of replication (§5.3) and of snapshots (§7). An append with entries is acknowledged when
// they are durable; a heartbeat at once, with what is durable so far, so that a slow disk does not look like
// a dead node.
#include "raft/internal.h"

#include "base/assert.h"

static int64_t min64(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static void hear_leader(struct raft *raft, struct raft_voter leader)
{
    ASSERT(raft->role != RAFT_LEADER); // one leader per term (§5.2)
    if (raft->role != RAFT_FOLLOWER || !raft_voter_equal(raft->leader, leader))
        raft_become_follower(raft, raft->hard.term, leader);
    raft->heard_ms = raft->now_ms;
    raft_election_reset(raft);
}

void raft_follower_acknowledge(struct raft *raft)
{
    if (raft->leader.id < 0)
        return;
    struct raft_message *reply = raft_out_message(raft, RAFT_APPEND_REPLY, raft->leader);
    reply->granted = true;
    reply->index = min64(raft->leader_match, raft->persisted);
    reply->round = raft->leader_round;
}

// The leader's log differs before its entries: name the last entry of ours that could agree.
static void refuse(struct raft *raft, const struct raft_message *message)
{
    int64_t hint = min64(message->index, raft_log_last(&raft->log));
    while (hint > raft->log.base && raft_log_term(&raft->log, hint) > message->log_term)
        hint--;
    struct raft_message *reply = raft_out_message(raft, RAFT_APPEND_REPLY, raft->leader);
    reply->index = message->index;
    reply->hint = hint;
    reply->hint_term = hint >= raft->log.base ? raft_log_term(&raft->log, hint) : 0;
}

// Appends what is new; an entry that conflicts takes all that follow it with it (§5.3).
static void take_entries(struct raft *raft, const struct raft_message *message)
{
    for (int i = 0; i < message->entry_count; i++) {
        const struct raft_entry *entry = &message->entries[i];
        if (entry->index <= raft->commit || entry->index <= raft->log.base)
            continue;
        if (entry->index <= raft_log_last(&raft->log)) {
            if (raft_log_term(&raft->log, entry->index) == entry->term)
                continue;
            raft_out_truncate(raft, entry->index);
        }
        raft_out_append(raft, *entry);
    }
}

// Indexes follow one another, terms do not fall or pass the message's, configurations can be read.
static bool entries_valid(const struct raft_message *message)
{
    int64_t term = message->log_term;
    for (int i = 0; i < message->entry_count; i++) {
        const struct raft_entry *entry = &message->entries[i];
        struct raft_config config;
        if (entry->index != message->index + 1 + i || entry->term < term || entry->term > message->term)
            return false;
        if (entry->kind == RAFT_ENTRY_CONFIG &&
            (entry->data == NULL || raft_config_decode(block_slice(entry->data), &config) != ST_OK))
            return false;
        term = entry->term;
    }
    return message->index >= 0;
}

void raft_follower_on_append(struct raft *raft, const struct raft_message *message)
{
    if (raft->role == RAFT_LEADER || !entries_valid(message))
        return; // of our own term there is no other leader (§5.2): the message is forged
    hear_leader(raft, message->from);
    if (message->round > raft->leader_round)
        raft->leader_round = message->round;
    int64_t end = message->index + message->entry_count;
    int64_t known = message->index < raft->commit ? -2 : raft_log_term(&raft->log, message->index);
    if (known == -1 || (known >= 0 && known != message->log_term)) {
        refuse(raft, message);
        return;
    }
    if (raft_log_last(&raft->log) - raft->snapshot.index > RAFT_LOG_ENTRIES_MAX)
        return; // the leader asks again; a snapshot will have made room
    take_entries(raft, message);
    if (end > raft->leader_match)
        raft->leader_match = end;
    raft_commit_set(raft, min64(message->commit, min64(end, raft_log_last(&raft->log))));
    if (message->entry_count == 0 || end <= raft->persisted)
        raft_follower_acknowledge(raft);
}

static void ask_chunk(struct raft *raft, const struct raft_message *message)
{
    struct raft_message *reply = raft_out_message(raft, RAFT_CHUNK_REPLY, message->from);
    reply->index = message->index;
    reply->offset = raft->chunk_offset;
    if (raft->out->persist != 0)
        reply->after = raft->step; // staged before more is asked for: the disk sets the pace
}

static void install(struct raft *raft, const struct raft_snapshot *snapshot)
{
    raft->snapshot = *snapshot;
    raft_log_reset(&raft->log, snapshot);
    raft->install_step = raft->step;
    raft->persisted = 0;
    raft->leader_match = snapshot->index;
    raft->chunk_term = raft->chunk_index = raft->chunk_offset = 0;
    raft_commit_set(raft, snapshot->index);
}

void raft_follower_on_chunk(struct raft *raft, const struct raft_message *message)
{
    if (raft->role == RAFT_LEADER)
        return; // as above
    hear_leader(raft, message->from);
    bool have = message->index <= raft->commit;
    if (!have && raft_log_term(&raft->log, message->index) == message->log_term) {
        raft_commit_set(raft, message->index); // §7: what follows it in the log is kept
        have = true;
    }
    if (have) {
        if (message->index > raft->leader_match)
            raft->leader_match = message->index;
        raft_follower_acknowledge(raft);
        return;
    }
    bool same = raft->chunk_term == message->term && raft->chunk_index == message->index;
    if (!same) {
        raft->chunk_term = message->term;
        raft->chunk_index = message->index;
        raft->chunk_offset = 0;
    }
    if (message->offset == raft->chunk_offset) {
        struct raft_snapshot snapshot = {
            .index = message->index, .term = message->log_term, .config = message->config};
        raft->out->has_chunk = true;
        raft->out->chunk = (struct raft_chunk){
            .snapshot = snapshot, .offset = message->offset, .data = message->data, .done = message->done};
        raft->out->persist = raft->step;
        raft->chunk_offset += (int64_t)message->data.len;
        if (message->done) {
            install(raft, &snapshot);
            return; // acknowledged when durable
        }
    }
    ask_chunk(raft, message);
}
