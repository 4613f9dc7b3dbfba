// SPDX-License-Identifier: Apache-2.0
// The texts of enum status and its mapping from errno. Pure tables.
#include "base/status.h"

#include <errno.h>

static const struct {
    const char *name;
    const char *text;
    bool retriable;
} table[ST_COUNT] = {
#define STATUS_ROW(name, text, retriable) [ST_##name] = {#name, text, retriable},
    STATUS_TABLE(STATUS_ROW)
#undef STATUS_ROW
};

const char *status_text(enum status status)
{
    return (unsigned)status < ST_COUNT ? table[status].text : "unknown status";
}

const char *status_name(enum status status)
{
    return (unsigned)status < ST_COUNT ? table[status].name : "UNKNOWN";
}

bool status_retriable(enum status status)
{
    return (unsigned)status < ST_COUNT && table[status].retriable;
}

enum status status_from_errno(int error)
{
    switch (error) {
    case 0:
        return ST_OK;
    case ENOSPC:
    case EDQUOT:
        return ST_NO_SPACE;
    case ENOENT:
        return ST_NOT_FOUND;
    case EEXIST:
        return ST_EXISTS;
    case ENOMEM:
        return ST_NO_MEMORY;
    case EAGAIN:
        return ST_AGAIN;
    case EINVAL:
        return ST_INVALID;
    case ECONNRESET:
    case ECONNABORTED:
    case EPIPE:
        return ST_CLOSED;
    case ECONNREFUSED:
    case EHOSTUNREACH:
    case ENETUNREACH:
        return ST_UNREACHABLE;
    case ETIMEDOUT:
        return ST_TIMEOUT;
    default:
        return ST_IO;
    }
}
