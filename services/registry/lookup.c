// SPDX-License-Identifier: Apache-2.0
// See lookup.h.
#include "lookup.h"

#include "contract.h"
#include "http/json.h"
#include "scope.h"

#include <inttypes.h>
#include <stdio.h>

#define VERSION_PROPERTY "confluent:version"

// ---- finding ----

static const struct state_version *same_content(const struct state_subject *subject,
                                                const struct submission *submission, bool deleted_too)
{
    const struct state_schema *schema = state_schema_by_guid(subject->context, submission->guid);
    const struct state_version *version = schema != NULL ? state_version_of(subject, schema) : NULL;
    return version != NULL && (!version->deleted || deleted_too) ? version : NULL;
}

const struct state_version *lookup_version(struct call *call, const char *name,
                                           const struct submission *submission, bool deleted_too)
{
    const struct state_subject *subject = state_subject(call->state, name);
    if (subject == NULL)
        return NULL;
    const struct state_version *version = same_content(subject, submission, deleted_too);
    for (size_t i = subject->count; version == NULL && i > 0; i--) {
        const struct state_version *other = subject->versions[i - 1];
        if (submission->content.reference_count > 0 || other->schema->reference_count == 0 ||
            (other->deleted && !deleted_too))
            continue;
        const char *resolved = submission_format(call, other, "resolved");
        if (resolved != NULL && strcmp(resolved, submission->content.text) == 0)
            version = other;
    }
    return version;
}

// ---- taking over ----

static cJSON *parsed(const char *text)
{
    return text != NULL ? cJSON_Parse(text) : NULL;
}

static void set_number(cJSON **metadata, int32_t number)
{
    char text[16];
    snprintf(text, sizeof text, "%" PRId32, number);
    if (*metadata == NULL)
        *metadata = cJSON_CreateObject();
    cJSON *properties = (cJSON *)json_get(*metadata, "properties");
    if (properties == NULL)
        properties = cJSON_AddObjectToObject(*metadata, "properties");
    cJSON_DeleteItemFromObjectCaseSensitive(properties, VERSION_PROPERTY);
    cJSON_AddStringToObject(properties, VERSION_PROPERTY, text);
    cJSON *sorted = contract_metadata(*metadata);
    cJSON_Delete(*metadata);
    *metadata = sorted;
}

static bool populate_metadata(struct call *call, struct submission *submission,
                              const struct state_version *latest, int32_t number)
{
    const char *text = submission->content.metadata;
    if (text == NULL && latest != NULL)
        text = latest->schema->metadata;
    cJSON *own = parsed(text);
    cJSON *some = contract_merge_metadata(scope_field(call, call->subject, "defaultMetadata"), own);
    cJSON *all = contract_merge_metadata(some, scope_field(call, call->subject, "overrideMetadata"));
    if (submission->version != 0 || (all != NULL && contract_property(all, VERSION_PROPERTY) != NULL))
        set_number(&all, number);
    const char *wrong = contract_metadata_wrong(all);
    submission_set_metadata(call, submission, all);
    cJSON_Delete(own);
    cJSON_Delete(some);
    cJSON_Delete(all);
    return wrong == NULL || call_fail(call, 42201, "Invalid metadata: %s", wrong);
}

static bool populate_rules(struct call *call, struct submission *submission,
                           const struct state_version *latest)
{
    const char *text = submission->content.rule_set;
    if (text == NULL && latest != NULL)
        text = latest->schema->rule_set;
    cJSON *own = parsed(text);
    cJSON *some = contract_merge_rules(scope_field(call, call->subject, "defaultRuleSet"), own);
    cJSON *all = contract_merge_rules(some, scope_field(call, call->subject, "overrideRuleSet"));
    const char *wrong = contract_rules_many(all);
    submission_set_rules(call, submission, all);
    cJSON_Delete(own);
    cJSON_Delete(some);
    cJSON_Delete(all);
    return wrong == NULL || call_fail(call, 42210, "Invalid rule set: %s", wrong);
}

bool lookup_populate(struct call *call, struct submission *submission, const struct state_version *latest,
                     int32_t number)
{
    return populate_metadata(call, submission, latest, number) && populate_rules(call, submission, latest);
}
