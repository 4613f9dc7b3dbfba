// SPDX-License-Identifier: Apache-2.0
// Reading and building JSON values over cJSON with the guards json.h names.
#include "http/json.h"

#include "base/map.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

enum { FEW_KEYS = 12 }; // compared with each other; a table costs more

static bool few_unique(const cJSON *object)
{
    for (const cJSON *at = object->child; at != NULL; at = at->next)
        for (const cJSON *other = at->next; other != NULL; other = other->next)
            if (strcmp(at->string, other->string) == 0)
                return false;
    return true;
}

static bool many_unique(const cJSON *object)
{
    struct map seen;
    bool unique = true;
    map_init(&seen, 1);
    for (cJSON *at = object->child; at != NULL && unique; at = at->next)
        unique = map_put(&seen, slice_str(at->string), at) == NULL;
    map_fini(&seen);
    return unique;
}

static bool keys_unique(const cJSON *value)
{
    int count = 0;
    for (const cJSON *at = value->child; at != NULL; at = at->next, count++)
        if (at->child != NULL && !keys_unique(at)) // as deep as JSON_DEPTH_MAX
            return false;
    return !cJSON_IsObject(value) || (count <= FEW_KEYS ? few_unique(value) : many_unique(value));
}

enum status json_parse(struct slice text, cJSON **json, size_t *error_at)
{
    enum status status = json_check(text, error_at);
    if (status != ST_OK)
        return status;
    *json = cJSON_ParseWithLength((const char *)text.data, text.len);
    if (*json == NULL)
        return ST_NO_MEMORY;
    if (keys_unique(*json))
        return ST_OK;
    cJSON_Delete(*json);
    *json = NULL;
    return ST_MALFORMED;
}

const cJSON *json_get(const cJSON *object, const char *name)
{
    return cJSON_GetObjectItemCaseSensitive(object, name);
}

const char *json_string(const cJSON *object, const char *name)
{
    return cJSON_GetStringValue(json_get(object, name));
}

enum status json_integer(const cJSON *object, const char *name, int64_t *value)
{
    return json_whole(json_get(object, name), value);
}

enum status json_whole(const cJSON *item, int64_t *value)
{
    const double exact_max = 9007199254740992.0; // 2^53
    if (!cJSON_IsNumber(item) || item->valuedouble != floor(item->valuedouble) ||
        fabs(item->valuedouble) >= exact_max)
        return ST_INVALID;
    *value = (int64_t)item->valuedouble;
    return ST_OK;
}

void json_add_integer(cJSON *object, const char *name, int64_t value)
{
    char digits[24];
    snprintf(digits, sizeof digits, "%" PRId64, value);
    cJSON_AddItemToObject(object, name, cJSON_CreateRaw(digits));
}
