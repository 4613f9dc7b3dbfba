// SPDX-License-Identifier: Apache-2.0
// The DEK registry: what may be made, read and deleted; whose key material is answered; the form of what is
// encrypted, checked with values computed by another library.
#include "desk.h"
#include "kms.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct desk desk;

static void setup(void)
{
    desk_open(&desk);
    desk.settings.local_secret = "mysecret";
}
static void teardown(void)
{
    desk_close(&desk);
}
TestSuite(deks, .init = setup, .fini = teardown);

static bool has(const char *text)
{
    return strstr(desk.answer, text) != NULL;
}

static int code(const char *operation, const char *where, const char *query, const char *body)
{
    desk_ask(&desk, operation, where, query, body);
    const char *found = strstr(desk.answer, "\"error_code\":");
    return found != NULL ? atoi(found + 13) : desk.code;
}

static int kek(const char *name, const char *more)
{
    char body[2000];
    snprintf(body, sizeof body, "{\"name\":\"%s\",\"kmsType\":\"local-kms\",\"kmsKeyId\":\"id\"%s}", name,
             more);
    return code("create-kek", NULL, NULL, body);
}

// The text of a member of the answer.
static const char *member(const char *name)
{
    static char text[300], wanted[64];
    snprintf(wanted, sizeof wanted, "\"%s\":\"", name);
    const char *at = strstr(desk.answer, wanted);
    snprintf(text, sizeof text, "%.*s", at != NULL ? (int)strcspn(at + strlen(wanted), "\"") : 0,
             at != NULL ? at + strlen(wanted) : "");
    return text;
}

// AES-128-GCM with HKDF-SHA256("mysecret") of an AesGcmKey with bytes 0 to 31; nonce 100 to 111.
static const char foreign[] =
    "ZGVmZ2hpamtsbW5vlCNlNl/DB6ZyyW4aJZuoSJkghLWqRzohyK8QPvHV86Gb509mj7cSIfTWyzT0QV7Kp/A=";
static const char foreign_raw[] = "GiAAAQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHw==";

Test(deks, a_kek_is_stored_and_answered)
{
    cr_assert_eq(kek("k1", ",\"doc\":\"d\",\"kmsProps\":{\"b\":\"2\",\"a\":\"1\"}"), 200);
    cr_assert_str_eq(desk.answer,
                     "{\"name\":\"k1\",\"kmsType\":\"local-kms\",\"kmsKeyId\":\"id\",\"kmsProps\":"
                     "{\"b\":\"2\",\"a\":\"1\"},\"doc\":\"d\",\"shared\":false,\"ts\":1700000000000}");
    cr_assert_eq(code("get-kek", "k1", NULL, NULL), 200);
    cr_assert_eq(code("get-kek", "k2", NULL, NULL), 40470);
    cr_assert_eq(kek("k1", ""), 40971);
    cr_assert_eq(kek("9k", ""), 42271);
    cr_assert_eq(kek("k\\u00e9", ""), 42271);
    cr_assert_eq(kek("k2", ",\"kmsProps\":{\"a\":1}"), 42271);
    cr_assert_eq(kek("k2", ",\"shared\":\"yes\""), 42271);
    char large[1000];
    memset(large, 'x', sizeof large - 1);
    large[sizeof large - 1] = '\0';
    struct buf body;
    buf_init(&body, 1 << 20);
    buf_printf(&body, "{\"name\":\"k2\",\"kmsType\":\"x\",\"kmsKeyId\":\"x\",\"kmsProps\":{\"a\":\"");
    for (int i = 0; i < 70; i++)
        buf_append(&body, large, sizeof large - 1);
    buf_append(&body, "\"}}", 4);
    cr_assert_eq(code("create-kek", NULL, NULL, (const char *)body.data), 42271, "more than 64 KiB");
    buf_fini(&body);
    cr_assert_eq(code("create-kek", NULL, NULL, "{\"name\":\"k2\",\"kmsType\":\"AWS\",\"kmsKeyId\":\"arn\"}"),
                 200);
    cr_assert(has("\"kmsType\":\"aws-kms\""));
    cr_assert_eq(code("create-kek", NULL, NULL, "{\"name\":\"k3\",\"kmsType\":\"x\"}"), 42271);
    desk_ask(&desk, "list-keks", NULL, "offset=1&limit=1", NULL);
    cr_assert_str_eq(desk.answer, "[\"k2\"]");
}

Test(deks, secrets_in_kms_props_are_kept_and_never_shown)
{
    cr_assert_eq(kek("k1", ",\"kmsProps\":{\"secret\":\"s3\",\"x\":\"y\"}"), 200);
    cr_assert(!has("s3") && has("\"x\":\"y\""));
    cr_assert_eq(code("put-kek", "k1", NULL, "{\"kmsProps\":{\"x\":\"z\"}}"), 200);
    cr_assert(!has("s3") && has("\"x\":\"z\""));
    desk_record(&desk, "{\"tenant\":\"default\",\"name\":\"k1\",\"type\":\"KEK\"}");
    cr_assert(has("\"secret\":\"s3\""), "%s", desk.answer);
    cr_assert_eq(code("put-kek", "k1", NULL, "{\"kmsProps\":null,\"doc\":\"new\"}"), 200);
    cr_assert(has("\"kmsProps\":{}") && has("\"doc\":\"new\""));
}

Test(deks, of_a_kek_that_is_not_shared_the_client_encrypts)
{
    kek("k1", "");
    cr_assert_eq(code("create-dek", "k1", NULL, "{\"subject\":\"s\"}"), 42271);
    cr_assert_eq(code("create-dek", "k1", NULL, "{\"subject\":\"s\",\"encryptedKeyMaterial\":\"c2VjcmV0\"}"),
                 200);
    cr_assert(has("\"encryptedKeyMaterial\":\"c2VjcmV0\"") &&
                  !has("keyMaterial\":\"c2VjcmV0\",\"keyMaterial\"") && !has("\"keyMaterial\""),
              "%s", desk.answer);
    cr_assert_eq(code("get-dek", "k1|s", NULL, NULL), 200);
    cr_assert(!has("\"keyMaterial\""));
    cr_assert_eq(code("create-dek", "k1", NULL, "{\"subject\":\"s\",\"encryptedKeyMaterial\":\"c2VjcmV0\"}"),
                 40971);
    cr_assert_eq(code("test-kek", "k1", NULL, NULL), 42271);
}

Test(deks, of_a_shared_kek_the_registry_makes_and_decrypts)
{
    static const struct {
        const char *algorithm, *begins;
        size_t len;
    } forms[] = {{"AES128_GCM", "Gh", 24}, {"AES256_GCM", "Gi", 48}, {"AES256_SIV", "Ek", 88}};
    char body[200], query[60], material[300];
    cr_assert_eq(kek("k1", ",\"shared\":true"), 200);
    cr_assert_eq(code("test-kek", "k1", NULL, NULL), 200);
    for (size_t i = 0; i < 3; i++) {
        snprintf(body, sizeof body, "{\"subject\":\"s\",\"algorithm\":\"%s\"}", forms[i].algorithm);
        cr_assert_eq(code("create-dek", "k1", NULL, body), 200, "%s", desk.answer);
        snprintf(material, sizeof material, "%s", member("keyMaterial"));
        cr_assert(strncmp(material, forms[i].begins, 2) == 0 && strlen(material) == forms[i].len, "%s",
                  material);
        snprintf(query, sizeof query, "algorithm=%s", forms[i].algorithm);
        cr_assert_eq(code("get-dek-version", "k1|s|latest", query, NULL), 200);
        cr_assert_str_eq(member("keyMaterial"), material);
    }
    cr_assert(strstr((const char *)desk.log.data, material) == NULL, "nothing decrypted is written");
    desk_ask(&desk, "list-deks", "k1", NULL, NULL);
    cr_assert_str_eq(desk.answer, "[\"s\"]");
    cr_assert_eq(code("get-dek", "k1|s", "algorithm=ROT13", NULL), 404);
}

Test(deks, what_another_client_encrypted_is_decrypted)
{
    char body[400];
    kek("k1", ",\"shared\":true");
    snprintf(body, sizeof body, "{\"encryptedKeyMaterial\":\"%s\"}", foreign);
    cr_assert_eq(code("create-subject-dek", "k1|s", NULL, body), 200, "%s", desk.answer);
    cr_assert_str_eq(member("keyMaterial"), foreign_raw);
    desk.settings.local_secret = "other";
    cr_assert_eq(code("get-dek", "k1|s", NULL, NULL), 50070);
    cr_assert(!has(foreign_raw));
    desk.settings.local_secret = "";
    cr_assert_eq(code("get-dek", "k1|s", NULL, NULL), 50070);
    cr_assert_eq(kek("k2", ",\"shared\":true,\"kmsProps\":{\"secret\":\"mysecret\"}"), 200);
    cr_assert_eq(code("create-subject-dek", "k2|s", NULL, body), 200);
    cr_assert_str_eq(member("keyMaterial"), foreign_raw, "a secret of the KEK's own goes first");
    cr_assert_eq(code("create-subject-dek", "k2|t", NULL, "{\"encryptedKeyMaterial\":\"AAAA\"}"), 50070);
    cr_assert_eq(code("get-dek", "k2|t", NULL, NULL), 40470, "what cannot be decrypted is not taken");
}

Test(deks, rewrapped_a_key_stays_the_same)
{
    char before[300], wrapped[300];
    kek("k1", ",\"shared\":true");
    code("create-subject-dek", "k1|s", NULL, "{}");
    snprintf(before, sizeof before, "%s", member("keyMaterial"));
    snprintf(wrapped, sizeof wrapped, "%s", member("encryptedKeyMaterial"));
    cr_assert_eq(code("create-subject-dek", "k1|s", NULL, "{}"), 40971);
    cr_assert_eq(code("create-subject-dek", "k1|s", "rewrap=true", "{}"), 200);
    cr_assert_str_eq(member("keyMaterial"), before);
    cr_assert_str_neq(member("encryptedKeyMaterial"), wrapped);
}

Test(deks, keys_of_other_services_are_stored_and_not_used)
{
    cr_assert_eq(code("create-kek", NULL, NULL,
                      "{\"name\":\"aws\",\"kmsType\":\"aws-kms\",\"kmsKeyId\":\"arn\",\"shared\":true}"),
                 200);
    cr_assert_eq(code("create-kek", NULL, "testSharing=true",
                      "{\"name\":\"aws2\",\"kmsType\":\"aws-kms\",\"kmsKeyId\":\"arn\",\"shared\":true}"),
                 50070);
    cr_assert_eq(code("test-kek", "aws", NULL, NULL), 50070);
    cr_assert_eq(code("create-subject-dek", "aws|s", NULL, "{}"), 50070);
}

Test(deks, versions_are_deleted_softly_for_good_and_come_back)
{
    kek("k1", ",\"shared\":true");
    code("create-subject-dek", "k1|s", NULL, "{\"version\":1}");
    code("create-subject-dek", "k1|s", NULL, "{\"version\":3}");
    cr_assert_eq(code("create-subject-dek", "k1|s", NULL, "{\"version\":0}"), 42271);
    cr_assert_eq(code("create-subject-dek", "k1|s", NULL, "{\"subject\":\"other\"}"), 42271);
    cr_assert_eq(code("delete-dek-version", "k1|s|3", "permanent=true", NULL), 40471);
    cr_assert_eq(code("delete-dek-version", "k1|s|3", NULL, NULL), 204);
    desk_ask(&desk, "list-dek-versions", "k1|s", NULL, NULL);
    cr_assert_str_eq(desk.answer, "[1]");
    desk_ask(&desk, "list-dek-versions", "k1|s", "deleted=true", NULL);
    cr_assert_str_eq(desk.answer, "[1,3]");
    cr_assert_eq(code("get-dek-version", "k1|s|3", NULL, NULL), 40470);
    cr_assert_eq(code("get-dek-version", "k1|s|3", "deleted=true", NULL), 200);
    cr_assert(has("\"deleted\":true"));
    cr_assert_eq(code("undelete-dek-version", "k1|s|3", NULL, NULL), 204);
    cr_assert_eq(code("get-dek-version", "k1|s|latest", NULL, NULL), 200);
    cr_assert(has("\"version\":3"));
    cr_assert_eq(code("get-dek-version", "k1|s|x", NULL, NULL), 42202);
    cr_assert_eq(code("delete-kek", "k1", NULL, NULL), 42272);
    cr_assert_eq(code("delete-dek", "k1|s", NULL, NULL), 204);
    cr_assert_eq(code("delete-kek", "k1", NULL, NULL), 204);
    cr_assert_eq(code("undelete-dek", "k1|s", NULL, NULL), 40472);
    cr_assert_eq(code("delete-kek", "k1", "permanent=true", NULL), 42272);
    cr_assert_eq(code("undelete-kek", "k1", NULL, NULL), 204);
    cr_assert_eq(code("undelete-dek", "k1|s", NULL, NULL), 204);
    cr_assert_eq(code("delete-dek", "k1|s", "permanent=true", NULL), 40471);
    code("delete-dek", "k1|s", NULL, NULL);
    cr_assert_eq(code("delete-dek", "k1|s", "permanent=true", NULL), 204);
    cr_assert_eq(code("delete-kek", "k1", "permanent=true", NULL), 40471);
    code("delete-kek", "k1", NULL, NULL);
    cr_assert_eq(code("delete-kek", "k1", "permanent=true", NULL), 204);
    desk_replay(&desk, true);
    desk_ask(&desk, "list-keks", NULL, "deleted=true", NULL);
    cr_assert_str_eq(desk.answer, "[]");
}

Test(deks, a_deleted_kek_comes_back_when_it_is_created_again)
{
    kek("k1", "");
    code("delete-kek", "k1", NULL, NULL);
    cr_assert_eq(code("get-kek", "k1", NULL, NULL), 40470);
    cr_assert_eq(kek("k1", ",\"doc\":\"other\""), 40971);
    cr_assert_eq(kek("k1", ""), 200);
    cr_assert_eq(code("get-kek", "k1", NULL, NULL), 200);
}

Test(deks, there_are_limits)
{
    desk.settings.keys_max = 1;
    cr_assert_eq(kek("k1", ",\"shared\":true"), 200);
    cr_assert_eq(kek("k2", ""), 40972);
    cr_assert_eq(code("create-subject-dek", "k1|s", NULL, "{}"), 200);
    cr_assert_eq(code("create-subject-dek", "k1|t", NULL, "{}"), 40972);
}

Test(deks, the_subjects_mode_and_alias_count)
{
    kek("k1", ",\"shared\":true");
    code("put-subject-mode", "in", "force=true", "{\"mode\":\"IMPORT\"}");
    cr_assert_eq(code("create-subject-dek", "k1|in", NULL, "{}"), 200);
    cr_assert(!has("\"keyMaterial\""), "an import does not show it");
    code("put-subject-config", "alias", NULL, "{\"alias\":\"real\",\"aliasForDeks\":true}");
    cr_assert_eq(code("create-subject-dek", "k1|alias", NULL, "{}"), 200);
    cr_assert(has("\"subject\":\"real\""));
    desk_ask(&desk, "list-keks", NULL, "subjectPrefix=re", NULL);
    cr_assert_str_eq(desk.answer, "[\"k1\"]");
    desk_ask(&desk, "list-keks", NULL, "subjectPrefix=x", NULL);
    cr_assert_str_eq(desk.answer, "[]");
}
