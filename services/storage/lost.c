// SPDX-License-Identifier: Apache-2.0
// See lost.h.
#include "lost.h"

#include "base/mem.h"

#include <stdlib.h>

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
