// SPDX-License-Identifier: Apache-2.0
// Which names are allowed. ASCII is decided here; of other characters PCRE2 knows whether they are letters or
// digits. See avro.h.
#include "schema/avro.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "base/assert.h"
#include "base/utf8.h"

static bool letter(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

// Java looks at UTF-16 units one by one, and half of a surrogate pair is no letter: what is beyond U+FFFF
// (four bytes) is never part of a name.
static bool valid_by_unicode(struct slice part)
{
    static const char pattern[] = "\\A[\\p{L}_][\\p{L}\\p{Nd}_]*+\\z";
    int error;
    PCRE2_SIZE at;
    for (size_t i = 0; i < part.len; i++)
        if (part.data[i] >= 0xf0)
            return false;
    if (!utf8_valid(part))
        return false;
    pcre2_code *code =
        pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED, PCRE2_UTF, &error, &at, NULL);
    pcre2_match_data *match = code ? pcre2_match_data_create(1, NULL) : NULL;
    bool valid = match && pcre2_match(code, part.data, part.len, 0, PCRE2_NO_UTF_CHECK, match, NULL) > 0;
    pcre2_match_data_free(match);
    pcre2_code_free(code);
    return valid;
}

bool avro_name_valid(struct slice part)
{
    if (part.len == 0)
        return false;
    for (size_t i = 0; i < part.len; i++) {
        uint8_t c = part.data[i];
        if (c >= 0x80)
            return valid_by_unicode(part);
        if (!letter(c) && (i == 0 || c < '0' || c > '9'))
            return false;
    }
    return true;
}

bool avro_full_name_valid(struct slice full)
{
    size_t from = 0;
    for (size_t i = 0; i <= full.len; i++) {
        if (i < full.len && full.data[i] != '.')
            continue;
        if (!avro_name_valid(slice_of(full.data + from, i - from)))
            return false;
        from = i + 1;
    }
    return true;
}
