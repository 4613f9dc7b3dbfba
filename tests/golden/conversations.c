// SPDX-License-Identifier: Apache-2.0
// Replays recorded conversations of real clients through the codec: every request they sent decodes and
// encodes back to the same bytes, and so does every answer they accepted.
//
//     conversations FILE...    prints "N passed, M failed", exit code 1 when one failed
#include "base/buf.h"
#include "base/slice.h"
#include "kafka/api.h"
#include "kafka/codec.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_MAX = 64 << 10, ARENA = 8 << 20, OUT = 1 << 20 };

struct tally {
    int passed, failed;
    const char *file;
    int line;
};

static int unhex(const char *text, uint8_t *out)
{
    int len = 0;
    for (unsigned byte; sscanf(text + 2 * len, "%2x", &byte) == 1; len++)
        out[len] = (uint8_t)byte;
    return len;
}

// Whether head and body decode from bytes and encode to the same bytes.
static bool same(const struct kafka_message *head, int16_t head_version, const struct kafka_message *body,
                 int16_t version, struct slice bytes)
{
    struct arena arena;
    struct kafka_out out;
    struct buf flat;
    size_t used;
    arena_init(&arena, ARENA);
    kafka_out_init(&out, OUT);
    buf_init(&flat, OUT);
    void *first = arena_alloc(&arena, head->structure->size);
    void *second = arena_alloc(&arena, body->structure->size);
    bool ok =
        kafka_decode_prefix(head, head_version, bytes, &arena, first, &used) == ST_OK &&
        kafka_decode(body, version, slice_of(bytes.data + used, bytes.len - used), &arena, second) == ST_OK &&
        kafka_encode(head, head_version, first, &out) == ST_OK &&
        kafka_encode(body, version, second, &out) == ST_OK && kafka_out_flatten(&out, &flat) == ST_OK &&
        slice_equal(buf_slice(&flat), bytes);
    buf_fini(&flat);
    kafka_out_fini(&out);
    arena_fini(&arena);
    return ok;
}

static void count(struct tally *tally, bool ok, const char *what, const struct kafka_api *api, int version)
{
    if (ok) {
        tally->passed++;
        return;
    }
    tally->failed++;
    printf("%s:%d: %s of %s version %d does not survive decoding and encoding\n", tally->file, tally->line,
           what, api->name, version);
}

static void check(struct tally *tally, struct slice request, struct slice answer)
{
    const struct kafka_api *api =
        request.len >= 8 ? kafka_api((int16_t)(request.data[0] << 8 | request.data[1])) : NULL;
    if (api == NULL) {
        tally->failed++;
        printf("%s:%d: no request\n", tally->file, tally->line);
        return;
    }
    int16_t version = (int16_t)(request.data[2] << 8 | request.data[3]);
    count(tally,
          same(&kafka_request_header_message, kafka_request_header_version(api, version), api->request,
               version, request),
          "request", api, version);
    if (answer.len > 0)
        count(tally,
              same(&kafka_response_header_message, kafka_response_header_version(api, version), api->response,
                   version, answer),
              "answer", api, version);
}

static void replay(struct tally *tally, const char *path)
{
    static char line[LINE_MAX], request[LINE_MAX], answer[LINE_MAX];
    static uint8_t request_bytes[LINE_MAX], answer_bytes[LINE_MAX];
    FILE *file = fopen(path, "r");
    tally->file = path;
    tally->line = 0;
    if (file == NULL)
        tally->failed++;
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        int connection;
        tally->line++;
        if (sscanf(line, "%d %65535s %65535s", &connection, request, answer) != 3)
            continue;
        int request_len = unhex(request, request_bytes), answer_len = unhex(answer, answer_bytes);
        check(tally, slice_of(request_bytes, (size_t)request_len),
              slice_of(answer_bytes, (size_t)answer_len));
    }
    if (file != NULL)
        fclose(file);
}

int main(int argc, char **argv)
{
    struct tally tally = {0};
    for (int i = 1; i < argc; i++)
        replay(&tally, argv[i]);
    printf("%d passed, %d failed\n", tally.passed, tally.failed);
    return tally.failed > 0 || tally.passed == 0;
}
