// SPDX-License-Identifier: Apache-2.0
// Hostile JSON texts for the parser of schemas: read or refused, with or without comments, in memory bounded
// by their length. What is read prints, and what is printed is read again and prints the same, in every
// style; each member is found by its name.
#include "base/assert.h"
#include "schema/tree.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { DEPTH_MAX = 100, MEMORY_PER_BYTE = 96, MEMORY_AT_LEAST = 1 << 16, OUT_MAX = 1 << 22 };

static void find_all(const struct tree *tree)
{
    uint32_t count = 0;
    for (const struct tree *at = tree->kind >= TREE_ARRAY ? tree->first : NULL; at != NULL; at = at->next) {
        ASSERT(tree->kind == TREE_ARRAY || tree_get(tree, at->name) == at);
        find_all(at);
        count++;
    }
    ASSERT(tree->kind < TREE_ARRAY || count == tree->count);
}

static void print(const struct tree *tree, int style, struct buf *out)
{
    if (style & 1)
        tree_print_exact(tree, style & 2, out);
    else
        tree_print(tree, style & 2, out);
}

static void print_again(const struct tree *tree, int style)
{
    struct arena arena;
    struct tree *again;
    struct tree_fault fault;
    struct buf once, twice;
    buf_init(&once, OUT_MAX);
    buf_init(&twice, OUT_MAX);
    print(tree, style, &once);
    arena_init(&arena, MEMORY_AT_LEAST + once.len * MEMORY_PER_BYTE);
    // A number of the last length may be printed with a digit more.
    if (buf_status(&once) == ST_OK &&
        tree_parse(&arena, buf_slice(&once), DEPTH_MAX, false, &again, &fault) == ST_OK) {
        print(again, style, &twice);
        ASSERT(slice_equal(buf_slice(&once), buf_slice(&twice)));
    }
    arena_fini(&arena);
    buf_fini(&once);
    buf_fini(&twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    struct tree *tree;
    struct tree_fault fault;
    if (size == 0)
        return 0;
    struct slice text = slice_of(data + 1, size - 1);
    arena_init(&arena, MEMORY_AT_LEAST + size * MEMORY_PER_BYTE);
    enum status status = tree_parse(&arena, text, DEPTH_MAX, data[0] & 1, &tree, &fault);
    ASSERT(status == ST_OK || (fault.text != NULL && fault.line > 0 && fault.column > 0));
    if (status == ST_OK) {
        find_all(tree);
        for (int style = 0; style < 4; style++)
            print_again(tree, style);
    }
    arena_fini(&arena);
    return 0;
}
