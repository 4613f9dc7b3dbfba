// SPDX-License-Identifier: Apache-2.0
// See pack.h. Layout: version, format, then as varint length and bytes: how many references there are, each
// one's name and text, the schema's own text. Of Protobuf a FileDescriptorSet follows the format, to the end.
#include "schema/pack.h"

#include "base/mem.h"
#include "base/varint.h"
#include "schema/protobuf.h"

static void put_number(struct buf *out, uint64_t number)
{
    uint8_t bytes[VARINT64_MAX];
    buf_append(out, bytes, (size_t)uvarint64_put(bytes, number));
}

static void put_text(struct buf *out, struct slice text)
{
    put_number(out, text.len);
    buf_append(out, text.data, text.len);
}

enum status schema_pack(enum schema_format format, struct slice text, const struct schema_reference *refs,
                        size_t n_refs, struct buf *out)
{
    size_t before = out->len, total = text.len;
    if (format == SCHEMA_PROTOBUF)
        return ST_UNSUPPORTED;
    for (size_t i = 0; i < n_refs; i++)
        total += refs[i].name.len + refs[i].text.len;
    if (n_refs > SCHEMA_REFERENCES_MAX || total > SCHEMA_TOTAL_MAX)
        return ST_LIMIT;
    buf_put_u8(out, SCHEMA_PACK_VERSION);
    buf_put_u8(out, (uint8_t)format);
    put_number(out, n_refs);
    for (size_t i = 0; i < n_refs; i++) {
        put_text(out, refs[i].name);
        put_text(out, refs[i].text);
    }
    put_text(out, text);
    if (buf_status(out) != ST_OK)
        out->len = before;
    return buf_status(out);
}

enum status schema_pack_descriptors(const struct schema *schema, struct buf *out)
{
    size_t before = out->len;
    if (schema_format(schema) != SCHEMA_PROTOBUF)
        return ST_UNSUPPORTED;
    struct slice set = protobuf_of(schema)->set;
    buf_put_u8(out, SCHEMA_PACK_VERSION);
    buf_put_u8(out, SCHEMA_PROTOBUF);
    buf_append(out, set.data, set.len);
    if (buf_status(out) != ST_OK)
        out->len = before;
    return buf_status(out);
}

// False: the bytes end too early.
static bool take_number(struct slice *bytes, uint64_t *number)
{
    int used = uvarint64_get(bytes->data, bytes->len, number);
    if (used <= 0)
        return false;
    *bytes = slice_of(bytes->data + used, bytes->len - (size_t)used);
    return true;
}

static bool take_text(struct slice *bytes, struct slice *text)
{
    uint64_t len;
    if (!take_number(bytes, &len) || len > bytes->len)
        return false;
    *text = slice_of(bytes->data, (size_t)len);
    *bytes = slice_of(bytes->data + len, bytes->len - (size_t)len);
    return true;
}

static bool take_references(struct slice *bytes, struct schema_reference *refs, uint64_t n_refs)
{
    for (uint64_t i = 0; i < n_refs; i++)
        if (!take_text(bytes, &refs[i].name) || !take_text(bytes, &refs[i].text))
            return false;
    return true;
}

static enum status unpack(enum schema_format format, struct slice bytes, struct schema_error *error,
                          struct schema **schema)
{
    uint64_t n_refs;
    struct slice text;
    if (!take_number(&bytes, &n_refs) || n_refs > SCHEMA_REFERENCES_MAX)
        return schema_fail(error, ST_MALFORMED, "no packed schema");
    struct schema_reference *refs = mem_calloc((size_t)n_refs + 1, sizeof *refs);
    enum status status;
    if (!take_references(&bytes, refs, n_refs) || !take_text(&bytes, &text) || bytes.len > 0)
        status = schema_fail(error, ST_MALFORMED, "no packed schema");
    else
        status = schema_parse(format, text, refs, (size_t)n_refs, error, schema);
    mem_free(refs);
    return status;
}

enum status schema_unpack(struct slice bytes, struct schema_error *error, struct schema **schema)
{
    *schema = NULL;
    *error = (struct schema_error){.code = ST_OK};
    if (bytes.len < 2)
        return schema_fail(error, ST_MALFORMED, "no packed schema");
    if (bytes.data[0] != SCHEMA_PACK_VERSION)
        return schema_fail(error, ST_UNSUPPORTED, "packed in version %d, this build reads %d", bytes.data[0],
                           SCHEMA_PACK_VERSION);
    struct slice rest = slice_of(bytes.data + 2, bytes.len - 2);
    if (bytes.data[1] == SCHEMA_PROTOBUF)
        return protobuf_parse_descriptors(rest, error, schema);
    return unpack((enum schema_format)bytes.data[1], rest, error, schema);
}
