// SPDX-License-Identifier: Apache-2.0
// The writing half of `millrace perf`: one batch, made once, goes to the partitions in turn, several requests
// under way in each. At a fixed rate a batch is due at its moment whether or not the one before was
// acknowledged, and its time counts from then: who is late waits in the figures (no coordinated omission).
#include "base/assert.h"
#include "base/bytes.h"
#include "base/mem.h"
#include "kafka/batch.h"
#include "kafka/errors.h"
#include "kafka/messages/produce.h"
#include "perf.h"

#include <string.h>

enum {
    VERSION_MAX = 12, // topics by name
    BASE_TIMESTAMP_AT = 27,
    BATCH_BYTES_MAX = 64 << 20,
    CALL_MS = 30000
};

struct writing { // a request under way
    struct perf_lane *lane;
    int64_t number; // of the lane's batches
    int64_t due_us;
};

static void pump(struct perf *perf);

// ---- the batch ----

// What does not compress, the same in every run.
static void fill(uint8_t *bytes, size_t len)
{
    uint32_t state = 1;
    for (size_t i = 0; i < len; i++) {
        state = state * 1664525 + 1013904223;
        bytes[i] = (uint8_t)(state >> 24);
    }
}

static enum cli_exit batch_make(struct perf *perf)
{
    const struct perf_options *options = perf->options;
    size_t count = (size_t)options->batch, size = (size_t)options->size;
    struct batch_record *records = mem_calloc(count, sizeof *records);
    uint8_t *values = mem_calloc(count, size + 1);
    fill(values, count * size);
    for (size_t i = 0; i < count; i++)
        records[i].value = slice_of(values + i * size, size);
    struct batch_spec spec = batch_spec_plain();
    spec.compression = perf->codec;
    buf_init(&perf->batch, BATCH_BYTES_MAX);
    enum status status = batch_build(&spec, records, (int)count, &perf->batch);
    mem_free(records);
    mem_free(values);
    return status == ST_OK ? CLI_DONE : cli_fail(CLI_FAILED, "no such batch: %s", status_text(status));
}

static void batch_date(struct perf *perf)
{
    int64_t now_ms = env_wall_ms(perf->env);
    store_be64(perf->batch.data + BASE_TIMESTAMP_AT, (uint64_t)now_ms);
    batch_set_max_timestamp(perf->batch.data, perf->batch.len, false, now_ms);
}

// ---- requests ----

// Reading tells batches by their offsets: nobody else may write to the topic meanwhile.
static void check_place(const struct writing *writing, int64_t base_offset)
{
    struct perf *perf = writing->lane->perf;
    if (perf->reading && base_offset != writing->lane->from + writing->number * perf->options->batch)
        perf_fail(perf, "somebody else writes to partition %d", writing->lane->partition);
}

static void on_answer(enum status status, const struct conn_answer *answer, void *context)
{
    struct writing *writing = context;
    struct perf_lane *lane = writing->lane;
    struct perf *perf = lane->perf;
    const struct kafka_produce_response *body = status == ST_OK ? answer->body : NULL;
    bool whole =
        body != NULL && body->responses_count == 1 && body->responses[0].partition_responses_count == 1;
    int16_t error = whole ? body->responses[0].partition_responses[0].error_code : 0;
    lane->open--;
    if (!whole)
        perf_fail(perf, "partition %d: %s", lane->partition,
                  status_text(status == ST_OK ? ST_MALFORMED : status));
    else if (error != 0)
        perf_fail(perf, "partition %d: %s (%s)", lane->partition, kafka_error_text(error),
                  kafka_error_name(error));
    if (perf->error[0] == '\0') {
        check_place(writing, body->responses[0].partition_responses[0].base_offset);
        hist_add(&perf->acks_us, env_now_us(perf->env) - writing->due_us);
        lane->written++;
        perf->acked++;
        pump(perf);
    }
    mem_free(writing);
}

static void send(struct perf_lane *lane, int64_t due_us)
{
    struct perf *perf = lane->perf;
    struct kafka_produce_request request;
    struct kafka_produce_request_topic_produce_data topic;
    struct kafka_produce_request_partition_produce_data data;
    struct writing *writing = mem_calloc(1, sizeof *writing);
    *writing = (struct writing){.lane = lane, .number = lane->written + lane->open, .due_us = due_us};
    batch_date(perf);
    kafka_defaults(&kafka_produce_request_message, &request);
    kafka_structure_defaults(&kafka_produce_request_topic_produce_data_type, &topic);
    kafka_structure_defaults(&kafka_produce_request_partition_produce_data_type, &data);
    data.index = lane->partition;
    data.records.bytes = buf_slice(&perf->batch);
    topic.name = perf->topic;
    topic.partition_data = &data;
    topic.partition_data_count = request.topic_data_count = 1;
    request.topic_data = &topic;
    request.acks = perf->acks;
    request.timeout_ms = CALL_MS;
    bool answered = perf->acks != 0;
    int16_t version = conn_client_version(lane->writer, KAFKA_API_PRODUCE, VERSION_MAX);
    enum status status = conn_client_call(lane->writer, KAFKA_API_PRODUCE, version, &request, CALL_MS,
                                          answered ? on_answer : NULL, writing);
    perf->sent++;
    perf->bytes += (int64_t)perf->batch.len;
    lane->open += answered;
    if (status == ST_OK && answered)
        return;
    if (status != ST_OK)
        perf_fail(perf, "partition %d: %s", lane->partition, status_text(status));
    mem_free(writing);
    perf->acked++; // as far as anybody will ever know
    lane->written++;
}

// ---- whose turn it is ----

static bool has_room(const struct perf_lane *lane)
{
    return lane->open < lane->perf->options->in_flight;
}

// The next lane with room, NULL: none. At a rate lanes come strictly in turn, so that a batch's moment
// follows from its place.
static struct perf_lane *next_lane(struct perf *perf)
{
    for (int tried = 0; tried < perf->lane_count; tried++) {
        struct perf_lane *lane = &perf->lanes[(perf->lane_next + tried) % perf->lane_count];
        if (has_room(lane)) {
            perf->lane_next = (lane->index + 1) % perf->lane_count;
            return lane;
        }
        if (perf->options->rate > 0)
            return NULL;
    }
    return NULL;
}

static void pump(struct perf *perf)
{
    bool paced = perf->options->rate > 0;
    while (perf->sent < perf->batches && perf->error[0] == '\0') {
        int64_t now_us = env_now_us(perf->env);
        int64_t due_us = paced ? perf_due_us(perf, perf->sent) : now_us;
        if (due_us > now_us) {
            timer_start_us(perf->env, &perf->due, due_us - now_us);
            return;
        }
        struct perf_lane *lane = next_lane(perf);
        if (lane == NULL)
            return; // an answer goes on
        send(lane, due_us);
    }
}

void perf_write_due(struct timer *timer)
{
    pump(timer->context);
}

enum cli_exit perf_write_begin(struct perf *perf)
{
    enum cli_exit code = batch_make(perf);
    if (code != CLI_DONE)
        return code;
    perf->batches = (perf->options->records + perf->options->batch - 1) / perf->options->batch;
    perf->began_us = env_now_us(perf->env);
    timer_start_us(perf->env, &perf->due, 0);
    return CLI_DONE;
}

bool perf_written(const struct perf *perf)
{
    return perf->acked == perf->batches;
}
