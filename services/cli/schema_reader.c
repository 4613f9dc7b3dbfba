// SPDX-License-Identifier: Apache-2.0
// See schema_reader.h.
#include "schema_reader.h"

#include "base/mem.h"
#include "schema_wire.h"

#include <stdarg.h>
#include <stdio.h>

struct known {
    int32_t id;
    struct schema *schema; // NULL: the registry has refused it
    size_t bytes;
};

void schema_reader_init(struct schema_reader *reader, const struct schema_options *options,
                        schema_fetch_fn *fetch, const char *subject)
{
    *reader = (struct schema_reader){.options = options, .fetch = fetch, .subject = subject};
    map_init(&reader->known, 0);
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
}

static void make_room(struct schema_reader *reader, size_t bytes)
{
    struct map_entry *at = NULL;
    void *value;
    while ((reader->known.count == SCHEMA_READER_SCHEMAS || reader->bytes + bytes > SCHEMA_READER_BYTES) &&
           map_next(&reader->known, &at, NULL, &value)) {
        struct known *oldest = value;
        map_remove_u64(&reader->known, (uint64_t)oldest->id);
        reader->bytes -= oldest->bytes;
        known_free(oldest);
    }
}

// A refusal is remembered, too: one record of many whose schema is gone asks once. *known is NULL when the
// registry did not answer.
static enum cli_exit find(struct schema_reader *reader, int32_t id, struct known **known)
{
    struct schema *schema;
    size_t bytes;
    *known = map_remove_u64(&reader->known, (uint64_t)id);
    if (*known == NULL) {
        enum cli_exit code = reader->fetch(reader->options, id, reader->subject, &schema, &bytes);
        if (code != CLI_DONE && code != CLI_FAILED)
            return code;
        make_room(reader, bytes);
        *known = mem_calloc(1, sizeof **known);
        **known = (struct known){.id = id, .schema = schema, .bytes = bytes};
        reader->bytes += bytes;
    }
    map_put_u64(&reader->known, (uint64_t)id, *known);
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

enum cli_exit schema_reader_json(struct schema_reader *reader, struct slice bytes, int32_t *id,
                                 struct schema_error *error, struct buf *json)
{
    struct known *known;
    *error = (struct schema_error){.code = ST_OK};
    *id = -1;
    if (schema_wire_take(&bytes, id) != ST_OK)
        return wrong(error, ST_MALFORMED, "no schema's id before it (a byte 0 and four of the id)");
    enum cli_exit code = find(reader, *id, &known);
    if (code != CLI_DONE)
        return code;
    if (known->schema == NULL)
        return wrong(error, ST_NOT_FOUND, "schema %d is not to be had", *id);
    enum status status = schema_wire_decode(known->schema, bytes, json);
    if (status == ST_OK)
        return CLI_DONE;
    return wrong(error, status, "not a value of schema %d (%s): %s", *id,
                 schema_format_name(schema_format(known->schema)), status_text(status));
}
