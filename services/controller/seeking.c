// SPDX-License-Identifier: Apache-2.0
// See seeking.h. What is found counts only for a voter by id and directory; that the process belongs to this
// cluster is checked by the RPC layer.
#include "seeking.h"

#include "base/mem.h"
#include "cluster/controllers.h"

#include <stdio.h>

enum {
    ASK_MS = 1000,
    MISSED_MS = 5000,
    REPEAT_MS = 30000,
    TEXT_MAX = RAFT_VOTERS_MAX * (RAFT_ENDPOINT_SIZE + 16)
};

struct question {
    struct seeking *seeking;
    struct question *next;
    struct rpc_peer *rpc;
};

struct seeking {
    struct controller *controller;
    struct question *open;
    int64_t known_ms; // when a leader was known last
    int64_t told_ms;  // when its absence was told last, -1: not yet
};

static bool leaderless(const struct seeking *seeking)
{
    const struct quorum *quorum = seeking->controller->quorum;
    return quorum != NULL && raft_config(quorum_raft(quorum))->count > 0 &&
           raft_leader(quorum_raft(quorum)).id < 0;
}

// ---- asking ----

static void question_end(struct question *question)
{
    struct question **at = &question->seeking->open;
    while (*at != question)
        at = &(*at)->next;
    *at = question->next;
    rpc_peer_release(&question->rpc);
    mem_free(question);
}

static void note(struct controller *controller, const Millrace__ProbeReply *reply, const char *endpoint)
{
    struct raft_voter voter = {.id = reply->id};
    if (controller->quorum == NULL || reply->directory_id.len != 16 || strlen(endpoint) >= RAFT_ENDPOINT_SIZE)
        return;
    memcpy(voter.directory.bytes, reply->directory_id.data, 16);
    const struct quorum *quorum = controller->quorum;
    if (raft_config_find(raft_config(quorum_raft(quorum)), voter) < 0 ||
        strcmp(reach_endpoint(quorum_reach(quorum), voter.id), endpoint) == 0)
        return;
    DIAG_INFO(&controller->env->diag, "voter %d is found at %s", voter.id, endpoint);
    reach_note(quorum_reach(quorum), voter.id, endpoint);
}

static void on_answer(const Millrace__ProbeReply *reply, void *context)
{
    struct question *question = context;
    struct seeking *seeking = question->seeking;
    if (reply != NULL && leaderless(seeking))
        note(seeking->controller, reply, rpc_peer_endpoint(question->rpc));
    question_end(question);
}

static void ask(struct seeking *seeking, const char *endpoint)
{
    struct controller *controller = seeking->controller;
    struct uuid directory = store_directory(controller->store);
    Millrace__ProbeRequest request = MILLRACE__PROBE_REQUEST__INIT;
    request.id = controller->node_id;
    request.directory_id = (ProtobufCBinaryData){.len = 16, .data = directory.bytes};
    struct rpc_options options = {.deadline_ms = ASK_MS};
    struct question *question = mem_calloc(1, sizeof *question);
    *question = (struct question){.seeking = seeking, .next = seeking->open};
    question->rpc = rpc_peer(controller->rpc, endpoint, (struct rpc_node){RPC_CONTROLLER, -1});
    seeking->open = question;
    millrace__controller__probe(rpc_on(question->rpc, &millrace__controller__descriptor, &options), &request,
                                on_answer, question);
}

void seeking_ask(struct seeking *seeking, const struct controllers *addresses)
{
    if (seeking->open != NULL || !leaderless(seeking))
        return;
    for (size_t i = 0; i < controllers_count(addresses); i++)
        ask(seeking, controllers_endpoint(addresses, i));
}

// ---- telling ----

static void tell(const struct seeking *seeking, int64_t missed_ms)
{
    const struct controller *controller = seeking->controller;
    const struct raft_config *config = raft_config(quorum_raft(controller->quorum));
    struct buf text;
    buf_init(&text, TEXT_MAX);
    for (int i = 0; i < config->count; i++) {
        int32_t id = config->voters[i].id;
        const char *endpoint =
            id == controller->node_id ? "here" : reach_endpoint(quorum_reach(controller->quorum), id);
        buf_printf(&text, "%s%d at %s", i > 0 ? ", " : "", id,
                   endpoint[0] != 0 ? endpoint : "no known address");
    }
    DIAG_WARN(
        &controller->env->diag,
        "no active controller for %lld s: a majority of the voters does not answer (%.*s); where voters "
        "have moved to is asked at controller.quorum.bootstrap.servers and controller.quorum.voters",
        (long long)missed_ms / 1000, (int)text.len, (const char *)text.data);
    buf_fini(&text);
}

void seeking_tick(struct seeking *seeking)
{
    int64_t now = env_now_ms(seeking->controller->env);
    if (!leaderless(seeking)) {
        seeking->known_ms = now;
        seeking->told_ms = -1;
    } else if (now - seeking->known_ms >= MISSED_MS &&
               (seeking->told_ms < 0 || now - seeking->told_ms >= REPEAT_MS)) {
        seeking->told_ms = now;
        tell(seeking, now - seeking->known_ms);
    }
}

// ---- life ----

struct seeking *seeking_new(struct controller *controller)
{
    struct seeking *seeking = mem_calloc(1, sizeof *seeking);
    *seeking =
        (struct seeking){.controller = controller, .known_ms = env_now_ms(controller->env), .told_ms = -1};
    return seeking;
}

void seeking_destroy(struct seeking **out)
{
    struct seeking *seeking = *out;
    *out = NULL;
    while (seeking->open != NULL) {
        rpc_cancel(seeking->controller->rpc, seeking->open);
        question_end(seeking->open);
    }
    mem_free(seeking);
}
