// SPDX-License-Identifier: Apache-2.0
// See fingerprint.h.
#include "fingerprint.h"

#include "base/assert.h"
#include "base/mem.h"
#include "schema/claim.h"

#include <openssl/evp.h>
#include <stdio.h>

static void add(EVP_MD_CTX *hash, const void *bytes, size_t len)
{
    ASSERT(EVP_DigestUpdate(hash, bytes, len) == 1);
}

static void add_text(EVP_MD_CTX *hash, const char *text)
{
    add(hash, text, strlen(text));
}

static void add_reference(EVP_MD_CTX *hash, const struct state_reference *reference)
{
    uint32_t version = (uint32_t)reference->version;
    const uint8_t big_endian[4] = {(uint8_t)(version >> 24), (uint8_t)(version >> 16),
                                   (uint8_t)(version >> 8), (uint8_t)version};
    add_text(hash, reference->name);
    add_text(hash, reference->subject);
    add(hash, big_endian, sizeof big_endian);
}

// The byte in front tells an empty object from none.
static void add_object(EVP_MD_CTX *hash, const char *json)
{
    static const uint8_t present = 1;
    if (json == NULL)
        return;
    add(hash, &present, 1);
    add_text(hash, json);
}

struct fingerprinter {
    EVP_MD_CTX *hash;
};

struct fingerprinter *fingerprinter_new(void)
{
    struct fingerprinter *fingerprinter = mem_calloc(1, sizeof *fingerprinter);
    fingerprinter->hash = EVP_MD_CTX_new();
    ASSERT(fingerprinter->hash != NULL && EVP_DigestInit_ex(fingerprinter->hash, EVP_md5(), NULL) == 1);
    return fingerprinter;
}

void fingerprinter_destroy(struct fingerprinter **pointer)
{
    if (*pointer == NULL)
        return;
    EVP_MD_CTX_free((*pointer)->hash);
    mem_free(*pointer);
    *pointer = NULL;
}

void fingerprint_with(struct fingerprinter *fingerprinter, const struct content *content,
                      uint8_t guid[STATE_GUID_SIZE])
{
    unsigned len = 0;
    uint8_t digest[EVP_MAX_MD_SIZE];
    EVP_MD_CTX *hash = fingerprinter->hash;
    ASSERT(EVP_DigestInit_ex(hash, NULL, NULL) == 1); // the algorithm it has, anew
    add_text(hash, content->text);
    for (size_t i = 0; i < content->reference_count; i++)
        add_reference(hash, &content->references[i]);
    add_object(hash, content->metadata);
    add_object(hash, content->rule_set);
    ASSERT(EVP_DigestFinal_ex(hash, digest, &len) == 1 && len == STATE_GUID_SIZE);
    memcpy(guid, digest, STATE_GUID_SIZE);
}

void fingerprint(const struct content *content, uint8_t guid[STATE_GUID_SIZE])
{
    struct fingerprinter *fingerprinter = fingerprinter_new();
    fingerprint_with(fingerprinter, content, guid);
    fingerprinter_destroy(&fingerprinter);
}

static bool dash_before(int byte)
{
    return byte == 4 || byte == 6 || byte == 8 || byte == 10;
}

void fingerprint_format(const uint8_t guid[STATE_GUID_SIZE], char text[FINGERPRINT_TEXT])
{
    char *at = text;
    for (int i = 0; i < STATE_GUID_SIZE; i++) {
        if (dash_before(i))
            *at++ = '-';
        at += snprintf(at, 3, "%02x", guid[i]);
    }
}

bool fingerprint_parse(const char *text, uint8_t guid[STATE_GUID_SIZE])
{
    struct schema_id id;
    if (schema_id_parse(slice_str(text), &id) != ST_OK)
        return false;
    memcpy(guid, id.bytes + 1, STATE_GUID_SIZE);
    return true;
}
