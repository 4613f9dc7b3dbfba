// SPDX-License-Identifier: Apache-2.0
// Defaults and refusals, field by field, along a path of names from the message. See rules.h.
#include "rules.h"

#include "base/assert.h"
#include "dump.h"
#include "kafka/value.h"

#include <stdio.h>
#include <stdlib.h>

enum { RULES_ARENA_MAX = 1 << 20 };

void rules_init(struct rules *rules)
{
    *rules = (struct rules){0};
    rules->seen_defaults = calloc((size_t)kafka_message_count, sizeof *rules->seen_defaults);
    rules->seen_refusals = calloc((size_t)kafka_message_count, sizeof *rules->seen_refusals);
    rules->skip = calloc((size_t)kafka_message_count, sizeof *rules->skip);
    ASSERT(rules->skip != NULL && rules->seen_defaults != NULL && rules->seen_refusals != NULL);
    arena_init(&rules->arena, RULES_ARENA_MAX);
    kafka_out_init(&rules->out, RULES_ARENA_MAX);
    buf_init(&rules->text, RULES_ARENA_MAX);
}

void rules_fini(struct rules *rules)
{
    free(rules->seen_defaults);
    free(rules->seen_refusals);
    free(rules->skip);
    arena_fini(&rules->arena);
    kafka_out_fini(&rules->out);
    buf_fini(&rules->text);
}

static const struct kafka_field *find(const struct kafka_structure *structure, const char *name, size_t len)
{
    for (int i = 0; i < structure->field_count; i++) {
        if (dump_name_is(&structure->fields[i], name, len))
            return &structure->fields[i];
    }
    return NULL;
}

static const char *check_default(struct rules *rules, int message, const char *path, const char *expected)
{
    const struct kafka_structure *structure = kafka_messages[message]->structure;
    const struct kafka_field *field = NULL;
    for (const char *at = path; *at != '\0' && structure != NULL;) {
        size_t len = strcspn(at, "/");
        field = find(structure, at, len);
        if (field == NULL)
            return NULL; // newer than 4.2
        at += len;
        if (*at == '/') {
            at++;
            structure = field->structure;
        }
    }
    void *value = arena_alloc(&rules->arena, structure->size);
    kafka_structure_defaults(structure, value);
    dump_scalar(field, value, &rules->text);
    buf_put_u8(&rules->text, 0);
    // Kafka's records start as null even where that cannot be written; ours are empty there.
    bool records = field->type == KAFKA_RECORDS && kafka_never_null(field);
    if (!records && strcmp((const char *)rules->text.data, expected) != 0)
        return (const char *)rules->text.data;
    rules->defaults++;
    rules->seen_defaults[message]++;
    return NULL;
}

static void set_other_number(const struct kafka_field *field, void *at)
{
    static const uint8_t widths[] = {[KAFKA_INT8] = 1,  [KAFKA_INT16] = 2, [KAFKA_UINT16] = 2,
                                     [KAFKA_INT32] = 4, [KAFKA_INT64] = 8, [KAFKA_UUID] = 8};
    uint64_t value = 99;
    if (field->type == KAFKA_BOOL)
        *(bool *)at = !*(bool *)at;
    else if (field->type == KAFKA_FLOAT64)
        *(double *)at = 99;
    else
        memcpy(at, &value, widths[field->type]);
}

// A value that is not the default, into a field that has its default.
static void set_other(struct rules *rules, const struct kafka_field *field, void *structure)
{
    void *at = (uint8_t *)structure + field->offset;
    if (field->array) {
        int32_t one = 1;
        void *item = arena_alloc(&rules->arena, kafka_value_size(field));
        if (field->type == KAFKA_STRUCT)
            kafka_structure_defaults(field->structure, item);
        memcpy(at, &item, sizeof item);
        memcpy((uint8_t *)structure + field->count_offset, &one, sizeof one);
    } else if (field->pointer) {
        void *value = arena_alloc(&rules->arena, field->structure->size);
        kafka_structure_defaults(field->structure, value);
        memcpy(at, &value, sizeof value);
    } else if (field->type == KAFKA_STRUCT) {
        set_other(rules, &field->structure->fields[0], at);
    } else if (field->type == KAFKA_STRING || field->type == KAFKA_BYTES) {
        *(struct slice *)at = slice_str("99");
    } else if (field->type == KAFKA_RECORDS) {
        ((struct kafka_records *)at)->bytes = slice_str("9");
    } else {
        set_other_number(field, at);
    }
}

// Steps into a structure that is embedded, pointed to, or the only element of an array made for it.
static void *step_into(struct rules *rules, const struct kafka_field *field, void *structure)
{
    void *at = (uint8_t *)structure + field->offset;
    if (!field->array && !field->pointer)
        return at;
    void *value = arena_alloc(&rules->arena, field->structure->size);
    int32_t one = 1;
    kafka_structure_defaults(field->structure, value);
    memcpy(at, &value, sizeof value);
    if (field->array)
        memcpy((uint8_t *)structure + field->count_offset, &one, sizeof one);
    return value;
}

// Structures that must be present in the version are, all else has its default.
static void fill_required(struct rules *rules, const struct kafka_structure *structure, int16_t version,
                          void *in)
{
    for (int i = 0; i < structure->field_count; i++) {
        const struct kafka_field *field = &structure->fields[i];
        void *at = (uint8_t *)in + field->offset;
        if (field->type == KAFKA_RECORDS && !kafka_in(field->nullable, version))
            ((struct kafka_records *)at)->bytes = slice_of("", 0);
    }
}

static const char *check_refusal(struct rules *rules, int index, int16_t version, const char *path,
                                 const char *expected)
{
    const struct kafka_message *message = kafka_messages[index];
    if (!kafka_in(message->valid, version))
        return NULL;
    const struct kafka_structure *structure = message->structure;
    void *root = arena_alloc(&rules->arena, structure->size);
    kafka_structure_defaults(structure, root);
    void *value = root;
    for (const char *at = path;;) {
        size_t len = strcspn(at, "/");
        const struct kafka_field *field = find(structure, at, len);
        if (field == NULL)
            return NULL;
        fill_required(rules, structure, version, value);
        if (at[len] == '\0') {
            if (kafka_in(field->versions, version))
                return "we have the field in this version";
            set_other(rules, field, value);
            break;
        }
        value = step_into(rules, field, value);
        structure = field->structure;
        at += len + 1;
    }
    enum status status = kafka_encode(message, version, root, &rules->out);
    const char *got = status == ST_OK            ? "carried"
                      : status == ST_UNSUPPORTED ? "refused"
                                                 : status_text(status);
    if (strcmp(got, expected) != 0)
        return got;
    rules->refusals++;
    rules->seen_refusals[index]++;
    return NULL;
}

const char *rules_check(struct rules *rules, int message, char **words, int count)
{
    rules->seen = true;
    arena_reset(&rules->arena);
    kafka_out_clear(&rules->out);
    buf_clear(&rules->text);
    if (words[0][0] == 'D' && count == 4)
        return check_default(rules, message, words[2], words[3]);
    if (words[0][0] == 'R' && count == 5)
        return check_refusal(rules, message, (int16_t)atoi(words[2]), words[3], words[4]);
    return "unknown kind of line";
}

// How many D lines a structure must have had: one for each field that is not a plain structure, and those of
// the structures below.
static uint32_t count_defaults(const struct kafka_structure *structure)
{
    uint32_t count = 0;
    for (int i = 0; i < structure->field_count; i++) {
        const struct kafka_field *field = &structure->fields[i];
        count += field->type != KAFKA_STRUCT || field->array || (field->pointer && field->default_null);
        if (field->type == KAFKA_STRUCT)
            count += count_defaults(field->structure);
    }
    return count;
}

static uint32_t count_absent(const struct kafka_structure *structure, int16_t version)
{
    uint32_t count = 0;
    for (int i = 0; i < structure->field_count; i++) {
        const struct kafka_field *field = &structure->fields[i];
        if (!kafka_in(field->versions, version))
            count++;
        else if (field->type == KAFKA_STRUCT)
            count += count_absent(field->structure, version);
    }
    return count;
}

static void expect(struct rules *rules, const char *name, const char *what, uint32_t want, uint32_t got)
{
    if (want == got)
        return;
    rules->missing++;
    fprintf(stderr, "WRONG %s: %u %s of %u confirmed\n", name, got, what, want);
}

void rules_coverage(struct rules *rules)
{
    for (int32_t i = 0; i < kafka_message_count; i++) {
        const struct kafka_message *message = kafka_messages[i];
        uint32_t absent = 0;
        if (rules->skip[i])
            continue;
        for (int16_t version = message->valid.first; version <= message->valid.last; version++)
            absent += count_absent(message->structure, version);
        expect(rules, message->name, "defaults", count_defaults(message->structure), rules->seen_defaults[i]);
        expect(rules, message->name, "refusals", absent, rules->seen_refusals[i]);
    }
}
