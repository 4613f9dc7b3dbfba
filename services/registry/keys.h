// SPDX-License-Identifier: Apache-2.0
// The DEK registry's state, built from the records of `_dek_registry_keys` and from nothing else: keys that
// encrypt keys (KEKs, which a key management service has; here are only their names) and data encryption keys
// (DEKs, encrypted by a KEK), as Confluent's KeyEncryptionKey and DataEncryptionKey. keys_apply is the only
// writer. Readers get const pointers that stay valid until the next keys_apply or keys_clear.
#ifndef REGISTRY_KEYS_H
#define REGISTRY_KEYS_H

#include "base/map.h"
#include "base/status.h"

#include <cjson/cJSON.h>

// In the order Confluent lists them.
enum dek_algorithm { DEK_AES128_GCM, DEK_AES256_GCM, DEK_AES256_SIV, DEK_ALGORITHMS };

const char *dek_algorithm_name(enum dek_algorithm algorithm);
// DEK_ALGORITHMS for a text that is none.
enum dek_algorithm dek_algorithm_find(const char *name);

struct kek;

struct dek {
    const struct kek *kek;
    const char *subject; // qualified
    enum dek_algorithm algorithm;
    int32_t version;
    const char *material; // encrypted, in base64; NULL: none was given
    bool deleted;
    int64_t timestamp_ms;   // of its record
    const char *record_key; // the bytes of the record's key: what replaces the record has the same
};

struct kek {
    const char *name;
    const char *kms_type, *kms_key_id;
    const char *doc;    // NULL: none
    const cJSON *props; // object of texts; NULL: none
    bool shared;        // the registry may use the KEK, and answers DEKs decrypted
    bool deleted;
    int64_t timestamp_ms;
    const char *record_key;
    struct dek **deks; // by subject, algorithm, version
    size_t dek_count, dek_cap;
};

struct keys;

struct keys *keys_new(void);
void keys_destroy(struct keys **keys);
void keys_clear(struct keys *keys);

// A record of the topic. value.data NULL: a tombstone. MALFORMED: none of Confluent's; nothing is changed.
enum status keys_apply(struct keys *keys, int64_t timestamp_ms, struct slice key, struct slice value);

// ---- reading; deleted ones are found too ----
const struct kek *keys_kek(const struct keys *keys, const char *name);
const struct dek *keys_dek(const struct kek *kek, const char *subject, enum dek_algorithm algorithm,
                           int32_t version);
// All KEKs in the order they became known: start with *cursor = NULL.
bool keys_next(const struct keys *keys, struct map_entry **cursor, const struct kek **kek);
size_t keys_kek_count(const struct keys *keys);
size_t keys_dek_count(const struct keys *keys);
size_t keys_count(const struct keys *keys); // of both

#endif
