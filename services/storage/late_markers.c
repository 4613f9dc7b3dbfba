// SPDX-License-Identifier: Apache-2.0
// A map of waits by all that makes a marker the same. See late_markers.h.
#include "late_markers.h"

#include "base/bytes.h"
#include "base/mem.h"
#include "partitions_state.h"

enum { LATE_MAX = 100000, KEY_SIZE = PARTITIONS_KEY_SIZE + 8 + 8 + 4 + 4 + 2 + 2 };

struct late {
    struct late_markers *all;
    uint8_t key[KEY_SIZE];
    struct wait wait;
};

struct late_markers {
    struct env *env;
    struct map map; // of struct late
    struct metric count;
};

static struct slice key_of(uint8_t key[KEY_SIZE], const struct replica *replica, const struct marker *marker)
{
    partitions_key(key, replica->topic_id, replica->index);
    uint8_t *at = key + PARTITIONS_KEY_SIZE;
    store_be64(at, (uint64_t)marker->producer_id);
    store_be64(at + 8, (uint64_t)marker->started_ms);
    store_be32(at + 16, (uint32_t)marker->shard);
    store_be32(at + 20, (uint32_t)marker->owner_epoch);
    store_be16(at + 24, (uint16_t)marker->producer_epoch);
    at[26] = marker->commit;
    at[27] = marker->raised;
    return slice_of(key, KEY_SIZE);
}

static void drop(struct late *late)
{
    struct late_markers *all = late->all;
    map_remove(&all->map, slice_of(late->key, KEY_SIZE));
    metric_set(&all->count, (int64_t)all->map.count);
    wait_cancel(&late->wait);
    mem_free(late);
}

// Committed; or the replica leads no more, and whoever does has the marker or is told it again.
static void on_ended(struct wait *wait, enum status status)
{
    drop(wait->context);
}

void late_markers_keep(struct late_markers *all, const struct replica *replica, const struct marker *marker,
                       struct wait *wait)
{
    uint8_t key[KEY_SIZE];
    struct wait_list *list = wait->list;
    int64_t end = wait->offset;
    wait_cancel(wait);
    // The owner gives no two transactions of a producer the same start; one it does not know tells nothing.
    if (marker->shard < 0 || marker->started_ms < 0 || all->map.count >= LATE_MAX ||
        map_get(&all->map, key_of(key, replica, marker)) != NULL)
        return;
    struct late *late = mem_calloc(1, sizeof *late);
    late->all = all;
    map_put(&all->map, key_of(late->key, replica, marker), late);
    metric_set(&all->count, (int64_t)all->map.count);
    wait_add(list, &late->wait, end, on_ended, late);
}

int64_t late_markers_take(struct late_markers *all, const struct replica *replica,
                          const struct marker *marker)
{
    uint8_t key[KEY_SIZE];
    if (all->map.count == 0) // nearly always
        return -1;
    struct late *late = map_get(&all->map, key_of(key, replica, marker));
    if (late == NULL)
        return -1;
    int64_t end = late->wait.offset;
    drop(late);
    return end;
}

struct late_markers *late_markers_new(struct env *env)
{
    struct late_markers *all = mem_calloc(1, sizeof *all);
    all->env = env;
    map_init(&all->map, 0);
    all->count =
        (struct metric){.name = "millrace_storage_markers_late",
                        .help = "Transaction markers under way whose call was answered without them.",
                        .kind = METRIC_GAUGE};
    metric_add(env->metrics, &all->count);
    return all;
}

void late_markers_destroy(struct late_markers **pointer)
{
    struct late_markers *all = *pointer;
    struct map_entry *at = NULL;
    void *late;
    *pointer = NULL;
    while (map_next(&all->map, &at, NULL, &late))
        drop(late);
    map_fini(&all->map);
    metric_remove(all->env->metrics, &all->count);
    mem_free(all);
}
