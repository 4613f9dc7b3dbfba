// SPDX-License-Identifier: Apache-2.0
// Life of the state and what is read of it. See state.h.
#include "state_own.h"

#include "base/assert.h"
#include "base/mem.h"

static const char *const mode_names[] = {
    [MODE_READWRITE] = "READWRITE",
    [MODE_READONLY] = "READONLY",
    [MODE_READONLY_OVERRIDE] = "READONLY_OVERRIDE",
    [MODE_IMPORT] = "IMPORT",
    [MODE_FORWARD] = "FORWARD",
};
enum { MODES = sizeof mode_names / sizeof *mode_names };

// ---- life ----

static void init(struct state *state)
{
    state_context_make(state, slice_str(NAMES_DEFAULT_CONTEXT));
}

struct state *state_new(void)
{
    struct state *state = mem_calloc(1, sizeof *state);
    map_init(&state->subjects, 1);
    map_init(&state->contexts, 2);
    map_init(&state->configs, 3);
    map_init(&state->modes, 4);
    map_init(&state->referrers, 5);
    state->fingerprinter = fingerprinter_new();
    associations_init(&state->associations);
    init(state);
    return state;
}

struct state_context *state_context_make(struct state *state, struct slice name)
{
    struct state_context *context = map_get(&state->contexts, name);
    if (context != NULL)
        return context;
    context = mem_calloc(1, sizeof *context);
    context->name = mem_strndup((const char *)name.data, name.len);
    map_put(&state->contexts, name, context);
    return context;
}

// Copies a text to *end, which moves behind it. NULL stays NULL.
static const char *pack(char **end, const char *text)
{
    if (text == NULL)
        return NULL;
    size_t size = strlen(text) + 1;
    char *copy = memcpy(*end, text, size);
    *end += size;
    return copy;
}

static size_t packed_size(const char *text)
{
    return text != NULL ? strlen(text) + 1 : 0;
}

// The names of formats stand once in the program.
static const char *type_known(const char *type)
{
    static const char *const types[] = {"AVRO", "JSON", "PROTOBUF"};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strcmp(type, types[i]) == 0)
            return types[i];
    return NULL;
}

static size_t schema_size(const struct content *content)
{
    size_t size = sizeof(struct state_schema) + content->reference_count * sizeof *content->references +
                  packed_size(content->text) + packed_size(content->metadata) +
                  packed_size(content->rule_set);
    if (type_known(content->type) == NULL)
        size += packed_size(content->type);
    for (size_t i = 0; i < content->reference_count; i++)
        size += packed_size(content->references[i].name) + packed_size(content->references[i].subject);
    return size;
}

struct state_schema *state_schema_new(struct state_context *context, int32_t id,
                                      const struct content *content)
{
    struct state_schema *schema = mem_calloc(1, schema_size(content));
    struct state_reference *references = (struct state_reference *)(schema + 1);
    char *end = (char *)(references + content->reference_count);
    const char *known = type_known(content->type);
    for (size_t i = 0; i < content->reference_count; i++)
        references[i] = (struct state_reference){.name = pack(&end, content->references[i].name),
                                                 .subject = pack(&end, content->references[i].subject),
                                                 .version = content->references[i].version};
    *schema = (struct state_schema){.context = context,
                                    .id = id,
                                    .type = known != NULL ? known : pack(&end, content->type),
                                    .text = pack(&end, content->text),
                                    .references = references,
                                    .reference_count = content->reference_count,
                                    .metadata = pack(&end, content->metadata),
                                    .rule_set = pack(&end, content->rule_set)};
    return schema;
}

static void context_free(void *value)
{
    struct state_context *context = value;
    for (size_t i = 0; i < context->by_id.slot_count; i++)
        mem_free(context->by_id.slots[i]);
    schema_table_fini(&context->by_id);
    schema_table_fini(&context->by_guid);
    mem_free((char *)context->name);
    mem_free(context);
}

static void subject_free(void *value)
{
    struct state_subject *subject = value;
    for (size_t i = 0; i < subject->count; i++)
        mem_free(subject->versions[i]);
    mem_free(subject->versions);
    mem_free((char *)subject->name);
    mem_free(subject);
}

static void config_free(void *value)
{
    cJSON_Delete(value);
}

static void empty(struct state *state)
{
    map_clear(&state->subjects, subject_free);
    map_clear(&state->contexts, context_free);
    map_clear(&state->configs, config_free);
    map_fini(&state->modes);
    map_clear(&state->referrers, referrers_free);
    associations_fini(&state->associations);
    subject_list_fini(&state->list);
    state->schema_count = 0;
}

void state_clear(struct state *state)
{
    empty(state);
    init(state);
}

void state_destroy(struct state **pointer)
{
    struct state *state = *pointer;
    *pointer = NULL;
    if (state == NULL)
        return;
    empty(state);
    fingerprinter_destroy(&state->fingerprinter);
    mem_free(state);
}

// ---- reading ----

const struct state_subject *state_subject(const struct state *state, const char *subject)
{
    return map_get(&state->subjects, slice_str(subject));
}

size_t state_subject_count(const struct state *state)
{
    return state->subjects.count;
}

const struct state_subject *const *state_subjects(struct state *state, size_t *count)
{
    subject_list_sort(&state->list);
    *count = state->list.count;
    return (const struct state_subject *const *)state->list.items;
}

const struct state_version *state_version(const struct state_subject *subject, int32_t version)
{
    size_t low = 0, high = subject->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (subject->versions[middle]->version < version)
            low = middle + 1;
        else
            high = middle;
    }
    bool found = low < subject->count && subject->versions[low]->version == version;
    return found ? subject->versions[low] : NULL;
}

const struct state_version *state_latest(const struct state_subject *subject)
{
    for (size_t i = subject->count; subject->live > 0 && i > 0; i--)
        if (!subject->versions[i - 1]->deleted)
            return subject->versions[i - 1];
    return NULL;
}

const struct state_version *state_version_of(const struct state_subject *subject,
                                             const struct state_schema *schema)
{
    const struct state_version *deleted = NULL;
    for (size_t i = subject->count; i > 0; i--) {
        const struct state_version *version = subject->versions[i - 1];
        if (version->schema == schema && !version->deleted)
            return version;
        if (version->schema == schema && deleted == NULL)
            deleted = version;
    }
    return deleted;
}

const struct state_context *state_context(const struct state *state, struct slice name)
{
    return map_get(&state->contexts, name);
}

bool state_context_next(const struct state *state, struct map_entry **cursor,
                        const struct state_context **context)
{
    void *value;
    if (!map_next(&state->contexts, cursor, NULL, &value))
        return false;
    *context = value;
    return true;
}

const struct state_schema *state_schema(const struct state_context *context, int32_t id)
{
    return schema_table_get(&context->by_id, schema_table_id(id));
}

const struct state_schema *state_schema_by_guid(const struct state_context *context,
                                                const uint8_t guid[STATE_GUID_SIZE])
{
    return schema_table_get(&context->by_guid, schema_table_guid(guid));
}

const int32_t *state_referrers(const struct state *state, const char *subject, int32_t version, size_t *count)
{
    const struct referrers *referrers = referrers_of(state, subject, version);
    *count = referrers != NULL ? referrers->count : 0;
    return referrers != NULL ? referrers->ids : NULL;
}

const struct associations *state_associations(const struct state *state)
{
    return &state->associations;
}

size_t state_schema_count(const struct state *state)
{
    return state->schema_count;
}

const cJSON *state_config(const struct state *state, const char *name)
{
    return map_get(&state->configs, slice_str(name));
}

enum state_mode state_mode(const struct state *state, const char *name)
{
    return (enum state_mode)(uintptr_t)map_get(&state->modes, slice_str(name));
}

bool state_config_next(const struct state *state, struct map_entry **cursor, struct slice *name,
                       const cJSON **config)
{
    void *value;
    if (!map_next(&state->configs, cursor, name, &value))
        return false;
    *config = value;
    return true;
}

bool state_mode_next(const struct state *state, struct map_entry **cursor, struct slice *name)
{
    return map_next(&state->modes, cursor, name, NULL);
}

const char *state_mode_name(enum state_mode mode)
{
    ASSERT(mode > MODE_NONE && (int)mode < MODES);
    return mode_names[mode];
}

enum state_mode state_mode_find(const char *name)
{
    for (int i = 1; name != NULL && i < MODES; i++)
        if (strcmp(name, mode_names[i]) == 0)
            return (enum state_mode)i;
    return MODE_NONE;
}
