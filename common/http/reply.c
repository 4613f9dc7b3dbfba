// SPDX-License-Identifier: Apache-2.0
// Answers: whole ones copied into a response of the library, streamed ones pulled piece by piece from a
// source. A streamed connection with nothing to send is suspended (the library would otherwise spin on it)
// until http_stream_wake. See http.h.
#include "http/server.h"

#include "http/json.h"

#include "base/assert.h"
#include "base/mem.h"

struct http_stream {
    struct http_request *request;
    struct http_source source;
    void *context;
    struct buf out; // the piece being sent
    size_t sent;    // bytes of out handed to the library
    bool ended;     // source said HTTP_END
    bool waiting;   // source said HTTP_WAIT: not asked again before a wake
    bool suspended; // the connection waits for that wake
    bool woken;     // http_stream_wake came since source.next was entered
};

void http_reply_header(struct http_request *request, const char *name, const char *value)
{
    ASSERT(request->header_count < HTTP_REPLY_HEADERS_MAX);
    char *kept_name = arena_strndup(&request->arena, name, strlen(name));
    char *kept_value = arena_strndup(&request->arena, value, strlen(value));
    if (kept_name == NULL || kept_value == NULL)
        return; // the arena is full of the client's own bytes: the answer goes without this header
    request->headers[request->header_count][0] = kept_name;
    request->headers[request->header_count++][1] = kept_value;
}

static void response_set(struct http_request *request, int code, const char *type,
                         struct MHD_Response *response)
{
    ASSERT(request->response == NULL && response != NULL);
    request->response = response;
    request->code = code;
    if (type != NULL)
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    for (int i = 0; i < request->header_count; i++)
        MHD_add_response_header(response, request->headers[i][0], request->headers[i][1]);
}

// The answer is set: the library takes it at once when we are inside its callback, else when resumed.
static void answered(struct http_request *request)
{
    bool held = request->state == REQUEST_HELD;
    ASSERT(held || request->state == REQUEST_HANDLING);
    request->state = REQUEST_ANSWERED;
    if (held)
        request_resume(request);
}

enum MHD_Result request_send(struct http_request *request)
{
    enum MHD_Result result =
        MHD_queue_response(request->connection, (unsigned)request->code, request->response);
    MHD_destroy_response(request->response); // the library holds a reference of its own
    request->response = NULL;
    request->state = REQUEST_REFUSED;
    return result;
}

static struct MHD_Response *response_copy(struct slice body)
{
    void *bytes = (void *)(uintptr_t)body.data; // the library copies and does not write
    return MHD_create_response_from_buffer(body.len, bytes, MHD_RESPMEM_MUST_COPY);
}

static struct MHD_Response *response_error(int code, const char *message)
{
    struct buf body;
    buf_init(&body, 4096);
    buf_printf(&body, "{\"error_code\":%d,\"message\":", code);
    json_put_string(&body, slice_str(message));
    buf_printf(&body, "}\n");
    struct MHD_Response *response = response_copy(buf_slice(&body));
    buf_fini(&body);
    return response;
}

enum MHD_Result request_refuse(struct http_request *request, int code, const char *message)
{
    response_set(request, code, "application/json", response_error(code, message));
    return request_send(request);
}

enum MHD_Result request_allow(struct http_request *request)
{
    response_set(request, 200, NULL, response_copy(slice_of("", 0)));
    return request_send(request);
}

void http_reply(struct http_request *request, int code, const char *type, struct slice body)
{
    response_set(request, code, type, response_copy(body));
    answered(request);
}

void http_reply_take(struct http_request *request, int code, const char *type, struct buf *body_take)
{
    struct slice body = buf_slice(body_take);
    struct MHD_Response *response =
        body.len == 0 ? response_copy(body)
                      : MHD_create_response_from_buffer(body.len, body_take->data, MHD_RESPMEM_MUST_FREE);
    response_set(request, code, type, response);
    if (body.len > 0)
        buf_init(body_take, body_take->max); // the library frees the bytes when they are sent
    answered(request);
}

void http_reply_error(struct http_request *request, int code, const char *message)
{
    response_set(request, code, "application/json", response_error(code, message));
    answered(request);
}

static void stream_fill(struct http_stream *stream)
{
    buf_clear(&stream->out);
    stream->sent = 0;
    stream->woken = false;
    enum http_next next = stream->source.next(&stream->out, stream->context);
    stream->ended = next == HTTP_END;
    stream->waiting = next == HTTP_WAIT && !stream->woken;
}

// The library asks for up to max bytes; 0 means none now (the connection is suspended before).
static ssize_t stream_read(void *memory, uint64_t position, char *data, size_t max)
{
    struct http_stream *stream = memory;
    struct http_server *server = stream->request->server;
    while (stream->sent == stream->out.len) {
        if (stream->ended || server->stopping)
            return MHD_CONTENT_READER_END_OF_STREAM;
        if (stream->waiting) {
            stream->suspended = true;
            MHD_suspend_connection(stream->request->connection);
            return 0;
        }
        stream_fill(stream);
    }
    size_t left = stream->out.len - stream->sent;
    size_t len = left < max ? left : max;
    memcpy(data, stream->out.data + stream->sent, len);
    stream->sent += len;
    return (ssize_t)len;
}

void stream_release(struct http_stream *stream)
{
    stream->request->stream = NULL;
    if (stream->source.end != NULL)
        stream->source.end(stream->context);
    buf_fini(&stream->out);
    mem_free(stream);
}

struct http_stream *http_reply_stream(struct http_request *request, int code, const char *type,
                                      const struct http_source *source, void *context)
{
    enum { PIECE = 16 << 10 };
    struct http_stream *stream = mem_calloc(1, sizeof *stream);
    stream->request = request;
    stream->source = *source;
    stream->context = context;
    buf_init(&stream->out, HTTP_SLICE_MAX);
    request->stream = stream;
    response_set(request, code, type,
                 MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, PIECE, stream_read, stream, NULL));
    answered(request);
    return stream;
}

void http_stream_wake(struct http_stream *stream)
{
    stream->woken = true;
    stream->waiting = false;
    if (!stream->suspended)
        return;
    stream->suspended = false;
    request_resume(stream->request);
}
