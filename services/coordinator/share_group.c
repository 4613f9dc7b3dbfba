// SPDX-License-Identifier: Apache-2.0
// See share_group.h. The rules are those of Kafka's GroupMetadataManager.shareGroupHeartbeat.
#include "share_group.h"

#include "base/bytes.h"
#include "base/hash.h"
#include "base/mem.h"
#include "share_group_state.h"

// ---- members ----

struct share_member *share_member_find(const struct share_group *group, struct slice id)
{
    return map_get(&group->members, id);
}

struct share_member *share_member_new(struct share_group *group, struct slice id)
{
    struct block *copy = block_copy(id);
    if (copy == NULL)
        return NULL;
    struct share_member *member = mem_calloc(1, sizeof *member);
    member->id = copy;
    member->session_us = GROUP_NEVER_US;
    map_put(&group->members, id, member);
    bool known = map_remove(&group->gone, id) != NULL; // its records are there still
    member->dirty_target = member->dirty_current = known;
    return member;
}

void share_member_free(struct share_member *member)
{
    parts_fini(&member->assigned);
    parts_fini(&member->target);
    mem_free(member->profile);
    block_unref(&member->id);
    mem_free(member);
}

void share_member_set(struct share_group *group, struct share_member *member,
                      struct consumer_profile *profile_take)
{
    group->bytes -= member->profile_bytes;
    mem_free(member->profile);
    member->profile = profile_take;
    member->profile_bytes = block_slice(member->id).len + consumer_profile_bytes(profile_take);
    group->bytes += member->profile_bytes;
    member->dirty_profile = group->dirty = true;
}

static void remove_member(struct share_group *group, struct share_member *member)
{
    group->bytes -= member->profile_bytes;
    map_remove(&group->members, block_slice(member->id));
    map_put(&group->gone, block_slice(member->id), group);
    group->dirty = true;
    share_member_free(member);
}

static bool room(const struct share_group *group, struct slice id, const struct consumer_profile *profile,
                 const struct share_member *former)
{
    size_t others = group->bytes - (former == NULL ? 0 : former->profile_bytes);
    size_t more = id.len + consumer_profile_bytes(profile), max = group->settings->bytes_max;
    return more <= max && others <= max - more;
}

// ---- epochs ----

// The sum of a hash per partition: it does not depend on their order.
static uint64_t hash_parts(const struct parts *parts)
{
    static const uint8_t key[HASH_SIP_SIZE];
    uint64_t sum = 0;
    for (size_t i = 0; i < parts->count; i++) {
        uint8_t bytes[sizeof(struct uuid) + sizeof(uint32_t)], out[HASH_SIP_SIZE];
        memcpy(bytes, &parts->items[i].topic, sizeof(struct uuid));
        store_be32(bytes + sizeof(struct uuid), (uint32_t)parts->items[i].index);
        hash_sip128(key, bytes, sizeof bytes, out);
        sum += load_be64(out);
    }
    return sum;
}

static void bump_epoch(struct share_group *group)
{
    group->epoch++;
    group->dirty_epoch = group->dirty = true;
}

// What is subscribed and not known yet is to be initialised.
static void want(struct share_group *group, const struct parts *wanted)
{
    struct parts fresh = parts_without(wanted, &group->initialized);
    struct parts more = parts_without(&fresh, &group->pending);
    if (more.count > 0) {
        struct parts sum = parts_sum(&group->pending, &more);
        parts_move(&group->pending, &sum);
        group->dirty_parts = group->dirty = true;
    }
    parts_fini(&fresh);
    parts_fini(&more);
}

void share_group_refresh(struct share_group *group, bool bump)
{
    if (!bump && group->hashed_at == group->topics->version)
        return;
    struct parts wanted = share_group_wanted(group);
    uint64_t hash = hash_parts(&wanted);
    want(group, &wanted);
    parts_fini(&wanted);
    group->hashed_at = group->topics->version;
    if (!bump && hash == group->hash)
        return;
    group->hash = hash;
    bump_epoch(group);
}

// ---- heartbeats ----

// A member may say its last epoch again: the answer that told it the new one may be lost.
static bool epoch_ok(const struct share_member *member, int32_t epoch)
{
    return epoch == 0 || epoch == member->epoch || epoch == member->previous_epoch;
}

static int16_t check(const struct share_group *group, const struct share_beat *beat,
                     struct share_member **member)
{
    *member = share_member_find(group, beat->member_id);
    if (*member == NULL && beat->epoch != 0)
        return KAFKA_ERR_UNKNOWN_MEMBER_ID;
    if (*member == NULL && group->members.count >= (size_t)group->settings->size_max)
        return KAFKA_ERR_GROUP_MAX_SIZE_REACHED;
    return *member == NULL || epoch_ok(*member, beat->epoch) ? KAFKA_ERR_NONE : KAFKA_ERR_FENCED_MEMBER_EPOCH;
}

// Makes the member what it says it is; *changed: what it subscribes to is another set. NULL when memory is
// short, then nothing has changed.
static struct share_member *take_profile(struct share_group *group, struct share_member *member,
                                         const struct share_beat *beat,
                                         const struct consumer_profile *profile, bool *changed)
{
    *changed = member == NULL || !consumer_same_topics(member->profile, profile);
    if (member != NULL && consumer_profile_equal(member->profile, profile))
        return member;
    struct consumer_profile *copy = consumer_profile_copy(profile);
    if (copy == NULL)
        return NULL;
    if (member == NULL)
        member = share_member_new(group, beat->member_id);
    if (member == NULL)
        mem_free(copy);
    else
        share_member_set(group, member, copy);
    return member;
}

// The member gets what the target says. Whether that is news.
static bool reconcile(struct share_group *group, struct share_member *member)
{
    if (member->epoch == group->target_epoch)
        return false;
    bool news = !parts_equal(&member->assigned, &member->target);
    struct parts target = parts_copy(&member->target);
    parts_move(&member->assigned, &target);
    member->previous_epoch = member->epoch;
    member->epoch = group->target_epoch;
    member->dirty_current = group->dirty = true;
    return news;
}

static void schedule(struct share_group *group, int64_t at_us)
{
    if (at_us != GROUP_NEVER_US && (group->wake_us == GROUP_NEVER_US || at_us < group->wake_us))
        group->wake_us = at_us;
}

static void watch(struct share_group *group, struct share_member *member, struct group_now now)
{
    member->session_us = now.us + (int64_t)group->session_ms * 1000;
    schedule(group, member->session_us);
}

static int16_t leave(struct share_group *group, const struct share_beat *beat, struct share_beaten *answer)
{
    struct share_member *member = share_member_find(group, beat->member_id);
    if (member == NULL)
        return KAFKA_ERR_UNKNOWN_MEMBER_ID;
    *answer = (struct share_beaten){.epoch = beat->epoch};
    remove_member(group, member);
    share_group_refresh(group, true);
    return KAFKA_ERR_NONE;
}

int16_t share_group_heartbeat(struct share_group *group, struct group_now now, const struct share_beat *beat,
                              struct share_beaten *answer)
{
    struct share_member *member;
    bool changed;
    if (beat->epoch < 0)
        return leave(group, beat, answer);
    int16_t error = check(group, beat, &member);
    if (error != KAFKA_ERR_NONE)
        return error;
    struct consumer_profile profile =
        consumer_profile_merge(member == NULL ? NULL : member->profile, &beat->profile);
    if (!room(group, beat->member_id, &profile, member))
        return KAFKA_ERR_GROUP_MAX_SIZE_REACHED;
    bool tell = beat->epoch == 0 || beat->profile.topic_count >= 0 || beat->epoch != member->epoch;
    member = take_profile(group, member, beat, &profile, &changed);
    if (member == NULL)
        return KAFKA_ERR_COORDINATOR_NOT_AVAILABLE;
    share_group_refresh(group, changed || group->epoch == 0);
    share_group_retarget(group);
    tell = reconcile(group, member) || tell;
    watch(group, member, now);
    *answer = (struct share_beaten){member->epoch, tell ? &member->assigned : NULL};
    return KAFKA_ERR_NONE;
}

// ---- state kept by share coordinators ----

const struct parts *share_group_pending(const struct share_group *group)
{
    return &group->pending;
}

const struct parts *share_group_initialized(const struct share_group *group)
{
    return &group->initialized;
}

bool share_group_kept(const struct share_group *group)
{
    return group->pending.count + group->initialized.count > 0;
}

void share_group_told(struct share_group *group, const struct parts *parts)
{
    struct parts left = parts_without(&group->pending, parts);
    struct parts all = parts_sum(&group->initialized, parts);
    parts_move(&group->pending, &left);
    parts_move(&group->initialized, &all);
    group->dirty_parts = group->dirty = true;
    bump_epoch(group); // the target may have them from now on
}

void share_group_forgotten(struct share_group *group, const struct parts *parts)
{
    struct parts pending = parts_without(&group->pending, parts);
    struct parts initialized = parts_without(&group->initialized, parts);
    parts_move(&group->pending, &pending);
    parts_move(&group->initialized, &initialized);
    group->hashed_at = 0; // who reads them meanwhile has them initialised again
    group->dirty_parts = group->dirty = true;
}

int32_t share_group_state_epoch(struct share_group *group, bool advance)
{
    if (advance)
        bump_epoch(group);
    return group->epoch;
}

// ---- topics and clock ----

bool share_group_subscribed(const struct share_group *group, struct slice topic)
{
    void *value;
    for (struct map_entry *at = NULL; map_next(&group->members, &at, NULL, &value);)
        if (consumer_profile_names(((const struct share_member *)value)->profile, topic))
            return true;
    return false;
}

// Share coordinators hear of it themselves.
void share_group_topics_removed(struct share_group *group)
{
    struct parts all = parts_sum(&group->pending, &group->initialized), gone = {0};
    for (size_t i = 0; i < all.count; i++)
        if (image_topic(group->topics->image, all.items[i].topic) == NULL)
            parts_append(&gone, &all.items[i]);
    if (gone.count > 0)
        share_group_forgotten(group, &gone);
    parts_fini(&gone);
    parts_fini(&all);
}

static void schedule_all(struct share_group *group)
{
    void *value;
    group->wake_us = GROUP_NEVER_US;
    for (struct map_entry *at = NULL; map_next(&group->members, &at, NULL, &value);)
        schedule(group, ((const struct share_member *)value)->session_us);
}

void share_group_tick(struct share_group *group, struct group_now now)
{
    bool any = false;
    void *value;
    for (struct map_entry *at = NULL; map_next(&group->members, &at, NULL, &value);) {
        struct share_member *member = value;
        if (member->session_us == GROUP_NEVER_US || member->session_us > now.us)
            continue;
        remove_member(group, member);
        any = true;
    }
    if (any)
        share_group_refresh(group, true);
    schedule_all(group);
}

void share_group_resume(struct share_group *group, struct group_now now)
{
    bool any = false;
    void *value;
    group->dirty = false;              // what was read is written already
    share_group_topics_removed(group); // while nobody was the owner: its image is not behind the former one's
    for (struct map_entry *at = NULL; map_next(&group->members, &at, NULL, &value);) {
        struct share_member *member = value;
        if (member->profile == NULL) { // cut apart before its first record was written
            remove_member(group, member);
            any = true;
        } else {
            watch(group, member, now);
        }
    }
    if (any)
        share_group_refresh(group, true);
}

// ---- life ----

struct share_group *share_group_new(struct slice id, const struct share_settings *settings,
                                    const struct consumer_topics *topics)
{
    struct block *copy = block_copy(id);
    if (copy == NULL)
        return NULL;
    struct share_group *group = mem_calloc(1, sizeof *group);
    group->settings = settings;
    group->session_ms = settings->session_ms;
    group->topics = topics;
    group->id = copy;
    group->wake_us = GROUP_NEVER_US;
    map_init(&group->members, 0);
    map_init(&group->gone, 0);
    return group;
}

void share_group_destroy(struct share_group **pointer)
{
    struct share_group *group = *pointer;
    *pointer = NULL;
    if (group == NULL)
        return;
    void *value;
    for (struct map_entry *at = NULL; map_next(&group->members, &at, NULL, &value);)
        share_member_free(value);
    map_fini(&group->members);
    map_fini(&group->gone);
    parts_fini(&group->pending);
    parts_fini(&group->initialized);
    block_unref(&group->id);
    mem_free(group);
}

void share_group_set_session(struct share_group *group, int32_t session_ms)
{
    group->session_ms = session_ms;
}

// ---- reading ----

int64_t share_group_wake_us(const struct share_group *group)
{
    return group->wake_us;
}

bool share_group_dirty(const struct share_group *group)
{
    return group->dirty;
}

bool share_group_unused(const struct share_group *group)
{
    return !group->written && group->members.count == 0 && !group->dirty;
}

const char *share_group_state(const struct share_group *group)
{
    return group->members.count == 0 ? "Empty" : "Stable";
}

int32_t share_group_epoch(const struct share_group *group)
{
    return group->epoch;
}

int32_t share_group_target_epoch(const struct share_group *group)
{
    return group->target_epoch;
}

size_t share_group_size(const struct share_group *group)
{
    return group->members.count;
}

bool share_group_next(const struct share_group *group, struct map_entry **cursor,
                      struct share_member_view *view)
{
    void *value;
    if (!map_next(&group->members, cursor, NULL, &value))
        return false;
    const struct share_member *member = value;
    *view = (struct share_member_view){.id = block_slice(member->id),
                                       .epoch = member->epoch,
                                       .profile = member->profile,
                                       .assigned = &member->assigned};
    return true;
}
