// SPDX-License-Identifier: Apache-2.0
// The image: what each record does, what is refused, what listeners hear, and that a snapshot rebuilds it.
#include "cluster/image.h"

#include "cluster/records.h"
#include "records.h"

#include <criterion/criterion.h>
#include <stdio.h>

#define STORAGE MILLRACE__ROLE__ROLE_STORAGE
#define TOPIC   MILLRACE__RESOURCE_TYPE__RESOURCE_TOPIC
#define BROKER  MILLRACE__RESOURCE_TYPE__RESOURCE_BROKER

struct heard {
    char text[4000];
    size_t len;
};

static void __attribute__((format(printf, 2, 3))) hear(void *context, const char *format, ...)
{
    struct heard *heard = context;
    va_list args;
    va_start(args, format);
    heard->len += (size_t)vsnprintf(heard->text + heard->len, sizeof heard->text - heard->len, format, args);
    va_end(args);
}

static void heard_node(void *context, const struct image_node *before, const struct image_node *after)
{
    hear(context, "node %d %s>%s; ", after ? after->id : before->id,
         before == NULL   ? "none"
         : before->fenced ? "fenced"
                          : "live",
         after == NULL   ? "none"
         : after->fenced ? "fenced"
                         : "live");
}

static void heard_topic(void *context, const struct image_topic *topic)
{
    hear(context, "topic %s; ", topic->name);
}

static void heard_topic_removed(void *context, const struct image_topic *topic)
{
    hear(context, "topic %s gone; ", topic->name);
}

static void heard_partition(void *context, const struct image_topic *topic,
                            const struct image_partition *before, const struct image_partition *after)
{
    hear(context, "%s-%d leader %d>%d; ", topic->name, after ? after->index : before->index,
         before ? before->leader : -9, after ? after->leader : -9);
}

static void heard_config(void *context, Millrace__ResourceType type, const char *name, const char *key,
                         const char *value)
{
    hear(context, "config %s %s=%s; ", name, key, value ? value : "none");
}

static void heard_shard(void *context, const struct image_shard *before, const struct image_shard *after)
{
    hear(context, "shard %d owner %d>%d; ", after ? after->shard : before->shard, before ? before->owner : -9,
         after ? after->owner : -9);
}

static struct image_listener listener_of(struct heard *heard)
{
    return (struct image_listener){.context = heard,
                                   .on_node = heard_node,
                                   .on_topic = heard_topic,
                                   .on_topic_removed = heard_topic_removed,
                                   .on_partition = heard_partition,
                                   .on_config = heard_config,
                                   .on_shard = heard_shard};
}

static void fill(struct image *image)
{
    cr_assert_eq(put_cluster(image, 7), ST_OK);
    for (int32_t id = 3; id >= 1; id--)
        cr_assert_eq(put_node(image, id, STORAGE, id == 3), ST_OK);
    cr_assert_eq(put_topic(image, 21, "orders"), ST_OK);
    cr_assert_eq(put_partition(image, 21, 0, 1, 0, 3), ST_OK);
    cr_assert_eq(put_partition(image, 21, 1, 2, 0, 2), ST_OK);
    cr_assert_eq(put_topic(image, 22, "clicks"), ST_OK);
    cr_assert_eq(put_config(image, TOPIC, "orders", "retention.ms", "1000"), ST_OK);
    cr_assert_eq(put_config(image, BROKER, "2", "log.retention.ms", "2000"), ST_OK);
    cr_assert_eq(put_config(image, BROKER, "", "log.retention.ms", "3000"), ST_OK);
    cr_assert_eq(put_shard(image, "orders", 4, 2, 1), ST_OK);
    cr_assert_eq(put_feature(image, "transaction.version", 1, 3), ST_OK);
}

Test(image, keeps_nodes_and_topics_in_order_whatever_order_they_came_in)
{
    struct image *image = image_new();
    fill(image);
    cr_assert_eq(image_node_count(image), 3);
    cr_assert_eq(image_node_at(image, 0)->id, 1);
    cr_assert_eq(image_node_at(image, 2)->id, 3);
    cr_assert_str_eq(image_topic_at(image, 0)->name, "clicks");
    cr_assert_str_eq(image_topic_named(image, "orders")->name, "orders");
    cr_assert_null(image_topic_named(image, "order"));
    cr_assert_null(image_topic_named(image, ""));
    cr_assert_eq(image_partition(image, id_of(21), 1)->leader, 2);
    cr_assert_null(image_partition(image, id_of(21), 2));
    cr_assert_eq(image_partition_total(image), 2);
    cr_assert_eq(image_endpoint(image_node(image, 2), "HOST")->port, 19093);
    cr_assert_eq(image_topic_lower_bound(image, slice_str("d")), 1);
    image_destroy(&image);
}

Test(image, refuses_an_unknown_record_version_and_names_both_numbers)
{
    struct image *image = image_new();
    Millrace__MetadataRecord record = MILLRACE__METADATA_RECORD__INIT;
    record.version = 9;
    cr_assert_eq(image_apply(image, &record, 0), ST_UNSUPPORTED);
    cr_assert_not_null(strstr(image_error(image), "9"));
    cr_assert_not_null(strstr(image_error(image), "1"));
    cr_assert_eq(image_offset(image), -1);
    record.version = 1; // no body
    cr_assert_eq(image_apply(image, &record, 0), ST_UNSUPPORTED);
    image_destroy(&image);
}

Test(image, refuses_records_that_contradict_it_and_stays_as_it_was)
{
    struct image *image = image_new();
    fill(image);
    int64_t offset = image_offset(image);
    cr_assert_eq(put_topic(image, 23, "orders"), ST_INVALID);
    cr_assert_eq(put_topic(image, 21, "other"), ST_INVALID);
    cr_assert_eq(put_topic(image, 24, ""), ST_INVALID);
    cr_assert_eq(put_partition(image, 99, 0, 1, 0, 3), ST_INVALID);
    cr_assert_eq(put_partition(image, 21, 3, 1, 0, 3), ST_INVALID); // 2 is missing
    cr_assert_eq(put_partition(image, 21, 0, 9, 1, 3), ST_INVALID); // leader is no replica
    cr_assert_eq(put_partition(image, 21, 0, 1, 0, 3), ST_INVALID); // same partition epoch
    cr_assert_eq(put_shard(image, "orders", 4, 1, 1), ST_INVALID);  // same owner epoch
    cr_assert_eq(put_cluster(image, 8), ST_INVALID);
    cr_assert_eq(image_offset(image), offset);
    cr_assert_eq(image_partition(image, id_of(21), 0)->leader, 1);
    image_destroy(&image);
}

Test(image, a_fencing_of_an_older_incarnation_is_ignored)
{
    struct image *image = image_new();
    fill(image);
    cr_assert_eq(put_fenced(image, 1, 999, true), ST_OK);
    cr_assert(!image_node(image, 1)->fenced);
    cr_assert_eq(put_fenced(image, 1, 101, true), ST_OK);
    cr_assert(image_node(image, 1)->fenced);
    cr_assert(!image_node_live(image_node(image, 1), STORAGE));
    image_destroy(&image);
}

Test(image, listeners_hear_old_and_new_of_every_change)
{
    struct image *image = image_new();
    fill(image);
    struct heard heard = {0};
    struct image_listener listener = listener_of(&heard);
    image_listen(image, &listener);
    put_fenced(image, 3, 103, false);
    put_partition(image, 21, 0, 2, 1, 2);
    put_config(image, TOPIC, "orders", "retention.ms", NULL);
    put_shard(image, "orders", 4, -1, 2);
    cr_assert_str_eq(heard.text, "node 3 fenced>live; orders-0 leader 1>2; config orders retention.ms=none; "
                                 "shard 4 owner 2>-1; ");
    image_unlisten(image, &listener);
    put_fenced(image, 3, 103, true);
    cr_assert_null(strstr(heard.text, "live>fenced"));
    image_destroy(&image);
}

Test(image, a_running_reassignment_is_kept_and_must_be_among_the_replicas)
{
    struct image *image = image_new(), *copy = image_new();
    put_topic(image, 21, "t");
    put_partition(image, 21, 0, 1, 0, 2);
    cr_assert_eq(put_moving(image, 21, 0, 3, 2), ST_OK);
    cr_assert_eq(put_moving(image, 21, 0, 9, 2), ST_INVALID);
    cr_assert_eq(put_moving(image, 21, 0, 3, 9), ST_INVALID);
    cr_assert_eq(put_moving(image, 21, 0, 3, 3), ST_INVALID);
    struct buf bytes;
    buf_init(&bytes, 1 << 16);
    cr_assert_eq(image_encode_snapshot(image, &bytes), ST_OK);
    cr_assert_eq(image_load_snapshot(copy, buf_slice(&bytes), image_offset(image) + 1), ST_OK);
    const struct image_partition *moving = image_partition(copy, id_of(21), 0);
    cr_assert(image_partition_moving(moving));
    cr_assert(moving->balancing && moving->adding.ids[0] == 3 && moving->removing.ids[0] == 2);
    put_partition(image, 21, 0, 1, 5, 2);
    cr_assert_not(image_partition_moving(image_partition(image, id_of(21), 0)));
    buf_fini(&bytes);
    image_destroy(&copy);
    image_destroy(&image);
}

Test(image, a_removed_topic_takes_partitions_shards_and_configs_with_it)
{
    struct image *image = image_new();
    fill(image);
    struct heard heard = {0};
    struct image_listener listener = listener_of(&heard);
    image_listen(image, &listener);
    cr_assert_eq(put_topic_removed(image, 21), ST_OK);
    cr_assert_str_eq(heard.text, "shard 4 owner 2>-9; orders-0 leader 1>-9; orders-1 leader 2>-9; "
                                 "config orders retention.ms=none; topic orders gone; ");
    cr_assert_null(image_topic(image, id_of(21)));
    cr_assert_eq(image_partition_total(image), 0);
    cr_assert_eq(image_shard_count(image), 0);
    cr_assert_eq(put_topic_removed(image, 21), ST_OK); // twice is harmless
    cr_assert_eq(put_topic(image, 25, "orders"), ST_OK);
    image_destroy(&image);
}

Test(image, configs_are_looked_up_in_kafkas_order)
{
    struct image *image = image_new();
    fill(image);
    enum image_config_source source;
    cr_assert_str_eq(image_topic_config(image, "orders", "retention.ms", "log.retention.ms", 2, "9"), "1000");
    cr_assert_str_eq(image_topic_config(image, "clicks", "retention.ms", "log.retention.ms", 2, "9"), "2000");
    cr_assert_str_eq(image_topic_config(image, "clicks", "retention.ms", "log.retention.ms", 1, "9"), "3000");
    cr_assert_str_eq(image_topic_config(image, "clicks", "segment.bytes", "log.segment.bytes", 1, "9"), "9");
    cr_assert_str_eq(image_topic_config(image, "clicks", "flush.before.ack", NULL, 1, "true"), "true");
    cr_assert_str_eq(image_node_config(image, 2, "log.retention.ms", "9", &source), "2000");
    cr_assert_eq(source, IMAGE_CONFIG_NODE);
    size_t count;
    put_config(image, TOPIC, "orders", "cleanup.policy", "compact");
    cr_assert_str_eq(image_configs(image, TOPIC, "orders", &count)[0].key, "cleanup.policy");
    cr_assert_eq(count, 2);
    put_config(image, TOPIC, "orders", "cleanup.policy", NULL);
    put_config(image, TOPIC, "orders", "retention.ms", NULL);
    cr_assert_null(image_configs(image, TOPIC, "orders", &count));
    cr_assert_eq(count, 0);
    image_destroy(&image);
}

static struct buf snapshot_of(const struct image *image)
{
    struct buf out;
    buf_init(&out, 1 << 20);
    cr_assert_eq(image_encode_snapshot(image, &out), ST_OK);
    return out;
}

Test(image, features_have_what_older_releases_did_until_levels_are_written)
{
    struct image *image = image_new();
    cr_expect_eq(image_feature(image, "transaction.version"), 2);
    cr_expect_eq(image_feature(image, "no.such.version"), 0);
    cr_assert_eq(put_feature(image, "of.a.later.release", 7, 1), ST_OK);
    cr_expect_eq(image_feature(image, "of.a.later.release"), 7);
    cr_expect_eq(image_feature(image, "transaction.version"), 0);
    cr_assert_eq(put_feature(image, "transaction.version", 2, 2), ST_OK);
    cr_expect_eq(image_feature(image, "transaction.version"), 2);
    cr_expect_eq(image_features_epoch(image), 2);
    image_destroy(&image);
}

Test(image, features_that_go_back_or_grow_without_end_are_refused)
{
    struct image *image = image_new();
    char name[20];
    cr_assert_eq(put_feature(image, "a", 1, 2), ST_OK);
    cr_expect_eq(put_feature(image, "a", 2, 1), ST_INVALID);
    cr_expect_eq(put_feature(image, "", 1, 2), ST_INVALID);
    cr_expect_eq(put_feature(image, "a", 40000, 2), ST_INVALID);
    for (int i = 1; i < IMAGE_FEATURES_MAX; i++) {
        snprintf(name, sizeof name, "feature%d", i);
        cr_assert_eq(put_feature(image, name, 1, 2), ST_OK);
    }
    cr_expect_eq(put_feature(image, "one more", 1, 2), ST_INVALID);
    cr_expect_eq(image_feature(image, "a"), 1);
    image_destroy(&image);
}

Test(image, a_snapshot_rebuilds_an_equal_image)
{
    struct image *image = image_new(), *copy = image_new();
    fill(image);
    struct buf first = snapshot_of(image);
    cr_assert_eq(image_load_snapshot(copy, buf_slice(&first), image_offset(image) + 1), ST_OK);
    cr_assert_eq(image_offset(copy), image_offset(image));
    struct buf second = snapshot_of(copy);
    cr_assert(slice_equal(buf_slice(&first), buf_slice(&second)));
    cr_expect_eq(image_feature(copy, "transaction.version"), 1);
    cr_expect_eq(image_features_epoch(copy), 3);
    struct slice cut = slice_of(first.data, first.len - 1);
    cr_assert_eq(image_load_snapshot(copy, cut, 5), ST_TRUNCATED);
    buf_fini(&first);
    buf_fini(&second);
    image_destroy(&image);
    image_destroy(&copy);
}

Test(image, replacing_tells_exactly_the_differences)
{
    struct image *image = image_new(), *other = image_new();
    fill(image);
    struct buf bytes = snapshot_of(image);
    cr_assert_eq(image_load_snapshot(other, buf_slice(&bytes), image_offset(image) + 1), ST_OK);
    put_fenced(other, 3, 103, false);
    put_partition(other, 21, 1, 1, 4, 1);
    put_topic_removed(other, 22);
    put_topic(other, 26, "zebra");
    put_config(other, BROKER, "", "log.retention.ms", "4");
    struct heard heard = {0};
    struct image_listener listener = listener_of(&heard);
    image_listen(image, &listener);
    int64_t offset = image_offset(other);
    image_replace(image, &other);
    cr_assert_null(other);
    cr_assert_eq(image_offset(image), offset);
    cr_assert_str_eq(heard.text, "node 3 fenced>live; topic clicks gone; orders-1 leader 2>1; topic zebra; "
                                 "config  log.retention.ms=4; ");
    buf_fini(&bytes);
    image_destroy(&image);
}

// ---- decisions of several entries ----

#define BEGIN MILLRACE__DECISION_RECORD__MARK__BEGIN
#define END   MILLRACE__DECISION_RECORD__MARK__END
#define DROP  MILLRACE__DECISION_RECORD__MARK__DROP

static void begin_large_topic(struct image *image)
{
    cr_assert_eq(put_mark(image, BEGIN, SIZE_MAX), ST_OK);
    cr_assert_eq(put_topic(image, 30, "large"), ST_OK);
    cr_assert_eq(put_partition(image, 30, 0, 1, 0, 1), ST_OK);
    cr_assert_eq(put_partition(image, 30, 1, 2, 0, 2), ST_OK);
}

Test(image, a_decision_counts_when_its_end_is_there)
{
    struct image *image = image_new();
    fill(image);
    struct heard heard = {0};
    struct image_listener listener = listener_of(&heard);
    image_listen(image, &listener);
    begin_large_topic(image);
    cr_assert(image_decision_open(image));
    cr_assert_null(image_topic(image, id_of(30)));
    cr_assert_str_eq(heard.text, "");
    int64_t offset = image_offset(image);
    cr_assert_eq(put_mark(image, END, 2), ST_AGAIN);
    cr_assert_eq(image_offset(image), offset); // who waits for the end waits on
    cr_assert_eq(put_mark(image, END, 2), ST_OK);
    cr_assert_eq(image_offset(image), offset + 1);
    cr_assert_not(image_decision_open(image));
    cr_assert_str_eq(heard.text, "topic large; large-0 leader -9>1; large-1 leader -9>2; ");
    image_destroy(&image);
}

Test(image, a_decision_that_is_dropped_changes_nothing)
{
    struct image *image = image_new();
    fill(image);
    struct buf before = snapshot_of(image);
    begin_large_topic(image);
    cr_assert_eq(put_mark(image, DROP, SIZE_MAX), ST_OK);
    struct buf after = snapshot_of(image);
    cr_assert(slice_equal(buf_slice(&before), buf_slice(&after)));
    cr_assert_eq(put_topic(image, 31, "next"), ST_OK);
    cr_assert_not_null(image_topic(image, id_of(31)));
    buf_fini(&before);
    buf_fini(&after);
    image_destroy(&image);
}

Test(image, a_snapshot_inside_a_decision_holds_what_is_open)
{
    struct image *image = image_new(), *copy = image_new();
    fill(image);
    begin_large_topic(image);
    struct buf bytes = snapshot_of(image);
    cr_assert_eq(image_load_snapshot(copy, buf_slice(&bytes), image_offset(image) + 1), ST_OK);
    cr_assert(image_decision_open(copy));
    cr_assert_null(image_topic(copy, id_of(30)));
    cr_assert_eq(put_mark(copy, END, SIZE_MAX), ST_OK);
    cr_assert_eq(image_topic(copy, id_of(30))->partition_count, 2);
    buf_fini(&bytes);
    image_destroy(&image);
    image_destroy(&copy);
}

Test(image, marks_out_of_order_and_unknown_ones_are_refused)
{
    struct image *image = image_new();
    cr_assert_eq(put_mark(image, END, SIZE_MAX), ST_INVALID);
    cr_assert_eq(put_mark(image, DROP, SIZE_MAX), ST_INVALID);
    cr_assert_eq(put_mark(image, BEGIN, SIZE_MAX), ST_OK);
    cr_assert_eq(put_mark(image, BEGIN, SIZE_MAX), ST_INVALID);
    cr_assert_eq(put_mark(image, MILLRACE__DECISION_RECORD__MARK__UNKNOWN, SIZE_MAX), ST_UNSUPPORTED);
    cr_assert(image_decision_open(image));
    image_destroy(&image);
}

Test(records, hostile_bytes_are_refused_not_read_past)
{
    struct slice record, rest = slice_of("\xff\xff\xff\xff\x7f", 5);
    cr_assert_eq(records_next(&rest, &record), ST_MALFORMED);
    rest = slice_of("\x05"
                    "ab",
                    3);
    cr_assert_eq(records_next(&rest, &record), ST_TRUNCATED);
    cr_assert_eq(rest.len, 3);
    struct arena arena;
    arena_init(&arena, 1 << 16);
    Millrace__MetadataRecord *unpacked;
    cr_assert_eq(records_unpack(&arena, slice_of("\xff\xff\xff", 3), &unpacked), ST_MALFORMED);
    arena_fini(&arena);
}

static enum status put_replicas(struct image *image, uint8_t topic, int32_t *replicas, size_t count,
                                int32_t epoch)
{
    struct uuid id = id_of(topic);
    Millrace__MetadataRecord record = MILLRACE__METADATA_RECORD__INIT;
    Millrace__PartitionRecord body = MILLRACE__PARTITION_RECORD__INIT;
    body.topic_id = (ProtobufCBinaryData){.len = sizeof id.bytes, .data = id.bytes};
    body.replicas = replicas;
    body.n_replicas = count;
    body.leader = -1;
    body.partition_epoch = epoch;
    record.version = IMAGE_RECORD_VERSION;
    record.body_case = MILLRACE__METADATA_RECORD__BODY_PARTITION;
    record.partition = &body;
    return image_apply(image, &record, image_offset(image) + 1);
}

static void expect_load(const struct image *image, int32_t node, int64_t replicas, int64_t leaders)
{
    struct image_load load = image_node_load(image, node);
    cr_assert_eq(load.replicas, replicas, "node %d has %lld", node, (long long)load.replicas);
    cr_assert_eq(load.leaders, leaders, "node %d leads %lld", node, (long long)load.leaders);
}

Test(image, counts_what_nodes_carry)
{
    struct image *image = image_new(), *copy = image_new();
    int32_t more[] = {3, 4, 1};
    struct buf bytes;
    put_topic(image, 1, "a");
    put_topic(image, 2, "b");
    put_partition(image, 1, 0, 1, 5, 3);
    put_partition(image, 1, 1, 1, 5, 3);
    put_partition(image, 2, 0, 1, 5, 3);
    expect_load(image, 1, 3, 3);
    expect_load(image, 3, 3, 0);
    put_partition(image, 1, 0, 2, 6, 2); // the same replicas
    expect_load(image, 1, 3, 3);
    cr_assert_eq(put_replicas(image, 2, more, 3, 9), ST_INVALID, "the leader epoch goes back");
    expect_load(image, 4, 0, 0);
    put_topic_removed(image, 2);
    put_topic(image, 3, "c");
    cr_assert_eq(put_replicas(image, 3, more, 3, 1), ST_OK);
    expect_load(image, 3, 3, 1);
    cr_assert_eq(put_replicas(image, 3, more + 1, 1, 2), ST_OK);
    expect_load(image, 1, 2, 2);
    expect_load(image, 3, 2, 0);
    expect_load(image, 4, 1, 1);
    buf_init(&bytes, 1 << 20);
    cr_assert_eq(image_encode_snapshot(image, &bytes), ST_OK);
    cr_assert_eq(image_load_snapshot(copy, buf_slice(&bytes), image_offset(image) + 1), ST_OK);
    expect_load(copy, 1, 2, 2);
    expect_load(copy, 4, 1, 1);
    buf_fini(&bytes);
    image_destroy(&copy);
    image_destroy(&image);
}
