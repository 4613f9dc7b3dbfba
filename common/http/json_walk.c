// SPDX-License-Identifier: Apache-2.0
// See json_walk.h. What it accepts is what json_parse does, but that members of one name are the caller's.
#include "http/json_walk.h"

#include <stdlib.h>

void json_walk_init(struct json_walk *walk, struct slice text, char *room)
{
    *walk = (struct json_walk){.scan = {.at = text.data, .end = text.data + text.len}, .room = room};
    if (text.len > JSON_TEXT_MAX)
        walk->state = JSON_WALK_TOO_LONG;
}

static bool take(struct json_scan *scan, char c)
{
    json_skip_blank(scan);
    if (scan->at == scan->end || *scan->at != c)
        return false;
    scan->at++;
    return true;
}

static enum status decode(struct json_walk *walk, struct slice *text)
{
    size_t len;
    enum status status = json_scan_string(&walk->scan, walk->room, &len);
    if (status != ST_OK)
        return status;
    *text = slice_of(walk->room, len);
    walk->room[len] = '\0';
    walk->room += len + 1;
    return ST_OK;
}

static enum json_kind kind_of(uint8_t first)
{
    switch (first) {
    case '"':
        return JSON_STRING;
    case '{':
        return JSON_OBJECT;
    case '[':
        return JSON_ARRAY;
    case 't':
        return JSON_TRUE;
    case 'f':
        return JSON_FALSE;
    case 'n':
        return JSON_NULL;
    default:
        return JSON_NUMBER;
    }
}

static enum status value_read(struct json_walk *walk, struct json_member *member)
{
    struct json_scan *scan = &walk->scan;
    json_skip_blank(scan);
    if (scan->at == scan->end)
        return ST_MALFORMED;
    const uint8_t *from = scan->at;
    member->kind = kind_of(*from);
    enum status status = member->kind == JSON_STRING ? decode(walk, &member->text) : json_scan_value(scan);
    if (member->kind != JSON_STRING)
        member->text = slice_of(from, (size_t)(scan->at - from));
    return status;
}

static enum status ended(struct json_walk *walk)
{
    walk->state = JSON_WALK_ENDED;
    json_skip_blank(&walk->scan);
    return walk->scan.at == walk->scan.end ? ST_NOT_FOUND : ST_MALFORMED;
}

enum status json_walk_next(struct json_walk *walk, struct json_member *member)
{
    struct json_scan *scan = &walk->scan;
    bool first = walk->state == JSON_WALK_NEW;
    if (walk->state == JSON_WALK_TOO_LONG)
        return ST_LIMIT;
    if (first && !take(scan, '{'))
        return ST_MALFORMED;
    walk->state = JSON_WALK_INSIDE;
    scan->depth = 1;
    if (take(scan, '}'))
        return ended(walk);
    if (!first && !take(scan, ','))
        return ST_MALFORMED;
    json_skip_blank(scan);
    enum status status = decode(walk, &member->name);
    if (status == ST_OK && !take(scan, ':'))
        status = ST_MALFORMED;
    return status == ST_OK ? value_read(walk, member) : status;
}

enum status json_member_integer(const struct json_member *member, int64_t *value)
{
    enum { DIGITS_EXACT = 15 };
    char digits[DIGITS_EXACT + 2], *end;
    if (member->kind != JSON_NUMBER)
        return ST_INVALID;
    if (member->text.len <= DIGITS_EXACT) {
        memcpy(digits, member->text.data, member->text.len);
        digits[member->text.len] = '\0';
        int64_t number = strtoll(digits, &end, 10);
        if (*end == '\0') {
            *value = number;
            return ST_OK;
        }
    }
    size_t at;
    cJSON *json;
    if (json_parse(member->text, &json, &at) != ST_OK)
        return ST_INVALID;
    enum status status = json_whole(json, value);
    cJSON_Delete(json);
    return status;
}
