// SPDX-License-Identifier: Apache-2.0
// The members of one JSON object, one after the other, without a tree: for records, of which there are
// hundreds of thousands at a start. Strict as json_parse, but for members that come twice.
//
//   json_walk_init(&walk, text, room);
//   while ((status = json_walk_next(&walk, &member)) == ST_OK) ...
//   if (status != ST_NOT_FOUND) it is no JSON object
#ifndef HTTP_JSON_WALK_H
#define HTTP_JSON_WALK_H

#include "http/json_scan.h"

enum json_kind { JSON_STRING, JSON_NUMBER, JSON_TRUE, JSON_FALSE, JSON_NULL, JSON_OBJECT, JSON_ARRAY };

struct json_member {
    struct slice name; // a NUL behind it
    enum json_kind kind;
    struct slice text; // of a string what it means, a NUL behind it; else the JSON of the value
};

enum json_walk_state { JSON_WALK_NEW, JSON_WALK_INSIDE, JSON_WALK_ENDED, JSON_WALK_TOO_LONG };

struct json_walk {
    struct json_scan scan;
    char *room;
    enum json_walk_state state;
};

// text is borrowed. room: as many bytes as the text has, where names and strings are put; they stay.
void json_walk_init(struct json_walk *walk, struct slice text, char *room);

// OK: the next member. NOT_FOUND: no more, and nothing stands behind the object. MALFORMED: not an object by
// RFC 8259. LIMIT: longer or deeper than json_parse takes. Not to be called again after anything but OK.
enum status json_walk_next(struct json_walk *walk, struct json_member *member);

// As json_integer.
enum status json_member_integer(const struct json_member *member, int64_t *value);

#endif
