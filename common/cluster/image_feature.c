// SPDX-License-Identifier: Apache-2.0
// Feature levels kept in the metadata log. A log from before they were kept names none: then its cluster has
// what the releases of that time did unasked (features_row.implied).
#include "cluster/image_state.h"

#include "base/mem.h"
#include "cluster/features.h"
#include "cluster/records.h"

static int compare(const void *key, const void *item)
{
    return strcmp(key, ((const struct feature *)item)->name);
}

enum status image_feature_set(struct image *image, const Millrace__FeatureRecord *record)
{
    size_t len = strlen(record->name);
    bool found;
    size_t at = sorted_find(&image->features, record->name, compare, &found);
    if (len == 0 || record->level > INT16_MAX || record->epoch < image->features_epoch || record->epoch < 1)
        return image_refuse(image, ST_INVALID, "feature %.60s: level %u or epoch %lld out of range",
                            record->name, record->level, (long long)record->epoch);
    if (!found && image->features.count == IMAGE_FEATURES_MAX)
        return image_refuse(image, ST_INVALID, "more than %d features", IMAGE_FEATURES_MAX);
    if (!found) {
        struct feature *fresh = mem_calloc(1, sizeof *fresh + len + 1);
        memcpy(fresh->name, record->name, len);
        sorted_insert(&image->features, at, fresh);
    }
    struct feature *feature = image->features.items[at];
    feature->level = (int16_t)record->level;
    image->features_epoch = record->epoch;
    return ST_OK;
}

int16_t image_feature(const struct image *image, const char *name)
{
    const struct feature *feature = sorted_get(&image->features, name, compare);
    if (feature != NULL)
        return feature->level;
    const struct features_row *row = features_row(slice_str(name));
    return row != NULL && image->features_epoch == 0 ? row->implied : 0;
}

void image_node_range(const struct image_node *node, const char *name, int16_t *min, int16_t *max)
{
    const struct features_row *row = features_row(slice_str(name));
    *min = *max = 0;
    if (node->range_count == 0 && row != NULL) {
        *min = row->min;
        *max = row->implied;
    }
    for (size_t i = 0; i < node->range_count; i++)
        if (strcmp(node->ranges[i].name, name) == 0) {
            *min = node->ranges[i].min;
            *max = node->ranges[i].max;
        }
}

int64_t image_features_epoch(const struct image *image)
{
    return image->features_epoch;
}

enum status image_features_encode(const struct image *image, struct buf *out)
{
    enum status status = ST_OK;
    for (size_t i = 0; i < image->features.count && status == ST_OK; i++) {
        const struct feature *feature = image->features.items[i];
        Millrace__MetadataRecord record = MILLRACE__METADATA_RECORD__INIT;
        Millrace__FeatureRecord body = MILLRACE__FEATURE_RECORD__INIT;
        body.name = (char *)(uintptr_t)feature->name;
        body.level = (uint32_t)feature->level;
        body.epoch = image->features_epoch;
        record.version = IMAGE_RECORD_VERSION;
        record.body_case = MILLRACE__METADATA_RECORD__BODY_FEATURE;
        record.feature = &body;
        status = records_put(out, &record);
    }
    return status;
}

void image_features_forget(struct image *image)
{
    for (size_t i = 0; i < image->features.count; i++)
        mem_free(image->features.items[i]);
    sorted_fini(&image->features);
}
