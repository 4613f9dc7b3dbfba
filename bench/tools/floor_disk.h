// SPDX-License-Identifier: Apache-2.0
// The floor's disk: one file, and a thread that syncs again as soon as the last sync has ended and something
// is new. The file is made of written blocks that are overwritten round and round, so that fdatasync has no
// metadata to write; or it is appended to without an end, as by everyone who keeps what came before.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct disk;

// A file PATH of size bytes, all written and synced before this returns; with appends an empty one that grows
// and size means nothing. Ends the program when it cannot.
struct disk *disk_open(const char *path, int64_t size, bool appends);

// Writes len bytes (at most the file) and returns the position behind them, counted since the start.
uint64_t disk_append(struct disk *disk, const void *data, size_t len);

// Asks the thread to sync what has been appended by now.
void disk_flush(struct disk *disk);

// Becomes readable (an eventfd) whenever disk_synced has moved.
int disk_fd(const struct disk *disk);

// Everything before this position is durable.
uint64_t disk_synced(struct disk *disk);
