// SPDX-License-Identifier: Apache-2.0
// Result codes of every fallible function. One table: name, text, whether the same call may succeed later.
// Kafka's numeric error codes are a layer above (kafka/errors.h); this is what the code inside speaks.
#ifndef BASE_STATUS_H
#define BASE_STATUS_H

#include <stdbool.h>

// X(name, text, retriable)
#define STATUS_TABLE(X)                                                                                      \
    X(OK, "ok", false)                                                                                       \
    X(NO_MEMORY, "out of memory", true)                                                                      \
    X(INVALID, "invalid argument or state", false)                                                           \
    X(MALFORMED, "malformed bytes", false)                                                                   \
    X(TRUNCATED, "input ends too early", false)                                                              \
    X(LIMIT, "a configured limit is reached", true)                                                          \
    X(UNSUPPORTED, "unsupported version or feature", false)                                                  \
    X(NOT_FOUND, "not found", false)                                                                         \
    X(EXISTS, "exists already", false)                                                                       \
    X(AGAIN, "not ready yet", true)                                                                          \
    X(TIMEOUT, "deadline passed", true)                                                                      \
    X(CLOSED, "peer or object closed", true)                                                                 \
    X(UNREACHABLE, "no connection to the peer", true)                                                        \
    X(CANCELLED, "cancelled", true)                                                                          \
    X(IO, "input/output error", false)                                                                       \
    X(NO_SPACE, "no space left on the device", true)                                                         \
    X(CORRUPT, "stored bytes are damaged", false)                                                            \
    X(DENIED, "not authorised", false)                                                                       \
    X(NOT_LEADER, "not the leader or owner", true)                                                           \
    X(STALE, "epoch, incarnation or version is out of date", false)                                          \
    X(LOADING, "state is still loading", true)                                                               \
    X(OUT_OF_RANGE, "offset out of range", false)                                                            \
    X(MISMATCH, "belongs to another cluster, node or directory", false)

enum status {
#define STATUS_ENUM(name, text, retriable) ST_##name,
    STATUS_TABLE(STATUS_ENUM)
#undef STATUS_ENUM
        ST_COUNT
};

// Short lower-case English text of a status; never NULL, also for a value outside the table.
const char *status_text(enum status status);

// Upper-case name without prefix, e.g. "NO_SPACE"; never NULL.
const char *status_name(enum status status);

// Whether the same call can be expected to succeed later without a change by the caller.
bool status_retriable(enum status status);

// The status that stands for an errno value: ENOSPC and EDQUOT → NO_SPACE, ENOENT → NOT_FOUND, EEXIST →
// EXISTS, ENOMEM → NO_MEMORY, EAGAIN → AGAIN, ECONN* and EPIPE → CLOSED, all else → IO.
enum status status_from_errno(int error);

#endif
