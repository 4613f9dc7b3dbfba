// SPDX-License-Identifier: Apache-2.0
// The raw Kafka client: one stream, a queue of open calls answered in order. ApiVersions is the first call of
// its own; a broker that does not know its version answers in version 0 with error 35 and is asked again so.
// See client.h.
#include "conn/client.h"

#include "base/assert.h"
#include "base/bytes.h"
#include "base/mem.h"
#include "conn/output.h"
#include "kafka/api.h"
#include "kafka/errors.h"
#include "kafka/messages/api_versions.h"

enum {
    CALLS_MAX = 1000,
    REQUEST_MAX = 1 << 30,    // bytes of one encoded request
    ANSWER_ARENA = 256 << 20, // decoded structures of one answer
    SEND_PER_TURN = 8 << 20,
    CALL_TIMEOUT_MS = 30000,
    VERSIONS_VERSION = 3 // of ApiVersions: what all brokers since 2.4 understand
};

struct call {
    struct call *next;
    int16_t api;
    int16_t version;
    int32_t correlation;
    int64_t began_us;
    int64_t deadline_us;
    conn_answer_fn *on_answer;
    void *context;
};

struct range {
    int16_t min, max; // min > max: not offered
};

enum client_state { CLIENT_CONNECTING, CLIENT_ASKING, CLIENT_READY, CLIENT_CLOSED };

struct conn_client {
    struct env *env;
    char *client_id;
    int32_t response_max;
    enum client_state state;
    struct conn_bytes bytes;
    struct conn_output output;
    bool blocked;
    enum status broken; // found while sending; the timer closes
    struct call *first, *last;
    int calls;
    int32_t correlation;
    struct timer timer;
    int64_t connect_deadline_us;
    conn_ready_fn *on_ready;
    void *ready_context;
    uint8_t prefix[4];
    size_t prefix_have;
    struct block *frame;
    size_t frame_have;
    struct range offered[KAFKA_API_KEY_LIMIT];
};

struct conn_client_config conn_client_config_default(void)
{
    return (struct conn_client_config){
        .client_id = "millrace", .connect_timeout_ms = 10000, .response_max = 128 << 20};
}

static void ended(struct conn_client *client, enum status status)
{
    conn_ready_fn *on_ready = client->on_ready;
    client->on_ready = NULL;
    if (on_ready != NULL)
        on_ready(status, client->ready_context);
}

static void client_close(struct conn_client *client, enum status status)
{
    if (client->state == CLIENT_CLOSED)
        return;
    client->state = CLIENT_CLOSED;
    timer_stop(client->env, &client->timer);
    client->bytes.ops->close(&client->bytes);
    conn_output_fini(&client->output);
    block_unref(&client->frame);
    while (client->first != NULL) {
        struct call *call = client->first;
        client->first = call->next;
        client->calls--;
        if (call->on_answer != NULL)
            call->on_answer(status, NULL, call->context);
        mem_free(call);
    }
    client->last = NULL;
    ended(client, status);
}

static void update_timer(struct conn_client *client)
{
    if (client->broken != ST_OK) {
        timer_start_us(client->env, &client->timer, 0);
        return;
    }
    int64_t at = client->state == CLIENT_READY ? INT64_MAX : client->connect_deadline_us;
    for (struct call *call = client->first; call != NULL; call = call->next) {
        if (call->deadline_us < at)
            at = call->deadline_us;
    }
    int64_t now = env_now_us(client->env);
    if (at == INT64_MAX)
        timer_stop(client->env, &client->timer);
    else
        timer_start_us(client->env, &client->timer, at > now ? at - now : 0);
}

static void client_on_timer(struct timer *timer)
{
    struct conn_client *client = timer->context;
    if (client->broken != ST_OK) {
        client_close(client, client->broken);
        return;
    }
    int64_t now = env_now_us(client->env);
    bool late = client->state != CLIENT_READY && now >= client->connect_deadline_us;
    for (struct call *call = client->first; call != NULL; call = call->next)
        late |= now >= call->deadline_us;
    if (late)
        client_close(client, ST_TIMEOUT);
    else
        update_timer(client);
}

static void send_output(struct conn_client *client)
{
    if (client->blocked || client->state == CLIENT_CONNECTING)
        return;
    int64_t sent;
    enum status status = conn_output_flush(&client->output, &client->bytes, SEND_PER_TURN, &sent);
    client->blocked = status == ST_AGAIN;
    if (status != ST_OK && status != ST_AGAIN) {
        client->broken = ST_CLOSED;
        update_timer(client);
    }
    client->bytes.ops->want(&client->bytes, STREAM_READABLE | (client->blocked ? STREAM_WRITABLE : 0));
}

// Header and body of a request behind its length.
static enum status encode(struct conn_client *client, const struct kafka_api *api, int16_t version,
                          const void *body, struct kafka_out *out)
{
    struct kafka_request_header header = {.request_api_key = api->key,
                                          .request_api_version = version,
                                          .correlation_id = client->correlation,
                                          .client_id = slice_str(client->client_id)};
    kafka_out_init(out, REQUEST_MAX);
    enum status status =
        kafka_encode(&kafka_request_header_message, kafka_request_header_version(api, version), &header, out);
    if (status == ST_OK)
        status = kafka_encode(api->request, version, body, out);
    if (status != ST_OK)
        kafka_out_fini(out);
    return status;
}

static enum status start_call(struct conn_client *client, const struct kafka_api *api,
                              const struct call *template, const void *body)
{
    struct kafka_out out;
    client->correlation++;
    enum status status = encode(client, api, template->version, body, &out);
    if (status != ST_OK)
        return status;
    uint8_t prefix[4];
    store_be32(prefix, (uint32_t)kafka_out_len(&out));
    conn_output_add_copy(&client->output, slice_of(prefix, sizeof prefix));
    conn_output_add_out(&client->output, &out);
    kafka_out_fini(&out);
    if (template->on_answer != NULL) {
        struct call *call = mem_calloc(1, sizeof *call);
        *call = *template;
        call->correlation = client->correlation;
        *(client->last != NULL ? &client->last->next : &client->first) = call;
        client->last = call;
        client->calls++;
        if (!timer_running(&client->timer) || call->deadline_us < client->timer.at_us)
            update_timer(client);
    }
    send_output(client);
    return ST_OK;
}

enum status conn_client_call(struct conn_client *client, int16_t api, int16_t version, const void *body,
                             int64_t timeout_ms, conn_answer_fn *on_answer, void *context)
{
    const struct kafka_api *row = kafka_api(api);
    if (client->state != CLIENT_READY || client->broken != ST_OK)
        return ST_CLOSED;
    if (client->calls >= CALLS_MAX)
        return ST_LIMIT;
    if (version < 0)
        version = conn_client_version(client, api, -1);
    if (row == NULL || version < 0 || version < client->offered[api].min ||
        version > client->offered[api].max)
        return ST_UNSUPPORTED;
    int64_t now = env_now_us(client->env);
    struct call call = {.api = api,
                        .version = version,
                        .began_us = now,
                        .deadline_us = now + (timeout_ms > 0 ? timeout_ms : CALL_TIMEOUT_MS) * 1000,
                        .on_answer = on_answer,
                        .context = context};
    return start_call(client, row, &call, body);
}

enum status conn_client_send_raw(struct conn_client *client, struct slice bytes)
{
    if (client->state != CLIENT_READY || client->broken != ST_OK)
        return ST_CLOSED;
    conn_output_add_copy(&client->output, bytes);
    send_output(client);
    return ST_OK;
}

int16_t conn_client_version(const struct conn_client *client, int16_t api, int16_t version_max)
{
    const struct kafka_api *row = kafka_api(api);
    if (client->state != CLIENT_READY || row == NULL)
        return -1;
    int16_t high = row->max_version < client->offered[api].max ? row->max_version : client->offered[api].max;
    int16_t low = row->min_version > client->offered[api].min ? row->min_version : client->offered[api].min;
    if (version_max >= 0 && version_max < high)
        high = version_max;
    return high >= low ? high : -1;
}

bool conn_client_ready(const struct conn_client *client)
{
    return client->state == CLIENT_READY && client->broken == ST_OK;
}

struct env *conn_client_env(const struct conn_client *client)
{
    return client->env;
}

// ---- ApiVersions ----

static void on_api_versions(enum status status, const struct conn_answer *answer, void *context);

static enum status ask_versions(struct conn_client *client, int16_t version)
{
    struct kafka_api_versions_request request = {.client_software_name = slice_str("millrace"),
                                                 .client_software_version = slice_str(MILLRACE_VERSION)};
    struct call call = {.api = KAFKA_API_API_VERSIONS,
                        .version = version,
                        .began_us = env_now_us(client->env),
                        .deadline_us = client->connect_deadline_us,
                        .on_answer = on_api_versions,
                        .context = client};
    return start_call(client, kafka_api(KAFKA_API_API_VERSIONS), &call, &request);
}

static void on_api_versions(enum status status, const struct conn_answer *answer, void *context)
{
    struct conn_client *client = context;
    if (status != ST_OK)
        return;
    const struct kafka_api_versions_response *response = answer->body;
    if (response->error_code == KAFKA_ERR_UNSUPPORTED_VERSION && answer->version > 0) {
        client->broken = ask_versions(client, 0);
        return;
    }
    if (response->error_code != KAFKA_ERR_NONE) {
        client->broken = ST_UNSUPPORTED;
        return;
    }
    for (int32_t i = 0; i < response->api_keys_count; i++) {
        int16_t key = response->api_keys[i].api_key;
        if (key >= 0 && key < KAFKA_API_KEY_LIMIT)
            client->offered[key] =
                (struct range){response->api_keys[i].min_version, response->api_keys[i].max_version};
    }
    client->state = CLIENT_READY;
    ended(client, ST_OK);
}

// ---- answers ----

static enum status decode(const struct call *call, struct slice frame, struct arena *arena, const void **body)
{
    const struct kafka_api *api = kafka_api(call->api);
    size_t header = kafka_response_header_version(api, call->version) == 0 ? 4 : 5;
    int16_t version = call->version;
    if (frame.len < header || (int32_t)load_be32(frame.data) != call->correlation)
        return ST_MALFORMED;
    if (header == 5 && frame.data[4] != 0)
        return ST_MALFORMED; // no broker sends tags in a response header
    if (call->api == KAFKA_API_API_VERSIONS && frame.len >= 6 &&
        load_be16(frame.data + 4) == KAFKA_ERR_UNSUPPORTED_VERSION)
        version = 0;
    void *out = arena_alloc(arena, api->response->structure->size);
    *body = out;
    return kafka_decode(api->response, version, slice_of(frame.data + header, frame.len - header), arena,
                        out);
}

static enum status take_answer(struct conn_client *client)
{
    struct call *call = client->first;
    if (call == NULL)
        return ST_MALFORMED;
    struct arena arena;
    arena_init(&arena, ANSWER_ARENA);
    struct block *block = client->frame;
    client->frame = NULL;
    client->prefix_have = 0;
    struct conn_answer answer = {.api = call->api,
                                 .version = call->version,
                                 .frame = block_slice(block),
                                 .frame_block = block,
                                 .elapsed_us = env_now_us(client->env) - call->began_us};
    enum status status = decode(call, answer.frame, &arena, &answer.body);
    if (status == ST_OK) {
        client->first = call->next;
        if (client->first == NULL)
            client->last = NULL;
        client->calls--;
        call->on_answer(ST_OK, &answer, call->context);
        mem_free(call);
    }
    arena_fini(&arena);
    block_unref(&block);
    return status == ST_OK ? client->broken : ST_MALFORMED;
}

static enum status begin_frame(struct conn_client *client)
{
    int32_t length = (int32_t)load_be32(client->prefix);
    if (length < 4 || length > client->response_max)
        return ST_MALFORMED;
    client->frame = block_new((size_t)length);
    client->frame_have = 0;
    return client->frame != NULL ? ST_OK : ST_NO_MEMORY;
}

// Reads until nothing more is there; ST_AGAIN then, anything else ends the connection.
static enum status receive(struct conn_client *client)
{
    for (;;) {
        size_t got = 0;
        enum status status;
        if (client->frame == NULL) {
            status = client->bytes.ops->recv(&client->bytes, client->prefix + client->prefix_have,
                                             sizeof client->prefix - client->prefix_have, &got);
            client->prefix_have += got;
            if (status == ST_OK && client->prefix_have == sizeof client->prefix)
                status = begin_frame(client);
        } else {
            status = client->bytes.ops->recv(&client->bytes, client->frame->data + client->frame_have,
                                             client->frame->len - client->frame_have, &got);
            client->frame_have += got;
            if (status == ST_OK && client->frame_have == client->frame->len)
                status = take_answer(client);
        }
        if (status != ST_OK)
            return status;
    }
}

static void client_on_event(struct stream *stream, int events, void *context)
{
    struct conn_client *client = context;
    if (client->state == CLIENT_CONNECTING && (events & STREAM_HANGUP)) {
        client_close(client, ST_UNREACHABLE);
        return;
    }
    if (events & STREAM_WRITABLE) {
        client->blocked = false;
        if (client->state == CLIENT_CONNECTING) {
            client->state = CLIENT_ASKING;
            client->broken = ask_versions(client, VERSIONS_VERSION);
        } else {
            send_output(client);
        }
    }
    enum status status = ST_AGAIN;
    if (events & (STREAM_READABLE | STREAM_HANGUP))
        status = receive(client);
    if (status == ST_AGAIN && client->broken == ST_OK)
        update_timer(client);
    else
        client_close(client, status == ST_AGAIN ? client->broken : status == ST_IO ? ST_CLOSED : status);
}

// ---- life ----

struct conn_client *conn_client_new(struct env *env, const struct conn_client_config *config,
                                    const char *host, int port, conn_ready_fn *on_ready, void *context)
{
    struct conn_client *client = mem_calloc(1, sizeof *client);
    client->env = env;
    client->client_id = config->client_id != NULL ? mem_strdup(config->client_id) : NULL;
    client->response_max = config->response_max;
    client->on_ready = on_ready;
    client->ready_context = context;
    client->connect_deadline_us = env_now_us(env) + config->connect_timeout_ms * 1000;
    for (int i = 0; i < KAFKA_API_KEY_LIMIT; i++)
        client->offered[i] = (struct range){.min = 0, .max = -1};
    timer_init(&client->timer, client_on_timer, client);
    struct stream *stream = NULL;
    enum status status = env_connect(env, host, port, &stream);
    conn_bytes_plain(&client->bytes, env, stream);
    if (status == ST_OK) {
        stream_handle(env, stream, client_on_event, client);
        client->bytes.ops->want(&client->bytes, STREAM_WRITABLE);
    } else {
        client->broken = ST_UNREACHABLE;
    }
    update_timer(client);
    return client;
}

void conn_client_destroy(struct conn_client **pointer)
{
    struct conn_client *client = *pointer;
    *pointer = NULL;
    if (client == NULL)
        return;
    client_close(client, ST_CANCELLED);
    mem_free(client->client_id);
    mem_free(client);
}
