// SPDX-License-Identifier: Apache-2.0
// A client of the schema registries: registers a schema, at another registry when there is no answer, until
// it is acknowledged; looks up latest versions and ids in between, most of all at a registry that has just
// begun. Several of them register in the same subjects, and now and then the same schema. One of a subject of
// its own may be given up when it is not known whether it is registered. The REST interface is not simulated:
// it asks a registry as its rest.c does.
#ifndef SIM_REGISTRAR_H
#define SIM_REGISTRAR_H

#include "schema_facts.h"

enum { REGISTRARS = 3 };

struct registrar_call;

struct registrar {
    struct cluster *cluster;
    struct schema_facts *facts;
    struct registrar *others; // all of them
    struct env *env;
    struct prng prng;
    struct timer timer;
    int64_t number; // of the schema to be registered; 0: none
    int subject;    // in that one
    int64_t acknowledged;
    bool finishing; // nothing new is asked
    struct registrar_call *call; // under way
};

// The subject of a schema of SCHEMA_ONCE.
void registrar_once(int64_t number, char name[32]);

void registrar_init(struct registrar *registrar, struct cluster *cluster, struct schema_facts *facts);

// A registry has begun: it is asked before it has read anything.
void registrar_hurry(struct registrar *registrar);

// ---- what a registry says, for the checker of the end ----
// Runs a read that a registry that is ready answers at once. subject and query NULL: none. Returns the code,
// 0: it has not answered; the body's id, version and schema's number, each 0 when it has none.
struct registrar_answer {
    int code;
    int32_t id, version;
    int64_t number;
};
struct registrar_answer registrar_read(const struct daemon_sim *daemon, const char *operation,
                                       const char *subject, const char *id, const char *context);

#endif
