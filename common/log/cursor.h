// SPDX-License-Identifier: Apache-2.0
// Where the last few cold reads of a log ended: a consumer that reads on from there needs no index, and what
// follows can be brought into the page cache before it asks. A hint, never the truth: a reader checks that
// the batch at the position is the one it wants.
#ifndef LOG_CURSOR_H
#define LOG_CURSOR_H

#include <stdint.h>

enum { LOG_CURSORS = 8 }; // consumers at different places that are told apart

struct log_cursor {
    int64_t offset;   // the next one to be read; 0: none, since nobody reads on to 0
    int64_t base;     // segment
    int64_t position; // in its file
};

struct log_cursors {
    struct log_cursor rows[LOG_CURSORS];
    uint32_t next; // row to be written next
};

// Notes that a read that began at from ended there; it takes the place of the one that led it to from. NULL
// becomes what can be noted in: most logs are never read cold.
void log_cursors_note(struct log_cursors **noted, int64_t from, struct log_cursor ended);

void log_cursors_destroy(struct log_cursors **cursors); // NULL then

// Where in the segment a read from offset goes on; -1 when no read ended there. cursors may be NULL.
int64_t log_cursors_find(const struct log_cursors *cursors, int64_t base, int64_t offset);

#endif
