// SPDX-License-Identifier: Apache-2.0
// See schema_wire.h.
#include "schema_wire.h"

enum status schema_wire_init(struct schema_wire *wire, const struct schema *schema,
                             const struct schema_id *id, const char *message)
{
    *wire = (struct schema_wire){.schema = schema, .id = *id};
    if (schema_format(schema) != SCHEMA_PROTOBUF)
        return message == NULL ? ST_OK : ST_MALFORMED;
    const struct protobuf_file *file = protobuf_of(schema)->main;
    if (message == NULL && file->declared_count == 0)
        return ST_MALFORMED;
    struct slice name = message != NULL ? slice_str(message) : file->declared[0]->name;
    wire->message = protobuf_index_find(file, name, &wire->index);
    return wire->message != NULL ? ST_OK : ST_MALFORMED;
}

void schema_wire_header(const struct schema_wire *wire, struct buf *out)
{
    buf_append(out, wire->id.bytes, schema_id_size(&wire->id));
    if (wire->message != NULL)
        protobuf_index_put(&wire->index, out);
}

enum status schema_wire_encode(const struct schema_wire *wire, struct slice json, struct schema_error *error,
                               struct buf *out)
{
    if (!wire->in_header)
        schema_wire_header(wire, out);
    *error = (struct schema_error){.code = ST_OK};
    if (wire->message != NULL)
        return protobuf_payload_from_json(wire->schema, wire->message, json, error, out);
    return schema_payload_from_json(wire->schema, json, error, out);
}

// A line break is between tokens if it is in a JSON text at all.
enum status schema_wire_decode(const struct schema *schema, struct slice payload, struct buf *json)
{
    size_t begin = json->len;
    enum status status = schema_payload_to_json(schema, payload, json);
    for (size_t i = begin; i < json->len; i++)
        if (json->data[i] == '\n' || json->data[i] == '\r')
            json->data[i] = ' ';
    return status;
}

bool schema_wire_split(struct slice line, const char *separator, struct slice *key, struct slice *value)
{
    size_t width = strlen(separator);
    int64_t depth = 0;
    bool string = false;
    for (size_t i = 0; i + width <= line.len; i++) {
        uint8_t c = line.data[i];
        if (!string && depth <= 0 && i > 0 && memcmp(line.data + i, separator, width) == 0) {
            *key = slice_of(line.data, i);
            *value = slice_of(line.data + i + width, line.len - i - width);
            return true;
        }
        if (string && c == '\\')
            i++;
        else if (c == '"')
            string = !string;
        else if (!string)
            depth += (c == '{' || c == '[') - (c == '}' || c == ']');
    }
    return false;
}
