// SPDX-License-Identifier: Apache-2.0
// The raw client for straight-line programs: runs the loop of a real environment until the answer is there.
#include "conn/client.h"

#include "base/assert.h"
#include "io/env_posix.h"
#include "kafka/api.h"
#include "kafka/codec.h"

struct waiting {
    bool done;
    enum status status;
    int16_t version;
    struct block *frame; // of the answer
};

static void on_ready(enum status status, void *context)
{
    struct waiting *waiting = context;
    waiting->done = true;
    waiting->status = status;
}

enum status conn_client_connect_wait(struct env *env, const struct conn_client_config *config,
                                     const char *host, int port, struct conn_client **client)
{
    struct waiting waiting = {0};
    *client = conn_client_new(env, config, host, port, on_ready, &waiting);
    while (!waiting.done)
        env_posix_turn(env, -1);
    if (waiting.status != ST_OK)
        conn_client_destroy(client);
    return waiting.status;
}

static void on_answer(enum status status, const struct conn_answer *answer, void *context)
{
    struct waiting *waiting = context;
    waiting->done = true;
    waiting->status = status;
    if (status == ST_OK) {
        waiting->version = answer->version;
        waiting->frame = block_ref(answer->frame_block);
    }
}

// Decodes once more, into memory that stays.
static enum status keep(const struct waiting *waiting, int16_t api, struct arena *arena, const void **body)
{
    const struct kafka_api *row = kafka_api(api);
    size_t header = kafka_response_header_version(row, waiting->version) == 0 ? 4 : 5;
    size_t len = waiting->frame->len - header;
    uint8_t *bytes = arena_alloc(arena, len);
    void *out = arena_alloc(arena, row->response->structure->size);
    if (bytes == NULL || out == NULL)
        return ST_LIMIT;
    memcpy(bytes, waiting->frame->data + header, len);
    *body = out;
    return kafka_decode(row->response, waiting->version, slice_of(bytes, len), arena, out);
}

enum status conn_client_call_wait(struct conn_client *client, int16_t api, int16_t version,
                                  const void *request, int64_t timeout_ms, struct arena *arena,
                                  const void **body)
{
    struct waiting waiting = {0};
    enum status status = conn_client_call(client, api, version, request, timeout_ms, on_answer, &waiting);
    if (status != ST_OK)
        return status;
    while (!waiting.done)
        env_posix_turn(conn_client_env(client), -1);
    status = waiting.status;
    if (status == ST_OK)
        status = keep(&waiting, api, arena, body);
    block_unref(&waiting.frame);
    return status;
}
