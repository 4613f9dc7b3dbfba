// SPDX-License-Identifier: Apache-2.0
// A strict scanner for RFC 8259: accepts exactly JSON, UTF-8, of bounded depth, and builds nothing. Also the
// writer of strings. See json.h.
#include "http/json_scan.h"

#include "base/utf8.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>

void json_skip_blank(struct json_scan *scan)
{
    while (scan->at < scan->end &&
           (*scan->at == ' ' || *scan->at == '\t' || *scan->at == '\n' || *scan->at == '\r'))
        scan->at++;
}

static bool take(struct json_scan *scan, char c)
{
    if (scan->at == scan->end || *scan->at != c)
        return false;
    scan->at++;
    return true;
}

static bool digit_here(const struct json_scan *scan)
{
    return scan->at < scan->end && isdigit(*scan->at);
}

static bool digits(struct json_scan *scan)
{
    if (!digit_here(scan))
        return false;
    while (digit_here(scan))
        scan->at++;
    return true;
}

static enum status scan_number(struct json_scan *scan)
{
    enum { LONGEST = 64 }; // cJSON reads no more of a number
    const uint8_t *from = scan->at;
    take(scan, '-');
    if (!take(scan, '0') && !digits(scan))
        return ST_MALFORMED;
    if (take(scan, '.') && !digits(scan))
        return ST_MALFORMED;
    bool exponent = take(scan, 'e') || take(scan, 'E');
    if (exponent) {
        if (!take(scan, '+'))
            take(scan, '-');
        if (!digits(scan))
            return ST_MALFORMED;
    }
    char text[LONGEST];
    size_t len = (size_t)(scan->at - from);
    if (len >= LONGEST - 1)
        return ST_MALFORMED;
    if (!exponent)
        return ST_OK; // so few digits are finite
    memcpy(text, from, len);
    text[len] = '\0';
    return isfinite(strtod(text, NULL)) ? ST_OK : ST_MALFORMED;
}

// The value of four hex digits, or -1. U+0000 is refused by the caller: C strings cannot carry it.
static int hex4(struct json_scan *scan)
{
    int value = 0;
    for (int i = 0; i < 4; i++, scan->at++) {
        int digit = scan->at < scan->end ? hex_digit(*scan->at) : -1;
        if (digit < 0)
            return -1;
        value = value << 4 | digit;
    }
    return value;
}

// \uXXXX, or two of them, behind the u.
static enum status scan_unicode(struct json_scan *scan, uint32_t *code)
{
    int unit = hex4(scan);
    if (unit <= 0 || (unit >= 0xdc00 && unit <= 0xdfff))
        return ST_MALFORMED;
    *code = (uint32_t)unit;
    if (unit < 0xd800 || unit > 0xdbff)
        return ST_OK;
    if (!take(scan, '\\') || !take(scan, 'u'))
        return ST_MALFORMED;
    int low = hex4(scan);
    *code = 0x10000 + ((uint32_t)(unit - 0xd800) << 10 | (uint32_t)(low - 0xdc00));
    return low >= 0xdc00 && low <= 0xdfff ? ST_OK : ST_MALFORMED;
}

// What the letter behind a backslash stands for; 0: nothing.
static uint32_t escaped(uint8_t letter)
{
    switch (letter) {
    case '"':
    case '\\':
    case '/':
        return letter;
    case 'b':
        return '\b';
    case 'f':
        return '\f';
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    default:
        return 0;
    }
}

static enum status scan_escape(struct json_scan *scan, uint32_t *code)
{
    if (scan->at == scan->end)
        return ST_MALFORMED;
    uint8_t letter = *scan->at++;
    if (letter == 'u')
        return scan_unicode(scan, code);
    *code = escaped(letter);
    return *code != 0 ? ST_OK : ST_MALFORMED;
}

static bool is_plain(uint8_t c)
{
    return c - 0x20u < 0x60u && c != '"' && c != '\\';
}

static size_t scan_beyond_ascii(struct json_scan *scan, char *out)
{
    size_t len = utf8_length(scan->at, (size_t)(scan->end - scan->at));
    if (out != NULL)
        memcpy(out, scan->at, len);
    scan->at += len;
    return len;
}

// What stands for itself, and quotes, up to another escape, the end of the string, or a character beyond
// ASCII; if one of those comes first, it is taken. Runs are short in a schema's text, which is a string full
// of quotes: bytes are copied one by one. 0: nothing that may be there.
static size_t scan_plain(struct json_scan *scan, char *out)
{
    const uint8_t *at = scan->at, *end = scan->end;
    size_t len = 0;
    for (; at < end; at++, len++) {
        bool quote = *at == '\\' && end - at > 1 && at[1] == '"';
        at += quote;
        if (!quote && !is_plain(*at))
            break;
        if (out != NULL)
            out[len] = (char)*at;
    }
    scan->at = at;
    return len == 0 && at < end && *at >= 0x80 ? scan_beyond_ascii(scan, out) : len;
}

enum status json_scan_string(struct json_scan *scan, char *out, size_t *out_len)
{
    size_t len = 0;
    if (!take(scan, '"'))
        return ST_MALFORMED;
    while (!take(scan, '"')) {
        uint32_t code = 0;
        size_t run = scan_plain(scan, out != NULL ? out + len : NULL);
        len += run;
        if (run > 0)
            continue;
        if (!take(scan, '\\'))
            return ST_MALFORMED;
        enum status status = scan_escape(scan, &code);
        if (status != ST_OK)
            return status;
        len += out != NULL ? utf8_put((uint8_t *)out + len, code) : 0;
    }
    *out_len = len;
    return ST_OK;
}

static enum status scan_member(struct json_scan *scan, bool named)
{
    json_skip_blank(scan);
    if (named) {
        size_t len;
        enum status status = json_scan_string(scan, NULL, &len);
        if (status != ST_OK)
            return status;
        json_skip_blank(scan);
        if (!take(scan, ':'))
            return ST_MALFORMED;
    }
    return json_scan_value(scan);
}

// An object or array behind its opening bracket.
static enum status scan_members(struct json_scan *scan, bool named, char close)
{
    if (++scan->depth > JSON_DEPTH_MAX)
        return ST_LIMIT;
    json_skip_blank(scan);
    if (!take(scan, close)) {
        do {
            enum status status = scan_member(scan, named);
            if (status != ST_OK)
                return status;
            json_skip_blank(scan);
        } while (take(scan, ','));
        if (!take(scan, close))
            return ST_MALFORMED;
    }
    scan->depth--;
    return ST_OK;
}

static enum status scan_word(struct json_scan *scan, const char *word)
{
    size_t len = strlen(word);
    if ((size_t)(scan->end - scan->at) < len || memcmp(scan->at, word, len) != 0)
        return ST_MALFORMED;
    scan->at += len;
    return ST_OK;
}

// As deep in the C stack as JSON_DEPTH_MAX allows.
enum status json_scan_value(struct json_scan *scan)
{
    json_skip_blank(scan);
    if (scan->at == scan->end)
        return ST_MALFORMED;
    size_t len;
    switch (*scan->at) {
    case '{':
        scan->at++;
        return scan_members(scan, true, '}');
    case '[':
        scan->at++;
        return scan_members(scan, false, ']');
    case '"':
        return json_scan_string(scan, NULL, &len);
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
    struct json_scan scan = {.at = text.data, .end = text.data + text.len};
    *error_at = 0;
    if (text.len > JSON_TEXT_MAX)
        return ST_LIMIT;
    enum status status = json_scan_value(&scan);
    if (status == ST_OK) {
        json_skip_blank(&scan);
        status = scan.at == scan.end ? ST_OK : ST_MALFORMED;
    }
    *error_at = (size_t)(scan.at - text.data);
    return status;
}

// ---- writing ----

// Bytes that the character at text, which has len bytes (0: it is none), takes in a string.
static size_t written_size(uint8_t first, size_t len)
{
    if (len == 0)
        return 3;
    if (first == '"' || first == '\\')
        return 2;
    return first < 0x20 || first == 0x7f ? 6 : len;
}

static size_t length_at(struct slice text, size_t i)
{
    return text.data[i] < 0x80 ? 1 : utf8_length(text.data + i, text.len - i);
}

static size_t written_total(struct slice text)
{
    size_t total = 2, len;
    for (size_t i = 0; i<text.len; i += len> 0 ? len : 1) {
        len = length_at(text, i);
        total += written_size(text.data[i], len);
    }
    return total;
}

static uint8_t *write_one(uint8_t *out, const uint8_t *at, size_t len)
{
    static const char hex[] = "0123456789abcdef";
    size_t size = written_size(*at, len);
    if (len == 0) {
        memcpy(out, "\xef\xbf\xbd", 3);
    } else if (size == 2 && len == 1) {
        out[0] = '\\';
        out[1] = *at;
    } else if (size == 6) {
        memcpy(out, "\\u00", 4);
        out[4] = (uint8_t)hex[*at >> 4];
        out[5] = (uint8_t)hex[*at & 15];
    } else {
        memcpy(out, at, len);
    }
    return out + size;
}

enum status json_put_string(struct buf *out, struct slice text)
{
    size_t total = written_total(text), len;
    enum status status = buf_reserve(out, total);
    if (status != ST_OK)
        return status;
    uint8_t *at = out->data + out->len;
    *at++ = '"';
    for (size_t i = 0; i<text.len; i += len> 0 ? len : 1) {
        len = length_at(text, i);
        if (len == 1 && is_plain(text.data[i]) && text.data[i] != 0x7f)
            *at++ = text.data[i];
        else
            at = write_one(at, text.data + i, len);
    }
    *at = '"';
    out->len += total;
    return ST_OK;
}
