// SPDX-License-Identifier: Apache-2.0
// The step function: adopt newer terms, hand the event to the part that knows it, then let a leader commit
// and send. Everything that leaves is collected in the updates of the step.
#include "raft/internal.h"

#include "base/assert.h"
#include "base/mem.h"

const struct raft_voter raft_nobody = {.id = -1};

enum { ELECTION_MS = 150, HEARTBEAT_MS = 50, KEEP_ENTRIES = 1024, LOST_LEADER_MS = 40 };

struct raft *raft_new(const struct raft_start *start)
{
    struct raft *raft = mem_calloc(1, sizeof *raft);
    raft->self = start->self;
    raft->options = start->options;
    if (raft->options.election_ms == 0)
        raft->options.election_ms = ELECTION_MS;
    if (raft->options.heartbeat_ms == 0)
        raft->options.heartbeat_ms = HEARTBEAT_MS;
    if (raft->options.keep_entries == 0)
        raft->options.keep_entries = KEEP_ENTRIES;
    raft->prng.state = start->seed;
    raft->now_ms = start->now_ms;
    raft->heard_ms = start->now_ms - 2 * raft->options.election_ms;
    raft->hard = start->hard;
    raft->snapshot = start->snapshot;
    raft->leader = raft_nobody;
    raft->transfer_to = -1;
    raft_log_load(raft, start);
    raft->commit = start->snapshot.index;
    raft->persisted = raft_log_last(&raft->log);
    raft_election_reset(raft);
    if (raft->log.config.count == 1 && raft_config_find(&raft->log.config, raft->self) == 0)
        raft->election_ms = raft->now_ms; // nobody else to wait for
    return raft;
}

void raft_destroy(struct raft **raft)
{
    if (*raft == NULL)
        return;
    raft_log_fini(&(*raft)->log);
    mem_free(*raft);
    *raft = NULL;
}

void raft_updates_init(struct raft_updates *out)
{
    *out = (struct raft_updates){0};
}

void raft_updates_fini(struct raft_updates *out)
{
    mem_free(out->messages);
    mem_free(out->reads);
    *out = (struct raft_updates){0};
}

static void updates_clear(struct raft_updates *out)
{
    struct raft_updates keep = *out;
    *out = (struct raft_updates){.messages = keep.messages,
                                 .message_cap = keep.message_cap,
                                 .reads = keep.reads,
                                 .read_cap = keep.read_cap};
}

struct raft_message *raft_out_message(struct raft *raft, enum raft_message_kind kind, struct raft_voter to)
{
    struct raft_updates *out = raft->out;
    if (out->message_count == out->message_cap) {
        out->message_cap = out->message_cap ? out->message_cap * 2 : 8;
        out->messages = mem_realloc(out->messages, (size_t)out->message_cap * sizeof *out->messages);
    }
    struct raft_message *message = &out->messages[out->message_count++];
    *message = (struct raft_message){.kind = kind,
                                     .from = raft->self,
                                     .to = to,
                                     .term = raft->hard.term,
                                     .after = raft->hard_step > raft->acked ? raft->hard_step : 0};
    return message;
}

void raft_out_append(struct raft *raft, struct raft_entry entry)
{
    entry.sequence = raft->step;
    raft_log_append(&raft->log, entry);
    if (raft->out->append_from == 0)
        raft->out->append_from = entry.index;
    raft->out->persist = raft->step;
}

void raft_out_truncate(struct raft *raft, int64_t from)
{
    ASSERT(from > raft->commit); // a committed entry is never taken back (§5.4, Leader Completeness)
    raft_log_truncate(&raft->log, from);
    if (raft->persisted >= from)
        raft->persisted = from - 1;
    raft->out->truncate_from = from;
    raft->out->persist = raft->step;
}

void raft_hard_set(struct raft *raft, int64_t term, struct raft_voter vote)
{
    ASSERT(term > raft->hard.term || (term == raft->hard.term && raft->hard.vote.id < 0));
    raft->hard = (struct raft_hard){.term = term, .vote = vote};
    raft->hard_step = raft->step;
    raft->out->hard_changed = true;
    raft->out->hard = raft->hard;
    raft->out->persist = raft->step;
}

void raft_commit_set(struct raft *raft, int64_t index)
{
    ASSERT(index <= raft_log_last(&raft->log));
    if (index <= raft->commit)
        return;
    raft->commit = index;
    raft->out->commit_changed = true;
}

void raft_become_follower(struct raft *raft, int64_t term, struct raft_voter leader)
{
    if (raft->role == RAFT_LEADER) {
        raft->read_count = 0;
        raft->out->reads_dropped = true;
        raft->transfer_to = -1;
    }
    if (term > raft->hard.term)
        raft_hard_set(raft, term, raft_nobody);
    raft->leader_match = 0;
    raft->leader_round = 0;
    bool was_follower = raft->role == RAFT_FOLLOWER;
    raft->role = RAFT_FOLLOWER;
    raft->leader = leader;
    if (!was_follower)
        raft_election_reset(raft);
}

// §5.1: a newer term makes everyone a follower of it; an older one is answered with ours, so that its sender
// steps down or asks again. A refused pre-vote tells our term too: otherwise a candidate that is behind by
// terms but has the only complete log could never be elected. Returns whether the message is to be handled.
static bool adopt_term(struct raft *raft, const struct raft_message *message)
{
    int64_t term = raft->hard.term;
    if (message->term == term)
        return true;
    if (message->term < term) {
        if (message->kind == RAFT_APPEND || message->kind == RAFT_CHUNK)
            raft_out_message(raft, RAFT_APPEND_REPLY, message->from)->index = message->index;
        else if (message->kind == RAFT_PRE_VOTE)
            raft_out_message(raft, RAFT_PRE_VOTE_REPLY, message->from);
        else if (message->kind == RAFT_VOTE)
            raft_out_message(raft, RAFT_VOTE_REPLY, message->from);
        return false;
    }
    if (message->kind == RAFT_PRE_VOTE || (message->kind == RAFT_PRE_VOTE_REPLY && message->granted))
        return true; // its term is one nobody has begun yet
    if (message->kind == RAFT_VOTE && !message->transfer && raft_election_sticky(raft))
        return false; // dissertation §4.2.3
    bool from_leader = message->kind == RAFT_APPEND || message->kind == RAFT_CHUNK;
    raft_become_follower(raft, message->term, from_leader ? message->from : raft_nobody);
    return true;
}

static void on_message(struct raft *raft, const struct raft_message *message)
{
    if (!raft_voter_equal(message->to, raft->self) || message->term <= 0 || !adopt_term(raft, message))
        return;
    switch (message->kind) {
    case RAFT_PRE_VOTE:
    case RAFT_VOTE:
        raft_election_on_request(raft, message);
        break;
    case RAFT_PRE_VOTE_REPLY:
    case RAFT_VOTE_REPLY:
        raft_election_on_reply(raft, message);
        break;
    case RAFT_APPEND:
        raft_follower_on_append(raft, message);
        break;
    case RAFT_CHUNK:
        raft_follower_on_chunk(raft, message);
        break;
    case RAFT_APPEND_REPLY:
        raft_leader_on_append_reply(raft, message);
        break;
    case RAFT_CHUNK_REPLY:
        raft_leader_on_chunk_reply(raft, message);
        break;
    case RAFT_TIMEOUT_NOW:
        if (raft->role == RAFT_FOLLOWER && raft_voter_equal(message->from, raft->leader))
            raft_election_campaign(raft, true);
        break;
    }
}

static void on_persisted(struct raft *raft, uint64_t step)
{
    if (step <= raft->acked)
        return;
    raft->acked = step;
    int64_t before = raft->persisted;
    if (raft->install_step != 0 && raft->install_step <= step) {
        raft->install_step = 0;
        raft->persisted = raft->log.base;
    }
    if (raft->install_step == 0)
        while (raft->persisted < raft_log_last(&raft->log) &&
               raft_log_entry(&raft->log, raft->persisted + 1)->sequence <= step)
            raft->persisted++;
    raft_election_persisted(raft);
    if (raft->role == RAFT_FOLLOWER && raft->persisted != before)
        raft_follower_acknowledge(raft);
}

// §7: the log before a durable snapshot is dropped, all but a tail for followers that are a little behind.
static enum status on_snapshot(struct raft *raft, int64_t index)
{
    if (index <= raft->snapshot.index || index > raft->commit || index > raft->persisted)
        return ST_INVALID;
    raft->snapshot = raft_snapshot_at(raft, index);
    raft_log_trim(&raft->log, index - raft->options.keep_entries);
    return ST_OK;
}

static void on_peer_lost(struct raft *raft, int32_t peer)
{
    if (raft->role == RAFT_LEADER || raft->leader.id != peer || raft->leader.id == raft->self.id)
        return;
    raft->leader = raft_nobody;
    raft->heard_ms = raft->now_ms - 2 * raft->options.election_ms;
    raft->election_ms = raft->now_ms + 1 + (int64_t)prng_below(&raft->prng, LOST_LEADER_MS);
}

static void on_tick(struct raft *raft)
{
    if (raft->role == RAFT_LEADER)
        raft_leader_tick(raft);
    else
        raft_election_tick(raft);
}

static enum status dispatch(struct raft *raft, const struct raft_event *event)
{
    switch (event->kind) {
    case RAFT_EVENT_TICK:
        on_tick(raft);
        return ST_OK;
    case RAFT_EVENT_MESSAGE:
        on_message(raft, event->message);
        return ST_OK;
    case RAFT_EVENT_PERSISTED:
        on_persisted(raft, event->sequence);
        return ST_OK;
    case RAFT_EVENT_PROPOSE:
        return raft_leader_propose(raft, event);
    case RAFT_EVENT_CONFIG:
        return raft_leader_change(raft, event->config);
    case RAFT_EVENT_LEARNERS:
        return raft_leader_learners(raft, event->learners, event->learner_count);
    case RAFT_EVENT_SNAPSHOT:
        return on_snapshot(raft, event->index);
    case RAFT_EVENT_TRANSFER:
        return raft_leader_transfer(raft, event->peer);
    case RAFT_EVENT_READ:
        return raft_leader_read(raft, event->token);
    case RAFT_EVENT_PEER_LOST:
        on_peer_lost(raft, event->peer);
        return ST_OK;
    }
    UNREACHABLE("raft event");
}

enum status raft_step(struct raft *raft, const struct raft_event *event, struct raft_updates *out)
{
    updates_clear(out);
    raft->out = out;
    raft->step++;
    if (event->now_ms > raft->now_ms)
        raft->now_ms = event->now_ms;
    enum raft_role role = raft->role;
    int64_t term = raft->hard.term;
    int32_t leader = raft->leader.id;
    enum status status = dispatch(raft, event);
    if (raft->role == RAFT_LEADER)
        raft_leader_finish(raft);
    out->role_changed = role != raft->role || term != raft->hard.term || leader != raft->leader.id;
    raft->out = NULL;
    return status;
}

int64_t raft_deadline_ms(const struct raft *raft)
{
    return raft->role == RAFT_LEADER ? raft->heartbeat_ms : raft->election_ms;
}

enum raft_role raft_role(const struct raft *raft)
{
    return raft->role;
}

int64_t raft_term(const struct raft *raft)
{
    return raft->hard.term;
}

struct raft_voter raft_self(const struct raft *raft)
{
    return raft->self;
}

struct raft_voter raft_leader(const struct raft *raft)
{
    return raft->leader;
}

int64_t raft_commit(const struct raft *raft)
{
    return raft->commit;
}

int64_t raft_last_index(const struct raft *raft)
{
    return raft_log_last(&raft->log);
}

int64_t raft_persisted(const struct raft *raft)
{
    return raft->persisted;
}

int64_t raft_first_index(const struct raft *raft)
{
    return raft->log.base + 1;
}

const struct raft_snapshot *raft_snapshot(const struct raft *raft)
{
    return &raft->snapshot;
}

const struct raft_config *raft_config(const struct raft *raft)
{
    return &raft->log.config;
}

int64_t raft_config_index(const struct raft *raft)
{
    return raft->log.config_index;
}

bool raft_ready(const struct raft *raft)
{
    return raft->role == RAFT_LEADER && raft->commit >= raft->own_index;
}

const struct raft_entry *raft_entry(const struct raft *raft, int64_t index)
{
    return raft_log_entry(&raft->log, index);
}

struct raft_snapshot raft_snapshot_at(const struct raft *raft, int64_t index)
{
    ASSERT(index >= raft->log.base && index <= raft->commit);
    return (struct raft_snapshot){.index = index,
                                  .term = raft_log_term(&raft->log, index),
                                  .config = raft_log_config_at(&raft->log, index)};
}

bool raft_progress(const struct raft *raft, int32_t peer, int64_t *match, int64_t *contact_ms)
{
    for (int i = 0; raft->role == RAFT_LEADER && i < raft->peer_count; i++)
        if (raft->peers[i].voter.id == peer) {
            *match = raft->peers[i].match;
            *contact_ms = raft->peers[i].contact_ms;
            return true;
        }
    return false;
}
