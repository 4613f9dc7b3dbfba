// SPDX-License-Identifier: Apache-2.0
// Talking the Kafka protocol with a cluster as an administrator: one connection per node, opened when needed,
// the highest version both sides speak, retries while an error says "later". Everything blocks.
#ifndef CLI_ADMIN_H
#define CLI_ADMIN_H

#include "base/arena.h"
#include "cli.h"
#include "conn/client.h"
#include "kafka/api.h"
#include "kafka/codec.h"
#include "kafka/messages/metadata.h"

enum { ADMIN_ANY_NODE = -1, ADMIN_ANSWERS_MAX = 256 << 20 };

struct admin;

// What every command of this kind takes.
struct admin_options {
    const char *bootstrap; // NULL: $MILLRACE_BOOTSTRAP, else 127.0.0.1:9092
    int64_t timeout_s;
    bool json;
};

#define ADMIN_ARGS(options)                                                                                  \
    {"--bootstrap|-b",                                                                                       \
     CLI_TEXT,                                                                                               \
     &(options).bootstrap,                                                                                   \
     0,                                                                                                      \
     0,                                                                                                      \
     "HOST:PORT,...",                                                                                        \
     "a cluster's brokers ($MILLRACE_BOOTSTRAP, else 127.0.0.1:9092)"},                                      \
        {"--timeout", CLI_INT, &(options).timeout_s, 1, 3600, "S", "seconds to go on trying (30)"},          \
    {                                                                                                        \
        "--json", CLI_FLAG, &(options).json, 0, 0, NULL, "print the result as JSON"                          \
    }

// What the commands of this kind have in common: arguments are read, the cluster is connected to, the command
// runs, the connections are closed.
struct admin_command {
    const char *line, *help;    // as in cli_usage
    const struct cli_arg *args; // beside ADMIN_ARGS
    size_t count;               // of them, at most ADMIN_ARGS_OWN_MAX
    int positional_min, positional_max;
    // Arguments that contradict one another, before anything is connected; NULL: nothing to check.
    enum cli_exit (*check)(const struct cli_many *positional, void *context);
    enum cli_exit (*run)(struct admin *admin, const struct cli_many *positional, void *context);
    struct admin_options *options; // filled
    void *context;
};

enum { ADMIN_ARGS_OWN_MAX = 20 };

enum cli_exit admin_command(const struct admin_command *command, int argc, char **argv);

// Deletes what the names stand for, one after the other up to the first that fails, and says so.
enum cli_exit admin_delete_each(struct admin *admin, const struct cli_many *names,
                                const struct admin_options *options,
                                enum cli_exit (*delete_one)(struct admin *admin, const char *name));

const char *admin_bootstrap(const struct admin_options *options);

// Connects to the first bootstrap broker that answers. A message is printed when none does.
enum cli_exit admin_open(const struct admin_options *options, struct admin **admin);
void admin_close(struct admin **admin);

// Memory of requests and answers, until admin_close.
struct arena *admin_arena(struct admin *admin);

// The version that admin_call would use; -1 when the node does not offer the API. Prints nothing.
int16_t admin_version(struct admin *admin, int32_t node, int16_t api, int16_t version_max);

// One request to a node (ADMIN_ANY_NODE: the bootstrap one), answer in admin_arena. Lost connections are
// opened again until the time is over. A message is printed on failure.
enum cli_exit admin_call(struct admin *admin, int32_t node, int16_t api, int16_t version_max,
                         const void *request, const void **response);

// After an answer with this error code: waits a moment and says whether to ask again (the error passes and
// time is left).
bool admin_again(struct admin *admin, int16_t error);

// Prints "WHAT NAME: text" for an error code; returns CLI_FAILED, or CLI_TIMEOUT for REQUEST_TIMED_OUT.
enum cli_exit admin_refused(const char *what, struct slice name, int16_t error, struct slice message);

// Live brokers, and topics; topics NULL: all. Fills the addresses admin_call connects to.
enum cli_exit admin_metadata(struct admin *admin, const struct slice *topics, int count,
                             const struct kafka_metadata_response **response);

// The node that coordinates a group.
enum cli_exit admin_coordinator(struct admin *admin, const char *group, int32_t *node);

// The same of a key of any kind (FindCoordinator's key type: 0 a group, 1 a transactional id).
enum cli_exit admin_coordinator_of(struct admin *admin, int8_t key_type, const char *name, int32_t *node);

#endif
