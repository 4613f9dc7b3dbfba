// SPDX-License-Identifier: Apache-2.0
// millrace txn abort: ends an open transaction in one of two ways. By its id: the coordinator fences the
// producer and aborts, as for a successor that begins (InitProducerId); everything stays consistent. By its
// place: an abort marker is written at one partition's leader (WriteTxnMarkers, KIP-664), for a transaction
// of which no coordinator knows any more.
#include "txn_abort.h"

#include "commands.h"
#include "kafka/errors.h"
#include "kafka/messages/describe_producers.h"
#include "kafka/messages/init_producer_id.h"
#include "kafka/messages/write_txn_markers.h"

#include <inttypes.h>
#include <stdio.h>

typedef struct kafka_describe_transactions_response_transaction_state txn_info;
typedef struct kafka_describe_producers_response_partition_response producers_info;
typedef struct kafka_describe_producers_response_producer_state producer_info;

enum { KEY_TRANSACTION = 1 }; // FindCoordinator

enum cli_exit txn_ask(struct admin *admin, const char *id, int32_t *coordinator, const txn_info **txn)
{
    struct slice wanted = slice_str(id);
    for (;;) {
        struct kafka_describe_transactions_request request;
        const struct kafka_describe_transactions_response *response;
        const void *body;
        enum cli_exit code = admin_coordinator_of(admin, KEY_TRANSACTION, id, coordinator);
        if (code != CLI_DONE)
            return code;
        kafka_defaults(&kafka_describe_transactions_request_message, &request);
        request.transactional_ids = &wanted;
        request.transactional_ids_count = 1;
        code = admin_call(admin, *coordinator, KAFKA_API_DESCRIBE_TRANSACTIONS, -1, &request, &body);
        if (code != CLI_DONE)
            return code;
        response = body;
        if (response->transaction_states_count != 1)
            return cli_fail(CLI_FAILED, "the coordinator answered for %d transactional ids",
                            response->transaction_states_count);
        *txn = &response->transaction_states[0];
        if (admin_again(admin, (*txn)->error_code))
            continue;
        if ((*txn)->error_code == KAFKA_ERR_TRANSACTIONAL_ID_NOT_FOUND)
            return cli_fail(CLI_FAILED, "there is no transactional id %s; 'millrace txn list' shows them",
                            id);
        return (*txn)->error_code == 0
                   ? CLI_DONE
                   : admin_refused("transactional id", wanted, (*txn)->error_code, slice_of(NULL, 0));
    }
}

// ---- by id ----

// Asks as a successor does, until the former transaction has ended. The id's own time-out stays.
static enum cli_exit fence(struct admin *admin, const char *id, int32_t timeout_ms)
{
    struct slice wanted = slice_str(id);
    for (;;) {
        struct kafka_init_producer_id_request request;
        const struct kafka_init_producer_id_response *response;
        const void *body;
        int32_t coordinator;
        enum cli_exit code = admin_coordinator_of(admin, KEY_TRANSACTION, id, &coordinator);
        if (code != CLI_DONE)
            return code;
        kafka_defaults(&kafka_init_producer_id_request_message, &request);
        request.transactional_id = wanted;
        request.transaction_timeout_ms = timeout_ms;
        code = admin_call(admin, coordinator, KAFKA_API_INIT_PRODUCER_ID, -1, &request, &body);
        if (code != CLI_DONE)
            return code;
        response = body;
        if (admin_again(admin, response->error_code))
            continue;
        return response->error_code == 0
                   ? CLI_DONE
                   : admin_refused("transactional id", wanted, response->error_code, slice_of(NULL, 0));
    }
}

static enum cli_exit abort_id(struct admin *admin, const char *id, bool json)
{
    const txn_info *txn;
    int32_t coordinator;
    enum cli_exit code = txn_ask(admin, id, &coordinator, &txn);
    if (code != CLI_DONE)
        return code;
    if (!slice_is(txn->transaction_state, "Ongoing"))
        return cli_fail(CLI_FAILED, "%s has no open transaction: its state is %.*s", id,
                        (int)txn->transaction_state.len, (const char *)txn->transaction_state.data);
    code = fence(admin, id, txn->transaction_timeout_ms);
    if (code == CLI_DONE)
        printf(json ? "{\"aborted\":true}\n" : "aborted; the producer that had it open is fenced\n");
    return code;
}

// ---- by place ----

struct place {
    const char *topic;
    int64_t partition, start; // start: offset of the transaction's first record there; -1 each: not given
};

static enum cli_exit find_leader(struct admin *admin, const struct place *place, int32_t *leader)
{
    struct slice topic = slice_str(place->topic);
    const struct kafka_metadata_response *metadata;
    do {
        enum cli_exit code = admin_metadata(admin, &topic, 1, &metadata);
        if (code != CLI_DONE)
            return code;
    } while (metadata->topics_count == 1 && admin_again(admin, metadata->topics[0].error_code));
    if (metadata->topics_count != 1 || metadata->topics[0].error_code != 0)
        return cli_fail(CLI_FAILED, "there is no topic %s", place->topic);
    for (int i = 0; i < metadata->topics[0].partitions_count; i++) {
        *leader = metadata->topics[0].partitions[i].leader_id;
        if (metadata->topics[0].partitions[i].partition_index == place->partition)
            return *leader >= 0 ? CLI_DONE
                                : cli_fail(CLI_FAILED, "partition %" PRId64 " of %s has no leader",
                                           place->partition, place->topic);
    }
    return cli_fail(CLI_FAILED, "topic %s has no partition %" PRId64, place->topic, place->partition);
}

static enum cli_exit ask_producers(struct admin *admin, const struct place *place, int32_t leader,
                                   const producers_info **info)
{
    int32_t partition = (int32_t)place->partition;
    struct kafka_describe_producers_request_topic_request topic = {
        .name = slice_str(place->topic), .partition_indexes = &partition, .partition_indexes_count = 1};
    struct kafka_describe_producers_request request;
    const void *body;
    kafka_defaults(&kafka_describe_producers_request_message, &request);
    request.topics = &topic;
    request.topics_count = 1;
    enum cli_exit code = admin_call(admin, leader, KAFKA_API_DESCRIBE_PRODUCERS, -1, &request, &body);
    if (code != CLI_DONE)
        return code;
    const struct kafka_describe_producers_response *response = body;
    if (response->topics_count != 1 || response->topics[0].partitions_count != 1)
        return cli_fail(CLI_FAILED, "the leader answered for another partition");
    *info = &response->topics[0].partitions[0];
    return (*info)->error_code == 0
               ? CLI_DONE
               : admin_refused("producers of topic", topic.name, (*info)->error_code, (*info)->error_message);
}

static enum cli_exit write_marker(struct admin *admin, const struct place *place, int32_t leader,
                                  const producer_info *producer)
{
    int32_t partition = (int32_t)place->partition;
    struct kafka_write_txn_markers_request_writable_txn_marker_topic topic = {
        .name = slice_str(place->topic), .partition_indexes = &partition, .partition_indexes_count = 1};
    struct kafka_write_txn_markers_request_writable_txn_marker marker = {
        .producer_id = producer->producer_id,
        .producer_epoch = (int16_t)producer->producer_epoch,
        .topics = &topic,
        .topics_count = 1,
        .coordinator_epoch = producer->coordinator_epoch < 0 ? 0 : producer->coordinator_epoch};
    struct kafka_write_txn_markers_request request;
    const void *body;
    kafka_defaults(&kafka_write_txn_markers_request_message, &request);
    request.markers = &marker;
    request.markers_count = 1;
    enum cli_exit code = admin_call(admin, leader, KAFKA_API_WRITE_TXN_MARKERS, -1, &request, &body);
    if (code != CLI_DONE)
        return code;
    const struct kafka_write_txn_markers_response *response = body;
    if (response->markers_count != 1 || response->markers[0].topics_count != 1 ||
        response->markers[0].topics[0].partitions_count != 1)
        return cli_fail(CLI_FAILED, "the leader answered for another partition");
    int16_t error = response->markers[0].topics[0].partitions[0].error_code;
    return error == 0 ? CLI_DONE : admin_refused("marker of topic", topic.name, error, slice_of(NULL, 0));
}

static enum cli_exit abort_place(struct admin *admin, const struct place *place, bool json)
{
    const producers_info *info = NULL;
    int32_t leader = -1;
    enum cli_exit code = find_leader(admin, place, &leader);
    if (code == CLI_DONE)
        code = ask_producers(admin, place, leader, &info);
    if (code != CLI_DONE)
        return code;
    for (int i = 0; i < info->active_producers_count; i++) {
        if (info->active_producers[i].current_txn_start_offset != place->start)
            continue;
        code = write_marker(admin, place, leader, &info->active_producers[i]);
        if (code == CLI_DONE)
            printf(json ? "{\"aborted\":true}\n" : "aborted at this partition\n");
        return code;
    }
    return cli_fail(CLI_FAILED, "no open transaction begins at offset %" PRId64 " there", place->start);
}

// ---- the command ----

struct abort_options {
    struct admin_options admin;
    struct place place;
};

static enum cli_exit abort_check(const struct cli_many *positional, void *context)
{
    const struct place *place = &((const struct abort_options *)context)->place;
    bool placed = place->topic != NULL && place->partition >= 0 && place->start >= 0;
    bool any = place->topic != NULL || place->partition >= 0 || place->start >= 0;
    if (positional->count == 1 ? any : !placed)
        return cli_fail(CLI_USAGE, "either a transactional id, or topic, partition and start offset");
    return CLI_DONE;
}

static enum cli_exit abort_run(struct admin *admin, const struct cli_many *positional, void *context)
{
    const struct abort_options *options = context;
    if (positional->count == 1)
        return abort_id(admin, positional->items[0], options->admin.json);
    return abort_place(admin, &options->place, options->admin.json);
}

enum cli_exit txn_abort(int argc, char **argv)
{
    struct abort_options options = {.place = {.partition = -1, .start = -1}};
    struct place *place = &options.place;
    const struct cli_arg args[] = {
        {"--topic|-t", CLI_TEXT, &place->topic, 0, 0, "TOPIC", "where a transaction hangs that no id has"},
        {"--partition|-p", CLI_INT, &place->partition, 0, INT32_MAX, "N", "the topic's partition"},
        {"--start-offset|-o", CLI_INT, &place->start, 0, INT64_MAX, "OFFSET", "of its first record there"}};
    const struct admin_command command = {
        .line = "txn abort TRANSACTIONAL-ID | -t TOPIC -p N -o OFFSET [options]",
        .help = "Aborts an open transaction and fences its producer; or ends at one partition a transaction\n"
                "that its coordinator does not know any more.",
        .args = args,
        .count = sizeof args / sizeof *args,
        .positional_max = 1,
        .check = abort_check,
        .run = abort_run,
        .options = &options.admin,
        .context = &options};
    return admin_command(&command, argc, argv);
}
