// SPDX-License-Identifier: Apache-2.0
// See schema_diff.h. The longest common subsequence of lines, by the usual table.
#include "schema_diff.h"

#include "base/mem.h"
#include "base/slice.h"
#include "schema/schema.h"
#include "schema/tree.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum {
    LINES_MAX = 4000,
    PRINTED_MAX =
        16 * SCHEMA_TEXT_MAX, // bytes of a schema over several lines; one that needs more stays whole
    MEMORY = 256 << 20,
};

static void put_break(int depth, struct buf *out)
{
    buf_put_u8(out, '\n');
    for (int i = 0; i < depth; i++)
        buf_put_u8(out, '\t');
}

static void put_lines(const struct tree *tree, int depth, struct buf *out)
{
    bool object = tree->kind == TREE_OBJECT;
    if ((!object && tree->kind != TREE_ARRAY) || tree->count == 0) {
        tree_print_exact(tree, false, out);
        return;
    }
    buf_put_u8(out, object ? '{' : '[');
    for (const struct tree *at = tree->first; at != NULL && buf_status(out) == ST_OK; at = at->next) {
        put_break(depth + 1, out);
        if (object) {
            tree_put_string(at->name, out);
            buf_printf(out, ":\t");
        }
        put_lines(at, depth + 1, out);
        if (at->next != NULL)
            buf_put_u8(out, ',');
    }
    put_break(depth, out);
    buf_put_u8(out, object ? '}' : ']');
}

char *schema_diff_lines(const char *text)
{
    struct arena arena;
    struct buf out;
    struct tree *tree;
    struct tree_fault fault;
    arena_init(&arena, MEMORY);
    buf_init(&out, PRINTED_MAX);
    enum status status = tree_parse(&arena, slice_str(text), SCHEMA_DEPTH_MAX, false, &tree, &fault);
    if (status == ST_OK) {
        put_lines(tree, 0, &out);
        buf_put_u8(&out, '\0');
    }
    char *lines = mem_strdup(status == ST_OK && buf_status(&out) == ST_OK ? (const char *)out.data : text);
    buf_fini(&out);
    arena_fini(&arena);
    return lines;
}

struct lines {
    struct slice *items;
    size_t count;
};

// A comma at a line's end says only that another member follows.
static struct slice without_comma(const char *text, size_t len)
{
    return slice_of(text, len > 0 && text[len - 1] == ',' ? len - 1 : len);
}

static struct lines split(const char *text)
{
    struct lines lines = {0};
    size_t cap = 1;
    for (const char *at = text; (at = strchr(at, '\n')) != NULL; at++)
        cap++;
    lines.items = mem_calloc(cap, sizeof *lines.items);
    while (*text != '\0') {
        size_t len = strcspn(text, "\n");
        lines.items[lines.count++] = without_comma(text, len);
        text += len + (text[len] == '\n');
    }
    return lines;
}

static void print(char mark, struct slice line)
{
    printf("%c %.*s\n", mark, (int)line.len, (const char *)line.data);
}

// table[i * (b + 1) + j]: length of the longest common subsequence of a from i on and b from j on.
static uint16_t *common(const struct lines *a, const struct lines *b)
{
    size_t width = b->count + 1;
    uint16_t *table = mem_calloc((a->count + 1) * width, sizeof *table);
    for (size_t i = a->count; i-- > 0;)
        for (size_t j = b->count; j-- > 0;) {
            uint16_t down = table[(i + 1) * width + j], right = table[i * width + j + 1];
            table[i * width + j] = slice_equal(a->items[i], b->items[j])
                                       ? (uint16_t)(table[(i + 1) * width + j + 1] + 1)
                                   : down > right ? down
                                                  : right;
        }
    return table;
}

static bool walk(const struct lines *a, const struct lines *b, const uint16_t *table)
{
    size_t i = 0, j = 0, width = b->count + 1;
    bool differ = false;
    while (i < a->count || j < b->count) {
        if (table != NULL && i < a->count && j < b->count && slice_equal(a->items[i], b->items[j])) {
            print(' ', a->items[i++]);
            j++;
            continue;
        }
        bool take = i < a->count && (j == b->count || table == NULL ||
                                     table[(i + 1) * width + j] >= table[i * width + j + 1]);
        print(take ? '-' : '+', take ? a->items[i++] : b->items[j++]);
        differ = true;
    }
    return differ;
}

bool schema_diff_print(const char *before, const char *after)
{
    struct lines a = split(before), b = split(after);
    bool small = a.count <= LINES_MAX && b.count <= LINES_MAX;
    uint16_t *table = small ? common(&a, &b) : NULL;
    bool differ = walk(&a, &b, table);
    mem_free(table);
    mem_free(a.items);
    mem_free(b.items);
    return differ;
}
