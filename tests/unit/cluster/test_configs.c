// SPDX-License-Identifier: Apache-2.0
// The tables of configuration keys, and the page made of them: CONFIG.md says what this test makes of the
// tables. MILLRACE_WRITE_MANUAL=1 build/bin/unit_cluster --filter 'configs/*' writes it anew.
#include "cluster/configs.h"

#include "base/buf.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#define MANUAL MILLRACE_SOURCE_DIR "/CONFIG.md"

static enum status check(const char *key, const char *value)
{
    char why[CONFIGS_WHY_SIZE];
    return configs_check(configs_group_key(slice_str(key)), slice_str(value), why);
}

Test(configs, a_period_behind_by_duration_is_one_of_iso_8601)
{
    static const char *const good[] = {"latest", "by_duration:P1D", "by_duration:PT1H",
                                       "by_duration:P2DT3H4M5.5S"};
    static const char *const bad[] = {"newest",           "by_duration:",     "by_duration:P",
                                      "by_duration:P1DT", "by_duration:PT1D", "by_duration:PT1S1H",
                                      "by_duration:1D",   "by_duration:PT.S", "by_duration:-PT1S"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        cr_expect_eq(check("share.auto.offset.reset", good[i]), ST_OK, "%s", good[i]);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_expect_eq(check("share.auto.offset.reset", bad[i]), ST_INVALID, "%s", bad[i]);
}

Test(configs, lists_are_kept_without_what_is_in_them_twice_and_have_no_empty_items)
{
    char why[CONFIGS_WHY_SIZE];
    struct arena arena;
    arena_init(&arena, 1 << 12);
    const struct configs_key *key = configs_topic_key(slice_str("cleanup.policy"));
    cr_expect_str_eq(configs_kept(key, slice_str("compact, delete,compact"), &arena), "compact,delete");
    cr_expect_eq(configs_check(key, slice_str("compact,"), why), ST_INVALID);
    cr_expect_eq(configs_check(key, slice_str(""), why), ST_OK);
    arena_fini(&arena);
}

Test(configs, names_ascend_and_defaults_pass_for_groups_and_client_metrics)
{
    char why[CONFIGS_WHY_SIZE];
    for (int i = 0; i < configs_group_count; i++) {
        const struct configs_key *key = &configs_group_keys[i];
        cr_expect_eq(configs_check(key, slice_str(key->fallback), why), ST_OK, "%s", key->name);
        cr_expect(i == 0 || strcmp(configs_group_keys[i - 1].name, key->name) < 0, "%s", key->name);
        cr_expect(key->node_key == NULL || configs_node_key(slice_str(key->node_key)) != NULL, "%s",
                  key->name);
    }
    for (int i = 0; i < configs_metrics_count; i++)
        cr_expect_eq(
            configs_check(&configs_metrics_keys[i], slice_str(configs_metrics_keys[i].fallback), why), ST_OK,
            "%s", configs_metrics_keys[i].name);
}

// ---- the page ----

static const char *type_text(enum configs_type type)
{
    static const char *const texts[] = {
        [CONFIGS_BOOLEAN] = "boolean", [CONFIGS_STRING] = "string", [CONFIGS_INT] = "int",
        [CONFIGS_SHORT] = "short",     [CONFIGS_LONG] = "long",     [CONFIGS_DOUBLE] = "double",
        [CONFIGS_LIST] = "list",       [CONFIGS_CLASS] = "class",   [CONFIGS_PASSWORD] = "password"};
    return texts[type];
}

static void put_used(struct buf *out, const struct configs_key *key)
{
    static const char *const readers[] = {[CONFIGS_BY_STORAGE] = "storage",
                                          [CONFIGS_BY_CONTROLLER] = "controller",
                                          [CONFIGS_BY_COORDINATOR] = "coordinator"};
    const char *fallback = key->fallback == NULL ? "none" : key->fallback;
    buf_printf(out, "| `%s` | %s | %s%s%s | %s | %s | %s |\n", key->name, type_text(key->type),
               fallback[0] != 0 ? "`" : "", fallback, fallback[0] != 0 ? "`" : "", readers[key->use],
               key->hot ? "at once" : "at a start", key->help);
}

static void put_unused(struct buf *out, const struct configs_key *keys, int count, enum configs_use use)
{
    bool any = false;
    for (int i = 0; i < count; i++) {
        if (keys[i].use != use)
            continue;
        if (!any)
            buf_printf(out, "\n%s\n\n", configs_use_text(use));
        any = true;
        buf_printf(out, "- `%s`: %s\n", keys[i].name, keys[i].help);
    }
}

static void put_table(struct buf *out, const char *title, const struct configs_key *keys, int count)
{
    int used = 0;
    for (int i = 0; i < count; i++)
        used += keys[i].use <= CONFIGS_BY_COORDINATOR;
    buf_printf(out, "\n## %s\n", title);
    if (used > 0)
        buf_printf(out, "\n| key | type | default | read by | takes effect | |\n|---|---|---|---|---|---|\n");
    for (int i = 0; i < count; i++)
        if (keys[i].use <= CONFIGS_BY_COORDINATOR)
            put_used(out, &keys[i]);
    if (used < count)
        buf_printf(out, "\n### Without effect\n");
    for (int use = CONFIGS_OTHERWISE; use < CONFIGS_USE_COUNT; use++)
        put_unused(out, keys, count, (enum configs_use)use);
}

static struct buf manual(void)
{
    struct buf out;
    buf_init(&out, 1 << 20);
    buf_printf(
        &out,
        "# Kafka's settings\n\n"
        "Every setting of Apache Kafka 4.2, of topics, nodes, groups and client metrics subscriptions: what "
        "it does\n"
        "here, or why it does nothing. DescribeConfigs tells of all of them, and those without effect are "
        "accepted,\n"
        "so that scripts and a server.properties made for Kafka go on working. Settings of nodes that only "
        "one kind\n"
        "of daemon reads stand in that daemon's configuration; each daemon prints all its own with `--help`. "
        "What is\n"
        "altered takes effect at once where the table says so, at the next start of the node otherwise.\n\n"
        "This page is made of `common/cluster/configs_*.c`; `tests/unit/cluster/test_configs.c` checks that "
        "it says\n"
        "what they say and writes it anew.\n");
    put_table(&out, "Topics", configs_topic_keys, configs_topic_count);
    put_table(&out, "Nodes", configs_node_keys, configs_node_count);
    put_table(&out, "Groups", configs_group_keys, configs_group_count);
    put_table(&out, "Client metrics", configs_metrics_keys, configs_metrics_count);
    return out;
}

static void write_manual(struct slice text)
{
    FILE *file = fopen(MANUAL, "w");
    cr_assert_not_null(file);
    cr_assert_eq(fwrite(text.data, 1, text.len, file), text.len);
    cr_assert_eq(fclose(file), 0);
}

Test(configs, the_manual_says_what_the_tables_say)
{
    struct buf text = manual();
    cr_assert_eq(buf_status(&text), ST_OK);
    if (getenv("MILLRACE_WRITE_MANUAL") != NULL)
        write_manual(buf_slice(&text));
    FILE *file = fopen(MANUAL, "r");
    cr_assert_not_null(file);
    char *there = calloc(1, text.len + 2);
    size_t len = fread(there, 1, text.len + 1, file);
    fclose(file);
    cr_assert(slice_equal(slice_of(there, len), buf_slice(&text)), "CONFIG.md is not what the tables say");
    free(there);
    buf_fini(&text);
}
