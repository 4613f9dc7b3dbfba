// SPDX-License-Identifier: Apache-2.0
// Subscriptions by regular expression: what matches, topics that appear and vanish, bounds.
#include "consumer_world.h"

#include "regex.h"

#include <criterion/criterion.h>
#include <stdio.h>

static struct consumer_world w;

static void setup(void)
{
    consumer_world_init(&w);
    consumer_world_topic(&w, "ab", 1);
    consumer_world_topic(&w, "ac", 1);
    consumer_world_topic(&w, "xab", 1);
}

static void teardown(void)
{
    consumer_world_fini(&w);
}

TestSuite(consumer_regex, .init = setup, .fini = teardown);

static struct heard join(const char *member, const char *regex)
{
    struct said said = {.topics = "", .regex = regex, .owned = "", .rebalance_ms = 10000};
    return consumer_world_beat(&w, member, said);
}

static struct heard beat(const char *member, int32_t epoch)
{
    return consumer_world_beat(&w, member, (struct said){.epoch = epoch});
}

Test(consumer_regex, the_whole_name_must_match)
{
    struct heard heard = join("m1", "a.*");
    cr_assert_eq(heard.error, KAFKA_ERR_NONE);
    cr_assert_str_eq(heard.assignment, "ab0 ac0");
}

Test(consumer_regex, names_and_expression_add_up)
{
    struct said said = {.topics = "xab ab", .regex = "ab", .owned = "", .rebalance_ms = 10000};
    cr_assert_str_eq(consumer_world_beat(&w, "m1", said).assignment, "ab0 xab0");
}

Test(consumer_regex, topics_that_appear_are_read_at_the_next_heartbeat)
{
    join("m1", "a.");
    consumer_world_topic(&w, "ad", 1);
    consumer_world_topic(&w, "none", 1);
    struct heard heard = beat("m1", 1);
    cr_assert_eq(heard.epoch, 2);
    cr_assert_str_eq(heard.assignment, "ab0 ac0 ad0");
}

Test(consumer_regex, topics_that_vanish_are_given_up)
{
    join("m1", "a.");
    consumer_world_topic_gone(&w, "ac");
    cr_assert_str_eq(beat("m1", 1).assignment, "ab0");
}

Test(consumer_regex, what_is_no_expression_is_refused_and_changes_nothing)
{
    cr_assert_eq(join("m1", "a(").error, KAFKA_ERR_INVALID_REGULAR_EXPRESSION);
    cr_assert_eq(join("m1", "(a)\\1").error, KAFKA_ERR_INVALID_REGULAR_EXPRESSION); // no back references
    cr_assert_eq(join("m1", "a{1000}{1000}").error, KAFKA_ERR_INVALID_REGULAR_EXPRESSION);
    cr_assert(consumer_unused(w.group));
}

Test(consumer_regex, its_length_is_bounded)
{
    char longest[CONSUMER_REGEX_MAX + 2];
    memset(longest, 'a', sizeof longest);
    longest[sizeof longest - 1] = '\0';
    cr_assert_eq(join("m1", longest).error, KAFKA_ERR_INVALID_REGULAR_EXPRESSION);
    longest[sizeof longest - 2] = '\0';
    cr_assert_eq(join("m1", longest).error, KAFKA_ERR_NONE);
}

Test(consumer_regex, different_ones_in_a_group_are_bounded)
{
    for (int i = 0; i < CONSUMER_REGEXES_MAX; i++) {
        char member[16], regex[16];
        snprintf(member, sizeof member, "m%d", i);
        snprintf(regex, sizeof regex, "x%d", i);
        w.settings.size_max = 1000;
        cr_assert_eq(join(member, regex).error, KAFKA_ERR_NONE);
    }
    cr_assert_eq(join("more", "another").error, KAFKA_ERR_GROUP_MAX_SIZE_REACHED);
    cr_assert_eq(join("more", "x0").error, KAFKA_ERR_NONE);
}

Test(consumer_regex, takes_time_linear_in_the_text)
{
    struct regex *regex = regex_new("(a*)*b", 6);
    char text[20000];
    memset(text, 'a', sizeof text);
    cr_assert_not_null(regex);
    cr_assert_not(regex_matches(regex, text, sizeof text)); // a backtracking engine would not come back
    regex_destroy(&regex);
}

Test(consumer_regex, a_new_expression_replaces_the_old_one)
{
    join("m1", "a.");
    struct said said = {.regex = "x.*", .epoch = 1};
    cr_assert_str_eq(consumer_world_beat(&w, "m1", said).assignment, "");
    cr_assert_str_eq(consumer_world_beat(&w, "m1", (struct said){.epoch = 1, .owned = ""}).assignment,
                     "xab0");
    said = (struct said){.regex = "", .topics = "ac", .epoch = 2};
    consumer_world_beat(&w, "m1", said);
    cr_assert_str_eq(consumer_world_beat(&w, "m1", (struct said){.epoch = 2, .owned = ""}).assignment, "ac0");
    cr_assert_not(consumer_subscribed(w.group, slice_str("xab")));
}

static void many_topics(void)
{
    for (int i = 0; i < 2 * CONSUMER_SCAN_MAX; i++) {
        char name[16];
        snprintf(name, sizeof name, "z%04d", i);
        consumer_world_topic(&w, name, i == 2 * CONSUMER_SCAN_MAX - 1 ? 1 : 0);
    }
}

Test(consumer_regex, many_topics_are_looked_at_a_part_in_each_turn)
{
    many_topics();
    struct heard heard = join("m1", "z.*");
    cr_assert_eq(heard.error, KAFKA_ERR_NONE);
    cr_assert_str_eq(heard.assignment, "");
    cr_assert_leq(consumer_wake_us(w.group), w.now.us);
    consumer_tick(w.group, w.now);
    consumer_tick(w.group, w.now);
    consumer_world_write(&w);
    heard = beat("m1", heard.epoch);
    cr_assert_str_eq(heard.assignment, "z10230");
}

// Turns pass, and both members say what they have.
static void turns(void)
{
    for (int i = 0; i < 6; i++) {
        const char *member = i % 2 == 0 ? "m1" : "m2";
        consumer_tick(w.group, w.now);
        struct said said = {.epoch = consumer_world_epoch(&w, member),
                            .owned = consumer_world_has(&w, member)};
        cr_assert_eq(consumer_world_beat(&w, member, said).error, KAFKA_ERR_NONE);
    }
}

Test(consumer_regex, what_a_member_leaves_for_one_that_matches_nothing_goes_to_others)
{
    many_topics();
    join("m1", "a.");
    consumer_world_join(&w, "m2", "ab ac");
    turns();
    cr_assert_str_eq(consumer_world_has(&w, "m2"), "ac0");
    struct said said = {.regex = "nothing", .epoch = consumer_world_epoch(&w, "m1"), .owned = "ab0"};
    cr_assert_eq(consumer_world_beat(&w, "m1", said).error, KAFKA_ERR_NONE);
    turns();
    cr_assert_str_eq(consumer_world_has(&w, "m1"), "");
    cr_assert_str_eq(consumer_world_has(&w, "m2"), "ab0 ac0");
}

Test(consumer_regex, survives_a_take_over_and_hears_of_what_it_missed)
{
    join("m1", "a.");
    consumer_world_write(&w);
    consumer_group_destroy(&w.group); // nobody looks while a topic appears
    consumer_world_topic(&w, "ae", 1);
    w.group = consumer_group_new(slice_str("g"), &w.settings, &w.topics);
    consumer_world_take_over(&w, 0);
    cr_assert_str_eq(beat("m1", 1).assignment, "ab0 ac0 ae0");
}

Test(consumer_regex, its_record_goes_with_its_last_member)
{
    join("m1", "a.");
    consumer_world_beat(&w, "m1", (struct said){.epoch = CONSUMER_LEAVE});
    for (size_t i = 0; i < w.logged; i++) {
        if (w.log[i].key->data[1] != CONSUMER_KEY_REGEX)
            continue;
        bool last = true;
        for (size_t j = i + 1; j < w.logged; j++)
            last = last && w.log[j].key->data[1] != CONSUMER_KEY_REGEX;
        cr_assert(!last || w.log[i].value == NULL);
    }
}
