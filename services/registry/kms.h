// SPDX-License-Identifier: Apache-2.0
// The key management the registry can do by itself: Confluent's `local-kms`, whose key is derived from a
// secret, and new data encryption keys. Forms are those of Google's Tink, which Confluent's clients use: a
// DEK is the serialized key message of its algorithm (AesGcmKey, AesSivKey), encrypted by AES-128-GCM
// without a key id in front: 12 bytes of nonce, ciphertext, 16 bytes of tag, nothing authenticated besides.
// All of it leaves no copies of key material behind but those that are given.
#ifndef REGISTRY_KMS_H
#define REGISTRY_KMS_H

#include "base/status.h"
#include "call.h"

#define KMS_LOCAL "local-kms"

enum {
    KMS_RAW_MAX = 80,              // bytes of a DEK's message
    KMS_WRAPPED_MAX = 12 + 80 + 16 // encrypted
};

// The bytes of a DEK; kms_forget them.
struct kms_raw {
    uint8_t bytes[KMS_RAW_MAX];
    size_t len;
};
void kms_forget(struct kms_raw *raw);

// A new one. random: as of struct call_host.
void kms_generate(enum dek_algorithm algorithm, const struct call_host *host, struct kms_raw *raw);

// Why a KEK cannot be used here, in words; NULL: it can. The secret is the member "secret" of its kmsProps,
// else the one of the configuration.
const char *kms_unusable(const struct settings *settings, const struct kek *kek);

// Encrypts raw by the KEK, in base64. text: KMS_TEXT_SIZE bytes. UNSUPPORTED: kms_unusable.
enum { KMS_TEXT_SIZE = (KMS_WRAPPED_MAX + 2) / 3 * 4 + 1 };
enum status kms_wrap(const struct call *call, const struct kek *kek, const struct kms_raw *raw,
                     char text[KMS_TEXT_SIZE]);
// The reverse. UNSUPPORTED: kms_unusable; MALFORMED: not what a KEK encrypts; MISMATCH: another KEK has.
enum status kms_unwrap(const struct call *call, const struct kek *kek, const char *text, struct kms_raw *raw);

// raw in base64.
void kms_raw_text(const struct kms_raw *raw, char text[KMS_TEXT_SIZE]);

#endif
