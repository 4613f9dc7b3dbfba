// SPDX-License-Identifier: Apache-2.0
// What the operations on keys share: names checked, keys found, records and answers in Confluent's forms.
#ifndef REGISTRY_KEY_ANSWER_H
#define REGISTRY_KEY_ANSWER_H

#include "call.h"
#include "kms.h"

enum { KEY_NAME_MAX = 64, KEY_TEXT_MAX = 32 << 10 }; // of a KEK: Confluent's; any other text: ours

// Answers 42271: a field is not there or not as it should be. False.
bool key_invalid(struct call *call, const char *field);
// Answers 40470. False.
bool key_not_found(struct call *call, const char *name);

// Whether it may name a KEK: a letter or _, then letters, digits, _ and -. Else answered.
bool key_name_good(struct call *call, const char *name);
// The argument `algorithm`: the default when absent. False: answered 404, as Confluent's router does.
bool key_read_algorithm(struct call *call, enum dek_algorithm *algorithm);
// A member that is a text of the object, or NULL; not longer than KEY_TEXT_MAX. False: answered.
bool key_read_text(struct call *call, const cJSON *object, const char *name, const char **text);

// The KEK of the path. NULL: answered 40470 or 42271.
const struct kek *key_path_kek(struct call *call, bool deleted_too);

// Writes a record for the key as it is to be; record_key is that of the one there, or NULL.
void key_write_kek(struct call *call, const struct kek *kek);
void key_write_dek(struct call *call, const struct dek *dek);

// Appends a key as answers have it. raw: the DEK decrypted; NULL: is not told.
void key_put_kek(struct call *call, const struct kek *kek);
void key_put_dek(struct call *call, const struct dek *dek, const struct kms_raw *raw);

// A copy of kmsProps without what logs in to a key service (Confluent's KmsPropsRedactor); to be deleted.
cJSON *key_redacted(const cJSON *props);
bool key_is_secret(const char *prop);

#endif
