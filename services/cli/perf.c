// SPDX-License-Identifier: Apache-2.0
// See perf.h. Leaders are looked up once: if one changes during a run, its figures mean nothing, and it
// fails.
#include "perf.h"

#include "base/assert.h"
#include "base/mem.h"
#include "io/env_posix.h"
#include "kafka/errors.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { LANES_MAX = 1000, OPEN_MAX = 900, CONNECT_MS = 5000, TURN_US = 100000 };

void perf_fail(struct perf *perf, const char *format, ...)
{
    va_list args;
    if (perf->error[0] != '\0')
        return;
    va_start(args, format);
    vsnprintf(perf->error, sizeof perf->error, format, args);
    va_end(args);
}

int64_t perf_due_us(const struct perf *perf, int64_t i)
{
    return perf->began_us + i * perf->options->batch * 1000000 / perf->options->rate;
}

static enum cli_exit connect_to(struct perf *perf, const struct kafka_metadata_response *metadata,
                                int32_t node, struct conn_client **client)
{
    struct conn_client_config config = conn_client_config_default();
    config.client_id = "millrace-perf";
    config.connect_timeout_ms = CONNECT_MS;
    for (int32_t b = 0; b < metadata->brokers_count; b++) {
        char host[256];
        if (metadata->brokers[b].node_id != node)
            continue;
        snprintf(host, sizeof host, "%.*s", (int)metadata->brokers[b].host.len,
                 (const char *)metadata->brokers[b].host.data);
        enum status status =
            conn_client_connect_wait(perf->env, &config, host, metadata->brokers[b].port, client);
        if (status != ST_OK)
            return cli_fail(CLI_ABSENT, "node %d does not answer: %s", node, status_text(status));
        perf->clients[perf->client_count++] = *client;
        return CLI_DONE;
    }
    return cli_fail(CLI_FAILED, "a partition has no leader now");
}

// The writer that another lane of the node has already; NULL: none.
static struct conn_client *writer_of(const struct perf *perf, const int32_t *leaders, int before)
{
    for (int i = 0; i < before; i++)
        if (leaders[i] == leaders[before])
            return perf->lanes[i].writer;
    return NULL;
}

static enum cli_exit lanes_connect(struct perf *perf, const struct kafka_metadata_response *metadata)
{
    int count = metadata->topics[0].partitions_count;
    int32_t *leaders = mem_calloc((size_t)count, sizeof *leaders);
    enum cli_exit code = CLI_DONE;
    for (int i = 0; code == CLI_DONE && i < count; i++) {
        struct perf_lane *lane = &perf->lanes[i];
        leaders[i] = metadata->topics[0].partitions[i].leader_id;
        *lane = (struct perf_lane){
            .perf = perf, .partition = metadata->topics[0].partitions[i].partition_index, .index = i};
        perf->lane_count++;
        lane->writer = perf->writing ? writer_of(perf, leaders, i) : NULL;
        if (perf->writing && lane->writer == NULL)
            code = connect_to(perf, metadata, leaders[i], &lane->writer);
        if (code == CLI_DONE && perf->reading)
            code = connect_to(perf, metadata, leaders[i], &lane->reader);
    }
    mem_free(leaders);
    return code;
}

// Where reading begins and stops: in what is there, or behind its end.
static enum cli_exit lanes_place(struct perf *perf, struct admin *admin, const char *topic)
{
    struct offset_list list;
    enum cli_exit code = offsets_of_topic(admin, topic, &list);
    for (int pass = 0; code == CLI_DONE && pass < 2; pass++) {
        code = offsets_find(admin, &list, pass == 0 ? OFFSETS_EARLIEST : OFFSETS_LATEST);
        for (int i = 0; i < list.count; i++)
            for (int k = 0; k < perf->lane_count; k++) {
                if (perf->lanes[k].partition != list.items[i].partition)
                    continue;
                *(pass == 0 ? &perf->lanes[k].from : &perf->lanes[k].end) = list.items[i].found;
            }
    }
    for (int k = 0; k < perf->lane_count; k++) {
        if (perf->writing)
            perf->lanes[k].from = perf->lanes[k].end;
        perf->lanes[k].next = perf->lanes[k].from;
    }
    return code;
}

enum cli_exit perf_open(struct perf *perf, struct admin *admin, const char *topic)
{
    const struct kafka_metadata_response *metadata;
    perf->topic = slice_str(topic);
    enum status status = env_posix_new("millrace", 1, &perf->env);
    if (status != ST_OK)
        return cli_fail(CLI_FAILED, "cannot start: %s", status_text(status));
    perf->env->diag.level = DIAG_ERROR;
    timer_init(&perf->due, perf_write_due, perf);
    enum cli_exit code = admin_metadata(admin, &perf->topic, 1, &metadata);
    if (code != CLI_DONE)
        return code;
    int16_t error = metadata->topics_count == 1 ? metadata->topics[0].error_code : -1;
    if (error != 0)
        return admin_refused("topic", perf->topic, error, slice_of(NULL, 0));
    if (metadata->topics[0].partitions_count > LANES_MAX)
        return cli_fail(CLI_USAGE, "more than %d partitions", LANES_MAX);
    if (perf->writing && metadata->topics[0].partitions_count * perf->options->in_flight > OPEN_MAX)
        return cli_fail(CLI_USAGE, "--in-flight: more than %d requests under way over all partitions",
                        OPEN_MAX);
    size_t count = (size_t)metadata->topics[0].partitions_count;
    perf->lanes = mem_calloc(count, sizeof *perf->lanes);
    perf->clients = mem_calloc(2 * count, sizeof(struct conn_client *));
    code = lanes_connect(perf, metadata);
    return code == CLI_DONE ? lanes_place(perf, admin, topic) : code;
}

void perf_close(struct perf *perf)
{
    if (perf->env == NULL)
        return;
    timer_stop(perf->env, &perf->due);
    perf_fail(perf, "ended"); // what is still open is no news any more
    for (int i = 0; i < perf->client_count; i++)
        conn_client_destroy(&perf->clients[i]);
    mem_free(perf->clients);
    mem_free(perf->lanes);
    buf_fini(&perf->batch);
    env_posix_destroy(&perf->env);
}

enum cli_exit perf_run(struct perf *perf, bool (*done)(const struct perf *perf))
{
    int64_t moved = -1, moved_us = env_now_us(perf->env);
    while (!done(perf) && perf->error[0] == '\0') {
        int64_t now_us = env_now_us(perf->env), total = perf->acked + perf->read + perf->sent;
        if (total != moved)
            moved_us = now_us;
        moved = total;
        if (now_us - moved_us > perf->options->admin.timeout_s * 1000000)
            return cli_fail(CLI_TIMEOUT, "nothing has moved for %lld s",
                            (long long)perf->options->admin.timeout_s);
        env_posix_turn(perf->env, TURN_US);
    }
    perf->ended_us = env_now_us(perf->env);
    return perf->error[0] == '\0' ? CLI_DONE : cli_fail(CLI_FAILED, "%s", perf->error);
}
