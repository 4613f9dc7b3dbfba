// SPDX-License-Identifier: Apache-2.0
// /config: compatibility level, group, alias, normalisation, metadata and rules for new schemas, for
// everything, a context or a subject. A record's value is Confluent's ConfigValue; what a PUT does not name
// stays.
#include "contract.h"
#include "http/json.h"
#include "operations.h"
#include "scope.h"

#include <strings.h>

// The fields in the order they are written. The level comes in a request as "compatibility".
static const char *const fields[] = {
    "alias",          "normalize",          "validateFields",      "validateNewSchemas",
    "validateRules",  "compatibilityLevel", "compatibilityPolicy", "compatibilityGroup",
    "aliasForDeks",   "defaultMetadata",    "overrideMetadata",    "defaultRuleSet",
    "overrideRuleSet"};
enum { FIELDS = sizeof fields / sizeof *fields };

static bool is_metadata(const char *field)
{
    return strcmp(field, "defaultMetadata") == 0 || strcmp(field, "overrideMetadata") == 0;
}

static bool is_rules(const char *field)
{
    return strcmp(field, "defaultRuleSet") == 0 || strcmp(field, "overrideRuleSet") == 0;
}

static void print(struct call *call, const cJSON *object)
{
    char *text = cJSON_PrintUnformatted(object);
    if (text != NULL)
        buf_append(&call->reply, text, strlen(text));
    cJSON_free(text);
}

// The fields of a stored config, without its subject.
static void answer(struct call *call, const cJSON *config)
{
    cJSON *shown = cJSON_CreateObject();
    for (int i = 0; i < FIELDS; i++) {
        const cJSON *item = json_get(config, fields[i]);
        if (item != NULL)
            cJSON_AddItemToObject(shown, fields[i], cJSON_Duplicate(item, true));
    }
    print(call, shown);
    cJSON_Delete(shown);
}

static void answer_in_scope(struct call *call)
{
    cJSON *config = cJSON_CreateObject();
    for (int i = 0; i < FIELDS; i++) {
        const cJSON *item = scope_field(call, call->subject, fields[i]);
        if (item != NULL)
            cJSON_AddItemToObject(config, fields[i], cJSON_Duplicate(item, true));
    }
    if (json_get(config, "compatibilityLevel") == NULL)
        cJSON_AddStringToObject(config, "compatibilityLevel", level_name(scope_level(call, call->subject)));
    answer(call, config);
    cJSON_Delete(config);
}

void op_get_config(struct call *call)
{
    const cJSON *own = state_config(call->state, call->subject);
    if (*call->subject == '\0' || call_flag(call, "defaultToGlobal"))
        answer_in_scope(call);
    else if (own != NULL)
        answer(call, own);
    else
        call_fail(call, 40408, "Subject '%s' does not have subject-level compatibility configured",
                  call->subject);
}

// ---- PUT ----

static const cJSON *asked(const cJSON *body, const char *field)
{
    const cJSON *item = json_get(body, field);
    return item == NULL && strcmp(field, "compatibilityLevel") == 0 ? json_get(body, "compatibility") : item;
}

static cJSON *field_value(const cJSON *item, const char *field)
{
    if (strcmp(field, "compatibilityLevel") == 0)
        return cJSON_CreateString(level_name(level_find(cJSON_GetStringValue(item))));
    if (is_rules(field))
        return contract_rules(item);
    return is_metadata(field) ? contract_metadata(item) : cJSON_Duplicate(item, true);
}

// Confluent's LOGICAL adds rules of Flink and Iceberg, which are not here.
static bool policy_good(const cJSON *item)
{
    const char *policy = cJSON_GetStringValue(item);
    return policy != NULL && (strcasecmp(policy, "STRICT") == 0 || strcasecmp(policy, "LENIENT") == 0);
}

static bool field_good(struct call *call, const cJSON *item, const char *field)
{
    const char *wrong = NULL;
    if (cJSON_IsNull(item))
        return true;
    if (strcmp(field, "compatibilityLevel") == 0 && level_find(cJSON_GetStringValue(item)) == LEVEL_UNKNOWN)
        return call_fail(call, 42203,
                         "Invalid compatibility level. Valid values are none, backward, forward, full, "
                         "backward_transitive, forward_transitive, and full_transitive");
    if (strcmp(field, "compatibilityPolicy") == 0 && !policy_good(item))
        return call_fail(call, 42203, "Invalid compatibility policy. Valid values are strict and lenient");
    bool text = strncmp(field, "compat", 6) == 0 || strcmp(field, "alias") == 0;
    bool object = is_metadata(field) || is_rules(field);
    if (text ? !cJSON_IsString(item) : object ? !cJSON_IsObject(item) : !cJSON_IsBool(item))
        return call_fail(call, 422, "%s is not of the type it should be", field);
    if (is_metadata(field) && (wrong = contract_metadata_wrong(item)) != NULL)
        return call_fail(call, 422, "Invalid metadata: %s", wrong);
    if (is_rules(field))
        wrong = contract_rules_wrong(item);
    return wrong == NULL || call_fail(call, 42210, "Invalid rule set: %s", wrong);
}

// The config as it will be: the old one with what the body names; null takes a field away.
static cJSON *merged(struct call *call, const cJSON *body)
{
    const cJSON *old = state_config(call->state, call->subject);
    cJSON *config = cJSON_CreateObject();
    if (*call->subject != '\0')
        cJSON_AddStringToObject(config, "subject", call->subject);
    for (int i = 0; i < FIELDS; i++) {
        const cJSON *item = asked(body, fields[i]);
        const cJSON *before = old != NULL ? json_get(old, fields[i]) : NULL;
        if (item != NULL && !cJSON_IsNull(item))
            cJSON_AddItemToObject(config, fields[i], field_value(item, fields[i]));
        else if (item == NULL && before != NULL)
            cJSON_AddItemToObject(config, fields[i], cJSON_Duplicate(before, true));
    }
    return config;
}

static void write_config(struct call *call, const cJSON *body)
{
    struct buf value;
    cJSON *config = merged(call, body);
    char *text = cJSON_PrintUnformatted(config);
    buf_init(&value, CALL_RECORD_BYTES_MAX);
    buf_append(&value, text, strlen(text));
    call_write(call, RECORD_CONFIG, call->subject, 0, &value);
    buf_fini(&value);
    cJSON_free(text);
    cJSON_Delete(config);
}

// What was asked for, as ConfigUpdateRequest has it.
static void repeat(struct call *call, const cJSON *body)
{
    cJSON *shown = cJSON_CreateObject();
    for (int i = 0; i < FIELDS; i++) {
        const cJSON *item = asked(body, fields[i]);
        const char *name = strcmp(fields[i], "compatibilityLevel") == 0 ? "compatibility" : fields[i];
        bool object = cJSON_IsObject(item); // as it is kept
        if (item != NULL)
            cJSON_AddItemToObject(shown, name,
                                  object ? field_value(item, fields[i]) : cJSON_Duplicate(item, true));
    }
    print(call, shown);
    cJSON_Delete(shown);
}

static bool put_config(struct call *call, const cJSON *body)
{
    struct slice name = slice_str(call->subject);
    if (!cJSON_IsObject(body))
        return call_fail(call, 400, "The body is no JSON object");
    if (name_split(name).subject.len > 0 && !name_valid(name))
        return call_fail(call, 42208, "The specified subject '%s' is not a valid subject.", call->subject);
    for (int i = 0; i < FIELDS; i++) {
        const cJSON *item = asked(body, fields[i]);
        if (item != NULL && !field_good(call, item, fields[i]))
            return false;
    }
    if (!scope_writable(call))
        return false;
    write_config(call, body);
    repeat(call, body);
    return true;
}

void op_put_config(struct call *call)
{
    cJSON *body = NULL;
    size_t at = 0;
    enum status status = json_parse(call->body, &body, &at);
    if (status != ST_OK)
        call_fail(call, 400, "The body is no JSON: %s at byte %zu", status_text(status), at);
    else
        put_config(call, body);
    cJSON_Delete(body);
}

// ---- DELETE ----

void op_delete_config(struct call *call)
{
    const cJSON *own = state_config(call->state, call->subject);
    struct buf none;
    if (own == NULL && *call->subject != '\0') {
        call_fail(call, 40401, "Subject '%s' not found.", call->subject);
        return;
    }
    if (!scope_writable(call))
        return;
    if (own == NULL) {
        answer_in_scope(call);
        return;
    }
    answer(call, own);
    buf_init(&none, 0);
    call_write(call, RECORD_CONFIG, call->subject, 0, &none);
}
