// SPDX-License-Identifier: Apache-2.0
// Parsing Canonical Form and its fingerprints (Avro specification, "Parsing Canonical Form for Schemas" and
// "Schema Fingerprints"): what a reader needs of a schema, in one spelling.
#include "schema/avro.h"

#include "base/bytes.h"
#include "base/mem.h"

#include <openssl/evp.h>

struct canon {
    struct buf *out;
    bool *known; // by id
    int depth;
    enum status status;
};

static void write_type(struct canon *c, const struct avro_type *type);

static void put(struct canon *c, const char *text)
{
    buf_append(c->out, text, strlen(text));
}

// Names hold letters, digits and dots only; nothing of them is to be escaped.
static void put_name(struct canon *c, struct slice name)
{
    put(c, "\"");
    buf_append(c->out, name.data, name.len);
    put(c, "\"");
}

static void write_fields(struct canon *c, const struct avro_type *type)
{
    put(c, ",\"fields\":[");
    for (uint32_t i = 0; i < type->count; i++) {
        put(c, i > 0 ? ",{\"name\":" : "{\"name\":");
        put_name(c, type->fields[i].name);
        put(c, ",\"type\":");
        write_type(c, type->fields[i].type);
        put(c, "}");
    }
    put(c, "]");
}

static void write_symbols(struct canon *c, const struct avro_type *type)
{
    put(c, ",\"symbols\":[");
    for (uint32_t i = 0; i < type->count; i++) {
        put(c, i > 0 ? "," : "");
        put_name(c, type->index.names[i]);
    }
    put(c, "]");
}

static void write_named(struct canon *c, const struct avro_type *type)
{
    if (c->known[type->id]) {
        put_name(c, type->name.full);
        return;
    }
    c->known[type->id] = true;
    put(c, "{\"name\":");
    put_name(c, type->name.full);
    buf_printf(c->out, ",\"type\":\"%s\"", avro_kind_name(type->kind));
    if (type->kind == AVRO_RECORD)
        write_fields(c, type);
    else if (type->kind == AVRO_ENUM)
        write_symbols(c, type);
    else
        buf_printf(c->out, ",\"size\":%d", (int)type->size);
    put(c, "}");
}

static void write_branches(struct canon *c, const struct avro_type *type)
{
    put(c, "[");
    for (uint32_t i = 0; i < type->count; i++) {
        put(c, i > 0 ? "," : "");
        write_type(c, type->branches[i]);
    }
    put(c, "]");
}

static void write_type(struct canon *c, const struct avro_type *type)
{
    if (c->depth == AVRO_NEST_MAX || buf_status(c->out) != ST_OK) {
        c->status = ST_LIMIT;
        return;
    }
    c->depth++;
    if (avro_named(type->kind)) {
        write_named(c, type);
    } else if (type->kind == AVRO_UNION) {
        write_branches(c, type);
    } else if (type->kind == AVRO_ARRAY || type->kind == AVRO_MAP) {
        put(c, type->kind == AVRO_ARRAY ? "{\"type\":\"array\",\"items\":" : "{\"type\":\"map\",\"values\":");
        write_type(c, type->items);
        put(c, "}");
    } else {
        buf_printf(c->out, "\"%s\"", avro_kind_name(type->kind));
    }
    c->depth--;
}

enum status avro_canonical_text(const struct avro_schema *schema, struct buf *out)
{
    struct canon c = {.out = out, .known = mem_calloc(schema->names.count + 1, sizeof *c.known)};
    write_type(&c, schema->root);
    mem_free(c.known);
    return c.status != ST_OK ? c.status : buf_status(out);
}

// The Rabin fingerprint of the specification, eight bits at a time without its table: schemas are short.
uint64_t avro_crc64(struct slice bytes)
{
    const uint64_t empty = 0xc15d213aa4d7a795;
    uint64_t result = empty;
    for (size_t i = 0; i < bytes.len; i++) {
        result ^= bytes.data[i];
        for (int bit = 0; bit < 8; bit++)
            result = result >> 1 ^ (result & 1 ? empty : 0);
    }
    return result;
}

enum status avro_fingerprint(const struct schema *schema, enum avro_fingerprint kind,
                             uint8_t out[AVRO_FINGERPRINT_MAX], size_t *len)
{
    struct buf text;
    unsigned size = 0;
    buf_init(&text, SCHEMA_TOTAL_MAX);
    enum status status = avro_canonical_text(avro_of(schema), &text);
    if (status == ST_OK && kind == AVRO_CRC64) {
        store_le64(out, avro_crc64(buf_slice(&text)));
        *len = 8;
    } else if (status == ST_OK) {
        const EVP_MD *digest = kind == AVRO_MD5 ? EVP_md5() : EVP_sha256();
        if (EVP_Digest(text.data, text.len, out, &size, digest, NULL) != 1)
            status = ST_UNSUPPORTED; // MD5 where OpenSSL runs in FIPS mode
        *len = size;
    }
    buf_fini(&text);
    return status;
}
