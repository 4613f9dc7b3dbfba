// SPDX-License-Identifier: Apache-2.0
// Checks protobuf-c does not make: it accepts strings that are not UTF-8, keeps unknown enum values, and
// follows nesting as deep as the input asks. Message types are therefore bounded in depth when a service is
// offered or first called (message_depth), and every unpacked message is walked once (message_valid).
#include "rpc/internal.h"

#include "base/utf8.h"

static const ProtobufCMessageDescriptor *submessage(const ProtobufCFieldDescriptor *field)
{
    return field->type == PROTOBUF_C_TYPE_MESSAGE ? field->descriptor : NULL;
}

int message_depth(const ProtobufCMessageDescriptor *type, int limit)
{
    int deepest = 0;
    for (unsigned i = 0; i < type->n_fields && limit > 0; i++) {
        const ProtobufCMessageDescriptor *inner = submessage(&type->fields[i]);
        int depth = inner ? message_depth(inner, limit - 1) : 0;
        if (depth > deepest)
            deepest = depth;
    }
    return deepest + 1;
}

// value: address of the field's (or the element's) value.
static bool value_valid(const ProtobufCFieldDescriptor *field, const void *value)
{
    switch (field->type) {
    case PROTOBUF_C_TYPE_STRING: {
        const char *text = *(char *const *)value;
        return text == NULL || utf8_valid(slice_str(text));
    }
    case PROTOBUF_C_TYPE_MESSAGE: {
        const ProtobufCMessage *inner = *(ProtobufCMessage *const *)value;
        return inner == NULL || message_valid(inner);
    }
    case PROTOBUF_C_TYPE_ENUM:
        return protobuf_c_enum_descriptor_get_value(field->descriptor, *(const int *)value) != NULL;
    default:
        return true;
    }
}

static size_t value_size(const ProtobufCFieldDescriptor *field)
{
    return field->type == PROTOBUF_C_TYPE_ENUM ? sizeof(int) : sizeof(void *);
}

static bool repeated_valid(const ProtobufCFieldDescriptor *field, const uint8_t *base)
{
    size_t count = *(const size_t *)(const void *)(base + field->quantifier_offset);
    const uint8_t *values = *(uint8_t *const *)(const void *)(base + field->offset);
    for (size_t i = 0; i < count; i++)
        if (!value_valid(field, values + i * value_size(field)))
            return false;
    return true;
}

static bool field_present(const ProtobufCFieldDescriptor *field, const uint8_t *base)
{
    if (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF)
        return *(const uint32_t *)(const void *)(base + field->quantifier_offset) == field->id;
    if (field->label == PROTOBUF_C_LABEL_OPTIONAL && field->type == PROTOBUF_C_TYPE_ENUM)
        return *(const protobuf_c_boolean *)(const void *)(base + field->quantifier_offset) != 0;
    return true;
}

bool message_valid(const ProtobufCMessage *message)
{
    const ProtobufCMessageDescriptor *type = message->descriptor;
    const uint8_t *base = (const uint8_t *)message;
    for (unsigned i = 0; i < type->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &type->fields[i];
        if (field->type != PROTOBUF_C_TYPE_STRING && field->type != PROTOBUF_C_TYPE_MESSAGE &&
            field->type != PROTOBUF_C_TYPE_ENUM)
            continue;
        bool valid = field->label == PROTOBUF_C_LABEL_REPEATED
                         ? repeated_valid(field, base)
                         : !field_present(field, base) || value_valid(field, base + field->offset);
        if (!valid)
            return false;
    }
    return true;
}
