// SPDX-License-Identifier: Apache-2.0
// Hash functions: CRC-32C (record batches, our own files), murmur2 (Kafka's default partitioner), Java's
// String.hashCode (shard of a group), a seeded 64-bit mix for our own tables, and a keyed 128-bit one.
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include "base/slice.h"

// CRC-32C (Castagnoli) of the bytes continued from crc (0 to start). "123456789" gives 0xe3069283.
uint32_t crc32c(uint32_t crc, const void *data, size_t len);

// Kafka's murmur2 (org.apache.kafka.common.utils.Utils.murmur2), as a signed 32-bit value.
int32_t murmur2(const void *data, size_t len);

// Java's String.hashCode over the UTF-16 units of a UTF-8 string; an invalid byte counts as one unit.
int32_t java_string_hash(struct slice utf8);

// 64-bit hash of bytes under a seed. Not cryptographic; stable within one process only.
uint64_t hash_bytes(uint64_t seed, const void *data, size_t len);
uint64_t hash_u64(uint64_t seed, uint64_t value);

// SipHash-2-4 with 128 bits of output (Aumasson and Bernstein). Under a key nobody knows, two inputs with the
// same hash can be neither found nor made: good enough to stand for the input.
enum { HASH_SIP_SIZE = 16 };
void hash_sip128(const uint8_t key[HASH_SIP_SIZE], const void *data, size_t len, uint8_t out[HASH_SIP_SIZE]);

#endif
