// SPDX-License-Identifier: Apache-2.0
// See protobuf_index.h.
#include "schema/protobuf_index.h"

#include "base/varint.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static enum status take_number(struct slice *payload, int64_t max, int32_t *number)
{
    int64_t value;
    int used = varint64_get(payload->data, payload->len, &value);
    if (used <= 0)
        return used == 0 ? ST_TRUNCATED : ST_MALFORMED;
    *payload = slice_of(payload->data + used, payload->len - (size_t)used);
    *number = (int32_t)value;
    return value >= 0 && value <= max ? ST_OK : ST_MALFORMED;
}

enum status protobuf_index_take(struct slice *payload, struct protobuf_index *index)
{
    int32_t count;
    enum status status = take_number(payload, PROTOBUF_NEST_MAX, &count);
    if (status != ST_OK)
        return status;
    index->count = count > 0 ? (uint32_t)count : 1;
    index->levels[0] = 0;
    for (int32_t i = 0; status == ST_OK && i < count; i++)
        status = take_number(payload, INT32_MAX, &index->levels[i]);
    return status;
}

static void put_number(int32_t number, struct buf *out)
{
    uint8_t bytes[VARINT64_MAX];
    buf_append(out, bytes, (size_t)varint64_put(bytes, number));
}

void protobuf_index_put(const struct protobuf_index *index, struct buf *out)
{
    if (index->count == 1 && index->levels[0] == 0) {
        put_number(0, out);
        return;
    }
    put_number((int32_t)index->count, out);
    for (uint32_t i = 0; i < index->count; i++)
        put_number(index->levels[i], out);
}

// One of a level's messages; *at: which.
static const struct protobuf_message *named(const struct protobuf_message *const *messages, uint32_t count,
                                            struct slice name, int32_t *at)
{
    for (uint32_t i = 0; i < count; i++)
        if (slice_equal(messages[i]->name, name)) {
            *at = (int32_t)i;
            return messages[i];
        }
    return NULL;
}

static struct slice without_package(const struct protobuf_file *file, struct slice name)
{
    size_t len = file->package.len;
    bool inside = len > 0 && name.len > len && name.data[len] == '.' &&
                  memcmp(name.data, file->package.data, len) == 0;
    return inside ? slice_of(name.data + len + 1, name.len - len - 1) : name;
}

static const struct protobuf_message *find_path(const struct protobuf_file *file, struct slice name,
                                                struct protobuf_index *index)
{
    const struct protobuf_message *const *messages = file->declared, *found = NULL;
    uint32_t count = file->declared_count;
    for (index->count = 0; index->count < PROTOBUF_NEST_MAX;) {
        const uint8_t *dot = memchr(name.data, '.', name.len);
        size_t len = dot != NULL ? (size_t)(dot - name.data) : name.len;
        found = named(messages, count, slice_of(name.data, len), &index->levels[index->count++]);
        if (found == NULL || dot == NULL)
            return found;
        name = slice_of(dot + 1, name.len - len - 1);
        messages = found->declared;
        count = found->declared_count;
    }
    return NULL;
}

const struct protobuf_message *protobuf_index_find(const struct protobuf_file *file, struct slice name,
                                                   struct protobuf_index *index)
{
    const struct protobuf_message *found = find_path(file, without_package(file, name), index);
    return found != NULL ? found : find_path(file, name, index);
}

// Messages of one level, those that stand for maps among them or not.
struct level {
    const struct protobuf_message *all, *const *declared;
    uint32_t count, declared_count;
};

// entries: how many of those that stand for maps are counted before it; -1: as the descriptor here has them.
static const struct protobuf_message *nth(const struct level *level, int32_t index, int32_t entries)
{
    uint32_t at = (uint32_t)index, there = level->count - level->declared_count;
    uint32_t before = (uint32_t)entries < there ? (uint32_t)entries : there;
    if (entries < 0)
        return at < level->count ? &level->all[at] : NULL;
    return at >= before && at - before < level->declared_count ? level->declared[at - before] : NULL;
}

static const struct protobuf_message *find(const struct protobuf_file *file,
                                           const struct protobuf_index *index, int32_t entries)
{
    struct level level = {file->messages, file->declared, file->message_count, file->declared_count};
    const struct protobuf_message *found = NULL;
    for (uint32_t i = 0; i < index->count; i++) {
        found = nth(&level, index->levels[i], entries);
        if (found == NULL)
            return NULL;
        level = (struct level){found->messages, found->declared, found->message_count, found->declared_count};
    }
    return found;
}

static void add(struct protobuf_meant *meant, const struct protobuf_message *message)
{
    if (message == NULL || message->map_entry)
        return;
    for (uint32_t i = 0; i < meant->count; i++)
        if (meant->items[i] == message)
            return;
    meant->items[meant->count++] = message;
}

void protobuf_index_meant(const struct protobuf_file *file, const struct protobuf_index *index,
                          struct protobuf_meant *meant)
{
    meant->count = 0;
    for (int32_t entries = -1; entries < PROTOBUF_MEANT_MAX - 1; entries++)
        add(meant, find(file, index, entries));
}

enum status protobuf_index_text(const struct protobuf_index *index, char text[PROTOBUF_INDEX_TEXT])
{
    size_t len = 0;
    for (uint32_t i = 0; i < index->count && len < PROTOBUF_INDEX_TEXT; i++)
        len += (size_t)snprintf(text + len, PROTOBUF_INDEX_TEXT - len, "%s%d", i > 0 ? "." : "",
                                index->levels[i]);
    return len < PROTOBUF_INDEX_TEXT ? ST_OK : ST_LIMIT;
}

enum status protobuf_index_parse(const char *text, struct protobuf_index *index)
{
    for (index->count = 0; index->count < PROTOBUF_NEST_MAX; text++) {
        char *end;
        long number = *text >= '0' && *text <= '9' ? strtol(text, &end, 10) : -1;
        if (number < 0 || number > INT32_MAX)
            return ST_MALFORMED;
        index->levels[index->count++] = (int32_t)number;
        text = end;
        if (*text == '\0')
            return ST_OK;
        if (*text != '.')
            return ST_MALFORMED;
    }
    return ST_MALFORMED;
}
