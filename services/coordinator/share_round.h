// SPDX-License-Identifier: Apache-2.0
// What the owner of a group's shard asks the share coordinators of its partitions (KIP-932): to begin, to set
// the group elsewhere, to forget, or where it is. They may be other processes; Kafka's requests go there as
// relays do, one for all partitions of a shard. __share_group_state is made when it is first needed.
#ifndef SHARE_ROUND_H
#define SHARE_ROUND_H

#include "cluster/contacts.h"
#include "cluster/controllers.h"
#include "io/env.h"
#include "parts.h"

struct share_round;

// Whom rounds reach; one for all.
struct share_peers {
    struct env *env;
    struct rpc *rpc;
    const struct image *image;
    struct contacts *coordinators;
    struct controllers *controllers;
    struct controllers_pending *needed; // the topic is asked for
};

void share_peers_fini(struct share_peers *peers);

enum share_question { SHARE_ASK_INITIALIZE, SHARE_ASK_DELETE, SHARE_ASK_SUMMARY };

struct share_round_item {
    struct parts_item part;
    int64_t start;        // INITIALIZE: where it begins, -1: by configuration; SUMMARY: told
    int16_t error;        // Kafka's; COORDINATOR_NOT_AVAILABLE: nobody answered
    int32_t leader_epoch; // SUMMARY
    int32_t state_epoch;  // SUMMARY; 0: nothing is kept, since groups have their state kept from epoch 1 on
    int32_t complete;     // SUMMARY: records behind the start that are over, -1: not known
    int64_t end;          // of the log, by share_ends.h; -1: not known
};

// items: as asked, with what was answered; borrowed during the call, the round is gone afterwards.
typedef void share_round_fn(void *context, struct share_round_item *items, size_t count);

struct share_round_options {
    struct share_peers *peers;
    enum share_question question;
    struct slice group;  // copied
    int32_t state_epoch; // INITIALIZE
    int64_t timeout_ms;  // what nobody answers is asked again meanwhile
    bool partly;         // ... unless others were told: then the round ends, and who began it asks again
    share_round_fn *done;
    void *context;
};

// The shard of __share_group_state that keeps a share partition's state; -1 while there is none.
int32_t share_round_shard(const struct image *image, struct slice group, const struct parts_item *part);

// items: copied, ascending by partition. done is called once, never from inside.
struct share_round *share_round_begin(const struct share_round_options *options,
                                      const struct share_round_item *items, size_t count);
// Whether it had no answer, or one that would be another later.
bool share_round_open(const struct share_round_item *item);
// Whether the share coordinator knows the partition's begin: also one that somebody has set further meanwhile.
bool share_round_told(const struct share_round_item *item);
// How many partitions it asks for.
size_t share_round_count(const struct share_round *round);
// done is not called any more. NULL inside is allowed.
void share_round_cancel(struct share_round **round);

#endif
