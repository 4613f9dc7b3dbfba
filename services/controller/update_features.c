// SPDX-License-Identifier: Apache-2.0
// UpdateFeatures (API 57, KIP-584): all levels of a request are changed, or none. The rules and the words of
// refusals are those of Kafka 4.2's FeatureControlManager. A feature named twice counts as it was named last.
#include "relay.h"

#include "cluster/features.h"
#include "feature_levels.h"
#include "voter_set.h"
#include "kafka/codec.h"
#include "kafka/errors.h"
#include "kafka/messages/update_features.h"

#include <stdio.h>

typedef struct kafka_update_features_request_feature_update_key update;

enum upgrade_type { UPGRADE = 1, SAFE_DOWNGRADE = 2, UNSAFE_DOWNGRADE = 3 };

enum { VERSION_RESULTS_LAST = 1, UPDATES_MAX = 1000 }; // far above the features there are

#define FAILED "The update failed for all features since the following feature had an error: "

static bool invalid(struct topics_error *error, const update *asked, const char *why)
{
    int len = asked->feature.len < 60 ? (int)asked->feature.len : 60;
    return topics_refuse(error, KAFKA_ERR_INVALID_UPDATE_VERSION,
                         FAILED "Invalid update version %d for feature %.*s. %s", asked->max_version_level,
                         len, (const char *)asked->feature.data, why);
}

static bool supported(const struct relay *relay, const update *asked, const struct features_row *row,
                      struct topics_error *error)
{
    char why[80];
    if (asked->max_version_level < 0)
        return invalid(error, asked, "A feature version cannot be less than 0.");
    if (row != NULL && asked->max_version_level >= row->min && asked->max_version_level <= row->max)
        return true;
    if (row == NULL || row->max == 0)
        snprintf(why, sizeof why, "Local controller %d does not support this feature.",
                 relay->controller->node_id);
    else
        snprintf(why, sizeof why, "Local controller %d only supports versions %d-%d",
                 relay->controller->node_id, row->min, row->max);
    return invalid(error, asked, why);
}

static bool metadata_kept(const update *asked, int16_t now, struct topics_error *error)
{
    if (!features_metadata_loses(now, asked->max_version_level))
        return true;
    return topics_refuse(error, KAFKA_ERR_INVALID_UPDATE_VERSION,
                         FAILED "Unsupported metadata.version downgrade from %d to %d. %s", now,
                         asked->max_version_level,
                         asked->upgrade_type == UNSAFE_DOWNGRADE
                             ? "Unsafe metadata downgrade is not supported in this version."
                             : "Refusing to perform the requested downgrade because it might delete metadata "
                               "information.");
}

static bool check(const struct relay *relay, const update *asked, const struct features_row *row,
                  struct topics_error *error)
{
    if (asked->upgrade_type < UPGRADE || asked->upgrade_type > UNSAFE_DOWNGRADE)
        return invalid(error, asked, "The controller does not support the given upgrade type.");
    if (!supported(relay, asked, row, error))
        return false;
    const struct image *image = metadata_image(relay->controller->metadata);
    char why[FEATURE_LEVELS_WHY];
    if (!feature_levels_understood(image, row->name, asked->max_version_level, why))
        return invalid(error, asked, why);
    int16_t now = image_feature(image, row->name);
    if (asked->max_version_level < now && asked->upgrade_type == UPGRADE)
        return invalid(error, asked,
                       "Can't downgrade the version of this feature without setting the upgrade type to "
                       "either safe or unsafe downgrade.");
    if (asked->max_version_level < now && slice_is(asked->feature, FEATURES_KRAFT))
        return invalid(error, asked, "Can't downgrade the version of this feature.");
    if (asked->max_version_level > now && asked->upgrade_type != UPGRADE)
        return invalid(error, asked, "Can't downgrade to a newer version.");
    return !slice_is(asked->feature, FEATURES_METADATA) || metadata_kept(asked, now, error);
}

static bool named_again(const struct kafka_update_features_request *request, int32_t at)
{
    for (int32_t i = at + 1; i < request->feature_updates_count; i++)
        if (slice_equal(request->feature_updates[i].feature, request->feature_updates[at].feature))
            return true;
    return false;
}

static bool decide(struct relay *relay, struct decision *decision, struct topics_error *error)
{
    const struct kafka_update_features_request *request = relay->request;
    const struct image *image = metadata_image(relay->controller->metadata);
    for (int32_t i = 0; i < request->feature_updates_count; i++) {
        const update *asked = &request->feature_updates[i];
        const struct features_row *row = features_row(asked->feature);
        if (named_again(request, i))
            continue;
        if (!check(relay, asked, row, error))
            return false;
        if (asked->max_version_level != image_feature(image, row->name))
            decision_feature(decision, row->name, asked->max_version_level, image_features_epoch(image) + 1);
    }
    return true;
}

// What a level asks for beside its record.
static bool prepare(struct relay *relay, struct topics_error *error)
{
    const struct kafka_update_features_request *request = relay->request;
    for (int32_t i = 0; i < request->feature_updates_count; i++)
        if (!named_again(request, i) && slice_is(request->feature_updates[i].feature, FEATURES_KRAFT) &&
            request->feature_updates[i].max_version_level > 0)
            return voter_set_upgrade(relay, error);
    return true;
}

// Versions before 2 have a row for each feature, when all went well.
static void add_results(struct relay *relay)
{
    const struct kafka_update_features_request *request = relay->request;
    struct kafka_update_features_response *response = relay->response;
    response->results = kafka_structure_array(&kafka_update_features_response_updatable_feature_result_type,
                                              &relay->arena, request->feature_updates_count);
    relay->failed = response->results == NULL ? ST_LIMIT : ST_OK;
    for (int32_t i = 0; response->results != NULL && i < request->feature_updates_count; i++) {
        if (!named_again(request, i))
            response->results[response->results_count++].feature = request->feature_updates[i].feature;
    }
}

void update_features(struct relay *relay)
{
    const struct kafka_update_features_request *request = relay->request;
    struct kafka_update_features_response *response = relay->response;
    struct topics_error error = {0};
    struct decision decision;
    decision_init(&decision);
    relay->validate_only = request->validate_only;
    if (!authorise(&relay->principal, OPERATION_ALTER, RESOURCE_TYPE_CLUSTER,
                   slice_str(RESOURCE_CLUSTER_NAME)))
        topics_refuse(&error, KAFKA_ERR_CLUSTER_AUTHORIZATION_FAILED, "Authorization failed.");
    else if (request->feature_updates_count > UPDATES_MAX)
        topics_refuse(&error, KAFKA_ERR_INVALID_REQUEST, "More than %d features.", UPDATES_MAX);
    else if (decide(relay, &decision, &error) && prepare(relay, &error))
        relay_append(relay, &decision, &error);
    decision_fini(&decision);
    response->error_code = error.code;
    response->error_message = relay_text(relay, &error);
    if (error.code == 0 && relay->failed == ST_OK && relay->version <= VERSION_RESULTS_LAST)
        add_results(relay);
}
