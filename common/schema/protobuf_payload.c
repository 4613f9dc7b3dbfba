// SPDX-License-Identifier: Apache-2.0
// Whether a payload is one message of a schema: fields the schema knows have its wire type (or are packed,
// where they may be), strings of proto3 are UTF-8, required fields are there; unknown fields are anything
// that is well formed. Nothing of the payload is kept and no memory is taken. See protobuf.h.
#include "schema/protobuf.h"

#include "base/utf8.h"
#include "schema/protobuf_index.h"
#include "schema/protobuf_wire.h"

static enum status check_message(const struct protobuf_message *message, struct wire *wire, uint32_t group,
                                 int depth);

static enum wire_type wire_type_of(enum protobuf_kind kind)
{
    switch (kind) {
    case PROTOBUF_DOUBLE:
    case PROTOBUF_FIXED64:
    case PROTOBUF_SFIXED64:
        return WIRE_FIXED64;
    case PROTOBUF_FLOAT:
    case PROTOBUF_FIXED32:
    case PROTOBUF_SFIXED32:
        return WIRE_FIXED32;
    case PROTOBUF_STRING:
    case PROTOBUF_BYTES:
    case PROTOBUF_MESSAGE:
        return WIRE_BYTES;
    case PROTOBUF_GROUP:
        return WIRE_GROUP;
    default:
        return WIRE_VARINT;
    }
}

// A repeated number as one run of bytes.
static enum status check_packed(enum wire_type type, struct slice bytes)
{
    struct wire wire = wire_of(bytes);
    uint64_t ignored;
    enum status status = ST_OK;
    if (type == WIRE_FIXED32 || type == WIRE_FIXED64)
        return bytes.len % (type == WIRE_FIXED32 ? 4 : 8) == 0 ? ST_OK : ST_MALFORMED;
    while (status == ST_OK && wire.at < wire.end)
        status = wire_varint(&wire, &ignored);
    return status == ST_OK ? ST_OK : ST_MALFORMED;
}

// An unknown group, up to its end.
static enum status skip_group(struct wire *wire, uint32_t number, int depth)
{
    struct wire_field field;
    enum status status = depth <= PROTOBUF_PAYLOAD_DEPTH_MAX ? ST_OK : ST_LIMIT;
    while (status == ST_OK) {
        status = wire_next(wire, &field);
        if (status == ST_NOT_FOUND)
            return ST_TRUNCATED;
        if (status == ST_OK && field.type == WIRE_GROUP_END)
            return field.number == number ? ST_OK : ST_MALFORMED;
        if (status == ST_OK && field.type == WIRE_GROUP)
            status = skip_group(wire, field.number, depth + 1);
    }
    return status;
}

static enum status check_value(const struct protobuf_message *message, const struct protobuf_field *field,
                               const struct wire_field *value, struct wire *wire, int depth)
{
    enum wire_type type = wire_type_of(field->kind);
    bool packable = field->label == PROTOBUF_REPEATED && type != WIRE_BYTES && type != WIRE_GROUP;
    if (value->type != type)
        return packable && value->type == WIRE_BYTES ? check_packed(type, value->bytes) : ST_MALFORMED;
    if (field->kind == PROTOBUF_MESSAGE) {
        struct wire inner = wire_of(value->bytes);
        return check_message(field->message, &inner, 0, depth + 1);
    }
    if (field->kind == PROTOBUF_GROUP)
        return check_message(field->message, wire, field->number, depth + 1);
    if (field->kind == PROTOBUF_STRING && message->file->proto3 && !utf8_valid(value->bytes))
        return ST_MALFORMED;
    return ST_OK;
}

struct seen {
    uint64_t bits[PROTOBUF_REQUIRED_MAX / 64];
    uint32_t count;
};

static void mark(struct seen *seen, int required)
{
    if (required < 0)
        return;
    uint64_t bit = 1ull << (required % 64), *word = &seen->bits[required / 64];
    seen->count += (*word & bit) == 0;
    *word |= bit;
}

// group: number of the group that the message is, 0 when it is none and ends with the bytes.
static enum status check_message(const struct protobuf_message *message, struct wire *wire, uint32_t group,
                                 int depth)
{
    struct seen seen = {.count = 0};
    struct wire_field value;
    enum status status = depth <= PROTOBUF_PAYLOAD_DEPTH_MAX ? ST_OK : ST_LIMIT;
    while (status == ST_OK && (status = wire_next(wire, &value)) == ST_OK) {
        if (value.type == WIRE_GROUP_END)
            break;
        const struct protobuf_field *field = protobuf_field(message, value.number);
        if (field != NULL) {
            mark(&seen, field->required);
            status = check_value(message, field, &value, wire, depth);
        } else if (value.type == WIRE_GROUP) {
            status = skip_group(wire, value.number, depth + 1);
        }
    }
    if (status == ST_OK && value.number != group)
        return ST_MALFORMED; // the end of another group
    if (status == ST_NOT_FOUND && group != 0)
        return ST_TRUNCATED;
    if (status == ST_OK || status == ST_NOT_FOUND)
        return seen.count == message->required_count ? ST_OK : ST_MALFORMED;
    return status;
}

// A payload that is good as one of the messages it may be is good.
enum status protobuf_payload_message(const struct schema *schema, struct slice *payload,
                                     const struct protobuf_message **message)
{
    struct protobuf_index index;
    struct protobuf_meant meant;
    struct slice rest = *payload;
    enum status status = protobuf_index_take(&rest, &index), first = ST_MALFORMED;
    if (status != ST_OK)
        return status;
    protobuf_index_meant(protobuf_of(schema)->main, &index, &meant);
    for (uint32_t i = 0; i < meant.count; i++) {
        struct wire wire = wire_of(rest);
        *message = meant.items[i];
        status = check_message(*message, &wire, 0, 0);
        if (status == ST_OK) {
            *payload = rest;
            return ST_OK;
        }
        first = i == 0 ? status : first;
    }
    return first;
}

enum status protobuf_payload_check(const struct schema *schema, struct slice payload)
{
    const struct protobuf_message *message;
    return protobuf_payload_message(schema, &payload, &message);
}
