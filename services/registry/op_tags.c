// SPDX-License-Identifier: Apache-2.0
// POST /subjects/{subject}/versions/{version}/tags: a version's schema with other tags, metadata or rules
// becomes the next version, as Confluent's modifySchemaTags does.
#include "answer.h"
#include "contract.h"
#include "http/json.h"
#include "operations.h"
#include "submission.h"
#include "tags.h"

static void add_references(cJSON *body, const struct state_schema *schema)
{
    cJSON *list = cJSON_AddArrayToObject(body, "references");
    for (size_t i = 0; i < schema->reference_count; i++) {
        cJSON *reference = cJSON_CreateObject();
        cJSON_AddStringToObject(reference, "name", schema->references[i].name);
        cJSON_AddStringToObject(reference, "subject", schema->references[i].subject);
        cJSON_AddNumberToObject(reference, "version", schema->references[i].version);
        cJSON_AddItemToArray(list, reference);
    }
}

// ---- rules ----

static bool given(const cJSON *member)
{
    return member != NULL && !cJSON_IsNull(member);
}

// Whether the members that change rules are such; false: answered.
static bool rules_good(struct call *call, const cJSON *merge, const cJSON *remove)
{
    bool good = (!given(merge) || cJSON_IsObject(merge)) && (!given(remove) || cJSON_IsArray(remove)) &&
                cJSON_GetArraySize(remove) <= CONTRACT_ENTRIES_MAX;
    for (const cJSON *at = good && given(remove) ? remove->child : NULL; at != NULL; at = at->next)
        good = good && cJSON_IsString(at);
    if (!good)
        return call_fail(call, 422, "rulesToMerge is a rule set, rulesToRemove a list of names");
    const char *wrong = cJSON_IsObject(merge) ? contract_rules_wrong(merge) : NULL;
    return wrong == NULL || call_fail(call, 42210, "Invalid rule set: %s", wrong);
}

// Those of the version before the new one; NULL: it has none.
static cJSON *rules_before(const struct state_subject *subject, const cJSON *request)
{
    int64_t number;
    const struct state_version *before = NULL;
    if (json_integer(request, "newVersion", &number) != ST_OK || number <= 0)
        before = state_latest(subject);
    else if (number <= INT32_MAX)
        before = state_version(subject, (int32_t)number - 1);
    return before != NULL && !before->deleted && before->schema->rule_set != NULL
               ? cJSON_Parse(before->schema->rule_set)
               : NULL;
}

// A member of the request, else of the version; NULL: neither.
static cJSON *part(const cJSON *request, const char *name, const char *old)
{
    const cJSON *asked = json_get(request, name);
    return cJSON_IsObject(asked) ? cJSON_Duplicate(asked, true) : old != NULL ? cJSON_Parse(old) : NULL;
}

// The new version's. With rulesToMerge or rulesToRemove as Confluent's maybeModifyPreviousRuleSet, which then
// passes the ruleSet over.
static cJSON *rules_of(const struct state_version *version, const cJSON *request)
{
    const cJSON *merge = json_get(request, "rulesToMerge"), *remove = json_get(request, "rulesToRemove");
    if (!given(merge) && !given(remove))
        return part(request, "ruleSet", version->schema->rule_set);
    cJSON *before = rules_before(version->subject, request), *rules = contract_merge_rules(before, merge);
    for (const cJSON *at = given(remove) ? remove->child : NULL; at != NULL; at = at->next)
        contract_remove_rules(rules, at->valuestring);
    cJSON_Delete(before);
    return rules;
}

// ---- the new version ----

static char *registration(const struct state_version *version, const char *text, const cJSON *request)
{
    const struct state_schema *schema = version->schema;
    const cJSON *number = json_get(request, "newVersion");
    cJSON *body = cJSON_CreateObject(), *metadata = part(request, "metadata", schema->metadata);
    cJSON *rules = rules_of(version, request);
    cJSON_AddStringToObject(body, "schema", text);
    cJSON_AddStringToObject(body, "schemaType", schema->type);
    add_references(body, schema);
    if (metadata != NULL)
        cJSON_AddItemToObject(body, "metadata", metadata);
    if (rules != NULL)
        cJSON_AddItemToObject(body, "ruleSet", rules);
    if (number != NULL)
        cJSON_AddItemToObject(body, "version", cJSON_Duplicate(number, true));
    char *printed = cJSON_PrintUnformatted(body);
    cJSON_Delete(body);
    return printed;
}

static void register_as(struct call *call, const char *subject, char *body)
{
    struct call inner;
    call_init(&inner);
    inner.subject = subject;
    inner.body = slice_str(body);
    inner.unknown_fields = call->unknown_fields;
    operation_run_inside(call, &inner, "register");
    if (inner.code == 200)
        buf_append(&call->reply, inner.reply.data, inner.reply.len);
    else
        answer_pass_on(call, &inner);
    call_fini(&inner);
}

static void tag(struct call *call, const struct state_version *version, const cJSON *request)
{
    const cJSON *add = json_get(request, "tagsToAdd"), *remove = json_get(request, "tagsToRemove");
    struct content content = submission_stored_content(version);
    const char *text = content.text;
    bool some = given(add) || given(remove);
    if (some && !tags_known(content.type)) {
        call_fail(call, 42201, "Schemas of type %s have no tags inside here", content.type);
        return;
    }
    if (some)
        text = tags_change(call, (struct tags_of){version->subject->name, &content}, add, remove);
    if (text == NULL ||
        !rules_good(call, json_get(request, "rulesToMerge"), json_get(request, "rulesToRemove")))
        return;
    char *body = registration(version, text, request);
    register_as(call, version->subject->name, body);
    cJSON_free(body);
}

void op_tag_version(struct call *call)
{
    cJSON *request;
    const struct state_version *version = answer_find_version(call, false);
    if (version != NULL && answer_read_body(call, &request)) {
        tag(call, version, request);
        cJSON_Delete(request);
    }
}
