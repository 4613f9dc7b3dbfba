// SPDX-License-Identifier: Apache-2.0
// See schema_reader.h.
#include "schema_reader.h"

#include "base/mem.h"
#include "schema_wire.h"

#include <stdarg.h>
#include <stdio.h>

enum { JOINED_MAX = 64 << 20 };

struct known {
    struct schema_id id;
    struct schema *schema; // NULL: the registry has refused it
    size_t bytes;
};

void schema_reader_init(struct schema_reader *reader, const struct schema_options *options,
                        schema_fetch_fn *fetch, const char *subject)
{
    *reader = (struct schema_reader){.options = options, .fetch = fetch, .subject = subject};
    map_init(&reader->known, 0);
    buf_init(&reader->joined, JOINED_MAX);
}

static void known_free(void *value)
{
    struct known *known = value;
    schema_free(known->schema);
    mem_free(known);
}

void schema_reader_fini(struct schema_reader *reader)
{
    map_clear(&reader->known, known_free);
    buf_fini(&reader->joined);
}

static struct slice key_of(const struct schema_id *id)
{
    return slice_of(id->bytes, SCHEMA_ID_SIZE);
}

static void make_room(struct schema_reader *reader, size_t bytes)
{
    struct map_entry *at = NULL;
    void *value;
    while ((reader->known.count == SCHEMA_READER_SCHEMAS || reader->bytes + bytes > SCHEMA_READER_BYTES) &&
           map_next(&reader->known, &at, NULL, &value)) {
        struct known *oldest = value;
        map_remove(&reader->known, key_of(&oldest->id));
        reader->bytes -= oldest->bytes;
        known_free(oldest);
    }
}

// A refusal is remembered, too: one record of many whose schema is gone asks once. *known is NULL when the
// registry did not answer.
static enum cli_exit find(struct schema_reader *reader, const struct schema_id *id, struct known **known)
{
    struct schema *schema;
    size_t bytes;
    *known = map_remove(&reader->known, key_of(id));
    if (*known == NULL) {
        enum cli_exit code = reader->fetch(reader->options, id, reader->subject, &schema, &bytes);
        if (code != CLI_DONE && code != CLI_FAILED)
            return code;
        make_room(reader, bytes);
        *known = mem_calloc(1, sizeof **known);
        **known = (struct known){.id = *id, .schema = schema, .bytes = bytes};
        reader->bytes += bytes;
    }
    map_put(&reader->known, key_of(&(*known)->id), *known);
    return CLI_DONE;
}

static enum cli_exit __attribute__((format(printf, 3, 4)))
wrong(struct schema_error *error, enum status code, const char *format, ...)
{
    va_list arguments;
    error->code = code;
    va_start(arguments, format);
    vsnprintf(error->text, sizeof error->text, format, arguments);
    va_end(arguments);
    return CLI_FAILED;
}

enum cli_exit schema_reader_json(struct schema_reader *reader, const struct schema_claim *claim,
                                 struct schema_error *error, struct buf *json)
{
    struct known *known;
    char name[SCHEMA_ID_TEXT];
    *error = (struct schema_error){.code = ST_OK};
    schema_id_text(&claim->id, name);
    enum cli_exit code = find(reader, &claim->id, &known);
    if (code != CLI_DONE)
        return code;
    if (known->schema == NULL)
        return wrong(error, ST_NOT_FOUND, "schema %s is not to be had", name);
    struct slice payload = schema_claim_payload(claim, &reader->joined);
    enum status status = buf_status(&reader->joined);
    if (status == ST_OK)
        status = schema_wire_decode(known->schema, payload, json);
    if (status == ST_OK)
        return CLI_DONE;
    return wrong(error, status, "not a value of schema %s (%s): %s", name,
                 schema_format_name(schema_format(known->schema)), status_text(status));
}
