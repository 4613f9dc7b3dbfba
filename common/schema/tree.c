// SPDX-License-Identifier: Apache-2.0
// The reader of tree.h. It recurses as deep as depth_max; names of an object are sorted at its end, so that
// hostile names cost n log n at most.
#include "schema/tree.h"

#include "base/utf8.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>

struct reader {
    struct arena *arena;
    const uint8_t *start, *at, *end;
    int depth_left;
    bool comments;
    const char *why;
};

static enum status read_value(struct reader *r, struct tree *into);

static enum status wrong(struct reader *r, const char *why)
{
    r->why = why;
    return ST_MALFORMED;
}

static enum status full(struct reader *r)
{
    r->why = "the text takes too much memory";
    return ST_LIMIT;
}

static bool starts(const struct reader *r, const char *word)
{
    size_t len = strlen(word);
    return (size_t)(r->end - r->at) >= len && memcmp(r->at, word, len) == 0;
}

// Passes a comment; false: there is none, or it does not end.
static bool skip_comment(struct reader *r)
{
    if (starts(r, "//")) {
        while (r->at < r->end && *r->at != '\n')
            r->at++;
        return true;
    }
    if (!starts(r, "/*"))
        return false;
    const uint8_t *close = memmem(r->at + 2, (size_t)(r->end - r->at) - 2, "*/", 2);
    if (close == NULL)
        return false;
    r->at = close + 2;
    return true;
}

static void skip_blank(struct reader *r)
{
    for (;;) {
        while (r->at < r->end && (*r->at == ' ' || *r->at == '\t' || *r->at == '\n' || *r->at == '\r'))
            r->at++;
        if (!r->comments || !skip_comment(r))
            return;
    }
}

static bool take(struct reader *r, char c)
{
    if (r->at == r->end || *r->at != c)
        return false;
    r->at++;
    return true;
}

static bool take_digits(struct reader *r)
{
    const uint8_t *from = r->at;
    while (r->at < r->end && isdigit(*r->at))
        r->at++;
    return r->at > from;
}

static enum status read_number(struct reader *r, struct tree *into)
{
    const uint8_t *from = r->at;
    bool real = false;
    take(r, '-');
    if (!take(r, '0') && !take_digits(r))
        return wrong(r, "no JSON value");
    if (take(r, '.') && (real = true) && !take_digits(r))
        return wrong(r, "a number has no digits behind its point");
    if (take(r, 'e') || take(r, 'E')) {
        real = true;
        if (!take(r, '+'))
            take(r, '-');
        if (!take_digits(r))
            return wrong(r, "a number has no digits in its exponent");
    }
    size_t len = (size_t)(r->at - from);
    if (len > TREE_NUMBER_MAX)
        return wrong(r, "a number is too long");
    if (r->at < r->end && isalnum(*r->at))
        return wrong(r, "a number is followed by neither a comma nor an end");
    char *digits = arena_strndup(r->arena, from, len);
    if (digits == NULL)
        return full(r);
    into->kind = real ? TREE_REAL : TREE_INTEGER;
    if (real) {
        into->real = strtod(digits, NULL);
        into->digits = digits;
    } else {
        into->text = slice_str(strcmp(digits, "-0") == 0 ? "0" : digits);
    }
    return ST_OK;
}

// The value of four hex digits, or -1.
static int hex4(struct reader *r)
{
    int value = 0;
    for (int i = 0; i < 4; i++, r->at++) {
        int digit = r->at < r->end ? hex_digit(*r->at) : -1;
        if (digit < 0)
            return -1;
        value = value << 4 | digit;
    }
    return value;
}

// \uXXXX behind its "u". Half a surrogate pair alone has no UTF-8 and is refused.
static enum status read_unicode(struct reader *r, uint8_t *out, size_t *len)
{
    int unit = hex4(r);
    if (unit < 0 || (unit >= 0xdc00 && unit <= 0xdfff))
        return wrong(r, "\\u is not followed by the digits of a character");
    uint32_t point = (uint32_t)unit;
    if (unit >= 0xd800 && unit <= 0xdbff) {
        int low = take(r, '\\') && take(r, 'u') ? hex4(r) : -1;
        if (low < 0xdc00 || low > 0xdfff)
            return wrong(r, "\\u is followed by half a character");
        point = 0x10000 + ((point - 0xd800) << 10) + ((uint32_t)low - 0xdc00);
    }
    *len += utf8_put(out + *len, point);
    return ST_OK;
}

static enum status read_escape(struct reader *r, uint8_t *out, size_t *len)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    if (take(r, 'u'))
        return read_unicode(r, out, len);
    const char *found = r->at < r->end && *r->at != '\0' ? strchr(from, *r->at) : NULL;
    if (found == NULL)
        return wrong(r, "an escape that JSON does not have");
    r->at++;
    out[(*len)++] = (uint8_t)to[found - from];
    return ST_OK;
}

// Where the string that begins at r->at ends (its closing quote), or NULL.
static const uint8_t *string_end(const struct reader *r)
{
    for (const uint8_t *at = r->at; at < r->end; at++) {
        if (*at == '"')
            return at;
        if (*at == '\\')
            at++;
    }
    return NULL;
}

// A string behind its opening quote, decoded: never longer than it is written; a NUL behind it.
static enum status read_string(struct reader *r, struct slice *text)
{
    const uint8_t *end = string_end(r);
    if (end == NULL)
        return wrong(r, "a string does not end");
    uint8_t *out = arena_alloc(r->arena, (size_t)(end - r->at) + 1);
    size_t len = 0;
    if (out == NULL)
        return full(r);
    while (!take(r, '"')) {
        if (take(r, '\\')) {
            enum status status = read_escape(r, out, &len);
            if (status != ST_OK)
                return status;
            continue;
        }
        size_t unit = utf8_length(r->at, (size_t)(r->end - r->at));
        if (unit == 0 || *r->at < 0x20)
            return wrong(r, "a string holds a control character or is no UTF-8");
        memcpy(out + len, r->at, unit);
        len += unit;
        r->at += unit;
    }
    *text = slice_of(out, len);
    return ST_OK;
}

static enum status read_name(struct reader *r, struct tree *member)
{
    skip_blank(r);
    if (!take(r, '"'))
        return wrong(r, "a member has no name");
    enum status status = read_string(r, &member->name);
    if (status != ST_OK)
        return status;
    skip_blank(r);
    return take(r, ':') ? ST_OK : wrong(r, "a member's name is not followed by a colon");
}

static int by_name(const void *a, const void *b)
{
    return tree_compare((*(struct tree *const *)a)->name, (*(struct tree *const *)b)->name);
}

// Jackson's ObjectNode: of a name given more than once the first place and the last value stay. The sort is
// stable, so the last of equal names is the last in the text.
static void drop_repeated(struct tree *object)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < object->count; i++) {
        struct tree *first = object->sorted[i], *last = first;
        while (i + 1 < object->count && slice_equal(object->sorted[i + 1]->name, first->name)) {
            last = object->sorted[++i];
            last->name.data = NULL; // marks it for the list below
        }
        if (last != first) {
            struct tree value = *last;
            value.name = first->name;
            value.next = first->next;
            *first = value;
        }
        object->sorted[kept++] = first;
    }
    for (struct tree **link = &object->first; *link != NULL;) {
        if ((*link)->name.data == NULL)
            *link = (*link)->next;
        else
            link = &(*link)->next;
    }
    object->count = kept;
}

static void merge_sort(struct tree **items, struct tree **spare, size_t count)
{
    if (count < 2)
        return;
    size_t half = count / 2, left = 0, right = half;
    merge_sort(items, spare, half);
    merge_sort(items + half, spare, count - half);
    for (size_t i = 0; i < count; i++) {
        bool take_left = right == count || (left < half && by_name(&items[left], &items[right]) <= 0);
        spare[i] = items[take_left ? left++ : right++];
    }
    memcpy(items, spare, count * sizeof *items);
}

static enum status index_members(struct reader *r, struct tree *object)
{
    struct tree **both = arena_calloc(r->arena, 2 * (size_t)object->count + 1, sizeof *both);
    if (both == NULL)
        return full(r);
    size_t i = 0;
    for (struct tree *at = object->first; at != NULL; at = at->next)
        both[i++] = at;
    merge_sort(both, both + object->count, object->count);
    object->sorted = both;
    drop_repeated(object);
    return ST_OK;
}

static enum status read_member(struct reader *r, struct tree *into, struct tree ***link)
{
    struct tree *member = arena_alloc(r->arena, sizeof *member);
    if (member == NULL)
        return full(r);
    enum status status = into->kind == TREE_OBJECT ? read_name(r, member) : ST_OK;
    if (status == ST_OK)
        status = read_value(r, member);
    **link = member;
    *link = &member->next;
    into->count++;
    return status;
}

// An array or object behind its opening bracket.
static enum status read_members(struct reader *r, struct tree *into, char close)
{
    struct tree **link = &into->first;
    if (r->depth_left-- == 0) {
        r->why = "brackets are nested too deeply";
        return ST_LIMIT;
    }
    skip_blank(r);
    if (!take(r, close)) {
        do {
            enum status status = read_member(r, into, &link);
            if (status != ST_OK)
                return status;
            skip_blank(r);
        } while (take(r, ','));
        if (!take(r, close))
            return wrong(r, close == '}' ? "an object is not closed" : "an array is not closed");
    }
    r->depth_left++;
    return into->kind == TREE_OBJECT ? index_members(r, into) : ST_OK;
}

static enum status read_word(struct reader *r, struct tree *into)
{
    static const char *const words[] = {[TREE_NULL] = "null", [TREE_FALSE] = "false", [TREE_TRUE] = "true"};
    for (into->kind = TREE_NULL; into->kind <= TREE_TRUE; into->kind++)
        if (starts(r, words[into->kind])) {
            r->at += strlen(words[into->kind]);
            return ST_OK;
        }
    return read_number(r, into);
}

static enum status read_value(struct reader *r, struct tree *into)
{
    skip_blank(r);
    if (r->at == r->end)
        return wrong(r, "the text ends too early");
    if (take(r, '{')) {
        into->kind = TREE_OBJECT;
        return read_members(r, into, '}');
    }
    if (take(r, '[')) {
        into->kind = TREE_ARRAY;
        return read_members(r, into, ']');
    }
    if (take(r, '"')) {
        into->kind = TREE_STRING;
        return read_string(r, &into->text);
    }
    return read_word(r, into);
}

static void locate(const struct reader *r, struct tree_fault *fault)
{
    *fault = (struct tree_fault){.text = r->why, .line = 1, .column = 1};
    for (const uint8_t *at = r->start; at < r->at && at < r->end; at++) {
        fault->column = *at == '\n' ? 1 : fault->column + 1;
        fault->line += *at == '\n';
    }
}

enum status tree_parse(struct arena *arena, struct slice text, int depth_max, bool comments,
                       struct tree **tree, struct tree_fault *fault)
{
    if (text.len == 0)
        text = slice_str(""); // its data may be NULL, which has no end
    struct reader r = {.arena = arena,
                       .start = text.data,
                       .at = text.data,
                       .end = text.data + text.len,
                       .depth_left = depth_max,
                       .comments = comments};
    *tree = arena_alloc(arena, sizeof **tree);
    enum status status = *tree == NULL ? full(&r) : read_value(&r, *tree);
    if (status == ST_OK) {
        r.comments = false; // Avro's parser admits none behind the value
        skip_blank(&r);
        if (r.at != r.end)
            status = wrong(&r, "something follows the end of the JSON value");
    }
    if (status != ST_OK)
        locate(&r, fault);
    return status;
}

const struct tree *tree_get(const struct tree *object, struct slice name)
{
    size_t low = 0, high = object->kind == TREE_OBJECT ? object->count : 0;
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = tree_compare(name, object->sorted[middle]->name);
        if (order == 0)
            return object->sorted[middle];
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

bool tree_integer(const struct tree *tree, int64_t *value)
{
    if (tree->kind != TREE_INTEGER)
        return false;
    errno = 0;
    *value = strtoll((const char *)tree->text.data, NULL, 10);
    return errno == 0;
}

double tree_number(const struct tree *tree)
{
    if (tree->kind == TREE_INTEGER)
        return strtod((const char *)tree->text.data, NULL);
    return tree->kind == TREE_REAL ? tree->real : 0;
}
