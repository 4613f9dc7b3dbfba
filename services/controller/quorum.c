// SPDX-License-Identifier: Apache-2.0
// See quorum.h. A step's updates are carried out in the core's order: persistence is queued, messages that
// may leave at once leave, the others wait for their persistence here. Messages are one-way calls: Raft
// repeats what is lost. A lost lane is probed; when the peer's port refuses, its process is gone and an
// election need not wait for a timeout.
#include "quorum.h"

#include "base/assert.h"
#include "base/mem.h"
#include "raft_wire.h"

enum {
    ARENA_MAX = 4 << 20,
    HELD_MAX = 4096 // messages waiting for the disk; beyond it the oldest is dropped, Raft repeats it
};

struct peer {
    struct quorum *quorum;
    int32_t id;
    const char *endpoint;
    struct rpc_peer *rpc;
    bool probing;
};

struct held {
    struct held *next;
    struct raft_message message;
};

struct chunk_send { // outlives the quorum when a read is under way
    struct quorum *quorum;
    struct raft_message message;
    struct chunk_send *next;
};

struct probe { // outlives the quorum too
    struct quorum *quorum;
    int32_t id;
    struct probe *next;
};

struct quorum {
    struct quorum_options options;
    struct raft *raft;
    struct raft_updates out;
    struct timer timer;
    struct peer peers[RAFT_VOTERS_MAX];
    int peer_count;
    uint64_t durable;
    struct held *held, **held_tail;
    int held_count;
    bool installing;
    bool started;
    struct chunk_send *chunks;
    struct probe *probes;
};

static enum status step(struct quorum *quorum, struct raft_event event);

static struct peer *peer_of(struct quorum *quorum, int32_t id)
{
    for (int i = 0; i < quorum->peer_count; i++)
        if (quorum->peers[i].id == id)
            return &quorum->peers[i];
    return NULL;
}

// ---- messages out ----

static void transmit(struct quorum *quorum, const struct raft_message *message, struct block *chunk)
{
    struct peer *peer = peer_of(quorum, message->to.id);
    if (peer == NULL)
        return;
    struct arena arena;
    struct block *payload = NULL;
    arena_init(&arena, ARENA_MAX);
    Millrace__RaftMessage *wire = raft_wire_pack(&arena, message, &payload);
    if (chunk != NULL)
        payload = block_ref(chunk);
    if (wire != NULL) {
        struct rpc_options options = {.payload = &payload, .payload_count = payload != NULL ? 1 : 0};
        ProtobufCService *service = rpc_on(peer->rpc, &millrace__controller__descriptor, &options);
        millrace__controller__raft(service, wire, NULL, NULL);
    }
    block_unref(&payload);
    arena_fini(&arena);
}

static void chunk_unlink(struct chunk_send *send)
{
    struct chunk_send **at = &send->quorum->chunks;
    while (*at != send)
        at = &(*at)->next;
    *at = send->next;
}

static void on_chunk(void *context, struct block *block, bool last)
{
    struct chunk_send *send = context;
    if (send->quorum != NULL) {
        chunk_unlink(send);
        send->message.done = last;
        if (block != NULL)
            transmit(send->quorum, &send->message, block);
    }
    mem_free(send);
}

static void send_message(struct quorum *quorum, const struct raft_message *message)
{
    if (message->kind != RAFT_CHUNK) {
        transmit(quorum, message, NULL);
        return;
    }
    struct chunk_send *send = mem_calloc(1, sizeof *send);
    *send = (struct chunk_send){.quorum = quorum, .message = *message, .next = quorum->chunks};
    quorum->chunks = send;
    store_read_chunk(quorum->options.store, message->index, message->offset, on_chunk, send);
}

static void held_drop(struct quorum *quorum)
{
    struct held *held = quorum->held;
    quorum->held = held->next;
    if (quorum->held == NULL)
        quorum->held_tail = &quorum->held;
    quorum->held_count--;
    mem_free(held);
}

static void hold(struct quorum *quorum, const struct raft_message *message)
{
    ASSERT(message->entry_count == 0); // entries would dangle; those messages never wait
    if (quorum->held_count == HELD_MAX)
        held_drop(quorum);
    struct held *held = mem_calloc(1, sizeof *held);
    held->message = *message;
    *quorum->held_tail = held;
    quorum->held_tail = &held->next;
    quorum->held_count++;
}

// ---- steps ----

static void carry_out(struct quorum *quorum)
{
    struct raft_updates *out = &quorum->out;
    if (out->has_chunk && out->chunk.done)
        quorum->installing = true;
    if (out->persist != 0)
        store_write(quorum->options.store, quorum->raft, out);
    for (int i = 0; i < out->message_count; i++) {
        if (out->messages[i].after <= quorum->durable)
            send_message(quorum, &out->messages[i]);
        else
            hold(quorum, &out->messages[i]);
    }
    for (int i = 0; i < out->read_count; i++)
        quorum->options.on_read(quorum->options.context, out->reads[i].token);
}

static void arm(struct quorum *quorum)
{
    int64_t wait = raft_deadline_ms(quorum->raft) - env_now_ms(quorum->options.env);
    if (quorum->started)
        timer_start_ms(quorum->options.env, &quorum->timer, wait > 0 ? wait : 0);
}

static enum status step(struct quorum *quorum, struct raft_event event)
{
    event.now_ms = env_now_ms(quorum->options.env);
    enum status status = raft_step(quorum->raft, &event, &quorum->out);
    carry_out(quorum);
    arm(quorum);
    return status;
}

static void step_and_tell(struct quorum *quorum, struct raft_event event)
{
    step(quorum, event);
    quorum->options.on_step(quorum->options.context);
}

static void on_timer(struct timer *timer)
{
    step_and_tell(timer->context, (struct raft_event){.kind = RAFT_EVENT_TICK});
}

enum status quorum_propose(struct quorum *quorum, struct block *const *blocks, int count, int64_t *first)
{
    enum status status =
        step(quorum, (struct raft_event){.kind = RAFT_EVENT_PROPOSE, .blocks = blocks, .block_count = count});
    *first = quorum->out.proposed;
    return status;
}

enum status quorum_read(struct quorum *quorum, uint64_t token)
{
    return step(quorum, (struct raft_event){.kind = RAFT_EVENT_READ, .token = token});
}

enum status quorum_configure(struct quorum *quorum, const struct raft_config *config)
{
    return step(quorum, (struct raft_event){.kind = RAFT_EVENT_CONFIG, .config = config});
}

enum status quorum_transfer(struct quorum *quorum, int32_t to)
{
    return step(quorum, (struct raft_event){.kind = RAFT_EVENT_TRANSFER, .peer = to});
}

void quorum_durable(struct quorum *quorum, uint64_t durable)
{
    quorum->durable = durable;
    while (quorum->held != NULL && quorum->held->message.after <= durable) {
        send_message(quorum, &quorum->held->message);
        held_drop(quorum);
    }
    step_and_tell(quorum, (struct raft_event){.kind = RAFT_EVENT_PERSISTED, .sequence = durable});
}

void quorum_installed(struct quorum *quorum)
{
    quorum->installing = false;
}

void quorum_snapshot_done(struct quorum *quorum, int64_t index)
{
    step_and_tell(quorum, (struct raft_event){.kind = RAFT_EVENT_SNAPSHOT, .index = index});
}

void quorum_receive(struct quorum *quorum, const Millrace__RaftMessage *wire, struct block *payload)
{
    struct arena arena;
    struct raft_message message;
    arena_init(&arena, ARENA_MAX);
    struct slice bytes = payload != NULL ? block_slice(payload) : slice_of("", 0);
    enum status status = raft_wire_unpack(&arena, wire, bytes, &message);
    if (status == ST_OK) {
        step_and_tell(quorum, (struct raft_event){.kind = RAFT_EVENT_MESSAGE, .message = &message});
        raft_wire_release(&message);
    } else {
        DIAG_WARN(&quorum->options.env->diag, "dropped a raft message that makes no sense: %s",
                  status_text(status));
    }
    arena_fini(&arena);
}

// ---- peers ----

static void on_probe(void *context, enum status status)
{
    struct probe *probe = context;
    struct quorum *quorum = probe->quorum;
    if (quorum != NULL) {
        struct probe **at = &quorum->probes;
        while (*at != probe)
            at = &(*at)->next;
        *at = probe->next;
        peer_of(quorum, probe->id)->probing = false;
        if (status == ST_UNREACHABLE)
            step_and_tell(quorum, (struct raft_event){.kind = RAFT_EVENT_PEER_LOST, .peer = probe->id});
    }
    mem_free(probe);
}

static void on_lane(struct rpc_peer *rpc, enum rpc_lane lane, enum transport_state state, void *context)
{
    struct peer *peer = context;
    if (lane != RPC_CONTROL || state != TRANSPORT_LOST || peer->probing)
        return;
    struct probe *probe = mem_calloc(1, sizeof *probe);
    *probe = (struct probe){.quorum = peer->quorum, .id = peer->id, .next = peer->quorum->probes};
    peer->quorum->probes = probe;
    peer->probing = true;
    rpc_probe(peer->quorum->options.rpc, peer->endpoint, on_probe, probe);
}

static void peers_open(struct quorum *quorum)
{
    const struct voters *voters = quorum->options.voters;
    for (int i = 0; i < voters->count; i++) {
        const struct voters_item *item = &voters->items[i];
        if (item->id == quorum->options.node_id)
            continue;
        struct peer *peer = &quorum->peers[quorum->peer_count++];
        *peer = (struct peer){.quorum = quorum, .id = item->id, .endpoint = item->endpoint};
        peer->rpc = rpc_peer(quorum->options.rpc, item->endpoint,
                             (struct rpc_node){.role = RPC_CONTROLLER, .node = item->id});
        rpc_peer_watch(peer->rpc, on_lane, peer);
    }
}

// ---- life ----

struct quorum *quorum_new(const struct quorum_options *options, const struct store_boot *boot)
{
    struct quorum *quorum = mem_calloc(1, sizeof *quorum);
    quorum->options = *options;
    quorum->held_tail = &quorum->held;
    raft_updates_init(&quorum->out);
    timer_init(&quorum->timer, on_timer, quorum);
    struct raft_start start = {.self = {.id = options->node_id, .directory = store_directory(options->store)},
                               .seed = env_random(options->env),
                               .options = {.election_ms = options->election_ms},
                               .hard = boot->hard,
                               .snapshot = boot->snapshot,
                               .entries = boot->entries,
                               .entry_count = boot->entry_count,
                               .now_ms = env_now_ms(options->env)};
    quorum->raft = raft_new(&start);
    peers_open(quorum);
    return quorum;
}

void quorum_start(struct quorum *quorum)
{
    quorum->started = true;
    arm(quorum);
}

void quorum_destroy(struct quorum **out)
{
    struct quorum *quorum = *out;
    if (quorum == NULL)
        return;
    timer_stop(quorum->options.env, &quorum->timer);
    for (int i = 0; i < quorum->peer_count; i++) {
        rpc_peer_watch(quorum->peers[i].rpc, NULL, NULL);
        rpc_peer_release(&quorum->peers[i].rpc);
    }
    for (struct chunk_send *send = quorum->chunks; send != NULL; send = send->next)
        send->quorum = NULL;
    for (struct probe *probe = quorum->probes; probe != NULL; probe = probe->next)
        probe->quorum = NULL;
    while (quorum->held != NULL)
        held_drop(quorum);
    raft_updates_fini(&quorum->out);
    raft_destroy(&quorum->raft);
    mem_free(quorum);
    *out = NULL;
}

const struct raft *quorum_raft(const struct quorum *quorum)
{
    return quorum->raft;
}

bool quorum_installing(const struct quorum *quorum)
{
    return quorum->installing;
}
