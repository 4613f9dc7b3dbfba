// SPDX-License-Identifier: Apache-2.0
// The daemons of a cluster by their admin ports: who they are, and what they tell over REST. For commands
// that need to know what the Kafka protocol does not tell.
#ifndef CLI_DAEMONS_H
#define CLI_DAEMONS_H

#include "cli.h"
#include "http/json.h"

enum { DAEMONS_MAX = 320, DAEMONS_WAIT_MS = 5000 };

struct daemon_place {
    char address[280]; // "host:port" of its admin port
    char role[16];     // "" when it never told and no state file names it
    int id;
    bool answers; // at its admin port
    bool ready;
};

struct daemons {
    int count;
    struct daemon_place places[DAEMONS_MAX];
};

struct daemons_options {
    const char *admin; // "host:port,..."; NULL: $MILLRACE_ADMIN, else those of the local cluster
    const char *data;  // of the local cluster, as for `status`
};

#define DAEMONS_ARGS(options)                                                                                \
    {"--admin",                                                                                              \
     CLI_TEXT,                                                                                               \
     &(options).admin,                                                                                       \
     0,                                                                                                      \
     0,                                                                                                      \
     "HOST:PORT,...",                                                                                        \
     "admin ports of the daemons ($MILLRACE_ADMIN, else the local cluster's)"},                              \
    {                                                                                                        \
        "--data", CLI_TEXT, &(options).data, 0, 0, "DIR", "the local cluster there"                          \
    }

// Asks each who it is. A message is printed when no daemon is known or none answers. The caller frees it with
// mem_free.
enum cli_exit daemons_find(const struct daemons_options *options, struct daemons **daemons);

// The one with that role and id; NULL: not known.
const struct daemon_place *daemons_at(const struct daemons *daemons, const char *role, int id);

// GET of a path; *json is the answer when *code is 200 (to be freed with cJSON_Delete), else its message may
// be in it. *json is NULL when there is none.
enum status daemons_get(const struct daemon_place *place, const char *path, cJSON **json, int *code);

// GET of "BEFORE{name}AFTER" from whichever daemon of the role has it: 200 ends the search. A message is
// printed when none has: what it is, and why.
struct daemons_thing {
    const char *role;          // "coordinator"
    const char *what;          // "group"
    const char *before, *name; // "/v1/groups/", "a b"
    const char *after;         // "/lag"
};
enum cli_exit daemons_get_thing(const struct daemons *daemons, const struct daemons_thing *thing,
                                cJSON **json);
// The same from one daemon, without a message; as daemons_get.
enum status daemons_get_from(const struct daemon_place *place, const struct daemons_thing *thing,
                             cJSON **json, int *code);

#endif
