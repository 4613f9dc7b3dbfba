// SPDX-License-Identifier: Apache-2.0
// A partition gets other replicas (KIP-455). Pure: (partition, wish, who lives) in, the next state out. While
// it runs the replicas are the target ones in their order and behind them those that will leave; it ends when
// every added one is in the ISR. Whenever a replica leaves, the leader epoch grows also if the leader stays
// (as in Kafka's PartitionChangeBuilder): what the replica acknowledged before must not count should it come
// back empty.
#ifndef CONTROLLER_REASSIGN_H
#define CONTROLLER_REASSIGN_H

#include "elect.h"

// Wants exactly these replicas, the first one preferred as leader. One that runs already is replaced; what it
// was adding leaves at once unless it is wanted again. Of the view only state is used. *next is what to write
// (arrays in the arena, in target or those of now), finished already when nothing has to be added. ST_EXISTS:
// it is so, or on the way to it; ST_INVALID: nobody who has everything would be left, or nobody to lead;
// ST_LIMIT: more than IMAGE_REPLICAS_MAX at the same time.
enum status reassign_begin(const struct image_partition *now, struct image_ids target,
                           const struct elect_view *view, struct arena *arena, struct image_partition *next);

// Back to the replicas from before. ST_NOT_FOUND: none runs; ST_INVALID as above.
enum status reassign_cancel(const struct image_partition *now, const struct elect_view *view,
                            struct arena *arena, struct image_partition *next);

// Ends the reassignment that next, a later state of now, can end: true when it did, with next's epochs above
// now's. Leadership moves when the leader leaves; with nobody alive to take it nothing ends yet.
bool reassign_finish(const struct image_partition *now, const struct elect_view *view, struct arena *arena,
                     struct image_partition *next);

// The replicas it leads to, or those there are when none runs; in the arena.
struct image_ids reassign_target(const struct image_partition *partition, struct arena *arena);

#endif
