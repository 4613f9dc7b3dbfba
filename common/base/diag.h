// SPDX-License-Identifier: Apache-2.0
// Diagnostics: one line per event on standard error, machine-readable key=value after a short text:
//   2026-01-02T03:04:05.678Z INFO  storage-1 recovered partition topic=orders-3 dropped_bytes=17
// The sink is a value handed around (in struct env), so that the simulator keeps its own and tests can read
// it.
#ifndef BASE_DIAG_H
#define BASE_DIAG_H

#include <stdbool.h>
#include <stdint.h>

enum diag_level { DIAG_DEBUG, DIAG_INFO, DIAG_WARN, DIAG_ERROR };

struct diag {
    enum diag_level level; // lines below it are dropped
    const char *who;       // daemon and id, e.g. "storage-1"; borrowed
    void (*write)(struct diag *diag,
                  const char *line);       // gets the whole line without newline; NULL = standard error
    int64_t (*wall_ms)(struct diag *diag); // clock of the stamp; NULL = the real one
    void *context;                         // for write and wall_ms
};

// The text is lower case without a full stop, then the key=value pairs; at most 1,000 bytes, longer is cut.
void diag_line(struct diag *diag, enum diag_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#define DIAG_DEBUG(diag, ...) diag_line(diag, DIAG_DEBUG, __VA_ARGS__)
#define DIAG_INFO(diag, ...)  diag_line(diag, DIAG_INFO, __VA_ARGS__)
#define DIAG_WARN(diag, ...)  diag_line(diag, DIAG_WARN, __VA_ARGS__)
#define DIAG_ERROR(diag, ...) diag_line(diag, DIAG_ERROR, __VA_ARGS__)

// The level while other threads write lines.
enum diag_level diag_level(const struct diag *diag);
void diag_set_level(struct diag *diag, enum diag_level level);

// "debug" | "info" | "warn" | "error" in any case; false when it is none of them.
bool diag_level_parse(const char *text, enum diag_level *level);

#endif
