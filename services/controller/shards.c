// SPDX-License-Identifier: Apache-2.0
// See shards.h.
#include "shards.h"

#include "base/assert.h"
#include "base/mem.h"
#include "cluster/shard.h"
#include "leases.h"
#include "nodes.h"

static int position(const int32_t *live, int live_count, int32_t id)
{
    for (int i = 0; i < live_count; i++)
        if (live[i] == id)
            return i;
    return -1;
}

void shards_assign(const int32_t *owners, int32_t count, const int32_t *live, int live_count, int32_t *out)
{
    int32_t *load = mem_calloc((size_t)live_count + 1, sizeof *load);
    int32_t share = live_count > 0 ? (count + live_count - 1) / live_count : 0;
    for (int32_t i = 0; i < count; i++) {
        int at = position(live, live_count, owners[i]);
        bool stays = at >= 0 && load[at] < share;
        out[i] = stays ? owners[i] : -1;
        if (stays)
            load[at]++;
    }
    for (int32_t i = 0; i < count && live_count > 0; i++) {
        if (out[i] >= 0)
            continue;
        int least = 0;
        for (int k = 1; k < live_count; k++)
            if (load[k] < load[least])
                least = k;
        out[i] = live[least];
        load[least]++;
    }
    mem_free(load);
}

struct ledger_of {
    const char *topic;
    Millrace__Role role; // of its owners
};

static const struct ledger_of ledgers[] = {
    {SHARD_TOPIC_GROUPS, MILLRACE__ROLE__ROLE_COORDINATOR},
    {SHARD_TOPIC_TRANSACTIONS, MILLRACE__ROLE__ROLE_COORDINATOR},
    {SHARD_TOPIC_SHARE, MILLRACE__ROLE__ROLE_COORDINATOR},
    {SHARD_TOPIC_SCHEMAS, MILLRACE__ROLE__ROLE_REGISTRY},
    {SHARD_TOPIC_KEYS, MILLRACE__ROLE__ROLE_REGISTRY},
};
enum { LEDGERS = sizeof ledgers / sizeof *ledgers };

bool shards_owned_by(Millrace__Role role)
{
    for (int i = 0; i < LEDGERS; i++)
        if (ledgers[i].role == role)
            return true;
    return false;
}

// What a settlement looks at.
struct view {
    struct controller *controller;
    struct decision *decision;
    enum shards_event event;
    int32_t node;
    Millrace__Role role; // whose ledger is settled now
    int32_t *live;       // nodes of that role, ascending
    int live_count;
};

static void find_live(struct view *view)
{
    const struct image *image = metadata_image(view->controller->metadata);
    bool goes = view->event == SHARDS_DEAD || view->event == SHARDS_CUT;
    view->live_count = 0;
    view->live = arena_calloc(&view->decision->arena, image_node_count(image) + 1, sizeof *view->live);
    ASSERT(view->live != NULL);
    for (size_t i = 0; i < image_node_count(image); i++) {
        const struct image_node *node = image_node_at(image, i);
        bool named = node->id == view->node;
        bool live = named && view->event != SHARDS_NONE ? !goes : !node->fenced;
        if (node->role == view->role && live)
            view->live[view->live_count++] = node->id;
    }
}

// Whether nobody serves what was taken away at this offset: every node of the role knows of it, or its lease
// is over. An owner that reads from a stale image would answer with offsets that are no longer the newest.
static bool known_to_all(const struct view *view, int64_t offset)
{
    const struct controller *controller = view->controller;
    const struct image *image = metadata_image(controller->metadata);
    int64_t now = env_now_ms(controller->env);
    for (size_t i = 0; i < controller->nodes->count; i++) {
        const struct lease *lease = &controller->nodes->items[i];
        const struct image_node *node = image_node(image, lease->id);
        if (node != NULL && node->role == view->role && now < lease->until_ms && lease->reported < offset)
            return false;
    }
    return true;
}

// Whether the owner may be serving right now.
static bool serves(const struct view *view, int32_t owner)
{
    if (owner < 0 || (view->event == SHARDS_DEAD && owner == view->node))
        return false;
    return (view->event == SHARDS_CUT && owner == view->node) ||
           position(view->live, view->live_count, owner) >= 0;
}

static void settle_shard(const struct view *view, const char *topic, int32_t index, int32_t next)
{
    const struct image_shard *shard = image_shard(metadata_image(view->controller->metadata), topic, index);
    int32_t owner = shard != NULL ? shard->owner : -1, epoch = shard != NULL ? shard->owner_epoch + 1 : 0;
    if (next == owner)
        return;
    if (serves(view, owner))
        next = -1;
    else if (shard != NULL && owner < 0 && !known_to_all(view, shard->offset))
        return;
    decision_shard(view->decision, topic, index, next, epoch);
}

static void settle_topic(const struct view *view, const char *name)
{
    const struct image *image = metadata_image(view->controller->metadata);
    const struct image_topic *topic = image_topic_named(image, name);
    if (topic == NULL || topic->partition_count == 0)
        return;
    int32_t count = (int32_t)topic->partition_count;
    int32_t *owners = arena_calloc(&view->decision->arena, (size_t)count * 2, sizeof *owners);
    ASSERT(owners != NULL);
    int32_t *next = owners + count;
    for (int32_t i = 0; i < count; i++) {
        const struct image_shard *shard = image_shard(image, name, i);
        owners[i] = shard != NULL ? shard->owner : -1;
    }
    shards_assign(owners, count, view->live, view->live_count, next);
    for (int32_t i = 0; i < count; i++)
        settle_shard(view, name, i, next[i]);
}

void shards_settle(struct controller *controller, struct decision *decision, enum shards_event event,
                   int32_t node)
{
    struct view view = {.controller = controller, .decision = decision, .event = event, .node = node};
    for (int i = 0; i < LEDGERS; i++) {
        if (i == 0 || ledgers[i].role != view.role) {
            view.role = ledgers[i].role;
            find_live(&view);
        }
        settle_topic(&view, ledgers[i].topic);
    }
}

void shards_give(struct controller *controller)
{
    struct decision decision;
    decision_init(&decision);
    shards_settle(controller, &decision, SHARDS_NONE, -1);
    controller_decide(controller, &decision, "owners of shards");
    decision_fini(&decision);
}

static bool topic_given(const struct image *image, const char *name)
{
    const struct image_topic *topic = image_topic_named(image, name);
    for (size_t i = 0; topic != NULL && i < topic->partition_count; i++) {
        const struct image_shard *shard = image_shard(image, name, (int32_t)i);
        if (shard == NULL || shard->owner < 0)
            return false;
    }
    return true;
}

bool shards_given(const struct controller *controller)
{
    const struct image *image = metadata_image(controller->metadata);
    for (int i = 0; i < LEDGERS; i++)
        if (nodes_live(controller, ledgers[i].role) > 0 && !topic_given(image, ledgers[i].topic))
            return false;
    return true;
}
