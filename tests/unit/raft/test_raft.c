// SPDX-License-Identifier: Apache-2.0
// Scenarios by hand: each is a rule of the paper or a bug that other implementations had (stack.md,
// faults.md).
#include <criterion/criterion.h>

#include "cluster.h"

#include "base/mem.h"

static struct cluster *fresh(int count)
{
    struct cluster *cluster = mem_calloc(1, sizeof *cluster);
    cluster_init(cluster, count, 42);
    return cluster;
}

static void done(struct cluster *cluster)
{
    cr_assert_eq(cluster->failure[0], 0, "%s", cluster->failure);
    cluster_fini(cluster);
    mem_free(cluster);
}

static struct raft *raft_of(struct cluster *cluster, int node)
{
    return cluster->nodes[node].raft;
}

static struct raft_message from_to(struct cluster *cluster, enum raft_message_kind kind, int from, int to)
{
    return (struct raft_message){.kind = kind,
                                 .from = cluster->nodes[from].self,
                                 .to = cluster->nodes[to].self,
                                 .term = raft_term(raft_of(cluster, to))};
}

static void receive(struct cluster *cluster, const struct raft_message *message)
{
    cluster_step(cluster, message->to.id,
                 (struct raft_event){.kind = RAFT_EVENT_MESSAGE, .message = message});
}

static const struct raft_message *sent(const struct cluster *cluster, enum raft_message_kind kind)
{
    for (int i = 0; i < cluster->out.message_count; i++)
        if (cluster->out.messages[i].kind == kind)
            return &cluster->out.messages[i];
    return NULL;
}

static void persist(struct cluster *cluster, int node, uint64_t step)
{
    cluster_step(cluster, node, (struct raft_event){.kind = RAFT_EVENT_PERSISTED, .sequence = step});
}

Test(raft, a_single_voter_leads_as_soon_as_its_vote_is_durable)
{
    struct cluster *cluster = fresh(1);
    cluster_step(cluster, 0, (struct raft_event){.kind = RAFT_EVENT_TICK});
    cr_assert_eq(raft_role(raft_of(cluster, 0)), RAFT_CANDIDATE);
    cluster_settle(cluster);
    cr_assert(raft_ready(raft_of(cluster, 0)));
    cr_assert_eq(cluster_propose(cluster, 0), ST_OK);
    cr_assert_eq(raft_commit(raft_of(cluster, 0)), 2);
    cluster_settle(cluster);
    cr_assert_eq(raft_commit(raft_of(cluster, 0)), 3);
    done(cluster);
}

Test(raft, a_new_leader_appends_a_no_op_and_commits_with_it)
{
    struct cluster *cluster = fresh(3);
    cluster_elect(cluster, 0);
    cr_assert_eq(cluster_leader(cluster), 0);
    cr_assert_eq(raft_entry(raft_of(cluster, 0), 2)->kind, RAFT_ENTRY_NOOP);
    cr_assert_eq(raft_entry(raft_of(cluster, 0), 2)->term, 2);
    cr_assert_eq(raft_commit(raft_of(cluster, 0)), 2);
    done(cluster);
}

// Figure 8: an entry of an older term on a majority is not committed before one of the own term is.
Test(raft, figure_8_counts_replicas_of_the_own_term_only)
{
    struct cluster *cluster = fresh(5);
    cluster_elect(cluster, 0);
    for (int i = 2; i < 5; i++)
        cluster->cut[0][i] = true;
    cluster_propose(cluster, 0); // index 3, on nodes 0 and 1
    cluster_settle(cluster);
    cluster_crash(cluster, 0);
    cluster_start(cluster, 0);
    cluster_heal(cluster);
    for (int i = 1; i < 5; i++)
        cluster->cut[0][i] = true; // hears answers, says nothing once it leads
    cluster->now_ms += 1000;
    cluster_step(cluster, 0, (struct raft_event){.kind = RAFT_EVENT_TICK});
    struct raft_message vote = from_to(cluster, RAFT_PRE_VOTE_REPLY, 1, 0);
    vote.term++;
    vote.granted = true;
    receive(cluster, &vote);
    vote.from = cluster->nodes[2].self;
    receive(cluster, &vote);
    cluster_settle(cluster);
    vote.kind = RAFT_VOTE_REPLY;
    receive(cluster, &vote);
    vote.from = cluster->nodes[1].self;
    receive(cluster, &vote);
    cr_assert_eq(raft_role(raft_of(cluster, 0)), RAFT_LEADER);
    cluster_settle(cluster);
    struct raft_message reply = from_to(cluster, RAFT_APPEND_REPLY, 1, 0);
    reply.granted = true;
    reply.index = 3;
    receive(cluster, &reply);
    reply.from = cluster->nodes[2].self;
    receive(cluster, &reply);
    reply.from = cluster->nodes[3].self;
    receive(cluster, &reply);
    cr_assert_lt(raft_commit(raft_of(cluster, 0)), 3, "committed an old term by counting");
    cluster_heal(cluster);
    cluster->now_ms += 60;
    cluster_step(cluster, 0, (struct raft_event){.kind = RAFT_EVENT_TICK});
    cluster_settle(cluster);
    cr_assert_eq(raft_commit(raft_of(cluster, 0)), 4);
    done(cluster);
}

// stack.md section 1: only nodes 0 and 1 have the log that can win, but their term is behind; a refusal that
// echoed the asked-for term would leave them there for ever.
Test(raft, a_candidate_behind_by_terms_learns_them_from_refused_pre_votes)
{
    struct cluster *cluster = fresh(5);
    cluster_elect(cluster, 0);
    cluster_isolate(cluster, 4, true);
    for (int i = 2; i < 4; i++)
        cluster_isolate(cluster, i, true);
    cluster_propose(cluster, 0);
    cluster_settle(cluster);
    for (int i = 0; i < 5; i++)
        cluster_crash(cluster, i);
    for (int i = 2; i < 4; i++)
        cluster->nodes[i].disk->hard = (struct raft_hard){.term = 1000, .vote = {.id = -1}};
    cluster_heal(cluster);
    for (int i = 0; i < 4; i++)
        cluster_start(cluster, i);
    cluster_run(cluster, 5000);
    int leader = cluster_leader(cluster);
    cr_assert(leader == 0 || leader == 1, "leader %d", leader);
    cr_assert_geq(raft_commit(raft_of(cluster, leader)), 4);
    done(cluster);
}

Test(raft, a_candidate_claims_only_what_is_durable_and_so_counts_its_own_vote)
{
    struct cluster *cluster = fresh(3);
    cluster_elect(cluster, 0);
    struct raft_message append = from_to(cluster, RAFT_APPEND, 0, 1);
    struct raft_entry entry = {.index = 3, .term = 2, .kind = RAFT_ENTRY_NOOP};
    append.index = 2;
    append.log_term = 2;
    append.entries = &entry;
    append.entry_count = 1;
    receive(cluster, &append);
    cr_assert_null(sent(cluster, RAFT_APPEND_REPLY), "acknowledged before it is durable");
    cr_assert_eq(raft_persisted(raft_of(cluster, 1)), 2);
    uint64_t append_step = cluster->out.persist;
    struct raft_message now = from_to(cluster, RAFT_TIMEOUT_NOW, 0, 1);
    receive(cluster, &now);
    const struct raft_message *vote = sent(cluster, RAFT_VOTE);
    cr_assert_not_null(vote);
    cr_assert_eq(vote->index, 2);
    uint64_t step = cluster->out.persist;
    cr_assert_eq(vote->after, step, "asked for votes before its own is durable");
    struct raft_message grant = from_to(cluster, RAFT_VOTE_REPLY, 2, 1);
    grant.granted = true;
    receive(cluster, &grant);
    persist(cluster, 1, append_step);
    cr_assert_eq(raft_role(raft_of(cluster, 1)), RAFT_CANDIDATE, "its own vote counted too early");
    persist(cluster, 1, step);
    cr_assert_eq(raft_role(raft_of(cluster, 1)), RAFT_LEADER);
    done(cluster);
}

Test(raft, a_granted_vote_waits_for_the_hard_state)
{
    struct cluster *cluster = fresh(3);
    struct raft_message vote = from_to(cluster, RAFT_VOTE, 0, 1);
    vote.term = 2;
    vote.index = 1;
    vote.log_term = 1;
    receive(cluster, &vote);
    cr_assert(cluster->out.hard_changed);
    const struct raft_message *reply = sent(cluster, RAFT_VOTE_REPLY);
    cr_assert(reply->granted);
    cr_assert_neq(cluster->out.persist, 0);
    cr_assert_eq(reply->after, cluster->out.persist);
    vote.from = cluster->nodes[2].self;
    receive(cluster, &vote);
    cr_assert_not(sent(cluster, RAFT_VOTE_REPLY)->granted, "voted twice in a term");
    done(cluster);
}

Test(raft, a_node_without_a_log_grants_no_vote)
{
    struct cluster *cluster = fresh(3);
    cluster_crash(cluster, 1);
    block_unref(&cluster->nodes[1].disk->entries[0].data);
    cluster->nodes[1].disk->count = 0;
    cluster_start(cluster, 1);
    struct raft_message vote = from_to(cluster, RAFT_VOTE, 0, 1);
    vote.term = 5;
    vote.index = 100;
    vote.log_term = 4;
    receive(cluster, &vote);
    cr_assert_not(sent(cluster, RAFT_VOTE_REPLY)->granted);
    done(cluster);
}

Test(raft, a_message_for_another_directory_is_not_ours)
{
    struct cluster *cluster = fresh(3);
    struct raft_message vote = from_to(cluster, RAFT_VOTE, 0, 1);
    vote.term = 2;
    vote.index = 1;
    vote.log_term = 1;
    vote.to.directory = uuid_from_random(99, 99);
    receive(cluster, &vote);
    cr_assert_eq(cluster->out.message_count, 0);
    cr_assert_eq(raft_term(raft_of(cluster, 1)), 1);
    done(cluster);
}

Test(raft, a_leader_without_a_majority_steps_down)
{
    struct cluster *cluster = fresh(3);
    cluster_elect(cluster, 0);
    cluster_isolate(cluster, 0, true);
    cluster_run(cluster, 400);
    cr_assert_neq(raft_role(raft_of(cluster, 0)), RAFT_LEADER);
    done(cluster);
}

Test(raft, a_node_that_was_cut_off_does_not_depose_the_leader)
{
    struct cluster *cluster = fresh(3);
    cluster_elect(cluster, 0);
    int64_t term = raft_term(raft_of(cluster, 0));
    cluster_isolate(cluster, 2, true);
    cluster_run(cluster, 3000);
    cluster_heal(cluster);
    cluster_run(cluster, 500);
    cr_assert_eq(cluster_leader(cluster), 0);
    cr_assert_eq(raft_term(raft_of(cluster, 0)), term);
    done(cluster);
}

Test(raft, a_killed_leader_is_replaced_within_half_a_second)
{
    struct cluster *cluster = fresh(3);
    cluster->faults = (struct cluster_faults){.delay_ms = 1, .persist_ms = 2};
    for (int round = 0; round < 20; round++) {
        cluster_run(cluster, 1000);
        int old = cluster_leader(cluster);
        cr_assert(old >= 0);
        cluster_crash(cluster, old);
        int64_t waited = 0;
        while (cluster_leader(cluster) < 0 && waited++ < 2000)
            cluster_run(cluster, 1);
        cr_assert(waited < 900, "took %ld ms", (long)waited);
        cluster_start(cluster, old);
    }
    done(cluster);
}

Test(raft, a_refused_connection_starts_the_election_at_once)
{
    struct cluster *cluster = fresh(3);
    cluster->faults = (struct cluster_faults){.delay_ms = 1, .persist_ms = 2};
    cluster_run(cluster, 1000);
    int old = cluster_leader(cluster);
    cluster_crash(cluster, old);
    for (int i = 0; i < 3; i++)
        if (i != old)
            cluster_step(cluster, i, (struct raft_event){.kind = RAFT_EVENT_PEER_LOST, .peer = old});
    int64_t waited = 0;
    while (cluster_leader(cluster) < 0 && waited++ < 2000)
        cluster_run(cluster, 1);
    cr_assert(waited <= 120, "took %ld ms", (long)waited);
    done(cluster);
}

Test(raft, leadership_is_handed_over_without_waiting)
{
    struct cluster *cluster = fresh(3);
    cluster_elect(cluster, 0);
    cr_assert_eq(cluster_step(cluster, 0, (struct raft_event){.kind = RAFT_EVENT_TRANSFER, .peer = 2}),
                 ST_OK);
    cr_assert_eq(cluster_propose(cluster, 0), ST_NOT_LEADER);
    cluster_settle(cluster);
    cr_assert_eq(cluster_leader(cluster), 2);
    cr_assert_eq(raft_role(raft_of(cluster, 0)), RAFT_FOLLOWER);
    done(cluster);
}

static struct raft_config without(const struct raft_config *config, int at)
{
    struct raft_config result = *config;
    raft_config_remove(&result, at);
    return result;
}

Test(raft, a_configuration_goes_back_with_the_entry_that_brought_it)
{
    struct cluster *cluster = fresh(5);
    cluster_elect(cluster, 0);
    cluster_isolate(cluster, 0, true);
    struct raft_config config = without(raft_config(raft_of(cluster, 0)), 4);
    struct raft_event change = {.kind = RAFT_EVENT_CONFIG, .config = &config};
    cr_assert_eq(cluster_step(cluster, 0, change), ST_OK);
    cluster_settle(cluster);
    cr_assert_eq(raft_config(raft_of(cluster, 0))->count, 4);
    cluster_elect(cluster, 1);
    cr_assert_eq(raft_role(raft_of(cluster, 1)), RAFT_LEADER);
    cluster_heal(cluster);
    cluster->now_ms += 60;
    cluster_step(cluster, 1, (struct raft_event){.kind = RAFT_EVENT_TICK});
    cluster_settle(cluster);
    cr_assert_eq(raft_config(raft_of(cluster, 0))->count, 5, "kept a configuration nobody committed");
    done(cluster);
}

Test(raft, voters_change_one_at_a_time_and_only_after_an_own_entry_is_committed)
{
    struct cluster *cluster = fresh(5);
    cluster_elect(cluster, 0);
    struct raft_config one = without(raft_config(raft_of(cluster, 0)), 4);
    struct raft_config two = without(&one, 3);
    struct raft_event change = {.kind = RAFT_EVENT_CONFIG, .config = &two};
    cr_assert_eq(cluster_step(cluster, 0, change), ST_INVALID);
    change.config = &one;
    cr_assert_eq(cluster_step(cluster, 0, change), ST_OK);
    change.config = &two;
    cr_assert_eq(cluster_step(cluster, 0, change), ST_AGAIN);
    cluster_settle(cluster);
    cr_assert_eq(cluster_step(cluster, 0, change), ST_OK);
    cluster_settle(cluster);
    cr_assert_eq(raft_config(raft_of(cluster, 1))->count, 3);
    done(cluster);
}

Test(raft, a_change_is_refused_before_the_own_no_op_is_committed)
{
    struct cluster *cluster = fresh(3);
    cluster_elect(cluster, 0);
    cluster_step(cluster, 0, (struct raft_event){.kind = RAFT_EVENT_TRANSFER, .peer = 1});
    while (raft_role(raft_of(cluster, 1)) != RAFT_LEADER) {
        cluster->faults.delay_ms = 3;
        cluster_run(cluster, 1);
    }
    cr_assert_not(raft_ready(raft_of(cluster, 1)));
    struct raft_config one = without(raft_config(raft_of(cluster, 1)), 2);
    struct raft_event change = {.kind = RAFT_EVENT_CONFIG, .config = &one};
    cr_assert_eq(cluster_step(cluster, 1, change), ST_AGAIN);
    done(cluster);
}

Test(raft, a_leader_that_is_removed_leads_until_that_is_committed)
{
    struct cluster *cluster = fresh(3);
    cluster_elect(cluster, 0);
    struct raft_config one = without(raft_config(raft_of(cluster, 0)), 0);
    struct raft_event change = {.kind = RAFT_EVENT_CONFIG, .config = &one};
    cr_assert_eq(cluster_step(cluster, 0, change), ST_OK);
    cr_assert_eq(raft_role(raft_of(cluster, 0)), RAFT_LEADER);
    cluster_settle(cluster);
    cr_assert_eq(raft_role(raft_of(cluster, 0)), RAFT_FOLLOWER);
    int leader = cluster_leader(cluster);
    cr_assert(leader == 1 || leader == 2);
    done(cluster);
}

// Dissertation, figure 4.6: the only one that has the entry is not in the configuration it brings.
Test(raft, a_leader_that_dies_amid_its_own_removal_brings_it_to_an_end)
{
    struct cluster *cluster = fresh(2);
    cluster_elect(cluster, 0);
    struct raft_config one = without(raft_config(raft_of(cluster, 0)), 0);
    struct raft_event change = {.kind = RAFT_EVENT_CONFIG, .config = &one};
    cluster_isolate(cluster, 0, true);
    cr_assert_eq(cluster_step(cluster, 0, change), ST_OK);
    cluster_settle(cluster);
    cluster_crash(cluster, 0);
    cluster_start(cluster, 0);
    cluster_heal(cluster);
    cluster_run(cluster, 3000);
    cr_assert_eq(cluster_leader(cluster), 1);
    cr_assert_eq(raft_config(raft_of(cluster, 1))->count, 1);
    cr_assert_eq(raft_role(raft_of(cluster, 0)), RAFT_FOLLOWER);
    int64_t term = raft_term(raft_of(cluster, 1));
    cluster_run(cluster, 3000);
    cr_assert_eq(raft_term(raft_of(cluster, 1)), term, "who is out for good disturbs");
    done(cluster);
}

// Node 2 loses its vote; the others go on.
static struct cluster *two_voters(void)
{
    struct cluster *cluster = fresh(3);
    cluster_elect(cluster, 0);
    struct raft_config two = without(raft_config(raft_of(cluster, 0)), 2);
    struct raft_event change = {.kind = RAFT_EVENT_CONFIG, .config = &two};
    cr_assert_eq(cluster_step(cluster, 0, change), ST_OK);
    cluster_settle(cluster);
    cr_assert_eq(raft_config(raft_of(cluster, 2))->count, 2, "does not hear that it has lost its vote");
    cr_assert_eq(cluster_step(cluster, 0, (struct raft_event){.kind = RAFT_EVENT_LEARNERS}), ST_OK);
    return cluster;
}

static struct raft_event learner(struct cluster *cluster, int node)
{
    return (struct raft_event){
        .kind = RAFT_EVENT_LEARNERS, .learners = &cluster->nodes[node].self, .learner_count = 1};
}

Test(raft, a_learner_gets_everything_and_counts_for_nothing)
{
    struct cluster *cluster = two_voters();
    cr_assert_eq(cluster_step(cluster, 0, learner(cluster, 2)), ST_OK);
    cluster_propose(cluster, 0);
    cluster_settle(cluster);
    cr_assert_eq(raft_last_index(raft_of(cluster, 2)), raft_last_index(raft_of(cluster, 0)));
    cluster_isolate(cluster, 1, true);
    int64_t committed = raft_commit(raft_of(cluster, 0));
    cluster_propose(cluster, 0);
    cluster_settle(cluster);
    cr_assert_eq(raft_persisted(raft_of(cluster, 2)), committed + 1);
    cr_assert_eq(raft_commit(raft_of(cluster, 0)), committed, "a learner counted");
    struct raft_event read = {.kind = RAFT_EVENT_READ, .token = 1};
    cr_assert_eq(cluster_step(cluster, 0, read), ST_OK);
    cluster_settle(cluster);
    cr_assert_eq(cluster->counts.reads, 0, "a learner confirmed a read");
    struct raft_event transfer = {.kind = RAFT_EVENT_TRANSFER, .peer = 2};
    cr_assert_eq(cluster_step(cluster, 0, transfer), ST_NOT_FOUND);
    cluster_run(cluster, 1000);
    cr_assert_eq(cluster_leader(cluster), -1, "a learner kept a leader that lost its majority");
    done(cluster);
}

Test(raft, a_voter_is_added_when_it_has_caught_up)
{
    struct cluster *cluster = two_voters();
    struct raft_config three = *raft_config(raft_of(cluster, 0));
    raft_config_insert(&three, cluster->nodes[2].self, "");
    struct raft_event change = {.kind = RAFT_EVENT_CONFIG, .config = &three};
    cr_assert_eq(cluster_step(cluster, 0, change), ST_LOADING);
    cluster_isolate(cluster, 2, true);
    cr_assert_eq(cluster_step(cluster, 0, learner(cluster, 2)), ST_OK);
    cluster_settle(cluster);
    cr_assert_eq(cluster_step(cluster, 0, change), ST_LOADING);
    cluster_heal(cluster);
    cluster_run(cluster, 100);
    cr_assert(raft_caught_up(raft_of(cluster, 0), cluster->nodes[2].self));
    cr_assert_eq(cluster_step(cluster, 0, change), ST_OK);
    cluster_settle(cluster);
    cluster_isolate(cluster, 1, true);
    cluster_propose(cluster, 0);
    cluster_settle(cluster);
    cr_assert_eq(raft_commit(raft_of(cluster, 0)), raft_last_index(raft_of(cluster, 0)));
    done(cluster);
}

// A learner that stops is no obstacle, but is not taken for one that keeps up.
Test(raft, a_learner_that_is_silent_has_not_caught_up)
{
    struct cluster *cluster = two_voters();
    cluster_step(cluster, 0, learner(cluster, 2));
    cluster_run(cluster, 100);
    cr_assert(raft_caught_up(raft_of(cluster, 0), cluster->nodes[2].self));
    cluster_isolate(cluster, 2, true);
    cluster_run(cluster, 500);
    cr_assert_eq(cluster_leader(cluster), 0);
    cr_assert_not(raft_caught_up(raft_of(cluster, 0), cluster->nodes[2].self));
    struct raft_voter who;
    cr_assert_eq(raft_leader(raft_of(cluster, 2)).id, -1, "names a leader that it has not heard for long");
    cr_assert(raft_learner(raft_of(cluster, 0), 0, &who) && who.id == 2);
    cr_assert_not(raft_learner(raft_of(cluster, 0), 1, &who));
    done(cluster);
}

Test(raft, addresses_change_like_a_voter)
{
    struct cluster *cluster = fresh(3);
    cluster_elect(cluster, 0);
    struct raft_config same = *raft_config(raft_of(cluster, 0));
    struct raft_event change = {.kind = RAFT_EVENT_CONFIG, .config = &same};
    cr_assert_eq(cluster_step(cluster, 0, change), ST_INVALID);
    strcpy(same.endpoints[1], "tcp://somewhere:1");
    cr_assert_eq(cluster_step(cluster, 0, change), ST_OK);
    cluster_settle(cluster);
    cr_assert_str_eq(raft_config(raft_of(cluster, 2))->endpoints[1], "tcp://somewhere:1");
    done(cluster);
}

Test(raft, a_read_waits_for_a_round_of_heartbeats)
{
    struct cluster *cluster = fresh(3);
    cluster_elect(cluster, 0);
    cluster_isolate(cluster, 0, true);
    struct raft_event read = {.kind = RAFT_EVENT_READ, .token = 1};
    cr_assert_eq(cluster_step(cluster, 0, read), ST_OK);
    cluster_settle(cluster);
    cr_assert_eq(cluster->counts.reads, 0);
    cluster_heal(cluster);
    cluster->now_ms += 60;
    cluster_step(cluster, 0, (struct raft_event){.kind = RAFT_EVENT_TICK});
    cluster_settle(cluster);
    cr_assert_eq(cluster->counts.reads, 1);
    done(cluster);
}

Test(raft, a_follower_too_far_behind_gets_the_snapshot)
{
    struct cluster *cluster = fresh(3);
    cluster_elect(cluster, 0);
    cluster_isolate(cluster, 2, true);
    for (int i = 0; i < 40; i++)
        cluster_propose(cluster, 0);
    cluster_settle(cluster);
    cluster_snapshot(cluster, 0);
    cr_assert_gt(raft_first_index(raft_of(cluster, 0)), 30);
    cluster_heal(cluster);
    cluster_run(cluster, 500);
    cr_assert_eq(cluster->counts.installs, 1);
    cr_assert_eq(raft_commit(raft_of(cluster, 2)), raft_commit(raft_of(cluster, 0)));
    done(cluster);
}

static struct raft_message chunk_message(struct cluster *cluster, int from, int64_t term, int64_t offset)
{
    struct raft_message chunk = from_to(cluster, RAFT_CHUNK, from, 2);
    chunk.term = term;
    chunk.index = 50;
    chunk.log_term = 2;
    chunk.config = *raft_config(raft_of(cluster, 2));
    chunk.offset = offset;
    chunk.data = slice_of("12345678", 8);
    return chunk;
}

// Bytes of two leaders' snapshots are never mixed, and a term that moves on while an installation is on its
// way to the disk neither loses it nor lets the node claim what is not there yet.
Test(raft, a_snapshot_that_races_a_term_change)
{
    struct cluster *cluster = fresh(3);
    struct raft *raft = raft_of(cluster, 2);
    struct raft_message chunk = chunk_message(cluster, 0, 2, 0);
    receive(cluster, &chunk);
    cr_assert_eq(sent(cluster, RAFT_CHUNK_REPLY)->offset, 8);
    chunk = chunk_message(cluster, 1, 3, 8);
    receive(cluster, &chunk);
    cr_assert_not(cluster->out.has_chunk);
    cr_assert_eq(sent(cluster, RAFT_CHUNK_REPLY)->offset, 0);
    struct raft_updates *out = &cluster->out;
    struct raft_event event = {.kind = RAFT_EVENT_MESSAGE, .now_ms = cluster->now_ms, .message = &chunk};
    chunk = chunk_message(cluster, 1, 3, 0);
    chunk.done = true;
    raft_step(raft, &event, out);
    cr_assert(out->has_chunk && out->chunk.done);
    uint64_t install = out->persist;
    cr_assert_eq(raft_commit(raft), 50);
    cr_assert_null(sent(cluster, RAFT_APPEND_REPLY), "acknowledged before it is durable");
    struct raft_message vote = from_to(cluster, RAFT_VOTE, 0, 2);
    vote.term = 9;
    vote.transfer = true;
    vote.index = 49;
    vote.log_term = 2;
    event.message = &vote;
    raft_step(raft, &event, out);
    cr_assert_not(sent(cluster, RAFT_VOTE_REPLY)->granted, "forgot what it has been given");
    event = (struct raft_event){.kind = RAFT_EVENT_TICK, .now_ms = cluster->now_ms + 5000};
    raft_step(raft, &event, out);
    cr_assert_eq(sent(cluster, RAFT_PRE_VOTE)->index, 0, "claimed what is not durable");
    event = (struct raft_event){
        .kind = RAFT_EVENT_PERSISTED, .now_ms = cluster->now_ms + 5000, .sequence = install};
    raft_step(raft, &event, out);
    cr_assert_eq(raft_persisted(raft), 50);
    raft_destroy(&cluster->nodes[2].raft);
    done(cluster);
}

Test(raft, an_append_that_makes_no_sense_is_dropped)
{
    struct cluster *cluster = fresh(3);
    struct raft_message append = from_to(cluster, RAFT_APPEND, 0, 1);
    struct raft_entry entry = {.index = 7, .term = 1, .kind = RAFT_ENTRY_NOOP};
    append.index = 1;
    append.log_term = 1;
    append.entries = &entry;
    append.entry_count = 1;
    receive(cluster, &append);
    entry = (struct raft_entry){.index = 2, .term = 1, .kind = RAFT_ENTRY_CONFIG};
    receive(cluster, &append);
    entry = (struct raft_entry){.index = 2, .term = 99, .kind = RAFT_ENTRY_NOOP};
    receive(cluster, &append);
    cr_assert_eq(raft_last_index(raft_of(cluster, 1)), 1);
    done(cluster);
}

Test(raft, a_leader_takes_nothing_from_another_leader_of_its_term)
{
    struct cluster *cluster = fresh(3);
    cluster_elect(cluster, 0);
    struct raft_message forged = from_to(cluster, RAFT_APPEND, 1, 0);
    forged.term = raft_term(raft_of(cluster, 0));
    receive(cluster, &forged);
    forged.kind = RAFT_CHUNK;
    receive(cluster, &forged);
    cr_assert_eq(raft_role(raft_of(cluster, 0)), RAFT_LEADER);
    done(cluster);
}

Test(raft, what_waits_for_commitment_is_bounded)
{
    struct cluster *cluster = fresh(3);
    cluster_elect(cluster, 0);
    cluster_isolate(cluster, 0, true);
    struct block *blocks[64];
    for (int i = 0; i < 64; i++)
        blocks[i] = block_copy(slice_of("x", 1));
    struct raft_event event = {
        .kind = RAFT_EVENT_PROPOSE, .now_ms = cluster->now_ms, .blocks = blocks, .block_count = 64};
    struct raft_updates out;
    raft_updates_init(&out);
    int accepted = 0;
    while (raft_step(raft_of(cluster, 0), &event, &out) == ST_OK)
        accepted += 64;
    cr_assert_eq(accepted, RAFT_UNCOMMITTED_MAX);
    raft_updates_fini(&out);
    for (int i = 0; i < 64; i++)
        block_unref(&blocks[i]);
    raft_destroy(&cluster->nodes[0].raft);
    done(cluster);
}

Test(raft, a_configuration_survives_its_encoding_and_nothing_else_does)
{
    struct raft_config config = {.count = 2, .voters = {{.id = 1}, {.id = 3}}}, back;
    struct block *block = raft_config_encode(&config);
    cr_assert_eq(raft_config_decode(block_slice(block), &back), ST_OK);
    cr_assert_eq(back.count, 2);
    cr_assert_eq(back.voters[1].id, 3);
    for (size_t len = 0; len < block->len; len++)
        cr_assert_eq(raft_config_decode(slice_of(block->data, len), &back), ST_MALFORMED);
    block->data[5] = 3; // both voters 3
    cr_assert_eq(raft_config_decode(block_slice(block), &back), ST_MALFORMED);
    block_unref(&block);
}

Test(raft, addresses_survive_the_encoding_of_a_configuration)
{
    struct raft_config config = {0}, back;
    raft_config_insert(&config, (struct raft_voter){.id = 3}, "tcp://c:3");
    raft_config_insert(&config, (struct raft_voter){.id = 1}, "tcp://a:1");
    struct block *block = raft_config_encode(&config);
    cr_assert_eq(raft_config_decode(block_slice(block), &back), ST_OK);
    cr_assert_eq(back.voters[0].id, 1);
    cr_assert_str_eq(back.endpoints[0], "tcp://a:1");
    cr_assert_str_eq(back.endpoints[1], "tcp://c:3");
    for (size_t len = 0; len < block->len; len++)
        cr_assert_eq(raft_config_decode(slice_of(block->data, len), &back), ST_MALFORMED);
    block->data[block->len - 1] = '\n';
    cr_assert_eq(raft_config_decode(block_slice(block), &back), ST_MALFORMED);
    block_unref(&block);
    raft_config_remove(&config, 0);
    cr_assert_str_eq(config.endpoints[0], "tcp://c:3");
    cr_assert_eq(raft_config_find_id(&config, 1), -1);
}

Test(raft, an_address_longer_than_allowed_is_refused)
{
    struct raft_config config = {0}, back;
    char longest[RAFT_ENDPOINT_SIZE];
    memset(longest, 'x', sizeof longest - 1);
    memcpy(longest, "tcp://", 6);
    longest[sizeof longest - 1] = 0;
    for (int i = 0; i < RAFT_VOTERS_MAX; i++)
        raft_config_insert(&config, (struct raft_voter){.id = i}, longest);
    struct block *block = raft_config_encode(&config);
    cr_assert_eq(raft_config_decode(block_slice(block), &back), ST_OK);
    cr_assert_str_eq(back.endpoints[6], longest);
    block->data[23]++; // one byte more for the first, taken from the next voter
    cr_assert_eq(raft_config_decode(block_slice(block), &back), ST_MALFORMED);
    block_unref(&block);
}
