// SPDX-License-Identifier: Apache-2.0
// See formation.h. An empty node asks every configured voter again and again; the answers decide.
#include "formation.h"

#include "base/mem.h"
#include "joining.h"
#include "raft_wire.h"
#include "voter_set.h"

enum {
    ASK_MS = 25,
    ASK_SLOWLY_MS = 1000, // once we are formatted and wait for our vote
    GONE_MS = 2000        // a voter not heard for so long may be exchanged
};

// What is known of one configured voter.
struct other {
    struct formation *formation;
    int32_t id;
    struct rpc_peer *rpc;
    bool asking;
    bool answered, empty;
    bool foreign; // it belongs to another cluster
    struct uuid directory;
    struct uuid cluster;
};

struct formation {
    struct controller *controller;
    struct timer timer;
    struct other others[RAFT_VOTERS_MAX];
    int count;
    struct raft_voter joining; // leader: who asked to be let in; id -1: nobody
};

static bool formatted(const struct controller *controller)
{
    return !uuid_is_zero(store_cluster(controller->store));
}

static struct raft_voter self(const struct controller *controller)
{
    return (struct raft_voter){.id = controller->node_id, .directory = store_directory(controller->store)};
}

static bool has_vote(const struct controller *controller)
{
    return controller->quorum != NULL &&
           raft_config_find(raft_config(quorum_raft(controller->quorum)), self(controller)) >= 0;
}

// ---- deciding ----

// Every configured voter has answered and is empty: the set as it will be. False when that is not so.
static bool everybody_empty(const struct formation *formation, struct raft_config *config)
{
    const struct controller *controller = formation->controller;
    *config = (struct raft_config){0};
    for (int i = 0; i < controller->voters.count; i++) {
        int32_t id = controller->voters.items[i].id;
        struct raft_voter voter = self(controller);
        for (int k = 0; k < formation->count && id != controller->node_id; k++)
            if (formation->others[k].id == id) {
                if (!formation->others[k].answered || !formation->others[k].empty)
                    return false;
                voter = (struct raft_voter){.id = id, .directory = formation->others[k].directory};
            }
        raft_config_insert(config, voter, controller->voters.given ? "" : controller->endpoint);
    }
    return true;
}

static void adopt(struct controller *controller, struct uuid cluster, const struct raft_config *config)
{
    if (formatted(controller))
        return;
    char text[UUID_TEXT_SIZE];
    uuid_format(cluster, text);
    bool votes = raft_config_find(config, self(controller)) >= 0;
    DIAG_INFO(&controller->env->diag, "%s cluster=%s voters=%d", votes ? "forming" : "joining", text,
              config->count);
    enum status status =
        votes ? store_format(controller->store, cluster, config) : store_join(controller->store, cluster);
    if (status == ST_OK)
        controller_form(controller);
    else
        controller->options.on_fail(controller->options.context, "the data directory cannot be formatted");
}

void formation_adopt(struct controller *controller, const uint8_t cluster[16])
{
    struct uuid id;
    memcpy(id.bytes, cluster, 16);
    adopt(controller, id, &(struct raft_config){0});
}

static void decide(struct formation *formation)
{
    struct controller *controller = formation->controller;
    struct raft_config config;
    if (formatted(controller) || joining_waits(controller) || !everybody_empty(formation, &config) ||
        config.voters[0].id != controller->node_id)
        return;
    adopt(controller, env_random_uuid(controller->env), &config);
}

// ---- asking ----

// One of two directories is in the wrong place: whoever disagrees with most of the others stops.
static void on_foreign(struct other *other)
{
    struct formation *formation = other->formation;
    struct controller *controller = formation->controller;
    char text[UUID_TEXT_SIZE];
    int foreign = 0;
    uuid_format(store_cluster(controller->store), text);
    if (!other->foreign)
        DIAG_ERROR(&controller->env->diag,
                   "controller %d belongs to another cluster; this directory belongs to cluster %s",
                   other->id, text);
    other->foreign = true;
    for (int i = 0; i < formation->count; i++)
        foreign += formation->others[i].foreign;
    if (foreign > formation->count / 2)
        controller->options.on_fail(
            controller->options.context,
            "the data directory belongs to another cluster than the other controllers");
}

static void on_answer(const Millrace__ProbeReply *reply, void *context)
{
    struct other *other = context;
    struct controller *controller = other->formation->controller;
    other->asking = false;
    if (reply == NULL && rpc_result(controller->rpc)->status == ST_MISMATCH) {
        on_foreign(other);
        return;
    }
    other->answered = reply != NULL && reply->directory_id.len == 16 && reply->id == other->id;
    if (!other->answered)
        return;
    other->empty = reply->empty;
    memcpy(other->directory.bytes, reply->directory_id.data, 16);
    if (other->empty) {
        decide(other->formation);
        return;
    }
    struct raft_config config;
    if (formatted(controller) || reply->cluster_id.len != 16 ||
        !raft_wire_config_of(reply->voters, reply->n_voters, &config))
        return;
    memcpy(other->cluster.bytes, reply->cluster_id.data, 16);
    adopt(controller, other->cluster, &config);
}

static void ask(struct other *other)
{
    struct controller *controller = other->formation->controller;
    struct uuid directory = store_directory(controller->store);
    Millrace__ProbeRequest request = MILLRACE__PROBE_REQUEST__INIT;
    request.id = controller->node_id;
    request.directory_id = (ProtobufCBinaryData){.len = 16, .data = directory.bytes};
    struct rpc_options options = {.deadline_ms = ASK_SLOWLY_MS};
    other->asking = true;
    millrace__controller__probe(rpc_on(other->rpc, &millrace__controller__descriptor, &options), &request,
                                on_answer, other);
}

static void on_timer(struct timer *timer)
{
    struct formation *formation = timer->context;
    struct controller *controller = formation->controller;
    // Without a leader it may have lost its vote while it was away.
    bool waits = !formatted(controller) || !has_vote(controller) ||
                 raft_leader(quorum_raft(controller->quorum)).id < 0;
    for (int i = 0; i < formation->count; i++)
        if ((waits || !formation->others[i].answered) && !formation->others[i].asking)
            ask(&formation->others[i]);
    if (waits || formation->count > 0) // its vote may be taken from it later
        timer_start_ms(controller->env, &formation->timer, formatted(controller) ? ASK_SLOWLY_MS : ASK_MS);
}

// ---- answering ----

// The voter set the cluster was formed with, as long as the log still begins with it: whoever is in it may
// write the same first entry.
static bool first_config(const struct controller *controller, struct raft_config *config)
{
    if (controller->quorum == NULL)
        return false;
    const struct raft *raft = quorum_raft(controller->quorum);
    if (raft_first_index(raft) != 1 || raft_last_index(raft) < 1)
        return false;
    const struct raft_entry *entry = raft_entry(raft, 1);
    return entry->kind == RAFT_ENTRY_CONFIG && raft_config_decode(block_slice(entry->data), config) == ST_OK;
}

// A configured controller whose directory is not the one that votes asks to be let in.
static void note_joining(struct controller *controller, const Millrace__ProbeRequest *request)
{
    struct raft_voter voter = {.id = request->id};
    if (controller->quorum == NULL || request->directory_id.len != 16 ||
        raft_role(quorum_raft(controller->quorum)) != RAFT_LEADER ||
        voters_find(&controller->voters, request->id) == NULL || request->id == controller->node_id)
        return;
    memcpy(voter.directory.bytes, request->directory_id.data, 16);
    if (raft_config_find(raft_config(quorum_raft(controller->quorum)), voter) >= 0)
        return;
    observers_note(controller, voter);
    if (!voter_set_dynamic(controller)) // else an operator decides
        controller->formation->joining = voter;
}

void formation_probe(struct controller *controller, const Millrace__ProbeRequest *request,
                     Millrace__ProbeReply_Closure closure, struct rpc_call *call)
{
    struct arena arena;
    struct raft_config config;
    arena_init(&arena, 1 << 16);
    note_joining(controller, request);
    struct uuid directory = store_directory(controller->store), cluster = store_cluster(controller->store);
    const struct voters_item *item = voters_find(&controller->voters, controller->node_id);
    Millrace__ProbeReply reply = MILLRACE__PROBE_REPLY__INIT;
    reply.id = controller->node_id;
    reply.directory_id = (ProtobufCBinaryData){.len = 16, .data = directory.bytes};
    reply.empty = !formatted(controller);
    reply.has_cluster_id = !reply.empty;
    reply.cluster_id = (ProtobufCBinaryData){.len = 16, .data = cluster.bytes};
    reply.rpc_endpoint = (char *)(uintptr_t)item->endpoint;
    if (first_config(controller, &config)) {
        reply.voters = raft_wire_config(&arena, &config);
        reply.n_voters = (size_t)config.count;
    }
    closure(&reply, call);
    arena_fini(&arena);
}

// ---- exchanging a voter, on the leader ----

static bool still_heard(const struct controller *controller, int32_t id)
{
    int64_t match, contact_ms;
    return raft_progress(quorum_raft(controller->quorum), id, &match, &contact_ms) &&
           env_now_ms(controller->env) - contact_ms < GONE_MS;
}

void formation_tick(struct controller *controller)
{
    struct raft_voter joining = controller->formation->joining;
    const struct raft *raft = controller->quorum != NULL ? quorum_raft(controller->quorum) : NULL;
    if (joining.id < 0 || raft == NULL || !raft_ready(raft))
        return;
    if (voter_set_dynamic(controller)) { // since it asked: an operator decides now
        controller->formation->joining.id = -1;
        return;
    }
    struct raft_config config = *raft_config(raft);
    int old = raft_config_find_id(&config, joining.id);
    if (old >= 0 && raft_voter_equal(config.voters[old], joining)) {
        controller->formation->joining.id = -1;
        return;
    }
    if (old >= 0 && still_heard(controller, joining.id))
        return; // the old directory is alive: two processes under one id, or not gone yet
    if (!raft_caught_up(raft, joining))
        return; // until then the old one is missed less
    if (old >= 0)
        raft_config_remove(&config, old);
    else if (config.count < RAFT_VOTERS_MAX)
        raft_config_insert(&config, joining, "");
    if (quorum_configure(controller->quorum, &config) == ST_OK)
        DIAG_INFO(&controller->env->diag, "voter %s id=%d", old >= 0 ? "removed" : "added", joining.id);
}

// ---- life ----

struct formation *formation_new(struct controller *controller)
{
    struct formation *formation = mem_calloc(1, sizeof *formation);
    formation->controller = controller;
    formation->joining = (struct raft_voter){.id = -1};
    timer_init(&formation->timer, on_timer, formation);
    for (int i = 0; i < controller->voters.count; i++) {
        const struct voters_item *item = &controller->voters.items[i];
        if (item->id == controller->node_id)
            continue;
        struct other *other = &formation->others[formation->count++];
        *other = (struct other){.formation = formation, .id = item->id};
        other->rpc = rpc_peer(controller->rpc, item->endpoint,
                              (struct rpc_node){.role = RPC_CONTROLLER, .node = item->id});
    }
    return formation;
}

void formation_start(struct formation *formation)
{
    struct controller *controller = formation->controller;
    if (formatted(controller))
        controller_form(controller);
    else
        decide(formation); // at once when this is the only voter
    timer_start_us(controller->env, &formation->timer, 0);
}

void formation_destroy(struct formation **out)
{
    struct formation *formation = *out;
    if (formation == NULL)
        return;
    timer_stop(formation->controller->env, &formation->timer);
    for (int i = 0; i < formation->count; i++) {
        rpc_cancel(formation->controller->rpc, &formation->others[i]);
        rpc_peer_release(&formation->others[i].rpc);
    }
    mem_free(formation);
    *out = NULL;
}
