// SPDX-License-Identifier: Apache-2.0
// The required tests of JSON-Schema-Test-Suite (json-schema/*.gz, made by json-schema/pack.py): every schema
// is read, and every value is taken or refused as the suite says. Arguments: the files, each named by its
// draft.
#include "base/assert.h"
#include "schema/jschema.h"
#include "schema/tree.h"

#include <stdio.h>
#include <stdlib.h>
#include <zlib.h>

enum { LINE_BYTES = 1 << 20, REMOTES_MAX = 100 };

struct suite {
    enum jschema_draft draft;
    struct arena arena; // the remote texts
    struct schema_reference remotes[REMOTES_MAX];
    size_t n_remotes;
    int passed, failed;
};

static struct slice text_of(const struct tree *line, const char *name)
{
    const struct tree *found = tree_get(line, slice_str(name));
    return found != NULL ? found->text : (struct slice){0};
}

static void report(struct suite *suite, bool good, struct slice name, const char *what, const char *why)
{
    suite->passed += good;
    suite->failed += !good;
    if (!good)
        printf("draft %d: %.*s: %s: %s\n", (int)suite->draft, (int)name.len, (const char *)name.data, what,
               why);
}

static void run_values(struct suite *suite, const struct jschema *schema, const struct tree *line)
{
    struct schema_error error;
    for (const struct tree *at = tree_get(line, slice_str("values"))->first; at != NULL; at = at->next) {
        const struct tree *what = at->first, *json = what->next, *valid = json->next;
        enum status status = jschema_check(schema, json->text, &error);
        bool good = status == (valid->kind == TREE_TRUE ? ST_OK : ST_MALFORMED);
        report(suite, good, text_of(line, "name"), (const char *)what->text.data,
               status == ST_OK ? "taken" : error.text);
    }
}

static void run_line(struct suite *suite, const struct tree *line)
{
    struct jschema *schema;
    struct schema_error error;
    struct schema_source source = {
        .text = text_of(line, "schema"), .refs = suite->remotes, .n_refs = suite->n_remotes};
    if (text_of(line, "remote").data != NULL) {
        ASSERT(suite->n_remotes < REMOTES_MAX);
        suite->remotes[suite->n_remotes++] =
            (struct schema_reference){.name = text_of(line, "remote"), .text = text_of(line, "text")};
    } else if (jschema_parse(&source, suite->draft, &error, &schema) != ST_OK) {
        report(suite, false, text_of(line, "name"), "schema", error.text);
    } else {
        run_values(suite, schema, line);
        jschema_free(schema);
    }
}

static bool run_file(const char *path)
{
    static const char *const names[] = {"draft4.gz", "draft6.gz", "draft7.gz", "draft2019-09.gz",
                                        "draft2020-12.gz"};
    struct suite suite = {.draft = JSCHEMA_4};
    char *line = malloc(LINE_BYTES);
    gzFile file = gzopen(path, "rb");
    ASSERT(file != NULL && line != NULL);
    while (strstr(path, names[suite.draft]) == NULL)
        suite.draft++;
    arena_init(&suite.arena, (size_t)64 << 20);
    while (gzgets(file, line, LINE_BYTES) != NULL) {
        struct tree *tree;
        struct tree_fault fault;
        ASSERT(tree_parse(&suite.arena, slice_str(line), 10, false, &tree, &fault) == ST_OK);
        run_line(&suite, tree);
    }
    gzclose(file);
    free(line);
    arena_fini(&suite.arena);
    printf("%s: %d passed, %d failed\n", names[suite.draft], suite.passed, suite.failed);
    return suite.failed == 0 && suite.passed > 500;
}

int main(int argc, char **argv)
{
    bool good = argc > 1;
    for (int i = 1; i < argc; i++)
        good &= run_file(argv[i]);
    return good ? 0 : 1;
}
