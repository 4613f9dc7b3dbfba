// SPDX-License-Identifier: Apache-2.0
// Elections (§5.2, §5.4.1): pre-vote first (dissertation §9.6), so that a node that was cut off does not
// disturb; a real vote only once its term and its own vote are durable. A node that hears a leader refuses to
// help replace it (§4.2.3 there), unless that leader asked for it.
#include "raft/internal.h"

#include "base/assert.h"

static void votes_clear(struct raft *raft)
{
    for (int i = 0; i < RAFT_VOTERS_MAX; i++)
        raft->votes[i] = false;
}

static bool votes_enough(const struct raft *raft)
{
    int count = 0;
    for (int i = 0; i < raft->log.config.count; i++)
        count += raft->votes[i];
    return count > raft->log.config.count / 2;
}

void raft_election_reset(struct raft *raft)
{
    int base = raft->options.election_ms;
    raft->election_ms = raft->now_ms + base + (int64_t)prng_below(&raft->prng, (uint64_t)base);
}

bool raft_election_sticky(const struct raft *raft)
{
    return raft->role == RAFT_LEADER ||
           (raft->leader.id >= 0 && raft->now_ms - raft->heard_ms < raft->options.election_ms);
}

// What this node may claim: only durable entries (a crash must not take back what won the election).
static void claim_log(const struct raft *raft, int64_t *index, int64_t *term)
{
    *index = raft->persisted;
    *term = raft->install_step != 0 ? 0 : raft_log_term(&raft->log, raft->persisted);
    ASSERT(*term >= 0);
}

static void request_votes(struct raft *raft, enum raft_message_kind kind, int64_t term)
{
    const struct raft_config *config = &raft->log.config;
    for (int i = 0; i < config->count; i++) {
        if (raft_voter_equal(config->voters[i], raft->self))
            continue;
        struct raft_message *message = raft_out_message(raft, kind, config->voters[i]);
        message->term = term;
        message->transfer = raft->transferring;
        claim_log(raft, &message->index, &message->log_term);
    }
}

// Also who is not in its newest configuration campaigns until that is committed (dissertation §4.2.2, figure
// 4.6): it may be the only one that has the entry, and whoever is in it cannot win without.
static bool may_campaign(const struct raft *raft)
{
    if (raft_config_find(&raft->log.config, raft->self) >= 0)
        return true;
    if (raft->log.config_index <= raft->commit || raft->log.config_index <= raft->log.base)
        return false;
    struct raft_config before = raft_log_config_at(&raft->log, raft->log.config_index - 1);
    return raft_config_find(&before, raft->self) >= 0;
}

void raft_election_campaign(struct raft *raft, bool transfer)
{
    ASSERT(raft->role != RAFT_LEADER);
    if (!may_campaign(raft))
        return;
    raft->role = RAFT_CANDIDATE;
    raft->leader = raft_nobody;
    raft->transferring = transfer;
    votes_clear(raft);
    raft_election_reset(raft);
    raft_hard_set(raft, raft->hard.term + 1, raft->self);
    request_votes(raft, RAFT_VOTE, raft->hard.term);
}

static void pre_campaign(struct raft *raft)
{
    raft->role = RAFT_PRE_CANDIDATE;
    raft->leader = raft_nobody;
    raft->transferring = false;
    votes_clear(raft);
    raft_election_reset(raft);
    int own = raft_config_find(&raft->log.config, raft->self);
    if (own >= 0)
        raft->votes[own] = true;
    if (votes_enough(raft))
        raft_election_campaign(raft, false);
    else
        request_votes(raft, RAFT_PRE_VOTE, raft->hard.term + 1);
}

void raft_election_tick(struct raft *raft)
{
    if (raft->now_ms < raft->election_ms)
        return;
    if (may_campaign(raft)) {
        pre_campaign(raft);
        return;
    }
    raft->leader = raft_nobody; // not heard for so long: it must not be named to others any more
    raft_election_reset(raft);
}

static void count_vote(struct raft *raft, struct raft_voter from)
{
    int at = raft_config_find(&raft->log.config, from);
    if (at < 0)
        return;
    raft->votes[at] = true;
    if (!votes_enough(raft))
        return;
    if (raft->role == RAFT_PRE_CANDIDATE)
        raft_election_campaign(raft, false);
    else
        raft_leader_begin(raft);
}

void raft_election_persisted(struct raft *raft)
{
    if (raft->role == RAFT_CANDIDATE && raft->hard_step <= raft->acked)
        count_vote(raft, raft->self);
}

// §5.4.1. A node without any log grants nothing: it may have been wiped.
static bool up_to_date(const struct raft *raft, const struct raft_message *message)
{
    int64_t last = raft_log_last(&raft->log);
    int64_t term = raft_log_term(&raft->log, last);
    if (last == 0)
        return false;
    return message->log_term > term || (message->log_term == term && message->index >= last);
}

void raft_election_on_request(struct raft *raft, const struct raft_message *message)
{
    bool pre = message->kind == RAFT_PRE_VOTE;
    bool free_vote = raft->hard.vote.id < 0 || raft_voter_equal(raft->hard.vote, message->from);
    bool refused = (raft_election_sticky(raft) && !message->transfer) || !up_to_date(raft, message) ||
                   (message->term == raft->hard.term && !free_vote);
    if (!refused && !pre) {
        if (raft->hard.vote.id < 0)
            raft_hard_set(raft, raft->hard.term, message->from);
        raft_election_reset(raft);
    }
    struct raft_message *reply =
        raft_out_message(raft, pre ? RAFT_PRE_VOTE_REPLY : RAFT_VOTE_REPLY, message->from);
    reply->granted = !refused;
#ifdef PLANTED_VOTE_ANSWERED_BEFORE_PERSISTED
    reply->after = 0;
#endif
    if (pre && !refused)
        reply->term = message->term;
}

void raft_election_on_reply(struct raft *raft, const struct raft_message *message)
{
    bool pre = message->kind == RAFT_PRE_VOTE_REPLY;
    bool wanted = pre ? raft->role == RAFT_PRE_CANDIDATE && message->term == raft->hard.term + 1
                      : raft->role == RAFT_CANDIDATE && message->term == raft->hard.term;
    if (wanted && message->granted)
        count_vote(raft, message->from);
}
