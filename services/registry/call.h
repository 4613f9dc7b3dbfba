// SPDX-License-Identifier: Apache-2.0
// One request, wherever it came from (REST here, REST of another process by rpc, a test): an operation of the
// table (operations.h) with its parameters, and what it gives back: records to be written and an answer that
// counts once they are committed. An operation reads the state and changes nothing; it is pure.
// One that is made of several that must see each other's records has them settled in between (call_settle);
// before it does, it rehearses them (operation_rehearse), as what is settled cannot be run again.
#ifndef REGISTRY_CALL_H
#define REGISTRY_CALL_H

#include "base/buf.h"
#include "keys.h"
#include "record.h"
#include "settings.h"

enum {
    CALL_QUERY_MAX = 26,        // query arguments of one request, those its context adds included
    CALL_ARENA_MAX = 24 << 20,  // memory one request may take for texts
    CALL_REPLY_MAX = 12 << 20,  // bytes of an answer; above: 50001
    CALL_PARSED_MAX = 16 << 20, // bytes of schema texts one request may have parsed; above: 42209
    CALL_PROTOBUF_WEIGHT = 6,   // what a byte of a Protobuf text counts for there
    CALL_RECORDS_MAX = 100000,  // records one request may write
    CALL_RECORD_BYTES_MAX = 24 << 20
};

struct operation;
struct chores;

struct call;

// Who runs a call that writes. NULL in a call that cannot.
struct call_host {
    uint64_t (*random)(void *context); // cannot be foretold
    // Has the records of the call applied to the state at once. Anything but ST_OK: not all of them are.
    enum status (*settle)(struct call *call, void *context);
    void *context;
};

struct call_pair {
    const char *name, *value;
};

struct call_record {
    size_t key_len, value_len;
    size_t key_at, value_at; // in call->bytes
    bool tombstone;
};

struct call {
    // ---- the request; texts are borrowed ----
    const struct operation *operation;
    const char *principal;                     // who asks, as Kafka writes it: "User:ANONYMOUS"
    const char *subject;                       // qualified and normalised; "" when the path has none
    const char *asked;                         // the subject before its alias was followed (operation_run)
    const char *version, *id, *guid, *context; // as in the path; NULL when it has none
    const char *name, *name_space;             // likewise: of a key, or of a resource
    struct call_pair query[CALL_QUERY_MAX];
    size_t query_count;
    struct slice body;
    bool
        unknown_fields; // the client takes fields Confluent added later (Confluent-Accept-Unknown-Properties)
    bool there_only;    // of registering: answer when the schema is there, else nothing
    // ---- what it looks at ----
    struct state *state; // read only, but for the order of its subjects
    const struct keys *keys;
    const struct settings *settings;
    const struct call_host *host;
    int64_t now_ms;      // by the wall clock
    const char *cluster; // id of the Kafka cluster, as text
    // ---- what is too dear for the loop (chores.h) ----
    size_t spot_max;       // bytes an operation may work through on the spot; call_init: SIZE_MAX
    size_t spot;           // has, in this run
    struct chores *chores; // done, or to be done before the next run; NULL: none
    bool later;            // something is to be done; the call has given nothing
    bool rehearsal;        // only what is to be done is looked for; what the call gives counts for nothing
    bool settled;          // some of its records are written: it is not to be run again
    // ---- what it gives ----
    struct arena arena; // whatever the operation needs
    size_t parsed;      // bytes of schema texts, those refused included
    int code;           // HTTP status
    struct buf reply;   // JSON
    struct buf bytes;   // of the records
    struct call_record *records;
    size_t record_count, record_cap;
    bool plain;       // the reply is a schema's text by itself
    const char *type; // its media type; NULL: which of ours the client likes best
};

// Everything else is set by the caller before operation_run.
void call_init(struct call *call);
void call_fini(struct call *call);
// Drops what it gave, to be run anew.
void call_reset(struct call *call);

// ---- reading ----
const char *call_query(const struct call *call, const char *name); // NULL when absent
bool call_flag(const struct call *call, const char *name);         // "true" in any case
// Values of a repeated argument ("key", "key[]"), in order: start with *at = 0. NULL: no more.
const char *call_query_next(const struct call *call, const char *name, size_t *at);
// The number of an argument, fallback when absent or not a number.
int64_t call_number(const struct call *call, const char *name, int64_t fallback);

// ---- answering ----
// An error of Confluent's: five digits, whose first three are the HTTP status, or the HTTP status itself.
// Drops whatever was answered and written before. Always false, to be returned.
bool call_fail(struct call *call, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));

// ---- writing ----
// Adds a record. value: an empty buf stands for a tombstone.
void call_write(struct call *call, enum record_kind kind, const char *subject, int32_t version,
                const struct buf *value);
// The same for a record whose key is not made of subject and version. value.data NULL: a tombstone.
void call_put(struct call *call, struct slice key, struct slice value);
// Has everything written so far applied, so that what comes next is decided on it; pointers into the state
// are worth nothing afterwards. False: answered.
bool call_settle(struct call *call);
// The bytes of a record; value.data NULL: a tombstone.
void call_record_at(const struct call *call, size_t i, struct slice *key, struct slice *value);

// ---- which part of a list ----
struct page {
    int64_t offset, limit; // limit: INT64_MAX for all
};
// limit_max: when none (or more) is asked for.
struct page call_page(const struct call *call, int64_t limit_max);
// Whether the item that comes now (counted by *seen) is on the page.
bool page_has(const struct page *page, int64_t *seen);

#endif
