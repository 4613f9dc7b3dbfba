// SPDX-License-Identifier: Apache-2.0
// See share_book.h. A record may be delivered again whenever its leader changes, dies, or forgets the share
// partition: only within one place does a lock mean something. A leader that is deposed and does not know it
// yet delivers what others have seen acknowledged, since KIP-932 writes what became of records, not that they
// are delivered: who leads in the epoch of an acknowledgement, or a later one, is bound by it.
//
// A ShareFetch that says what became of records is answered when that is written, and a lock goes from the
// moment its record is acquired (in Kafka as well): while the share coordinator is out of reach an answer may
// come after the lock is over, the record with somebody else, or the leadership lost.
#include "share_book.h"

#include "base/mem.h"
#include "partitions.h"
#include "share_groups.h"
#include "storage.h"

#include <string.h>

enum { LOOK_MS = 5, UNKNOWN = -1 };

static const char ENDED[] = "millrace_storage_share_partitions_ended_total";

// ---- places ----

static int64_t metric_of(const struct process *process, const char *name)
{
    for (const struct metric *at = process->metrics.first; at != NULL; at = at->next)
        if (strcmp(at->name, name) == 0)
            return at->value;
    return 0;
}

static const struct replica *replica_of(const struct share_book *book, int node, int partition)
{
    struct partitions *partitions = cluster_partitions(&book->cluster->storage[node]);
    return partitions != NULL ? partitions_find_named(partitions, slice_str("t"), partition) : NULL;
}

// As the node knows it, whoever leads; it only grows while the node lives. UNKNOWN: it has no such replica.
static int32_t epoch_of(const struct share_book *book, int node, int partition)
{
    const struct replica *replica = replica_of(book, node, partition);
    return replica != NULL ? replica->state.leader_epoch : UNKNOWN;
}

static bool place_of(const struct share_book *book, int node, int partition, struct share_place *place)
{
    const struct daemon_sim *daemon = &book->cluster->storage[node];
    const struct replica *replica = replica_of(book, node, partition);
    if (replica == NULL || replica->state.role != PARTITION_LEADER)
        return false;
    *place = (struct share_place){.node = node,
                                  .generation = daemon->process->generation,
                                  .leader_epoch = replica->state.leader_epoch,
                                  .ended = metric_of(daemon->process, ENDED)};
    return true;
}

static bool same_place(const struct share_place *a, const struct share_place *b)
{
    return a->node == b->node && a->generation == b->generation && a->leader_epoch == b->leader_epoch &&
           a->ended == b->ended;
}

// ---- where the leaders are ----

static void look_at_start(struct share_book *book, const struct share_served *served)
{
    struct share_log *log = &book->logs[served->index];
    if (served->state != SHARE_READY || served->leader_epoch < log->leader_epoch)
        return;
    if (served->partition.start < log->start)
        history_violation(book->history, "share-start-goes-on", "t-%d begins at %lld after %lld",
                          served->index, (long long)served->partition.start, (long long)log->start);
    if (!log->begun)
        log->begin = served->partition.start;
    log->begun = true;
    log->leader_epoch = served->leader_epoch;
    log->start = served->partition.start;
}

static void look(struct share_book *book)
{
    for (int i = 0; i < CLUSTER_STORAGE; i++) {
        const struct daemon_sim *daemon = &book->cluster->storage[i];
        const struct share_groups *groups =
            cluster_partitions(daemon) != NULL ? storage_share_groups(daemon->storage) : NULL;
        const struct share_served *served;
        for (struct map_entry *at = NULL;
             groups != NULL && (served = share_groups_next(groups, &at)) != NULL;)
            look_at_start(book, served);
    }
}

static void look_at_kept(struct share_book *book)
{
    for (int p = 0; p < HISTORY_PARTITIONS; p++) {
        const struct replica *replica = NULL;
        for (int i = 0; i < CLUSTER_STORAGE && replica == NULL; i++)
            replica = replica_of(book, i, p);
        if (replica != NULL)
            share_kept_look(book->cluster, slice_str(SHARE_GROUP), replica->topic_id, p, &book->logs[p].kept);
    }
}

static void on_look(struct timer *timer)
{
    struct share_book *book = timer->context;
    look(book);
    look_at_kept(book);
    timer_start_ms(book->cluster->observer, &book->timer, LOOK_MS);
}

// ---- what members do ----

static struct share_seen *seen_at(struct share_book *book, int partition, int64_t offset)
{
    struct share_log *log = &book->logs[partition];
    if (offset >= log->count) {
        int64_t count = 2 * offset + 64;
        log->records = mem_realloc(log->records, (size_t)count * sizeof *log->records);
        memset(log->records + log->count, 0, (size_t)(count - log->count) * sizeof *log->records);
        log->count = count;
    }
    return &log->records[offset];
}

static void look_at_gift(struct share_book *book, const struct share_gift *gift, int64_t offset,
                         const struct share_seen *seen)
{
    int32_t asked_epoch = book->asked[gift->member][gift->partition].epoch;
    bool bound = asked_epoch >= seen->over_epoch;
    if (seen->over && bound && seen->over_us < gift->sent_us)
        history_violation(book->history, "share-over-is-over",
                          "t-%d offset %lld is delivered to member %d after it was acknowledged",
                          gift->partition, (long long)offset, gift->member);
    bool counts = asked_epoch >= seen->counted_epoch;
    if (counts && seen->counted_us < gift->sent_us && gift->deliveries <= seen->counted)
        history_violation(book->history, "share-count-stays",
                          "t-%d offset %lld is delivery %d, it was given back after %d", gift->partition,
                          (long long)offset, gift->deliveries, seen->counted);
    if (gift->deliveries > SHARE_DELIVERIES || gift->deliveries < 1)
        history_violation(book->history, "share-delivery-limit", "t-%d offset %lld is delivery %d",
                          gift->partition, (long long)offset, gift->deliveries);
}

static void give(struct share_book *book, const struct share_gift *gift, int64_t offset,
                 const struct share_place *place)
{
    struct share_seen *seen = seen_at(book, gift->partition, offset);
    int64_t now_us = book->history->world->now_us;
    int64_t until_us = gift->sent_us + (SHARE_LOCK_MS - 1) * 1000; // locks go by whole milliseconds
    look_at_gift(book, gift, offset, seen);
    bool held = seen->holder != 0 && seen->holder != gift->member + 1 && now_us < seen->until_us;
    bool late = until_us <= seen->given_us; // its lock may be the older one, and have ended for the other
    if (held && !late && place != NULL && same_place(place, &seen->place))
        book->suspects[seen->holder - 1] = true;
    if (gift->deliveries > seen->deliveries)
        seen->deliveries = gift->deliveries;
    seen->holder = place != NULL ? gift->member + 1 : 0;
    seen->given_us = now_us;
    seen->until_us = until_us;
    if (place != NULL)
        seen->place = *place;
}

void share_book_asks(struct share_book *book, int member, int node)
{
    for (int p = 0; p < HISTORY_PARTITIONS; p++) {
        struct share_asked *asked = &book->asked[member][p];
        asked->epoch = epoch_of(book, node, p);
        asked->led = place_of(book, node, p, &asked->place);
    }
}

void share_book_given(struct share_book *book, const struct share_gift *gift)
{
    const struct share_asked *asked = &book->asked[gift->member][gift->partition];
    struct share_place place;
    look(book); // a start that has gone back tells more than what comes of it
    bool led = place_of(book, gift->node, gift->partition, &place);
    bool known = led && asked->led && same_place(&asked->place, &place);
    for (int64_t offset = gift->first; offset <= gift->last; offset++)
        give(book, gift, offset, known ? &place : NULL);
    world_count(book->history->world, COUNT_share_given);
}

// With the connection a delivery is taken back, unless its lock ended before.
void share_book_unanswered(struct share_book *book, int64_t sent_us)
{
    book->untold += book->history->world->now_us >= sent_us + (SHARE_LOCK_MS - 1) * 1000;
}

// A node that has died since it answered does not tell its epoch: nobody is bound then.
void share_book_over(struct share_book *book, int node, int partition, int64_t first, int64_t last, bool sure)
{
    int32_t epoch = epoch_of(book, node, partition);
    sure = sure && epoch != UNKNOWN;
    for (int64_t offset = first; offset <= last; offset++) {
        struct share_seen *seen = seen_at(book, partition, offset);
        if (sure && !seen->over) {
            seen->over_us = book->history->world->now_us;
            seen->over_epoch = epoch;
        }
        seen->over = seen->over || sure;
        seen->maybe = true;
    }
    if (sure)
        world_count(book->history->world, COUNT_share_over);
}

void share_book_given_back(struct share_book *book, const struct share_return *back)
{
    int32_t epoch = epoch_of(book, back->node, back->partition);
    for (int64_t offset = back->first; epoch != UNKNOWN && offset <= back->last; offset++) {
        struct share_seen *seen = seen_at(book, back->partition, offset);
        if (seen->counted >= back->deliveries)
            continue;
        seen->counted = back->deliveries;
        seen->counted_us = book->history->world->now_us;
        seen->counted_epoch = epoch;
    }
}

void share_book_let_go(struct share_book *book, int partition, int64_t first, int64_t last)
{
    for (int64_t offset = first; offset <= last; offset++)
        seen_at(book, partition, offset)->holder = 0;
}

void share_book_gone(struct share_book *book, int member)
{
    book->suspects[member] = false;
    for (int p = 0; p < HISTORY_PARTITIONS; p++)
        for (int64_t i = 0; i < book->logs[p].count; i++)
            if (book->logs[p].records[i].holder == member + 1)
                book->logs[p].records[i].holder = 0;
}

void share_book_alive(struct share_book *book, int member)
{
    if (book->suspects[member])
        history_violation(book->history, "share-one-holder",
                          "what member %d holds was given to another one, too", member);
}

// ---- life ----

void share_book_init(struct share_book *book, struct cluster *cluster, struct history *history)
{
    *book = (struct share_book){.cluster = cluster, .history = history};
    timer_init(&book->timer, on_look, book);
    timer_start_ms(cluster->observer, &book->timer, LOOK_MS);
}

// ---- at the end ----

static int64_t end_of(const struct share_book *book, int partition)
{
    int64_t end = 0;
    for (int i = 0; i < CLUSTER_STORAGE; i++) {
        const struct replica *replica = replica_of(book, i, partition);
        if (replica != NULL && replica->state.role == PARTITION_LEADER)
            end = replica->state.high_watermark;
    }
    return end;
}

void share_book_check(struct share_book *book)
{
    for (int p = 0; p < HISTORY_PARTITIONS; p++) {
        int64_t end = end_of(book, p);
        for (int64_t offset = book->logs[p].begin; offset < end; offset++) {
            const struct share_seen *seen = seen_at(book, p, offset);
            if (seen->over || seen->maybe || seen->deliveries + book->untold >= SHARE_DELIVERIES)
                continue;
            history_violation(book->history, "share-all-delivered",
                              "t-%d offset %lld of %lld: delivered %d times, never acknowledged", p,
                              (long long)offset, (long long)end, seen->deliveries);
        }
    }
}
