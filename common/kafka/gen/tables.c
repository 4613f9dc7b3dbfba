// SPDX-License-Identifier: Apache-2.0
// Prints the descriptor tables (kafka/message.h) of one .msg file, and the index over all files: the list of
// messages and the table of APIs.
#include "model.h"

#include <string.h>

static void print_range(FILE *out, const char *name, struct versions range)
{
    if (range.first <= range.last)
        fprintf(out, " .%s = {%d, %d},", name, range.first, range.last);
    else
        fprintf(out, " .%s = {1, 0},", name);
}

static bool is_pointer(const struct field *field)
{
    return field->type != NULL && !field->array && field->nullable.first <= field->nullable.last;
}

static void print_field(FILE *out, const struct type *type, const struct field *field)
{
    const char *constant = field->type ? "KAFKA_STRUCT" : primitives[field->primitive].constant;
    fprintf(out, "    {.name = \"%s\", .type = %s, .offset = offsetof(struct %s, %s),", field->name, constant,
            type->c_name, field->snake);
    if (field->array)
        fprintf(out, " .array = true, .count_offset = offsetof(struct %s, %s_count),", type->c_name,
                field->snake);
    if (field->type != NULL)
        fprintf(out, " .structure = &%s_type,", field->type->c_name);
    if (is_pointer(field))
        fprintf(out, " .pointer = true,");
    if (is_pointer(field) && !field->default_null)
        fprintf(out, " .default_structure = &%s_zero,", field->type->c_name);
    if (field->ignorable)
        fprintf(out, " .ignorable = true,");
    if (field->never_flexible)
        fprintf(out, " .never_flexible = true,");
    if (field->default_null)
        fprintf(out, " .default_null = true,");
    if (field->default_number != 0)
        fprintf(out, " .default_number = %lldLL,", field->default_number);
    print_range(out, "versions", field->versions);
    print_range(out, "nullable", field->nullable);
    fprintf(out, " .tag = %d},\n", field->tag);
}

static void print_type(FILE *out, struct type *type, bool flexible)
{
    if (type->printed)
        return;
    type->printed = true;
    for (int i = 0; i < type->field_count; i++) {
        if (type->fields[i].type != NULL)
            print_type(out, type->fields[i].type, flexible);
    }
    for (int i = 0; i < type->field_count; i++) {
        if (is_pointer(&type->fields[i]) && !type->fields[i].default_null)
            fprintf(out, "\nstatic const struct %s %s_zero;", type->fields[i].type->c_name,
                    type->fields[i].type->c_name);
    }
    fprintf(out, "\nstatic const struct kafka_field %s_fields[] = {\n", type->c_name);
    int tagged = 0;
    for (int i = 0; i < type->field_count; i++) {
        print_field(out, type, &type->fields[i]);
        tagged += type->fields[i].tag >= 0;
    }
    fprintf(out, "};\nconst struct kafka_structure %s_type = {\n", type->c_name);
    fprintf(out, "    .fields = %s_fields, .field_count = %d, .tagged_count = %d, .size = sizeof(struct %s),",
            type->c_name, type->field_count, tagged, type->c_name);
    if (flexible)
        fprintf(out, " .has_tags = true, .tags_offset = offsetof(struct %s, tags),", type->c_name);
    fprintf(out, "\n};\n");
}

static const char *kind_constant(const struct message *message)
{
    static const char *const names[][2] = {
        {"request", "KAFKA_REQUEST"},
        {"response", "KAFKA_RESPONSE"},
        {"header", "KAFKA_HEADER"},
        {"data", "KAFKA_DATA"},
        {"coordinator-key", "KAFKA_COORDINATOR_KEY"},
        {"coordinator-value", "KAFKA_COORDINATOR_VALUE"},
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(names[i][0], message->kind) == 0)
            return names[i][1];
    }
    gen_fail(message->file, message->line, "kind %s has no constant", message->kind);
}

static void print_message(FILE *out, const struct message *message)
{
    bool flexible = message->flexible.first <= message->flexible.last;
    print_type(out, message->root, flexible);
    fprintf(out, "const struct kafka_message %s_message = {\n", message->root->c_name);
    fprintf(out, "    .name = \"%s\", .kind = %s, .key = %d,", message->name, kind_constant(message),
            message->key);
    print_range(out, "valid", message->valid);
    print_range(out, "flexible", message->flexible);
    fprintf(out, " .structure = &%s_type,\n};\n", message->root->c_name);
}

static void unprint(struct file *file)
{
    for (struct message *message = file->messages; message != NULL; message = message->next) {
        message->root->printed = false;
        for (struct type *type = message->types; type != NULL; type = type->next)
            type->printed = false;
    }
}

void print_tables(struct model *model, FILE *out, struct file *file)
{
    unprint(file); // print_header has walked the same types
    fprintf(out, "// Made by kafka-gen from protos/kafka/%s.msg; edit that.\n", file->stem);
    fprintf(out, "#include \"kafka/messages/%s.h\"\n", file->stem);
    for (struct message *message = file->messages; message != NULL; message = message->next)
        print_message(out, message);
}

// The request with this key, or its response.
static struct message *find(struct model *model, const char *kind, int key)
{
    for (struct file *file = model->files; file != NULL; file = file->next) {
        for (struct message *message = file->messages; message != NULL; message = message->next) {
            if (message->key == key && strcmp(message->kind, kind) == 0)
                return message;
        }
    }
    return NULL;
}

static int key_limit(struct model *model)
{
    int limit = 0;
    for (struct file *file = model->files; file != NULL; file = file->next) {
        for (struct message *message = file->messages; message != NULL; message = message->next) {
            if (strcmp(message->kind, "request") == 0 && message->key >= limit)
                limit = message->key + 1;
        }
    }
    return limit;
}

static const char *api_name(struct model *model, const struct message *request)
{
    return gen_printf(model, "%.*s", (int)(strlen(request->name) - strlen("Request")), request->name);
}

void print_api_keys(struct model *model, FILE *out)
{
    fprintf(out, "// Made by kafka-gen from protos/kafka; edit that.\n");
    fprintf(out, "#ifndef KAFKA_MESSAGES_API_KEYS_H\n#define KAFKA_MESSAGES_API_KEYS_H\n\n");
    fprintf(out, "enum kafka_api_key {\n");
    int limit = key_limit(model);
    for (int key = 0; key < limit; key++) {
        const struct message *request = find(model, "request", key);
        if (request != NULL)
            fprintf(out, "    KAFKA_API_%s = %d,\n", gen_upper(model, api_name(model, request)), key);
    }
    fprintf(out, "    KAFKA_API_KEY_LIMIT = %d, // one more than the largest key\n};\n\n#endif\n", limit);
}

static void print_api(struct model *model, FILE *out, const struct message *request)
{
    const struct message *response = find(model, "response", request->key);
    if (response == NULL)
        gen_fail(request->file, request->line, "%s has no response", request->name);
    int flexible = request->flexible.first <= request->flexible.last ? request->flexible.first : VERSION_OPEN;
    fprintf(out, "    {.key = %d, .name = \"%s\", .request = &%s_message, .response = &%s_message,\n",
            request->key, api_name(model, request), request->root->c_name, response->root->c_name);
    fprintf(out, "     .min_version = %d, .max_version = %d, .first_flexible = %d,", request->valid.first,
            request->valid.last, flexible);
    fprintf(out, " .latest_unstable = %s, .on_broker = %s, .on_controller = %s},\n",
            request->latest_unstable ? "true" : "false", request->broker ? "true" : "false",
            request->controller ? "true" : "false");
}

void print_index(struct model *model, FILE *out)
{
    fprintf(out, "// Made by kafka-gen from protos/kafka; edit that.\n#include \"kafka/api.h\"\n");
    for (struct file *file = model->files; file != NULL; file = file->next)
        fprintf(out, "#include \"kafka/messages/%s.h\"\n", file->stem);
    fprintf(out, "\nconst struct kafka_message *const kafka_messages[] = {\n");
    int count = 0;
    for (struct file *file = model->files; file != NULL; file = file->next) {
        for (struct message *message = file->messages; message != NULL; message = message->next, count++)
            fprintf(out, "    &%s_message,\n", message->root->c_name);
    }
    fprintf(out, "};\nconst int32_t kafka_message_count = %d;\n\nconst struct kafka_api kafka_apis[] = {\n",
            count);
    int apis = 0;
    int limit = key_limit(model);
    for (int key = 0; key < limit; key++) {
        const struct message *request = find(model, "request", key);
        if (request == NULL)
            continue;
        print_api(model, out, request);
        apis++;
    }
    fprintf(out, "};\nconst int32_t kafka_api_count = %d;\n", apis);
}
