// SPDX-License-Identifier: Apache-2.0
// /dek-registry/v1/keks/{name}/deks: data encryption keys of subjects. What is kept is encrypted by the KEK:
// by the client, or, when the KEK is shared, by the registry, which then makes the key, too, and answers it
// decrypted to whoever may read it. Key material is in answers only, never in a log line or a message.
#include "answer.h"
#include "http/json.h"
#include "key_answer.h"
#include "operations.h"
#include "scope.h"

#include <inttypes.h>

// ---- finding ----

static bool subject_good(struct call *call, const char *subject)
{
    return (subject != NULL && name_valid(slice_str(subject))) || key_invalid(call, "subject");
}

// What a path with {name} and {subject} names, and the argument `algorithm`.
struct place {
    const struct kek *kek;
    const char *subject;
    enum dek_algorithm algorithm;
};

static bool read_place(struct call *call, bool deleted_too, struct place *place)
{
    place->kek = key_path_kek(call, deleted_too);
    if (place->kek == NULL || !subject_good(call, call->subject) ||
        !key_read_algorithm(call, &place->algorithm))
        return false;
    place->subject = call->subject;
    return true;
}

static bool is_at(const struct dek *dek, const struct place *place)
{
    return dek->algorithm == place->algorithm && strcmp(dek->subject, place->subject) == 0;
}

static const struct dek *latest(const struct place *place, bool deleted_too)
{
    for (size_t i = place->kek->dek_count; i > 0; i--) {
        const struct dek *dek = place->kek->deks[i - 1];
        if (is_at(dek, place) && (!dek->deleted || deleted_too))
            return dek;
    }
    return NULL;
}

// The version of the path, or the first one when it has none. NULL: answered.
static const struct dek *find(struct call *call, const struct place *place, bool deleted_too)
{
    int32_t version = 1;
    if (call->version != NULL && !answer_read_version(call, &version))
        return NULL;
    const struct dek *dek = version < 0 ? latest(place, deleted_too)
                                        : keys_dek(place->kek, place->subject, place->algorithm, version);
    if (dek != NULL && (!dek->deleted || deleted_too))
        return dek;
    key_not_found(call, place->subject);
    return NULL;
}

// ---- lists ----

void op_list_deks(struct call *call)
{
    bool deleted_too = call_flag(call, "deleted");
    const struct kek *kek = key_path_kek(call, deleted_too);
    struct page page = call_page(call, call->settings->keys_page_max);
    const char *last = NULL;
    int64_t seen = 0, shown = 0;
    if (kek == NULL)
        return;
    buf_printf(&call->reply, "[");
    for (size_t i = 0; i < kek->dek_count; i++) {
        const struct dek *dek = kek->deks[i];
        if ((dek->deleted && !deleted_too) || (last != NULL && strcmp(last, dek->subject) == 0))
            continue;
        last = dek->subject;
        if (!page_has(&page, &seen))
            continue;
        answer_separate(&call->reply, &shown);
        json_put_string(&call->reply, slice_str(dek->subject));
    }
    buf_printf(&call->reply, "]");
}

void op_list_dek_versions(struct call *call)
{
    bool deleted_too = call_flag(call, "deleted");
    struct page page = call_page(call, call->settings->keys_page_max);
    struct place place;
    int64_t seen = 0, shown = 0;
    if (!read_place(call, deleted_too, &place))
        return;
    buf_printf(&call->reply, "[");
    for (size_t i = 0; i < place.kek->dek_count; i++) {
        const struct dek *dek = place.kek->deks[i];
        if (!is_at(dek, &place) || (dek->deleted && !deleted_too) || !page_has(&page, &seen))
            continue;
        answer_separate(&call->reply, &shown);
        buf_printf(&call->reply, "%" PRId32, dek->version);
    }
    buf_printf(&call->reply, "]");
}

// ---- one ----

static bool cannot_use(struct call *call, const struct dek *dek, enum status status)
{
    const char *wrong = kms_unusable(call->settings, dek->kek);
    return call_fail(call, 50070, "Could not generate raw dek for %s: %s", dek->subject,
                     wrong != NULL           ? wrong
                     : status == ST_MISMATCH ? "it is encrypted by another key"
                     : dek->material == NULL ? "there is none"
                                             : status_text(status));
}

// With its key when the KEK is shared.
static void answer(struct call *call, const struct dek *dek)
{
    struct kms_raw raw;
    if (!dek->kek->shared) {
        key_put_dek(call, dek, NULL);
        return;
    }
    enum status status =
        dek->material != NULL ? kms_unwrap(call, dek->kek, dek->material, &raw) : ST_MALFORMED;
    if (status != ST_OK) {
        cannot_use(call, dek, status);
        return;
    }
    key_put_dek(call, dek, &raw);
    kms_forget(&raw);
}

void op_get_dek(struct call *call)
{
    bool deleted_too = call_flag(call, "deleted");
    struct place place;
    const struct dek *dek = read_place(call, deleted_too, &place) ? find(call, &place, deleted_too) : NULL;
    if (dek != NULL)
        answer(call, dek);
}

// ---- creating ----

static bool read_version(struct call *call, const cJSON *body, int32_t *version)
{
    const cJSON *item = json_get(body, "version");
    int64_t number = 1;
    bool good = item == NULL || cJSON_IsNull(item) ||
                (json_integer(body, "version", &number) == ST_OK && number >= 1 && number <= INT32_MAX);
    *version = (int32_t)number;
    return good || key_invalid(call, "version");
}

static bool read_dek(struct call *call, const cJSON *body, struct dek *dek)
{
    const char *subject, *algorithm;
    const cJSON *deleted = json_get(body, "deleted");
    if (!key_read_text(call, body, "subject", &subject) ||
        !key_read_text(call, body, "algorithm", &algorithm) ||
        !key_read_text(call, body, "encryptedKeyMaterial", &dek->material) ||
        !read_version(call, body, &dek->version))
        return false;
    bool by_path = name_split(slice_str(call->asked)).subject.len > 0;
    if (subject == NULL)
        subject = by_path ? call->asked : "";
    subject = name_of_reference(&call->arena, call->asked, subject); // of the path's context
    if (!subject_good(call, subject) || (by_path && strcmp(subject, call->asked) != 0))
        return key_invalid(call, "subject");
    dek->subject = by_path ? call->subject : operation_subject(call, subject);
    if (!by_path && !operation_permitted(call, dek->subject))
        return false;
    dek->algorithm = algorithm == NULL ? DEK_AES256_GCM : dek_algorithm_find(algorithm);
    dek->deleted = cJSON_IsTrue(deleted);
    dek->timestamp_ms = call->now_ms;
    if (deleted != NULL && !cJSON_IsNull(deleted) && !cJSON_IsBool(deleted))
        return key_invalid(call, "deleted");
    return dek->algorithm != DEK_ALGORITHMS || key_invalid(call, "algorithm");
}

static bool exists(struct call *call, const struct dek *dek)
{
    return call_fail(call, 40971, "Key '%s' already exists; use a different value", dek->subject);
}

// A deleted key is created again to come back; then what the request leaves out stays.
static bool may_create(struct call *call, const struct dek *dek, const struct dek *old)
{
    if (old == NULL && (int64_t)keys_dek_count(call->keys) >= call->settings->keys_max)
        return call_fail(call, 40972, "A maximum of %lld keys already exist",
                         (long long)call->settings->keys_max);
    if (old == NULL || call_flag(call, "rewrap"))
        return true;
    bool same = dek->material == NULL || (old->material != NULL && strcmp(dek->material, old->material) == 0);
    return (old->deleted != dek->deleted && same) || exists(call, dek);
}

// The encrypted key: as sent, or made here. A key that is there is encrypted anew when that is asked for, and
// kept when it comes back.
static bool make_material(struct call *call, struct dek *dek, const struct dek *old, char text[KMS_TEXT_SIZE])
{
    struct kms_raw raw;
    bool rewrap = call_flag(call, "rewrap");
    if (dek->material != NULL && dek->kek->shared && old != NULL)
        return exists(call, dek);
    if (dek->material != NULL)
        return true;
    if (old != NULL && !rewrap && old->material != NULL) {
        dek->material = old->material;
        return true;
    }
    if (!dek->kek->shared)
        return key_invalid(call, "encryptedKeyMaterial");
    enum status status = ST_OK;
    if (old != NULL && old->material != NULL)
        status = kms_unwrap(call, dek->kek, old->material, &raw);
    else
        kms_generate(dek->algorithm, call->host, &raw);
    if (status == ST_OK)
        status = kms_wrap(call, dek->kek, &raw, text);
    kms_forget(&raw);
    dek->material = text;
    return status == ST_OK || cannot_use(call, dek, status);
}

static void create(struct call *call, const struct kek *kek, const cJSON *body)
{
    char text[KMS_TEXT_SIZE];
    struct dek dek = {.kek = kek};
    if (!read_dek(call, body, &dek))
        return;
    const struct dek *old = keys_dek(kek, dek.subject, dek.algorithm, dek.version);
    if (!may_create(call, &dek, old) || !make_material(call, &dek, old, text))
        return;
    if (old != NULL)
        dek.record_key = old->record_key;
    bool imported = scope_mode(call, dek.subject) == MODE_IMPORT;
    if (imported)
        key_put_dek(call, &dek, NULL);
    else
        answer(call, &dek);
    if (call->code == 200)
        key_write_dek(call, &dek);
}

void op_create_dek(struct call *call)
{
    cJSON *body;
    if (!answer_read_body(call, &body))
        return;
    const struct kek *kek = key_path_kek(call, cJSON_IsTrue(json_get(body, "deleted")));
    if (kek != NULL)
        create(call, kek, body);
    cJSON_Delete(body);
}

// ---- deleting, and taking that back ----

static void set_deleted(struct call *call, const struct dek *dek, bool deleted)
{
    struct dek changed = *dek;
    changed.deleted = deleted;
    if (dek->deleted != deleted)
        key_write_dek(call, &changed);
}

// Only a KEK that is not deleted has keys that are not.
static bool kek_there(struct call *call, const struct kek *kek)
{
    return !kek->deleted || call_fail(call, 40472, "Key '%s' must be undeleted first", kek->name);
}

static bool may_erase(struct call *call, const struct dek *dek)
{
    return dek->deleted ||
           call_fail(call, 40471, "Key '%s' was not deleted first before being permanently deleted",
                     dek->subject);
}

static void erase(struct call *call, const struct dek *dek)
{
    if (call_flag(call, "permanent"))
        call_put(call, slice_str(dek->record_key), (struct slice){0});
    else
        set_deleted(call, dek, true);
}

void op_delete_dek_version(struct call *call)
{
    struct place place;
    const struct dek *dek = read_place(call, true, &place) ? find(call, &place, true) : NULL;
    if (dek == NULL || (call_flag(call, "permanent") && !may_erase(call, dek)))
        return;
    erase(call, dek);
    call->code = 204;
}

void op_undelete_dek_version(struct call *call)
{
    struct place place;
    const struct dek *dek = read_place(call, true, &place) ? find(call, &place, true) : NULL;
    if (dek == NULL || !kek_there(call, place.kek))
        return;
    set_deleted(call, dek, false);
    call->code = 204;
}

// The place of a subject that has versions, deleted ones too. False: the answer is set.
static bool read_versions(struct call *call, struct place *place)
{
    if (!read_place(call, true, place))
        return false;
    bool any = latest(place, true) != NULL;
    if (!any)
        key_not_found(call, place->subject);
    return any;
}

void op_delete_dek(struct call *call)
{
    struct place place;
    if (!read_versions(call, &place))
        return;
    for (size_t i = 0; i < place.kek->dek_count && call_flag(call, "permanent"); i++)
        if (is_at(place.kek->deks[i], &place) && !may_erase(call, place.kek->deks[i]))
            return;
    for (size_t i = 0; i < place.kek->dek_count; i++)
        if (is_at(place.kek->deks[i], &place))
            erase(call, place.kek->deks[i]);
    call->code = 204;
}

void op_undelete_dek(struct call *call)
{
    struct place place;
    if (!read_versions(call, &place) || !kek_there(call, place.kek))
        return;
    for (size_t i = 0; i < place.kek->dek_count; i++)
        if (is_at(place.kek->deks[i], &place))
            set_deleted(call, place.kek->deks[i], false);
    call->code = 204;
}
