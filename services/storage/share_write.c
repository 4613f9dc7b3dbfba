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

static bool goes_on(const struct share_batch *end, const struct share_batch *batch)
{
    return end->last + 1 == batch->first && end->fate.state == batch->fate.state &&
           end->fate.deliveries == batch->fate.deliveries && end->death == batch->death;
}

void share_write_split(struct share_write *write, struct share_write *dead)
{
    struct share_write all = *write;
    share_write_init(write);
    *dead = *write;
    write->number = all.number;
    dead->dead_number = all.dead_number;
    write->start_offset = dead->start_offset = all.start_offset;
    write->delivery_complete = dead->delivery_complete = all.delivery_complete;
    for (size_t i = 0; i < all.count; i++)
        share_write_add(all.batches[i].death == SHARE_NO_DEATH ? write : dead, &all.batches[i]);
    share_write_fini(&all);
}

void share_write_add(struct share_write *write, const struct share_batch *batch)
{
    struct share_batch *end = write->count > 0 ? &write->batches[write->count - 1] : NULL;
    ASSERT(batch->first <= batch->last && (end == NULL || end->last < batch->first));
    if (end != NULL && goes_on(end, batch)) {
        end->last = batch->last;
        return;
    }
    if (write->count == write->room) {
        write->room = write->room == 0 ? 8 : 2 * write->room;
        write->batches = mem_realloc(write->batches, write->room * sizeof *write->batches);
    }
    write->batches[write->count++] = *batch;
}
