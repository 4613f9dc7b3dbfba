// SPDX-License-Identifier: Apache-2.0
// See check_schemas.h.
#include "check_schemas.h"

#include "registrar.h"

#include <stdio.h>

static struct registrar_answer read_id(const struct daemon_sim *daemon, int subject, int32_t id)
{
    char text[16];
    snprintf(text, sizeof text, "%d", id);
    return registrar_read(daemon, "get-schema", NULL, text, schema_context(subject));
}

static void check_acks(const struct daemon_sim *daemon, struct schema_facts *facts)
{
    for (int i = 0; i < facts->ack_count; i++) {
        const struct schema_ack *ack = &facts->acks[i];
        struct registrar_answer answer = read_id(daemon, ack->subject, ack->id);
        if (answer.code == 200 && answer.number == ack->number)
            continue;
        history_violation(facts->history, "schemas-lost",
                          "%s answers %d and schema %lld for id %d, schema %lld", daemon->process->name,
                          answer.code, (long long)answer.number, ack->id, (long long)ack->number);
        return;
    }
}

// The schemas that were acknowledged and those of unknown outcome have all ids from 1 to the highest.
static void check_dense(const struct daemon_sim *daemon, struct schema_facts *facts, int subject)
{
    int32_t highest = 0, id = 1;
    for (int i = 0; i < facts->ack_count; i++)
        if (schema_context(facts->acks[i].subject) == schema_context(subject) && facts->acks[i].id > highest)
            highest = facts->acks[i].id;
    while (id <= highest && read_id(daemon, subject, id).code == 200)
        id++;
    if (id <= highest)
        history_violation(facts->history, "schema-ids", "%s has no id %d in context %s, whose highest is %d",
                          daemon->process->name, id, schema_context(subject), highest);
}

static void check_latest(const struct daemon_sim *daemon, struct schema_facts *facts)
{
    for (int subject = 0; subject < SCHEMA_SUBJECTS; subject++) {
        int32_t least = schema_facts_least(facts, daemon, subject);
        struct registrar_answer answer =
            registrar_read(daemon, "get-version", schema_subject(subject), NULL, NULL);
        if (answer.code == 200 || answer.code == 404)
            schema_facts_latest(facts, daemon, subject, least, answer.version, answer.id);
    }
}

// What a registration of unknown outcome came to is the same everywhere. Whoever does not find it asks the
// owner, and so does not answer at once; the owner does.
static void check_once(const struct cluster *cluster, struct schema_facts *facts, int64_t number)
{
    struct registrar_answer first = {0};
    char subject[32];
    registrar_once(number, subject);
    for (int i = 0; i < cluster->registry_count; i++) {
        const struct daemon_sim *daemon = &cluster->registries[i];
        struct registrar_answer answer = registrar_read(daemon, "get-version", subject, NULL, NULL);
        if (answer.code != 200 && answer.code != 404)
            continue;
        if (answer.code == 200)
            schema_facts_id(facts, SCHEMA_ONCE, answer.id, answer.number);
        if (first.code != 0 && (first.code != answer.code || first.id != answer.id))
            history_violation(facts->history, "schemas-agree", "%s has %s with id %d, another registry %d",
                              daemon->process->name, subject, answer.id, first.id);
        first = answer;
    }
}

void check_schemas(const struct cluster *cluster, struct schema_facts *facts)
{
    for (int i = 0; i < cluster->registry_count && !history_failed(facts->history); i++) {
        const struct daemon_sim *daemon = &cluster->registries[i];
        if (!cluster_registry_ready(daemon)) {
            history_violation(facts->history, "liveness", "registry %d is not ready", daemon->node_id);
            return;
        }
        check_acks(daemon, facts);
        check_dense(daemon, facts, 0);
        check_dense(daemon, facts, SCHEMA_SUBJECTS - 1);
        check_latest(daemon, facts);
    }
    for (int i = 0; i < facts->once_count && !history_failed(facts->history); i++)
        check_once(cluster, facts, facts->once[i]);
}
