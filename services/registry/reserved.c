// SPDX-License-Identifier: Apache-2.0
// See reserved.h.
#include "reserved.h"

#include "contract.h"
#include "schema/fields.h"

enum { LINE_MAX_BYTES = 1 << 10 };

struct names {
    cJSON *metadata; // owns the names
    size_t count;
    struct slice items[RESERVED_MAX];
};

static void names_init(struct names *names, const char *metadata)
{
    *names = (struct names){.metadata = metadata != NULL ? cJSON_Parse(metadata) : NULL};
    const char *at = contract_property(names->metadata, "confluent:reserved");
    while (at != NULL && names->count < RESERVED_MAX) {
        size_t len = strcspn(at, ",");
        struct slice name = slice_trim(slice_of(at, len));
        if (name.len > 0)
            names->items[names->count++] = name;
        at = at[len] == ',' ? at + len + 1 : NULL;
    }
}

static bool names_have(const struct names *names, struct slice name)
{
    for (size_t i = 0; i < names->count; i++)
        if (slice_equal(names->items[i], name))
            return true;
    return false;
}

static void add(struct messages *messages, const char *type, struct slice name, const char *text)
{
    struct buf line;
    buf_init(&line, LINE_MAX_BYTES);
    buf_printf(&line, "{errorType:'%s', description:'%s: %.*s'}", type, text,
               (int)(name.len < 500 ? name.len : 500), (const char *)name.data);
    messages_add(messages, buf_slice(&line));
    buf_fini(&line);
}

void reserved_check(const struct schema *schema, const char *metadata, const char *before,
                    struct messages *messages)
{
    struct names now, then;
    names_init(&now, metadata);
    names_init(&then, before);
    for (size_t i = 0; i < then.count; i++)
        if (!names_have(&now, then.items[i]))
            add(messages, "RESERVED_FIELD_REMOVED", then.items[i],
                "the metadata of the version before reserve a name that these do not");
    for (size_t i = 0; i < now.count; i++)
        if (schema_has_field(schema, now.items[i]))
            add(messages, "FIELD_CONFLICTS_WITH_RESERVED_FIELD", now.items[i], "a field has a reserved name");
    cJSON_Delete(now.metadata);
    cJSON_Delete(then.metadata);
}
