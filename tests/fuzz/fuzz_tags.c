// SPDX-License-Identifier: Apache-2.0
// Hostile schemas whose tags are listed, added, taken away and passed on: the first byte is the language
// ('A', 'J', 'P'), behind it are a schema and, apart by a byte 0, the next one. What the walk finds can be
// tagged and is listed then, has no tag when it is taken away, and of Protobuf is as compatible as before.
#include "base/assert.h"
#include "http/json.h"
#include "tags_edit.h"
#include "tags_walk.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUT_MAX = 2048, OUT_MAX = 4 << 20, ENTITIES_MAX = 64 };

#define TAG "FUZZED"

// Owned: the schema.
static bool open_source(enum schema_format format, struct slice text, struct tags_source *source)
{
    struct schema_error error;
    struct schema *schema = NULL;
    *source = (struct tags_source){.format = format, .text = text};
    if (format == SCHEMA_PROTOBUF && schema_parse(format, text, NULL, 0, &error, &schema) != ST_OK)
        return false;
    source->schema = schema;
    return true;
}

static void close_source(struct tags_source *source)
{
    schema_free((struct schema *)source->schema);
}

// ---- entities ----

struct found {
    struct buf wishes; // SchemaTags
    size_t count;
};

static bool note(struct walk *walk, cJSON *object, const char *path, bool field)
{
    struct found *found = walk->context;
    ASSERT(cJSON_IsObject(object));
    if (found->count++ < ENTITIES_MAX) {
        buf_printf(&found->wishes, "%s{\"schemaEntity\":{\"entityPath\":", found->count > 1 ? "," : "");
        json_put_string(&found->wishes, slice_str(path));
        buf_printf(&found->wishes, ",\"entityType\":\"%s\"},\"tags\":[\"" TAG "\"]}",
                   field ? "SR_FIELD" : "SR_RECORD");
    }
    return true;
}

static bool find(const struct tags_source *source, struct found *found)
{
    size_t at;
    bool good = false;
    cJSON *json = NULL;
    struct arena arena;
    struct schema_error error = {.code = ST_OK};
    struct walk walk = {.arena = &arena, .error = &error, .visit = note, .context = found};
    arena_init(&arena, OUT_MAX);
    if (source->schema != NULL)
        good = (json = tags_protobuf_entities(source->schema)) != NULL && tags_walk_protobuf(&walk, json);
    else if (json_parse(source->text, &json, &at) == ST_OK)
        good = source->format == SCHEMA_JSON ? tags_walk_json(&walk, json) : tags_walk_avro(&walk, json);
    ASSERT(good || source->format != SCHEMA_JSON || json == NULL);
    cJSON_Delete(json);
    arena_fini(&arena);
    return good;
}

// ---- what must be so ----

// How many entities have the tag.
static size_t tagged(const struct tags_source *source)
{
    size_t at, count = 0;
    cJSON *list = NULL;
    struct buf out;
    struct schema_error error = {.code = ST_OK};
    buf_init(&out, OUT_MAX);
    ASSERT(tags_list(source, &error, &out) == ST_OK);
    ASSERT(json_parse(buf_slice(&out), &list, &at) != ST_MALFORMED);
    for (const cJSON *one = list != NULL ? list->child : NULL; one != NULL; one = one->next)
        count += tags_find(json_get(one, "tags"), TAG) >= 0;
    cJSON_Delete(list);
    buf_fini(&out);
    return count;
}

static size_t differences(const struct schema *reader, const struct schema *writer)
{
    struct schema_findings findings;
    schema_findings_init(&findings);
    ASSERT(schema_check(reader, writer, &findings) == ST_OK);
    size_t count = findings.count;
    schema_findings_fini(&findings);
    return count;
}

// The text with other tags is one that is read again, but for the limits.
static bool apply(const struct tags_source *source, const char *what, const struct buf *list, struct buf *out)
{
    struct buf wishes;
    struct schema_error error = {.code = ST_OK};
    buf_init(&wishes, OUT_MAX);
    buf_printf(&wishes, "{\"%s\":[", what);
    buf_append(&wishes, list->data, list->len);
    buf_printf(&wishes, "]}");
    enum status status = tags_apply(source, buf_slice(&wishes), &error, out);
    ASSERT(status == ST_OK || status == ST_LIMIT || strstr(error.text, "numbers") != NULL);
    buf_fini(&wishes);
    return status == ST_OK;
}

static void check_removed(const struct tags_source *source, const struct found *found)
{
    struct buf text;
    struct tags_source bare;
    buf_init(&text, OUT_MAX);
    if (found->count <= ENTITIES_MAX && apply(source, "remove", &found->wishes, &text) &&
        open_source(source->format, buf_slice(&text), &bare)) {
        struct found again = {.count = 0};
        buf_init(&again.wishes, OUT_MAX);
        ASSERT(find(&bare, &again) && again.count == found->count && tagged(&bare) == 0);
        buf_fini(&again.wishes);
        close_source(&bare);
    }
    buf_fini(&text);
}

static void check_added(const struct tags_source *source, const struct found *found)
{
    size_t at;
    cJSON *json = NULL;
    struct buf text;
    struct tags_source with;
    size_t wanted = found->count < ENTITIES_MAX ? found->count : ENTITIES_MAX;
    buf_init(&text, OUT_MAX);
    bool good = apply(source, "add", &found->wishes, &text);
    if (good && source->schema == NULL && json_parse(buf_slice(&text), &json, &at) != ST_OK)
        good = false; // the list is one bracket deeper than may be
    cJSON_Delete(json);
    if (good && open_source(source->format, buf_slice(&text), &with)) {
        ASSERT(tagged(&with) >= wanted);
        if (with.schema != NULL)
            ASSERT(differences(with.schema, source->schema) == 0 &&
                   differences(source->schema, with.schema) == 0);
        check_removed(&with, found);
        close_source(&with);
    }
    buf_fini(&text);
}

static void check_next(const struct tags_source *source, struct slice next)
{
    struct buf list, wishes, text;
    struct tags_source newer;
    struct schema_error error = {.code = ST_OK};
    buf_init(&list, OUT_MAX);
    buf_init(&wishes, OUT_MAX);
    buf_init(&text, OUT_MAX);
    if (open_source(source->format, next, &newer)) {
        if (tags_list(source, &error, &list) == ST_OK) {
            buf_printf(&wishes, "{\"common\":true,\"add\":%.*s}", (int)list.len, (const char *)list.data);
            tags_apply(&newer, buf_slice(&wishes), &error, &text);
        }
        close_source(&newer);
    }
    buf_fini(&list);
    buf_fini(&wishes);
    buf_fini(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tags_source source;
    if (size < 2 || size > INPUT_MAX || strchr("AJP", data[0]) == NULL)
        return 0;
    enum schema_format format = data[0] == 'A' ? SCHEMA_AVRO : data[0] == 'J' ? SCHEMA_JSON : SCHEMA_PROTOBUF;
    const uint8_t *end = memchr(data + 1, 0, size - 1);
    struct slice text = slice_of(data + 1, end != NULL ? (size_t)(end - data - 1) : size - 1);
    if (!open_source(format, text, &source))
        return 0;
    struct found found = {.count = 0};
    buf_init(&found.wishes, OUT_MAX);
    if (find(&source, &found))
        check_added(&source, &found);
    if (end != NULL)
        check_next(&source, slice_of(end + 1, size - text.len - 2));
    buf_fini(&found.wishes);
    close_source(&source);
    return 0;
}
