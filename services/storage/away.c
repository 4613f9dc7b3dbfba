// SPDX-License-Identifier: Apache-2.0
// See away.h.
#include "away.h"

#include "base/mem.h"

void away_init(struct away *away, struct env *env)
{
    away->env = env;
    away->began_ms = env_now_ms(env);
    map_init(&away->since, 0);
}

void away_fini(struct away *away)
{
    map_clear(&away->since, mem_free);
    map_fini(&away->since);
}

void away_note(struct away *away, const struct image_node *before, const struct image_node *after)
{
    int32_t id = after != NULL ? after->id : before->id;
    bool starting = env_now_ms(away->env) - away->began_ms <= AWAY_LISTED_MS;
    if (after == NULL || !after->fenced) {
        mem_free(map_remove_u64(&away->since, (uint64_t)id));
    } else if (before != NULL ? !before->fenced : starting) {
        int64_t *since = mem_calloc(1, sizeof *since);
        *since = env_now_ms(away->env);
        mem_free(map_put_u64(&away->since, (uint64_t)id, since));
    }
}

bool away_recent(const struct away *away, int32_t node)
{
    const int64_t *since = node < 0 ? NULL : map_get_u64(&away->since, (uint64_t)node);
    return since != NULL && env_now_ms(away->env) - *since <= AWAY_LISTED_MS;
}
