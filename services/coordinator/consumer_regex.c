// SPDX-License-Identifier: Apache-2.0
// The regular expressions a consumer group subscribes to (SubscribedTopicRegex), each with the topics it
// matches. A new one is held against all topics in ascending order of their names, a bounded number in one
// turn; from then on, and for the part it has passed, topics that appear or vanish are looked at one by one.
// See consumer_state.h.
#include "base/assert.h"
#include "base/mem.h"
#include "consumer_state.h"

bool consumer_regex_valid(struct slice pattern)
{
    if (pattern.len == 0 || pattern.len > CONSUMER_REGEX_MAX)
        return pattern.len == 0;
    struct regex *compiled = regex_new((const char *)pattern.data, pattern.len);
    bool valid = compiled != NULL;
    if (valid)
        regex_destroy(&compiled);
    return valid;
}

int16_t consumer_regex_check(const struct consumer_group *group, struct slice pattern)
{
    if (pattern.len == 0 || map_get(&group->regexes, pattern) != NULL)
        return KAFKA_ERR_NONE;
    if (!consumer_regex_valid(pattern))
        return KAFKA_ERR_INVALID_REGULAR_EXPRESSION;
    return group->regexes.count < CONSUMER_REGEXES_MAX ? KAFKA_ERR_NONE : KAFKA_ERR_GROUP_MAX_SIZE_REACHED;
}

struct consumer_regex *consumer_regex_load(struct consumer_group *group, struct slice pattern)
{
    struct consumer_regex *regex = map_get(&group->regexes, pattern);
    if (regex != NULL)
        return regex;
    regex = mem_calloc(1, sizeof *regex);
    regex->compiled = regex_new((const char *)pattern.data,
                                pattern.len); // NULL: from a Kafka that takes more; it matches nothing
    map_init(&regex->topics, 0);
    map_put(&group->regexes, pattern, regex);
    map_remove(&group->gone_regexes, pattern);
    return regex;
}

void consumer_regex_destroy(struct consumer_regex *regex)
{
    if (regex->compiled != NULL)
        regex_destroy(&regex->compiled);
    block_unref(&regex->seen);
    map_fini(&regex->topics);
    mem_free(regex);
}

// Nobody subscribes to it any more.
static void forget(struct consumer_group *group, struct slice pattern, struct consumer_regex *regex)
{
    struct slice name;
    for (struct map_entry *at = NULL; map_next(&regex->topics, &at, &name, NULL);)
        consumer_count_name(group, name, -1);
    map_put(&group->gone_regexes, pattern, group);
    group->dirty = true;
    map_remove(&group->regexes, pattern);
    consumer_regex_destroy(regex);
}

void consumer_regex_use(struct consumer_group *group, struct slice pattern, int32_t more)
{
    struct consumer_regex *regex = consumer_regex_load(group, pattern);
    regex->members += more;
    if (regex->members == 0)
        forget(group, pattern, regex);
}

bool consumer_regex_resolved(const struct consumer_group *group, struct slice pattern)
{
    const struct consumer_regex *regex = map_get(&group->regexes, pattern);
    return regex != NULL && regex->resolved;
}

bool consumer_regex_unfinished(const struct consumer_group *group)
{
    void *value;
    for (struct map_entry *at = NULL; map_next(&group->regexes, &at, NULL, &value);) {
        if (!((const struct consumer_regex *)value)->resolved)
            return true;
    }
    return false;
}

static bool matches(const struct consumer_regex *regex, struct slice name)
{
    return regex->compiled != NULL && regex_matches(regex->compiled, (const char *)name.data, name.len);
}

static void add_name(struct consumer_group *group, struct consumer_regex *regex, struct slice name)
{
    if (map_get(&regex->topics, name) != NULL)
        return;
    map_put(&regex->topics, name, regex);
    consumer_count_name(group, name, 1);
    regex->dirty = group->dirty = true;
}

static void drop_name(struct consumer_group *group, struct consumer_regex *regex, struct slice name)
{
    if (map_remove(&regex->topics, name) == NULL)
        return;
    consumer_count_name(group, name, -1);
    regex->dirty = group->dirty = true;
}

// Looks at the next topics of one expression; what a record said of topics that are gone is put right at the
// end. Whether it is done.
static bool scan(struct consumer_group *group, struct consumer_regex *regex)
{
    const struct image *image = group->topics->image;
    size_t at = 0, end = image_topic_count(image);
    if (regex->seen != NULL) {
        at = image_topic_lower_bound(image, block_slice(regex->seen));
        if (at < end && slice_is(block_slice(regex->seen), image_topic_at(image, at)->name))
            at++;
    }
    size_t stop = end - at > CONSUMER_SCAN_MAX ? at + CONSUMER_SCAN_MAX : end;
    for (; at < stop; at++) {
        struct slice name = slice_str(image_topic_at(image, at)->name);
        if (matches(regex, name))
            add_name(group, regex, name);
        else
            drop_name(group, regex, name);
    }
    block_unref(&regex->seen);
    if (at < end)
        regex->seen = block_copy(slice_str(image_topic_at(image, at - 1)->name));
    return at == end;
}

static void drop_vanished(struct consumer_group *group, struct consumer_regex *regex)
{
    struct slice name;
    for (struct map_entry *at = NULL; map_next(&regex->topics, &at, &name, NULL);) {
        if (image_topic_slice(group->topics->image, name) == NULL)
            drop_name(group, regex, name);
    }
}

bool consumer_regex_scan(struct consumer_group *group, struct group_now now)
{
    bool any = false;
    void *value;
    for (struct map_entry *at = NULL; map_next(&group->regexes, &at, NULL, &value);) {
        struct consumer_regex *regex = value;
        if (regex->resolved || !scan(group, regex))
            continue;
        drop_vanished(group, regex);
        any = any || regex->dirty || regex->resolved_ms == 0; // a new one may stand where one with topics was
        regex->resolved = true;
        regex->version = image_offset(group->topics->image);
        regex->resolved_ms = now.wall_ms;
        regex->dirty = group->dirty = true;
    }
    return any;
}

void consumer_topic_added(struct consumer_group *group, struct slice name)
{
    void *value;
    for (struct map_entry *at = NULL; map_next(&group->regexes, &at, NULL, &value);) {
        struct consumer_regex *regex = value;
        if (matches(regex, name))
            add_name(group, regex, name);
    }
}

void consumer_topic_removed(struct consumer_group *group, struct slice name)
{
    void *value;
    for (struct map_entry *at = NULL; map_next(&group->regexes, &at, NULL, &value);)
        drop_name(group, value, name);
}

// ---- loading ----

void consumer_regex_take(struct consumer_group *group, struct consumer_regex *regex,
                         const struct slice *names, int32_t count)
{
    struct slice name;
    for (struct map_entry *at = NULL; map_next(&regex->topics, &at, &name, NULL);)
        drop_name(group, regex, name);
    for (int32_t i = 0; i < count; i++)
        add_name(group, regex, names[i]);
    regex->dirty = false; // loading makes nothing dirty: see consumer_resume
}

void consumer_regex_unload(struct consumer_group *group, struct slice pattern)
{
    struct consumer_regex *regex = map_get(&group->regexes, pattern);
    if (regex != NULL)
        consumer_regex_take(group, regex, NULL, 0);
}

void consumer_regex_sweep(struct consumer_group *group)
{
    struct slice pattern;
    void *value;
    for (struct map_entry *at = NULL; map_next(&group->regexes, &at, &pattern, &value);) {
        if (((const struct consumer_regex *)value)->members == 0)
            forget(group, pattern, value);
    }
}
