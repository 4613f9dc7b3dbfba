// SPDX-License-Identifier: Apache-2.0
// The memory of the power-cut shim: for every file below the root, what has to be put back if the power fails
// now. All functions but undo_all expect the caller to hold undo_lock.
#ifndef TESTS_POWERCUT_UNDO_H
#define TESTS_POWERCUT_UNDO_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct node; // one file or directory (device and inode)

// root: an existing directory; its realpath counts. Side copies of removed files go to ROOT.powercut.
void undo_start(const char *root);

// Takes the lock; never returns once the power is off.
void undo_lock(void);
void undo_unlock(void);

// Whether a path (made canonical except for its last part, which need not exist) lies below the root; fills
// full.
bool undo_below(int dirfd, const char *path, char full[4096]);

// The node of an open descriptor whose file lies below the root, else NULL. One reference for the caller.
struct node *undo_node(int fd);
void undo_node_release(struct node *node);

// Opens the node's own descriptor while a writable one is at hand; before the first undo_write or
// undo_truncate.
void undo_attach(struct node *node, int fd);

// Before bytes [at, at+len) of the file change (at -1: the end), or its size does (keep_size: cannot grow).
void undo_write(struct node *node, int64_t at, int64_t len);
void undo_truncate(struct node *node, int64_t size);

// After an entry was made; before one is removed or renamed over. Returns a handle: undo_entry_done(ok) keeps
// or drops.
struct entry;
void undo_created(const char *full, bool directory);
struct entry *undo_removing(const char *full, bool directory);
struct entry *undo_renaming(const char *from, const char *to);
void undo_entry_done(struct entry *entry, bool ok);

// A point in time, taken before a sync begins; after it succeeded, what came before the point is safe for the
// node (a directory: its entries), or for everything (node NULL).
uint64_t undo_point(void);
void undo_synced(struct node *node, uint64_t point);

// The power fails: puts everything back. The lock is taken and kept.
void undo_all(void);

#endif
