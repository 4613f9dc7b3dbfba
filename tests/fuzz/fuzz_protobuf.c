// SPDX-License-Identifier: Apache-2.0
// Hostile texts of Protobuf schemas: texts apart by a byte 0 are a reference called "ref", a reader, a writer
// and a message as JSON, as many as there are. What parses prints, parses again to the same text, compares
// with itself without a finding and with the other without end.
#include "base/assert.h"
#include "schema/protobuf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { PARTS = 4, OUT_MAX = 4 << 20 };

static void split(struct slice input, struct slice parts[PARTS])
{
    for (int i = 0; i < PARTS; i++) {
        const uint8_t *end = i + 1 < PARTS ? memchr(input.data, 0, input.len) : NULL;
        size_t len = end != NULL ? (size_t)(end - input.data) : input.len;
        parts[i] = slice_of(input.data, len);
        input = end != NULL ? slice_of(end + 1, input.len - len - 1) : slice_of(input.data + input.len, 0);
    }
}

static void print_again(const struct schema *schema, const struct schema_reference *ref)
{
    struct schema *again;
    struct schema_error error;
    struct buf once, twice;
    buf_init(&once, OUT_MAX);
    buf_init(&twice, OUT_MAX);
    for (enum schema_text form = SCHEMA_TEXT_PLAIN; form <= SCHEMA_TEXT_NORMAL; form++) {
        buf_clear(&once);
        buf_clear(&twice);
        if (schema_text(schema, form, &once) != ST_OK)
            continue;
        if (schema_parse(SCHEMA_PROTOBUF, buf_slice(&once), ref, 1, &error, &again) != ST_OK) {
            ASSERT(error.code == ST_LIMIT);
            continue;
        }
        ASSERT(schema_text(again, form, &twice) == ST_OK);
        ASSERT(slice_equal(buf_slice(&once), buf_slice(&twice)));
        schema_free(again);
    }
    for (enum schema_text form = SCHEMA_TEXT_CANONICAL; form <= SCHEMA_TEXT_BARE; form++) {
        buf_clear(&once);
        schema_text(schema, form, &once);
    }
    buf_fini(&once);
    buf_fini(&twice);
}

static size_t compare(const struct schema *reader, const struct schema *writer)
{
    struct schema_findings findings;
    struct buf out;
    buf_init(&out, OUT_MAX);
    schema_findings_init(&findings);
    if (schema_check(reader, writer, &findings) == ST_OK)
        for (size_t i = 0; i < findings.count; i++)
            schema_finding_text(&findings.items[i], true, &out);
    size_t count = findings.count;
    schema_findings_fini(&findings);
    buf_fini(&out);
    return count;
}

// What is made of JSON is a payload, and prints.
static void convert(const struct schema *schema, struct slice json)
{
    struct schema_error error;
    struct buf payload, text;
    buf_init(&payload, OUT_MAX);
    buf_init(&text, OUT_MAX);
    if (json.len > 0 && schema_payload_from_json(schema, json, &error, &payload) == ST_OK)
        schema_payload_to_json(schema, buf_slice(&payload), &text);
    buf_fini(&payload);
    buf_fini(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice parts[PARTS];
    struct schema_error error;
    struct schema *reader, *writer;
    split(slice_of(data, size), parts);
    struct schema_reference ref = {.name = slice_str("ref"), .text = parts[0]};
    schema_parse(SCHEMA_PROTOBUF, parts[1], &ref, 1, &error, &reader);
    schema_parse(SCHEMA_PROTOBUF, parts[2], &ref, 1, &error, &writer);
    if (reader != NULL) {
        print_again(reader, &ref);
        convert(reader, parts[3]);
        ASSERT(compare(reader, reader) == 0);
    }
    if (reader != NULL && writer != NULL)
        compare(reader, writer);
    schema_free(reader);
    schema_free(writer);
    return 0;
}
