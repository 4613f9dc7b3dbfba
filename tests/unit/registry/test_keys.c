// SPDX-License-Identifier: Apache-2.0
// The state of the DEK registry: records in any order, deletions, records of others.
#include "keys.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static struct keys *keys;

static void setup(void)
{
    keys = keys_new();
}
static void teardown(void)
{
    keys_destroy(&keys);
}
TestSuite(keys, .init = setup, .fini = teardown);

static enum status apply(const char *key, const char *value)
{
    return keys_apply(keys, 77, slice_str(key), value != NULL ? slice_str(value) : (struct slice){0});
}

static const char kek_key[] = "{\"tenant\":\"default\",\"name\":\"k\",\"type\":\"KEK\"}";
static const char kek_value[] =
    "{\"name\":\"k\",\"kmsType\":\"local-kms\",\"kmsKeyId\":\"id\",\"kmsProps\":"
    "{\"a\":\"b\"},\"doc\":\"d\",\"shared\":true,\"deleted\":false,\"type\":\"KEK\"}";

static void dek(const char *subject, const char *algorithm, int version, const char *value)
{
    char key[300];
    snprintf(
        key, sizeof key,
        "{\"tenant\":\"default\",\"kekName\":\"k\",\"subject\":\"%s\",\"algorithm\":\"%s\",\"version\":%d,"
        "\"type\":\"DEK\"}",
        subject, algorithm, version);
    cr_assert_eq(apply(key, value), ST_OK);
}

Test(keys, a_dek_may_come_before_its_kek)
{
    dek("s", "AES256_GCM", 1, "{\"encryptedKeyMaterial\":\"x\"}");
    cr_assert_null(keys_kek(keys, "k"), "nothing is known of it");
    cr_assert_eq(apply(kek_key, kek_value), ST_OK);
    const struct kek *kek = keys_kek(keys, "k");
    cr_assert_str_eq(kek->kms_type, "local-kms");
    cr_assert(kek->shared && !kek->deleted && kek->timestamp_ms == 77);
    cr_assert_str_eq(kek->record_key, kek_key);
    cr_assert_str_eq(keys_dek(kek, "s", DEK_AES256_GCM, 1)->material, "x");
    cr_assert_null(keys_dek(kek, "s", DEK_AES128_GCM, 1));
    cr_assert_eq(keys_count(keys), 2);
}

Test(keys, deks_are_kept_by_subject_algorithm_and_version)
{
    apply(kek_key, kek_value);
    dek("b", "AES256_GCM", 10, "{}");
    dek("b", "AES256_GCM", 9, "{}");
    dek("b", "AES128_GCM", 1, "{}");
    dek("a", "AES256_SIV", 1, "{}");
    const struct kek *kek = keys_kek(keys, "k");
    cr_assert_eq(kek->dek_count, 4);
    cr_assert_str_eq(kek->deks[0]->subject, "a");
    cr_assert_eq(kek->deks[1]->algorithm, DEK_AES128_GCM);
    cr_assert_eq(kek->deks[2]->version, 9);
    dek("b", "AES256_GCM", 9, NULL);
    cr_assert_eq(kek->dek_count, 3);
    cr_assert_eq(kek->deks[2]->version, 10);
}

Test(keys, tombstones_leave_nothing)
{
    apply(kek_key, kek_value);
    dek("s", "AES256_GCM", 1, "{}");
    cr_assert_eq(apply(kek_key, NULL), ST_OK);
    cr_assert_null(keys_kek(keys, "k"));
    dek("s", "AES256_GCM", 1, NULL);
    dek("s", "AES256_GCM", 1, NULL);
    cr_assert_eq(keys_count(keys), 0);
    struct map_entry *at = NULL;
    const struct kek *kek;
    cr_assert_not(keys_next(keys, &at, &kek));
}

Test(keys, what_is_no_record_changes_nothing)
{
    static const char *const wrong[][2] = {
        {"", "{}"},
        {"{}", "{}"},
        {"{\"type\":\"KEK\"}", "{}"},
        {kek_key, "{}"},
        {kek_key, "[]"},
        {kek_key, "{\"kmsType\":\"x\"}"},
        {"{\"name\":\"k\",\"type\":\"OTHER\"}", kek_value},
        {"{\"kekName\":\"k\",\"subject\":\"s\",\"algorithm\":\"ROT13\",\"version\":1,\"type\":\"DEK\"}",
         "{}"},
        {"{\"kekName\":\"k\",\"subject\":\"s\",\"algorithm\":\"AES256_GCM\",\"version\":0,\"type\":\"DEK\"}",
         "{}"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        cr_assert_eq(apply(wrong[i][0], wrong[i][1]), ST_MALFORMED, "%s", wrong[i][0]);
    cr_assert_eq(keys_count(keys), 0);
}
