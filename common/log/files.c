// SPDX-License-Identifier: Apache-2.0
// Kafka's small text files and their atomic replacement. See files.h. A checkpoint that was renamed without
// being synced first comes back empty after a power cut (KAFKA-9892, KAFKA-16541), hence the order here.
#include "log/files.h"

#include "base/assert.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_BYTES_MAX = LOG_NAME_MAX + 64 + LOG_SIBLINGS_MAX * UUID_TEXT_SIZE, METADATA_BYTES_MAX = 4096 };

struct log_path log_path_join(const char *dir, const char *name)
{
    struct log_path path;
    int len = snprintf(path.text, sizeof path.text, "%s/%s", dir, name);
    ASSERT(len > 0 && (size_t)len < sizeof path.text);
    return path;
}

static enum status write_new_file(struct env *env, const char *path, struct slice content, bool sync)
{
    struct file *file;
    enum status status = file_open(env, path, FILE_WRITE | FILE_CREATE | FILE_TRUNCATE, &file);
    if (status != ST_OK)
        return status;
    if (content.len > 0)
        status = file_pwrite(env, file, content.data, content.len, 0);
    if (status == ST_OK && sync)
        status = file_sync(env, file);
    file_close(env, &file);
    return status;
}

static struct log_path temporary_path(const char *dir, const char *name)
{
    char temporary[LOG_NAME_MAX];
    snprintf(temporary, sizeof temporary, "%s.tmp", name);
    return log_path_join(dir, temporary);
}

enum status log_file_stage(struct env *env, const char *dir, const char *name, struct slice content,
                           bool sync)
{
    return write_new_file(env, temporary_path(dir, name).text, content, sync);
}

enum status log_file_install(struct env *env, const char *dir, const char *name)
{
    struct log_path from = temporary_path(dir, name), to = log_path_join(dir, name);
    return path_rename(env, from.text, to.text);
}

enum status log_file_replace(struct env *env, const char *dir, const char *name, struct slice content,
                             bool sync_dir)
{
    enum status status = log_file_stage(env, dir, name, content, true);
    if (status == ST_OK)
        status = log_file_install(env, dir, name);
    if (status == ST_OK && sync_dir)
        status = path_sync_dir(env, dir);
    return status;
}

static enum status load_open_file(struct env *env, struct file *file, struct buf *out)
{
    int64_t size;
    enum status status = file_size(env, file, &size);
    if (status == ST_OK)
        status = buf_reserve(out, (size_t)size);
    if (status != ST_OK)
        return status;
    size_t got = 0;
    status = file_pread(env, file, out->data + out->len, (size_t)size, 0, &got);
    out->len += got;
    return status;
}

enum status log_file_load(struct env *env, const char *dir, const char *name, struct buf *out)
{
    struct log_path path = log_path_join(dir, name);
    struct file *file;
    enum status status = file_open(env, path.text, FILE_READ, &file);
    if (status != ST_OK)
        return status;
    status = load_open_file(env, file, out);
    file_close(env, &file);
    return status;
}

enum status log_file_sync(struct env *env, const char *dir, const char *name)
{
    struct log_path path = log_path_join(dir, name);
    struct file *file;
    enum status status = file_open(env, path.text, FILE_WRITE, &file);
    if (status != ST_OK)
        return status;
    status = file_sync(env, file);
    file_close(env, &file);
    return status;
}

enum status log_file_remove(struct env *env, const char *dir, const char *name)
{
    struct log_path path = log_path_join(dir, name);
    enum status status = path_unlink(env, path.text);
    return status == ST_NOT_FOUND ? ST_OK : status;
}

// ---- offset checkpoints ----

bool log_name_split(const char *name, size_t *topic_len, int32_t *partition)
{
    const char *dash = strrchr(name, '-');
    if (dash == NULL || dash == name || dash[1] < '0' || dash[1] > '9' || strlen(dash) > 11)
        return false;
    char *end;
    long long value = strtoll(dash + 1, &end, 10);
    if (*end != 0 || value > INT32_MAX)
        return false;
    *topic_len = (size_t)(dash - name);
    *partition = (int32_t)value;
    return true;
}

// The next line without its end, as a NUL-terminated copy; false at the end of the text or for an over-long
// one.
static bool next_line(struct slice *text, char line[LINE_BYTES_MAX])
{
    const uint8_t *end = text->len ? memchr(text->data, '\n', text->len) : NULL;
    size_t len = end != NULL ? (size_t)(end - text->data) : text->len;
    if (text->len == 0 || len >= LINE_BYTES_MAX)
        return false;
    memcpy(line, text->data, len);
    line[len] = 0;
    if (len > 0 && line[len - 1] == '\r')
        line[len - 1] = 0;
    size_t used = end != NULL ? len + 1 : len;
    *text = slice_of(text->data + used, text->len - used);
    return true;
}

static bool parse_int64(const char *text, int64_t *value)
{
    char *end;
    errno = 0;
    *value = strtoll(text, &end, 10);
    return end != text && *end == 0 && errno == 0;
}

// "topic partition offset"
static bool parse_offset_line(char *line, char name[LOG_NAME_MAX], int64_t *offset)
{
    char *last = strrchr(line, ' ');
    if (last == NULL || !parse_int64(last + 1, offset))
        return false;
    *last = 0;
    char *middle = strrchr(line, ' ');
    if (middle == NULL)
        return false;
    *middle = '-';
    size_t topic_len, len = strlen(line);
    int32_t partition;
    if (len >= LOG_NAME_MAX)
        return false;
    memcpy(name, line, len + 1);
    return log_name_split(name, &topic_len, &partition) && topic_len == (size_t)(middle - line);
}

enum status log_offsets_parse(struct slice text, log_offset_fn *each, void *context)
{
    char line[LINE_BYTES_MAX], name[LOG_NAME_MAX];
    int64_t version, count, offset;
    if (!next_line(&text, line) || !parse_int64(line, &version))
        return ST_MALFORMED;
    if (version != 0)
        return ST_UNSUPPORTED;
    if (!next_line(&text, line) || !parse_int64(line, &count) || count < 0)
        return ST_MALFORMED;
    for (int64_t i = 0; i < count; i++) {
        if (!next_line(&text, line) || !parse_offset_line(line, name, &offset))
            return ST_MALFORMED;
        each(name, offset, context);
    }
    return text.len == 0 ? ST_OK : ST_MALFORMED;
}

enum status log_offsets_print(const struct log_offset_row *rows, int count, struct buf *out)
{
    buf_printf(out, "0\n%d\n", count);
    for (int i = 0; i < count; i++) {
        size_t topic_len;
        int32_t partition;
        bool ok = log_name_split(rows[i].name, &topic_len, &partition);
        ASSERT(ok); // log_create checks names
        buf_printf(out, "%.*s %d %lld\n", (int)topic_len, rows[i].name, partition, (long long)rows[i].offset);
    }
    return buf_status(out);
}

// ---- identity ----

static const char siblings_key[] = "millrace.directories"; // Kafka passes over what it does not know

static bool take_property(const char *line, const char *key, const char **value)
{
    size_t len = strlen(key);
    if (strncmp(line, key, len) != 0 || line[len] != '=')
        return false;
    *value = line + len + 1;
    return true;
}

// "ID,ID,..."
static enum status take_siblings(const char *text, struct log_identity *identity)
{
    char id[UUID_TEXT_SIZE];
    identity->sibling_count = 0;
    while (*text != 0) {
        size_t len = strcspn(text, ",");
        if (len >= sizeof id || identity->sibling_count == LOG_SIBLINGS_MAX)
            return ST_MALFORMED;
        memcpy(id, text, len);
        id[len] = 0;
        if (!uuid_parse(id, &identity->siblings[identity->sibling_count++]))
            return ST_MALFORMED;
        text += len + (text[len] == ',');
    }
    return ST_OK;
}

static enum status take_identity_line(const char *line, struct log_identity *identity)
{
    const char *value;
    int64_t number;
    if (take_property(line, "cluster.id", &value)) {
        if (strlen(value) >= sizeof identity->cluster_id)
            return ST_MALFORMED;
        snprintf(identity->cluster_id, sizeof identity->cluster_id, "%s", value);
    } else if (take_property(line, "node.id", &value)) {
        if (!parse_int64(value, &number) || number < -1 || number > INT32_MAX)
            return ST_MALFORMED;
        identity->node_id = (int32_t)number;
    } else if (take_property(line, "directory.id", &value)) {
        if (!uuid_parse(value, &identity->directory_id))
            return ST_MALFORMED;
    } else if (take_property(line, siblings_key, &value)) {
        return take_siblings(value, identity);
    } else if (take_property(line, "version", &value)) {
        if (strcmp(value, "1") != 0)
            return ST_UNSUPPORTED;
    }
    return ST_OK; // comments and keys of others
}

enum status log_identity_parse(struct slice text, struct log_identity *identity)
{
    *identity = (struct log_identity){.node_id = -1};
    char line[LINE_BYTES_MAX];
    enum status status = ST_OK;
    while (status == ST_OK && next_line(&text, line))
        status = take_identity_line(line, identity);
    return status == ST_OK && text.len > 0 ? ST_MALFORMED : status;
}

enum status log_identity_print(const struct log_identity *identity, struct buf *out)
{
    char id[UUID_TEXT_SIZE];
    uuid_format(identity->directory_id, id);
    buf_printf(out, "version=1\ndirectory.id=%s\n", id);
    if (identity->cluster_id[0] != 0)
        buf_printf(out, "cluster.id=%s\n", identity->cluster_id);
    if (identity->node_id >= 0)
        buf_printf(out, "node.id=%d\n", identity->node_id);
    for (int i = 0; i < identity->sibling_count; i++) {
        uuid_format(identity->siblings[i], id);
        buf_printf(out, "%s%s%s", i == 0 ? siblings_key : "", i == 0 ? "=" : ",", id);
    }
    if (identity->sibling_count > 0)
        buf_printf(out, "\n");
    return buf_status(out);
}

enum status log_partition_metadata_parse(struct slice text, struct uuid *id)
{
    char line[LINE_BYTES_MAX];
    static const char key[] = "topic_id: ";
    if (!next_line(&text, line) || strncmp(line, "version: ", 9) != 0)
        return ST_MALFORMED;
    if (strcmp(line + 9, "0") != 0)
        return ST_UNSUPPORTED;
    if (!next_line(&text, line) || strncmp(line, key, sizeof key - 1) != 0)
        return ST_MALFORMED;
    return uuid_parse(line + sizeof key - 1, id) ? ST_OK : ST_MALFORMED;
}

enum status log_partition_metadata_load(struct env *env, const char *dir, struct uuid *id)
{
    struct buf text;
    buf_init(&text, METADATA_BYTES_MAX);
    enum status status = log_file_load(env, dir, "partition.metadata", &text);
    if (status == ST_OK)
        status = log_partition_metadata_parse(buf_slice(&text), id);
    buf_fini(&text);
    return status;
}

enum status log_partition_metadata_print(struct uuid id, struct buf *out)
{
    char text[UUID_TEXT_SIZE];
    uuid_format(id, text);
    return buf_printf(out, "version: 0\ntopic_id: %s", text);
}
