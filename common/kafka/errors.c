// SPDX-License-Identifier: Apache-2.0
// Lookup in the error table. See errors.h.
#include "kafka/errors.h"

#include <stddef.h>

struct row {
    const char *name;
    const char *text;
    bool retriable;
};

static const struct row *find(int16_t code)
{
    // Codes start at -1 and have no gaps.
    static const struct row rows[] = {
#define KAFKA_ERROR_ROW(name, code, retriable, text) [code + 1] = {#name, text, retriable},
        KAFKA_ERROR_TABLE(KAFKA_ERROR_ROW)
#undef KAFKA_ERROR_ROW
    };
    int index = code + 1;
    return index >= 0 && index < (int)(sizeof rows / sizeof *rows) ? &rows[index] : NULL;
}

const char *kafka_error_name(int16_t code)
{
    const struct row *row = find(code);
    return row ? row->name : "UNKNOWN";
}

const char *kafka_error_text(int16_t code)
{
    const struct row *row = find(code);
    return row ? row->text : "unknown error code";
}

bool kafka_error_retriable(int16_t code)
{
    const struct row *row = find(code);
    return row != NULL && row->retriable;
}
