// SPDX-License-Identifier: Apache-2.0
// What the parts of `millrace why` share: whom they ask, and the causes they find. Each part is a file
// why_SUBJECT.c; a cause is a word for programs and a sentence for people.
#ifndef CLI_WHY_H
#define CLI_WHY_H

#include "admin.h"
#include "daemons.h"

enum { WHY_CAUSES_MAX = 50 }; // more are counted

struct why_cause {
    const char *name; // "no_members"
    char *text;
};

struct why {
    struct admin *admin;
    const struct daemons *daemons;
    struct why_cause causes[WHY_CAUSES_MAX];
    int count, more;
    char *fine; // what is said when no cause was found
};

// The subject does not advance because of this. name: static.
void why_say(struct why *why, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
// What is true if there is no cause.
void why_fine(struct why *why, const char *format, ...) __attribute__((format(printf, 2, 3)));

// A member of an object; -1 when it is absent or null.
int64_t why_number(const cJSON *object, const char *name);
// The same; "?" when it is absent.
const char *why_string(const cJSON *object, const char *name);
// A duration in words, in a buffer of the caller.
struct why_time {
    char text[32];
};
struct why_time why_time(int64_t ms);

// Each fills why; another code than CLI_DONE: it could not be found out, and a message was printed.
enum cli_exit why_group(struct why *why, const char *name);
enum cli_exit why_topic(struct why *why, const char *name);
enum cli_exit why_txn(struct why *why, const char *name);

// A share group (why_share.c): group and lag as its coordinator tells them.
struct why_group_seen {
    const char *name;
    const cJSON *group, *lag;
    const struct kafka_metadata_response *metadata;
};
void why_share(struct why *why, const struct why_group_seen *seen);

// ---- shared findings ----

// Says who makes a partition offline. False: it has a leader.
bool why_offline(struct why *why, const struct kafka_metadata_response *metadata, struct slice topic,
                 int32_t partition);
const struct kafka_metadata_response_metadata_response_partition *
why_partition(const struct kafka_metadata_response *metadata, struct slice topic, int32_t partition);

// A producer as the leader of a partition knows it.
struct why_producer {
    int64_t id;
    int32_t epoch;
    int64_t first_offset; // of its open transaction, -1: none
    int64_t last_ms;      // wall clock, of its last batch; -1
};
// The one whose transaction has been open longest there (id -1), or the one named. False: none, or nobody can
// be asked.
bool why_producer_at(struct why *why, int32_t leader, struct slice topic, int32_t partition,
                     struct why_producer *producer);

#endif
