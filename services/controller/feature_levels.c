// SPDX-License-Identifier: Apache-2.0
// See feature_levels.h.
#include "feature_levels.h"

#include "cluster/features.h"

#include <stdio.h>

void feature_levels_begin(const struct image *image, struct decision *decision, bool fresh)
{
    if (image_features_epoch(image) > 0)
        return;
    for (int i = 0; i < features_count; i++) {
        const struct features_row *row = &features_rows[i];
        decision_feature(decision, row->name, fresh ? row->initial : row->implied, 1);
    }
}

// A coordinator that is gone comes back under another id and is looked at then; a storage node keeps its id.
static bool counts(const struct image_node *node)
{
    return node->role == MILLRACE__ROLE__ROLE_STORAGE || !node->fenced;
}

static bool understands(const struct image_node *node, const char *name, int16_t level,
                        char why[FEATURE_LEVELS_WHY])
{
    const char *what = node->role == MILLRACE__ROLE__ROLE_STORAGE ? "Broker" : "Coordinator";
    int16_t min, max;
    image_node_range(node, name, &min, &max);
    if (level == 0 || (level >= min && level <= max))
        return true;
    if (max == 0)
        snprintf(why, FEATURE_LEVELS_WHY, "%s %d does not support this feature.", what, node->id);
    else
        snprintf(why, FEATURE_LEVELS_WHY, "%s %d only supports versions %d-%d", what, node->id, min, max);
    return false;
}

bool feature_levels_understood(const struct image *image, const char *name, int16_t level,
                               char why[FEATURE_LEVELS_WHY])
{
    for (size_t i = 0; i < image_node_count(image); i++) {
        const struct image_node *node = image_node_at(image, i);
        if (counts(node) && !understands(node, name, level, why))
            return false;
    }
    return true;
}
