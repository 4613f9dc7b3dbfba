// SPDX-License-Identifier: Apache-2.0
// See share_start.h.
#include "share_start.h"

#include "base/assert.h"
#include "base/mem.h"
#include "frame.h"
#include "kafka/messages/read_share_group_state.h"
#include "partitions.h"
#include "share_groups.h"

#include <stdlib.h>
#include <string.h>

typedef struct kafka_read_share_group_state_response read_response;
typedef struct kafka_read_share_group_state_response_partition_result result_t;

enum { READ_VERSION = 0, ARENA_MAX = 32 << 20, UNSET = -1 };

// A search of the log by time cannot be called off; it finds out that nobody waits for it.
struct share_seek {
    struct share_served *served; // NULL: it has ended meanwhile
};

// ---- where a group begins ----

// How many ms ago "P1DT2H3M4.5S" is (ISO 8601, as Java's Duration); 0: it is none.
static int64_t duration_ms(const char *text)
{
    static const struct {
        char unit;
        int64_t ms;
    } date[] = {{'D', 86400000}}, time[] = {{'H', 3600000}, {'M', 60000}, {'S', 1000}};
    double sum = 0;
    bool timed = false;
    for (text += *text == 'P'; *text != '\0';) {
        if (*text == 'T') {
            timed = true;
            text++;
            continue;
        }
        char *end;
        double value = strtod(text, &end);
        int64_t unit = 0;
        for (size_t i = 0; timed && i < sizeof time / sizeof *time; i++)
            unit = *end == time[i].unit ? time[i].ms : unit;
        unit = !timed && *end == date[0].unit ? date[0].ms : unit;
        if (end == text || unit == 0)
            return 0;
        sum += value * (double)unit;
        text = end + 1;
    }
    return sum > 0 && sum < 9e15 ? (int64_t)sum : 0;
}

static void on_found(struct log *log, enum status status, const struct log_time_answer *found, void *context)
{
    struct share_seek *seek = context;
    struct share_served *served = seek->served;
    mem_free(seek);
    if (served == NULL)
        return;
    served->seek = NULL;
    struct replica *replica = share_groups_replica(served);
    if (status != ST_OK || replica == NULL) {
        share_groups_drop(served, status == ST_OK ? ST_NOT_LEADER : ST_LOADING);
        return;
    }
    share_served_begin(served, found->offset >= 0 ? found->offset : replica->state.high_watermark);
}

static void seek_time(struct share_served *served, struct replica *replica, int64_t ago_ms)
{
    int64_t since_ms = env_wall_ms(share_groups_env(served->groups)) - ago_ms;
    served->seek = mem_calloc(1, sizeof *served->seek);
    served->seek->served = served;
    served->state = SHARE_SEEKING;
    log_find_by_timestamp(replica->log, since_ms, replica->state.high_watermark, on_found, served->seek);
}

void share_start_cancel(struct share_served *served)
{
    if (served->seek != NULL)
        served->seek->served = NULL;
    served->seek = NULL;
}

static void start_unset(struct share_served *served, struct replica *replica)
{
    const char *reset = share_groups_setting(served->groups, served->group, "share.auto.offset.reset");
    const char by_duration[] = "by_duration:";
    if (strcmp(reset, "earliest") == 0)
        share_served_begin(served, log_start(replica->log));
    else if (strncmp(reset, by_duration, strlen(by_duration)) == 0)
        seek_time(served, replica, duration_ms(reset + strlen(by_duration)));
    else
        share_served_begin(served, replica->state.high_watermark);
}

// ---- what is kept ----

static enum status restore(struct share_served *served, const result_t *result)
{
    size_t count = (size_t)result->state_batches_count;
    struct share_batch *batches = mem_calloc(count + 1, sizeof *batches);
    for (size_t i = 0; i < count; i++) {
        batches[i].first = result->state_batches[i].first_offset;
        batches[i].last = result->state_batches[i].last_offset;
        batches[i].fate.state = (enum share_state)result->state_batches[i].delivery_state;
        batches[i].fate.deliveries = result->state_batches[i].delivery_count;
    }
#ifndef PLANTED_SHARE_BEGINS_ANEW
    share_served_init(served, result->start_offset);
#else
    share_served_init(served, 0);
#endif
    served->state = SHARE_STARTING; // it has a partition
    enum status status = share_partition_restore(&served->partition, batches, count);
    mem_free(batches);
    return status;
}

static void take(struct share_served *served, const result_t *result)
{
    struct replica *replica = share_groups_replica(served);
    served->state_epoch = result->state_epoch;
    if (replica == NULL)
        share_groups_drop(served, ST_NOT_LEADER);
    else if (result->start_offset == UNSET)
        start_unset(served, replica);
    else if (restore(served, result) != ST_OK)
        share_groups_drop(served, ST_CORRUPT);
    else
        share_served_ready(served);
}

// A group that is not initialised for the partition is not known there.
static enum status status_of(int16_t error)
{
    if (error == KAFKA_ERR_INVALID_REQUEST)
        return ST_NOT_FOUND;
    return error == KAFKA_ERR_FENCED_LEADER_EPOCH ? ST_NOT_LEADER : ST_LOADING;
}

static void on_read(void *context, enum status status, struct block *response)
{
    struct share_served *served = context;
    struct arena arena;
    read_response answer;
    served->relay = NULL;
    arena_init(&arena, ARENA_MAX);
    if (status == ST_OK)
        status = frame_decode(kafka_api(KAFKA_API_READ_SHARE_GROUP_STATE), READ_VERSION, response, &arena,
                              &answer);
    else
        status = ST_LOADING;
    bool whole = status == ST_OK && answer.results_count == 1 && answer.results[0].partitions_count == 1;
    if (!whole)
        share_groups_drop(served, status == ST_OK ? ST_MALFORMED : status);
    else if (answer.results[0].partitions[0].error_code != KAFKA_ERR_NONE)
        share_groups_drop(served, status_of(answer.results[0].partitions[0].error_code));
    else
        take(served, &answer.results[0].partitions[0]);
    arena_fini(&arena);
}

void share_start_read(struct share_served *served)
{
    struct kafka_read_share_group_state_request_partition_data partition = {
        .partition = served->index, .leader_epoch = served->leader_epoch};
    struct kafka_read_share_group_state_request_read_state_data topic = {
        .topic_id = served->topic, .partitions = &partition, .partitions_count = 1};
    struct kafka_read_share_group_state_request request = {
        .group_id = slice_str(served->group), .topics = &topic, .topics_count = 1};
    struct block *frame =
        frame_encode(kafka_api(KAFKA_API_READ_SHARE_GROUP_STATE), READ_VERSION, NULL, &request);
    ASSERT(frame != NULL); // a group id is at most 32 KiB
    served->relay = share_groups_ask(served, frame, on_read);
    block_unref(&frame);
}
