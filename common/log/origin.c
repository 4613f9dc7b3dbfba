// SPDX-License-Identifier: Apache-2.0
// See origin.h. Lines of "key: value" as in Kafka's partition.metadata.
#include "log/origin.h"

#include "log/files.h"

#include <string.h>

static const char file_name[] = "millrace-origin", version[] = "version: ";

enum { BYTES_MAX = 4096, ID_AT = 25, BYTES = 59 }; // of the file: at most, before its id, all

static enum status print(const struct log_origin *origin, struct buf *out)
{
    char id[UUID_TEXT_SIZE];
    uuid_format(origin->directory_id, id);
    return buf_printf(out, "%s0\ndirectory_id: %s\ndecided: %d\n", version, id, origin->decided);
}

// What it prints to is what was read, or it is not one.
static enum status parse(struct slice text, struct log_origin *origin)
{
    char id[UUID_TEXT_SIZE] = {0};
    struct buf again;
    if (text.len < ID_AT || memcmp(text.data, version, sizeof version - 1) != 0)
        return ST_MALFORMED;
    if (text.data[sizeof version - 1] != '0')
        return ST_UNSUPPORTED;
    if (text.len != BYTES)
        return ST_MALFORMED;
    memcpy(id, text.data + ID_AT, sizeof id - 1);
    origin->decided = text.data[BYTES - 2] == '1';
    buf_init(&again, BYTES_MAX);
    bool good = uuid_parse(id, &origin->directory_id) && print(origin, &again) == ST_OK &&
                slice_equal(buf_slice(&again), text);
    buf_fini(&again);
    return good ? ST_OK : ST_MALFORMED;
}

enum status log_origin_load(struct env *env, const char *dir, struct log_origin *origin)
{
    struct buf text;
    *origin = (struct log_origin){0};
    buf_init(&text, BYTES_MAX);
    enum status status = log_file_load(env, dir, file_name, &text);
    if (status == ST_OK)
        status = parse(buf_slice(&text), origin);
    if (status != ST_OK)
        *origin = (struct log_origin){0};
    buf_fini(&text);
    return status == ST_NOT_FOUND ? ST_OK : status == ST_LIMIT ? ST_MALFORMED : status;
}

enum status log_origin_save(struct env *env, const char *dir, const struct log_origin *origin)
{
    struct buf text;
    buf_init(&text, BYTES_MAX);
    enum status status = print(origin, &text);
    if (status == ST_OK)
        status = log_file_replace(env, dir, file_name, buf_slice(&text), true);
    buf_fini(&text);
    return status;
}

enum status log_origin_remove(struct env *env, const char *dir)
{
    enum status status = log_file_remove(env, dir, file_name);
    return status == ST_OK ? path_sync_dir(env, dir) : status;
}
