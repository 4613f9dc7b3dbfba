// SPDX-License-Identifier: Apache-2.0
// Values by key over declared rows. Texts are checked when they are set, so that every getter is a plain
// read; a getter with an unknown key or the wrong type is a bug of the caller and asserts. See config.h.
#include "base/config.h"

#include "base/assert.h"
#include "base/map.h"
#include "base/mem.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

struct item {
    const struct config_row *row;
    char *text;  // owned, never NULL
    char **list; // CONFIG_LIST: owned texts
    size_t list_count;
    int64_t integer; // CONFIG_INT, CONFIG_BOOL
    double real;     // CONFIG_DOUBLE
    bool set;
};

struct config {
    struct item *items[CONFIG_ROWS_MAX];
    size_t count;
    struct map by_key;
};

struct config *config_new(void)
{
    struct config *config = mem_calloc(1, sizeof *config);
    map_init(&config->by_key, 1);
    return config;
}

static void list_free(struct item *item)
{
    for (size_t i = 0; i < item->list_count; i++)
        mem_free(item->list[i]);
    mem_free(item->list);
    item->list = NULL;
    item->list_count = 0;
}

void config_destroy(struct config **config)
{
    if (*config == NULL)
        return;
    for (size_t i = 0; i < (*config)->count; i++) {
        struct item *item = (*config)->items[i];
        list_free(item);
        mem_free(item->text);
        mem_free(item);
    }
    map_fini(&(*config)->by_key);
    mem_free(*config);
    *config = NULL;
}

static void list_split(struct item *item, const char *text)
{
    list_free(item);
    while (*text != '\0') {
        size_t len = strcspn(text, ",");
        const char *end = text + len;
        const char *from = text;
        const char *to = end;
        while (from < to && isspace((unsigned char)*from))
            from++;
        while (to > from && isspace((unsigned char)to[-1]))
            to--;
        if (to > from) {
            item->list = mem_realloc(item->list, (item->list_count + 1) * sizeof *item->list);
            item->list[item->list_count++] = mem_strndup(from, (size_t)(to - from));
        }
        text = *end == ',' ? end + 1 : end;
    }
}

static enum status check_int(const struct config_row *row, const char *text, int64_t *value, char *error)
{
    char *end;
    errno = 0;
    long long number = strtoll(text, &end, 10);
    bool ranged = row->min != 0 || row->max != 0;
    if (errno != 0 || end == text || *end != '\0') {
        snprintf(error, CONFIG_ERROR_SIZE, "%s: '%.60s' is not a whole number", row->key, text);
        return ST_INVALID;
    }
    if (ranged && (number < row->min || number > row->max)) {
        snprintf(error, CONFIG_ERROR_SIZE, "%s: %lld is outside %" PRId64 "..%" PRId64, row->key, number,
                 row->min, row->max);
        return ST_INVALID;
    }
    *value = number;
    return ST_OK;
}

static enum status check_double(const struct config_row *row, const char *text, double *value, char *error)
{
    char *end;
    errno = 0;
    double number = strtod(text, &end);
    bool ranged = row->min != 0 || row->max != 0;
    if (errno != 0 || end == text || *end != '\0' || number != number ||
        (ranged && (number < (double)row->min || number > (double)row->max))) {
        snprintf(error, CONFIG_ERROR_SIZE, "%s: '%.60s' is not a number within %" PRId64 "..%" PRId64,
                 row->key, text, row->min, row->max);
        return ST_INVALID;
    }
    *value = number;
    return ST_OK;
}

static enum status check_bool(const struct config_row *row, const char *text, int64_t *value, char *error)
{
    if (strcasecmp(text, "true") != 0 && strcasecmp(text, "false") != 0) {
        snprintf(error, CONFIG_ERROR_SIZE, "%s: '%.60s' is neither true nor false", row->key, text);
        return ST_INVALID;
    }
    *value = strcasecmp(text, "true") == 0;
    return ST_OK;
}

static enum status check_choice(const struct config_row *row, const char *text, char *error)
{
    if (row->choices == NULL)
        return ST_OK;
    size_t len = strlen(text);
    for (const char *at = row->choices; *at != '\0';) {
        size_t width = strcspn(at, "|");
        if (width == len && strncmp(at, text, len) == 0)
            return ST_OK;
        at += width + (at[width] == '|');
    }
    snprintf(error, CONFIG_ERROR_SIZE, "%s: '%.60s' is none of %s", row->key, text, row->choices);
    return ST_INVALID;
}

static enum status item_assign(struct item *item, const char *text, char *error)
{
    const struct config_row *row = item->row;
    enum status status = ST_OK;
    switch (row->type) {
    case CONFIG_INT:
        status = check_int(row, text, &item->integer, error);
        break;
    case CONFIG_DOUBLE:
        status = check_double(row, text, &item->real, error);
        break;
    case CONFIG_BOOL:
        status = check_bool(row, text, &item->integer, error);
        break;
    case CONFIG_STRING:
        status = check_choice(row, text, error);
        break;
    case CONFIG_LIST:
        list_split(item, text);
        break;
    }
    if (status != ST_OK)
        return status;
    mem_free(item->text);
    item->text = mem_strdup(text);
    return ST_OK;
}

void config_declare(struct config *config, const struct config_row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (map_get(&config->by_key, slice_str(rows[i].key)) != NULL)
            continue;
        ASSERT(config->count < CONFIG_ROWS_MAX);
        struct item *item = mem_calloc(1, sizeof *item);
        item->row = &rows[i];
        item->text = mem_strdup("");
        char error[CONFIG_ERROR_SIZE];
        ASSERT(rows[i].fallback == NULL || item_assign(item, rows[i].fallback, error) == ST_OK);
        config->items[config->count++] = item;
        map_put(&config->by_key, slice_str(rows[i].key), item);
    }
}

// Kafka's older names of parameters that go by a newer one here.
static const char *canonical(const char *key)
{
    static const char *const aliases[][2] = {{"broker.id", "node.id"}, {"log.dir", "log.dirs"}};
    for (size_t i = 0; i < sizeof aliases / sizeof *aliases; i++)
        if (strcmp(aliases[i][0], key) == 0)
            return aliases[i][1];
    return key;
}

enum status config_set(struct config *config, const char *key, const char *value,
                       char error[CONFIG_ERROR_SIZE])
{
    struct item *item = map_get(&config->by_key, slice_str(key));
    if (item == NULL)
        item = map_get(&config->by_key, slice_str(canonical(key)));
    error[0] = '\0';
    if (item == NULL) {
        const char *near = config_suggest(config, key);
        if (near != NULL)
            snprintf(error, CONFIG_ERROR_SIZE, "%.100s: no such parameter; did you mean %s?", key, near);
        else
            snprintf(error, CONFIG_ERROR_SIZE, "%.100s: no such parameter", key);
        return ST_NOT_FOUND;
    }
    if (strlen(value) > CONFIG_VALUE_MAX) {
        snprintf(error, CONFIG_ERROR_SIZE, "%.100s: value longer than %d bytes", key, CONFIG_VALUE_MAX);
        return ST_INVALID;
    }
    enum status status = item_assign(item, value, error);
    if (status == ST_OK)
        item->set = true;
    return status;
}

static struct item *item_of(const struct config *config, const char *key)
{
    struct item *item = map_get(&config->by_key, slice_str(key));
    if (item == NULL)
        fprintf(stderr, "configuration key not declared: %s\n", key);
    ASSERT(item != NULL);
    return item;
}

bool config_is_set(const struct config *config, const char *key)
{
    return item_of(config, key)->set;
}

const char *config_string(const struct config *config, const char *key)
{
    struct item *item = item_of(config, key);
    ASSERT(item->row->type == CONFIG_STRING);
    return item->text;
}

int64_t config_int(const struct config *config, const char *key)
{
    struct item *item = item_of(config, key);
    ASSERT(item->row->type == CONFIG_INT);
    return item->integer;
}

double config_double(const struct config *config, const char *key)
{
    struct item *item = item_of(config, key);
    ASSERT(item->row->type == CONFIG_DOUBLE);
    return item->real;
}

bool config_bool(const struct config *config, const char *key)
{
    struct item *item = item_of(config, key);
    ASSERT(item->row->type == CONFIG_BOOL);
    return item->integer != 0;
}

size_t config_list_count(const struct config *config, const char *key)
{
    struct item *item = item_of(config, key);
    ASSERT(item->row->type == CONFIG_LIST);
    return item->list_count;
}

const char *config_list_at(const struct config *config, const char *key, size_t index)
{
    struct item *item = item_of(config, key);
    ASSERT(item->row->type == CONFIG_LIST && index < item->list_count);
    return item->list[index];
}

const struct config_row *config_row_of(const struct config *config, const char *key)
{
    struct item *item = map_get(&config->by_key, slice_str(key));
    return item != NULL ? item->row : NULL;
}

const struct config_row *config_row_at(const struct config *config, size_t index)
{
    return index < config->count ? config->items[index]->row : NULL;
}

const char *config_text(const struct config *config, const char *key)
{
    return item_of(config, key)->text;
}

const char *config_suggest(const struct config *config, const char *key)
{
    int limit = strlen(key) > 12 ? 3 : 2;
    int best = limit + 1;
    const char *found = NULL;
    for (size_t i = 0; i < config->count; i++) {
        int distance = edit_distance(key, config->items[i]->row->key, limit);
        if (distance < best) {
            best = distance;
            found = config->items[i]->row->key;
        }
    }
    return found;
}

// The part of a key that tells whose it is: the first word, of our own keys the second one too.
static size_t family_len(const char *key)
{
    static const char own[] = "millrace.";
    size_t before = strncmp(key, own, sizeof own - 1) == 0 ? sizeof own - 1 : 0;
    return before + strcspn(key + before, ".");
}

bool config_unknown_is_error(const struct config *config, const char *key)
{
    if (config_is_kafka_key(key))
        return false;
    if (config_suggest(config, key) != NULL)
        return true;
    if (config_is_kafka_family(key))
        return false;
    size_t len = family_len(key);
    for (size_t i = 0; i < config->count; i++) {
        const char *known = config->items[i]->row->key;
        if (family_len(known) == len && strncmp(known, key, len) == 0)
            return true;
    }
    return false;
}
