// SPDX-License-Identifier: Apache-2.0
// What this node knows of the schemas that records of its topics may have: per topic and side (keys or
// values) the ids that a registry was asked about, and what it said. Pure: no I/O, the time is passed in.
//
// Batches are judged by a book, what is known of one side at one time, which does not change: the pool may
// read it while the loop learns more. Books are taken, given back and made on the loop only.
//
// How long a thing counts: a schema that records may have is asked about again after GUARD_FRESH_MS and used
// meanwhile, but no longer than GUARD_USED_MS without an answer; while no registry answers at all it goes on
// counting, since the last answer is the best there is. That records may not have a schema counts for a
// moment only, since it may be registered at any time.
#ifndef STORAGE_GUARD_CACHE_H
#define STORAGE_GUARD_CACHE_H

#include "base/map.h"
#include "base/uuid.h"
#include "schema/claim.h"
#include "schema/protobuf_index.h"
#include "schema/schema.h"

enum {
    GUARD_FRESH_MS = 10000,
    GUARD_USED_MS = 30000,
    GUARD_DENIED_MS = 1000,   // such a schema is unknown, or not of the subject
    GUARD_SILENCE_MS = 500,   // no registry answered
    GUARD_SIDE_MAX = 1000,    // ids of one side; the ones learned first go
    GUARD_TOPICS_MAX = 10000, // topics and sides; the least used go
    GUARD_LARGE_MAX = 4       // schemas of any size for which there is room at once
};

enum guard_level { GUARD_NONE, GUARD_ID, GUARD_FULL };
// Numbers of millrace.SubjectStrategy in protos/registry.proto.
enum guard_strategy { GUARD_TOPIC_NAME, GUARD_RECORD_NAME, GUARD_TOPIC_RECORD_NAME };

struct guard_rule {
    enum guard_level level; // confluent.*.schema.validation, millrace.*.schema.validation
    enum guard_strategy strategy;
};

// What a topic asks of its records.
struct guard_rules {
    bool any; // one of the sides is looked at
    struct guard_rule sides[SCHEMA_SIDES];
};

// What a registry is asked about: a schema, and where the strategy goes by the record's type and the schema
// is of Protobuf, which of its messages. All bytes count, there are none between.
struct guard_id {
    struct schema_id schema;
    char message[PROTOBUF_INDEX_TEXT]; // protobuf_index_text, zeroes behind; "": none is told
};

enum guard_verdict {
    GUARD_GOOD,
    GUARD_BY_MESSAGE,   // it depends on the message, about which there is a question of its own
    GUARD_UNKNOWN,      // there is no such schema
    GUARD_UNREGISTERED, // no live version of the subject has it
    GUARD_UNREADABLE,   // GUARD_FULL: payloads cannot be checked, see fault
    GUARD_SILENCE       // no registry answered
};

// What a registry said.
struct guard_told {
    enum guard_verdict verdict;
    struct schema *schema;       // changes owner; NULL unless GUARD_FULL and good
    const char *subject, *fault; // copied; NULL: none
    size_t bytes;                // of memory for the schema; counts bytes_max / GUARD_LARGE_MAX at most
};

struct guard_entry {
    struct guard_id id;
    enum guard_verdict verdict;
    struct schema *schema;
    char *subject, *fault;
    size_t bytes;               // as counted
    int64_t fresh_us, until_us; // asked anew from then on; not used from then on
    int refs;
};

struct guard_book {
    int refs;
    enum guard_level level;
    bool dear;        // a payload may take long to check whatever its size
    int64_t until_us; // what is known then is in another book
    size_t count;
    struct guard_entry *entries[]; // by id
};

struct guard_book *guard_book_ref(struct guard_book *book); // NULL is fine
void guard_book_unref(struct guard_book **book);            // NULL inside is fine
// NULL: nothing is known of the id.
const struct guard_entry *guard_book_find(const struct guard_book *book, const struct guard_id *id);

struct guard_side;
struct guard_cache {
    size_t entries_max, bytes_max; // bytes as counted, see guard_told
    struct map sides;
    struct guard_side *first, *last; // used last, used least
    size_t entries, bytes;
};

void guard_cache_init(struct guard_cache *cache, size_t entries_max, size_t bytes_max, uint64_t seed);
void guard_cache_fini(struct guard_cache *cache);

// The side of a topic, made when it is not there. What was known under another rule is forgotten.
struct guard_side *guard_cache_side(struct guard_cache *cache, struct uuid topic, int side,
                                    struct guard_rule rule);
// NULL: it is not there, or goes by another rule now.
struct guard_side *guard_cache_find(struct guard_cache *cache, struct uuid topic, int side,
                                    struct guard_rule rule);

// What is known now. The caller gives it back.
struct guard_book *guard_side_book(struct guard_side *side, int64_t now_us);

// Ids that are used and ought to be asked about again; at most max. Each is told once in GUARD_DENIED_MS.
size_t guard_side_due(struct guard_side *side, int64_t now_us, struct guard_id *ids, size_t max);

// A registry has answered, or none has. What is beyond the limits goes: first all of the side used least,
// never what is told now.
void guard_side_tell(struct guard_side *side, const struct guard_id *id, const struct guard_told *told,
                     int64_t now_us);
void guard_side_silence(struct guard_side *side, const struct guard_id *id, int64_t now_us);

#endif
