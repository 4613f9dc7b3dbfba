// SPDX-License-Identifier: Apache-2.0
// /schemas: the list over subjects, schemas by id and by guid, which formats are served.
#include "answer.h"
#include "associate.h"
#include "http/json.h"
#include "operations.h"
#include "submission.h"
#include "tags.h"

#include <inttypes.h>

// ---- the list ----

struct listing {
    struct call *call;
    struct slice prefix;
    const char *rule_type;
    struct association_filter associations; // of its subject, one at least
    bool deleted_too, latest_only, aliases, associated;
    struct page page;
    int64_t seen, shown;
};

// ,"aliases":[...] of subjects whose config names this one.
static void put_aliases(struct call *call, const char *subject)
{
    struct slice name;
    const cJSON *config;
    int64_t count = 0;
    for (struct map_entry *at = NULL; state_config_next(call->state, &at, &name, &config);) {
        const char *alias = json_string(config, "alias");
        if (alias == NULL || strcmp(alias, subject) != 0)
            continue;
        buf_printf(&call->reply, count++ == 0 ? ",\"aliases\":[" : ",");
        json_put_string(&call->reply, name);
    }
    if (count > 0)
        buf_printf(&call->reply, "]");
}

static bool has_rule(const char *rule_set, const char *type)
{
    bool found = false;
    cJSON *rules = rule_set != NULL ? cJSON_Parse(rule_set) : NULL;
    for (const cJSON *list = rules != NULL ? rules->child : NULL; list != NULL && !found; list = list->next)
        for (const cJSON *rule = list->child; rule != NULL && !found; rule = rule->next) {
            const char *its = json_string(rule, "type");
            found = its != NULL && strcmp(its, type) == 0;
        }
    cJSON_Delete(rules);
    return found;
}

static void list_version(struct listing *listing, const struct state_version *version)
{
    struct call *call = listing->call;
    if (listing->rule_type != NULL && !has_rule(version->schema->rule_set, listing->rule_type))
        return;
    if (!page_has(&listing->page, &listing->seen))
        return;
    answer_separate(&call->reply, &listing->shown);
    answer_put_version(call, version, NULL);
    if (listing->aliases) {
        call->reply.len--; // the closing brace
        put_aliases(call, version->subject->name);
        buf_printf(&call->reply, "}");
    }
}

// Whether the subject has an association the arguments resourceType, associationType and lifecycle name.
static bool associated(struct listing *listing, const char *subject)
{
    size_t count = 0;
    return !listing->associated || (associate_find(listing->call, BY_SUBJECT, subject, NULL,
                                                   &listing->associations, &count) != NULL &&
                                    count > 0);
}

static bool read_associations(struct listing *listing)
{
    struct call *call = listing->call;
    listing->associated = call_query(call, "resourceType") != NULL ||
                          call_query(call, "associationType") != NULL ||
                          call_query(call, "lifecycle") != NULL;
    return !listing->associated || associate_read_filter(call, &listing->associations);
}

static void list_subject(struct listing *listing, const struct state_subject *subject)
{
    const struct state_version *latest = NULL;
    for (size_t i = 0; i < subject->count; i++) {
        if (subject->versions[i]->deleted && !listing->deleted_too)
            continue;
        latest = subject->versions[i];
        if (!listing->latest_only)
            list_version(listing, latest);
    }
    if (listing->latest_only && latest != NULL)
        list_version(listing, latest);
}

void op_list_schemas(struct call *call)
{
    const char *prefix = call_query(call, "subjectPrefix");
    struct listing listing = {.call = call,
                              .prefix = slice_str(prefix != NULL ? prefix : NAMES_ALL_CONTEXTS),
                              .rule_type = call_query(call, "ruleType"),
                              .deleted_too = call_flag(call, "deleted"),
                              .latest_only = call_flag(call, "latestOnly"),
                              .aliases = call_flag(call, "aliases"),
                              .page = call_page(call, call->settings->schemas_max)};
    size_t count;
    if (!read_associations(&listing))
        return;
    const struct state_subject *const *subjects = state_subjects(call->state, &count);
    buf_printf(&call->reply, "[");
    for (size_t i = 0; i < count && listing.shown < listing.page.limit; i++)
        if (name_has_prefix(slice_str(subjects[i]->name), listing.prefix) &&
            associated(&listing, subjects[i]->name))
            list_subject(&listing, subjects[i]);
    buf_printf(&call->reply, "]");
}

// Whether the build has a format at all is what its parser says to any text.
void op_types(struct call *call)
{
    static const enum schema_format formats[] = {SCHEMA_JSON, SCHEMA_PROTOBUF, SCHEMA_AVRO};
    int64_t shown = 0;
    buf_printf(&call->reply, "[");
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        struct schema_error error;
        struct schema *schema = NULL;
        if (schema_parse(formats[i], slice_str(""), NULL, 0, &error, &schema) == ST_UNSUPPORTED)
            continue;
        schema_free(schema);
        answer_separate(&call->reply, &shown);
        buf_printf(&call->reply, "\"%s\"", schema_format_name(formats[i]));
    }
    buf_printf(&call->reply, "]");
}

// ---- by id ----

static const struct state_version *version_with_id(const struct call *call, const char *name, int32_t id)
{
    const struct state_subject *subject = state_subject(call->state, name);
    const struct state_schema *schema = subject != NULL ? state_schema(subject->context, id) : NULL;
    return schema != NULL ? state_version_of(subject, schema) : NULL;
}

static const struct state_version *any_with_id(const struct call *call, struct slice context, int32_t id)
{
    const struct state_context *found = state_context(call->state, context);
    const struct state_schema *schema = found != NULL ? state_schema(found, id) : NULL;
    return schema != NULL ? schema->first : NULL;
}

// A version that is the schema of this id. The argument `subject` says in which context; one without context
// is looked for in all of them, and if nobody has the id under that name, the default context's schema is
// meant (as Confluent's getSchemaKeyUsingContexts).
static const struct state_version *find_id(struct call *call, int32_t id)
{
    const char *subject = call_query(call, "subject");
    struct name name = name_split(slice_str(subject != NULL ? subject : ""));
    const char *qualified = name_qualify(&call->arena, name);
    if (name.subject.len == 0 || qualified == NULL)
        return any_with_id(call, name.context, id);
    const struct state_version *version = version_with_id(call, qualified, id);
    const struct state_context *context;
    if (version != NULL || !slice_is(name.context, NAMES_DEFAULT_CONTEXT))
        return version;
    for (struct map_entry *at = NULL; version == NULL && state_context_next(call->state, &at, &context);) {
        qualified = name_qualify(&call->arena, (struct name){slice_str(context->name), name.subject});
        version = qualified != NULL ? version_with_id(call, qualified, id) : NULL;
    }
    return version != NULL ? version : any_with_id(call, name.context, id);
}

// NULL: answered.
static const struct state_version *path_schema(struct call *call)
{
    int32_t id;
    if (!answer_read_id(call, &id))
        return NULL;
    const struct state_version *version = find_id(call, id);
    if (version == NULL)
        call_fail(call, 40403, "Schema %" PRId32 " not found", id);
    return version;
}

void op_get_schema(struct call *call)
{
    const struct state_version *version = path_schema(call);
    if (version == NULL)
        return;
    answer_put_schema(call, version, submission_format(call, version, call_query(call, "format")));
    tags_answer(call, version);
}

void op_get_schema_text(struct call *call)
{
    const struct state_version *version = path_schema(call);
    if (version == NULL)
        return;
    const char *text = submission_format(call, version, call_query(call, "format"));
    answer_plain(call, text != NULL ? text : version->schema->text);
}

void op_schema_subjects(struct call *call)
{
    const struct state_version *version = path_schema(call);
    bool deleted_too = call_flag(call, "deleted");
    struct page page = call_page(call, call->settings->subjects_max);
    int64_t seen = 0, shown = 0;
    if (version == NULL)
        return;
    buf_printf(&call->reply, "[");
    for (version = version->schema->first; version != NULL; version = version->same) {
        bool named_by_other = state_version_of(version->subject, version->schema) != version;
        if ((version->deleted && !deleted_too) || named_by_other || !page_has(&page, &seen))
            continue;
        answer_separate(&call->reply, &shown);
        json_put_string(&call->reply, slice_str(version->subject->name));
    }
    buf_printf(&call->reply, "]");
}

void op_schema_versions(struct call *call)
{
    const struct state_version *version = path_schema(call);
    bool deleted_too = call_flag(call, "deleted");
    struct page page = call_page(call, call->settings->versions_max);
    int64_t seen = 0, shown = 0;
    if (version == NULL)
        return;
    buf_printf(&call->reply, "[");
    for (version = version->schema->first; version != NULL; version = version->same) {
        if ((version->deleted && !deleted_too) || !page_has(&page, &seen))
            continue;
        answer_separate(&call->reply, &shown);
        buf_printf(&call->reply, "{\"subject\":");
        json_put_string(&call->reply, slice_str(version->subject->name));
        buf_printf(&call->reply, ",\"version\":%" PRId32 "}", version->version);
    }
    buf_printf(&call->reply, "]");
}

// ---- by guid ----

// Contexts with the schema, from *at on; NULL: no more.
static const struct state_schema *next_with_guid(const struct call *call, struct map_entry **at)
{
    uint8_t guid[STATE_GUID_SIZE];
    const struct state_context *context;
    const struct state_schema *found = NULL;
    if (!fingerprint_parse(call->guid, guid))
        return NULL;
    while (found == NULL && state_context_next(call->state, at, &context))
        found = state_schema_by_guid(context, guid);
    return found;
}

void op_get_guid(struct call *call)
{
    struct map_entry *at = NULL;
    const struct state_schema *schema = next_with_guid(call, &at);
    if (schema == NULL)
        call_fail(call, 40403, "Schema %s not found", call->guid);
    else
        answer_put_schema(call, schema->first,
                          submission_format(call, schema->first, call_query(call, "format")));
}

void op_guid_ids(struct call *call)
{
    struct map_entry *at = NULL;
    const struct state_schema *schema;
    int64_t shown = 0;
    buf_printf(&call->reply, "[");
    while ((schema = next_with_guid(call, &at)) != NULL) {
        answer_separate(&call->reply, &shown);
        buf_printf(&call->reply, "{\"context\":");
        json_put_string(&call->reply, slice_str(schema->context->name));
        buf_printf(&call->reply, ",\"id\":%" PRId32 "}", schema->id);
    }
    buf_printf(&call->reply, "]");
    if (shown == 0)
        call_fail(call, 40403, "Schema %s not found", call->guid);
}
