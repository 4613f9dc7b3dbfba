// SPDX-License-Identifier: Apache-2.0
// What each node carries, counted as partitions come, change and go: to place a topic nobody has to look at
// all the others.
#include "cluster/image_state.h"

#include "base/mem.h"

struct node_load {
    int32_t node;
    struct image_load load;
};

static int compare(const void *key, const void *item)
{
    const int32_t *wanted = key;
    const struct node_load *node = item;
    return (*wanted > node->node) - (*wanted < node->node);
}

static void count(struct image *image, int32_t id, int by, bool first)
{
    bool found;
    size_t at = sorted_find(&image->loads, &id, compare, &found);
    if (!found) {
        struct node_load *fresh = mem_calloc(1, sizeof *fresh);
        fresh->node = id;
        sorted_insert(&image->loads, at, fresh);
    }
    struct node_load *node = image->loads.items[at];
    node->load.replicas += by;
    node->load.leaders += first ? by : 0;
    if (node->load.replicas == 0)
        mem_free(sorted_remove(&image->loads, at));
}

static void count_all(struct image *image, const struct image_partition *partition, int by)
{
    for (size_t i = 0; i < partition->replicas.count; i++)
        count(image, partition->replicas.ids[i], by, i == 0);
}

void image_load_note(struct image *image, const struct image_partition *before,
                     const struct image_partition *after)
{
    if (before != NULL && after != NULL && image_ids_equal(&before->replicas, &after->replicas))
        return;
    if (before != NULL)
        count_all(image, before, -1);
    if (after != NULL)
        count_all(image, after, 1);
}

void image_load_forget(struct image *image)
{
    for (size_t i = 0; i < image->loads.count; i++)
        mem_free(image->loads.items[i]);
    sorted_fini(&image->loads);
}

struct image_load image_node_load(const struct image *image, int32_t node)
{
    const struct node_load *found = sorted_get(&image->loads, &node, compare);
    return found != NULL ? found->load : (struct image_load){0};
}
