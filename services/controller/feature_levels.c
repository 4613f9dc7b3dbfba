// SPDX-License-Identifier: Apache-2.0
// See feature_levels.h.
#include "feature_levels.h"

#include "cluster/features.h"

void feature_levels_begin(const struct image *image, struct decision *decision, bool fresh)
{
    if (image_features_epoch(image) > 0)
        return;
    for (int i = 0; i < features_count; i++) {
        const struct features_row *row = &features_rows[i];
        decision_feature(decision, row->name, fresh ? row->initial : row->implied, 1);
    }
}
