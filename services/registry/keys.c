// SPDX-License-Identifier: Apache-2.0
// See keys.h. A DEK may come before its KEK: compaction keeps the newest record of each, at its own place. A
// KEK that is only known from its DEKs has no kms_type and is not found.
#include "keys.h"

#include "base/assert.h"
#include "base/mem.h"
#include "http/json.h"

#include <string.h>

struct keys {
    struct map keks; // by name
    size_t kek_count, dek_count;
};

static const char *const algorithms[] = {
    [DEK_AES128_GCM] = "AES128_GCM", [DEK_AES256_GCM] = "AES256_GCM", [DEK_AES256_SIV] = "AES256_SIV"};

const char *dek_algorithm_name(enum dek_algorithm algorithm)
{
    ASSERT(algorithm < DEK_ALGORITHMS);
    return algorithms[algorithm];
}

enum dek_algorithm dek_algorithm_find(const char *name)
{
    int i = 0;
    while (i < DEK_ALGORITHMS && (name == NULL || strcmp(name, algorithms[i]) != 0))
        i++;
    return (enum dek_algorithm)i;
}

// ---- life ----

struct keys *keys_new(void)
{
    struct keys *keys = mem_calloc(1, sizeof *keys);
    map_init(&keys->keks, 8);
    return keys;
}

static void dek_free(struct dek *dek)
{
    mem_free((char *)dek->subject);
    mem_free((char *)dek->material);
    mem_free((char *)dek->record_key);
    mem_free(dek);
}

static void kek_forget(struct kek *kek)
{
    mem_free((char *)kek->kms_type);
    mem_free((char *)kek->kms_key_id);
    mem_free((char *)kek->doc);
    mem_free((char *)kek->record_key);
    cJSON_Delete((cJSON *)kek->props);
    kek->kms_type = kek->kms_key_id = kek->doc = kek->record_key = NULL;
    kek->props = NULL;
}

static void kek_free(void *value)
{
    struct kek *kek = value;
    for (size_t i = 0; i < kek->dek_count; i++)
        dek_free(kek->deks[i]);
    kek_forget(kek);
    mem_free(kek->deks);
    mem_free((char *)kek->name);
    mem_free(kek);
}

void keys_clear(struct keys *keys)
{
    map_clear(&keys->keks, kek_free);
    keys->kek_count = keys->dek_count = 0;
}

void keys_destroy(struct keys **pointer)
{
    struct keys *keys = *pointer;
    *pointer = NULL;
    if (keys == NULL)
        return;
    keys_clear(keys);
    mem_free(keys);
}

// ---- reading ----

static bool known(const struct kek *kek)
{
    return kek->kms_type != NULL;
}

const struct kek *keys_kek(const struct keys *keys, const char *name)
{
    const struct kek *kek = map_get(&keys->keks, slice_str(name));
    return kek != NULL && known(kek) ? kek : NULL;
}

bool keys_next(const struct keys *keys, struct map_entry **cursor, const struct kek **kek)
{
    void *value;
    while (map_next(&keys->keks, cursor, NULL, &value)) {
        *kek = value;
        if (known(*kek))
            return true;
    }
    return false;
}

size_t keys_kek_count(const struct keys *keys)
{
    return keys->kek_count;
}

size_t keys_dek_count(const struct keys *keys)
{
    return keys->dek_count;
}

size_t keys_count(const struct keys *keys)
{
    return keys->kek_count + keys->dek_count;
}

static int compare(const struct dek *a, const struct dek *b)
{
    int order = strcmp(a->subject, b->subject);
    if (order == 0)
        order = (a->algorithm > b->algorithm) - (a->algorithm < b->algorithm);
    return order != 0 ? order : (a->version > b->version) - (a->version < b->version);
}

// Where such a DEK is, or would be.
static size_t place(const struct kek *kek, const struct dek *wanted, bool *found)
{
    size_t low = 0, high = kek->dek_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare(kek->deks[middle], wanted) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *found = low < kek->dek_count && compare(kek->deks[low], wanted) == 0;
    return low;
}

const struct dek *keys_dek(const struct kek *kek, const char *subject, enum dek_algorithm algorithm,
                           int32_t version)
{
    bool found;
    size_t at =
        place(kek, &(struct dek){.subject = subject, .algorithm = algorithm, .version = version}, &found);
    return found ? kek->deks[at] : NULL;
}

// ---- KEK ----

static struct kek *kek_make(struct keys *keys, const char *name)
{
    struct kek *kek = map_get(&keys->keks, slice_str(name));
    if (kek != NULL)
        return kek;
    kek = mem_calloc(1, sizeof *kek);
    kek->name = mem_strdup(name);
    map_put(&keys->keks, slice_str(name), kek);
    return kek;
}

static void kek_drop_empty(struct keys *keys, struct kek *kek)
{
    if (known(kek) || kek->dek_count > 0)
        return;
    map_remove(&keys->keks, slice_str(kek->name));
    kek_free(kek);
}

static void kek_remove(struct keys *keys, const char *name)
{
    struct kek *kek = map_get(&keys->keks, slice_str(name));
    if (kek == NULL || !known(kek))
        return;
    keys->kek_count--;
    kek_forget(kek);
    kek_drop_empty(keys, kek);
}

static char *copy_or_null(const char *text)
{
    return text != NULL ? mem_strdup(text) : NULL;
}

static enum status apply_kek(struct keys *keys, int64_t timestamp_ms, struct slice key_bytes,
                             const cJSON *key, const cJSON *value)
{
    const char *name = json_string(key, "name");
    if (name == NULL ||
        (value != NULL && (json_string(value, "kmsType") == NULL || json_string(value, "kmsKeyId") == NULL)))
        return ST_MALFORMED;
    if (value == NULL) {
        kek_remove(keys, name);
        return ST_OK;
    }
    struct kek *kek = kek_make(keys, name);
    const cJSON *props = json_get(value, "kmsProps");
    keys->kek_count += !known(kek);
    kek_forget(kek);
    kek->kms_type = mem_strdup(json_string(value, "kmsType"));
    kek->kms_key_id = mem_strdup(json_string(value, "kmsKeyId"));
    kek->doc = copy_or_null(json_string(value, "doc"));
    kek->props = cJSON_IsObject(props) ? cJSON_Duplicate(props, true) : NULL;
    kek->shared = cJSON_IsTrue(json_get(value, "shared"));
    kek->deleted = cJSON_IsTrue(json_get(value, "deleted"));
    kek->timestamp_ms = timestamp_ms;
    kek->record_key = mem_strndup((const char *)key_bytes.data, key_bytes.len);
    return ST_OK;
}

// ---- DEK ----

static bool dek_key(const cJSON *key, struct dek *dek)
{
    int64_t version;
    dek->subject = json_string(key, "subject");
    dek->algorithm = dek_algorithm_find(json_string(key, "algorithm"));
    if (dek->subject == NULL || dek->algorithm == DEK_ALGORITHMS || json_string(key, "kekName") == NULL ||
        json_integer(key, "version", &version) != ST_OK || version < 1 || version > INT32_MAX)
        return false;
    dek->version = (int32_t)version;
    return true;
}

static struct dek *dek_insert(struct keys *keys, struct kek *kek, size_t at, const struct dek *like)
{
    if (kek->dek_count == kek->dek_cap) {
        kek->dek_cap = kek->dek_cap == 0 ? 4 : kek->dek_cap * 2;
        kek->deks = mem_realloc(kek->deks, kek->dek_cap * sizeof *kek->deks);
    }
    memmove(&kek->deks[at + 1], &kek->deks[at], (kek->dek_count - at) * sizeof *kek->deks);
    struct dek *dek = mem_calloc(1, sizeof *dek);
    *dek = (struct dek){.kek = kek,
                        .subject = mem_strdup(like->subject),
                        .algorithm = like->algorithm,
                        .version = like->version};
    kek->deks[at] = dek;
    kek->dek_count++;
    keys->dek_count++;
    return dek;
}

static void dek_remove(struct keys *keys, struct kek *kek, size_t at)
{
    dek_free(kek->deks[at]);
    memmove(&kek->deks[at], &kek->deks[at + 1], (--kek->dek_count - at) * sizeof *kek->deks);
    keys->dek_count--;
    kek_drop_empty(keys, kek);
}

static enum status apply_dek(struct keys *keys, int64_t timestamp_ms, struct slice key_bytes,
                             const cJSON *key, const cJSON *value)
{
    struct dek wanted = {0};
    bool found;
    if (!dek_key(key, &wanted))
        return ST_MALFORMED;
    struct kek *kek = value != NULL ? kek_make(keys, json_string(key, "kekName"))
                                    : map_get(&keys->keks, slice_str(json_string(key, "kekName")));
    if (kek == NULL)
        return ST_OK;
    size_t at = place(kek, &wanted, &found);
    if (value == NULL) {
        if (found)
            dek_remove(keys, kek, at);
        return ST_OK;
    }
    struct dek *dek = found ? kek->deks[at] : dek_insert(keys, kek, at, &wanted);
    mem_free((char *)dek->material);
    mem_free((char *)dek->record_key);
    dek->material = copy_or_null(json_string(value, "encryptedKeyMaterial"));
    dek->deleted = cJSON_IsTrue(json_get(value, "deleted"));
    dek->timestamp_ms = timestamp_ms;
    dek->record_key = mem_strndup((const char *)key_bytes.data, key_bytes.len);
    return ST_OK;
}

// ---- records ----

static enum status apply(struct keys *keys, int64_t timestamp_ms, struct slice key_bytes, const cJSON *key,
                         const cJSON *value)
{
    const char *type = json_string(key, "type");
    if (type == NULL || (value != NULL && !cJSON_IsObject(value)))
        return ST_MALFORMED;
    if (strcmp(type, "KEK") == 0)
        return apply_kek(keys, timestamp_ms, key_bytes, key, value);
    if (strcmp(type, "DEK") == 0)
        return apply_dek(keys, timestamp_ms, key_bytes, key, value);
    return ST_MALFORMED;
}

enum status keys_apply(struct keys *keys, int64_t timestamp_ms, struct slice key, struct slice value)
{
    cJSON *key_json = NULL, *value_json = NULL;
    size_t at;
    enum status status = json_parse(key, &key_json, &at);
    if (status == ST_OK && value.data != NULL)
        status = json_parse(value, &value_json, &at);
    status = status == ST_OK ? apply(keys, timestamp_ms, key, key_json, value_json) : ST_MALFORMED;
    cJSON_Delete(key_json);
    cJSON_Delete(value_json);
    return status;
}
