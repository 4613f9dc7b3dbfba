// SPDX-License-Identifier: Apache-2.0
// What breaks things: kills, power cuts, cut links, clock jumps, bursts of bad network and slow disks. Each
// seed draws its own mix (swarm testing): what is rare when everything happens at once is common where little
// else does. Some seeds aim at elections of the controllers (nemesis_quorum.c), some at followers that come
// back into sync (nemesis_isr.c), some at truncations (nemesis_cut.c), some at leaders that do not hear that
// they are deposed (nemesis_deposed.c), some at disks (nemesis_disk.c), the others strike anywhere.
#ifndef SIM_NEMESIS_H
#define SIM_NEMESIS_H

#include "cluster.h"

enum nemesis_aim { AIM_ANYWHERE, AIM_ELECTIONS, AIM_REJOINING, AIM_TRUNCATIONS, AIM_DEPOSED, AIM_DISKS };

enum nemesis_ill { ILL_FULL, ILL_FAILING, ILL_FLIPPED };

enum nemesis_fault {
    FAULT_KILL,
    FAULT_POWER_CUT,
    FAULT_POWER_CUT_KIND,
    FAULT_LINKS_CUT,
    FAULT_LINKS_HEAL,
    FAULT_CLOCK_JUMP,
    FAULT_WEATHER,
    FAULT_CLEAN_STOP, // of a storage node
    FAULT_KILL_ALL,   // all at once
    FAULT_UNLED,      // a storage node hears no controller; everybody else hears it
    NEMESIS_FAULTS
};

// A seed's mix.
struct nemesis_plan {
    enum nemesis_aim aim;
    int weights[NEMESIS_FAULTS];
    int kinds[4];              // weights of the daemons' kinds as victims
    int step_ms;               // mean time between two faults
    struct world_faults worst; // weather
    int strike_percent;        // AIM_ELECTIONS: of the changes; AIM_REJOINING: of the proposals; else of the
                               // truncations
    int at_once_percent; // of the strikes: before the change has reached anybody; AIM_TRUNCATIONS: in the
                         // middle of a job
    // AIM_DISKS
    enum nemesis_ill ill;
    int victim;    // ILL_FLIPPED: the storage node
    bool segments; // ... the records themselves, else what is derived from them
    bool restarts; // an operator restarts a node whose disk works again; else logs come back by themselves
};

// AIM_ELECTIONS: a controller as seen after the last event.
struct nemesis_voter {
    uint64_t generation; // of its process
    int64_t term;
    int role;
};

struct check;

struct nemesis {
    struct cluster *cluster;
    struct check *check; // hears of flipped bits
    struct env *env;
    struct timer timer;
    struct timer aimed;
    struct timer voting;     // where voters change
    struct timer registries; // where there are any
    struct prng prng;
    struct nemesis_plan plan;
    bool begun;
    bool healing; // the bad time is over
    struct nemesis_voter voters[CLUSTER_CONTROLLERS_MAX];
    int changed;                        // the controller that changed last
    int stalled;                        // ... whose disk hung last
    int64_t unled_us;                   // until then a storage node hears no controller
    int64_t quiet_us;                   // AIM_ELECTIONS: no strike before that time
    int64_t regroup_us;                 // AIM_REJOINING: when the links change next
    int apart;                          // AIM_TRUNCATIONS: the leader cut off last
    bool apart_killed;                  // ... ends before it is joined again
    int64_t strike_us[CLUSTER_STORAGE]; // AIM_TRUNCATIONS, AIM_DISKS: when that node loses its power; 0: not
                                        // asked for
    bool ill;                           // AIM_DISKS: a strike lasts
    int64_t disk_us;                    // ... until then, or none until then
};

// What is done in a seed beside its plan: an operator reassigns partitions; disks are aimed at, and a reader
// looks on.
static inline bool nemesis_reassigns(uint64_t seed)
{
    return seed % 3 == 0;
}
static inline bool nemesis_spoils_disks(uint64_t seed)
{
    return seed % 4 == 2;
}

void nemesis_begin(struct nemesis *nemesis, struct cluster *cluster, struct check *check, struct env *env);

// A storage node has said that it truncates a log.
void nemesis_truncating(struct nemesis *nemesis, struct machine *machine);

// ... that a log is back whose disk had failed it.
void nemesis_log_returned(struct nemesis *nemesis, const struct machine *machine);

// After each event.
void nemesis_turn(struct nemesis *nemesis);

// Heals the network, ends the bursts, starts what is down; nothing breaks any more.
void nemesis_heal(struct nemesis *nemesis);

// ---- for the aimed parts ----
// Ends a daemon that is up; it comes back after down_ms.
void nemesis_stop(struct nemesis *nemesis, struct daemon_sim *daemon, bool power_cut, int64_t down_ms);
void nemesis_revive(struct nemesis *nemesis, struct daemon_sim *daemon); // when it is down
// Cuts one of the daemons of a kind off the others, which reach each other; their number: nobody. Of five it
// may take another one with it.
void nemesis_isolate(struct nemesis *nemesis, enum daemon_kind kind, int alone);
void nemesis_unlead(struct nemesis *nemesis); // a storage node, for a while
bool nemesis_percent(struct nemesis *nemesis, int percent);
int64_t nemesis_between(struct nemesis *nemesis, int64_t low, int64_t high);

void nemesis_quorum_begin(struct nemesis *nemesis);
void nemesis_quorum_turn(struct nemesis *nemesis);
void nemesis_voters_begin(struct nemesis *nemesis);
void nemesis_registries_begin(struct nemesis *nemesis);
void nemesis_isr_begin(struct nemesis *nemesis);
void nemesis_cut_begin(struct nemesis *nemesis);
void nemesis_cut_turn(struct nemesis *nemesis);
void nemesis_disk_begin(struct nemesis *nemesis);
void nemesis_disk_heal(struct nemesis *nemesis);
void nemesis_disk_check(struct nemesis *nemesis); // at the end: every log is back

#endif
