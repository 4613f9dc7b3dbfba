// SPDX-License-Identifier: Apache-2.0
// Typed configuration: ranges, suggestions, what counts as a misspelling, Kafka's properties files,
// addresses.
#include "base/config.h"

#include "base/buf.h"

#include <criterion/criterion.h>

static const struct config_row rows[] = {
    {.key = "log.segment.bytes", .type = CONFIG_INT, .fallback = "1024", .min = 14, .max = 2048},
    {.key = "replica.fetch.max.bytes", .type = CONFIG_INT, .fallback = "1"},
    {.key = "log.dirs", .type = CONFIG_LIST, .fallback = "/tmp/a"},
    {.key = "relay.max.bytes", .type = CONFIG_INT, .fallback = "5"},
    {.key = "millrace.lag.interval.ms", .type = CONFIG_INT, .fallback = "5"},
    {.key = "compression.type", .type = CONFIG_STRING, .fallback = "producer", .choices = "producer|zstd"},
    {.key = "delete.topic.enable", .type = CONFIG_BOOL, .fallback = "true"},
    {.key = "load.factor", .type = CONFIG_DOUBLE, .fallback = "0.5", .min = 0, .max = 1},
};

static struct config *fresh(void)
{
    struct config *config = config_new();
    config_declare(config, rows, sizeof rows / sizeof *rows);
    config_declare(config, config_common_rows, config_common_count);
    return config;
}

Test(config, defaults_are_typed_values)
{
    struct config *config = fresh();
    cr_assert_eq(config_int(config, "log.segment.bytes"), 1024);
    cr_assert(config_bool(config, "delete.topic.enable"));
    cr_assert_float_eq(config_double(config, "load.factor"), 0.5, 1e-9);
    cr_assert_eq(config_int(config, "node.id"), -1);
    cr_assert_str_eq(config_string(config, "broker.rack"), "");
    cr_assert_not(config_is_set(config, "log.dirs"));
    config_destroy(&config);
}

Test(config, values_outside_type_range_or_choices_are_refused_and_keep_the_old_value)
{
    struct config *config = fresh();
    char error[CONFIG_ERROR_SIZE];
    const char *const bad[][2] = {{"log.segment.bytes", "13"},
                                  {"log.segment.bytes", "2049"},
                                  {"log.segment.bytes", "100x"},
                                  {"log.segment.bytes", ""},
                                  {"compression.type", "zst"},
                                  {"delete.topic.enable", "yes"},
                                  {"load.factor", "1.5"},
                                  {"load.factor", "nan"},
                                  {"log.segment.bytes", "99999999999999999999"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        cr_expect_eq(config_set(config, bad[i][0], bad[i][1], error), ST_INVALID, "%s=%s", bad[i][0],
                     bad[i][1]);
        cr_expect(strstr(error, bad[i][0]) != NULL, "error names the key: %s", error);
    }
    cr_assert_eq(config_int(config, "log.segment.bytes"), 1024);
    cr_assert_eq(config_set(config, "log.segment.bytes", "2048", error), ST_OK);
    cr_assert_eq(config_int(config, "log.segment.bytes"), 2048);
    config_destroy(&config);
}

Test(config, lists_are_split_and_trimmed)
{
    struct config *config = fresh();
    char error[CONFIG_ERROR_SIZE];
    cr_assert_eq(config_set(config, "log.dirs", " /a , ,/b,", error), ST_OK);
    cr_assert_eq(config_list_count(config, "log.dirs"), 2);
    cr_assert_str_eq(config_list_at(config, "log.dirs", 0), "/a");
    cr_assert_str_eq(config_list_at(config, "log.dirs", 1), "/b");
    config_destroy(&config);
}

Test(config, older_kafka_names_are_understood)
{
    struct config *config = fresh();
    char error[CONFIG_ERROR_SIZE];
    cr_assert_eq(config_set(config, "broker.id", "7", error), ST_OK);
    cr_assert_eq(config_int(config, "node.id"), 7);
    config_destroy(&config);
}

Test(config, a_misspelt_own_key_is_an_error_with_a_suggestion)
{
    struct config *config = fresh();
    char error[CONFIG_ERROR_SIZE];
    cr_assert_eq(config_set(config, "relay.max.byte", "1", error), ST_NOT_FOUND);
    cr_assert(strstr(error, "did you mean relay.max.bytes?") != NULL, "%s", error);
    cr_assert(config_unknown_is_error(config, "relay.max.byte"));
    cr_assert(config_unknown_is_error(config, "relay.something.else"));
    cr_assert(config_unknown_is_error(config, "log.segmnet.bytes"));
    config_destroy(&config);
}

// One file of settings may be given to daemons of every kind.
Test(config, another_daemons_own_keys_are_told_from_misspellings)
{
    struct config *config = fresh();
    cr_assert(config_unknown_is_error(config, "millrace.lag.something"));
    cr_assert(config_unknown_is_error(config, "millrace.lga.interval.ms"));
    cr_assert_not(config_unknown_is_error(config, "millrace.balancer.interval.ms"));
    config_destroy(&config);
}

Test(config, kafka_keys_are_told_from_misspellings)
{
    struct config *config = fresh();
    cr_assert_not(config_unknown_is_error(config, "replica.fetch.min.bytes"));
    cr_assert_not(config_unknown_is_error(config, "num.network.threads"));
    cr_assert_not(config_unknown_is_error(config, "ssl.keystore.location"));
    cr_assert_not(config_unknown_is_error(config, "my.plugin.url"));
    config_destroy(&config);
}

static enum status collect(const char *key, const char *value, void *context)
{
    return buf_printf(context, "[%s|%s]", key, value);
}

Test(config, properties_files_as_kafka_writes_them)
{
    static const char text[] = "# comment\r\n\n! other\nnode.id=1\n  log.dirs : /a,\\\n     /b  \nempty=\n"
                               "spaced value here\nlast=x\\=y";
    struct buf out;
    buf_init(&out, 1000);
    int line;
    cr_assert_eq(config_parse(slice_str(text), collect, &out, &line), ST_OK);
    buf_put_u8(&out, 0);
    cr_assert_str_eq((char *)out.data, "[node.id|1][log.dirs|/a,/b][empty|][spaced|value here][last|x=y]");
    buf_fini(&out);
}

Test(config, a_line_without_key_or_with_nul_is_malformed)
{
    struct buf out;
    buf_init(&out, 1000);
    int line;
    cr_assert_eq(config_parse(slice_str("a=1\n=2\n"), collect, &out, &line), ST_MALFORMED);
    cr_assert_eq(line, 2);
    cr_assert_eq(config_parse(slice_of("a\0=1\n", 5), collect, &out, &line), ST_MALFORMED);
    buf_fini(&out);
}

Test(config, addresses)
{
    char name[256], host[256];
    int port;
    cr_assert_eq(config_address("HOST://localhost:9092", name, host, &port), ST_OK);
    cr_assert_str_eq(name, "HOST");
    cr_assert_str_eq(host, "localhost");
    cr_assert_eq(port, 9092);
    cr_assert_eq(config_address("[::1]:0", NULL, host, &port), ST_OK);
    cr_assert_str_eq(host, "::1");
    cr_assert_eq(config_address("PLAINTEXT://:9092", name, host, &port), ST_OK);
    cr_assert_str_eq(host, "");
    const char *const bad[] = {"", "host", "host:", "host:1x", "host:65536", "a:b:1", "host:-1"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_expect_eq(config_address(bad[i], name, host, &port), ST_INVALID, "%s", bad[i]);
}

Test(config, edit_distance_counts_swaps_once_and_stops_at_the_limit)
{
    cr_assert_eq(edit_distance("topic", "tpoic", 3), 1);
    cr_assert_eq(edit_distance("kitten", "sitting", 5), 3);
    cr_assert_eq(edit_distance("kitten", "sitting", 2), 3);
    cr_assert_eq(edit_distance("", "abc", 5), 3);
}
