// SPDX-License-Identifier: Apache-2.0
// See schema_facts.h.
#include "schema_facts.h"

#include "base/mem.h"

#include <stdio.h>
#include <string.h>

static const char *const subjects[SCHEMA_SUBJECTS] = {"one", "two", ":.other:three", ":.other:four"};

const char *schema_subject(int subject)
{
    return subjects[subject];
}

const char *schema_context(int subject)
{
    return subject < SCHEMA_SUBJECTS / 2 || subject == SCHEMA_ONCE ? "" : ":.other:";
}

void schema_facts_init(struct schema_facts *facts, struct history *history)
{
    *facts = (struct schema_facts){.history = history, .next_number = 1};
    map_init(&facts->ids, 1);
    map_init(&facts->numbers, 2);
    map_init(&facts->versions, 3);
}

// Notes that `thing` of `place` is value; returns what it was said to be before, or value.
static int64_t settled(struct map *map, const char *place, int64_t thing, int64_t value)
{
    char key[64];
    int len = snprintf(key, sizeof key, "%s %lld", place, (long long)thing);
    void *known = map_get(map, slice_of(key, (size_t)len));
    if (known == NULL)
        map_put(map, slice_of(key, (size_t)len), (void *)(uintptr_t)(value + 1));
    return known == NULL ? value : (int64_t)(uintptr_t)known - 1;
}

void schema_facts_id(struct schema_facts *facts, int subject, int32_t id, int64_t number)
{
    const char *context = schema_context(subject);
    int64_t other = settled(&facts->ids, context, id, number);
    int64_t other_id = settled(&facts->numbers, context, number, id);
    if (other != number)
        history_violation(facts->history, "schema-ids", "id %d of context %s is schema %lld and %lld", id,
                          context, (long long)other, (long long)number);
    else if (other_id != id)
        history_violation(facts->history, "schema-ids", "schema %lld of context %s has ids %lld and %d",
                          (long long)number, context, (long long)other_id, id);
}

void schema_facts_acknowledged(struct schema_facts *facts, struct schema_ack ack)
{
    if (facts->ack_count == facts->ack_cap) {
        facts->ack_cap = facts->ack_cap == 0 ? 64 : 2 * facts->ack_cap;
        facts->acks = mem_realloc(facts->acks, (size_t)facts->ack_cap * sizeof *facts->acks);
    }
    facts->acks[facts->ack_count++] = ack;
    schema_facts_id(facts, ack.subject, ack.id, ack.number);
}

void schema_facts_once(struct schema_facts *facts, int64_t number)
{
    if (facts->once_count == facts->once_cap) {
        facts->once_cap = facts->once_cap == 0 ? 64 : 2 * facts->once_cap;
        facts->once = mem_realloc(facts->once, (size_t)facts->once_cap * sizeof *facts->once);
    }
    facts->once[facts->once_count++] = number;
}

bool schema_facts_turn(struct schema_facts *facts, const struct cluster *cluster)
{
    bool any = false;
    for (int i = 0; i < cluster->registry_count; i++) {
        const struct process *process = cluster->registries[i].process;
        if (process == NULL || facts->generations[i] == process->generation)
            continue;
        facts->generations[i] = process->generation;
        facts->begun_us[i] = facts->history->world->now_us;
        memcpy(facts->latest[i], facts->known, sizeof facts->known);
        any = true;
    }
    return any;
}

int32_t schema_facts_least(const struct schema_facts *facts, const struct daemon_sim *registry, int subject)
{
    return facts->latest[registry->index][subject];
}

// Reads overlap: the owner's "there is none" may be on its way while the registry reads on and shows more.
void schema_facts_latest(struct schema_facts *facts, const struct daemon_sim *registry, int subject,
                         int32_t least, int32_t version, int32_t id)
{
    int32_t *latest = &facts->latest[registry->index][subject];
    if (version < least)
        history_violation(facts->history, "schema-goes-back", "%s shows version %d of %s after %d",
                          registry->process->name, version, subjects[subject], least);
    if (version > *latest)
        *latest = version;
    if (version > facts->known[subject])
        facts->known[subject] = version;
    int64_t other = version > 0 ? settled(&facts->versions, subjects[subject], version, id) : id;
    if (other != id)
        history_violation(facts->history, "schema-versions", "version %d of %s has ids %lld and %d", version,
                          subjects[subject], (long long)other, id);
}
