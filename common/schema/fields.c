// SPDX-License-Identifier: Apache-2.0
// See fields.h.
#include "schema/fields.h"

#include "schema/avro.h"
#include "schema/protobuf.h"

bool avro_has_field(const struct schema *schema, struct slice name)
{
    const struct avro_type *root = avro_of(schema)->root;
    return root->kind == AVRO_RECORD && avro_index_find(&root->index, name) >= 0;
}

bool protobuf_has_field(const struct schema *schema, struct slice name)
{
    const struct protobuf_file *file = protobuf_of(schema)->main;
    for (uint32_t i = 0; file->declared_count > 0 && i < file->declared[0]->field_count; i++)
        if (slice_equal(file->declared[0]->fields[i].name, name))
            return true;
    return false;
}

bool schema_has_field(const struct schema *schema, struct slice name)
{
    static bool (*const has[])(const struct schema *schema,
                               struct slice name) = {[SCHEMA_AVRO] = avro_has_field,
                                                     [SCHEMA_JSON] = json_has_field,
                                                     [SCHEMA_PROTOBUF] = protobuf_has_field};
    return has[schema_format(schema)](schema, name);
}
