// SPDX-License-Identifier: Apache-2.0
// Text and random forms of 128-bit ids. See uuid.h.
#include "base/uuid.h"

#include "base/bytes.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

enum { NEAR_BITS_MAX = 16 };

struct uuid uuid_from_random(uint64_t high, uint64_t low)
{
    struct uuid id;
    high = (high & ~0xf000ull) | 0x4000ull;                       // version 4
    low = (low & ~0xc000000000000000ull) | 0x8000000000000000ull; // variant 1
    if ((high >> 58) == 62)                                       // would print '-' first
        high ^= 1ull << 63;
    store_be64(id.bytes, high);
    store_be64(id.bytes + 8, low);
    return id;
}

bool uuid_near(struct uuid a, struct uuid b)
{
    int bits = 0;
    for (size_t i = 0; i < sizeof a.bytes; i++)
        bits += __builtin_popcount((unsigned)(a.bytes[i] ^ b.bytes[i]));
    return bits > 0 && bits <= NEAR_BITS_MAX;
}

void uuid_format(struct uuid id, char text[UUID_TEXT_SIZE])
{
    uint32_t bits = 0;
    int have = 0;
    int out = 0;
    for (int i = 0; i < 16; i++) {
        bits = bits << 8 | id.bytes[i];
        for (have += 8; have >= 6; have -= 6)
            text[out++] = alphabet[bits >> (have - 6) & 63];
    }
    text[out++] = alphabet[bits << (6 - have) & 63];
    text[out] = '\0';
}

bool uuid_parse(const char *text, struct uuid *id)
{
    uint32_t bits = 0;
    int have = 0;
    int out = 0;
    if (strlen(text) != UUID_TEXT_SIZE - 1)
        return false;
    for (int i = 0; i < UUID_TEXT_SIZE - 1; i++) {
        const char *at = strchr(alphabet, text[i]);
        if (at == NULL)
            return false;
        bits = bits << 6 | (uint32_t)(at - alphabet);
        have += 6;
        if (have >= 8 && out < 16) {
            have -= 8;
            id->bytes[out++] = (uint8_t)(bits >> have);
        }
    }
    return out == 16;
}
