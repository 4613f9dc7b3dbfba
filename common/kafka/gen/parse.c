// SPDX-License-Identifier: Apache-2.0
// Reads one .msg file line by line: a line without indent starts a message, two blanks more go one structure
// deeper. The notation is described in protos/kafka/README.md; what a line may say is checked here, what
// lines say together in check.c.
#include "model.h"

#include <stdlib.h>
#include <string.h>

enum { LINE_MAX_LEN = 1024 };

struct parser {
    struct model *model;
    struct file *file;
    int line;
    struct message *message;
    struct type *open[NESTING_MAX]; // open[d] takes the fields of indent depth d
    int depth;                      // deepest usable index of open
};

static _Noreturn void fail(const struct parser *p, const char *what, const char *detail)
{
    gen_fail(p->file, p->line, "%s '%s'", what, detail);
}

static int parse_version(const struct parser *p, const char *text, char **end)
{
    long value = strtol(text, end, 10);
    if (*end == text || value < 0 || value >= VERSION_OPEN)
        fail(p, "bad version", text);
    return (int)value;
}

static struct versions parse_versions(const struct parser *p, const char *text)
{
    if (strcmp(text, "none") == 0)
        return (struct versions){1, 0};
    char *end;
    struct versions range;
    range.first = range.last = parse_version(p, text, &end);
    if (strcmp(end, "+") == 0) {
        range.last = VERSION_OPEN;
        return range;
    }
    if (*end == '-')
        range.last = parse_version(p, end + 1, &end);
    if (*end != '\0' || range.last < range.first)
        fail(p, "bad version range", text);
    return range;
}

// The text after "name=" when the word starts so, else NULL.
static const char *value_of(const char *word, const char *name)
{
    size_t len = strlen(name);
    return strncmp(word, name, len) == 0 && word[len] == '=' ? word + len + 1 : NULL;
}

static void parse_default(const struct parser *p, struct field *field, const char *text)
{
    char *end = NULL;
    if (strcmp(text, "null") == 0) {
        field->default_null = true;
    } else if (strcmp(text, "true") == 0) {
        field->default_number = 1;
    } else {
        field->default_number = strtoll(text, &end, 0);
        if (end == text || *end != '\0')
            fail(p, "bad default", text);
    }
}

static void parse_attribute(struct parser *p, struct field *field, char *word)
{
    const char *value;
    if (strcmp(word, "ignorable") == 0) {
        field->ignorable = true;
    } else if (strcmp(word, "flexible=none") == 0) {
        field->never_flexible = true;
    } else if ((value = value_of(word, "nullable")) != NULL) {
        field->nullable = parse_versions(p, value);
    } else if ((value = value_of(word, "default")) != NULL) {
        parse_default(p, field, value);
    } else if ((value = value_of(word, "tag")) != NULL) {
        char *end;
        field->tag = (int)strtol(value, &end, 10);
        if (end == value || *end != '@')
            fail(p, "bad tag", word);
        field->tagged = parse_versions(p, end + 1);
    } else {
        fail(p, "unknown attribute", word);
    }
}

static struct type *type_new(struct parser *p, const char *name)
{
    struct message *message = p->message;
    for (struct type *type = message->types; type != NULL; type = type->next) {
        if (strcmp(type->name, name) == 0)
            fail(p, "structure defined twice", name);
    }
    struct type *type = gen_alloc(p->model, sizeof *type);
    type->name = gen_printf(p->model, "%s", name);
    type->c_name = gen_printf(p->model, "kafka_%s_%s", message->snake, gen_snake(p->model, name));
    type->next = message->types;
    message->types = type;
    return type;
}

static void parse_field(struct parser *p, struct type *owner, char **words, int count)
{
    if (count < 3)
        fail(p, "a field needs name, type and versions", words[0]);
    if (owner->field_count == FIELDS_MAX)
        fail(p, "too many fields", words[0]);
    struct field *field = &owner->fields[owner->field_count++];
    *field = (struct field){.tag = -1, .line = p->line, .nullable = {1, 0}, .tagged = {1, 0}};
    field->name = gen_printf(p->model, "%s", words[0]);
    field->snake = gen_snake(p->model, words[0]);
    field->array = strncmp(words[1], "[]", 2) == 0;
    field->type_name = gen_printf(p->model, "%s", words[1] + (field->array ? 2 : 0));
    field->primitive = primitive_find(field->type_name);
    field->versions = parse_versions(p, words[2]);
    for (int i = 3; i < count; i++)
        parse_attribute(p, field, words[i]);
}

// A line deeper than the last field opens the structure that field is made of.
static void open_to(struct parser *p, int depth)
{
    if (depth <= p->depth) {
        p->depth = depth;
        return;
    }
    struct type *owner = p->open[p->depth];
    if (depth != p->depth + 1 || depth >= NESTING_MAX || owner->field_count == 0)
        fail(p, "bad indent in", p->message->name);
    struct field *field = &owner->fields[owner->field_count - 1];
    if (field->primitive >= 0)
        fail(p, "fields below a field of type", field->type_name);
    p->open[depth] = type_new(p, field->type_name);
    p->depth = depth;
}

static void parse_member(struct parser *p, int depth, char **words, int count)
{
    if (p->message == NULL)
        fail(p, "field outside of a message", words[0]);
    if (strcmp(words[0], "struct") == 0) {
        if (depth != 1 || count != 3)
            fail(p, "bad shared structure", words[1]);
        p->open[2] = type_new(p, words[1]);
        p->depth = 2;
        return;
    }
    open_to(p, depth);
    parse_field(p, p->open[depth], words, count);
}

static void parse_message_attribute(struct parser *p, struct message *message, const char *word)
{
    const char *value;
    if (strcmp(word, "latest-unstable") == 0) {
        message->latest_unstable = true;
    } else if ((value = value_of(word, "key")) != NULL) {
        message->key = atoi(value);
    } else if ((value = value_of(word, "valid")) != NULL) {
        message->valid = parse_versions(p, value);
    } else if ((value = value_of(word, "flexible")) != NULL) {
        message->flexible = parse_versions(p, value);
    } else if ((value = value_of(word, "listeners")) != NULL) {
        message->broker = strstr(value, "broker") != NULL;
        message->controller = strstr(value, "controller") != NULL;
    } else {
        fail(p, "unknown attribute", word);
    }
}

static void parse_message(struct parser *p, char **words, int count)
{
    static const char *const kinds[] = {"request", "response",        "header",
                                        "data",    "coordinator-key", "coordinator-value"};
    struct message *message = gen_alloc(p->model, sizeof *message);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (strcmp(words[0], kinds[i]) == 0)
            message->kind = kinds[i];
    }
    if (message->kind == NULL || count < 4)
        fail(p, "a message starts with kind, name, valid= and flexible=, not", words[0]);
    message->name = gen_printf(p->model, "%s", words[1]);
    message->snake = gen_snake(p->model, words[1]);
    message->key = -1;
    message->file = p->file;
    message->line = p->line;
    message->valid = message->flexible = (struct versions){1, 0};
    for (int i = 2; i < count; i++)
        parse_message_attribute(p, message, words[i]);
    message->root = gen_alloc(p->model, sizeof *message->root);
    message->root->c_name = gen_printf(p->model, "kafka_%s", message->snake);
    struct message **last = &p->file->messages;
    while (*last != NULL)
        last = &(*last)->next;
    *last = p->message = message;
    p->open[1] = message->root;
    p->depth = 1;
}

static void parse_line(struct parser *p, char *line)
{
    int indent = 0;
    while (line[indent] == ' ')
        indent++;
    if (line[indent] == '#')
        return;
    char *words[16];
    int count = 0;
    char *rest = NULL;
    for (char *word = strtok_r(line, " \n", &rest); word != NULL; word = strtok_r(NULL, " \n", &rest)) {
        if (count == 16)
            fail(p, "too many words after", words[0]);
        words[count++] = word;
    }
    if (count == 0)
        return;
    if (indent % 2 != 0)
        fail(p, "odd indent before", words[0]);
    if (indent == 0)
        parse_message(p, words, count);
    else
        parse_member(p, indent / 2, words, count);
}

void parse_file(struct model *model, struct file *file)
{
    struct parser p = {.model = model, .file = file};
    FILE *in = fopen(file->path, "r");
    if (in == NULL)
        gen_fail(file, 0, "cannot be read");
    char line[LINE_MAX_LEN];
    while (fgets(line, sizeof line, in) != NULL) {
        p.line++;
        if (strchr(line, '\n') == NULL)
            fail(&p, "line too long or without an end", line);
        parse_line(&p, line);
    }
    fclose(in);
}
