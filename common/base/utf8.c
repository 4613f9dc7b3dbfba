// SPDX-License-Identifier: Apache-2.0
// See utf8.h.
#include "base/utf8.h"

size_t utf8_length(const uint8_t *at, size_t left)
{
    if (at[0] < 0x80)
        return 1;
    size_t len = at[0] >= 0xf0 ? 4 : at[0] >= 0xe0 ? 3 : 2;
    if (at[0] < 0xc2 || at[0] > 0xf4 || left < len)
        return 0;
    for (size_t i = 1; i < len; i++)
        if ((at[i] & 0xc0) != 0x80)
            return 0;
    bool overlong = (at[0] == 0xe0 && at[1] < 0xa0) || (at[0] == 0xf0 && at[1] < 0x90);
    bool surrogate = at[0] == 0xed && at[1] > 0x9f;
    bool beyond = at[0] == 0xf4 && at[1] > 0x8f;
    return overlong || surrogate || beyond ? 0 : len;
}

bool utf8_valid(struct slice text)
{
    for (size_t at = 0, len; at < text.len; at += len)
        if ((len = utf8_length(text.data + at, text.len - at)) == 0)
            return false;
    return true;
}
