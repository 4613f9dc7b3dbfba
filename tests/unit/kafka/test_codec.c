// SPDX-License-Identifier: Apache-2.0
// The codec's rules one by one: defaults, nulls, tags, versions that lack a field, splices, hostile lengths.
// That all messages agree with Apache Kafka byte for byte is tests/golden.
#include "kafka/api.h"
#include "kafka/codec.h"
#include "kafka/errors.h"
#include "kafka/messages/consumer_group_heartbeat.h"
#include "kafka/messages/consumer_offsets_records.h"
#include "kafka/messages/fetch.h"
#include "kafka/messages/metadata.h"
#include "kafka/messages/produce.h"

#include <criterion/criterion.h>

enum { OUT_MAX = 1 << 20 };

static struct arena arena;
static struct kafka_out out;

static void setup(void)
{
    arena_init(&arena, 1 << 20);
    kafka_out_init(&out, OUT_MAX);
}

static void teardown(void)
{
    arena_fini(&arena);
    kafka_out_fini(&out);
}

TestSuite(codec, .init = setup, .fini = teardown);

static void expect_bytes(const char *bytes, size_t len)
{
    cr_assert_eq(out.bytes.len, len, "length %zu, expected %zu", out.bytes.len, len);
    cr_assert_eq(memcmp(out.bytes.data, bytes, len), 0);
}
#define EXPECT_BYTES(literal) expect_bytes(literal, sizeof literal - 1)

static enum status decode(const struct kafka_message *message, int16_t version, const char *bytes, size_t len,
                          void *into)
{
    return kafka_decode(message, version, slice_of(bytes, len), &arena, into);
}
#define DECODE(message, version, literal, into) decode(message, version, literal, sizeof literal - 1, into)

Test(codec, defaults_are_the_declared_ones)
{
    struct kafka_fetch_request fetch;
    kafka_defaults(&kafka_fetch_request_message, &fetch);
    cr_assert_eq(fetch.replica_id, -1);
    cr_assert_eq(fetch.max_bytes, INT32_MAX);
    cr_assert_eq(fetch.session_epoch, -1);
    cr_assert_null(fetch.cluster_id.data);
    cr_assert_not_null(fetch.rack_id.data);
    cr_assert_eq(fetch.replica_state.replica_epoch, -1);
    struct kafka_fetch_request_fetch_partition *partitions =
        kafka_structure_array(&kafka_fetch_request_fetch_partition_type, &arena, 2);
    cr_assert_eq(partitions[1].high_watermark, INT64_MAX);
    cr_assert_eq(partitions[1].last_fetched_epoch, -1);
}

Test(codec, metadata_request_v1_null_topics_is_minus_one)
{
    struct kafka_metadata_request request;
    cr_assert_eq(DECODE(&kafka_metadata_request_message, 1, "\xff\xff\xff\xff", &request), ST_OK);
    cr_assert_eq(request.topics_count, -1);
    cr_assert(request.allow_auto_topic_creation, "absent in version 1, so the default");
    cr_assert_eq(kafka_encode(&kafka_metadata_request_message, 1, &request, &out), ST_OK);
    EXPECT_BYTES("\xff\xff\xff\xff");
    // Version 0 knows no null.
    cr_assert_eq(DECODE(&kafka_metadata_request_message, 0, "\xff\xff\xff\xff", &request), ST_MALFORMED);
    request.topics_count = -1;
    cr_assert_eq(kafka_encode(&kafka_metadata_request_message, 0, &request, &out), ST_UNSUPPORTED);
}

Test(codec, array_elements_are_never_null_even_in_a_nullable_array)
{
    struct kafka_consumer_group_heartbeat_request request;
    // group, member, epoch, instance, rack, timeout, then SubscribedTopicNames with one null element
    cr_assert_eq(DECODE(&kafka_consumer_group_heartbeat_request_message, 0,
                        "\x02g\x02m\0\0\0\0\0\0\0\0\0\0\x02\0\0\0\0", &request),
                 ST_MALFORMED);
}

Test(codec, nullable_structure_has_a_byte_in_front)
{
    struct kafka_consumer_group_heartbeat_response response;
    static const char null_bytes[] = "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\xff\0";
    cr_assert_eq(DECODE(&kafka_consumer_group_heartbeat_response_message, 0, null_bytes, &response), ST_OK);
    cr_assert_null(response.assignment);
    static const char one_bytes[] = "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\x01\0\0";
    cr_assert_eq(DECODE(&kafka_consumer_group_heartbeat_response_message, 0, one_bytes, &response), ST_OK);
    cr_assert_not_null(response.assignment);
    cr_assert_eq(kafka_encode(&kafka_consumer_group_heartbeat_response_message, 0, &response, &out), ST_OK);
    EXPECT_BYTES("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\x01\0\0");
}

Test(codec, header_v2_keeps_the_plain_client_id_and_unknown_tags)
{
    static const char frame[] = "\0\x12\0\x03\0\0\0\x07\0\x02me\x01\x05\x03xyzBODY";
    struct kafka_request_header header;
    size_t used;
    cr_assert_eq(kafka_request_decode_header(slice_of(frame, sizeof frame - 1), &arena, &header, &used),
                 ST_OK);
    cr_assert_eq(used, sizeof frame - 1 - 4);
    cr_assert_eq(header.correlation_id, 7);
    cr_assert(slice_is(header.client_id, "me"));
    cr_assert_eq(header.tags.count, 1);
    cr_assert_eq(header.tags.items[0].tag, 5);
    cr_assert_eq(kafka_encode(&kafka_request_header_message, 2, &header, &out), ST_OK);
    expect_bytes(frame, used);
}

Test(codec, value_a_version_cannot_carry_is_refused_unless_ignorable)
{
    struct kafka_produce_request request;
    kafka_defaults(&kafka_produce_request_message, &request);
    struct kafka_produce_response response;
    kafka_defaults(&kafka_produce_response_message, &response);
    response.throttle_time_ms = 5;
    struct kafka_produce_response_node_endpoint endpoint;
    kafka_structure_defaults(&kafka_produce_response_node_endpoint_type, &endpoint);
    response.node_endpoints = &endpoint;
    response.node_endpoints_count = 1;
    cr_assert_eq(kafka_encode(&kafka_produce_response_message, 9, &response, &out), ST_UNSUPPORTED);
    cr_assert_eq(out.bytes.len, 0, "a failed encode leaves no bytes");
    cr_assert_eq(kafka_encode(&kafka_produce_response_message, 10, &response, &out), ST_OK);
    cr_assert_eq(kafka_encode(&kafka_produce_response_message, 2, &response, &out), ST_UNSUPPORTED);
}

Test(codec, tags_ascend_and_unknown_ones_are_merged_in_order)
{
    struct kafka_fetch_response response;
    // throttle, error, session, no topics, three tags: 0 known (one endpoint), 1 and 300 unknown
    static const char bytes[] = "\0\0\0\0\0\0\0\0\0\0\x01\x03"
                                "\x00\x0d\x02\0\0\0\x01\x02h\0\0\0\x09\0\0"
                                "\x01\x01z\xac\x02\0";
    cr_assert_eq(DECODE(&kafka_fetch_response_message, 16, bytes, &response), ST_OK);
    cr_assert_eq(response.node_endpoints_count, 1);
    cr_assert_eq(response.node_endpoints[0].port, 9);
    cr_assert_eq(response.tags.count, 2);
    cr_assert_eq(kafka_encode(&kafka_fetch_response_message, 16, &response, &out), ST_OK);
    EXPECT_BYTES(bytes);
    response.tags.items[0].tag = 0; // collides with NodeEndpoints
    cr_assert_eq(kafka_encode(&kafka_fetch_response_message, 16, &response, &out), ST_INVALID);
    response.tags.items[0].tag = 300;
    cr_assert_eq(kafka_encode(&kafka_fetch_response_message, 16, &response, &out), ST_INVALID);
}

Test(codec, tag_that_does_not_fill_its_size_is_malformed)
{
    struct kafka_fetch_response response;
    cr_assert_eq(
        DECODE(&kafka_fetch_response_message, 16, "\0\0\0\0\0\0\0\0\0\0\x01\x01\x00\x02\x01z", &response),
        ST_MALFORMED);
    cr_assert_eq(
        DECODE(&kafka_fetch_response_message, 16, "\0\0\0\0\0\0\0\0\0\0\x01\x01\x00\x01\x05z", &response),
        ST_MALFORMED);
}

Test(codec, known_tag_may_not_lend_its_bytes_to_the_next)
{
    struct kafka_fetch_response response;
    // Tag 0 announces three bytes, its empty array takes one; the other two would pass for tag 5.
    cr_assert_eq(DECODE(&kafka_fetch_response_message, 16, "\0\0\0\0\0\0\0\0\0\0\x01\x02\x00\x03\x01\x05\0",
                        &response),
                 ST_MALFORMED);
}

Test(codec, default_structure_with_an_unknown_tag_is_not_default)
{
    struct kafka_produce_response response;
    kafka_defaults(&kafka_produce_response_message, &response);
    response.responses =
        kafka_structure_array(&kafka_produce_response_topic_produce_response_type, &arena, 1);
    response.responses_count = 1;
    response.responses[0].partition_responses =
        kafka_structure_array(&kafka_produce_response_partition_produce_response_type, &arena, 1);
    response.responses[0].partition_responses_count = 1;
    cr_assert_eq(kafka_encode(&kafka_produce_response_message, 10, &response, &out), ST_OK);
    size_t plain = out.bytes.len;
    struct kafka_tag tag = {.tag = 9, .bytes = slice_str("x")};
    response.responses[0].partition_responses[0].current_leader.tags = (struct kafka_tags){&tag, 1};
    kafka_out_clear(&out);
    cr_assert_eq(kafka_encode(&kafka_produce_response_message, 10, &response, &out), ST_OK);
    cr_assert_eq(out.bytes.len, plain + 2 + 8 + 4, "tag and size, the two fields, one unknown tag");
}

static void build_fetch(struct kafka_fetch_response *response, struct piece *pieces, int32_t count)
{
    kafka_defaults(&kafka_fetch_response_message, response);
    response->responses =
        kafka_structure_array(&kafka_fetch_response_fetchable_topic_response_type, &arena, 1);
    response->responses_count = 1;
    response->responses[0].partitions =
        kafka_structure_array(&kafka_fetch_response_partition_data_type, &arena, 1);
    response->responses[0].partitions_count = 1;
    response->responses[0].partitions[0].records.pieces = pieces;
    response->responses[0].partitions[0].records.piece_count = count;
}

Test(codec, record_pieces_are_spliced_and_released_by_the_output)
{
    struct block *block = block_copy(slice_str("RECORDBYTES"));
    for (int16_t version = 4; version <= 18; version++) {
        struct piece pieces[2] = {piece_of_block(block, 0, 6), piece_of_block(block, 6, 5)};
        struct kafka_fetch_response response;
        build_fetch(&response, pieces, 2);
        cr_assert_eq(kafka_encode(&kafka_fetch_response_message, version, &response, &out), ST_OK);
        cr_assert_eq(out.splice_count, 2);
        cr_assert_eq(kafka_out_len(&out), out.bytes.len + 11);
        cr_assert_eq(block->refs, 3);
        struct buf flat;
        buf_init(&flat, OUT_MAX);
        cr_assert_eq(kafka_out_flatten(&out, &flat), ST_OK);
        struct kafka_fetch_response back;
        cr_assert_eq(kafka_decode(&kafka_fetch_response_message, version, buf_slice(&flat), &arena, &back),
                     ST_OK);
        cr_assert(slice_is(back.responses[0].partitions[0].records.bytes, "RECORDBYTES"));
        kafka_out_clear(&out);
        cr_assert_eq(block->refs, 1);
        buf_fini(&flat);
    }
    block_unref(&block);
}

Test(codec, failed_encode_leaves_pieces_with_the_caller)
{
    struct block *block = block_copy(slice_str("RECORDBYTES"));
    struct piece piece = piece_of_block(block, 0, 11);
    struct kafka_fetch_response response;
    build_fetch(&response, &piece, 1);
    response.responses_count = 1;
    response.node_endpoints_count = -1; // tagged, written after the records, never null
    cr_assert_eq(kafka_encode(&kafka_fetch_response_message, 16, &response, &out), ST_INVALID);
    cr_assert_eq(kafka_out_len(&out), 0);
    cr_assert_eq(out.splice_count, 0);
    cr_assert_eq(block->refs, 2);
    piece_release(&piece);
    block_unref(&block);
}

Test(codec, count_larger_than_the_input_allocates_nothing)
{
    struct kafka_metadata_request request;
    cr_assert_eq(DECODE(&kafka_metadata_request_message, 1, "\x7f\xff\xff\xff", &request), ST_TRUNCATED);
    cr_assert_eq(DECODE(&kafka_metadata_request_message, 9, "\xff\xff\xff\xff\x07\0\0\0", &request),
                 ST_TRUNCATED);
    cr_assert_eq(DECODE(&kafka_metadata_request_message, 9, "\xff\xff\xff\xff\x0f\0\0\0", &request),
                 ST_MALFORMED);
    // Three topics of at least two bytes each do not fit into five.
    cr_assert_eq(DECODE(&kafka_metadata_request_message, 1, "\0\0\0\x03\0\0\0\0\0", &request), ST_TRUNCATED);
    // Twenty million tagged fields.
    cr_assert_eq(DECODE(&kafka_metadata_request_message, 9, "\x01\0\0\0\x80\xda\xc4\x09\0\0\0", &request),
                 ST_TRUNCATED);
    cr_assert_eq(arena.used, 0);
}

Test(codec, nullable_structure_whose_default_is_not_null)
{
    struct kafka_consumer_group_member_metadata_value value;
    kafka_defaults(&kafka_consumer_group_member_metadata_value_message, &value);
    cr_assert_not_null(value.classic_member_metadata);
    cr_assert_eq(kafka_encode(&kafka_consumer_group_member_metadata_value_message, 0, &value, &out), ST_OK);
    EXPECT_BYTES("\1\1\1\1\1\1\xff\xff\xff\xff\1\0");
    value.classic_member_metadata = NULL;
    kafka_out_clear(&out);
    cr_assert_eq(kafka_encode(&kafka_consumer_group_member_metadata_value_message, 0, &value, &out), ST_OK);
    EXPECT_BYTES("\1\1\1\1\1\1\xff\xff\xff\xff\1\1\0\1\0"); // below a tag null is varint 0
}

Test(codec, arena_cap_is_a_status)
{
    struct arena small;
    arena_init(&small, 64);
    struct kafka_metadata_request request;
    static const char bytes[] = "\0\0\0\x03\0\0\0\0\0\0";
    cr_assert_eq(
        kafka_decode(&kafka_metadata_request_message, 0, slice_of(bytes, sizeof bytes - 1), &small, &request),
        ST_NO_MEMORY);
    arena_fini(&small);
}

Test(codec, bytes_behind_the_message_are_malformed)
{
    struct kafka_metadata_request request;
    cr_assert_eq(DECODE(&kafka_metadata_request_message, 0, "\0\0\0\0x", &request), ST_MALFORMED);
}

Test(codec, bytes_behind_a_request_are_ignored_as_kafka_does)
{
    static const char bytes[] = "\0\0\0\0x";
    struct kafka_metadata_request request;
    cr_assert_eq(
        kafka_decode_request(&kafka_metadata_request_message, 0, slice_of(bytes, 5), &arena, &request),
        ST_OK);
    cr_assert_eq(
        kafka_decode_request(&kafka_metadata_request_message, 0, slice_of(bytes, 3), &arena, &request),
        ST_TRUNCATED, "what is missing is still missed");
}

Test(codec, every_prefix_of_a_message_is_refused)
{
    struct kafka_fetch_response response;
    static const char bytes[] =
        "\0\0\0\0\0\0\0\0\0\0\x01\x02\x00\x0d\x02\0\0\0\x01\x02h\0\0\0\x09\0\0\x01\x01z";
    cr_assert_eq(DECODE(&kafka_fetch_response_message, 16, bytes, &response), ST_OK);
    for (size_t len = 0; len < sizeof bytes - 1; len++)
        cr_assert_neq(decode(&kafka_fetch_response_message, 16, bytes, len, &response), ST_OK, "length %zu",
                      len);
}

Test(codec, versions_outside_of_the_valid_range_are_unsupported)
{
    struct kafka_metadata_request request;
    kafka_defaults(&kafka_metadata_request_message, &request);
    cr_assert_eq(kafka_encode(&kafka_metadata_request_message, 14, &request, &out), ST_UNSUPPORTED);
    cr_assert_eq(DECODE(&kafka_metadata_request_message, -1, "", &request), ST_UNSUPPORTED);
}

Test(codec, strings_are_bounded_by_int16_also_when_compact)
{
    static char text[40000];
    memset(text, 'a', sizeof text);
    struct kafka_metadata_response response;
    kafka_defaults(&kafka_metadata_response_message, &response);
    response.cluster_id = slice_of(text, 32767);
    cr_assert_eq(kafka_encode(&kafka_metadata_response_message, 9, &response, &out), ST_OK);
    response.cluster_id = slice_of(text, 32768);
    cr_assert_eq(kafka_encode(&kafka_metadata_response_message, 9, &response, &out), ST_INVALID);
    // Topics of one, its name 32768 bytes long (compact length 32769 is 81 80 02)
    memcpy(text, "\x02\x81\x80\x02", 4);
    memcpy(text + 4 + 32768, "\0\1\0\0\0", 5);
    struct kafka_metadata_request request;
    cr_assert_eq(decode(&kafka_metadata_request_message, 9, text, 4 + 32768 + 5, &request), ST_MALFORMED);
    text[1] = (char)0x80;
    memcpy(text + 4 + 32767, "\0\1\0\0\0", 5);
    cr_assert_eq(decode(&kafka_metadata_request_message, 9, text, 4 + 32767 + 5, &request), ST_OK);
}

Test(codec, null_slice_is_empty_where_null_is_impossible)
{
    struct kafka_produce_response_node_endpoint endpoint = {.port = 1};
    struct kafka_produce_response response;
    kafka_defaults(&kafka_produce_response_message, &response);
    response.node_endpoints = &endpoint;
    response.node_endpoints_count = 1;
    cr_assert_eq(kafka_encode(&kafka_produce_response_message, 10, &response, &out), ST_OK);
    EXPECT_BYTES("\x01\0\0\0\0\x01\x00\x0c\x02\0\0\0\0\x01\0\0\0\x01\0\0");
}

Test(codec, output_limit_is_a_status_and_leaves_the_output_usable)
{
    struct kafka_out small;
    kafka_out_init(&small, 8);
    struct kafka_metadata_response response;
    kafka_defaults(&kafka_metadata_response_message, &response);
    cr_assert_eq(kafka_encode(&kafka_metadata_response_message, 1, &response, &small), ST_LIMIT);
    cr_assert_eq(kafka_out_len(&small), 0);
    cr_assert_eq(kafka_encode(&kafka_metadata_response_message, 0, &response, &small), ST_OK);
    cr_assert_eq(kafka_out_len(&small), 8);
    kafka_out_fini(&small);
}

Test(api, table_is_ordered_and_found_by_key)
{
    cr_assert_eq(kafka_api_count, 89);
    for (int32_t i = 0; i < kafka_api_count; i++) {
        const struct kafka_api *api = &kafka_apis[i];
        cr_assert_eq(kafka_api(api->key), api, "%s", api->name);
        cr_assert(i == 0 || api->key > kafka_apis[i - 1].key);
        cr_assert_eq(api->request->key, api->key);
        cr_assert_eq(api->response->key, api->key);
        cr_assert_eq(api->response->valid.last, api->max_version);
    }
    cr_assert_null(kafka_api(4));
    cr_assert_null(kafka_api(-1));
    cr_assert_null(kafka_api(93));
    cr_assert_null(kafka_api(INT16_MAX));
}

Test(api, header_versions)
{
    const struct kafka_api *versions = kafka_api(KAFKA_API_API_VERSIONS);
    cr_assert_eq(kafka_request_header_version(versions, 2), 1);
    cr_assert_eq(kafka_request_header_version(versions, 99), 2);
    cr_assert_eq(kafka_response_header_version(versions, 4), 0);
    const struct kafka_api *produce = kafka_api(KAFKA_API_PRODUCE);
    cr_assert_eq(kafka_response_header_version(produce, 8), 0);
    cr_assert_eq(kafka_response_header_version(produce, 9), 1);
    cr_assert_eq(kafka_request_header_version(kafka_api(KAFKA_API_SASL_HANDSHAKE), 1), 1);
    cr_assert_eq(kafka_api_stable_version(kafka_api(KAFKA_API_INIT_PRODUCER_ID)), 5);
}

Test(errors, codes_names_and_retriability)
{
    cr_assert_eq(KAFKA_ERR_SHARE_SESSION_LIMIT_REACHED, 133);
    cr_assert_str_eq(kafka_error_name(KAFKA_ERR_UNKNOWN_SERVER_ERROR), "UNKNOWN_SERVER_ERROR");
    cr_assert_str_eq(kafka_error_name(16), "NOT_COORDINATOR");
    cr_assert(kafka_error_retriable(KAFKA_ERR_NOT_COORDINATOR));
    cr_assert_not(kafka_error_retriable(KAFKA_ERR_UNKNOWN_MEMBER_ID));
    for (int16_t code = -1; code <= 133; code++)
        cr_assert_str_neq(kafka_error_name(code), "UNKNOWN", "%d", code);
    cr_assert_str_eq(kafka_error_name(134), "UNKNOWN");
    cr_assert_str_eq(kafka_error_name(-2), "UNKNOWN");
}
