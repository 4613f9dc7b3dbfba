// SPDX-License-Identifier: Apache-2.0
// What a request names more than once. Names are sorted, not each held against each other: a request of a few
// megabytes has a hundred thousand, and nothing else is done meanwhile.
#ifndef CONTROLLER_TWICE_H
#define CONTROLLER_TWICE_H

#include "base/arena.h"
#include "base/slice.h"

#include <stddef.h>

struct twice_key {
    struct slice name; // data NULL: it names nothing
    int8_t type;       // of what is named
    int32_t at;        // twice.c's
};

// Whether each of the keys, which lose their order, is there again. In the arena; NULL at its cap.
bool *twice_find(struct arena *arena, struct twice_key *keys, int32_t count);

// Where a decoded structure says what it names: offsets of a struct slice and of an int8_t (-1: all of them are
// of one type), in an array of structures of that size.
struct twice_place {
    size_t size, name;
    int type;
};

// The same of what count structures name.
bool *twice_named(struct arena *arena, const void *structures, int32_t count, struct twice_place place);

#endif
