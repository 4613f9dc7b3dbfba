// SPDX-License-Identifier: Apache-2.0
// Feature levels that a node does not understand: told by registrations, kept by the image and its snapshots.
#include <criterion/criterion.h>

#include "base/buf.h"
#include "cluster/image.h"
#include "decision.h"
#include "feature_levels.h"

enum { TRANSACTION_NEWEST = 2 };

static void put(struct image *image, int32_t id, Millrace__Role role, bool fenced,
                const struct image_range *range)
{
    struct decision decision;
    struct image_node node = {.id = id,
                              .role = role,
                              .incarnation = 1,
                              .fenced = fenced,
                              .rpc_endpoint = "tcp://a:1",
                              .rack = "",
                              .host = "",
                              .ranges = range,
                              .range_count = range != NULL};
    decision_init(&decision);
    decision_node(&decision, &node);
    cr_assert_eq(image_apply(image, decision.records[0], image_offset(image) + 1), ST_OK);
    decision_fini(&decision);
}

static bool understood(const struct image *image, const char *name, int16_t level, const char *why)
{
    char text[FEATURE_LEVELS_WHY] = "";
    bool yes = feature_levels_understood(image, name, level, text);
    cr_assert_str_eq(text, why);
    return yes;
}

Test(features, a_level_that_a_broker_does_not_understand_is_refused_with_kafkas_words)
{
    struct image *image = image_new();
    const struct image_range newest = {"transaction.version", 0, 2}, older = {"transaction.version", 0, 1};
    put(image, 1, MILLRACE__ROLE__ROLE_STORAGE, false, &newest);
    cr_assert(understood(image, "transaction.version", 2, ""));
    cr_assert_not(understood(image, "group.version", 1, "Broker 1 does not support this feature."));
    put(image, 2, MILLRACE__ROLE__ROLE_STORAGE, true, &older); // that it is down does not help: it comes back
    cr_assert_not(understood(image, "transaction.version", 2, "Broker 2 only supports versions 0-1"));
    cr_assert(understood(image, "transaction.version", 1, ""));
    cr_assert(understood(image, "group.version", 0, ""));
    image_destroy(&image);
}

Test(features, coordinators_count_while_they_are_up)
{
    struct image *image = image_new();
    const struct image_range older = {"transaction.version", 0, 1};
    put(image, 2001, MILLRACE__ROLE__ROLE_COORDINATOR, false, &older);
    cr_assert_not(understood(image, "transaction.version", 2, "Coordinator 2001 only supports versions 0-1"));
    put(image, 2001, MILLRACE__ROLE__ROLE_COORDINATOR, true, &older);
    cr_assert(understood(image, "transaction.version", 2, ""));
    image_destroy(&image);
}

Test(features, a_node_of_before_ranges_were_told_understands_what_its_time_implied)
{
    struct image *image = image_new();
    put(image, 1, MILLRACE__ROLE__ROLE_STORAGE, false, NULL);
    cr_assert(understood(image, "transaction.version", TRANSACTION_NEWEST, ""));
    cr_assert_not(understood(image, "share.version", 1, "Broker 1 does not support this feature."));
    image_destroy(&image);
}

Test(features, ranges_survive_a_snapshot)
{
    struct image *image = image_new(), *copy = image_new();
    const struct image_range older = {"transaction.version", 0, 1};
    struct buf bytes;
    buf_init(&bytes, 1 << 16);
    put(image, 1, MILLRACE__ROLE__ROLE_STORAGE, false, &older);
    cr_assert_eq(image_encode_snapshot(image, &bytes), ST_OK);
    cr_assert_eq(image_load_snapshot(copy, buf_slice(&bytes), image_offset(image) + 1), ST_OK);
    cr_assert_not(understood(copy, "transaction.version", 2, "Broker 1 only supports versions 0-1"));
    buf_fini(&bytes);
    image_destroy(&image);
    image_destroy(&copy);
}
