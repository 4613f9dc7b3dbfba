// SPDX-License-Identifier: Apache-2.0
// The work of `millrace storage adopt`: which topics, all their partitions, the note for the node; and of
// `millrace storage release`, the way back.
#ifndef CLI_ADOPTION_H
#define CLI_ADOPTION_H

#include "cli.h"
#include "io/env.h"
#include "log/adopt.h"

struct adoption_options {
    enum log_adoption_way way;
    const char *from;        // LOG_ADOPT: Kafka's log directory; else the node's, recovered and closed
    const char *to;          // the other one
    struct cli_many topics;  // none: all but internal ones
    struct cli_many configs; // "key=value", LOG_ADOPT only
};

// Says what it did as a table, or as JSON. All or nothing.
enum cli_exit adoption_run(struct env *env, const struct adoption_options *options, bool json);

#endif
