// SPDX-License-Identifier: Apache-2.0
// See protobuf_wire.h.
#include "schema/protobuf_wire.h"

#include "base/varint.h"

enum status wire_varint(struct wire *wire, uint64_t *value)
{
    int used = uvarint64_get(wire->at, (size_t)(wire->end - wire->at), value);
    if (used <= 0)
        return used == 0 ? ST_TRUNCATED : ST_MALFORMED;
    wire->at += used;
    return ST_OK;
}

static enum status take(struct wire *wire, uint64_t len, struct slice *bytes)
{
    if (len > (uint64_t)(wire->end - wire->at))
        return ST_TRUNCATED;
    *bytes = slice_of(wire->at, (size_t)len);
    wire->at += len;
    return ST_OK;
}

static enum status take_bytes(struct wire *wire, struct slice *bytes)
{
    uint64_t len;
    enum status status = wire_varint(wire, &len);
    return status == ST_OK ? take(wire, len, bytes) : status;
}

enum status wire_next(struct wire *wire, struct wire_field *field)
{
    uint64_t tag;
    if (wire->at == wire->end)
        return ST_NOT_FOUND;
    enum status status = wire_varint(wire, &tag);
    if (status != ST_OK)
        return status;
    if (tag >> 3 == 0 || tag >> 3 > WIRE_NUMBER_MAX)
        return ST_MALFORMED;
    field->number = (uint32_t)(tag >> 3);
    field->type = (enum wire_type)(tag & 7);
    switch (field->type) {
    case WIRE_VARINT:
        return wire_varint(wire, &field->value);
    case WIRE_FIXED64:
        return take(wire, 8, &field->bytes);
    case WIRE_FIXED32:
        return take(wire, 4, &field->bytes);
    case WIRE_BYTES:
        return take_bytes(wire, &field->bytes);
    case WIRE_GROUP:
    case WIRE_GROUP_END:
        return ST_OK;
    default:
        return ST_MALFORMED;
    }
}
