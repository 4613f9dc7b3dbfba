// SPDX-License-Identifier: Apache-2.0
// See contract.h.
#include "contract.h"

#include "base/mem.h"
#include "http/json.h"

#include <stdlib.h>

// ---- metadata ----

static int by_key(const void *left, const void *right)
{
    return strcmp((*(cJSON *const *)left)->string, (*(cJSON *const *)right)->string);
}

typedef bool fits_fn(const cJSON *item);

static bool is_text(const cJSON *item)
{
    return cJSON_IsString(item) != 0;
}

static bool like_text(const cJSON *item)
{
    return cJSON_IsString(item) || cJSON_IsNumber(item) || cJSON_IsBool(item);
}

// A number is its digits, as Confluent's server reads it where a text is meant; of a list each of them.
static cJSON *text_of(const cJSON *item)
{
    if (cJSON_IsArray(item)) {
        cJSON *list = cJSON_CreateArray();
        for (const cJSON *at = item->child; at != NULL; at = at->next)
            cJSON_AddItemToArray(list, text_of(at));
        return list;
    }
    if (!cJSON_IsNumber(item) && !cJSON_IsBool(item))
        return cJSON_Duplicate(item, true);
    char *printed = cJSON_PrintUnformatted(item);
    cJSON *text = cJSON_CreateString(printed != NULL ? printed : "");
    cJSON_free(printed);
    return text;
}

static cJSON *sorted_copy(const cJSON *object)
{
    cJSON *out = cJSON_CreateObject();
    size_t count = 0;
    cJSON **items = mem_calloc((size_t)cJSON_GetArraySize(object) + 1, sizeof *items);
    for (cJSON *at = object->child; at != NULL; at = at->next)
        if (!cJSON_IsNull(at))
            items[count++] = at;
    qsort(items, count, sizeof *items, by_key);
    for (size_t i = 0; i < count; i++)
        cJSON_AddItemToObject(out, items[i]->string, text_of(items[i]));
    mem_free(items);
    return out;
}

cJSON *contract_metadata(const cJSON *given)
{
    static const char *const maps[] = {"tags", "properties"};
    if (!cJSON_IsObject(given))
        return NULL;
    cJSON *out = cJSON_CreateObject();
    for (int i = 0; i < 2; i++) {
        const cJSON *map = json_get(given, maps[i]);
        if (cJSON_IsObject(map))
            cJSON_AddItemToObject(out, maps[i], sorted_copy(map));
    }
    const cJSON *sensitive = json_get(given, "sensitive");
    if (cJSON_IsArray(sensitive))
        cJSON_AddItemToObject(out, "sensitive", text_of(sensitive));
    return out;
}

// Whether it is a list or an object of such items. What is not there is one.
static bool is_list(const cJSON *item, fits_fn *fits)
{
    bool good = item == NULL || cJSON_IsNull(item) || cJSON_IsArray(item);
    for (const cJSON *at = cJSON_IsArray(item) ? item->child : NULL; at != NULL && good; at = at->next)
        good = fits(at);
    return good;
}

static bool is_map(const cJSON *item, fits_fn *fits)
{
    bool good = item == NULL || cJSON_IsNull(item) || cJSON_IsObject(item);
    for (const cJSON *at = cJSON_IsObject(item) ? item->child : NULL; at != NULL && good; at = at->next)
        good = cJSON_IsNull(at) || fits(at);
    return good;
}

static bool is_list_of_texts(const cJSON *item)
{
    return is_list(item, like_text);
}

const char *contract_metadata_wrong(const cJSON *metadata)
{
    static const char *const parts[] = {"tags", "properties", "sensitive"};
    if (metadata != NULL && !cJSON_IsNull(metadata) && !cJSON_IsObject(metadata))
        return "Metadata is an object";
    if (!is_map(json_get(metadata, "tags"), is_list_of_texts))
        return "Tags are an object of lists of texts";
    if (!is_map(json_get(metadata, "properties"), like_text))
        return "Properties are an object of texts";
    if (!is_list_of_texts(json_get(metadata, "sensitive")))
        return "Sensitive names are a list of texts";
    for (int i = 0; i < 3; i++)
        if (cJSON_GetArraySize(json_get(metadata, parts[i])) > CONTRACT_ENTRIES_MAX)
            return "There are too many tags, properties or sensitive names";
    return NULL;
}

static void merge_map(cJSON *into, const cJSON *newer, const char *name)
{
    const cJSON *from = json_get(newer, name);
    cJSON *to = (cJSON *)json_get(into, name);
    if (!cJSON_IsObject(from))
        return;
    if (to == NULL)
        to = cJSON_AddObjectToObject(into, name);
    for (const cJSON *at = from->child; at != NULL; at = at->next) {
        cJSON_DeleteItemFromObjectCaseSensitive(to, at->string);
        cJSON_AddItemToObject(to, at->string, cJSON_Duplicate(at, true));
    }
}

static bool has_text(const cJSON *array, const char *text)
{
    for (const cJSON *at = array->child; at != NULL; at = at->next)
        if (cJSON_IsString(at) && strcmp(at->valuestring, text) == 0)
            return true;
    return false;
}

static void merge_sensitive(cJSON *into, const cJSON *newer)
{
    const cJSON *from = json_get(newer, "sensitive");
    cJSON *to = (cJSON *)json_get(into, "sensitive");
    if (!cJSON_IsArray(from))
        return;
    if (to == NULL)
        to = cJSON_AddArrayToObject(into, "sensitive");
    for (const cJSON *at = from->child; at != NULL; at = at->next)
        if (cJSON_IsString(at) && !has_text(to, at->valuestring))
            cJSON_AddItemToArray(to, cJSON_Duplicate(at, true));
}

cJSON *contract_merge_metadata(const cJSON *older, const cJSON *newer)
{
    cJSON *merged = contract_metadata(older != NULL ? older : newer);
    if (merged == NULL || older == NULL || !cJSON_IsObject(newer))
        return merged;
    merge_map(merged, newer, "tags");
    merge_map(merged, newer, "properties");
    merge_sensitive(merged, newer);
    cJSON *sorted = contract_metadata(merged);
    cJSON_Delete(merged);
    return sorted;
}

const char *contract_property(const cJSON *metadata, const char *name)
{
    return json_string(json_get(metadata, "properties"), name);
}

// ---- rules ----

static cJSON *without_nulls(const cJSON *item)
{
    if (!cJSON_IsObject(item) && !cJSON_IsArray(item))
        return cJSON_Duplicate(item, true);
    bool object = cJSON_IsObject(item);
    cJSON *out = object ? cJSON_CreateObject() : cJSON_CreateArray();
    for (const cJSON *at = item->child; at != NULL; at = at->next) {
        if (cJSON_IsNull(at))
            continue;
        if (object)
            cJSON_AddItemToObject(out, at->string, without_nulls(at));
        else
            cJSON_AddItemToArray(out, without_nulls(at));
    }
    return out;
}

cJSON *contract_rules(const cJSON *given)
{
    return cJSON_IsObject(given) ? without_nulls(given) : NULL;
}

static const char *const rule_lists[] = {"migrationRules", "domainRules", "encodingRules"};
static const char too_many_rules[] = "There are too many rules";
enum { RULE_LISTS = sizeof rule_lists / sizeof *rule_lists };

static void drop_named(cJSON *list, const char *name)
{
    for (cJSON *at = list->child, *next; at != NULL; at = next) {
        const char *its = json_string(at, "name");
        next = at->next;
        if (its != NULL && name != NULL && strcmp(its, name) == 0)
            cJSON_Delete(cJSON_DetachItemViaPointer(list, at));
    }
}

cJSON *contract_merge_rules(const cJSON *older, const cJSON *newer)
{
    if (!cJSON_IsObject(older) || !cJSON_IsObject(newer))
        return cJSON_IsObject(older)   ? cJSON_Duplicate(older, true)
               : cJSON_IsObject(newer) ? cJSON_Duplicate(newer, true)
                                       : NULL;
    cJSON *merged = cJSON_Duplicate(older, true);
    for (int i = 0; i < RULE_LISTS; i++) {
        const cJSON *from = json_get(newer, rule_lists[i]);
        cJSON *to = (cJSON *)json_get(merged, rule_lists[i]);
        if (!cJSON_IsArray(from))
            continue;
        if (!cJSON_IsArray(to)) {
            cJSON_DeleteItemFromObjectCaseSensitive(merged, rule_lists[i]);
            to = cJSON_AddArrayToObject(merged, rule_lists[i]);
        }
        for (const cJSON *at = from->child; at != NULL; at = at->next) {
            drop_named(to, json_string(at, "name"));
            cJSON_AddItemToArray(to, cJSON_Duplicate(at, true));
        }
    }
    return merged;
}

void contract_remove_rules(cJSON *rule_set, const char *name)
{
    for (int i = 0; i < RULE_LISTS; i++) {
        cJSON *list = (cJSON *)json_get(rule_set, rule_lists[i]);
        if (cJSON_IsArray(list))
            drop_named(list, name);
    }
}

static bool one_of(const char *text, const char *const *words)
{
    for (; text != NULL && *words != NULL; words++)
        if (strcmp(text, *words) == 0)
            return true;
    return false;
}

static bool text_or_none(const cJSON *object, const char *name)
{
    const cJSON *item = json_get(object, name);
    return item == NULL || cJSON_IsNull(item) || is_text(item);
}

// What of a rule is no text, no list or no flag, though it should be.
static bool members_good(const cJSON *rule)
{
    static const char *const texts[] = {"name", "doc", "type", "expr", "onSuccess", "onFailure"};
    const cJSON *disabled = json_get(rule, "disabled");
    bool good = disabled == NULL || cJSON_IsNull(disabled) || cJSON_IsBool(disabled);
    for (size_t i = 0; i < sizeof texts / sizeof *texts && good; i++)
        good = text_or_none(rule, texts[i]);
    return good && is_list(json_get(rule, "tags"), is_text) && is_map(json_get(rule, "params"), is_text);
}

static const char *rule_wrong(const cJSON *rule, bool migration)
{
    static const char *const kinds[] = {"TRANSFORM", "CONDITION", NULL};
    static const char *const migrations[] = {"UPGRADE", "DOWNGRADE", "UPDOWN", NULL};
    static const char *const domains[] = {"WRITE", "READ", "WRITEREAD", NULL};
    const char *mode = json_string(rule, "mode");
    if (json_string(rule, "name") == NULL || *json_string(rule, "name") == '\0')
        return "Missing rule name";
    if (json_get(rule, "kind") != NULL && !one_of(json_string(rule, "kind"), kinds))
        return "The kind of a rule is TRANSFORM or CONDITION";
    if (json_string(rule, "type") == NULL)
        return "Missing rule type";
    if (migration && !one_of(mode, migrations))
        return "Migration rules can only be UPGRADE, DOWNGRADE, UPDOWN";
    if (!migration && !one_of(mode, domains))
        return "Domain rules can only be WRITE, READ, WRITEREAD";
    if (!members_good(rule))
        return "A rule has a member of another kind than it should be";
    return NULL;
}

static const char *list_wrong(const cJSON *list, bool migration)
{
    for (const cJSON *at = list->child; at != NULL; at = at->next) {
        const char *wrong = rule_wrong(at, migration);
        if (wrong != NULL)
            return wrong;
        for (const cJSON *other = at->next; other != NULL; other = other->next) {
            const char *name = json_string(other, "name");
            if (name != NULL && strcmp(name, json_string(at, "name")) == 0)
                return "Found rule with duplicate name";
        }
    }
    return NULL;
}

const char *contract_rules_many(const cJSON *rule_set)
{
    for (int i = 0; i < RULE_LISTS; i++)
        if (cJSON_GetArraySize(json_get(rule_set, rule_lists[i])) > CONTRACT_ENTRIES_MAX)
            return too_many_rules;
    return NULL;
}

const char *contract_rules_wrong(const cJSON *rule_set)
{
    if (!text_or_none(rule_set, "enableAt"))
        return "enableAt is a text";
    for (int i = 0; i < RULE_LISTS; i++) {
        const cJSON *list = json_get(rule_set, rule_lists[i]);
        if (list == NULL || cJSON_IsNull(list))
            continue;
        if (!cJSON_IsArray(list))
            return "Rules are a list";
        if (cJSON_GetArraySize(list) > CONTRACT_ENTRIES_MAX)
            return too_many_rules;
        const char *wrong = list_wrong(list, i == 0);
        if (wrong != NULL)
            return wrong;
    }
    return NULL;
}
