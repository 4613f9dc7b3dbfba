// SPDX-License-Identifier: Apache-2.0
// Which clients a client metrics subscription is for.
#include "cluster/client_match.h"

#include <criterion/criterion.h>
#include <string.h>

static struct slice client[CLIENT_MATCH_SELECTORS];

static void describe_client(void)
{
    client[CLIENT_MATCH_INSTANCE_ID] = slice_str("AAAAAAAAAAAAAAAAAAAAAQ");
    client[CLIENT_MATCH_ID] = slice_str("orders-7");
    client[CLIENT_MATCH_SOFTWARE_NAME] = slice_str("apache-kafka-java");
    client[CLIENT_MATCH_SOFTWARE_VERSION] = slice_str("4.2.0");
    client[CLIENT_MATCH_SOURCE_ADDRESS] = slice_str("10.1.2.3");
    client[CLIENT_MATCH_SOURCE_PORT] = (struct slice){0};
}

static bool holds(const char *text)
{
    char why[CLIENT_MATCH_WHY_SIZE];
    struct client_match *match;
    describe_client();
    cr_assert_eq(client_match_new(slice_str(text), &match, why), ST_OK, "%s: %s", text, why);
    bool result = client_match_holds(match, client);
    client_match_destroy(&match);
    return result;
}

Test(client_match, all_conditions_must_hold_for_the_whole_text)
{
    cr_expect(holds(""));
    cr_expect(holds("client_id=orders-\\d+"));
    cr_expect_not(holds("client_id=orders"));
    cr_expect_not(holds("client_id=7"));
    cr_expect(holds("client_id=orders-7, client_software_version=4\\..*"));
    cr_expect_not(holds("client_id=orders-7,client_software_version=3\\..*"));
    cr_expect(holds("client_source_address=10\\.1\\.2\\.(3|4)"));
}

Test(client_match, what_is_not_known_of_a_client_matches_nothing)
{
    cr_expect_not(holds("client_source_port=.*"));
}

Test(client_match, what_is_no_pattern_is_refused_with_its_text)
{
    static const char *const bad[] = {
        "client_id", "nosuch=a", "client_id=", "=a", "client_id=(", "client_id=a=b"};
    char why[CLIENT_MATCH_WHY_SIZE], many[1000] = "client_id=a";
    struct client_match *match;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        cr_expect_eq(client_match_new(slice_str(bad[i]), &match, why), ST_INVALID, "%s", bad[i]);
        cr_expect_null(match);
        cr_expect_not_null(strstr(why, bad[i]), "%s", why);
    }
    for (int i = 0; i < CLIENT_MATCH_MAX; i++)
        strcat(many, ",client_id=a");
    cr_expect_eq(client_match_new(slice_str(many), &match, why), ST_INVALID);
}

// Without a step limit this takes longer than the test may.
Test(client_match, an_expression_that_explodes_ends_and_does_not_match, .timeout = 10)
{
    char text[64];
    char why[CLIENT_MATCH_WHY_SIZE];
    struct client_match *match;
    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = 0;
    describe_client();
    client[CLIENT_MATCH_ID] = slice_str(text);
    cr_assert_eq(client_match_new(slice_str("client_id=(a+)+b"), &match, why), ST_OK);
    cr_expect_not(client_match_holds(match, client));
    client_match_destroy(&match);
}
