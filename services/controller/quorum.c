// SPDX-License-Identifier: Apache-2.0
// See quorum.h. A step's updates are carried out in the core's order: persistence is queued, messages that
// may leave at once leave, the others wait for their persistence here. Messages are one-way calls: Raft
// repeats what is lost. When the process of a peer is gone (reach.h) an election need not wait for a timeout.
#include "quorum.h"

#include "base/assert.h"
#include "base/mem.h"
#include "raft_wire.h"

enum {
    ARENA_MAX = 4 << 20,
    HELD_MAX = 4096 // messages waiting for the disk; beyond it the oldest is dropped, Raft repeats it
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

struct quorum {
    struct quorum_options options;
    struct raft *raft;
    struct raft_updates out;
    struct timer timer;
    struct reach *reach;
    int64_t config_index;      // of the configuration whose addresses are noted
    struct raft_config config; // that one
    uint64_t durable;
    struct held *held, **held_tail;
    int held_count;
    bool installing;
    bool started;
    struct chunk_send *chunks;
};

static enum status step(struct quorum *quorum, struct raft_event event);

// ---- messages out ----

static void transmit(struct quorum *quorum, const struct raft_message *message, struct block *chunk)
{
    struct rpc_peer *peer = reach_peer(quorum->reach, message->to.id);
    if (peer == NULL)
        return;
    struct arena arena;
    struct block *payload = NULL;
    arena_init(&arena, ARENA_MAX);
    Millrace__RaftMessage *wire = raft_wire_pack(&arena, message, quorum->options.endpoint, &payload);
    if (chunk != NULL)
        payload = block_ref(chunk);
    if (wire != NULL) {
        struct rpc_options options = {.payload = &payload, .payload_count = payload != NULL ? 1 : 0};
        ProtobufCService *service = rpc_on(peer, &millrace__controller__descriptor, &options);
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

static bool noted(const struct quorum *quorum, int32_t id, const char *endpoint)
{
    int at = raft_config_find_id(&quorum->config, id);
    return at >= 0 && strcmp(quorum->config.endpoints[at], endpoint) == 0;
}

// The addresses of the voter set in the log: whoever is in it must be reached from now on. What it said
// before counts no more: of several voters that move at once the log learns one after the other, and those
// that are still to come are where they say in their messages.
static void note_config(struct quorum *quorum)
{
    const struct raft_config *config = raft_config(quorum->raft);
    if (quorum->config_index == raft_config_index(quorum->raft))
        return;
    quorum->config_index = raft_config_index(quorum->raft);
    reach_bind(quorum->reach, !raft_config_addressed(config));
    for (int i = 0; i < config->count; i++)
        if (!noted(quorum, config->voters[i].id, config->endpoints[i]))
            reach_note(quorum->reach, config->voters[i].id, config->endpoints[i]);
    quorum->config = *config;
}

static void carry_out(struct quorum *quorum)
{
    struct raft_updates *out = &quorum->out;
    if (out->truncate_from != 0)
        quorum->config_index = -1; // another configuration may stand where the one noted was
    note_config(quorum);
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

enum status quorum_learners(struct quorum *quorum, const struct raft_voter *learners, int count)
{
    struct raft_event event = {.kind = RAFT_EVENT_LEARNERS, .learners = learners, .learner_count = count};
    return step(quorum, event);
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
        reach_note(quorum->reach, message.from.id, raft_wire_endpoint(wire->from));
        step_and_tell(quorum, (struct raft_event){.kind = RAFT_EVENT_MESSAGE, .message = &message});
        raft_wire_release(&message);
    } else {
        DIAG_WARN(&quorum->options.env->diag, "dropped a raft message that makes no sense: %s",
                  status_text(status));
    }
    arena_fini(&arena);
}

static void on_gone(void *context, int32_t id)
{
    step_and_tell(context, (struct raft_event){.kind = RAFT_EVENT_PEER_LOST, .peer = id});
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
    quorum->reach = reach_new(options->env, options->rpc, options->voters, options->node_id, on_gone, quorum);
    quorum->config_index = -1;
    note_config(quorum);
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
    reach_destroy(&quorum->reach);
    for (struct chunk_send *send = quorum->chunks; send != NULL; send = send->next)
        send->quorum = NULL;
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

struct reach *quorum_reach(const struct quorum *quorum)
{
    return quorum->reach;
}

bool quorum_installing(const struct quorum *quorum)
{
    return quorum->installing;
}
