// SPDX-License-Identifier: Apache-2.0
// A group from one protocol to the other while its members go on (KIP-848, "Migrating"). Pure: what was
// written of the former group is the caller's to bury.
#ifndef MIGRATE_H
#define MIGRATE_H

#include "consumer_group.h"

// Fills to, a new group, with the members of from, which become members of the classic protocol in it, with
// the assignments they have. Whoever waits in from is told to join again. Kafka's error (GROUP_ID_NOT_FOUND:
// it does not use the consumer protocol, or an assignor with data of its own): nothing has changed then.
int16_t migrate_up(struct group *from, struct group_now now, struct consumer_group *to);

// A classic group with the members of from, all of which use the classic protocol. It rebalances unless they
// have all that they are to have. NULL when memory is short, or an assignment or the whole group is too large: a
// classic group is one record.
struct group *migrate_down(const struct consumer_group *from, struct group_now now,
                           const struct group_settings *settings, const struct group_sink *sink);

#endif
