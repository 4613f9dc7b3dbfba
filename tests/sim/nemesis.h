// SPDX-License-Identifier: Apache-2.0
// What breaks things: kills, power cuts, cut links, clock jumps, bursts of bad network and slow disks, by the
// seed.
#ifndef SIM_NEMESIS_H
#define SIM_NEMESIS_H

#include "cluster.h"

struct nemesis {
    struct cluster *cluster;
    struct env *env;
    struct timer timer;
    struct prng prng;
    bool healing; // the bad time is over
};

void nemesis_begin(struct nemesis *nemesis, struct cluster *cluster, struct env *env);

// Heals the network, ends the bursts, starts what is down; nothing breaks any more.
void nemesis_heal(struct nemesis *nemesis);

#endif
