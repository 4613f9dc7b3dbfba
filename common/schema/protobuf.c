// SPDX-License-Identifier: Apache-2.0
// Protobuf as a row of the table of languages. What needs libprotobuf is asked of common/protobuf by weak
// symbols, so that a program without it links all the same and answers UNSUPPORTED. See protobuf.h.
#include "schema/protobuf.h"

#include "base/mem.h"

static struct protobuf *new_schema(void)
{
    struct protobuf *made = mem_calloc(1, sizeof *made);
    made->schema.language = &protobuf_language;
    arena_init(&made->arena, PROTOBUF_MEMORY_MAX);
    return made;
}

static void free_schema(struct schema *schema)
{
    struct protobuf *own = (struct protobuf *)schema;
    arena_fini(&own->arena);
    mem_free(own);
}

// Keeps copies of both and reads the set.
static enum status take(struct slice set, struct slice written, struct schema_error *error,
                        struct schema **schema)
{
    struct protobuf *made = new_schema();
    char *bytes = arena_strndup(&made->arena, set.data, set.len);
    char *more = arena_strndup(&made->arena, written.data, written.len);
    enum status status = ST_OK;
    made->set = slice_of(bytes, set.len);
    made->written = slice_of(more, written.len);
    if (bytes == NULL || more == NULL)
        status = schema_fail(error, ST_LIMIT, "the schema needs too much memory");
    if (status == ST_OK)
        status = protobuf_read(made, error);
    if (status == ST_OK)
        *schema = &made->schema;
    else
        free_schema(&made->schema);
    return status;
}

static enum status no_texts(struct schema_error *error)
{
    return schema_fail(error, ST_UNSUPPORTED, "texts of Protobuf schemas are not read here");
}

static enum status parse(const struct schema_source *source, struct schema_error *error,
                         struct schema **schema)
{
    struct buf set, written;
    if (protobuf_compile == NULL)
        return no_texts(error);
    buf_init(&set, PROTOBUF_DESCRIPTORS_MAX);
    buf_init(&written, PROTOBUF_DESCRIPTORS_MAX);
    enum status status = protobuf_compile(source, error, &set, &written);
    if (status == ST_OK)
        status = take(buf_slice(&set), buf_slice(&written), error, schema);
    buf_fini(&set);
    buf_fini(&written);
    return status;
}

enum status protobuf_descriptors(const struct schema_source *source, struct schema_error *error,
                                 struct buf *out)
{
    struct buf written;
    if (protobuf_compile == NULL)
        return no_texts(error);
    buf_init(&written, PROTOBUF_DESCRIPTORS_MAX);
    enum status status = protobuf_compile(source, error, out, &written);
    buf_fini(&written);
    return status;
}

enum status protobuf_parse_descriptors(struct slice bytes, struct schema_error *error, struct schema **schema)
{
    *schema = NULL;
    *error = (struct schema_error){.code = ST_OK};
    if (bytes.len > PROTOBUF_DESCRIPTORS_MAX)
        return schema_fail(error, ST_LIMIT, "descriptors have at most %d bytes", PROTOBUF_DESCRIPTORS_MAX);
    return take(bytes, (struct slice){0}, error, schema);
}

// What protobuf_compile has taken is valid.
static enum status validate(const struct schema *schema, struct schema_error *error)
{
    (void)schema;
    (void)error;
    return ST_OK;
}

// The first message, which Confluent's clients take when they are told no other.
static struct slice title(const struct schema *schema)
{
    const struct protobuf_file *file = protobuf_of(schema)->main;
    if (file->message_count > 0)
        return slice_str(file->messages[0].full);
    return slice_str(file->enum_count > 0 ? file->enums[0].full : "");
}

static enum status text(const struct schema *schema, enum schema_text form, struct buf *out)
{
    const struct protobuf *own = protobuf_of(schema);
    if (protobuf_print == NULL || own->written.len == 0)
        return ST_UNSUPPORTED;
    return protobuf_print(own->set, own->written, form, out);
}

static enum status to_json(const struct schema *schema, struct slice payload, struct buf *json)
{
    const struct protobuf_message *message;
    if (protobuf_to_json == NULL)
        return ST_UNSUPPORTED;
    enum status status = protobuf_payload_message(schema, &payload, &message);
    return status == ST_OK ? protobuf_to_json(protobuf_of(schema)->set, message->full, payload, json)
                           : status;
}

enum status protobuf_payload_from_json(const struct schema *schema, const struct protobuf_message *message,
                                       struct slice json, struct schema_error *error, struct buf *payload)
{
    if (protobuf_from_json == NULL)
        return no_texts(error);
    struct protobuf_json question = {protobuf_of(schema)->set, message->full, json};
    return protobuf_from_json(&question, error, payload);
}

// The payload is of the first message.
static enum status from_json(const struct schema *schema, struct slice json, struct schema_error *error,
                             struct buf *payload)
{
    const struct protobuf *own = protobuf_of(schema);
    if (own->main->message_count == 0)
        return schema_fail(error, ST_MALFORMED, "the schema has no message");
    buf_put_u8(payload, 0);
    return protobuf_payload_from_json(schema, &own->main->messages[0], json, error, payload);
}

const struct schema_language protobuf_language = {
    .name = "PROTOBUF",
    .format = SCHEMA_PROTOBUF,
    .parse = parse,
    .free = free_schema,
    .validate = validate,
    .title = title,
    .text = text,
    .check = protobuf_check,
    .payload_check = protobuf_payload_check,
    .payload_to_json = to_json,
    .payload_from_json = from_json,
};
