// SPDX-License-Identifier: Apache-2.0
// Hostile descriptors and payloads: two bytes say how long the FileDescriptorSet is, the rest is a payload.
// What is read compares with itself without a finding; a payload that is good has its message.
#include "base/assert.h"
#include "schema/protobuf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct schema_error error;
    struct schema *schema;
    struct schema_findings findings;
    size_t set = size >= 2 ? (size_t)(data[0] << 8 | data[1]) : 0;
    if (size < 2 || set > size - 2)
        return 0;
    if (protobuf_parse_descriptors(slice_of(data + 2, set), &error, &schema) != ST_OK) {
        ASSERT(error.text[0] != '\0' && schema == NULL);
        return 0;
    }
    struct slice payload = slice_of(data + 2 + set, size - 2 - set), rest = payload;
    const struct protobuf_message *message;
    enum status status = schema_payload_check(schema, payload);
    ASSERT(protobuf_payload_message(schema, &rest, &message) == status);
    ASSERT(status != ST_OK || (message != NULL && rest.len < payload.len));
    schema_name(schema);
    schema_findings_init(&findings);
    if (schema_check(schema, schema, &findings) == ST_OK)
        ASSERT(findings.count == 0);
    schema_findings_fini(&findings);
    schema_free(schema);
    return 0;
}
