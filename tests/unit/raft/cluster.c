// SPDX-License-Identifier: Apache-2.0
// See cluster.h. The checkers: one leader per term; two logs with the same index and term have the same entry
// and the same term before it (log matching by induction); what one node commits every node commits; a new
// leader has every committed entry; a committed entry is durable at a majority.
#include "cluster.h"

#include "base/hash.h"
#include "base/mem.h"

#include <stdio.h>

struct write { // one step's persistence
    struct write *next;
    struct raft_updates what; // without messages
    struct raft_entry *entries;
    int64_t entry_count;
    uint8_t chunk[16];
};

struct held {
    struct held *next;
    struct raft_message message;
};

struct packet {
    struct packet *next;
    struct raft_message message; // entries and data owned
    int64_t at_ms;
    uint8_t data[16];
};

struct matching {
    int64_t before_term;
    uint64_t print;
};

static void fail(struct cluster *cluster, const char *what, int node, int64_t index)
{
    if (cluster->failure[0] == 0)
        snprintf(cluster->failure, sizeof cluster->failure, "%s node=%d index=%ld now=%ld", what, node,
                 (long)index, (long)cluster->now_ms);
}

static uint64_t entry_print(const struct raft_entry *entry)
{
    struct slice data = entry->data != NULL ? block_slice(entry->data) : slice_of("", 0);
    return hash_bytes((uint64_t)entry->kind, data.data, data.len);
}

static int chance(struct cluster *cluster, int percent)
{
    return (int)prng_below(&cluster->prng, 100) < percent;
}

// ---- packets ----

static void packet_free(struct packet *packet)
{
    for (int i = 0; i < packet->message.entry_count; i++) {
        struct block *data = packet->message.entries[i].data;
        block_unref(&data);
    }
    mem_free((void *)(uintptr_t)packet->message.entries);
    mem_free(packet);
}

static int node_of(const struct cluster *cluster, struct raft_voter voter)
{
    return voter.id < cluster->count ? voter.id : -1;
}

static void post(struct cluster *cluster, const struct raft_message *message)
{
    struct packet *packet = mem_calloc(1, sizeof *packet);
    packet->message = *message;
    if (message->entry_count > 0) {
        size_t bytes = (size_t)message->entry_count * sizeof *message->entries;
        struct raft_entry *copy = mem_calloc(1, bytes);
        memcpy(copy, message->entries, bytes);
        for (int i = 0; i < message->entry_count; i++)
            if (copy[i].data != NULL)
                block_ref(copy[i].data);
        packet->message.entries = copy;
    }
    packet->at_ms = cluster->now_ms;
    if (cluster->faults.delay_ms > 0)
        packet->at_ms += 1 + (int64_t)prng_below(&cluster->prng, (uint64_t)cluster->faults.delay_ms);
    struct packet **at = &cluster->packets;
    while (*at != NULL && (*at)->at_ms <= packet->at_ms)
        at = &(*at)->next;
    packet->next = *at;
    *at = packet;
}

// The leader's driver fills a chunk from its snapshot file: CHUNKS pieces, each the state's hash.
static bool fill_chunk(const struct cluster *cluster, struct packet *packet)
{
    const struct disk *disk = cluster->nodes[packet->message.from.id].disk;
    if (disk->snapshot.index != packet->message.index)
        return false;
    memcpy(packet->data, &disk->snapshot_state, 8);
    packet->message.data = slice_of(packet->data, 8);
    packet->message.done = packet->message.offset == 8 * (CHUNKS - 1);
    return true;
}

static void send_message(struct cluster *cluster, const struct raft_message *message)
{
    int from = message->from.id, to = node_of(cluster, message->to);
    if (to < 0 || cluster->cut[from][to] || chance(cluster, cluster->faults.drop))
        return;
    post(cluster, message);
    if (chance(cluster, cluster->faults.duplicate))
        post(cluster, message);
}

// ---- checkers ----

static void check_entry(struct cluster *cluster, int node, int64_t index)
{
    const struct raft *raft = cluster->nodes[node].raft;
    const struct raft_entry *entry = raft_entry(raft, index);
    int64_t before = index > raft_first_index(raft) ? raft_entry(raft, index - 1)->term : -1;
    uint64_t key = (uint64_t)index << 32 | (uint64_t)entry->term;
    struct matching *seen = map_get_u64(&cluster->entries, key);
    if (seen == NULL) {
        seen = mem_calloc(1, sizeof *seen);
        *seen = (struct matching){.before_term = before, .print = entry_print(entry)};
        map_put_u64(&cluster->entries, key, seen);
    }
    if (seen->print != entry_print(entry) ||
        (before >= 0 && seen->before_term >= 0 && before != seen->before_term))
        fail(cluster, "log matching violated", node, index);
}

static void check_leader(struct cluster *cluster, int node)
{
    struct raft *raft = cluster->nodes[node].raft;
    uint64_t term = (uint64_t)raft_term(raft);
    int known = (int)(intptr_t)map_get_u64(&cluster->leaders, term);
    if (known == node + 1)
        return;
    if (known != 0)
        fail(cluster, "two leaders in one term", node, (int64_t)term);
    map_put_u64(&cluster->leaders, term, (void *)(intptr_t)(node + 1));
    cluster->counts.elections++;
    if (raft_last_index(raft) <= cluster->committed)
        fail(cluster, "a leader lacks committed entries", node, raft_last_index(raft));
    for (int64_t i = raft_first_index(raft); i <= cluster->committed && i <= raft_last_index(raft); i++)
        if (raft_entry(raft, i)->term != cluster->history[i].term)
            fail(cluster, "a leader has another committed entry", node, i);
}

static bool durable_at(const struct disk *disk, int64_t index, int64_t term)
{
    if (index <= disk->snapshot.index)
        return true;
    int64_t at = index - disk->snapshot.index - 1;
    return at < disk->count && disk->entries[at].term == term;
}

static void check_majority(struct cluster *cluster, int node, int64_t index)
{
    const struct raft *raft = cluster->nodes[node].raft;
    const struct raft_config *config = raft_config(raft);
    int durable = 0;
    for (int i = 0; i < config->count; i++)
        durable +=
            durable_at(cluster->nodes[config->voters[i].id].disk, index, raft_entry(raft, index)->term);
    if (durable <= config->count / 2)
        fail(cluster, "committed without a durable majority", node, index);
}

static void apply_one(struct cluster *cluster, int node, int64_t index)
{
    struct node *at = &cluster->nodes[node];
    const struct raft_entry *entry = raft_entry(at->raft, index);
    uint64_t print = entry_print(entry);
    at->state = hash_u64(at->state, print ^ (uint64_t)entry->term);
    at->applied = index;
    cluster->counts.configs += entry->kind == RAFT_ENTRY_CONFIG;
    if (index > cluster->committed) {
        check_majority(cluster, node, index);
        cluster->committed = index;
        cluster->history[index].term = entry->term;
        cluster->history[index].print = print;
        cluster->history[index].state = at->state;
    }
    if (cluster->history[index].term != entry->term || cluster->history[index].print != print ||
        cluster->history[index].state != at->state)
        fail(cluster, "state machines differ", node, index);
}

// ---- persistence ----

static void entries_copy(struct write *write, const struct raft *raft, int64_t from)
{
    write->entry_count = raft_last_index(raft) - from + 1;
    write->entries = mem_calloc((size_t)write->entry_count, sizeof *write->entries);
    for (int64_t i = 0; i < write->entry_count; i++) {
        write->entries[i] = *raft_entry(raft, from + i);
        if (write->entries[i].data != NULL)
            block_ref(write->entries[i].data);
    }
}

static void write_queue(struct node *node, const struct raft_updates *out)
{
    struct write *write = mem_calloc(1, sizeof *write);
    write->what = *out;
    write->what.messages = NULL;
    write->what.reads = NULL;
    if (out->append_from != 0)
        entries_copy(write, node->raft, out->append_from);
    if (out->has_chunk && out->chunk.data.len > 0)
        memcpy(write->chunk, out->chunk.data.data, out->chunk.data.len);
    struct write **at = &node->writes;
    while (*at != NULL)
        at = &(*at)->next;
    *at = write;
}

static void disk_truncate(struct disk *disk, int64_t from)
{
    while (disk->count > 0 && disk->entries[disk->count - 1].index >= from)
        block_unref(&disk->entries[--disk->count].data);
}

static void disk_install(struct disk *disk, const struct raft_snapshot *snapshot, uint64_t state)
{
    disk_truncate(disk, 0);
    disk->snapshot = *snapshot;
    disk->snapshot_state = state;
}

static void write_apply(struct node *node, struct write *write)
{
    struct disk *disk = node->disk;
    if (write->what.hard_changed)
        disk->hard = write->what.hard;
    if (write->what.has_chunk && write->what.chunk.done) {
        uint64_t state;
        memcpy(&state, write->chunk, 8);
        disk_install(disk, &write->what.chunk.snapshot, state);
    }
    if (write->what.truncate_from != 0)
        disk_truncate(disk, write->what.truncate_from);
    for (int64_t i = 0; i < write->entry_count; i++) {
        disk->entries[disk->count++] = write->entries[i];
        write->entries[i].data = NULL;
    }
}

static void write_free(struct write *write)
{
    for (int64_t i = 0; i < write->entry_count; i++)
        block_unref(&write->entries[i].data);
    mem_free(write->entries);
    mem_free(write);
}

static void hold(struct node *node, const struct raft_message *message)
{
    struct held *held = mem_calloc(1, sizeof *held);
    held->message = *message;
    struct held **at = &node->held;
    while (*at != NULL)
        at = &(*at)->next;
    *at = held;
}

static void held_release(struct cluster *cluster, struct node *node)
{
    while (node->held != NULL && node->held->message.after <= node->acked) {
        struct held *held = node->held;
        node->held = held->next;
        send_message(cluster, &held->message);
        mem_free(held);
    }
}

// The oldest write becomes durable.
static void persist_one(struct cluster *cluster, int index)
{
    struct node *node = &cluster->nodes[index];
    struct write *write = node->writes;
    node->writes = write->next;
    write_apply(node, write);
    node->acked = write->what.persist;
    write_free(write);
    held_release(cluster, node);
    cluster_step(cluster, index, (struct raft_event){.kind = RAFT_EVENT_PERSISTED, .sequence = node->acked});
}

// ---- steps ----

static void apply_updates(struct cluster *cluster, int index)
{
    struct node *node = &cluster->nodes[index];
    struct raft_updates *out = &cluster->out;
    if (out->append_from != 0)
        for (int64_t i = out->append_from; i <= raft_last_index(node->raft); i++)
            check_entry(cluster, index, i);
    if (raft_role(node->raft) == RAFT_LEADER)
        check_leader(cluster, index);
    cluster->counts.truncations += out->truncate_from != 0;
    cluster->counts.reads += out->read_count;
    if (out->has_chunk && out->chunk.done) {
        cluster->counts.installs++;
        memcpy(&node->state, out->chunk.data.data, 8);
        node->applied = out->chunk.snapshot.index;
        if (node->state != cluster->history[node->applied].state)
            fail(cluster, "an installed snapshot differs", index, node->applied);
    }
    for (int i = 0; i < out->read_count; i++)
        if (out->reads[i].index < (int64_t)out->reads[i].token)
            fail(cluster, "a read is stale", index, out->reads[i].index);
    if (out->persist != 0)
        write_queue(node, out);
    while (node->applied < raft_commit(node->raft))
        apply_one(cluster, index, node->applied + 1);
}

enum status cluster_step(struct cluster *cluster, int index, struct raft_event event)
{
    struct node *node = &cluster->nodes[index];
    event.now_ms = cluster->now_ms;
    enum status status = raft_step(node->raft, &event, &cluster->out);
    apply_updates(cluster, index);
    for (int i = 0; i < cluster->out.message_count; i++) {
        if (cluster->out.messages[i].after <= node->acked)
            send_message(cluster, &cluster->out.messages[i]);
        else
            hold(node, &cluster->out.messages[i]);
    }
    return status;
}

static void deliver_one(struct cluster *cluster)
{
    struct packet *packet = cluster->packets;
    cluster->packets = packet->next;
    int to = packet->message.to.id, from = packet->message.from.id;
    bool good = cluster->nodes[to].raft != NULL && !cluster->cut[from][to];
    if (packet->message.kind == RAFT_CHUNK)
        good = good && fill_chunk(cluster, packet);
    if (good)
        cluster_step(cluster, to,
                     (struct raft_event){.kind = RAFT_EVENT_MESSAGE, .message = &packet->message});
    packet_free(packet);
}

static bool persist_some(struct cluster *cluster)
{
    bool any = false;
    for (int i = 0; i < cluster->count; i++) {
        struct node *node = &cluster->nodes[i];
        int wait = cluster->faults.persist_ms;
        if (node->raft == NULL || node->writes == NULL ||
            (wait > 1 && prng_below(&cluster->prng, (uint64_t)wait) != 0))
            continue;
        persist_one(cluster, i);
        any = true;
    }
    return any;
}

void cluster_settle(struct cluster *cluster)
{
    int budget = 100000;
    while (budget-- > 0) {
        if (cluster->packets != NULL)
            deliver_one(cluster);
        else if (!persist_some(cluster))
            return;
    }
    fail(cluster, "the cluster never becomes quiet", -1, 0);
}

void cluster_run(struct cluster *cluster, int64_t ms)
{
    int64_t end = cluster->now_ms + ms;
    while (cluster->now_ms < end && cluster->failure[0] == 0) {
        cluster->now_ms++;
        for (int i = 0; i < cluster->count; i++)
            if (cluster->nodes[i].raft != NULL && raft_deadline_ms(cluster->nodes[i].raft) <= cluster->now_ms)
                cluster_step(cluster, i, (struct raft_event){.kind = RAFT_EVENT_TICK});
        persist_some(cluster);
        while (cluster->packets != NULL && cluster->packets->at_ms <= cluster->now_ms)
            deliver_one(cluster);
    }
}

void cluster_elect(struct cluster *cluster, int node)
{
    cluster->now_ms += 1000;
    cluster_step(cluster, node, (struct raft_event){.kind = RAFT_EVENT_TICK});
    cluster_settle(cluster);
}

enum status cluster_propose(struct cluster *cluster, int node)
{
    uint64_t value = ++cluster->values;
    struct block *block = block_copy(slice_of(&value, sizeof value));
    enum status status = cluster_step(
        cluster, node, (struct raft_event){.kind = RAFT_EVENT_PROPOSE, .blocks = &block, .block_count = 1});
    block_unref(&block);
    return status;
}

void cluster_crash(struct cluster *cluster, int index)
{
    struct node *node = &cluster->nodes[index];
    cluster->counts.crashes += node->raft != NULL;
    raft_destroy(&node->raft);
    int survive = node->writes != NULL ? (int)prng_below(&cluster->prng, 4) : 0;
    while (node->writes != NULL) { // what was not acknowledged may or may not be on disk, as a prefix
        struct write *write = node->writes;
        node->writes = write->next;
        if (survive-- > 0 && cluster->faults.persist_ms > 0)
            write_apply(node, write);
        write_free(write);
    }
    while (node->held != NULL) {
        struct held *held = node->held;
        node->held = held->next;
        mem_free(held);
    }
}

void cluster_start(struct cluster *cluster, int index)
{
    struct node *node = &cluster->nodes[index];
    struct disk *disk = node->disk;
    struct raft_start start = {.self = node->self,
                               .seed = prng_next(&cluster->prng),
                               .options = {.keep_entries = 5},
                               .hard = disk->hard,
                               .snapshot = disk->snapshot,
                               .entries = disk->entries,
                               .entry_count = disk->count,
                               .now_ms = cluster->now_ms};
    node->raft = raft_new(&start);
    node->acked = 0;
    node->applied = disk->snapshot.index;
    node->state = disk->snapshot_state;
}

void cluster_snapshot(struct cluster *cluster, int index)
{
    struct node *node = &cluster->nodes[index];
    struct disk *disk = node->disk;
    int64_t upto = node->applied;
    if (upto > raft_persisted(node->raft) || upto <= disk->snapshot.index || node->writes != NULL)
        return;
    struct raft_snapshot snapshot = raft_snapshot_at(node->raft, upto);
    int64_t drop = upto - disk->snapshot.index;
    for (int64_t i = 0; i < drop; i++)
        block_unref(&disk->entries[i].data);
    memmove(disk->entries, disk->entries + drop, (size_t)(disk->count - drop) * sizeof disk->entries[0]);
    disk->count -= drop;
    disk->snapshot = snapshot;
    disk->snapshot_state = node->state;
    cluster_step(cluster, index, (struct raft_event){.kind = RAFT_EVENT_SNAPSHOT, .index = upto});
}

// ---- life ----

void cluster_init(struct cluster *cluster, int count, uint64_t seed)
{
    memset(cluster, 0, sizeof *cluster);
    cluster->count = count;
    cluster->prng.state = seed;
    cluster->now_ms = 1000;
    map_init(&cluster->entries, seed);
    map_init(&cluster->leaders, seed);
    raft_updates_init(&cluster->out);
    struct raft_config config = {.count = count};
    for (int i = 0; i < count; i++)
        config.voters[i] = (struct raft_voter){.id = i, .directory = uuid_from_random(7, (uint64_t)i + 1)};
    for (int i = 0; i < count; i++) {
        struct node *node = &cluster->nodes[i];
        node->self = config.voters[i];
        node->disk = mem_calloc(1, sizeof *node->disk);
        node->disk->hard = (struct raft_hard){.term = 1, .vote = {.id = -1}};
        node->disk->entries[0] = (struct raft_entry){
            .index = 1, .term = 1, .kind = RAFT_ENTRY_CONFIG, .data = raft_config_encode(&config)};
        node->disk->count = 1;
        cluster_start(cluster, i);
    }
}

static void free_values(struct map *map)
{
    struct map_entry *at = NULL;
    void *value;
    while (map_next(map, &at, NULL, &value))
        mem_free(value);
}

void cluster_fini(struct cluster *cluster)
{
    for (int i = 0; i < cluster->count; i++) {
        cluster_crash(cluster, i);
        disk_truncate(cluster->nodes[i].disk, 0);
        mem_free(cluster->nodes[i].disk);
    }
    while (cluster->packets != NULL) {
        struct packet *packet = cluster->packets;
        cluster->packets = packet->next;
        packet_free(packet);
    }
    free_values(&cluster->entries);
    map_fini(&cluster->entries);
    map_fini(&cluster->leaders);
    raft_updates_fini(&cluster->out);
}

void cluster_isolate(struct cluster *cluster, int node, bool cut)
{
    for (int i = 0; i < cluster->count; i++)
        if (i != node)
            cluster->cut[node][i] = cluster->cut[i][node] = cut;
}

void cluster_heal(struct cluster *cluster)
{
    memset(cluster->cut, 0, sizeof cluster->cut);
}

int cluster_leader(const struct cluster *cluster)
{
    int leader = -1;
    for (int i = 0; i < cluster->count; i++) {
        struct raft *raft = cluster->nodes[i].raft;
        if (raft != NULL && raft_role(raft) == RAFT_LEADER &&
            (leader < 0 || raft_term(raft) > raft_term(cluster->nodes[leader].raft)))
            leader = i;
    }
    return leader;
}
