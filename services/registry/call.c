// SPDX-License-Identifier: Apache-2.0
// See call.h.
#include "call.h"

#include "base/assert.h"
#include "base/mem.h"
#include "chores.h"
#include "http/json.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

enum { ERROR_TEXT_MAX = 256 << 10 };

void call_init(struct call *call)
{
    *call = (struct call){
        .principal = "User:ANONYMOUS", .subject = "", .cluster = "", .spot_max = SIZE_MAX, .code = 200};
    arena_init(&call->arena, CALL_ARENA_MAX);
    buf_init(&call->reply, CALL_REPLY_MAX);
    buf_init(&call->bytes, CALL_RECORD_BYTES_MAX);
}

void call_fini(struct call *call)
{
    arena_fini(&call->arena);
    buf_fini(&call->reply);
    buf_fini(&call->bytes);
    chores_destroy(&call->chores);
    mem_free(call->records);
    call->records = NULL;
}

void call_reset(struct call *call)
{
    call->code = 200;
    call->parsed = call->spot = 0;
    call->later = call->settled = false;
    call->plain = false;
    call->type = NULL;
    call->record_count = 0;
    buf_clear(&call->reply);
    buf_clear(&call->bytes);
    arena_reset(&call->arena);
}

// ---- reading ----

const char *call_query(const struct call *call, const char *name)
{
    size_t at = 0;
    return call_query_next(call, name, &at);
}

const char *call_query_next(const struct call *call, const char *name, size_t *at)
{
    while (*at < call->query_count) {
        const struct call_pair *pair = &call->query[(*at)++];
        if (strcmp(pair->name, name) == 0)
            return pair->value;
    }
    return NULL;
}

bool call_flag(const struct call *call, const char *name)
{
    const char *value = call_query(call, name);
    return value != NULL && strcasecmp(value, "true") == 0;
}

int64_t call_number(const struct call *call, const char *name, int64_t fallback)
{
    const char *text = call_query(call, name);
    char *end;
    if (text == NULL || *text == '\0')
        return fallback;
    errno = 0;
    long long number = strtoll(text, &end, 10);
    return errno != 0 || *end != '\0' ? fallback : number;
}

// ---- answering ----

bool call_fail(struct call *call, int code, const char *format, ...)
{
    va_list args;
    char *text = NULL;
    va_start(args, format);
    int len = vasprintf(&text, format, args);
    va_end(args);
    ASSERT(len >= 0);
    if (len > ERROR_TEXT_MAX)
        len = ERROR_TEXT_MAX;
    call->code = code >= 10000 ? code / 100 : code;
    call->record_count = 0;
    call->plain = false;
    buf_clear(&call->bytes);
    buf_clear(&call->reply);
    buf_printf(&call->reply, "{\"error_code\":%d,\"message\":", code);
    json_put_string(&call->reply, slice_of(text, (size_t)len));
    buf_printf(&call->reply, "}");
    free(text);
    return false;
}

// ---- writing ----

static struct call_record *add_record(struct call *call)
{
    if (call->record_count == call->record_cap) {
        call->record_cap = call->record_cap == 0 ? 8 : call->record_cap * 2;
        call->records = mem_realloc(call->records, call->record_cap * sizeof *call->records);
    }
    struct call_record *record = &call->records[call->record_count++];
    *record = (struct call_record){.key_at = call->bytes.len};
    return record;
}

// The key is there; the value comes behind it.
static void put_value(struct call *call, struct call_record *record, struct slice value)
{
    record->value_at = call->bytes.len;
    record->key_len = record->value_at - record->key_at;
    record->value_len = value.len;
    record->tombstone = value.len == 0;
    buf_append(&call->bytes, value.data, value.len);
}

void call_write(struct call *call, enum record_kind kind, const char *subject, int32_t version,
                const struct buf *value)
{
    struct call_record *record = add_record(call);
    record_put_key(&call->bytes, kind, subject, version);
    put_value(call, record, buf_slice(value));
}

void call_put(struct call *call, struct slice key, struct slice value)
{
    struct call_record *record = add_record(call);
    buf_append(&call->bytes, key.data, key.len);
    put_value(call, record, value);
}

bool call_settle(struct call *call)
{
    if (call->record_count == 0)
        return true;
    ASSERT(call->host != NULL && !call->rehearsal);
    call->settled = true;
    enum status status =
        buf_status(&call->bytes) == ST_OK ? call->host->settle(call, call->host->context) : ST_LIMIT;
    call->record_count = 0;
    buf_clear(&call->bytes);
    return status == ST_OK ||
           call_fail(call, 50001, "What was to be written could not be: %s", status_text(status));
}

void call_record_at(const struct call *call, size_t i, struct slice *key, struct slice *value)
{
    const struct call_record *record = &call->records[i];
    *key = slice_of(call->bytes.data + record->key_at, record->key_len);
    *value = record->tombstone ? (struct slice){0}
                               : slice_of(call->bytes.data + record->value_at, record->value_len);
}

// ---- pages ----

struct page call_page(const struct call *call, int64_t limit_max)
{
    struct page page = {.offset = call_number(call, "offset", 0), .limit = call_number(call, "limit", -1)};
    if (page.offset < 0)
        page.offset = 0;
    if (page.limit <= 0 || page.limit > limit_max)
        page.limit = limit_max;
    return page;
}

bool page_has(const struct page *page, int64_t *seen)
{
    int64_t at = (*seen)++;
    return at >= page->offset && at - page->offset < page->limit;
}
