// SPDX-License-Identifier: Apache-2.0
// See share_write.h.
#include "share_write.h"

#include "base/assert.h"
#include "base/mem.h"

void share_write_init(struct share_write *write)
{
    *write = (struct share_write){.number = 0};
}

void share_write_fini(struct share_write *write)
{
    mem_free(write->batches);
    share_write_init(write);
}

static bool goes_on(const struct share_batch *batch, int64_t first, struct share_fate fate)
{
    return batch->last + 1 == first && batch->fate.state == fate.state &&
           batch->fate.deliveries == fate.deliveries;
}

void share_write_add(struct share_write *write, int64_t first, int64_t last, struct share_fate fate)
{
    struct share_batch *end = write->count > 0 ? &write->batches[write->count - 1] : NULL;
    ASSERT(first <= last && (end == NULL || end->last < first));
    if (end != NULL && goes_on(end, first, fate)) {
        end->last = last;
        return;
    }
    if (write->count == write->room) {
        write->room = write->room == 0 ? 8 : 2 * write->room;
        write->batches = mem_realloc(write->batches, write->room * sizeof *write->batches);
    }
    write->batches[write->count++] = (struct share_batch){first, last, fate};
}
