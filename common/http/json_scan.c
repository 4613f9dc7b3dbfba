// SPDX-License-Identifier: Apache-2.0
// A strict scanner for RFC 8259: accepts exactly JSON, UTF-8, of bounded depth, and builds nothing. Also the
// writer of strings. See json.h.
#include "http/json.h"

#include "base/utf8.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>

struct scan {
    const uint8_t *at, *end;
    int depth;
};

static enum status scan_value(struct scan *scan);

static void skip_blank(struct scan *scan)
{
    while (scan->at < scan->end &&
           (*scan->at == ' ' || *scan->at == '\t' || *scan->at == '\n' || *scan->at == '\r'))
        scan->at++;
}

static bool take(struct scan *scan, char c)
{
    if (scan->at == scan->end || *scan->at != c)
        return false;
    scan->at++;
    return true;
}

static bool digit_here(const struct scan *scan)
{
    return scan->at < scan->end && isdigit(*scan->at);
}

static bool digits(struct scan *scan)
{
    if (!digit_here(scan))
        return false;
    while (digit_here(scan))
        scan->at++;
    return true;
}

static enum status scan_number(struct scan *scan)
{
    enum { LONGEST = 64 }; // cJSON reads no more of a number
    const uint8_t *from = scan->at;
    take(scan, '-');
    if (!take(scan, '0') && !digits(scan))
        return ST_MALFORMED;
    if (take(scan, '.') && !digits(scan))
        return ST_MALFORMED;
    if (take(scan, 'e') || take(scan, 'E')) {
        if (!take(scan, '+'))
            take(scan, '-');
        if (!digits(scan))
            return ST_MALFORMED;
    }
    char text[LONGEST];
    size_t len = (size_t)(scan->at - from);
    if (len >= LONGEST - 1)
        return ST_MALFORMED;
    memcpy(text, from, len);
    text[len] = '\0';
    return isfinite(strtod(text, NULL)) ? ST_OK : ST_MALFORMED;
}

// The value of four hex digits, or -1. U+0000 is refused by the caller: C strings cannot carry it.
static int hex4(struct scan *scan)
{
    int value = 0;
    for (int i = 0; i < 4; i++, scan->at++) {
        if (scan->at == scan->end || !isxdigit(*scan->at))
            return -1;
        int c = tolower(*scan->at);
        value = value << 4 | (isdigit(c) ? c - '0' : c - 'a' + 10);
    }
    return value;
}

static enum status scan_escape(struct scan *scan)
{
    if (scan->at == scan->end)
        return ST_MALFORMED;
    if (!take(scan, 'u')) {
        if (strchr("\"\\/bfnrt", *scan->at) == NULL || *scan->at == '\0')
            return ST_MALFORMED;
        scan->at++;
        return ST_OK;
    }
    int unit = hex4(scan);
    if (unit <= 0 || (unit >= 0xdc00 && unit <= 0xdfff))
        return ST_MALFORMED;
    if (unit < 0xd800 || unit > 0xdbff)
        return ST_OK;
    if (!take(scan, '\\') || !take(scan, 'u'))
        return ST_MALFORMED;
    int low = hex4(scan);
    return low >= 0xdc00 && low <= 0xdfff ? ST_OK : ST_MALFORMED;
}

static enum status scan_string(struct scan *scan)
{
    if (!take(scan, '"'))
        return ST_MALFORMED;
    while (scan->at < scan->end) {
        if (take(scan, '"'))
            return ST_OK;
        if (take(scan, '\\')) {
            enum status status = scan_escape(scan);
            if (status != ST_OK)
                return status;
            continue;
        }
        size_t len = utf8_length(scan->at, (size_t)(scan->end - scan->at));
        if (len == 0 || *scan->at < 0x20)
            return ST_MALFORMED;
        scan->at += len;
    }
    return ST_MALFORMED;
}

static enum status scan_member(struct scan *scan, bool named)
{
    skip_blank(scan);
    if (named) {
        enum status status = scan_string(scan);
        if (status != ST_OK)
            return status;
        skip_blank(scan);
        if (!take(scan, ':'))
            return ST_MALFORMED;
    }
    return scan_value(scan);
}

// An object or array behind its opening bracket.
static enum status scan_members(struct scan *scan, bool named, char close)
{
    if (++scan->depth > JSON_DEPTH_MAX)
        return ST_LIMIT;
    skip_blank(scan);
    if (!take(scan, close)) {
        do {
            enum status status = scan_member(scan, named);
            if (status != ST_OK)
                return status;
            skip_blank(scan);
        } while (take(scan, ','));
        if (!take(scan, close))
            return ST_MALFORMED;
    }
    scan->depth--;
    return ST_OK;
}

static enum status scan_word(struct scan *scan, const char *word)
{
    size_t len = strlen(word);
    if ((size_t)(scan->end - scan->at) < len || memcmp(scan->at, word, len) != 0)
        return ST_MALFORMED;
    scan->at += len;
    return ST_OK;
}

// As deep in the C stack as JSON_DEPTH_MAX allows.
static enum status scan_value(struct scan *scan)
{
    skip_blank(scan);
    if (scan->at == scan->end)
        return ST_MALFORMED;
    switch (*scan->at) {
    case '{':
        scan->at++;
        return scan_members(scan, true, '}');
    case '[':
        scan->at++;
        return scan_members(scan, false, ']');
    case '"':
        return scan_string(scan);
    case 't':
        return scan_word(scan, "true");
    case 'f':
        return scan_word(scan, "false");
    case 'n':
        return scan_word(scan, "null");
    default:
        return scan_number(scan);
    }
}

enum status json_check(struct slice text, size_t *error_at)
{
    struct scan scan = {.at = text.data, .end = text.data + text.len};
    *error_at = 0;
    if (text.len > JSON_TEXT_MAX)
        return ST_LIMIT;
    enum status status = scan_value(&scan);
    if (status == ST_OK) {
        skip_blank(&scan);
        status = scan.at == scan.end ? ST_OK : ST_MALFORMED;
    }
    *error_at = (size_t)(scan.at - text.data);
    return status;
}

enum status json_put_string(struct buf *out, struct slice text)
{
    static const char hex[] = "0123456789abcdef";
    buf_put_u8(out, '"');
    for (size_t i = 0; i < text.len;) {
        uint8_t c = text.data[i];
        size_t len = utf8_length(text.data + i, text.len - i);
        if (len == 0) {
            buf_append(out, "\xef\xbf\xbd", 3);
            len = 1;
        } else if (c == '"' || c == '\\') {
            buf_put_u8(out, '\\');
            buf_put_u8(out, c);
        } else if (c < 0x20 || c == 0x7f) {
            buf_append(out, "\\u00", 4);
            buf_put_u8(out, (uint8_t)hex[c >> 4]);
            buf_put_u8(out, (uint8_t)hex[c & 15]);
        } else {
            buf_append(out, text.data + i, len);
        }
        i += len;
    }
    return buf_put_u8(out, '"');
}
