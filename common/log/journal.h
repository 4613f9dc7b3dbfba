// SPDX-License-Identifier: Apache-2.0
// The journal of a data directory: small appends of all its logs become durable by one write and one
// fdatasync, and reach their segments later. A few block files are written in turn, each from its start to
// its end and again, so that after the first pass an fsync allocates nothing. A flush round writes one group:
// a header, one head per log, and that log's batches as they will stand in its segment. A group begins on a
// page of its own, so that a torn write never touches bytes that were acknowledged.
//
// Rules that make replay right (log/replay.h):
// - A block is written anew only after every segment its groups speak of was synced beyond them, and after its
//   header has durably taken the next number: a stale group then never carries the block's number.
// - Before a log's files are cut or renamed away, a group says that all earlier ones of that log are void, and
//   is durable; before that, what those held is synced in the segments. So replay never brings back what was
//   cut.
// - Before compaction puts other bytes in the place of sealed segments, a group says that what earlier ones
//   hold of those is void: what the journal keeps for the segments behind them still counts.
// - A direct write to a segment needs no word here: replay writes the same bytes to the same places.
#ifndef LOG_JOURNAL_H
#define LOG_JOURNAL_H

#include "base/uuid.h"
#include "log/set.h"

enum {
    JOURNAL_BLOCKS = LOG_JOURNAL_BLOCKS,
    JOURNAL_PAGE = LOG_JOURNAL_UNIT,
    JOURNAL_COPY = 512,               // where a block's header stands a second time
    JOURNAL_HEAD = 64,                // bytes of a block's header, a group's header, and each head in a group
    JOURNAL_MAGIC_BLOCK = 0x4d4a4231, // "MJB1"
    JOURNAL_MAGIC_GROUP = 0x4d4a4731  // "MJG1"
};

// What a group says of one log.
struct journal_item {
    struct uuid id; // the topic's
    int32_t partition;
    bool voids;           // earlier items of this log that end at or below `end` do not count; end 0: none
                          // of them does; nothing else below is used
    int64_t base, end;    // offsets of the batches: first, and behind the last
    int64_t segment_base; // where they belong: segment and position in its file
    int64_t position;
    const struct iovec *batches; // one whole batch each
    int count;
    int64_t bytes;
};

// Where the next group goes; taken on the loop, used by the flusher.
struct journal_place {
    uint64_t block, group; // numbers, ascending
    int64_t at;            // position in the block's file
    int64_t previous;      // bytes used of the block before, in a block's first group; else 0
    int64_t bytes;         // result: whole pages written
    enum status status;    // result
};

struct journal {
    struct env *env;
    const char *dir;     // borrowed
    int64_t block_bytes; // of each file; 0: there is no journal
    uint64_t id;         // random, so that nothing of an earlier life is taken for its own
    // The loop's:
    uint64_t head, tail; // the block written now and the oldest one in use
    uint64_t ready;      // the highest block that may be written; 0: none has been made yet
    uint64_t group;      // number of the last group
    int64_t used;        // bytes used of head
    // The flusher's; a block being made or given back is the write-back job's alone:
    struct file *files[JOURNAL_BLOCKS]; // by number modulo JOURNAL_BLOCKS; NULL until made
};

// block_bytes: a multiple of JOURNAL_PAGE, at least two pages; 0 for none. Touches no file.
void journal_init(struct journal *journal, struct env *env, const char *dir, int64_t block_bytes);
void journal_fini(struct journal *journal); // closes its files; no job may run

// Whether a group of so many items and bytes of batches has room in the blocks that are ready.
bool journal_fits(const struct journal *journal, int items, int64_t bytes);

// The same for a group of records: leaves room in the last block that is ready for groups that say what is
// void, which may have to be written before any block can be given back.
bool journal_takes(const struct journal *journal, int items, int64_t bytes);

// Takes the place of a group that fits. No other may be taken until journal_wrote.
struct journal_place journal_take(struct journal *journal, int items, int64_t bytes);
// The group is durable (place->bytes > 0) or came to nothing (0).
void journal_wrote(struct journal *journal, const struct journal_place *place);

// Writes a group and syncs it. Blocking; flusher. After a failure nothing the directory holds in memory may
// be acknowledged any more.
enum status journal_write(struct journal *journal, struct journal_place *place,
                          const struct journal_item *items, int count);

// A group that came to nothing may be on the disk all the same, and would be replayed over what its logs have
// had since: makes sure that nothing is where the next one goes. Blocking; flusher, beside no write-back.
enum status journal_blank(struct journal *journal);

// Blocks in use that the next groups cannot be written to; JOURNAL_BLOCKS at most.
int journal_blocks(const struct journal *journal);

// Whether the next block should be made: a first one, or one more before the one written now is full.
bool journal_wants_block(const struct journal *journal);
// Makes the file of a block, the first JOURNAL_BLOCKS ones: full of zeroes, so that a sync behind a group
// writes no more than the group. Blocking; one job at a time. ST_NO_SPACE: may be tried again.
enum status journal_make(struct journal *journal, uint64_t block);
void journal_made(struct journal *journal); // on the loop, afterwards

// Makes the oldest block writable again: gives it its next number, durably. Blocking; one job at a time.
enum status journal_restamp(struct journal *journal, uint64_t block);
void journal_restamped(struct journal *journal); // on the loop, afterwards

// Name of a block's file within the directory. Kafka passes over plain files there.
struct journal_name {
    char text[32];
};
struct journal_name journal_file_name(int index);

// Removes the files, the oldest block (its index) first and each durably before the next: what a crash leaves
// is always the newest part, where it says what is void. Blocking; when every segment is synced and the
// recovery points are saved.
enum status journal_remove(struct env *env, const char *dir, int oldest);

static inline int64_t journal_pages(int64_t bytes)
{
    return (bytes + JOURNAL_PAGE - 1) / JOURNAL_PAGE * JOURNAL_PAGE;
}

#endif
