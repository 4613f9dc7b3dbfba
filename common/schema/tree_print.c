// SPDX-License-Identifier: Apache-2.0
// The printer of tree.h, and the order of its strings.
#include "schema/tree.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

// Bytes of UTF-8 sort as code points, which is the order of UTF-16 but for U+E000 to U+FFFF (lead bytes ee
// and ef): they come behind the surrogates that stand for what is above (lead bytes f0 to f4).
static int unit_rank(uint8_t byte)
{
    return byte >= 0xf0 ? byte - 2 : byte >= 0xee ? byte + 8 : byte;
}

int tree_compare(struct slice a, struct slice b)
{
    size_t len = a.len < b.len ? a.len : b.len;
    for (size_t i = 0; i < len; i++)
        if (a.data[i] != b.data[i])
            return unit_rank(a.data[i]) - unit_rank(b.data[i]);
    return (a.len > b.len) - (a.len < b.len);
}

static void put_escaped(uint8_t c, struct buf *out)
{
    static const char letters[] = "btn.fr"; // \b is 8, \r is 13; 11 has none
    if (c == '"' || c == '\\')
        buf_printf(out, "\\%c", c);
    else if (c >= 8 && c <= 13 && c != 11)
        buf_printf(out, "\\%c", letters[c - 8]);
    else
        buf_printf(out, "\\u%04X", c);
}

void tree_put_character(uint8_t c, struct buf *out)
{
    if (c >= 0x20 && c != '"' && c != '\\')
        buf_put_u8(out, c);
    else
        put_escaped(c, out);
}

void tree_put_string(struct slice text, struct buf *out)
{
    size_t from = 0;
    buf_put_u8(out, '"');
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.data[i];
        if (c >= 0x20 && c != '"' && c != '\\')
            continue;
        buf_append(out, text.data + from, i - from);
        put_escaped(c, out);
        from = i + 1;
    }
    buf_append(out, text.data + from, text.len - from);
    buf_put_u8(out, '"');
}

// digits: "d.ddde±nn" as printf makes it. Java writes a point and a digit behind it always, and an exponent
// outside of 10^-3 to 10^7.
static void put_java(char *digits, struct buf *out)
{
    char *exponent = strchr(digits, 'e');
    int power = (int)strtol(exponent + 1, NULL, 10);
    *exponent = '\0';
    if (*digits == '-')
        buf_put_u8(out, (uint8_t)*digits++);
    char plain[32];
    snprintf(plain, sizeof plain, "%c%s", digits[0], digits + 2);
    int len = (int)strlen(plain);
    while (len > 1 && plain[len - 1] == '0')
        plain[--len] = '\0';
    if (power >= 7 || power < -3)
        buf_printf(out, "%c.%sE%d", plain[0], len > 1 ? plain + 1 : "0", power);
    else if (power < 0)
        buf_printf(out, "0.%.*s%s", -power - 1, "00", plain);
    else if (len <= power + 1)
        buf_printf(out, "%s%.*s.0", plain, power + 1 - len, "000000");
    else
        buf_printf(out, "%.*s.%s", power + 1, plain, plain + power + 1);
}

// What JSON has no number for; Jackson puts it in quotes.
static bool put_odd(double value, struct buf *out)
{
    if (isfinite(value) && value != 0)
        return false;
    if (value == 0)
        buf_printf(out, signbit(value) ? "-0.0" : "0.0");
    else
        buf_printf(out, isnan(value) ? "\"NaN\"" : value < 0 ? "\"-Infinity\"" : "\"Infinity\"");
    return true;
}

void tree_put_double(double value, struct buf *out)
{
    char digits[40];
    if (put_odd(value, out))
        return;
    for (int precision = 1; precision <= 16; precision++) {
        snprintf(digits, sizeof digits, "%.*e", precision, value);
        if (strtod(digits, NULL) == value)
            break;
    }
    put_java(digits, out);
}

void tree_put_float(float value, struct buf *out)
{
    char digits[40];
    if (put_odd(value, out))
        return;
    for (int precision = 1; precision <= 8; precision++) {
        snprintf(digits, sizeof digits, "%.*e", precision, (double)value);
        if (strtof(digits, NULL) == value)
            break;
    }
    put_java(digits, out);
}

enum { EXPONENT_MAX = 1 << 30 }; // BigDecimal has none that is much larger

// A number as written, taken apart: its digits without point and leading zeros, and where the point is.
struct decimal {
    bool negative;
    char digits[TREE_NUMBER_MAX + 1];
    int count;
    int64_t scale; // digits behind the point; below 0: zeros before it
};

// false: its exponent is too large.
static bool read_decimal(const char *text, struct decimal *decimal)
{
    bool point = false;
    *decimal = (struct decimal){.negative = *text == '-'};
    for (text += *text == '-'; *text != '\0' && *text != 'e' && *text != 'E'; text++) {
        if (*text == '.') {
            point = true;
            continue;
        }
        decimal->scale += point;
        if (decimal->count > 0 || *text != '0')
            decimal->digits[decimal->count++] = *text;
    }
    int64_t exponent = *text != '\0' ? strtoll(text + 1, NULL, 10) : 0;
    if (exponent > EXPONENT_MAX || exponent < -EXPONENT_MAX)
        return false;
    decimal->scale -= exponent;
    if (decimal->count == 0) {
        decimal->digits[decimal->count++] = '0';
        decimal->negative = false;
    }
    return true;
}

// BigDecimal.toString: plain from 10^-6 up to where the last digit is a whole one, with an exponent beyond.
static void put_exact(const char *text, struct buf *out)
{
    struct decimal decimal;
    if (!read_decimal(text, &decimal)) {
        buf_printf(out, "%s", text);
        return;
    }
    int64_t adjusted = decimal.count - 1 - decimal.scale, before = decimal.count - decimal.scale;
    buf_printf(out, decimal.negative ? "-" : "");
    if (decimal.scale >= 0 && adjusted >= -6 && before <= 0)
        buf_printf(out, "0.%.*s%s", (int)-before, "000000", decimal.digits);
    else if (decimal.scale == 0)
        buf_printf(out, "%s", decimal.digits);
    else if (decimal.scale > 0 && adjusted >= -6)
        buf_printf(out, "%.*s.%s", (int)before, decimal.digits, decimal.digits + before);
    else
        buf_printf(out, "%c%s%sE%+lld", decimal.digits[0], decimal.count > 1 ? "." : "", decimal.digits + 1,
                   (long long)adjusted);
}

struct style {
    bool sorted, exact;
};

static void print(const struct tree *tree, struct style style, struct buf *out);

static void print_members(const struct tree *tree, struct style style, struct buf *out)
{
    const struct tree *at = tree->first;
    for (uint32_t i = 0; i < tree->count; i++, at = at->next) {
        const struct tree *member = style.sorted && tree->kind == TREE_OBJECT ? tree->sorted[i] : at;
        if (i > 0)
            buf_put_u8(out, ',');
        if (tree->kind == TREE_OBJECT) {
            tree_put_string(member->name, out);
            buf_put_u8(out, ':');
        }
        print(member, style, out);
    }
}

static void print(const struct tree *tree, struct style style, struct buf *out)
{
    static const char *const words[] = {[TREE_NULL] = "null", [TREE_FALSE] = "false", [TREE_TRUE] = "true"};
    switch (tree->kind) {
    case TREE_INTEGER:
        buf_append(out, tree->text.data, tree->text.len);
        return;
    case TREE_REAL:
        if (style.exact)
            put_exact(tree->digits, out);
        else
            tree_put_double(tree->real, out);
        return;
    case TREE_STRING:
        tree_put_string(tree->text, out);
        return;
    case TREE_ARRAY:
    case TREE_OBJECT:
        buf_put_u8(out, tree->kind == TREE_ARRAY ? '[' : '{');
        print_members(tree, style, out);
        buf_put_u8(out, tree->kind == TREE_ARRAY ? ']' : '}');
        return;
    default:
        buf_printf(out, "%s", words[tree->kind]);
    }
}

void tree_print(const struct tree *tree, bool sorted, struct buf *out)
{
    print(tree, (struct style){.sorted = sorted}, out);
}

void tree_print_exact(const struct tree *tree, bool sorted, struct buf *out)
{
    print(tree, (struct style){.sorted = sorted, .exact = true}, out);
}
