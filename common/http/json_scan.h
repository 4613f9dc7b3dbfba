// SPDX-License-Identifier: Apache-2.0
// Inside of the strict scanner, shared by json_scan.c and json_walk.c.
#ifndef HTTP_JSON_SCAN_H
#define HTTP_JSON_SCAN_H

#include "http/json.h"

struct json_scan {
    const uint8_t *at, *end;
    int depth;
};

void json_skip_blank(struct json_scan *scan);
// One value, blanks in front of it included. As deep in the C stack as JSON_DEPTH_MAX allows.
enum status json_scan_value(struct json_scan *scan);
// A string, from its quote on. out: NULL, or room for as many bytes as the quoted string has; it gets what
// the string means, without a NUL, *len bytes. *len means nothing when out is NULL.
enum status json_scan_string(struct json_scan *scan, char *out, size_t *len);

#endif
