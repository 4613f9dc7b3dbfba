// SPDX-License-Identifier: Apache-2.0
// See joining.h.
#include "joining.h"

#include "base/mem.h"
#include "cluster/controllers.h"
#include "formation.h"
#include "seeking.h"
#include "voter_set.h"

enum {
    SOON_MS = 100,     // while the directory is empty
    LATER_MS = 300,    // while there is something to be said: no vote, or another address than in the log
    TIMEOUT_MS = 1000, // of one call, redirections included
    ENDPOINTS_MAX = 16 * 1024
};

struct joining {
    struct controller *controller;
    struct timer timer;
    struct controllers *client; // NULL: nobody to ask
    int64_t config_index;       // of the voter set it was made with
    struct controllers_pending *call;
    struct seeking *seeking;
};

static const char seeds_key[] = "controller.quorum.bootstrap.servers";

static bool is_self(const struct controller *controller, const char *address)
{
    static const char scheme[] = "tcp://";
    const char *own = controller->endpoint;
    if (strncmp(address, scheme, sizeof scheme - 1) == 0)
        address += sizeof scheme - 1;
    return own[0] != 0 && strcmp(own + sizeof scheme - 1, address) == 0;
}

static int other_seeds(const struct controller *controller)
{
    int count = 0;
    for (size_t i = 0; i < config_list_count(controller->config, seeds_key); i++)
        count += !is_self(controller, config_list_at(controller->config, seeds_key, i));
    return count;
}

bool joining_waits(const struct controller *controller)
{
    return !controller->voters.given && other_seeds(controller) > 0;
}

static void put(struct buf *text, const struct controller *controller, const char *address)
{
    if (address[0] != 0 && !is_self(controller, address))
        buf_printf(text, "%s%s", text->len > 0 ? "," : "", address);
}

// Everybody who may know the active controller.
static void client_make(struct joining *joining)
{
    struct controller *controller = joining->controller;
    const struct raft *raft = controller->quorum != NULL ? quorum_raft(controller->quorum) : NULL;
    struct buf text;
    buf_init(&text, ENDPOINTS_MAX);
    for (size_t i = 0; i < config_list_count(controller->config, seeds_key); i++)
        put(&text, controller, config_list_at(controller->config, seeds_key, i));
    for (int i = 0; i < controller->voters.count; i++)
        put(&text, controller, controller->voters.items[i].endpoint);
    for (int i = 0; raft != NULL && i < raft_config(raft)->count; i++)
        put(&text, controller, raft_config(raft)->endpoints[i]);
    controllers_destroy(&joining->client);
    joining->config_index = raft != NULL ? raft_config_index(raft) : -1;
    if (text.len > 0 && buf_append(&text, "", 1) == ST_OK)
        controllers_new(controller->env, controller->rpc, (const char *)text.data, &joining->client);
    buf_fini(&text);
}

static bool client_stale(const struct joining *joining)
{
    const struct quorum *quorum = joining->controller->quorum;
    int64_t now = quorum != NULL ? raft_config_index(quorum_raft(quorum)) : -1;
    return joining->client == NULL || joining->config_index != now;
}

// Whether formation.h looks after this one: configured controllers of a static quorum know one another.
static bool is_static(const struct controller *controller)
{
    if (!controller->voters.given)
        return false;
    return controller->quorum == NULL ||
           (raft_config(quorum_raft(controller->quorum))->count > 0 && !voter_set_dynamic(controller));
}

// Whether the active controller would learn something.
static bool has_news(const struct controller *controller)
{
    if (controller->quorum == NULL)
        return true;
    const struct raft *raft = quorum_raft(controller->quorum);
    int at = raft_config_find(raft_config(raft), raft_self(raft));
    // Without a leader it may have lost its vote while it was away.
    return raft_role(raft) != RAFT_LEADER &&
           (at < 0 || raft_leader(raft).id < 0 ||
            strcmp(raft_config(raft)->endpoints[at], controller->endpoint) != 0);
}

static void on_observed(void *context, enum status status, const ProtobufCMessage *reply,
                        struct slice payload, const char *text)
{
    struct joining *joining = context;
    struct controller *controller = joining->controller;
    const Millrace__ObserveReply *answer = (const Millrace__ObserveReply *)reply;
    (void)payload;
    (void)text;
    joining->call = NULL;
    if (status == ST_MISMATCH)
        controller->options.on_fail(
            controller->options.context,
            "the data directory belongs to another cluster than the controllers that were asked");
    else if (status == ST_OK && answer->cluster_id.len == 16)
        formation_adopt(controller, answer->cluster_id.data);
}

static void observe(struct joining *joining)
{
    struct controller *controller = joining->controller;
    struct uuid directory = store_directory(controller->store);
    Millrace__ObserveRequest request = MILLRACE__OBSERVE_REQUEST__INIT;
    request.id = controller->node_id;
    request.directory_id = (ProtobufCBinaryData){.len = 16, .data = directory.bytes};
    request.rpc_endpoint = (char *)(uintptr_t)controller->endpoint;
    struct controllers_call call = {.method = "Observe",
                                    .request = &request.base,
                                    .timeout_ms = TIMEOUT_MS,
                                    .idempotent = true,
                                    .done = on_observed,
                                    .context = joining};
    joining->call = controllers_invoke(joining->client, &call);
}

static void on_timer(struct timer *timer)
{
    struct joining *joining = timer->context;
    struct controller *controller = joining->controller;
    timer_start_ms(controller->env, timer, controller->quorum == NULL ? SOON_MS : LATER_MS);
    if (controller->failed)
        return;
    seeking_tick(joining->seeking);
    if (is_static(controller) || !has_news(controller))
        return;
    if (client_stale(joining) && joining->call == NULL)
        client_make(joining);
    if (joining->client == NULL)
        return;
    seeking_ask(joining->seeking, joining->client);
    if (joining->call == NULL)
        observe(joining);
}

struct joining *joining_new(struct controller *controller)
{
    struct joining *joining = mem_calloc(1, sizeof *joining);
    joining->controller = controller;
    joining->seeking = seeking_new(controller);
    timer_init(&joining->timer, on_timer, joining);
    return joining;
}

void joining_start(struct joining *joining)
{
    struct controller *controller = joining->controller;
    if (controller->endpoint[0] != 0)
        timer_start_us(controller->env, &joining->timer, 0);
}

void joining_destroy(struct joining **out)
{
    struct joining *joining = *out;
    if (joining == NULL)
        return;
    timer_stop(joining->controller->env, &joining->timer);
    controllers_cancel(joining->client, &joining->call);
    controllers_destroy(&joining->client);
    seeking_destroy(&joining->seeking);
    mem_free(joining);
    *out = NULL;
}
