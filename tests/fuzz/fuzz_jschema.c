// SPDX-License-Identifier: Apache-2.0
// Hostile JSON schemas and values: texts apart by a byte 0 are a text the schema may refer to, the schema,
// and a value; the first byte is the draft. Whatever comes is read or refused, and every check ends.
#include "base/assert.h"
#include "schema/jschema.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct slice part(struct slice *input)
{
    const uint8_t *end = input->len > 0 ? memchr(input->data, 0, input->len) : NULL;
    size_t len = end != NULL ? (size_t)(end - input->data) : input->len;
    struct slice found = slice_of(input->data, len);
    *input = slice_of(input->data + len + (end != NULL), input->len - len - (end != NULL));
    return found;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct schema_error error;
    struct jschema *schema;
    if (size == 0)
        return 0;
    struct slice rest = slice_of(data + 1, size - 1);
    struct schema_reference ref = {.name = slice_str("ref.json"), .text = part(&rest)};
    struct schema_source source = {.text = part(&rest), .refs = &ref, .n_refs = 1};
    enum status status = jschema_parse(&source, (enum jschema_draft)(data[0] % 5), &error, &schema);
    ASSERT((status == ST_OK) == (schema != NULL) && status == error.code);
    if (schema != NULL) {
        status = jschema_check(schema, rest, &error);
        ASSERT(status == error.code);
    }
    jschema_free(schema);
    return 0;
}
