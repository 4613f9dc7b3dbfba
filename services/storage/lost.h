// SPDX-License-Identifier: Apache-2.0
// Partitions this node once had and has no more, or not as far as their recovery point (design section 6,
// reads): told to the controller with the registration, which takes the replica out of the ISR before it may
// start empty. A log that the disk does not let us read now (log_status) is none of them: it is offline, and
// its replica has failed (report.h).
#ifndef STORAGE_LOST_H
#define STORAGE_LOST_H

#include "cluster/image.h"
#include "cluster/member.h"
#include "dirs.h"

// Whether some lost log has no files that say its topic's id: the image must be there to name it.
bool lost_unnamed(struct dirs *dirs);

// The image is known: a log of which only the topic's id cannot be read (log_nameless) is given that of the
// topic with its name, where that can be no other's. Else it stays lost.
void lost_identify(struct env *env, struct dirs *dirs, const struct image *image, struct log *log);
void lost_identify_all(struct env *env, struct dirs *dirs, const struct image *image);

// Fills list (owned by the caller, mem_free) and returns its length. Logs of topics the image does not know
// are left out: they are removed like any stray.
size_t lost_list(struct dirs *dirs, const struct image *image, struct member_lost **list);

// The partition index in a log's name "topic-3".
int32_t lost_index(const char *log_name);

// The topic of a lost log without id, by its name; NULL when the image has none.
const struct image_topic *lost_topic(const struct image *image, const struct log *log);

#endif
