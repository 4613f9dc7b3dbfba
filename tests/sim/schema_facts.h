// SPDX-License-Identifier: Apache-2.0
// What clients were told of schemas, whoever told it: a fact stays true. The checkers "schema-ids" (an id is
// one schema's in its context, a schema has one id there), "schema-versions" (a version never changes its id)
// and "schema-goes-back" (a read shows what its registry had shown before the read began, and what anyone had
// shown before the registry began).
#ifndef SIM_SCHEMA_FACTS_H
#define SIM_SCHEMA_FACTS_H

#include "cluster.h"

// SCHEMA_ONCE: a subject of its own for each schema, which nobody else writes over.
enum { SCHEMA_SUBJECTS = 4, SCHEMA_ONCE = SCHEMA_SUBJECTS };

// Subjects by number, but SCHEMA_ONCE; the last two are of a context of their own, under names of their own:
// a name without context is looked for in all.
const char *schema_subject(int subject);
const char *schema_context(int subject); // as a query argument "subject" that names no subject

struct schema_ack {
    int subject;
    int64_t number;
    int32_t id;
};

struct schema_facts {
    struct history *history;
    struct map ids;      // context, id -> number + 1
    struct map numbers;  // context, number -> id + 1
    struct map versions; // subject, version -> id + 1
    struct schema_ack *acks;
    int ack_count, ack_cap;
    int64_t next_number;
    int64_t *once; // numbers of schemas that were tried in a subject of their own
    int once_count, once_cap;
    int32_t known[SCHEMA_SUBJECTS];                      // versions were shown by anyone
    uint64_t generations[CLUSTER_REGISTRIES];            // life of which
    int64_t begun_us[CLUSTER_REGISTRIES];                // ... has begun then
    int32_t latest[CLUSTER_REGISTRIES][SCHEMA_SUBJECTS]; // ... versions were shown
};

void schema_facts_init(struct schema_facts *facts, struct history *history);

// After each event: notes which registries have begun; true when one has.
bool schema_facts_turn(struct schema_facts *facts, const struct cluster *cluster);
// A registration in SCHEMA_ONCE is tried.
void schema_facts_once(struct schema_facts *facts, int64_t number);
// A registration was acknowledged.
void schema_facts_acknowledged(struct schema_facts *facts, struct schema_ack ack);
// The schema of an id was shown.
void schema_facts_id(struct schema_facts *facts, int subject, int32_t id, int64_t number);
// The version of a subject that a read which begins now at a registry is not to stay below.
int32_t schema_facts_least(const struct schema_facts *facts, const struct daemon_sim *registry, int subject);
// A registry has shown the latest version of a subject to a read that began when `least` was the least;
// version 0: it has none.
void schema_facts_latest(struct schema_facts *facts, const struct daemon_sim *registry, int subject,
                         int32_t least, int32_t version, int32_t id);

#endif
