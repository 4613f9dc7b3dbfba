// SPDX-License-Identifier: Apache-2.0
// 128-bit identifiers: topic ids, directory ids, cluster ids. Text form is Kafka's: URL-safe base64 of the 16
// bytes without padding (22 characters), as org.apache.kafka.common.Uuid prints it.
#ifndef BASE_UUID_H
#define BASE_UUID_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

struct uuid {
    uint8_t bytes[16]; // big-endian as on the wire
};

enum { UUID_TEXT_SIZE = 23 };

static inline bool uuid_is_zero(struct uuid id)
{
    static const struct uuid zero;
    return memcmp(&id, &zero, sizeof id) == 0;
}
static inline bool uuid_equal(struct uuid a, struct uuid b)
{
    return memcmp(&a, &b, sizeof a) == 0;
}

// Whether they differ, but in so few bits (16) that one is the other damaged: random ones never are so close
// (1 pair of 10^16).
bool uuid_near(struct uuid a, struct uuid b);

// A random (version 4) id from two 64-bit random numbers. Never one of the reserved ids (0 and 1); a first
// character
// '-' is avoided as Kafka does, so that it never looks like an option.
struct uuid uuid_from_random(uint64_t high, uint64_t low);

// Writes 22 characters and a NUL.
void uuid_format(struct uuid id, char text[UUID_TEXT_SIZE]);

// Reads the 22-character form; false when it is not one.
bool uuid_parse(const char *text, struct uuid *id);

#endif
