// SPDX-License-Identifier: Apache-2.0
// See key_answer.h.
#include "key_answer.h"

#include "answer.h"
#include "http/json.h"

#include <ctype.h>
#include <inttypes.h>

// ---- checks ----

bool key_invalid(struct call *call, const char *field)
{
    return call_fail(call, 42271, "Invalid or missing key info: %s", field);
}

bool key_not_found(struct call *call, const char *name)
{
    return call_fail(call, 40470, "Key '%s' not found", name);
}

bool key_name_good(struct call *call, const char *name)
{
    size_t len = name != NULL ? strlen(name) : 0;
    bool good = len > 0 && len <= KEY_NAME_MAX && (isalpha((unsigned char)name[0]) || name[0] == '_');
    for (size_t i = 1; i < len && good; i++)
        good = isalnum((unsigned char)name[i]) || name[i] == '_' || name[i] == '-';
    return good || key_invalid(call, "name");
}

bool key_read_algorithm(struct call *call, enum dek_algorithm *algorithm)
{
    const char *text = call_query(call, "algorithm");
    *algorithm = text == NULL || *text == '\0' ? DEK_AES256_GCM : dek_algorithm_find(text);
    return *algorithm != DEK_ALGORITHMS || call_fail(call, 404, "HTTP 404 Not Found");
}

bool key_read_text(struct call *call, const cJSON *object, const char *name, const char **text)
{
    const cJSON *item = json_get(object, name);
    *text = cJSON_GetStringValue(item);
    if (item != NULL && !cJSON_IsNull(item) && *text == NULL)
        return key_invalid(call, name);
    return *text == NULL || strlen(*text) <= KEY_TEXT_MAX || key_invalid(call, name);
}

const struct kek *key_path_kek(struct call *call, bool deleted_too)
{
    if (!key_name_good(call, call->name))
        return NULL;
    const struct kek *kek = keys_kek(call->keys, call->name);
    if (kek != NULL && (!kek->deleted || deleted_too))
        return kek;
    key_not_found(call, call->name);
    return NULL;
}

// ---- records ----

static void put(struct buf *out, const char *before, const char *name, const char *text)
{
    buf_printf(out, "%s\"%s\":", before, name);
    json_put_string(out, slice_str(text));
}

static void put_object(struct buf *out, const cJSON *object)
{
    char *text = object != NULL ? cJSON_PrintUnformatted(object) : NULL;
    buf_printf(out, ",\"kmsProps\":%s", text != NULL ? text : "{}");
    cJSON_free(text);
}

static void put_kek_members(struct buf *out, const struct kek *kek, const cJSON *props)
{
    put(out, "{", "name", kek->name);
    put(out, ",", "kmsType", kek->kms_type);
    put(out, ",", "kmsKeyId", kek->kms_key_id);
    put_object(out, props);
    if (kek->doc != NULL)
        put(out, ",", "doc", kek->doc);
    buf_printf(out, ",\"shared\":%s", kek->shared ? "true" : "false");
}

static void put_dek_members(struct buf *out, const struct dek *dek)
{
    put(out, "{", "kekName", dek->kek->name);
    put(out, ",", "subject", dek->subject);
    buf_printf(out, ",\"version\":%" PRId32 ",\"algorithm\":\"%s\"", dek->version,
               dek_algorithm_name(dek->algorithm));
    if (dek->material != NULL)
        put(out, ",", "encryptedKeyMaterial", dek->material);
}

static void write_record(struct call *call, const char *record_key, struct buf *key, struct buf *value)
{
    call_put(call, record_key != NULL ? slice_str(record_key) : buf_slice(key), buf_slice(value));
    buf_fini(key);
    buf_fini(value);
}

void key_write_kek(struct call *call, const struct kek *kek)
{
    struct buf key, value;
    buf_init(&key, CALL_RECORD_BYTES_MAX);
    buf_init(&value, CALL_RECORD_BYTES_MAX);
    buf_printf(&key, "{\"tenant\":\"default\"");
    put(&key, ",", "name", kek->name);
    buf_printf(&key, ",\"type\":\"KEK\"}");
    put_kek_members(&value, kek, kek->props);
    buf_printf(&value, ",\"deleted\":%s,\"type\":\"KEK\"}", kek->deleted ? "true" : "false");
    write_record(call, kek->record_key, &key, &value);
}

void key_write_dek(struct call *call, const struct dek *dek)
{
    struct buf key, value;
    buf_init(&key, CALL_RECORD_BYTES_MAX);
    buf_init(&value, CALL_RECORD_BYTES_MAX);
    buf_printf(&key, "{\"tenant\":\"default\"");
    put(&key, ",", "kekName", dek->kek->name);
    put(&key, ",", "subject", dek->subject);
    buf_printf(&key, ",\"algorithm\":\"%s\",\"version\":%" PRId32 ",\"type\":\"DEK\"}",
               dek_algorithm_name(dek->algorithm), dek->version);
    put_dek_members(&value, dek);
    buf_printf(&value, ",\"deleted\":%s,\"type\":\"DEK\"}", dek->deleted ? "true" : "false");
    write_record(call, dek->record_key, &key, &value);
}

// ---- answers ----

bool key_is_secret(const char *prop)
{
    static const char *const secrets[] = {"token.id",
                                          "approle.secret.id",
                                          "ssl.keystore.password",
                                          "secret.access.key",
                                          "client.secret",
                                          "private.key",
                                          "secret"};
    for (size_t i = 0; i < sizeof secrets / sizeof *secrets; i++)
        if (strcmp(prop, secrets[i]) == 0)
            return true;
    return false;
}

cJSON *key_redacted(const cJSON *props)
{
    cJSON *shown = cJSON_CreateObject();
    for (const cJSON *at = props != NULL ? props->child : NULL; at != NULL; at = at->next)
        if (!key_is_secret(at->string))
            cJSON_AddItemToObject(shown, at->string, cJSON_Duplicate(at, true));
    return shown;
}

void key_put_kek(struct call *call, const struct kek *kek)
{
    cJSON *shown = key_redacted(kek->props);
    put_kek_members(&call->reply, kek, shown);
    buf_printf(&call->reply, ",\"ts\":%" PRId64 "%s}", kek->timestamp_ms,
               kek->deleted ? ",\"deleted\":true" : "");
    cJSON_Delete(shown);
}

void key_put_dek(struct call *call, const struct dek *dek, const struct kms_raw *raw)
{
    char text[KMS_TEXT_SIZE];
    put_dek_members(&call->reply, dek);
    if (raw != NULL) {
        kms_raw_text(raw, text);
        put(&call->reply, ",", "keyMaterial", text);
    }
    buf_printf(&call->reply, ",\"ts\":%" PRId64 "%s}", dek->timestamp_ms,
               dek->deleted ? ",\"deleted\":true" : "");
}
