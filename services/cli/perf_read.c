// SPDX-License-Identifier: Apache-2.0
// The reading half of `millrace perf`: a connection and a Fetch under way per partition. Alone it reads what
// was there at the start; behind the writing half it tells how long each batch was on its way, from the
// moment it was due.
#include "kafka/batch.h"
#include "kafka/errors.h"
#include "kafka/messages/fetch.h"
#include "perf.h"

enum { VERSION_MAX = 12, WAIT_MS = 500, CALL_MS = 30000 }; // topics by name

static void fetch(struct perf_lane *lane);

// A batch of the writing half, told by its place.
static void note_way(struct perf_lane *lane, const struct batch_header *header)
{
    struct perf *perf = lane->perf;
    int64_t batch = perf->options->batch, number = (header->base_offset - lane->from) / batch;
    if ((header->base_offset - lane->from) % batch != 0 || header->count != batch)
        perf_fail(perf, "somebody else writes to partition %d", lane->partition);
    else
        hist_add(&perf->reads_us,
                 env_now_us(perf->env) - perf_due_us(perf, number * perf->lane_count + lane->index));
}

static void take_batches(struct perf_lane *lane, struct slice bytes)
{
    struct perf *perf = lane->perf;
    struct batch_header header;
    while (batch_parse(bytes, &header) == ST_OK && batch_size(&header) <= bytes.len) {
        if (perf->writing)
            note_way(lane, &header);
        perf->read += header.count;
        perf->bytes += perf->writing ? 0 : (int64_t)batch_size(&header);
        lane->next = batch_last_offset(&header) + 1;
        bytes = slice_of(bytes.data + batch_size(&header), bytes.len - batch_size(&header));
    }
}

static void on_answer(enum status status, const struct conn_answer *answer, void *context)
{
    struct perf_lane *lane = context;
    struct perf *perf = lane->perf;
    const struct kafka_fetch_response *body = status == ST_OK ? answer->body : NULL;
    bool whole = body != NULL && body->responses_count == 1 && body->responses[0].partitions_count == 1;
    int16_t error = whole ? body->responses[0].partitions[0].error_code : body != NULL ? body->error_code : 0;
    if (error != 0)
        perf_fail(perf, "partition %d: %s (%s)", lane->partition, kafka_error_text(error),
                  kafka_error_name(error));
    else if (!whole)
        perf_fail(perf, "partition %d: %s", lane->partition,
                  status_text(status == ST_OK ? ST_MALFORMED : status));
    if (perf->error[0] != '\0')
        return;
    if (!perf->writing)
        hist_add(&perf->reads_us, answer->elapsed_us);
    take_batches(lane, body->responses[0].partitions[0].records.bytes);
    fetch(lane);
}

static void fetch(struct perf_lane *lane)
{
    struct perf *perf = lane->perf;
    struct kafka_fetch_request request;
    struct kafka_fetch_request_fetch_topic topic;
    struct kafka_fetch_request_fetch_partition partition;
    bool enough = perf->options->records > 0 && perf->read >= perf->options->records;
    if (!perf->writing && (lane->next >= lane->end || enough))
        return;
    kafka_defaults(&kafka_fetch_request_message, &request);
    kafka_structure_defaults(&kafka_fetch_request_fetch_topic_type, &topic);
    kafka_structure_defaults(&kafka_fetch_request_fetch_partition_type, &partition);
    partition.partition = lane->partition;
    partition.fetch_offset = lane->next;
    partition.partition_max_bytes = (int32_t)perf->options->fetch_bytes;
    topic.topic = perf->topic;
    topic.partitions = &partition;
    topic.partitions_count = request.topics_count = 1;
    request.topics = &topic;
    request.replica_id = -1;
    request.max_wait_ms = WAIT_MS;
    request.min_bytes = 1;
    request.max_bytes = (int32_t)perf->options->fetch_bytes;
    int16_t version = conn_client_version(lane->reader, KAFKA_API_FETCH, VERSION_MAX);
    enum status status =
        conn_client_call(lane->reader, KAFKA_API_FETCH, version, &request, CALL_MS, on_answer, lane);
    if (status != ST_OK)
        perf_fail(perf, "partition %d: %s", lane->partition, status_text(status));
}

void perf_read_begin(struct perf *perf)
{
    if (!perf->writing)
        perf->began_us = env_now_us(perf->env);
    for (int i = 0; i < perf->lane_count; i++)
        fetch(&perf->lanes[i]);
}

bool perf_read_all(const struct perf *perf)
{
    if (perf->writing)
        return perf_written(perf) && perf->read == perf->batches * perf->options->batch;
    if (perf->options->records > 0 && perf->read >= perf->options->records)
        return true;
    for (int i = 0; i < perf->lane_count; i++)
        if (perf->lanes[i].next < perf->lanes[i].end)
            return false;
    return true;
}
