// SPDX-License-Identifier: Apache-2.0
// /dek-registry/v1/keks: the names of keys that encrypt keys. Nothing of them is used here but of those that
// are shared and of local-kms (kms.h). A deleted one comes back by undelete, or when it is created again.
#include "answer.h"
#include "http/json.h"
#include "key_answer.h"
#include "operations.h"

#include <stdlib.h>
#include <strings.h>

enum { PROPS_MAX = 100, PROPS_BYTES_MAX = 64 << 10 };

// ---- lists ----

static int by_name(const void *left, const void *right)
{
    return strcmp((*(const struct kek *const *)left)->name, (*(const struct kek *const *)right)->name);
}

static bool has_prefix(const struct call *call, const struct kek *kek, bool deleted_too)
{
    bool any = false, found = false;
    size_t at = 0;
    for (const char *prefix; !found && (prefix = call_query_next(call, "subjectPrefix", &at)) != NULL;) {
        any = true;
        for (size_t i = 0; i < kek->dek_count && !found; i++)
            found = (!kek->deks[i]->deleted || deleted_too) &&
                    name_has_prefix(slice_str(kek->deks[i]->subject), slice_str(prefix));
    }
    return found || (!any && (!kek->deleted || deleted_too));
}

void op_list_keks(struct call *call)
{
    bool deleted_too = call_flag(call, "deleted");
    struct page page = call_page(call, call->settings->keys_page_max);
    const struct kek *kek, **all = arena_calloc(&call->arena, keys_kek_count(call->keys) + 1, sizeof *all);
    size_t count = 0;
    int64_t seen = 0, shown = 0;
    if (all == NULL) {
        call_fail(call, 50001, "The request needs too much memory");
        return;
    }
    for (struct map_entry *at = NULL; keys_next(call->keys, &at, &kek);)
        if (has_prefix(call, kek, deleted_too))
            all[count++] = kek;
    qsort(all, count, sizeof *all, by_name);
    buf_printf(&call->reply, "[");
    for (size_t i = 0; i < count; i++) {
        if (!page_has(&page, &seen))
            continue;
        answer_separate(&call->reply, &shown);
        json_put_string(&call->reply, slice_str(all[i]->name));
    }
    buf_printf(&call->reply, "]");
}

void op_get_kek(struct call *call)
{
    const struct kek *kek = key_path_kek(call, call_flag(call, "deleted"));
    if (kek != NULL)
        key_put_kek(call, kek);
}

// ---- creating ----

static const char *normal_type(const char *type)
{
    static const char *const known[][2] = {{"aws", "aws-kms"}, {"azure", "azure-kms"}, {"gcp", "gcp-kms"}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strncasecmp(type, known[i][0], strlen(known[i][0])) == 0)
            return known[i][1];
    return type;
}

static bool props_good(struct call *call, const cJSON *props)
{
    int count = 0;
    size_t bytes = 0;
    if (props == NULL || cJSON_IsNull(props))
        return true;
    bool good = cJSON_IsObject(props);
    for (const cJSON *at = good ? props->child : NULL; at != NULL && good; at = at->next) {
        good = ++count <= PROPS_MAX && cJSON_IsString(at);
        bytes += strlen(at->string) + (good ? strlen(at->valuestring) : 0);
    }
    good = good && bytes <= PROPS_BYTES_MAX;
    return good || key_invalid(call, "kmsProps");
}

static bool flag_good(struct call *call, const cJSON *body, const char *name)
{
    const cJSON *item = json_get(body, name);
    return item == NULL || cJSON_IsNull(item) || cJSON_IsBool(item) || key_invalid(call, name);
}

static bool read_kek(struct call *call, const cJSON *body, struct kek *kek)
{
    const cJSON *props = json_get(body, "kmsProps");
    *kek = (struct kek){.timestamp_ms = call->now_ms};
    if (!key_read_text(call, body, "name", &kek->name) || !key_name_good(call, kek->name) ||
        !key_read_text(call, body, "kmsType", &kek->kms_type) ||
        !key_read_text(call, body, "kmsKeyId", &kek->kms_key_id) ||
        !key_read_text(call, body, "doc", &kek->doc) || !props_good(call, props) ||
        !flag_good(call, body, "shared") || !flag_good(call, body, "deleted"))
        return false;
    if (kek->kms_key_id == NULL || *kek->kms_key_id == '\0')
        return key_invalid(call, "kmsKeyId");
    if (kek->kms_type == NULL || *kek->kms_type == '\0')
        return key_invalid(call, "kmsType");
    kek->kms_type = normal_type(kek->kms_type);
    kek->props = cJSON_IsObject(props) ? props : NULL;
    kek->shared = cJSON_IsTrue(json_get(body, "shared"));
    kek->deleted = cJSON_IsTrue(json_get(body, "deleted"));
    return true;
}

static bool same_text(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static bool same_props(const cJSON *a, const cJSON *b)
{
    bool none_a = a == NULL || a->child == NULL, none_b = b == NULL || b->child == NULL;
    return none_a || none_b ? none_a == none_b : cJSON_Compare(a, b, true) != 0;
}

static bool equivalent(const struct kek *a, const struct kek *b)
{
    return strcmp(a->kms_type, b->kms_type) == 0 && strcmp(a->kms_key_id, b->kms_key_id) == 0 &&
           same_text(a->doc, b->doc) && a->shared == b->shared && same_props(a->props, b->props);
}

// Whether the KEK can be used here, by using it.
static bool tested(struct call *call, const struct kek *kek)
{
    struct kms_raw raw;
    char text[KMS_TEXT_SIZE];
    const char *wrong = kms_unusable(call->settings, kek);
    if (!kek->shared)
        return key_invalid(call, "shared");
    if (wrong != NULL)
        return call_fail(call, 50070, "Could not generate encrypted dek for %s: %s", kek->name, wrong);
    kms_generate(DEK_AES256_GCM, call->host, &raw);
    enum status status = kms_wrap(call, kek, &raw, text);
    kms_forget(&raw);
    return status == ST_OK || call_fail(call, 50070, "Could not generate encrypted dek for %s: %s", kek->name,
                                        status_text(status));
}

static bool may_create(struct call *call, struct kek *kek)
{
    const struct kek *old = keys_kek(call->keys, kek->name);
    if (old == NULL && (int64_t)keys_kek_count(call->keys) >= call->settings->keys_max)
        return call_fail(call, 40972, "A maximum of %lld keys already exist",
                         (long long)call->settings->keys_max);
    if (old != NULL && (old->deleted == kek->deleted || !equivalent(old, kek)))
        return call_fail(call, 40971, "Key '%s' already exists; use a different value", kek->name);
    if (old != NULL)
        kek->record_key = old->record_key;
    return !call_flag(call, "testSharing") || !kek->shared || tested(call, kek);
}

void op_create_kek(struct call *call)
{
    cJSON *body;
    struct kek kek;
    if (answer_read_body(call, &body) && read_kek(call, body, &kek) && may_create(call, &kek)) {
        key_write_kek(call, &kek);
        key_put_kek(call, &kek);
    }
    cJSON_Delete(body);
}

// ---- changing ----

// What the request says of props, and the secrets it leaves out: they are never shown, so that a client that
// sends back what it read does not lose them. To be deleted.
static cJSON *merged_props(const cJSON *asked, const cJSON *old)
{
    cJSON *props = cJSON_IsObject(asked) ? cJSON_Duplicate(asked, true) : NULL;
    for (const cJSON *at = props != NULL && old != NULL ? old->child : NULL; at != NULL; at = at->next)
        if (key_is_secret(at->string) && json_get(props, at->string) == NULL)
            cJSON_AddItemToObject(props, at->string, cJSON_Duplicate(at, true));
    return props;
}

static bool read_changes(struct call *call, const cJSON *body, struct kek *kek, cJSON **own_props)
{
    const cJSON *props = json_get(body, "kmsProps"), *shared = json_get(body, "shared");
    const char *doc;
    if (!props_good(call, props) || !flag_good(call, body, "shared") ||
        !key_read_text(call, body, "doc", &doc))
        return false;
    if (props != NULL)
        kek->props = *own_props = merged_props(props, kek->props);
    if (json_get(body, "doc") != NULL)
        kek->doc = doc;
    if (cJSON_IsBool(shared))
        kek->shared = cJSON_IsTrue(shared);
    return !call_flag(call, "testSharing") || !kek->shared || tested(call, kek);
}

void op_put_kek(struct call *call)
{
    cJSON *body, *own_props = NULL;
    const struct kek *old = key_path_kek(call, false);
    if (old == NULL || !answer_read_body(call, &body))
        return;
    struct kek kek = *old;
    if (read_changes(call, body, &kek, &own_props)) {
        if (!equivalent(&kek, old)) {
            kek.timestamp_ms = call->now_ms;
            key_write_kek(call, &kek);
        }
        key_put_kek(call, &kek);
    }
    cJSON_Delete(own_props);
    cJSON_Delete(body);
}

static void set_deleted(struct call *call, const struct kek *kek, bool deleted)
{
    struct kek changed = *kek;
    changed.deleted = deleted;
    if (kek->deleted != deleted)
        key_write_kek(call, &changed);
}

static bool may_delete(struct call *call, const struct kek *kek, bool permanent)
{
    for (size_t i = 0; i < kek->dek_count; i++)
        if (permanent || !kek->deks[i]->deleted)
            return call_fail(call, 42272, "One or more references exist to key '%s'", kek->name);
    return !permanent || kek->deleted ||
           call_fail(call, 40471, "Key '%s' was not deleted first before being permanently deleted",
                     kek->name);
}

void op_delete_kek(struct call *call)
{
    bool permanent = call_flag(call, "permanent");
    const struct kek *kek = key_path_kek(call, true);
    if (kek == NULL || !may_delete(call, kek, permanent))
        return;
    if (permanent)
        call_put(call, slice_str(kek->record_key), (struct slice){0});
    else
        set_deleted(call, kek, true);
    call->code = 204;
}

void op_undelete_kek(struct call *call)
{
    const struct kek *kek = key_path_kek(call, true);
    if (kek == NULL)
        return;
    set_deleted(call, kek, false);
    call->code = 204;
}

void op_test_kek(struct call *call)
{
    const struct kek *kek = key_path_kek(call, false);
    if (kek != NULL && tested(call, kek))
        key_put_kek(call, kek);
}
