// SPDX-License-Identifier: Apache-2.0
// See claim.h.
#include "schema/claim.h"

#include "base/bytes.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

const char *const schema_claim_headers[SCHEMA_SIDES] = {
    [SCHEMA_KEY] = "__key_schema_id", [SCHEMA_VALUE] = "__value_schema_id"};

static size_t size_of(uint8_t first)
{
    return first == 0 ? 1 + 4 : first == 1 ? 1 + 16 : SIZE_MAX;
}

size_t schema_id_read(struct slice bytes, struct schema_id *id)
{
    size_t size = bytes.len > 0 ? size_of(bytes.data[0]) : SIZE_MAX;
    if (bytes.len < size)
        return 0;
    *id = (struct schema_id){{0}};
    memcpy(id->bytes, bytes.data, size);
    return size;
}

struct schema_id schema_id_of(int32_t number)
{
    struct schema_id id = {{0}};
    store_be32(id.bytes + 1, (uint32_t)number);
    return id;
}

static bool has_dash(size_t at)
{
    return at == 8 || at == 13 || at == 18 || at == 23;
}

enum status schema_id_parse(struct slice guid, struct schema_id *id)
{
    enum { LENGTH = 36 };
    size_t digits = 0;
    if (guid.len != LENGTH)
        return ST_MALFORMED;
    *id = (struct schema_id){{1}};
    for (size_t i = 0; i < LENGTH; i++) {
        int value = hex_digit(guid.data[i]);
        if (has_dash(i) ? guid.data[i] != '-' : value < 0)
            return ST_MALFORMED;
        if (has_dash(i))
            continue;
        id->bytes[1 + digits / 2] |= (uint8_t)(value << (digits % 2 == 0 ? 4 : 0));
        digits++;
    }
    return ST_OK;
}

size_t schema_id_size(const struct schema_id *id)
{
    return size_of(id->bytes[0]);
}

int32_t schema_id_number(const struct schema_id *id)
{
    return (int32_t)load_be32(id->bytes + 1);
}

const char *schema_id_text(const struct schema_id *id, char text[SCHEMA_ID_TEXT])
{
    const uint8_t *b = id->bytes + 1;
    if (!schema_id_is_guid(id))
        snprintf(text, SCHEMA_ID_TEXT, "%" PRId32, schema_id_number(id));
    else
        snprintf(text, SCHEMA_ID_TEXT, "%08x-%04x-%04x-%04x-%04x%08x", load_be32(b), load_be16(b + 4),
                 load_be16(b + 6), load_be16(b + 8), load_be16(b + 10), load_be32(b + 12));
    return text;
}

enum status schema_claim_take(struct slice header, struct slice part, struct schema_claim *claim)
{
    bool in_header = header.data != NULL;
    struct slice bytes = in_header ? header : part;
    size_t size = schema_id_read(bytes, &claim->id);
    struct slice rest = slice_of(bytes.data + size, bytes.len - size);
    claim->lead = in_header ? rest : (struct slice){0};
    claim->payload = in_header ? part : rest;
    return size > 0 ? ST_OK : ST_MALFORMED;
}

struct slice schema_claim_payload(const struct schema_claim *claim, struct buf *joined)
{
    if (claim->lead.len == 0)
        return claim->payload;
    buf_clear(joined);
    buf_append(joined, claim->lead.data, claim->lead.len);
    buf_append(joined, claim->payload.data, claim->payload.len);
    return buf_slice(joined);
}
