// SPDX-License-Identifier: Apache-2.0
// Instances of client metrics: how many are remembered, and that their series go with them.
#include "telemetry.h"

#include "io/env_posix.h"
#include "kafka/errors.h"

#include <criterion/criterion.h>

static struct env *env;
static struct image *image;
static struct telemetry *telemetry;

static void setup(void)
{
    cr_assert_eq(env_posix_new("telemetry", 1, &env), ST_OK);
    image = image_new();
    telemetry = telemetry_new(env, image);
}

static void teardown(void)
{
    telemetry_destroy(&telemetry);
    image_destroy(&image);
    env_posix_destroy(&env);
}

TestSuite(telemetry, .init = setup, .fini = teardown, .timeout = 60);

static struct telemetry_client client_of(int number)
{
    struct telemetry_client client = {.client = {[CLIENT_MATCH_ID] = slice_str("a \"client\"")}};
    client.instance.bytes[0] = 1;
    client.instance.bytes[14] = (uint8_t)(number >> 8);
    client.instance.bytes[15] = (uint8_t)number;
    return client;
}

static int16_t ask(int number)
{
    struct telemetry_client client = client_of(number);
    struct telemetry_subscription subscription;
    return telemetry_ask(telemetry, &client, &subscription);
}

static struct buf page(void)
{
    struct buf out;
    buf_init(&out, 8 << 20);
    cr_assert_eq(metric_print(env->metrics, &out), ST_OK);
    buf_put_u8(&out, 0);
    return out;
}

static bool page_has(const char *text)
{
    struct buf out = page();
    bool has = strstr((const char *)out.data, text) != NULL;
    buf_fini(&out);
    return has;
}

// A gauge "g" of 1 with an attribute "k" of eight such bytes.
static struct slice gauge_of(uint8_t value, uint8_t bytes[40])
{
    const uint8_t head[] = {0x0a, 37, 0x12, 35, 0x12, 33, 0x0a, 1, 'g', 0x2a, 28, 0x0a, 26};
    const uint8_t point[] = {0x21, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f, 0x3a, 15, 0x0a, 1, 'k', 0x12, 10, 0x0a, 8};
    memcpy(bytes, head, sizeof head);
    memcpy(bytes + sizeof head, point, sizeof point);
    memset(bytes + sizeof head + sizeof point, value, 8);
    return slice_of(bytes, sizeof head + sizeof point + 8);
}

Test(telemetry, the_longest_silent_instance_is_forgotten_when_there_are_too_many)
{
    cr_assert_eq(ask(0), 0);
    cr_assert_eq(ask(0), KAFKA_ERR_THROTTLING_QUOTA_EXCEEDED);
    for (int number = 1; number <= TELEMETRY_INSTANCES_MAX; number++)
        cr_assert_eq(ask(number), 0);
    cr_expect(page_has("millrace_client_instances 16384\n"));
    cr_expect_eq(ask(TELEMETRY_INSTANCES_MAX), KAFKA_ERR_THROTTLING_QUOTA_EXCEEDED);
    cr_expect_eq(ask(0), 0, "it was forgotten, so it is new");
    cr_expect_eq(ask(1), 0, "the next one had to go for it");
}

Test(telemetry, series_are_escaped_and_go_with_their_instance)
{
    uint8_t bytes[40];
    struct telemetry_client client = client_of(0);
    cr_assert_eq(ask(0), 0);
    cr_assert_eq(telemetry_take(telemetry, &client, gauge_of('x', bytes)), 0);
    cr_assert_eq(telemetry_take(telemetry, &client, gauge_of('"', bytes)), 0);
    cr_expect(page_has(
        "millrace_client_metric{metric=\"g\",client_id=\"a \\\"client\\\"\",instance=\"AQAAAAAAAAAAAAAA"
        "AAAAAA\",attribute_k=\"xxxxxxxx\"} 1\n"));
    cr_expect(page_has("attribute_k=\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\"} 1\n"));
    cr_assert_eq(telemetry_take(telemetry, &client, gauge_of(0, bytes)), 0);
    cr_expect(page_has("attribute_k=\"????????\"} 1\n"));
    cr_expect(page_has("millrace_client_series 3\n"));
    for (int number = 1; number <= TELEMETRY_INSTANCES_MAX; number++)
        ask(number);
    cr_expect(page_has("millrace_client_series 0\n"));
    cr_expect_not(page_has("millrace_client_metric{"));
}

Test(telemetry, attributes_that_become_the_same_label_are_one)
{
    struct series_registry registry;
    struct series_set set = {0};
    struct otlp_point point = {
        .name = slice_str("g"),
        .part = "sum",
        .value = 2,
        .attribute_count = 2,
        .attributes = {{slice_str("a.b"), slice_str("1")}, {slice_str("a-b"), slice_str("2")}}};
    series_registry_init(&registry, env->metrics);
    series_set_take(&set, &registry, slice_str("i"), slice_str("c"), &point);
    cr_expect(page_has("{metric=\"g.sum\",client_id=\"c\",instance=\"i\",attribute_a_b=\"1\"} 2\n"));
    series_set_fini(&set, &registry);
    series_registry_fini(&registry);
}

Test(telemetry, all_instances_together_have_a_limit_of_series)
{
    uint8_t bytes[40];
    for (int number = 0; number < 25; number++) {
        struct telemetry_client client = client_of(number);
        ask(number);
        for (uint8_t value = '!'; value < '!' + 90; value++)
            cr_assert_eq(telemetry_take(telemetry, &client, gauge_of(value, bytes)), 0);
    }
    cr_expect(page_has("millrace_client_series 2000\n"));
    cr_expect(page_has("millrace_client_points_left_out_total 250\n"));
}

Test(telemetry, a_push_of_a_forgotten_instance_is_dropped)
{
    uint8_t bytes[40];
    struct telemetry_client client = client_of(7);
    cr_expect_eq(telemetry_take(telemetry, &client, gauge_of('x', bytes)), 0);
    cr_expect(page_has("millrace_client_series 0\n"));
}
