// SPDX-License-Identifier: Apache-2.0
// kafka-gen OUT FILE.msg...: writes OUT/NAME.h and OUT/NAME.c for every message file, and OUT/api_keys.h and
// OUT/index.c over all of them. A build-time tool without libraries; see model.h and protos/kafka/README.md.
#include "model.h"

#include <string.h>

static const char *stem_of(struct model *model, const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    const char *dot = strrchr(name, '.');
    if (dot == NULL || strcmp(dot, ".msg") != 0)
        gen_fail(NULL, 0, "%s is not a .msg file", path);
    return gen_printf(model, "%.*s", (int)(dot - name), name);
}

static FILE *open_out(struct model *model, const char *folder, const char *stem, const char *suffix)
{
    const char *path = gen_printf(model, "%s/%s.%s", folder, stem, suffix);
    FILE *out = fopen(path, "w");
    if (out == NULL)
        gen_fail(NULL, 0, "%s cannot be written", path);
    return out;
}

static void close_out(FILE *out)
{
    if (ferror(out) || fclose(out) != 0)
        gen_fail(NULL, 0, "writing failed");
}

static void write_file(struct model *model, const char *folder, struct file *file)
{
    FILE *header = open_out(model, folder, file->stem, "h");
    print_header(model, header, file);
    close_out(header);
    FILE *tables = open_out(model, folder, file->stem, "c");
    print_tables(model, tables, file);
    close_out(tables);
}

int main(int argc, char **argv)
{
    struct model model = {0};
    if (argc < 3)
        gen_fail(NULL, 0, "usage: kafka-gen OUT FILE.msg...");
    struct file **last = &model.files;
    for (int i = 2; i < argc; i++) {
        struct file *file = gen_alloc(&model, sizeof *file);
        *file = (struct file){.path = argv[i], .stem = stem_of(&model, argv[i])};
        parse_file(&model, file);
        check_file(&model, file);
        *last = file;
        last = &file->next;
    }
    for (struct file *file = model.files; file != NULL; file = file->next)
        write_file(&model, argv[1], file);
    FILE *keys = open_out(&model, argv[1], "api_keys", "h");
    print_api_keys(&model, keys);
    close_out(keys);
    FILE *index = open_out(&model, argv[1], "index", "c");
    print_index(&model, index);
    close_out(index);
    gen_free(&model);
    return 0;
}
