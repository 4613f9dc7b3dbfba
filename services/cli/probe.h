// SPDX-License-Identifier: Apache-2.0
// Whether a cluster takes a first record: every storage node answers Metadata and names all storage nodes.
#ifndef CLI_PROBE_H
#define CLI_PROBE_H

#include "cluster.h"
#include "io/env.h"

struct probe;

// Asks again and again until it is so, then calls on_done once. The cluster must stay.
struct probe *probe_new(struct env *env, const struct cluster *cluster, void (*on_done)(void *context),
                        void *context);
void probe_destroy(struct probe **probe);

#endif
