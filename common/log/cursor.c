// SPDX-License-Identifier: Apache-2.0
// See cursor.h.
#include "log/cursor.h"

#include "base/mem.h"

void log_cursors_destroy(struct log_cursors **cursors)
{
    mem_free(*cursors);
    *cursors = NULL;
}

void log_cursors_note(struct log_cursors **noted, int64_t from, struct log_cursor ended)
{
    if (*noted == NULL)
        *noted = mem_calloc(1, sizeof **noted);
    struct log_cursors *cursors = *noted;
    for (int i = 0; i < LOG_CURSORS; i++) {
        struct log_cursor *row = &cursors->rows[i];
        if (row->offset != 0 && (row->offset == from || row->offset == ended.offset)) {
            *row = ended;
            return;
        }
    }
    cursors->rows[cursors->next++ % LOG_CURSORS] = ended;
}

int64_t log_cursors_find(const struct log_cursors *cursors, int64_t base, int64_t offset)
{
    for (int i = 0; cursors != NULL && i < LOG_CURSORS; i++) {
        const struct log_cursor *row = &cursors->rows[i];
        if (row->offset == offset && row->base == base && offset != 0)
            return row->position;
    }
    return -1;
}
