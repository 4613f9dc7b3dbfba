// SPDX-License-Identifier: Apache-2.0
// PushTelemetry (API 72, KIP-714): a client's metrics, compressed as it likes. They are unpacked on the pool,
// to telemetry.max.bytes at most, and read on the loop.
#include "answer_handlers.h"

#include "base/mem.h"
#include "kafka/compress.h"
#include "kafka/messages/push_telemetry.h"
#include "storage.h"
#include "telemetry.h"

enum { RATIO_MAX = 512 };

// On the pool; the request is NULL once its client is gone.
struct push {
    struct job job;
    struct env *env;
    struct storage_request *request;
    struct block *block; // where packed lies
    struct slice packed;
    enum compression codec;
    struct buf unpacked;
    enum status status;
};

static void answer(struct storage_request *request, int16_t error)
{
    struct kafka_push_telemetry_response response;
    kafka_defaults(&kafka_push_telemetry_response_message, &response);
    response.error_code = error;
    storage_answer(request, &response);
}

static void take(struct storage_request *request, struct slice unpacked)
{
    const struct kafka_push_telemetry_request *asked = request->body;
    struct telemetry_client client = telemetry_client_of(request, asked->client_instance_id);
    answer(request, telemetry_take(storage_telemetry(request->storage), &client, unpacked));
}

static void push_run(struct job *job)
{
    struct push *push = (struct push *)job;
    struct compress_limits limits = {
        .bytes_max = push->unpacked.max, .free_bytes = push->unpacked.max, .ratio_max = RATIO_MAX};
    push->status = compress_unpack(push->codec, push->packed, &limits, &push->unpacked);
}

static void push_done(struct job *job)
{
    struct push *push = (struct push *)job;
    struct storage_request *request = push->request;
    if (request != NULL && push->status == ST_OK) {
        take(request, buf_slice(&push->unpacked));
    } else if (request != NULL) {
        const struct kafka_push_telemetry_request *asked = request->body;
        telemetry_failed(storage_telemetry(request->storage), asked->client_instance_id);
        answer(request, KAFKA_ERR_INVALID_RECORD);
    }
    buf_fini(&push->unpacked);
    block_unref(&push->block);
    mem_free(push);
}

static void push_cancelled(struct storage_request *request)
{
    struct push *push = request->held;
    push->request = NULL;
    storage_answer_none(request);
}

static void unpack(struct storage_request *request, size_t bytes_max)
{
    const struct kafka_push_telemetry_request *asked = request->body;
    struct push *push = mem_calloc(1, sizeof *push);
    *push = (struct push){.job = {.run = push_run, .done = push_done},
                          .env = storage_env(request->storage),
                          .request = request,
                          .block = block_ref(request->conn->block),
                          .packed = asked->metrics,
                          .codec = (enum compression)asked->compression_type};
    buf_init(&push->unpacked, bytes_max);
    request->held = push;
    request->on_cancelled = push_cancelled;
    env_submit(push->env, push->env->pool, &push->job);
}

void handle_push_telemetry(struct storage_request *request)
{
    const struct kafka_push_telemetry_request *asked = request->body;
    struct telemetry_client client = telemetry_client_of(request, asked->client_instance_id);
    size_t bytes_max = (size_t)config_int(storage_config(request->storage), "telemetry.max.bytes");
    struct telemetry_push push = {.subscription_id = asked->subscription_id,
                                  .compression = asked->compression_type,
                                  .terminating = asked->terminating,
                                  .bytes = asked->metrics.len,
                                  .bytes_max = bytes_max};
    int16_t error = telemetry_admit(storage_telemetry(request->storage), &client, &push);
    if (error != 0 || asked->metrics.len == 0)
        answer(request, error);
    else if (asked->compression_type == COMPRESSION_NONE)
        take(request, asked->metrics);
    else
        unpack(request, bytes_max);
}
