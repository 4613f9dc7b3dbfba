// SPDX-License-Identifier: Apache-2.0
// What common/schema answers about JSON schemas: one line of JSON in ({"reader": text, "writer": text}), one
// line out: "ok", "refused: why", or what is found, "CODE path" each. tests/clients/json_schemas.py asks
// others the same.
#include "base/assert.h"
#include "schema/schema.h"
#include "schema/tree.h"

#include <stdio.h>
#include <stdlib.h>

enum { LINE_MAX_BYTES = 16 << 20 };

static struct schema *parse(const struct tree *question, const char *name, struct schema_error *error)
{
    struct schema *schema;
    const struct tree *text = tree_get(question, slice_str(name));
    ASSERT(text != NULL && text->kind == TREE_STRING);
    schema_parse(SCHEMA_JSON, text->text, NULL, 0, error, &schema);
    return schema;
}

static void check(const struct schema *reader, const struct schema *writer)
{
    struct schema_findings findings;
    schema_findings_init(&findings);
    enum status status = schema_check(reader, writer, &findings);
    if (status != ST_OK || findings.count == 0)
        printf("%s", status == ST_OK ? "ok" : status_text(status));
    for (size_t i = 0; i < findings.count; i++)
        printf("%s%s %s", i > 0 ? " | " : "", findings.items[i].type, findings.items[i].path);
    schema_findings_fini(&findings);
}

static void answer(struct slice line)
{
    struct arena arena;
    struct tree *question;
    struct tree_fault fault;
    struct schema_error error;
    arena_init(&arena, 4 * (size_t)LINE_MAX_BYTES);
    ASSERT(tree_parse(&arena, line, 10, false, &question, &fault) == ST_OK);
    struct schema *reader = parse(question, "reader", &error);
    struct schema *writer = reader != NULL ? parse(question, "writer", &error) : NULL;
    if (writer == NULL)
        printf("refused: %s", error.text);
    else
        check(reader, writer);
    putchar('\n');
    schema_free(reader);
    schema_free(writer);
    arena_fini(&arena);
}

int main(void)
{
    char *line = NULL;
    size_t room = 0;
    ssize_t len;
    while ((len = getline(&line, &room, stdin)) > 0)
        answer(slice_of(line, (size_t)len));
    free(line);
    return 0;
}
