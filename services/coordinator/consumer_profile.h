// SPDX-License-Identifier: Apache-2.0
// What a member of a consumer or share group says of itself, as the group keeps it: one allocation that never
// changes; a member gets another one.
#ifndef CONSUMER_PROFILE_H
#define CONSUMER_PROFILE_H

#include "consumer_group.h"

// One allocation with everything in it; NULL when memory is short.
struct consumer_profile *consumer_profile_copy(const struct consumer_profile *profile);
size_t consumer_profile_bytes(const struct consumer_profile *profile);
bool consumer_profile_equal(const struct consumer_profile *a, const struct consumer_profile *b);
bool consumer_same_topics(const struct consumer_profile *a, const struct consumer_profile *b);
// base with what change states; base NULL: of a new member.
struct consumer_profile consumer_profile_merge(const struct consumer_profile *base,
                                               const struct consumer_profile *change);
bool consumer_profile_names(const struct consumer_profile *profile, struct slice topic);

#endif
