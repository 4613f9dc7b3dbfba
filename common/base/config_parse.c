// SPDX-License-Identifier: Apache-2.0
// Texts that carry configuration: properties files as Kafka writes them, addresses, and the distance between
// two keys that tells a misspelling. See config.h.
#include "base/config.h"

#include "base/buf.h"

#include <ctype.h>
#include <stdlib.h>

int edit_distance(const char *a, const char *b, int limit)
{
    enum { WIDEST = 127 };
    size_t rows = strlen(a);
    size_t columns = strlen(b);
    if (rows > WIDEST || columns > WIDEST)
        return limit + 1;
    uint8_t table[3][WIDEST + 1]; // rows i-2, i-1, i of the optimal string alignment
    for (size_t j = 0; j <= columns; j++)
        table[0][j] = (uint8_t)j;
    for (size_t i = 1; i <= rows; i++) {
        uint8_t *row = table[i % 3];
        const uint8_t *above = table[(i + 2) % 3];
        const uint8_t *above2 = table[(i + 1) % 3];
        row[0] = (uint8_t)i;
        for (size_t j = 1; j <= columns; j++) {
            int best = above[j - 1] + (a[i - 1] != b[j - 1]);
            best = above[j] + 1 < best ? above[j] + 1 : best;
            best = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && above2[j - 2] + 1 < best)
                best = above2[j - 2] + 1;
            row[j] = (uint8_t)best;
        }
    }
    int distance = table[rows % 3][columns];
    return distance > limit ? limit + 1 : distance;
}

// Appends the next logical line without its line end; backslash-newline joins. False at the end of the text.
static bool line_next(struct slice *text, struct buf *line, int *number)
{
    bool joined = false;
    buf_clear(line);
    while (text->len > 0) {
        const uint8_t *end = memchr(text->data, '\n', text->len);
        size_t raw = end != NULL ? (size_t)(end - text->data) : text->len;
        size_t len = raw > 0 && text->data[raw - 1] == '\r' ? raw - 1 : raw;
        const uint8_t *from = text->data;
        while (len > 0 && joined && isblank(*from)) {
            from++;
            len--;
        }
        size_t slashes = 0;
        while (slashes < len && from[len - 1 - slashes] == '\\')
            slashes++;
        joined = slashes % 2 == 1;
        buf_append(line, from, joined ? len - 1 : len);
        size_t step = end != NULL ? raw + 1 : raw;
        *text = slice_of(text->data + step, text->len - step);
        (*number)++;
        if (!joined)
            return true;
    }
    return joined;
}

// Backslash escapes of Java's properties, in place; \uXXXX is not used by Kafka's keys and stays as it is.
static void unescape(char *text)
{
    char *to = text;
    for (const char *from = text; *from != '\0'; from++) {
        if (*from == '\\' && from[1] != '\0' && from[1] != 'u') {
            from++;
            *to++ = *from == 'n' ? '\n' : *from == 't' ? '\t' : *from == 'r' ? '\r' : *from;
        } else {
            *to++ = *from;
        }
    }
    *to = '\0';
}

static enum status pair_split(char *line, config_pair_fn *each, void *context)
{
    while (isspace((unsigned char)*line))
        line++;
    if (*line == '\0' || *line == '#' || *line == '!')
        return ST_OK;
    char *end = line;
    while (*end != '\0' && *end != '=' && *end != ':' && !isspace((unsigned char)*end))
        end += *end == '\\' && end[1] != '\0' ? 2 : 1;
    char *value = end;
    while (isspace((unsigned char)*value))
        value++;
    if (*value == '=' || *value == ':')
        value++;
    while (isspace((unsigned char)*value))
        value++;
    if (end == line)
        return ST_MALFORMED;
    char *tail = value + strlen(value);
    while (tail > value && isspace((unsigned char)tail[-1]))
        tail--;
    *tail = '\0';
    *end = '\0';
    unescape(line);
    unescape(value);
    return each(line, value, context);
}

enum status config_parse(struct slice text, config_pair_fn *each, void *context, int *line)
{
    struct buf one;
    buf_init(&one, CONFIG_VALUE_MAX);
    enum status status = ST_OK;
    *line = 0;
    while (status == ST_OK && line_next(&text, &one, line)) {
        buf_put_u8(&one, '\0');
        if (buf_status(&one) != ST_OK || memchr(one.data, '\0', one.len - 1) != NULL)
            status = ST_MALFORMED;
        else
            status = pair_split((char *)one.data, each, context);
    }
    buf_fini(&one);
    return status;
}

enum status config_address(const char *text, char name[256], char host[256], int *port)
{
    const char *scheme = strstr(text, "://");
    const char *from = scheme != NULL ? scheme + 3 : text;
    size_t name_len = scheme != NULL ? (size_t)(scheme - text) : 0;
    const char *colon = strrchr(from, ':');
    if (colon == NULL || name_len > 255 || colon[1] == '\0' ||
        strspn(colon + 1, "0123456789") != strlen(colon + 1))
        return ST_INVALID;
    size_t len = (size_t)(colon - from);
    if (len >= 2 && from[0] == '[' && from[len - 1] == ']') {
        from++;
        len -= 2;
    } else if (memchr(from, ':', len) != NULL) {
        return ST_INVALID;
    }
    long number = strlen(colon + 1) <= 5 ? strtol(colon + 1, NULL, 10) : 65536;
    if (len > 255 || number > 65535)
        return ST_INVALID;
    memcpy(host, from, len);
    host[len] = '\0';
    *port = (int)number;
    if (name != NULL) {
        memcpy(name, text, name_len);
        name[name_len] = '\0';
    }
    return ST_OK;
}
