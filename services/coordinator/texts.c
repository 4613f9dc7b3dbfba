// SPDX-License-Identifier: Apache-2.0
// See texts.h.
#include "texts.h"

#include <string.h>

struct slice text_keep(struct slice text, uint8_t **at)
{
    if (text.data == NULL)
        return text;
    uint8_t *start = *at;
    if (text.len > 0)
        memcpy(start, text.data, text.len);
    *at += text.len;
    return slice_of(start, text.len);
}

bool text_same(struct slice a, struct slice b)
{
    return (a.data == NULL) == (b.data == NULL) && slice_equal(a, b);
}

int text_compare(struct slice a, struct slice b)
{
    size_t len = a.len < b.len ? a.len : b.len;
    int order = len > 0 ? memcmp(a.data, b.data, len) : 0;
    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

int text_order(const void *a, const void *b)
{
    return text_compare(*(const struct slice *)a, *(const struct slice *)b);
}
