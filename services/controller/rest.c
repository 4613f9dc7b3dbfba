// SPDX-License-Identifier: Apache-2.0
// See rest.h.
#include "rest.h"

#include "raft/raft.h"
#include "state.h"

#include <inttypes.h>

enum { ANSWER_MAX = 64 << 10 };

static void put_voter(struct buf *out, const struct controller *controller, int32_t id)
{
    const struct raft *raft = quorum_raft(controller->quorum);
    int64_t match, contact_ms;
    buf_printf(out, "{\"id\":%" PRId32, id);
    if (id == controller->node_id)
        buf_printf(out, ",\"persisted\":%" PRId64 ",\"heard_ms\":0}", raft_persisted(raft));
    else if (raft_progress(raft, id, &match, &contact_ms))
        buf_printf(out, ",\"persisted\":%" PRId64 ",\"heard_ms\":%" PRId64 "}", match,
                   env_now_ms(controller->env) - contact_ms);
    else
        buf_printf(out, ",\"persisted\":null,\"heard_ms\":null}");
}

static void put_quorum(struct buf *out, const struct controller *controller)
{
    static const char *const roles[] = {"follower", "pre-candidate", "candidate", "leader"};
    const struct raft *raft = quorum_raft(controller->quorum);
    const struct raft_config *config = raft_config(raft);
    buf_printf(out,
               "{\"id\":%" PRId32 ",\"role\":\"%s\",\"term\":%" PRId64 ",\"leader\":%" PRId32
               ",\"commit\":%" PRId64 ",\"last\":%" PRId64 ",\"persisted\":%" PRId64 ",\"voters\":[",
               controller->node_id, roles[raft_role(raft)], raft_term(raft), raft_leader(raft).id,
               raft_commit(raft), raft_last_index(raft), raft_persisted(raft));
    for (int i = 0; i < config->count; i++) {
        buf_printf(out, i > 0 ? "," : "");
        put_voter(out, controller, config->voters[i].id);
    }
    buf_printf(out, "]}\n");
}

static void on_quorum(struct http_request *request, void *context)
{
    const struct controller *controller = context;
    if (controller->quorum == NULL) {
        http_reply_error(request, 503, "the cluster is not formed yet");
        return;
    }
    struct buf out;
    buf_init(&out, ANSWER_MAX);
    put_quorum(&out, controller);
    http_reply(request, 200, "application/json", buf_slice(&out));
    buf_fini(&out);
}

const struct http_route controller_routes[] = {{"GET", "/v1/quorum", on_quorum}};
const size_t controller_route_count = sizeof controller_routes / sizeof *controller_routes;
