// SPDX-License-Identifier: Apache-2.0
// JSON with limits on top of cJSON, for control data: REST bodies, state files. cJSON alone reads more than
// JSON (trailing garbage, "01", raw tabs, broken UTF-8, 1e400) and loses digits of large integers, so a
// strict scanner goes over the text first and integers are checked and printed exactly. Not for record data.
#ifndef HTTP_JSON_H
#define HTTP_JSON_H

#include "base/buf.h"

#include <cjson/cJSON.h>

enum { JSON_DEPTH_MAX = 32, JSON_TEXT_MAX = 16 << 20 };

// Parses one whole JSON text. MALFORMED: not JSON by RFC 8259, or a number no double can hold, or an object
// with a repeated key; LIMIT: deeper than JSON_DEPTH_MAX or longer than JSON_TEXT_MAX. error_at: byte
// position.
enum status json_parse(struct slice text, cJSON **json, size_t *error_at);

// Only the strict scan of json_parse, without repeated keys.
enum status json_check(struct slice text, size_t *error_at);

// Members, names in exact case. string: NULL when absent or of another type. integer: INVALID when absent,
// not a whole number, or beyond 2^53 either way (its digits are lost).
const cJSON *json_get(const cJSON *object, const char *name);
const char *json_string(const cJSON *object, const char *name);
enum status json_integer(const cJSON *object, const char *name, int64_t *value);
enum status json_whole(const cJSON *item, int64_t *value); // the same of a value by itself; may be NULL

// Adds a 64-bit integer with all its digits.
void json_add_integer(cJSON *object, const char *name, int64_t value);

// Appends a string as JSON, quotes included; bytes that are not UTF-8 become U+FFFD.
enum status json_put_string(struct buf *out, struct slice text);

#endif
