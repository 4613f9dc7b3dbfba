// SPDX-License-Identifier: Apache-2.0
// Prints the C structures of one .msg file. A structure is printed after those it holds by value; arrays and
// nullable structures are pointers.
#include "model.h"

static const char *c_type(struct model *model, const struct field *field)
{
    if (field->type != NULL)
        return gen_printf(model, "struct %s", field->type->c_name);
    return primitives[field->primitive].c_type;
}

static void print_field(struct model *model, FILE *out, const struct field *field)
{
    const char *type = c_type(model, field);
    if (field->array)
        fprintf(out, "    %s *%s;\n    int32_t %s_count;\n", type, field->snake, field->snake);
    else if (field->type != NULL && field->nullable.first <= field->nullable.last)
        fprintf(out, "    %s *%s;\n", type, field->snake);
    else
        fprintf(out, "    %s %s;\n", type, field->snake);
}

static void print_type(struct model *model, FILE *out, struct type *type, bool flexible)
{
    if (type->printed)
        return;
    type->printed = true;
    for (int i = 0; i < type->field_count; i++) {
        if (type->fields[i].type != NULL)
            print_type(model, out, type->fields[i].type, flexible);
    }
    fprintf(out, "\nstruct %s {\n", type->c_name);
    for (int i = 0; i < type->field_count; i++)
        print_field(model, out, &type->fields[i]);
    if (flexible)
        fprintf(out, "    struct kafka_tags tags;\n");
    fprintf(out, "};\nextern const struct kafka_structure %s_type;\n", type->c_name);
}

void print_header(struct model *model, FILE *out, struct file *file)
{
    const char *guard = gen_upper(model, file->stem);
    fprintf(out, "// Made by kafka-gen from protos/kafka/%s.msg; edit that.\n", file->stem);
    fprintf(out, "#ifndef KAFKA_MESSAGES_%s_H\n#define KAFKA_MESSAGES_%s_H\n\n", guard, guard);
    fprintf(out, "#include \"kafka/message.h\"\n");
    for (struct message *message = file->messages; message != NULL; message = message->next) {
        print_type(model, out, message->root, message->flexible.first <= message->flexible.last);
        fprintf(out, "extern const struct kafka_message %s_message;\n", message->root->c_name);
    }
    fprintf(out, "\n#endif\n");
}
