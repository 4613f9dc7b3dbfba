// SPDX-License-Identifier: Apache-2.0
// Hostile JSON schemas and values: texts apart by a byte 0 are a text the schemas may refer to, a reader, a
// writer and a value; the first byte is the draft of a text that names none. Whatever comes is read or
// refused, and every check ends. What is read prints, reads again to the same text, and fits itself.
#include "base/assert.h"
#include "schema/jschema_compare.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { OUT_MAX = 1 << 20 };

static struct slice part(struct slice *input)
{
    const uint8_t *end = input->len > 0 ? memchr(input->data, 0, input->len) : NULL;
    size_t len = end != NULL ? (size_t)(end - input->data) : input->len;
    struct slice found = slice_of(input->data, len);
    *input = slice_of(input->data + len + (end != NULL), input->len - len - (end != NULL));
    return found;
}

static struct jschema *parse(struct slice text, const struct schema_reference *ref, enum jschema_draft draft)
{
    struct schema_error error;
    struct jschema *schema;
    struct schema_source source = {.text = text, .refs = ref, .n_refs = ref != NULL};
    enum status status = jschema_parse(&source, draft, &error, &schema);
    ASSERT((status == ST_OK) == (schema != NULL) && status == error.code);
    return schema;
}

// The printed text is a schema too, and prints the same.
static void print(const struct jschema *schema, const struct schema_reference *ref, enum jschema_draft draft)
{
    struct buf once, twice;
    buf_init(&once, OUT_MAX);
    buf_init(&twice, OUT_MAX);
    tree_print_exact(schema->root, false, &once);
    if (buf_status(&once) == ST_OK) {
        struct jschema *again = parse(buf_slice(&once), ref, draft);
        if (again != NULL) // a number may be printed longer than one may be
            tree_print_exact(again->root, false, &twice);
        ASSERT(again == NULL || slice_equal(buf_slice(&once), buf_slice(&twice)));
        jschema_free(again);
    }
    buf_clear(&once);
    if (jschema_resolved_text(schema, &once) == ST_OK)
        jschema_free(parse(buf_slice(&once), NULL, schema->resource->draft));
    buf_fini(&once);
    buf_fini(&twice);
}

// Returns the number of findings, or -1 when a limit ended it.
static int compare(const struct jschema *reader, const struct jschema *writer)
{
    struct schema_findings findings;
    struct buf out;
    buf_init(&out, OUT_MAX);
    schema_findings_init(&findings);
    enum status status = jschema_compare(reader, writer, false, &findings);
    ASSERT(status == ST_OK || status == ST_LIMIT);
    for (size_t i = 0; i < findings.count; i++) {
        ASSERT(jschema_wording(findings.items[i].type).text != NULL);
        schema_finding_text(&findings.items[i], true, &out);
        buf_clear(&out);
    }
    int count = status == ST_OK ? (int)findings.count : -1;
    schema_findings_fini(&findings);
    buf_fini(&out);
    return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct schema_error error;
    if (size == 0)
        return 0;
    enum jschema_draft draft = (enum jschema_draft)(data[0] % 5);
    struct slice rest = slice_of(data + 1, size - 1);
    struct schema_reference ref = {.name = slice_str("ref.json"), .text = part(&rest)};
    struct jschema *reader = parse(part(&rest), &ref, draft), *writer = parse(part(&rest), &ref, draft);
    if (reader != NULL) {
        enum status status = jschema_check(reader, rest, &error);
        ASSERT(status == error.code);
        print(reader, &ref, draft);
        ASSERT(compare(reader, reader) <= 0);
    }
    if (reader != NULL && writer != NULL)
        compare(reader, writer);
    jschema_free(reader);
    jschema_free(writer);
    return 0;
}
