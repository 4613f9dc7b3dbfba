// SPDX-License-Identifier: Apache-2.0
// Hostile schemas and payloads: texts apart by a byte 0 are a reference, a reader, a writer, a payload and a
// payload as JSON, as many as there are. What parses prints, parses again to the same text, compares with
// itself and with the other without end.
#include "base/assert.h"
#include "schema/avro.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { PARTS = 5, OUT_MAX = 1 << 20 };

static void split(struct slice input, struct slice parts[PARTS])
{
    for (int i = 0; i < PARTS; i++) {
        const uint8_t *end = i + 1 < PARTS ? memchr(input.data, 0, input.len) : NULL;
        size_t len = end != NULL ? (size_t)(end - input.data) : input.len;
        parts[i] = slice_of(input.data, len);
        input = end != NULL ? slice_of(end + 1, input.len - len - 1) : slice_of(input.data + input.len, 0);
    }
}

static void print_again(const struct schema *schema, const struct schema_reference *ref, size_t n_refs)
{
    struct schema *again;
    struct schema_error error;
    struct buf once, twice;
    buf_init(&once, OUT_MAX);
    buf_init(&twice, OUT_MAX);
    if (schema_text(schema, SCHEMA_TEXT_RESOLVED, &once) == ST_OK && n_refs == 0) {
        ASSERT(schema_parse(SCHEMA_AVRO, buf_slice(&once), ref, n_refs, &error, &again) == ST_OK);
        ASSERT(schema_text(again, SCHEMA_TEXT_RESOLVED, &twice) == ST_OK);
        ASSERT(slice_equal(buf_slice(&once), buf_slice(&twice)));
        schema_free(again);
    }
    for (enum schema_text form = SCHEMA_TEXT_PLAIN; form <= SCHEMA_TEXT_CANONICAL; form++) {
        buf_clear(&once);
        schema_text(schema, form, &once);
    }
    buf_fini(&once);
    buf_fini(&twice);
}

static void compare(const struct schema *reader, const struct schema *writer)
{
    struct schema_findings findings;
    struct buf out;
    buf_init(&out, OUT_MAX);
    schema_findings_init(&findings);
    if (schema_check(reader, writer, &findings) == ST_OK)
        for (size_t i = 0; i < findings.count; i++)
            schema_finding_text(&findings.items[i], true, &out);
    schema_findings_fini(&findings);
    buf_fini(&out);
}

// What is printed as JSON is read again to a payload that prints the same.
static void convert(const struct schema *schema, struct slice payload, struct slice text)
{
    struct schema_error error;
    struct buf json, bytes, again;
    buf_init(&json, OUT_MAX);
    buf_init(&bytes, OUT_MAX);
    buf_init(&again, OUT_MAX);
    schema_payload_from_json(schema, text, &error, &bytes);
    buf_clear(&bytes);
    enum status checked = schema_payload_check(schema, payload);
    enum status printed = schema_payload_to_json(schema, payload, &json);
    ASSERT(printed == checked || printed == ST_LIMIT);
    if (printed == ST_OK && schema_payload_from_json(schema, buf_slice(&json), &error, &bytes) == ST_OK) {
        enum status status = schema_payload_to_json(schema, buf_slice(&bytes), &again);
        ASSERT(status == ST_LIMIT || status == ST_OK);
    }
    buf_fini(&json);
    buf_fini(&bytes);
    buf_fini(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice parts[PARTS];
    struct schema_error error;
    struct schema *reader, *writer;
    split(slice_of(data, size), parts);
    struct schema_reference ref = {.name = slice_str("ref"), .text = parts[0]};
    size_t n_refs = parts[0].len > 0;
    schema_parse(SCHEMA_AVRO, parts[1], &ref, n_refs, &error, &reader);
    schema_parse(SCHEMA_AVRO, parts[2], &ref, n_refs, &error, &writer);
    if (reader != NULL) {
        schema_validate(reader, &error);
        print_again(reader, &ref, n_refs);
        convert(reader, parts[3], parts[4]);
        compare(reader, reader);
    }
    if (reader != NULL && writer != NULL)
        compare(reader, writer);
    schema_free(reader);
    schema_free(writer);
    return 0;
}
