// SPDX-License-Identifier: Apache-2.0
// POST /associations and PUT /associations/resources/{id}, in the order Confluent's
// KafkaSchemaRegistry.createOrUpdateAssociation goes: what is wished for, is it there already, does it get
// along with the subject's other associations, do its schemas fit; then the schemas are registered and the
// associations written. A POST with what is there already changes nothing; a PUT changes a lifecycle.
#include "answer.h"
#include "associate.h"
#include "http/json.h"
#include "operations.h"

#include <stdio.h>

enum { WISHES_MAX = 2, RESOURCE_TEXT_MAX = NAMES_CONTEXT_MAX - 1 }; // a topic has a key and a value

enum lifecycle { LIFECYCLE_NONE, LIFECYCLE_WEAK, LIFECYCLE_STRONG };

struct wish {
    const cJSON *asked;
    const char *type;    // "key" or "value"
    const char *subject; // qualified
    enum lifecycle lifecycle;
    bool frozen, frozen_said;
    const cJSON *schema;           // NULL: none
    const struct association *old; // the resource has one of this type
    bool same;                     // ... which is what is wished for
    struct association_fields made;
};

struct associating {
    struct call *call;
    bool create; // POST: what is there and different is an error
    bool dry;
    struct association_resource resource;
    struct wish wishes[WISHES_MAX];
    size_t count;
};

// ---- what is asked for ----

static bool name_good(struct call *call, const char *property, const char *name)
{
    if (name == NULL || *name == '\0')
        return associate_invalid(call, property, "cannot be null or empty");
    if (strlen(name) > RESOURCE_TEXT_MAX)
        return associate_invalid(call, property, "is too long");
    for (const char *at = name; *at != '\0'; at++)
        if ((unsigned char)*at < 0x20 || *at == 0x7f)
            return associate_invalid(call, property, "has a control character");
    return true;
}

static bool read_resource(struct associating *now, const cJSON *body)
{
    struct call *call = now->call;
    const char *type = json_string(body, "resourceType"), *id = json_string(body, "resourceId");
    if (call->id != NULL && id != NULL && strcmp(id, call->id) != 0)
        return associate_invalid(call, "resourceId", "the path and the body name different resources");
    now->resource = (struct association_resource){.name = json_string(body, "resourceName"),
                                                  .name_space = json_string(body, "resourceNamespace"),
                                                  .id = call->id != NULL ? call->id : id,
                                                  .type = "topic"};
    if (type != NULL && *type != '\0' && strcmp(type, "topic") != 0)
        return associate_invalid(call, "resourceType", "must be 'topic'");
    if (now->dry && (now->resource.id == NULL || *now->resource.id == '\0'))
        now->resource.id = NULL;
    else if (!name_good(call, "resourceId", now->resource.id))
        return false;
    return name_good(call, "resourceName", now->resource.name) &&
           name_good(call, "resourceNamespace", now->resource.name_space) &&
           (strchr(now->resource.name_space, ':') == NULL || // it becomes a context
            associate_invalid(call, "resourceNamespace", "has a colon"));
}

static bool read_type(struct call *call, struct wish *wish)
{
    const char *type = json_string(wish->asked, "associationType");
    wish->type = type != NULL && *type != '\0' ? type : "value";
    return strcmp(wish->type, "key") == 0 || strcmp(wish->type, "value") == 0 ||
           associate_invalid(call, "associationType", "must be either 'key' or 'value'");
}

static bool read_lifecycle(struct call *call, struct wish *wish)
{
    const cJSON *item = json_get(wish->asked, "lifecycle");
    const char *text = cJSON_GetStringValue(item);
    if (item == NULL || cJSON_IsNull(item))
        wish->lifecycle = LIFECYCLE_NONE;
    else if (text != NULL && strcmp(text, "STRONG") == 0)
        wish->lifecycle = LIFECYCLE_STRONG;
    else if (text != NULL && strcmp(text, "WEAK") == 0)
        wish->lifecycle = LIFECYCLE_WEAK;
    else
        return associate_invalid(call, "lifecycle", "must be STRONG or WEAK");
    return true;
}

// A subject without context is of the request's; a config may say that it is another one's alias. Nobody's
// name: that of the resource's context and the resource.
static bool read_subject(struct associating *now, struct wish *wish, const char **usual)
{
    struct call *call = now->call;
    const char *subject = json_string(wish->asked, "subject"), *context = call_query(call, "context");
    *usual =
        arena_printf(&call->arena, ":.%s:%s-%s", now->resource.name_space, now->resource.name, wish->type);
    if (subject == NULL)
        subject = *usual;
    if (*usual == NULL || subject == NULL)
        return call_fail(call, 50001, "The request needs too much memory");
    const char *within = context != NULL ? context : call->subject;
    if (*within == '.')
        within = arena_printf(&call->arena, ":%s:", within);
    wish->subject = within != NULL ? name_of_reference(&call->arena, within, subject) : NULL;
    if (wish->subject == NULL || !name_valid(slice_str(wish->subject)))
        return associate_invalid(call, "subject", "is no name of a subject");
    const char *alias = json_string(state_config(call->state, wish->subject), "alias");
    if (alias != NULL && *alias != '\0')
        wish->subject = name_of_reference(&call->arena, wish->subject, alias);
    return wish->subject != NULL || call_fail(call, 50001, "The request needs too much memory");
}

// What is not said follows from whether a schema comes along.
static bool fill_in(struct associating *now, struct wish *wish)
{
    struct call *call = now->call;
    bool fresh = now->create || wish->old == NULL;
    if (wish->lifecycle == LIFECYCLE_WEAK && wish->schema != NULL)
        return associate_invalid(call, "lifecycle", "cannot be WEAK when schema is provided");
    if (wish->lifecycle == LIFECYCLE_WEAK && wish->frozen)
        return associate_invalid(call, "frozen", "association with lifecycle of WEAK cannot be frozen");
    if (!fresh)
        return true;
    if (now->create && wish->schema != NULL && wish->frozen_said && !wish->frozen)
        return associate_invalid(call, "frozen", "cannot be false when schema is provided for create");
    if (wish->frozen && wish->schema == NULL)
        return associate_invalid(call, "schema", "must be provided when creating a frozen association");
    if (wish->schema != NULL)
        wish->lifecycle = LIFECYCLE_STRONG;
    if (wish->schema != NULL && now->create)
        wish->frozen = true;
    if (wish->lifecycle == LIFECYCLE_NONE)
        wish->lifecycle = LIFECYCLE_WEAK;
    wish->frozen_said = true;
    return true;
}

static const struct association *existing(const struct associating *now, const char *type)
{
    const struct associations *all = state_associations(now->call->state);
    if (now->resource.id == NULL)
        return NULL;
    for (const struct association *at = associations_first(all, BY_RESOURCE_ID, now->resource.id); at != NULL;
         at = at->next[BY_RESOURCE_ID])
        if (strcmp(at->is.resource_type, now->resource.type) == 0 && strcmp(at->is.type, type) == 0)
            return at;
    return NULL;
}

static bool read_wish(struct associating *now, struct wish *wish)
{
    struct call *call = now->call;
    const cJSON *schema = json_get(wish->asked, "schema"), *frozen = json_get(wish->asked, "frozen");
    const char *usual;
    if (!cJSON_IsObject(wish->asked))
        return associate_invalid(call, "associations", "one of them is no object");
    if (schema != NULL && !cJSON_IsNull(schema) && !cJSON_IsObject(schema))
        return associate_invalid(call, "schema", "is no object");
    if (frozen != NULL && !cJSON_IsNull(frozen) && !cJSON_IsBool(frozen))
        return associate_invalid(call, "frozen", "is neither true nor false");
    wish->schema = cJSON_IsObject(schema) ? schema : NULL;
    wish->frozen_said = cJSON_IsBool(frozen);
    wish->frozen = cJSON_IsTrue(frozen);
    if (!read_type(call, wish) || !read_lifecycle(call, wish) || !read_subject(now, wish, &usual))
        return false;
    wish->old = existing(now, wish->type);
    if (!fill_in(now, wish))
        return false;
    if (wish->frozen && strcmp(name_normalise(&call->arena, usual), wish->subject) != 0)
        return associate_invalid(call, "subject", "a frozen association has the subject of its resource");
    return associate_may_write(call, wish->subject);
}

static bool read_wishes(struct associating *now, const cJSON *body)
{
    const cJSON *list = json_get(body, "associations");
    int count = cJSON_IsArray(list) ? cJSON_GetArraySize(list) : 0;
    if (count == 0)
        return associate_invalid(now->call, "associations", "cannot be null or empty");
    for (const cJSON *at = list->child; at != NULL; at = at->next) {
        struct wish *wish = &now->wishes[now->count];
        if (now->count == WISHES_MAX)
            return associate_invalid(now->call, "associationType", "comes twice");
        *wish = (struct wish){.asked = at};
        if (!read_wish(now, wish))
            return false;
        now->count++;
        if (now->count == 2 && strcmp(now->wishes[0].type, wish->type) == 0)
            return associate_invalid(now->call, "associationType", "comes twice");
        if (now->count == 2 && now->wishes[0].frozen != wish->frozen)
            return associate_invalid(now->call, "frozen", "is different for key and value");
    }
    return true;
}

// ---- may it be ----

// Asks an operation about the wish's schema.
static void ask(struct associating *now, const struct wish *wish, const char *operation, struct call *inner)
{
    char *text = cJSON_PrintUnformatted(wish->schema);
    call_init(inner);
    inner->subject = wish->subject;
    inner->body = slice_str(text);
    if (cJSON_IsTrue(json_get(wish->asked, "normalize")))
        inner->query[inner->query_count++] = (struct call_pair){"normalize", "true"};
    inner->query[inner->query_count++] = (struct call_pair){"verbose", "true"};
    operation_run_inside(now->call, inner, operation);
    inner->body = slice_of("", 0);
    cJSON_free(text);
}

// The Schema that the subject has for the wish's, in the call's arena; NULL: none.
static const char *schema_there(struct associating *now, const struct wish *wish)
{
    struct call inner;
    ask(now, wish, "look-up", &inner);
    const char *schema =
        inner.code == 200 ? arena_strndup(&now->call->arena, inner.reply.data, inner.reply.len) : NULL;
    call_fini(&inner);
    return schema;
}

// The same the other way round: what is found by the id would not be found any more.
static bool known_alike(struct associating *now)
{
    const struct associations *all = state_associations(now->call->state);
    const struct association_resource *resource = &now->resource;
    const struct association *at = associations_first(all, BY_RESOURCE_NAME, resource->name);
    for (; at != NULL; at = at->next[BY_RESOURCE_NAME])
        if (strcmp(at->is.resource_type, resource->type) == 0 &&
            strcmp(at->is.resource_namespace, resource->name_space) == 0 &&
            (resource->id == NULL || strcmp(at->is.resource_id, resource->id) != 0))
            return call_fail(now->call, 40903, "'%s' of '%s' has an association as the resource '%s' already",
                             resource->name, resource->name_space, at->is.resource_id);
    return true;
}

// A resource has one name: records have it in their keys, so that with another one an association would be
// there twice.
static bool named_alike(struct associating *now)
{
    const struct associations *all = state_associations(now->call->state);
    const struct association_resource *resource = &now->resource;
    const struct association *at =
        resource->id != NULL ? associations_first(all, BY_RESOURCE_ID, resource->id) : NULL;
    for (; at != NULL; at = at->next[BY_RESOURCE_ID])
        if (strcmp(at->is.resource_type, resource->type) == 0 &&
            (strcmp(at->is.resource_name, resource->name) != 0 ||
             strcmp(at->is.resource_namespace, resource->name_space) != 0))
            return call_fail(now->call, 40903, "The resource '%s' has an association as '%s' of '%s' already",
                             resource->id, at->is.resource_name, at->is.resource_namespace);
    return true;
}

static bool has_versions(const struct call *call, const char *name)
{
    const struct state_subject *subject = state_subject(call->state, name);
    return subject != NULL && subject->live > 0;
}

static bool exists(struct associating *now, const struct wish *wish)
{
    return call_fail(now->call, 40903, "The resource '%s' has another association of type '%s' already",
                     now->resource.name, wish->type);
}

static bool frozen(struct associating *now, const struct wish *wish)
{
    return call_fail(now->call, 40908, "The %s association of subject '%s' is frozen", wish->type,
                     wish->subject);
}

// The resource has one of this type: the same one, or may it become this one?
static bool fits_old(struct associating *now, struct wish *wish)
{
    const struct association_fields *old = &wish->old->is;
    bool strong = wish->lifecycle == LIFECYCLE_STRONG;
    wish->same = strcmp(old->subject, wish->subject) == 0 &&
                 (wish->lifecycle == LIFECYCLE_NONE || strong == old->strong) &&
                 (!wish->frozen_said || wish->frozen == old->frozen);
    if (wish->same && wish->schema != NULL && (now->create || old->frozen) && schema_there(now, wish) == NULL)
        return now->create ? exists(now, wish) : frozen(now, wish);
    if (wish->same)
        return true;
    if (now->create)
        return exists(now, wish);
    if (strcmp(old->subject, wish->subject) != 0)
        return associate_invalid(now->call, "subject", "of an association cannot be changed");
    if (wish->frozen_said && wish->frozen != old->frozen)
        return associate_invalid(now->call, "frozen", "of an association cannot be changed");
    return !old->frozen || frozen(now, wish);
}

static bool fits_new(struct associating *now, const struct wish *wish)
{
    struct call *call = now->call;
    if (wish->frozen && has_versions(call, wish->subject) && schema_there(now, wish) == NULL)
        return associate_invalid(call, "frozen",
                                 "the subject of a frozen association has no schemas before it");
    return (int64_t)associations_count(state_associations(call->state)) < call->settings->associations_max ||
           call_fail(call, 40902, "A maximum of %lld associations already exist",
                     (long long)call->settings->associations_max);
}

// A strong association is the only one of its subject.
static bool alone(struct associating *now, const struct wish *wish)
{
    struct call *call = now->call;
    bool any = false, strong = false;
    const struct associations *all = state_associations(call->state);
    for (const struct association *at = associations_first(all, BY_SUBJECT, wish->subject); at != NULL;
         at = at->next[BY_SUBJECT]) {
        any = any || at != wish->old;
        strong = strong || (at != wish->old && at->is.strong);
    }
    for (size_t i = 0; i < now->count; i++) {
        const struct wish *other = &now->wishes[i];
        bool beside = other != wish && strcmp(other->subject, wish->subject) == 0;
        any = any || beside;
        strong = strong || (beside && other->lifecycle == LIFECYCLE_STRONG);
    }
    if (any && wish->lifecycle == LIFECYCLE_STRONG)
        return call_fail(call, 40904, "The subject '%s' has an association already", wish->subject);
    return !strong || wish->lifecycle != LIFECYCLE_WEAK ||
           call_fail(call, 40905, "The subject '%s' has a strong association already", wish->subject);
}

static bool may_be(struct associating *now, struct wish *wish)
{
    if (wish->old != NULL ? !fits_old(now, wish) : !fits_new(now, wish))
        return false;
    if (wish->schema == NULL && !has_versions(now->call, wish->subject))
        return call_fail(now->call, 40907, "The subject '%s' has no schema that is not deleted",
                         wish->subject);
    return alone(now, wish);
}

// ---- schemas ----

// All that is asked about the schemas from here on, as often as it is: each time counts (call->parsed).
static void ask_all(struct call *call, void *context)
{
    static const char *const asked[] = {"look-up", "compatible-with-all", "register", "look-up"};
    struct associating *now = context;
    struct call inner;
    for (size_t i = 0; i < now->count; i++)
        for (size_t at = 0; at < sizeof asked / sizeof *asked && now->wishes[i].schema; at++) {
            ask(now, &now->wishes[i], asked[at], &inner);
            call_fini(&inner);
        }
}

// Looked at before the first one is registered: what cannot be made whole is not begun.
static bool compatible(struct associating *now, const struct wish *wish)
{
    static const char good_begin[] = "{\"is_compatible\":true";
    struct call inner;
    ask(now, wish, "compatible-with-all", &inner);
    bool answered = inner.code == 200,
         good = answered && inner.reply.len >= sizeof good_begin - 1 &&
                memcmp(inner.reply.data, good_begin, sizeof good_begin - 1) == 0;
    if (!answered)
        answer_pass_on(now->call, &inner);
    else if (!good)
        call_fail(now->call, 40901, "Schema of the association is incompatible with subject \"%s\": %.*s",
                  wish->subject, (int)inner.reply.len, (const char *)inner.reply.data);
    call_fini(&inner);
    return good;
}

static bool registered(struct associating *now, const struct wish *wish)
{
    struct call inner;
    ask(now, wish, "register", &inner);
    bool good = inner.code == 200;
    if (!good)
        answer_pass_on(now->call, &inner);
    call_fini(&inner);
    return good && call_settle(now->call);
}

// ---- writing ----

static const char *new_guid(struct call *call)
{
    uint64_t high = call->host->random(call->host->context), low = call->host->random(call->host->context);
    high = (high & ~0xf000ULL) | 0x4000; // version 4 of RFC 9562
    low = (low & ~(3ULL << 62)) | 2ULL << 62;
    return arena_printf(&call->arena, "%08x-%04x-%04x-%04x-%012llx", (unsigned)(high >> 32),
                        (unsigned)(high >> 16 & 0xffff), (unsigned)(high & 0xffff), (unsigned)(low >> 48),
                        (unsigned long long)(low & 0xffffffffffffULL));
}

static bool write_wish(struct associating *now, struct wish *wish)
{
    struct call *call = now->call;
    const struct association *old = existing(now, wish->type); // a settled schema moved what was found before
    const char *guid = old != NULL ? old->is.guid : new_guid(call);
    struct buf key, value;
    if (guid == NULL)
        return call_fail(call, 50001, "The request needs too much memory");
    bool strong = wish->lifecycle == LIFECYCLE_NONE ? old != NULL && old->is.strong
                                                    : wish->lifecycle == LIFECYCLE_STRONG;
    wish->made = (struct association_fields){.subject = wish->subject,
                                             .guid = guid,
                                             .resource_name = now->resource.name,
                                             .resource_namespace = now->resource.name_space,
                                             .resource_id = now->resource.id,
                                             .resource_type = now->resource.type,
                                             .type = wish->type,
                                             .strong = strong,
                                             .frozen = old != NULL ? old->is.frozen : wish->frozen};
    if (wish->same)
        return true;
    buf_init(&key, CALL_RECORD_BYTES_MAX);
    buf_init(&value, CALL_RECORD_BYTES_MAX);
    if (old != NULL && strcmp(old->is.subject, wish->subject) == 0)
        buf_append(&key, old->record_key, strlen(old->record_key)); // an older registry writes another one
    else
        association_put_key(&key, &wish->made);
    association_put_value(&value, &wish->made);
    call_put(call, buf_slice(&key), buf_slice(&value));
    buf_fini(&key);
    buf_fini(&value);
    return true;
}

static void answer(struct associating *now)
{
    struct call *call = now->call;
    int64_t shown = 0;
    associate_put_resource(&call->reply, &now->resource);
    for (size_t i = 0; i < now->count && !now->dry; i++) {
        struct wish *wish = &now->wishes[i];
        answer_separate(&call->reply, &shown);
        associate_put_info(&call->reply, &wish->made, wish->schema != NULL ? schema_there(now, wish) : NULL);
    }
    buf_printf(&call->reply, "]}");
}

static bool decide(struct associating *now)
{
    if (!named_alike(now) || !known_alike(now))
        return false;
    for (size_t i = 0; i < now->count; i++)
        if (!may_be(now, &now->wishes[i]))
            return false;
    for (size_t i = 0; i < now->count; i++)
        if (now->wishes[i].schema != NULL && !compatible(now, &now->wishes[i]))
            return false;
    if (!now->dry && !operation_rehearse(now->call, ask_all, now))
        return false;
    for (size_t i = 0; i < now->count && !now->dry; i++)
        if (now->wishes[i].schema != NULL && !registered(now, &now->wishes[i]))
            return false;
    for (size_t i = 0; i < now->count && !now->dry; i++)
        if (!write_wish(now, &now->wishes[i]))
            return false;
    return true;
}

static void associate(struct call *call, bool create)
{
    cJSON *body;
    struct associating now = {.call = call, .create = create, .dry = call_flag(call, "dryRun")};
    bool good = answer_read_body(call, &body) && read_resource(&now, body) && read_wishes(&now, body);
    if (good && call->rehearsal) // of a batch, whose other parts may change what is to be decided
        ask_all(call, &now);
    else if (good && decide(&now))
        answer(&now);
    cJSON_Delete(body);
}

void op_create_association(struct call *call)
{
    associate(call, true);
}

void op_put_association(struct call *call)
{
    associate(call, false);
}
