// SPDX-License-Identifier: Apache-2.0
// Hostile pushes of client metrics: read to their end or refused, and what is handed on lies inside of them.
#include "base/assert.h"
#include "otlp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void inside(struct slice all, struct slice part)
{
    ASSERT(part.len == 0 || (part.data >= all.data && part.data + part.len <= all.data + all.len));
}

static void on_point(void *context, const struct otlp_point *point)
{
    const struct slice *all = context;
    inside(*all, point->name);
    ASSERT(point->attribute_count <= OTLP_ATTRIBUTES_MAX);
    for (int i = 0; i < point->attribute_count; i++) {
        inside(*all, point->attributes[i].key);
        inside(*all, point->attributes[i].value);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice all = slice_of(data, size);
    otlp_read(all, on_point, &all);
    return 0;
}
