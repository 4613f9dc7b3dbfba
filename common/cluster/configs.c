// SPDX-License-Identifier: Apache-2.0
// See configs.h. Values are checked as Kafka's ConfigDef does: type, range, permitted words.
#include "cluster/configs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

static const struct configs_key *find(const struct configs_key *keys, int count, struct slice name)
{
    for (int i = 0; i < count; i++)
        if (slice_is(name, keys[i].name))
            return &keys[i];
    return NULL;
}

const struct configs_key *configs_topic_key(struct slice name)
{
    return find(configs_topic_keys, configs_topic_count, name);
}

const struct configs_key *configs_node_key(struct slice name)
{
    return find(configs_node_keys, configs_node_count, name);
}

const struct configs_key *configs_group_key(struct slice name)
{
    return find(configs_group_keys, configs_group_count, name);
}

const struct configs_key *configs_metrics_key(struct slice name)
{
    return find(configs_metrics_keys, configs_metrics_count, name);
}

const char *configs_use_text(enum configs_use use)
{
    static const char *const texts[CONFIGS_USE_COUNT] = {
        [CONFIGS_BY_STORAGE] = "Read by storage nodes.",
        [CONFIGS_BY_CONTROLLER] = "Read by controllers, from their own configuration.",
        [CONFIGS_BY_COORDINATOR] = "Read by coordinators, from their own configuration.",
        [CONFIGS_OTHERWISE] = "Done in another way.",
        [CONFIGS_NO_FLUSH] = ("What is acknowledged is on the disk (flush.before.ack); flush rounds and "
                              "checkpoints have no timers of their own."),
        [CONFIGS_NO_JAVA] = "Java classes cannot be loaded.",
        [CONFIGS_NO_METRICS] = "Metrics are served on /metrics, as they are when they are asked for.",
        [CONFIGS_NO_PEERS] = "Nodes speak to one another by an RPC of their own (rpc.*), in streams.",
        [CONFIGS_NO_PURGATORY] = "What is held is ended by what it waits for; nothing is looked through.",
        [CONFIGS_NO_QUORUM] = "The controllers' Raft has parameters of its own.",
        [CONFIGS_NO_QUOTAS] = "There are no quotas of clients yet.",
        [CONFIGS_NO_SECURITY] = "TLS, SASL and authorisation are not there yet.",
        [CONFIGS_NO_SYSTEM] = "The system's own setting counts.",
        [CONFIGS_NO_THREADS] = "One loop thread owns a process's state; helpers are not counted.",
        [CONFIGS_NO_TIERS] = "There is no tiered storage.",
    };
    return texts[use];
}

// Two whole numbers with a colon between them.
static bool is_pair(struct slice word)
{
    size_t colon = 0, digits = 0;
    while (colon < word.len && word.data[colon] != ':')
        colon++;
    for (size_t i = 0; i < word.len; i++)
        digits += word.data[i] >= '0' && word.data[i] <= '9';
    return colon > 0 && colon + 1 < word.len && digits == word.len - 1;
}

// Digits, then one of the letters, which are in order; each once. Moves *at behind it.
static bool period_part(struct slice text, size_t *at, const char **letters, bool *fraction)
{
    size_t i = *at, digits = 0;
    for (; i < text.len && ((text.data[i] >= '0' && text.data[i] <= '9') || text.data[i] == '.'); i++) {
        *fraction |= text.data[i] == '.';
        digits += text.data[i] != '.';
    }
    const char *found = i < text.len && digits > 0 ? strchr(*letters, text.data[i]) : NULL;
    if (found == NULL || *found == 0 || (*fraction && *found != 'S'))
        return false;
    *letters = found + 1;
    *at = i + 1;
    return true;
}

// PnDTnHnMn.nS, each part optional but one (java.time.Duration.parse; negative ones are of no use here).
static bool is_period(struct slice text)
{
    size_t at = 1;
    const char *letters = "D";
    bool fraction = false, some = false;
    if (text.len < 3 || text.len > 60 || text.data[0] != 'P')
        return false;
    if (text.data[1] != 'T' && !(some = period_part(text, &at, &letters, &fraction)))
        return false;
    if (at < text.len && text.data[at] == 'T') {
        letters = "HMS";
        for (at++, some = false; at < text.len; some = true)
            if (!period_part(text, &at, &letters, &fraction))
                return false;
    }
    return some && at == text.len;
}

// One choice, of len bytes.
static bool is_choice(const char *choice, size_t len, struct slice word)
{
    if (len == 3 && memcmp(choice, "N:N", len) == 0)
        return is_pair(word);
    bool begins = word.len >= len && memcmp(word.data, choice, len) == 0;
    if (len > 0 && choice[len - 1] == ':')
        return begins && is_period(slice_of(word.data + len, word.len - len));
    return begins && word.len == len;
}

static bool one_of(const char *choices, struct slice word)
{
    while (*choices != 0) {
        size_t len = strcspn(choices, "|");
        if (is_choice(choices, len, word))
            return true;
        choices += len + (choices[len] == '|');
    }
    return false;
}

enum list_fault { LIST_OK, LIST_EMPTY_ITEM, LIST_OTHER_ITEM };

static enum list_fault list_check(const char *choices, struct slice value)
{
    if (value.len == 0)
        return LIST_OK;
    size_t at = 0;
    while (at <= value.len) {
        const uint8_t *comma = memchr(value.data + at, ',', value.len - at);
        size_t end = comma != NULL ? (size_t)(comma - value.data) : value.len;
        struct slice item = slice_trim(slice_of(value.data + at, end - at));
        if (item.len == 0)
            return LIST_EMPTY_ITEM;
        if (choices != NULL && !one_of(choices, item))
            return LIST_OTHER_ITEM;
        at = end + 1;
    }
    return LIST_OK;
}

// Reads a whole number or a decimal; false when it is none.
static bool number_of(enum configs_type type, struct slice value, double *number)
{
    char text[64], *end;
    value = slice_trim(value);
    if (value.len == 0 || value.len >= sizeof text)
        return false;
    memcpy(text, value.data, value.len);
    text[value.len] = 0;
    errno = 0;
    if (type == CONFIGS_DOUBLE) {
        *number = strtod(text, &end);
        return *end == 0 && errno == 0;
    }
    long long whole = strtoll(text, &end, 10);
    *number = (double)whole;
    bool fits = type == CONFIGS_LONG || (type == CONFIGS_INT && whole >= INT32_MIN && whole <= INT32_MAX) ||
                (type == CONFIGS_SHORT && whole >= INT16_MIN && whole <= INT16_MAX);
    return *end == 0 && errno == 0 && fits;
}

static enum status refuse(const struct configs_key *key, struct slice value, const char *reason,
                          char why[CONFIGS_WHY_SIZE])
{
    int len = value.len < 80 ? (int)value.len : 80;
    snprintf(why, CONFIGS_WHY_SIZE, "Invalid value %.*s for configuration %s: %s", len,
             (const char *)value.data, key->name, reason);
    return ST_INVALID;
}

static const char *const number_types[] = {
    [CONFIGS_INT] = "INT", [CONFIGS_SHORT] = "SHORT", [CONFIGS_LONG] = "LONG", [CONFIGS_DOUBLE] = "DOUBLE"};

static enum status check_number(const struct configs_key *key, struct slice value, char why[CONFIGS_WHY_SIZE])
{
    double number;
    char reason[80];
    snprintf(reason, sizeof reason, "Not a number of type %s", number_types[key->type]);
    if (!number_of(key->type, value, &number))
        return refuse(key, value, reason, why);
    if ((key->min == 0 && key->max == 0) || (number >= key->min && number <= key->max))
        return ST_OK;
    if (number < key->min)
        snprintf(reason, sizeof reason, "Value must be at least %.15g", key->min);
    else
        snprintf(reason, sizeof reason, "Value must be no more than %.15g", key->max);
    return refuse(key, value, reason, why);
}

static enum status check_list(const struct configs_key *key, struct slice value, char why[CONFIGS_WHY_SIZE])
{
    switch (list_check(key->choices, value)) {
    case LIST_OK:
        return ST_OK;
    case LIST_EMPTY_ITEM:
        snprintf(why, CONFIGS_WHY_SIZE, "Configuration '%s' values must not be empty.", key->name);
        return ST_INVALID;
    default:
        return refuse(key, value, "String must be one of the permitted values", why);
    }
}

static bool is_word(struct slice value, const char *word)
{
    return value.len == strlen(word) && strncasecmp((const char *)value.data, word, value.len) == 0;
}

// Scripts send what their language prints: True, " false".
static enum status check_boolean(const struct configs_key *key, struct slice value,
                                 char why[CONFIGS_WHY_SIZE])
{
    struct slice word = slice_trim(value);
    if (!is_word(word, "true") && !is_word(word, "false"))
        return refuse(key, value, "Expected value to be either true or false", why);
    if (key->choices != NULL && !is_word(word, key->choices))
        return refuse(key, value, "Not supported", why);
    return ST_OK;
}

enum status configs_check(const struct configs_key *key, struct slice value, char why[CONFIGS_WHY_SIZE])
{
    why[0] = 0;
    if (value.len > CONFIGS_VALUE_MAX || (value.len > 0 && memchr(value.data, 0, value.len) != NULL))
        return refuse(key, slice_of("", 0), "Value too long or with a NUL in it", why);
    switch (key->type) {
    case CONFIGS_BOOLEAN:
        return check_boolean(key, value, why);
    case CONFIGS_INT:
    case CONFIGS_SHORT:
    case CONFIGS_LONG:
    case CONFIGS_DOUBLE:
        return check_number(key, value, why);
    case CONFIGS_LIST:
        return check_list(key, value, why);
    default:
        if (key->choices != NULL && !one_of(key->choices, value))
            return refuse(key, value, "String must be one of the permitted values", why);
        return ST_OK;
    }
}

static bool list_has(const char *list, size_t len, struct slice item)
{
    for (size_t at = 0; at < len;) {
        const char *comma = memchr(list + at, ',', len - at);
        size_t end = comma != NULL ? (size_t)(comma - list) : len;
        if (slice_equal(item, slice_of(list + at, end - at)))
            return true;
        at = end + 1;
    }
    return false;
}

// The items without the blanks around them, each once (KIP-1161), in place.
static size_t squeeze_list(char *text, size_t len)
{
    size_t to = 0;
    for (size_t at = 0; at <= len;) {
        size_t end = at + strcspn(text + at, ",");
        struct slice item = slice_trim(slice_of((const uint8_t *)text + at, end - at));
        bool last = text[end] == 0;
        if (!list_has(text, to, item)) {
            if (to > 0)
                text[to++] = ',';
            memmove(text + to, item.data, item.len);
            to += item.len;
        }
        at = last ? len + 1 : end + 1;
    }
    return to;
}

const char *configs_kept(const struct configs_key *key, struct slice value, struct arena *arena)
{
    if (key->type == CONFIGS_STRING || key->type == CONFIGS_CLASS || key->type == CONFIGS_PASSWORD)
        return arena_strndup(arena, value.data, value.len);
    struct slice bare = slice_trim(value);
    char *text = arena_strndup(arena, bare.data, bare.len);
    if (text == NULL)
        return NULL;
    if (key->type == CONFIGS_LIST)
        text[squeeze_list(text, bare.len)] = 0;
    if (key->type == CONFIGS_BOOLEAN)
        return is_word(bare, "true") ? "true" : "false";
    return text;
}
