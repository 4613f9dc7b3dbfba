// SPDX-License-Identifier: Apache-2.0
// Decide, append, apply, commit, reply (design section 3 rule 3) over the Raft log. Two images: what is
// committed, on every controller; and on the active one what has been decided, which is ahead of it and
// thrown away with leadership. An entry holds the records of one decision (it is committed whole or not at
// all); a decision too large for one entry stands between marks and counts when its end is committed
// (DecisionRecord). Each record has an offset of its own, and an entry without records (a no-op, a
// configuration) takes one offset.
#ifndef CONTROLLER_METADATA_H
#define CONTROLLER_METADATA_H

#include "decision.h"
#include "feed.h"
#include "quorum.h"

struct metadata;

struct metadata_options {
    struct env *env;
    struct quorum *quorum;
    struct store *store;
    struct feed *feed;
    int64_t snapshot_entries; // take a snapshot after so many entries,
    int64_t snapshot_bytes;   // or so many bytes of them
    void *context;
    // This controller became the active one (its image is complete), or is it no more.
    void (*on_active)(void *context, bool active);
    void (*on_fail)(void *context, const char *why);
};

// boot: what the store holds; its records are applied.
enum status metadata_new(const struct metadata_options *options, const struct store_boot *boot,
                         struct metadata **metadata);
void metadata_destroy(struct metadata **metadata);

// After every Raft step; after a snapshot of the leader was installed.
void metadata_advance(struct metadata *metadata);
enum status metadata_install(struct metadata *metadata, const struct store_boot *boot);
void metadata_snapshot_done(struct metadata *metadata, enum status status, int64_t index);

bool metadata_active(const struct metadata *metadata);
const struct image *metadata_committed(const struct metadata *metadata);
// What decisions look at; only while active.
const struct image *metadata_image(const struct metadata *metadata);
// Last committed and last decided offset.
int64_t metadata_commit_offset(const struct metadata *metadata);
int64_t metadata_offset(const struct metadata *metadata);

// Appends and applies; an empty decision is OK. NOT_LEADER, LIMIT (too much waits for commitment), NO_SPACE;
// INVALID: the records contradict the image (a bug, told in a diag line). Nothing is changed then.
enum status metadata_append(struct metadata *metadata, const struct decision *decision);

// Appends another voter set, which counts as an entry without records. As quorum_configure, and NOT_LEADER
// while not active.
enum status metadata_configure(struct metadata *metadata, const struct raft_config *config);

// status: ST_OK once everything decided so far is committed, ST_NOT_LEADER when that will not be known here.
typedef void metadata_fn(void *context, enum status status);
// May call done from inside when nothing has to be waited for. Waits end in order.
void metadata_when_committed(struct metadata *metadata, metadata_fn *done, void *context);

// The same for an answer that decided nothing: a majority is asked first whether this is still the active
// controller, so that a deposed one does not tell the past.
void metadata_when_current(struct metadata *metadata, metadata_fn *done, void *context);
// From the quorum: the read with that token, and all before it, are confirmed.
void metadata_read(struct metadata *metadata, uint64_t token);

#endif
