// SPDX-License-Identifier: Apache-2.0
// See kms.h. The local key: HKDF-SHA256 (RFC 5869) of the secret, without salt and info, 16 bytes, as
// LocalKmsClient of Confluent's clients derives it.
#include "kms.h"

#include "base/assert.h"
#include "base/bytes.h"
#include "http/json.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

enum { KEY_SIZE = 16, NONCE_SIZE = 12, TAG_SIZE = 16, KEY_BYTES_MAX = 64 };

// The message of an algorithm's key: one field, the bytes, behind its tag and length.
static const struct {
    uint8_t tag; // AesGcmKey.key_value = 3, AesSivKey.key_value = 2
    uint8_t size;
} forms[] = {[DEK_AES128_GCM] = {3 << 3 | 2, 16},
             [DEK_AES256_GCM] = {3 << 3 | 2, 32},
             [DEK_AES256_SIV] = {2 << 3 | 2, 64}};

void kms_forget(struct kms_raw *raw)
{
    OPENSSL_cleanse(raw, sizeof *raw);
}

static void fill(const struct call_host *host, uint8_t *out, size_t len)
{
    for (size_t at = 0; at < len; at += 8) {
        uint64_t word = host->random(host->context);
        memcpy(out + at, &word, len - at < 8 ? len - at : 8);
        OPENSSL_cleanse(&word, sizeof word);
    }
}

void kms_generate(enum dek_algorithm algorithm, const struct call_host *host, struct kms_raw *raw)
{
    ASSERT(algorithm < DEK_ALGORITHMS && forms[algorithm].size <= KEY_BYTES_MAX);
    raw->bytes[0] = forms[algorithm].tag;
    raw->bytes[1] = forms[algorithm].size;
    fill(host, raw->bytes + 2, forms[algorithm].size);
    raw->len = 2 + (size_t)forms[algorithm].size;
}

// ---- the local key ----

static const char *secret_of(const struct settings *settings, const struct kek *kek)
{
    const char *own = kek->props != NULL ? json_string(kek->props, "secret") : NULL;
    return own != NULL ? own : settings->local_secret;
}

const char *kms_unusable(const struct settings *settings, const struct kek *kek)
{
    if (strcmp(kek->kms_type, KMS_LOCAL) != 0)
        return "this registry has no access to keys of this type";
    if (*secret_of(settings, kek) == '\0')
        return "no secret for local-kms is configured";
    return NULL;
}

static enum status derive(const char *secret, uint8_t key[KEY_SIZE])
{
    char digest[] = "SHA256";
    EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
    EVP_KDF_CTX *context = kdf != NULL ? EVP_KDF_CTX_new(kdf) : NULL;
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)secret, strlen(secret)),
        OSSL_PARAM_construct_end()};
    bool good = context != NULL && EVP_KDF_derive(context, key, KEY_SIZE, params) == 1;
    EVP_KDF_CTX_free(context);
    EVP_KDF_free(kdf);
    return good ? ST_OK : ST_NO_MEMORY;
}

static enum status key_of(const struct call *call, const struct kek *kek, uint8_t key[KEY_SIZE])
{
    if (kms_unusable(call->settings, kek) != NULL)
        return ST_UNSUPPORTED;
    return derive(secret_of(call->settings, kek), key);
}

// ---- AES-GCM ----

static bool encrypt(EVP_CIPHER_CTX *cipher, const uint8_t key[KEY_SIZE], const struct kms_raw *raw,
                    uint8_t *out)
{
    int len;
    return EVP_EncryptInit_ex(cipher, EVP_aes_128_gcm(), NULL, key, out) == 1 &&
           EVP_EncryptUpdate(cipher, out + NONCE_SIZE, &len, raw->bytes, (int)raw->len) == 1 &&
           EVP_EncryptFinal_ex(cipher, out + NONCE_SIZE + len, &len) == 1 &&
           EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_GCM_GET_TAG, TAG_SIZE, out + NONCE_SIZE + raw->len) == 1;
}

static bool decrypt(EVP_CIPHER_CTX *cipher, const uint8_t key[KEY_SIZE], const uint8_t *in, size_t in_len,
                    struct kms_raw *raw)
{
    int len, rest;
    size_t text = in_len - NONCE_SIZE - TAG_SIZE;
    raw->len = text;
    return EVP_DecryptInit_ex(cipher, EVP_aes_128_gcm(), NULL, key, in) == 1 &&
           EVP_DecryptUpdate(cipher, raw->bytes, &len, in + NONCE_SIZE, (int)text) == 1 &&
           EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_GCM_SET_TAG, TAG_SIZE, (void *)(in + NONCE_SIZE + text)) ==
               1 &&
           EVP_DecryptFinal_ex(cipher, raw->bytes + len, &rest) == 1;
}

enum status kms_wrap(const struct call *call, const struct kek *kek, const struct kms_raw *raw,
                     char text[KMS_TEXT_SIZE])
{
    uint8_t key[KEY_SIZE], out[KMS_WRAPPED_MAX];
    enum status status = key_of(call, kek, key);
    if (status != ST_OK)
        return status;
    EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
    fill(call->host, out, NONCE_SIZE);
    bool good = cipher != NULL && encrypt(cipher, key, raw, out);
    if (good)
        EVP_EncodeBlock((unsigned char *)text, out, (int)(NONCE_SIZE + raw->len + TAG_SIZE));
    EVP_CIPHER_CTX_free(cipher);
    OPENSSL_cleanse(key, sizeof key);
    return good ? ST_OK : ST_NO_MEMORY;
}

// Bytes of base64, at most max. 0: it is none.
static size_t from_base64(const char *text, uint8_t *out, size_t max)
{
    size_t len = strlen(text),
           padding = len > 1 ? (size_t)(text[len - 1] == '=') + (text[len - 2] == '=') : 0;
    if (len == 0 || len % 4 != 0 || len / 4 * 3 > max)
        return 0;
    int bytes = EVP_DecodeBlock(out, (const unsigned char *)text, (int)len);
    return bytes < 0 ? 0 : (size_t)bytes - padding;
}

enum status kms_unwrap(const struct call *call, const struct kek *kek, const char *text, struct kms_raw *raw)
{
    uint8_t key[KEY_SIZE], in[KMS_WRAPPED_MAX + 3];
    enum status status = key_of(call, kek, key);
    if (status != ST_OK)
        return status;
    size_t len = from_base64(text, in, sizeof in);
    if (len <= NONCE_SIZE + TAG_SIZE || len > KMS_WRAPPED_MAX) {
        OPENSSL_cleanse(key, sizeof key);
        return ST_MALFORMED;
    }
    EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
    bool good = cipher != NULL && decrypt(cipher, key, in, len, raw);
    EVP_CIPHER_CTX_free(cipher);
    OPENSSL_cleanse(key, sizeof key);
    if (!good)
        kms_forget(raw);
    return good ? ST_OK : ST_MISMATCH;
}

void kms_raw_text(const struct kms_raw *raw, char text[KMS_TEXT_SIZE])
{
    EVP_EncodeBlock((unsigned char *)text, raw->bytes, (int)raw->len);
}
