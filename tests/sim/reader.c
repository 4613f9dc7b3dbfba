// SPDX-License-Identifier: Apache-2.0
// See reader.h.
#include "reader.h"

#include "kafka/api.h"
#include "kafka/batch.h"
#include "kafka/codec.h"
#include "kafka/errors.h"
#include "kafka/messages/fetch.h"

#include <stdio.h>

enum { TOPIC_NAMES_VERSION = 12, READ_MAX = 16 << 10, PAUSE_MS_MAX = 60, RETRY_MS = 50, FAILURES_MAX = 4 };

static struct reader *of(struct actor *actor)
{
    return (struct reader *)actor;
}

// The next partition of this node, or the next node's first one.
static void move_on(struct reader *reader)
{
    reader->offset = 0;
    reader->failures = 0;
    if (++reader->partition < HISTORY_PARTITIONS)
        return;
    reader->partition = 0;
    reader->node = (reader->node + 1) % reader->actor.port_count;
}

static void failed(struct reader *reader)
{
    if (++reader->failures >= FAILURES_MAX)
        move_on(reader);
    actor_again(&reader->actor, RETRY_MS);
}

static void wrong(struct reader *reader, const char *what, int64_t offset)
{
    history_violation(reader->actor.history, "no-wrong-byte-read", "t-%d from node %d: %s at offset %lld",
                      reader->partition, reader->node + 1, what, (long long)offset);
}

static void records_take(struct reader *reader, struct slice batch, const struct batch_header *header)
{
    struct batch_reader records;
    struct record record;
    batch_reader_init(&records, batch, header, &compress_limits_default, NULL);
    while (batch_next(&records, &record) == ST_OK) {
        int producer;
        long long number;
        char text[64];
        snprintf(text, sizeof text, "%.*s", (int)record.value.len, (const char *)record.value.data);
        if (sscanf(text, "p%d-%lld", &producer, &number) != 2)
            wrong(reader, "a record nobody sent", record.offset);
        else
            history_read(reader->actor.history, reader->partition, record.offset, producer, number);
    }
}

// Offsets are dense: no batch is missing between two, nor before the first.
static void batches_take(struct reader *reader, struct slice bytes)
{
    struct batch_header header;
    bool first = true;
    while (bytes.len > 0) {
        bool whole = batch_parse(bytes, &header) == ST_OK && batch_size(&header) <= bytes.len;
        if (!whole || !batch_crc_ok(slice_of(bytes.data, batch_size(&header)), &header)) {
            wrong(reader, "a damaged batch", reader->offset);
            return;
        }
        if (first ? header.base_offset > reader->offset || batch_last_offset(&header) < reader->offset
                  : header.base_offset != reader->offset) {
            wrong(reader, "another batch than asked for", reader->offset);
            return;
        }
        records_take(reader, slice_of(bytes.data, batch_size(&header)), &header);
        reader->offset = batch_last_offset(&header) + 1;
        bytes = slice_of(bytes.data + batch_size(&header), bytes.len - batch_size(&header));
        first = false;
        world_count(reader->actor.history->world, COUNT_batches_read);
    }
}

static void on_fetched(struct actor *actor, const struct conn_answer *answer)
{
    struct reader *reader = of(actor);
    const struct kafka_fetch_response *reply = answer ? answer->body : NULL;
    if (reply == NULL || reply->responses_count != 1 || reply->responses[0].partitions_count != 1 ||
        reply->responses[0].partitions[0].error_code != KAFKA_ERR_NONE) {
        failed(reader);
        return;
    }
    const struct kafka_records *records = &reply->responses[0].partitions[0].records;
    reader->failures = 0;
    if (records->bytes.len == 0)
        move_on(reader);
    else
        batches_take(reader, records->bytes);
    actor_again(actor, (int64_t)prng_below(&actor->prng, PAUSE_MS_MAX));
}

static void fetch(struct reader *reader)
{
    struct kafka_fetch_request_fetch_partition partition;
    struct kafka_fetch_request_fetch_topic topic;
    struct kafka_fetch_request request;
    kafka_structure_defaults(&kafka_fetch_request_fetch_partition_type, &partition);
    kafka_structure_defaults(&kafka_fetch_request_fetch_topic_type, &topic);
    kafka_defaults(&kafka_fetch_request_message, &request);
    partition.partition = reader->partition;
    partition.fetch_offset = reader->offset;
    partition.partition_max_bytes = READ_MAX;
    topic.topic = slice_str("t");
    topic.partitions = &partition;
    topic.partitions_count = 1;
    request.max_bytes = READ_MAX;
    request.topics = &topic;
    request.topics_count = 1;
    request.session_epoch = -1; // no session
    actor_call(&reader->actor, KAFKA_API_FETCH, TOPIC_NAMES_VERSION, &request, on_fetched);
}

static void reader_step(struct actor *actor)
{
    struct reader *reader = of(actor);
    if (actor->busy)
        return;
    if (actor_link(actor, actor->ports[reader->node]))
        fetch(reader);
    else
        reader->failures++;
    if (reader->failures > FAILURES_MAX)
        move_on(reader);
}

void reader_init(struct reader *reader, struct env *env, struct history *history)
{
    *reader = (struct reader){0};
    actor_init(&reader->actor, env, history, reader_step);
}
