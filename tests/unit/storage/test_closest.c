// SPDX-License-Identifier: Apache-2.0
// Which replica a consumer is sent to (KIP-392): rack, ISR, what it has, whether it can be reached.
#include "closest.h"

#include <criterion/criterion.h>

enum { SELF = 1 };

static struct image *image;
static struct partition state;

static void put_node(int32_t id, const char *rack, const char *listener, bool fenced)
{
    uint8_t directory[16] = {(uint8_t)id};
    Millrace__Endpoint endpoint = MILLRACE__ENDPOINT__INIT, *endpoints[] = {&endpoint};
    endpoint.listener = (char *)(uintptr_t)listener;
    endpoint.host = "127.0.0.1";
    endpoint.port = 9092;
    Millrace__NodeRecord node = MILLRACE__NODE_RECORD__INIT;
    node.node_id = id;
    node.role = MILLRACE__ROLE__ROLE_STORAGE;
    node.incarnation = 1;
    node.directory_id = (ProtobufCBinaryData){.len = sizeof directory, .data = directory};
    node.rpc_endpoint = "tcp://127.0.0.1:1";
    node.rack = (char *)(uintptr_t)rack;
    node.has_fenced = true;
    node.fenced = fenced;
    node.n_endpoints = 1;
    node.endpoints = endpoints;
    Millrace__MetadataRecord record = MILLRACE__METADATA_RECORD__INIT;
    record.version = 1;
    record.body_case = MILLRACE__METADATA_RECORD__BODY_NODE;
    record.node = &node;
    cr_assert_eq(image_apply(image, &record, image_offset(image) + 1), ST_OK, "%s", image_error(image));
}

// Nodes 1 (the leader, rack a) to 4; 2 to 4 are in rack b, in sync, and have everything up to 100.
static void setup(void)
{
    static struct partition_replica replicas[4];
    image = image_new();
    put_node(SELF, "a", "PLAINTEXT", false);
    state = (struct partition){
        .self = SELF, .role = PARTITION_LEADER, .leader = SELF, .replicas = replicas, .replica_count = 4};
    for (int32_t id = 1; id <= 4; id++) {
        state.replicas[id - 1] = (struct partition_replica){.node = id, .in_isr = true, .flushed = 100};
        if (id != SELF)
            put_node(id, "b", "PLAINTEXT", false);
    }
}

static void teardown(void)
{
    image_destroy(&image);
}

static int32_t closest(const char *rack, int64_t offset)
{
    struct closest_reader reader = {.rack = slice_str(rack), .listener = "PLAINTEXT", .offset = offset};
    return closest_replica(image, &state, &reader);
}

TestSuite(closest, .init = setup, .fini = teardown);

Test(closest, a_rack_that_is_unknown_or_the_leaders_own_is_served_here)
{
    put_node(2, "", "PLAINTEXT", false); // no rack is no rack to be in
    cr_expect_eq(closest("", 0), -1);
    cr_expect_eq(closest("c", 0), -1);
    cr_expect_eq(closest("a", 0), -1);
    put_node(2, "a", "PLAINTEXT", false);
    cr_expect_eq(closest("a", 0), -1);
}

Test(closest, the_one_that_has_most_is_taken)
{
    cr_expect_eq(closest("b", 100), 4); // all alike: the higher id
    state.replicas[2].caught_up_us = 5;
    cr_expect_eq(closest("b", 100), 3);
    state.replicas[1].flushed = 101;
    cr_expect_eq(closest("b", 100), 2);
    cr_expect_eq(closest("b", 101), 2);
    cr_expect_eq(closest("b", 102), -1); // nobody has it
}

Test(closest, who_lags_or_cannot_be_reached_is_passed_over)
{
    state.replicas[3].in_isr = false;
    cr_expect_eq(closest("b", 0), 3);
    put_node(3, "b", "PLAINTEXT", true);
    cr_expect_eq(closest("b", 0), 2);
    put_node(2, "b", "ELSEWHERE", false);
    cr_expect_eq(closest("b", 0), -1);
}
