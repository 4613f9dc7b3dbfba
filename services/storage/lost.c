// SPDX-License-Identifier: Apache-2.0
// See lost.h.
#include "lost.h"

#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

int32_t lost_index(const char *log_name)
{
    const char *dash = strrchr(log_name, '-');
    return dash ? (int32_t)strtol(dash + 1, NULL, 10) : -1;
}

const struct image_topic *lost_topic(const struct image *image, const struct log *log)
{
    const char *name = log_name(log);
    const char *dash = strrchr(name, '-');
    return dash ? image_topic_slice(image, slice_of(name, (size_t)(dash - name))) : NULL;
}

bool lost_unnamed(struct dirs *dirs)
{
    for (struct log *log = dirs_next(dirs, NULL); log != NULL; log = dirs_next(dirs, log))
        if (log_lost(log) && uuid_is_zero(log_id(log)))
            return true;
    return false;
}

// Whether a log whose topic id cannot be read is certainly that of the topic which has its name now: no other
// node could bring the partition, no other directory has it, and its records are of leaders that it had.
static bool is_named_by(const struct dirs *dirs, const struct image_topic *topic, struct log *log)
{
    const struct image_partition *placed = image_topic_partition(topic, lost_index(log_name(log)));
    if (!log_nameless(log) || placed == NULL || placed->isr.count != 1 ||
        placed->isr.ids[0] != dirs_node_id(dirs))
        return false;
    for (struct log *other = dirs_next(dirs, NULL); other != NULL; other = dirs_next(dirs, other))
        if (other != log && strcmp(log_name(other), log_name(log)) == 0)
            return false;
    return !dirs_missing(dirs) && log_last_epoch(log) <= placed->leader_epoch;
}

void lost_identify(struct env *env, struct dirs *dirs, const struct image *image, struct log *log)
{
    const struct image_topic *topic = log_nameless(log) ? lost_topic(image, log) : NULL;
    if (topic == NULL || !is_named_by(dirs, topic, log))
        return;
    DIAG_ERROR(&env->diag, "topic id in partition.metadata is repaired by the name log=%s end=%lld",
               log_name(log), (long long)log_end(log));
    log_identify(log, topic->id);
}

void lost_identify_all(struct env *env, struct dirs *dirs, const struct image *image)
{
    for (struct log *log = dirs_next(dirs, NULL); log != NULL; log = dirs_next(dirs, log))
        lost_identify(env, dirs, image, log);
}

size_t lost_list(struct dirs *dirs, const struct image *image, struct member_lost **list)
{
    size_t count = 0;
    *list = mem_calloc((size_t)dirs_log_count(dirs) + 1, sizeof **list);
    for (struct log *log = dirs_next(dirs, NULL); log != NULL; log = dirs_next(dirs, log)) {
        struct uuid id = log_id(log);
        if (!log_lost(log))
            continue;
        if (uuid_is_zero(id)) {
            const struct image_topic *topic = lost_topic(image, log);
            if (topic == NULL)
                continue;
            id = topic->id;
        }
        (*list)[count++] = (struct member_lost){.topic_id = id, .partition = lost_index(log_name(log))};
    }
    return count;
}
