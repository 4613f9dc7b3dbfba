// SPDX-License-Identifier: Apache-2.0
// See streams_tasks.h.
#include "streams_tasks.h"

void streams_tasks_fini(struct streams_tasks *tasks)
{
    for (int role = 0; role < STREAMS_ROLES; role++)
        parts_fini(&tasks->roles[role]);
}

void streams_tasks_move(struct streams_tasks *tasks, struct streams_tasks *from)
{
    for (int role = 0; role < STREAMS_ROLES; role++)
        parts_move(&tasks->roles[role], &from->roles[role]);
}

struct streams_tasks streams_tasks_copy(const struct streams_tasks *tasks)
{
    struct streams_tasks copy;
    for (int role = 0; role < STREAMS_ROLES; role++)
        copy.roles[role] = parts_copy(&tasks->roles[role]);
    return copy;
}

bool streams_tasks_equal(const struct streams_tasks *a, const struct streams_tasks *b)
{
    for (int role = 0; role < STREAMS_ROLES; role++) {
        if (!parts_equal(&a->roles[role], &b->roles[role]))
            return false;
    }
    return true;
}

bool streams_tasks_within(const struct streams_tasks *a, const struct streams_tasks *b)
{
    for (int role = 0; role < STREAMS_ROLES; role++) {
        if (!parts_within(&a->roles[role], &b->roles[role]))
            return false;
    }
    return true;
}

bool streams_tasks_meet(const struct streams_tasks *a, const struct streams_tasks *b)
{
    for (int role = 0; role < STREAMS_ROLES; role++) {
        if (parts_meet(&a->roles[role], &b->roles[role]))
            return true;
    }
    return false;
}

size_t streams_tasks_count(const struct streams_tasks *tasks)
{
    size_t count = 0;
    for (int role = 0; role < STREAMS_ROLES; role++)
        count += tasks->roles[role].count;
    return count;
}
