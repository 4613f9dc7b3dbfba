// SPDX-License-Identifier: Apache-2.0
// The work of `millrace storage adopt`: which topics, all their partitions, the note for the node.
#ifndef CLI_ADOPTION_H
#define CLI_ADOPTION_H

#include "cli.h"
#include "io/env.h"

struct adoption_options {
    const char *from;        // Kafka's log directory
    const char *data;        // the node's, recovered and closed
    struct cli_many topics;  // none: all but internal ones
    struct cli_many configs; // "key=value"
};

// Says what it did as a table, or as JSON. All or nothing.
enum cli_exit adoption_run(struct env *env, const struct adoption_options *options, bool json);

#endif
