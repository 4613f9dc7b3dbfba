// SPDX-License-Identifier: Apache-2.0
// /associations:batchGet and /associations:batchMutate: many requests in one, each with an answer or an error
// of its own. What one changes the next one sees. An error ends its request, not the batch.
#include "answer.h"
#include "associate.h"
#include "http/json.h"
#include "operations.h"

enum { BATCH_MAX = 100, OPERATIONS_MAX = 10, FOUND_MAX = 10000 }; // FOUND_MAX: associations in an answer

// The list of requests; NULL: answered.
static const cJSON *requests(struct call *call, const cJSON *body)
{
    const cJSON *list = json_get(body, "requests");
    int count = cJSON_IsArray(list) ? cJSON_GetArraySize(list) : 0;
    if (count == 0)
        associate_invalid(call, "requests", "cannot be null or empty");
    else if (count > BATCH_MAX)
        associate_invalid(call, "requests", "there are more than 100");
    return count > 0 && count <= BATCH_MAX ? list : NULL;
}

static void put_error(struct call *call, const struct call *failed)
{
    buf_printf(&call->reply, "{\"error\":");
    buf_append(&call->reply, failed->reply.data, failed->reply.len);
    buf_printf(&call->reply, "}");
}

// ---- get ----

// *shown: associations in the whole answer. False: answered 50001, at the first one that is too much.
static bool put_found(struct call *call, const struct association **found, size_t count, size_t *shown)
{
    bool schemas = call_flag(call, "includeSchemas");
    int64_t here = 0;
    for (size_t i = 0; i < count; i++) {
        const char *schema = NULL;
        if ((*shown)++ == FOUND_MAX)
            return call_fail(call, 50001, "There are more than %d associations to answer with", FOUND_MAX);
        if (schemas && !associate_schema(call, found[i]->is.subject, &schema))
            return false;
        answer_separate(&call->reply, &here);
        associate_put_info(&call->reply, &found[i]->is, schema);
        if (buf_status(&call->reply) != ST_OK)
            return call_fail(call, 50001, "The answer is too large");
    }
    return true;
}

static bool get_one(struct call *call, const cJSON *request, size_t *shown)
{
    struct association_filter filter;
    size_t count = 0;
    const char *id = json_string(request, "resourceId"), *name = json_string(request, "resourceName");
    const char *name_space = json_string(request, "resourceNamespace");
    bool by_id = id != NULL && *id != '\0';
    if (!associate_filter_of(call, request, &filter))
        return false;
    const struct association **found =
        by_id ? associate_find(call, BY_RESOURCE_ID, id, NULL, &filter, &count)
              : associate_find(call, BY_RESOURCE_NAME, name != NULL ? name : "", name_space, &filter, &count);
    if (found == NULL)
        return false;
    const struct association_fields *first = count > 0 ? &found[0]->is : NULL;
    struct association_resource resource = {
        .name = name == NULL && first != NULL ? first->resource_name : name,
        .name_space = name_space == NULL && first != NULL ? first->resource_namespace : name_space,
        .id = id == NULL && first != NULL ? first->resource_id : id,
        .type = filter.resource_type};
    buf_printf(&call->reply, "{\"result\":");
    associate_put_resource(&call->reply, &resource);
    if (!put_found(call, found, count, shown))
        return false;
    buf_printf(&call->reply, "]}}");
    return true;
}

void op_batch_get_associations(struct call *call)
{
    cJSON *body;
    int64_t shown = 0;
    size_t found = 0;
    const cJSON *list = answer_read_body(call, &body) ? requests(call, body) : NULL;
    bool good = list != NULL;
    if (good)
        buf_printf(&call->reply, "{\"results\":[");
    for (const cJSON *at = good ? list->child : NULL; at != NULL && good; at = at->next) {
        answer_separate(&call->reply, &shown);
        good = get_one(call, at, &found);
    }
    if (good) {
        buf_printf(&call->reply, "]}");
        call->code = 207;
    }
    cJSON_Delete(body);
}

// ---- mutate ----

// The request with one of its operations as the only association.
static char *as_request(const cJSON *request, const cJSON *operation)
{
    static const char *const names[] = {"resourceName", "resourceNamespace", "resourceId", "resourceType"};
    cJSON *body = cJSON_CreateObject();
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (json_get(request, names[i]) != NULL)
            cJSON_AddItemToObject(body, names[i], cJSON_Duplicate(json_get(request, names[i]), true));
    cJSON *list = cJSON_AddArrayToObject(body, "associations");
    cJSON_AddItemToArray(list, cJSON_Duplicate(operation, true));
    char *text = cJSON_PrintUnformatted(body);
    cJSON_Delete(body);
    return text;
}

static void add_query(struct call *inner, const char *name, const char *value)
{
    if (value != NULL)
        inner->query[inner->query_count++] = (struct call_pair){name, value};
}

static void delete_one(struct call *call, struct call *inner, const cJSON *request, const cJSON *operation)
{
    const char *id = json_string(request, "resourceId"), *type = json_string(operation, "associationType");
    inner->id = id != NULL ? id : "";
    add_query(inner, "resourceType", json_string(request, "resourceType"));
    add_query(inner, "associationType", type != NULL && *type != '\0' ? type : "value");
    add_query(inner, "cascadeLifecycle",
              cJSON_IsTrue(json_get(operation, "cascadeLifecycle")) ? "true" : NULL);
    operation_run_inside(call, inner, "delete-associations");
    if (inner->code == 404)
        inner->code = 204; // nothing is there to be deleted, as it was asked for
}

static bool is_type(const cJSON *operation, const char *wanted)
{
    const char *type = json_string(operation, "opType");
    return type != NULL && strcmp(type, wanted) == 0;
}

static void run_one(struct call *call, struct call *inner, const cJSON *request, const cJSON *operation)
{
    bool create = is_type(operation, "CREATE");
    add_query(inner, "context", call_query(call, "context"));
    add_query(inner, "dryRun", call_query(call, "dryRun"));
    if (is_type(operation, "DELETE")) {
        delete_one(call, inner, request, operation);
    } else if (create || is_type(operation, "UPSERT")) {
        char *text = as_request(request, operation);
        inner->body = slice_str(text);
        operation_run_inside(call, inner, create ? "create-association" : "put-association");
        inner->body = slice_of("", 0);
        cJSON_free(text);
    } else {
        associate_invalid(inner, "opType", "must be CREATE, UPSERT or DELETE");
    }
}

// Those that may have schemas. context: the list of requests.
static void rehearse(struct call *call, void *context)
{
    const cJSON *list = context;
    struct call inner;
    for (const cJSON *request = list->child; request != NULL; request = request->next) {
        const cJSON *changes = json_get(request, "associations");
        int count = cJSON_IsArray(changes) ? cJSON_GetArraySize(changes) : 0;
        bool some = count > 0 && count <= OPERATIONS_MAX;
        for (const cJSON *at = some ? changes->child : NULL; at != NULL; at = at->next) {
            if (is_type(at, "DELETE"))
                continue;
            call_init(&inner);
            run_one(call, &inner, request, at);
            call_fini(&inner);
        }
    }
}

// Whether the batch may begin, all that its parts need being done; else it comes again, or is too large.
static bool rehearsed(struct call *call, const cJSON *list)
{
    if (call_flag(call, "dryRun")) // nothing will be settled
        return true;
    bool ready = operation_rehearse(call, rehearse, (void *)list);
    call->spot = 0; // for what could not be foreseen
    return ready;
}

static bool mutate_one(struct call *call, const cJSON *request, size_t *found)
{
    const cJSON *list = json_get(request, "associations");
    int count = cJSON_IsArray(list) ? cJSON_GetArraySize(list) : 0;
    struct call inner;
    bool good = true;
    call_init(&inner);
    if (count == 0 || count > OPERATIONS_MAX) {
        associate_invalid(&inner, "associations", count == 0 ? "cannot be null or empty" : "are too many");
        good = false;
    }
    for (const cJSON *at = good ? list->child : NULL; at != NULL && good; at = at->next) {
        call_fini(&inner);
        call_init(&inner);
        run_one(call, &inner, request, at);
        good = inner.code < 300;
        if (call->later || (good && !call_settle(call))) {
            call_fini(&inner);
            return false; // later: the call comes again, or, having settled something, is given up
        }
    }
    bool goes_on = true;
    if (good)
        goes_on = get_one(call, request, found);
    else
        put_error(call, &inner);
    call_fini(&inner);
    return goes_on;
}

void op_mutate_associations(struct call *call)
{
    cJSON *body;
    int64_t shown = 0;
    size_t found = 0;
    const cJSON *list = answer_read_body(call, &body) ? requests(call, body) : NULL;
    bool good = list != NULL && rehearsed(call, list);
    if (good)
        buf_printf(&call->reply, "{\"results\":[");
    for (const cJSON *at = good ? list->child : NULL; at != NULL && good; at = at->next) {
        answer_separate(&call->reply, &shown);
        good = mutate_one(call, at, &found);
    }
    if (good) {
        buf_printf(&call->reply, "]}");
        call->code = 207;
    }
    cJSON_Delete(body);
}
