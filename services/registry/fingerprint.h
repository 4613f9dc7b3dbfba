// SPDX-License-Identifier: Apache-2.0
// What makes two schemas the same: an MD5 over text, references, metadata and rules, in the order Confluent's
// client builds it (Schema.updateHash). It is also the schema's guid. For a schema without metadata and rules
// it is bit for bit Confluent's; the other two are hashed as their JSON text here.
#ifndef REGISTRY_FINGERPRINT_H
#define REGISTRY_FINGERPRINT_H

#include "state.h"

enum { FINGERPRINT_TEXT = 37 }; // "8-4-4-4-12" and a NUL

struct content {
    const char *type; // "AVRO"
    const char *text;
    const struct state_reference *references;
    size_t reference_count;
    const char *metadata, *rule_set; // NULL: none
};

// What hashing takes, made once: OpenSSL looks its algorithms up each time otherwise, which is dearer than
// the hash of a schema. One thread uses it at a time.
struct fingerprinter;
struct fingerprinter *fingerprinter_new(void); // never NULL
void fingerprinter_destroy(struct fingerprinter **fingerprinter);

void fingerprint_with(struct fingerprinter *fingerprinter, const struct content *content,
                      uint8_t guid[STATE_GUID_SIZE]);
// Of a single one.
void fingerprint(const struct content *content, uint8_t guid[STATE_GUID_SIZE]);

// The hexadecimal form with dashes, and back; false when it is not one.
void fingerprint_format(const uint8_t guid[STATE_GUID_SIZE], char text[FINGERPRINT_TEXT]);
bool fingerprint_parse(const char *text, uint8_t guid[STATE_GUID_SIZE]);

#endif
