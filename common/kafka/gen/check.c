// SPDX-License-Identifier: Apache-2.0
// Resolves the structure names of a parsed file and refuses what the codec does not implement, so that the
// interpreter may rely on it: no cycles, tags only in flexible versions and unique per structure, no record
// bytes below a tag (their length would be needed before they are known), nullable structures default to
// null.
#include "model.h"

#include <string.h>

struct check {
    struct model *model;
    struct message *message;
};

static _Noreturn void fail(const struct check *c, const struct field *field, const char *why)
{
    gen_fail(c->message->file, field->line, "%s: %s", field->name, why);
}

static bool is_empty(struct versions range)
{
    return range.first > range.last;
}

static void resolve(const struct check *c, struct field *field)
{
    if (field->primitive >= 0)
        return;
    for (struct type *type = c->message->types; type != NULL; type = type->next) {
        if (strcmp(type->name, field->type_name) == 0)
            field->type = type;
    }
    if (field->type == NULL)
        fail(c, field, "unknown type");
}

static void check_null(const struct check *c, const struct field *field)
{
    bool may = field->array || field->primitive < 0 || primitives[field->primitive].nullable;
    if (!may && (!is_empty(field->nullable) || field->default_null))
        fail(c, field, "this type cannot be null");
    if (field->default_null && is_empty(field->nullable))
        fail(c, field, "default null but never nullable");
    if (field->default_number != 0 && may)
        fail(c, field, "only null or the empty value can be the default here");
}

static void check_tag(const struct check *c, const struct type *type, const struct field *field)
{
    if (is_empty(field->tagged))
        return;
    if (is_empty(c->message->flexible) || field->tagged.first < c->message->flexible.first)
        fail(c, field, "tagged in a version that is not flexible");
    if (field->versions.first != field->tagged.first || field->versions.last != field->tagged.last)
        fail(c, field, "must be tagged in every version it has");
    for (const struct field *other = type->fields; other < field; other++) {
        if (other->tag == field->tag)
            fail(c, field, "tag used twice");
    }
}

// The default of a nullable structure, when it is not null, is one shared all-zero instance.
static bool zero_default(const struct type *type)
{
    for (int i = 0; i < type->field_count; i++) {
        const struct field *field = &type->fields[i];
        bool reference = field->array || field->primitive < 0 || primitives[field->primitive].nullable;
        if (field->default_number != 0 || (reference && !is_empty(field->nullable)))
            return false;
        if (field->type != NULL && !field->array && !zero_default(field->type))
            return false;
    }
    return true;
}

static void walk(const struct check *c, struct type *type, bool tagged)
{
    type->visiting = true;
    for (int i = 0; i < type->field_count; i++) {
        struct field *field = &type->fields[i];
        bool below_tag = tagged || !is_empty(field->tagged);
        resolve(c, field);
        check_null(c, field);
        if (field->nullable.first > c->message->valid.last || field->nullable.last < c->message->valid.first)
            field->nullable = (struct versions){1, 0}; // only in versions that no longer exist
        check_tag(c, type, field);
        if (below_tag && field->primitive >= 0 && strcmp(primitives[field->primitive].name, "records") == 0)
            fail(c, field, "records below a tag");
        if (field->type != NULL && field->type->visiting)
            fail(c, field, "a structure contains itself");
        if (field->type == NULL)
            continue;
        walk(c, field->type, below_tag);
        if (!field->array && !is_empty(field->nullable) && !field->default_null && !zero_default(field->type))
            fail(c, field, "a nullable structure must default to null or have only zero and empty defaults");
    }
    type->visiting = false;
}

void check_file(struct model *model, struct file *file)
{
    for (struct message *message = file->messages; message != NULL; message = message->next) {
        struct check c = {.model = model, .message = message};
        if (is_empty(message->valid))
            gen_fail(file, message->line, "%s: no valid version", message->name);
        if (!is_empty(message->flexible) && message->flexible.last != VERSION_OPEN)
            gen_fail(file, message->line, "%s: flexible versions must be open", message->name);
        walk(&c, message->root, false);
    }
}
