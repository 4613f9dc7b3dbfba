// SPDX-License-Identifier: Apache-2.0
// See features.h. metadata.version says nothing about our own records (MetadataRecord.version does that): it
// is kept because tools show it and let operators set it. What is always so here cannot be switched off:
// eligible leader replicas (KIP-966).
#include "cluster/features.h"

enum { METADATA_FIRST = 7, METADATA_LAST = 29 };

// clang-format off
const struct features_row features_rows[] = {
    {"eligible.leader.replicas.version", 1, 1, 1, 1},
    {FEATURES_GROUP,       0, 1, 1, 1},
    {FEATURES_KRAFT,       0, 1, 0, 0},
    {FEATURES_METADATA,    METADATA_FIRST, METADATA_LAST, METADATA_LAST, METADATA_LAST},
    {FEATURES_SHARE,       0, 1, 1, 0},
    {FEATURES_STREAMS,     0, 1, 1, 1},
    {FEATURES_TRANSACTION, 0, 2, 2, 2},
};
// clang-format on
const int features_count = sizeof features_rows / sizeof *features_rows;

// Levels whose records differ from those of the level below.
static const int16_t metadata_changed[] = {7, 8, 11, 13, 14, 15, 17, 23};

const struct features_row *features_row(struct slice name)
{
    for (int i = 0; i < features_count; i++)
        if (slice_is(name, features_rows[i].name))
            return &features_rows[i];
    return NULL;
}

bool features_metadata_loses(int16_t from, int16_t to)
{
    for (size_t i = 0; i < sizeof metadata_changed / sizeof *metadata_changed; i++)
        if (metadata_changed[i] > to && metadata_changed[i] <= from)
            return true;
    return false;
}
