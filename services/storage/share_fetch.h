// SPDX-License-Identifier: Apache-2.0
// A ShareFetch under way, shared by share_fetch.c (the request and its session) and share_fetch_item.c (one
// of its partitions). Theirs only.
#ifndef STORAGE_SHARE_FETCH_H
#define STORAGE_SHARE_FETCH_H

#include "kafka/messages/share_fetch.h"
#include "share_caller.h"

typedef struct kafka_share_fetch_response_partition_data share_answer;

enum share_item_state { SHARE_ITEM_TODO, SHARE_ITEM_READING, SHARE_ITEM_DONE };

struct share_item {
    struct share_waiter waiter; // first: of its acknowledgements
    struct share_fetch *fetch;
    struct share_place place;
    bool fetches; // records are wanted
    bool acks;    // the request had acknowledgements for it
    share_answer *answer;
    enum share_item_state state;
    int64_t from;         // where its next record was, at the last look
    int64_t seen_end;     // the watermark then
    bool ready, room;     // the share partition was ready then, and could give records
    struct piece *pieces; // LOG_PIECES, in the arena
    int piece_count;
    struct wait moved; // the watermark of the replica
    struct wait freed; // records may have come back, or the share partition is ready
};

struct share_fetch {
    struct share_caller caller;
    struct share_session *session; // a reference
    struct kafka_share_fetch_response response;
    struct timer timer; // max_wait_ms
    struct timer again; // something it waited for has happened
    struct map by_place;
    int64_t bytes_max, bytes;
    int64_t records; // acquired
    int32_t open;    // acknowledgements that are not written yet
    bool read_committed;
    bool must_answer; // an error, the time is up, or nothing is to be waited for
    bool cancelled;
    bool reading; // a read on the pool is under way
    int32_t next; // first item not looked at in this pass
    int32_t count;
    struct share_item *items;
    struct share_item **news; // while the answer is put together: those it tells of
    share_answer *answers;    // one per item
    share_answer *told;       // those that are said, together by topic
    int32_t told_count;
};

// ---- share_fetch.c ----
void share_fetch_go_on(struct share_fetch *fetch);
void share_fetch_again(struct share_fetch *fetch); // looks at everything once more, later in this turn

// ---- share_fetch_item.c ----
// Acquires what can be had; READING: share_fetch_go_on is called when that has ended.
void share_item_look(struct share_item *item);
void share_item_wait(struct share_item *item); // for what could make another look worth it
void share_item_unwait(struct share_item *item);
void share_item_release(struct share_item *item); // its bytes

#endif
